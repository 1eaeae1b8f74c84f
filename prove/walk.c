/* walk.c - every device, instruction set, thread count, history, batch, floating point and speculation, in one order.
 *
 *   for each device and instruction set of this machine
 *     for each thread count, then for each seed of VB_HARD          a model is opened, under a caller's rounding
 *       for each chunk size and history                             neighbours and rounding are dealt out over these
 *       for each speculation
 */
#include "prove/walk.h"

#include <stdlib.h>
#include <string.h>

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

/* The model too is opened under the caller's floating point. *absent: this machine has no such instruction set. */
static vb_status ask_model(vb_walk *w, const vb_question *q, const vb_condition *c, int *absent, vb_err *err)
{
    vb_model *m;
    vb_model_opts o = {.player = c->device, .arith = q->arith, .isa = c->isa, .threads = c->threads};
    vb_fp_set((vb_fp_mode)(w->deal % VB_FP_MODES));
    vb_status status = vb_model_open(&m, q->path, &o, err);
    vb_fp_set(VB_FP_USUAL);
    *absent = status == VB_E_UNSUPPORTED;
    if (status < 0) return *absent ? VB_OK : status;
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

vb_status vb_walk_conditions(vb_walk *w, vb_question *q, vb_err *err)
{
    vb_status status = VB_OK;
    for (int d = 0; d < VB_COUNT(vb_devices); d++)
        for (int i = 0; i < (d == 0 ? VB_COUNT(vb_isas) : 1) && status == VB_OK; i++)
            status = ask_isa(w, q, (vb_condition){.device = vb_devices[d], .isa = d == 0 ? vb_isas[i] : NULL}, err);
    return status;
}
