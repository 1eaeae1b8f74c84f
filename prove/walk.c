/* walk.c - every device, instruction set, thread count, history, batch, floating point and speculation, in one order.
 *
 *   for each device and instruction set of this machine
 *     for each thread count, then for each seed of VB_HARD          a model is opened, under a caller's rounding
 *       for each chunk size and history                             neighbours and rounding are dealt out over these
 *       for each speculation
 *
 *   or, beside a GPU, for each split of the layers                  a model is opened, with or without chance
 *     the same
 */
#include "prove/walk.h"

#include <stdlib.h>
#include <string.h>

enum { LAYERS = 512, GPU_THREADS = 2 };

/* By chance, as each N-th would meet the same values of a dimension again and again. */
static int left_out(vb_walk *w)
{
    return w->every > 1 && (++w->asked * 2654435761u >> 16) % (unsigned)w->every != 0;
}

static vb_status ask_and_tell(vb_walk *w, const vb_question *q, vb_model *m, const vb_condition *c, vb_err *err)
{
    char difference[VB_DIFFERENCE];
    vb_status status = vb_ask(q, m, c, difference, err);
    if (status < 0) return status;
    return w->told(w->ud, q, c, difference) == 0 ? VB_OK : VB_E_STOPPED;
}

/* Two of the dimensions are dealt: each value meets each of the others as the walk goes on. */
static vb_status ask_chunks(vb_walk *w, const vb_question *q, vb_model *m, vb_condition c, vb_err *err)
{
    vb_status status = VB_OK;
    for (int i = 0; i < VB_COUNT(vb_chunks); i++)
        for (c.how = 0; c.how < VB_HISTORIES && status == VB_OK; c.how++, w->deal++) {
            c.chunk = vb_chunks[i];
            if (w->quick && c.chunk != 0 && c.chunk != 5) continue;
            if (left_out(w)) continue;
            unsigned x = w->deal * 2654435761u >> 16;
            c.together = vb_together[x % VB_COUNT(vb_together)];
            c.fp = (vb_fp_mode)(x / VB_COUNT(vb_together) % VB_FP_MODES);
            status = ask_and_tell(w, q, m, &c, err);
        }
    return status;
}

static vb_status ask_generations(vb_walk *w, const vb_question *q, vb_model *m, vb_condition c, vb_err *err)
{
    vb_status status = VB_OK;
    c.generates = 1;
    for (int i = 0; i < VB_COUNT(vb_speculations) && status == VB_OK; i++) {
        c.speculation = i;
        if (!left_out(w)) status = ask_and_tell(w, q, m, &c, err);
    }
    return status;
}

static vb_status stays_here(vb_walk *w, const vb_question *q, const vb_condition *c)
{
    return w->told(w->ud, q, c, "expected layers on the GPU, found none") == 0 ? VB_OK : VB_E_STOPPED;
}

/* The model too is opened under the caller's floating point. *absent: this machine has no such instruction set. */
static vb_status ask_model(vb_walk *w, const vb_question *q, const vb_condition *c, int *absent, vb_err *err)
{
    vb_model *m;
    vb_model_opts o = {.player = c->device, .arith = q->arith, .isa = c->isa, .threads = c->threads,
                       .gpu_layers = c->layers, .gpu_device = w->gpu};
    vb_fp_set((vb_fp_mode)(w->deal % VB_FP_MODES));
    vb_status status = vb_model_open(&m, q->path, &o, err);
    vb_fp_set(VB_FP_USUAL);
    *absent = status == VB_E_UNSUPPORTED;
    if (status < 0) return *absent ? VB_OK : status;
    vb_model_info info;
    vb_model_describe(m, &info);
    if (c->layers != NULL && w->gpu_must && info.device_layers == 0) status = stays_here(w, q, c);
    if (status < 0) return status;
    status = ask_chunks(w, q, m, *c, err);
    if (status == VB_OK && !q->encoder) status = ask_generations(w, q, m, *c, err);
    vb_model_close(m);
    return status;
}

