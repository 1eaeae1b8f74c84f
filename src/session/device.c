/* device.c - a device for some layers of a model, or for all of its steps (gpu/gpu.h).
 *
 *   player cpu, gpu_layers   what the device does not take, or all if there is none, the CPU computes; that is said
 *   player vulkan            the device takes every step it was asked for, or the model is not opened
 */
#include "session/model.h"

#include "base/log.h"
#include "gpu/gpu.h"

#include <string.h>

static vb_status check(const vb_model_opts *opts, int must, vb_err *err)
{
    const char *player = opts->player;
    int cpu = player == NULL || strcmp(player, "cpu") == 0;
    if (!(opts->gpu_verify >= 0.0f && opts->gpu_verify <= 1.0f))
        VB_FAIL(err, VB_E_ARGUMENT, "gpu verification: expected a share from 0 to 1, found %g", (double)opts->gpu_verify);
    if (opts->gpu_layers != NULL && !cpu && !must)
        VB_FAIL(err, VB_E_UNSUPPORTED, "gpu layers: expected player cpu or vulkan, found %s", player);
    return VB_OK;
}

/* How many sessions will hold how much is not known; room grows when they need more. */
static int usual_context(const vb_model *m)
{
    enum { USUAL = 4096 };
    return m->params.context > 0 && m->params.context < USUAL ? m->params.context : USUAL;
}

vb_status vb_open_device(vb_device *out, const vb_model *m, const vb_model_opts *opts, vb_err *err)
{
    vb_err why = {0};
    int must = vb_is_vulkan(opts->player);
    *out = (vb_device){0};
    VB_TRY(check(opts, must, err));
    if (!must && (opts->gpu_layers == NULL || strcmp(opts->gpu_layers, "0") == 0)) return VB_OK;
    vb_gpu_opts o = {.device = opts->gpu_device, .layers = opts->gpu_layers, .budget_bytes = opts->gpu_budget_bytes,
                     .must = must, .arith = opts->arith, .context = usual_context(m), .progress = opts->gpu_progress,
                     .ud = opts->gpu_progress_ud};
    vb_status s = vb_gpu_open(out, &m->plan, &o, &why);
    if (s < 0 && !must && (s == VB_E_UNSUPPORTED || s == VB_E_MEMORY)) {
        vb_log(VB_LOG_WARNING, "%s; the CPU computes all layers", why.text);
        return VB_OK;
    }
    if (s < 0 && err != NULL) *err = why;
    return s;
}

int vb_is_vulkan(const char *player)
{
    return player != NULL && strcmp(player, "vulkan") == 0;
}

void vb_describe_device(const vb_model *m, vb_model_info *out)
{
    const vb_device *d = &m->device;
    if (d->ops == NULL) return;
    out->device = d->ops->name(d->self);
    out->device_about = d->ops->about(d->self);
    out->device_bytes = d->ops->bytes(d->self);
    for (int i = 0, end; i < m->plan.n_steps; i = end) {
        int all = 1, layer = m->plan.steps[i].layer;
        for (end = i; end < m->plan.n_steps && m->plan.steps[end].layer == layer; end++) all &= d->ops->takes(d->self, end);
        out->device_layers += all && layer >= 0;
    }
}
