/* mkweights.h - random weight blocks of any format whose elements have a wanted root mean square. */
#ifndef VB_TOOLS_MKWEIGHTS_H
#define VB_TOOLS_MKWEIGHTS_H
#include "base/quant.h"

#include <stdint.h>

typedef struct {
    const vb_format_info *format;
    uint64_t state; /* of the generator */
    float d;        /* a block's scale, before it is varied */
} vb_weights;

int vb_weights_known(const vb_format_info *format); /* 0: these formats have no scale that can be set here */
/* The stream of one tensor; the same seed, name, format and rms give the same bytes anywhere. */
void vb_weights_start(vb_weights *w, const vb_format_info *format, uint64_t seed, const char *name, float rms);
void vb_weights_fill(vb_weights *w, uint8_t *to, int64_t blocks);

#endif