/* Chance decides about order, sizes and batches. */
static vb_status ask_hard(vb_walk *w, const vb_question *q, vb_condition c, vb_err *err)
{
    vb_status status = VB_OK;
    int absent = 0;
    c.threads = VB_HARD_THREADS;
    for (int h = 0; h < VB_COUNT(vb_hard_seeds) && status == VB_OK && !absent; h++) {
        c.hard = vb_hard_seeds[h];
        setenv("VB_HARD", c.hard, 1);
        status = ask_model(w, q, &c, &absent, err);
    }
    unsetenv("VB_HARD");
    return status;
}

static vb_status ask_isa(vb_walk *w, const vb_question *q, vb_condition c, vb_err *err)
{
    vb_status status = VB_OK;
    int absent = 0;
    for (int t = 0; t < VB_COUNT(vb_thread_counts) && status == VB_OK && !absent; t++) {
        c.threads = vb_thread_counts[t];
        if (!w->quick || t % 2 == 0) status = ask_model(w, q, &c, &absent, err);
    }
    return status == VB_OK && !absent ? ask_hard(w, q, c, err) : status;
}

/* --- beside a GPU ------------------------------------------------------------------------------------------------ */

/* The i-th split of n layers; 0: there is none. Layers that others interrupt cost most hand-overs. */
static int split(char *out, int i, int n)
{
    size_t at = 0;
    if (i == 0) snprintf(out, LAYERS, "all");
    if (i == 1) snprintf(out, LAYERS, "1");
    if (i == 2) snprintf(out, LAYERS, "%d", (n + 1) / 2);
    for (int layer = 0; i == 3 && layer < n && at < LAYERS - 16; layer += 2)
        at += (size_t)snprintf(out + at, LAYERS - at, "%s%d", layer > 0 ? "," : "0-", layer);
    if (i == 4) snprintf(out, LAYERS, "0-%d", (n - 1) / 2);
    return i < 5;
}

/* Half of them with chance, where sections are cut anywhere and performed here or there. */
static vb_status ask_split(vb_walk *w, const vb_question *q, vb_condition c, int i, vb_err *err)
{
    int absent = 0, every = w->every;
    w->every = (every + 3) / 4; /* opening it costs more than asking */
    c.hard = i % 2 == 1 ? vb_hard_seeds[i / 2 % VB_COUNT(vb_hard_seeds)] : NULL;
    if (c.hard != NULL) setenv("VB_HARD", c.hard, 1);
    vb_status status = ask_model(w, q, &c, &absent, err);
    unsetenv("VB_HARD");
    w->every = every;
    return status;
}

static vb_status ask_splits(vb_walk *w, const vb_question *q, vb_err *err)
{
    char layers[LAYERS];
    vb_status status = VB_OK;
    for (int i = 0; status == VB_OK && split(layers, i, q->layers); i++) {
        vb_condition c = {.device = "cpu", .layers = layers, .threads = GPU_THREADS};
        if (w->splits > 1 && w->split++ % (unsigned)w->splits != 0) continue;
        status = ask_split(w, q, c, (int)(w->deal + (unsigned)i), err);
    }
    w->deal++;
    return status;
}

vb_status vb_walk_conditions(vb_walk *w, vb_question *q, vb_err *err)
{
    vb_status status = w->gpu != NULL ? ask_splits(w, q, err) : VB_OK;
    if (w->gpu != NULL && !w->gpu_also) return status;
    for (int d = 0; d < VB_COUNT(vb_devices); d++)
        for (int i = 0; i < (d == 0 ? VB_COUNT(vb_isas) : 1) && status == VB_OK; i++)
            status = ask_isa(w, q, (vb_condition){.device = vb_devices[d], .isa = d == 0 ? vb_isas[i] : NULL}, err);
    return status;
}
