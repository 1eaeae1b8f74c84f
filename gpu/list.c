/* list.c - the devices of this machine for those who look at them: what each is, and whether it computes our bits. */
#include "gpu/gpu.h"
#include "gpu/qualify.h"

#include <stdlib.h>

/* Opens the device, tries it, and closes it again; anything but VB_OK is why it cannot be used. */
static vb_status prove(int index, vb_err *why)
{
    vb_gpu *g = NULL;
    VB_TRY(vb_gpu_start(&g, index, why));
    vb_status s = vb_gpu_qualify(g, why);
    vb_gpu_stop(g);
    return s;
}

static vb_device_entry entry_of(const vb_gpu_facts *f, int index, vb_err *why)
{
    vb_device_entry e = {.index = index, .name = f->name, .type = f->type, .driver = f->driver};
    e.memory_bytes = f->heap_bytes;
    e.free_bytes = f->free_bytes;
    e.float_modes = (f->modes & VB_GPU_RTE ? VB_FLOATS_TO_NEAREST : 0) |
                    (f->modes & VB_GPU_SIGNED_ZERO ? VB_FLOATS_SIGNED_ZERO : 0) |
                    (f->modes & VB_GPU_SUBNORMALS ? VB_FLOATS_SUBNORMALS : 0);
    why->text[0] = 0;
    e.qualified = prove(index, why) == VB_OK;
    e.why = e.qualified ? "" : why->text;
    return e;
}

VB_API vb_status vb_device_list(int (*fn)(void *ud, const vb_device_entry *entry), void *ud, vb_err *err)
{
    vb_gpu_facts *facts = NULL;
    vb_err why;
    int n = vb_gpu_list(NULL, 0, err);
    if (n <= 0) return n < 0 ? (vb_status)n : VB_OK;
    facts = calloc((size_t)n, sizeof *facts);
    if (facts == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory");
    int found = vb_gpu_list(facts, n, err), stopped = 0;
    for (int i = 0; i < found && i < n && !stopped; i++) {
        vb_device_entry e = entry_of(&facts[i], i, &why);
        stopped = fn(ud, &e) != 0;
    }
    free(facts);
    if (found < 0) return (vb_status)found;
    if (stopped) VB_FAIL(err, VB_E_STOPPED, "devices: stopped by the caller");
    return VB_OK;
}
