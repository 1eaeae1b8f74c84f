/* none.c - the room's door in a build without Vulkan: there is no device. */
#include "gpu/core.h"
#include "gpu/gpu.h"

#include <string.h>

static vb_status none(vb_err *err)
{
    VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: this build has no Vulkan (its headers were missing, or VULKAN=0)");
}

int vb_gpu_list(vb_gpu_facts *facts, int cap, vb_err *err)
{
    (void)facts;
    (void)cap;
    return (int)none(err);
}

vb_status vb_gpu_open(vb_device *out, const vb_plan *plan, const vb_gpu_opts *opts, vb_err *err)
{
    (void)plan;
    (void)opts;
    memset(out, 0, sizeof *out);
    return none(err);
}

VB_API vb_status vb_device_list(int (*fn)(void *ud, const vb_device_entry *entry), void *ud, vb_err *err)
{
    (void)fn;
    (void)ud;
    return none(err);
}
