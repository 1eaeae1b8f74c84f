/* side.h - blocks of PANEL_LANES rows side by side, a row a lane, as few_<isa>.h unpacks them for t_few.inc. Before it
 * stands panel_<isa>.h, which has the registers pi and pf.
 */
#ifndef VB_SIMD_SIDE_H
#define VB_SIMD_SIDE_H

/* A place in PANEL_LANES rows, `stride` bytes apart: every fourth row is told, the others lie between them. */
typedef struct {
    const uint8_t *row[PANEL_LANES / 4];
    size_t stride;
} side_place;

/* A block of 32 of each row: 8 times four weights, unsigned; the halves d and m of a block as floats. */
typedef struct {
    pi q[8];
    pf d, m;
} side32;

/* A block of 256 of each row. pairs: 16-bit mins of two sub-blocks; where weights have a bias, their scales. */
typedef struct {
    pi q[64], scale[16], pairs[8];
    pf d, m;
} side256;

#endif
