/* gpu.h - the room's door: devices that speak Vulkan, listed, proven, and opened for some layers of a plan.
 *
 * A build without Vulkan (none.c) has the same functions: there is no device then, and that is said.
 */
#ifndef VB_GPU_GPU_H
#define VB_GPU_GPU_H
#include "plan/device.h"

typedef struct {
    const char *device; /* a part of its name, or its number in the list; NULL: the best that is no CPU */
    const char *layers; /* "auto", "all", how many ("20": the last ones and the output), or which ("0-5,9,output") */
    uint64_t budget_bytes; /* most memory to use; 0: what the device has left */
    int must;              /* 1: every step has to be taken, or opening fails, and a CPU that speaks Vulkan will do */
    vb_arith arith;
    int context; /* tokens that a session is expected to hold: keys and values get room; 0: 4,096 */
    int (*progress)(void *ud, uint64_t done, uint64_t all); /* bytes of weights copied; NULL: nobody asks; 0 ends it */
    void *ud;
} vb_gpu_opts;

/* VB_E_ARGUMENT: no such layers. VB_E_UNSUPPORTED: no loader, no driver, no such device, none that is qualified, or (must)
 * steps that it does not take; the text says which. VB_E_MEMORY: not even one layer fits. */
vb_status vb_gpu_open(vb_device *out, const vb_plan *plan, const vb_gpu_opts *opts, vb_err *err);

#endif
