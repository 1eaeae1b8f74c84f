/* qualify.h - a device is trusted when it has computed as this machine does, and not before. */
#ifndef VB_GPU_QUALIFY_H
#define VB_GPU_QUALIFY_H
#include "gpu/core.h"

/* What came of one operation; the operands are those of the first case that differs. */
typedef struct {
    const char *name;
    int tried, different; /* tried 0: not asked of this device, which does not offer it */
    uint32_t x, y, z, found, right;
} vb_gpu_probed;

/* Tries every operation on 64 Ki cases; VB_E_UNSUPPORTED names the first one that differs. each: told of every
 * operation, may be NULL. */
vb_status vb_gpu_qualify_each(vb_gpu *g, void (*each)(void *ud, const vb_gpu_probed *p), void *ud, vb_err *err);
vb_status vb_gpu_qualify(vb_gpu *g, vb_err *err);

#endif
