/* panel.h - what the integer core of panels (panel_<isa>.h) is told about a block of 32 or a sub-block.
 */
#ifndef VB_SIMD_PANEL_H
#define VB_SIMD_PANEL_H
#include <stdint.h>

typedef struct {
    int quads, bits;       /* of weights */
    const uint8_t *scales; /* what all sums are multiplied by, as they stand in a panel; NULL: 1 */
    /* PANEL_WORDS: a bias that is still in the weights, and the strip's line of what it is subtracted by; 0: none. */
    int bias;
    const uint8_t *less;
} panel_part;

#endif
