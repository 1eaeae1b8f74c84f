/* weights.h - tensors of a model file on the device, as the file has them: no format is changed.
 *
 *   imported   where host and device share memory and the driver takes the file's pages: nothing is copied
 *   copied     through a staging buffer, a section of the plan at a time, which gets all its tensors or none
 *
 *   window     whole rows of a tensor, few enough to be bound at once; a large tensor is several windows
 */
#ifndef VB_GPU_WEIGHTS_H
#define VB_GPU_WEIGHTS_H
#include "gpu/steps.h"

typedef struct vb_gpu_weights vb_gpu_weights;

/* How far it is, in bytes of tensors; the function gives 0 to end it. */
typedef struct {
    int (*fn)(void *ud, uint64_t done, uint64_t all); /* NULL: nobody asks */
    void *ud;
    uint64_t done, all;
} vb_gpu_progress;

vb_status vb_gpu_weights_open(vb_gpu_weights **out, vb_gpu *g, vb_err *err);
void vb_gpu_weights_close(vb_gpu_weights *w); /* NULL is fine */
/* Bytes of device memory that the tensor takes; none if it would be imported. */
uint64_t vb_gpu_weights_need(const vb_gpu_weights *w, const vb_tensor *t);
/* 1: the tensor can be bound, window by window. */
int vb_gpu_weights_fit(const vb_gpu_weights *w, const vb_tensor *t);
/* All tensors of these steps that are not there yet. VB_E_MEMORY: no room, and none of them has stayed.
 * VB_E_STOPPED: progress said so. */
vb_status vb_gpu_weights_load(vb_gpu_weights *w, const vb_step *steps, int n, vb_gpu_progress *progress, vb_err *err);
/* No more will be loaded soon: what copying needed is given back. */
void vb_gpu_weights_loaded(vb_gpu_weights *w);
const vb_gpu_weight *vb_gpu_weights_find(const vb_gpu_weights *w, const vb_tensor *t); /* NULL: it is not there */
int vb_gpu_weights_same(const vb_tensor *a, const vb_tensor *b); /* 1: the same rows of the same bytes */

#endif
