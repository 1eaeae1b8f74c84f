/* taps.c - a named value is shown to those who watch it, who may change it.
 *
 * Whatever they leave there, what follows computes with it. So what steps rely on is checked again: that all is finite
 * (A3), and that chosen experts are there, each once.
 */
#include "plan/player.h"

#include <math.h>

static int is_choice(const vb_step *s, const float *x)
{
    for (int i = 0; i < s->u.route.used; i++) {
        float least = i == 0 ? 0.0f : x[i - 1] + 1.0f;
        if (x[i] != rintf(x[i]) || x[i] < least || x[i] >= (float)s->u.route.experts) return 0;
    }
    return 1;
}

vb_status vb_taps_show(const vb_taps *taps, const vb_plan *plan, const vb_step *s, int position, float *x, vb_err *err)
{
    const vb_value *v = &plan->values[s->out];
    if (taps == NULL || taps->n == 0 || v->tap == NULL) return VB_OK;
    vb_tap tap = {v->tap, s->layer, position, v->width, x};
    for (int i = 0; i < taps->n; i++) {
        vb_tap shown = tap; /* only the numbers are the watcher's */
        taps->of[i].fn(taps->of[i].ud, &shown);
    }
    for (int i = 0; i < v->width; i++)
        if (!isfinite(x[i]))
            VB_FAIL(err, VB_E_ARGUMENT, "tap %s (layer %d) at position %d: element %d: expected a finite number, found %g",
                    v->tap, s->layer, position, i, (double)x[i]);
    if (s->op == VB_OP_ROUTE && !is_choice(s, x))
        VB_FAIL(err, VB_E_ARGUMENT, "tap %s (layer %d) at position %d: expected increasing numbers of experts below %d",
                v->tap, s->layer, position, s->u.route.experts);
    return VB_OK;
}

vb_status vb_taps_between(const vb_taps *taps, vb_err *err)
{
    if (taps == NULL || taps->between == NULL || taps->between(taps->between_ud) == 0) return VB_OK;
    VB_FAIL(err, VB_E_STOPPED, "evaluation: stopped");
}
