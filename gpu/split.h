/* split.h - which parts of a plan a device performs: those that were asked for, that it can do, and that fit.
 *
 *   section   the steps of one layer; or those before all layers, "input", or behind them, "output"
 *
 *   "all"          every section              "auto"          the same, as far as there is room
 *   "20"           the last 20 layers and the output, as llama.cpp counts
 *   "0-5,9,output" these
 */
#ifndef VB_GPU_SPLIT_H
#define VB_GPU_SPLIT_H
#include "gpu/weights.h"

typedef struct {
    int first, n;  /* steps */
    int layer;     /* -1: before or behind the layers */
    int asked;     /* 1: it was asked for; it stays so only if it is able and fits */
    int lacks;     /* a step that the device cannot do; -1: it can do all of them */
} vb_gpu_section;

typedef struct {
    const vb_plan *plan;
    vb_gpu_section *of; /* in the plan's order */
    int n;
} vb_gpu_split;

vb_status vb_gpu_split_open(vb_gpu_split *out, const vb_plan *plan, vb_err *err);
void vb_gpu_split_close(vb_gpu_split *s); /* zeroed is fine */
/* Marks the sections that the text asks for. VB_E_ARGUMENT: it is no such text, or a layer is not there. */
vb_status vb_gpu_split_ask(vb_gpu_split *s, const char *layers, vb_err *err);
/* Looks for what the device cannot do. */
void vb_gpu_split_look(vb_gpu_split *s, const vb_gpu *g, const vb_gpu_weights *w);
/* The asked sections as people call them: "layers 0-5, 9 and the output". */
void vb_gpu_split_text(const vb_gpu_split *s, char *buf, size_t cap);
/* The i-th section in the order in which they get memory: the output, then the layers from the last to the first, then
 * the input. */
vb_gpu_section *vb_gpu_split_at(const vb_gpu_split *s, int i);

#endif
