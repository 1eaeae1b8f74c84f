/* dot.h - what the integers of blocks of 256 come in, for dot_<isa>.h and t_matvec.inc. A vec_<isa>.h comes before it. */
#ifndef VB_SIMD_DOT_H
#define VB_SIMD_DOT_H

/* Of one block: lanes that add up to S and M of C3. */
typedef struct {
    v4i s, m;
} dot_parts;

/* Of four blocks, one a lane: S and M, and what they are multiplied by. */
typedef struct {
    v4i s, m;
    v4f scale, min;
} dot_four;

#endif
