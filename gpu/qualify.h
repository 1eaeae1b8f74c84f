/* qualify.h - a device is trusted when it has computed as this machine does, and not before. */
#ifndef VB_GPU_QUALIFY_H
#define VB_GPU_QUALIFY_H
#include "gpu/core.h"

/* Tries every operation on 64 Ki cases; VB_E_UNSUPPORTED names the first one that differs, with its operands. */
vb_status vb_gpu_qualify(vb_gpu *g, vb_err *err);

#endif
