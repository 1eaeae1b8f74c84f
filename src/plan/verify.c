/* verify.c - a finished plan is sound: what every player may rely on without checking again.
 *
 * Each input was defined by an earlier step; widths fit the step; only the last part works on wanted tokens; every
 * value is used; no slot has two writers; the output has the vocabulary's width. A violation is a family's mistake
 * or a file whose hyper-parameters do not belong together, so it is an error, not an assertion.
 */
#include "plan/plan.h"

static vb_status wrong(const vb_plan *p, int step, vb_err *err, const char *what, long expected, long found)
{
    const vb_step *s = &p->steps[step];
    VB_FAIL(err, VB_E_FORMAT, "plan: step %d (%s, layer %d): %s: expected %ld, found %ld", step, vb_op_name(s->op),
            s->layer, what, expected, found);
}

static vb_status inputs_defined(const vb_plan *p, int step, vb_err *err)
{
    const vb_step *s = &p->steps[step];
    for (int i = 0; i < 3; i++) {
        int used = i < vb_op_inputs(s->op);
        if (used != (s->in[i] >= 0)) return wrong(p, step, err, "input count", vb_op_inputs(s->op), i);
        if (used && s->in[i] >= s->out) return wrong(p, step, err, "input defined before", s->out - 1, s->in[i]);
        if (used && s->op != VB_OP_WANTED && p->values[s->in[i]].wanted != p->values[s->out].wanted)
            return wrong(p, step, err, "wanted tokens only", p->values[s->out].wanted, p->values[s->in[i]].wanted);
    }
    return VB_OK;
}

static vb_status attend_fits(const vb_plan *p, int step, vb_err *err)
{
    const vb_step *s = &p->steps[step];
    long q = (long)s->u.attend.heads * s->u.attend.dim_k, k = (long)s->u.attend.kv_heads * s->u.attend.dim_k;
    long v = (long)s->u.attend.kv_heads * s->u.attend.dim_v;
    if (p->values[s->in[0]].width != q) return wrong(p, step, err, "width of q", q, p->values[s->in[0]].width);
    if (p->values[s->in[1]].width != k) return wrong(p, step, err, "width of k", k, p->values[s->in[1]].width);
    if (p->values[s->in[2]].width != v) return wrong(p, step, err, "width of v", v, p->values[s->in[2]].width);
    if (s->u.attend.heads % s->u.attend.kv_heads != 0)
        return wrong(p, step, err, "heads modulo KV heads", 0, s->u.attend.heads % s->u.attend.kv_heads);
    if (s->u.attend.whole && s->u.attend.window != 0)
        return wrong(p, step, err, "window of whole texts", 0, s->u.attend.window);
    if (s->weight != NULL && s->weight->cols != s->u.attend.heads)
        return wrong(p, step, err, "sinks", s->u.attend.heads, (long)s->weight->cols);
    for (int i = 0; i < step; i++)
        if (p->steps[i].op == VB_OP_ATTEND && p->steps[i].u.attend.slot == s->u.attend.slot)
            return wrong(p, step, err, "writer of the slot", i, step);
    return VB_OK;
}

/* The slot has the shape that this step expects, and is written before. */
static vb_status kept_fits(const vb_plan *p, int step, vb_err *err)
{
    const vb_step *s = &p->steps[step];
    const vb_slot *slot = &p->slots[s->u.attend.slot];
    long q = (long)s->u.attend.heads * s->u.attend.dim_k;
    if (p->values[s->in[0]].width != q) return wrong(p, step, err, "width of q", q, p->values[s->in[0]].width);
    if (s->u.attend.kv_heads != slot->kv_heads)
        return wrong(p, step, err, "KV heads", slot->kv_heads, s->u.attend.kv_heads);
    if (s->u.attend.dim_k != slot->dim_k) return wrong(p, step, err, "size of a key", slot->dim_k, s->u.attend.dim_k);
    if (s->u.attend.dim_v != slot->dim_v) return wrong(p, step, err, "size of a value", slot->dim_v, s->u.attend.dim_v);
    if (s->u.attend.heads % s->u.attend.kv_heads != 0)
        return wrong(p, step, err, "heads modulo KV heads", 0, s->u.attend.heads % s->u.attend.kv_heads);
    for (int i = 0; i < step; i++)
        if (p->steps[i].op == VB_OP_ATTEND && p->steps[i].u.attend.slot == s->u.attend.slot) return VB_OK;
    return wrong(p, step, err, "writers of the slot", 1, 0);
}

static vb_status route_fits(const vb_plan *p, int step, vb_err *err)
{
    const vb_step *s = &p->steps[step];
    int used = s->u.route.used;
    if (p->values[s->in[0]].width != s->u.route.experts)
        return wrong(p, step, err, "logits", s->u.route.experts, p->values[s->in[0]].width);
    if (used < 1 || used > s->u.route.experts)
        return wrong(p, step, err, "chosen experts at most", s->u.route.experts, used);
    if (p->values[s->out].width != 2 * used)
        return wrong(p, step, err, "numbers and weights", 2 * used, p->values[s->out].width);
    return VB_OK;
}

/* The experts' numbers come from a route over as many experts. */
static vb_status experts_fit(const vb_plan *p, int step, vb_err *err)
{
    const vb_step *s = &p->steps[step];
    const vb_value *x = &p->values[s->in[0]], *out = &p->values[s->out];
    const vb_step *route = &p->steps[p->values[s->in[1]].step];
    int used = route->op == VB_OP_ROUTE ? route->u.route.used : 0, parts = s->op == VB_OP_MIX ? used : 1;
    if (used < 1) return wrong(p, step, err, "chosen experts at least", 1, used);
    if (s->op == VB_OP_LINEAR_EXPERTS) {
        if (s->u.experts.experts != route->u.route.experts || s->u.experts.used != used)
            return wrong(p, step, err, "experts", route->u.route.experts, s->u.experts.experts);
        if (s->weight->rows != (int64_t)s->u.experts.experts * s->u.experts.total)
            return wrong(p, step, err, "weight rows of an expert", s->u.experts.total, (long)s->weight->rows);
        if (s->u.experts.from < 0 || s->u.experts.rows > s->u.experts.total - s->u.experts.from)
            return wrong(p, step, err, "rows at most", s->u.experts.total - s->u.experts.from, s->u.experts.rows);
        if (out->width != (int64_t)s->u.experts.rows * used)
            return wrong(p, step, err, "rows of all", (long)s->u.experts.rows * used, out->width);
        parts = x->parts;
        if (parts != 1 && parts != used) return wrong(p, step, err, "rows of the input", used, parts);
    }
    int64_t expected = s->op == VB_OP_MIX ? (int64_t)out->width * used : s->weight->cols * parts;
    if (x->width != expected) return wrong(p, step, err, "width", (long)expected, x->width);
    return VB_OK;
}

/* What remembers must see every token, in the order of their positions, and remembers for itself. */
static vb_status remembers(const vb_plan *p, int step, int memory, vb_err *err)
{
    const vb_step *s = &p->steps[step];
    if (p->values[s->out].wanted) return wrong(p, step, err, "wanted tokens only", 0, 1);
    for (int i = 0; i < step; i++) {
        const vb_step *t = &p->steps[i];
        int other = t->op == VB_OP_CONV ? t->u.conv.memory : t->op == VB_OP_DELTA ? t->u.delta.memory : -1;
        if (other == memory) return wrong(p, step, err, "writer of the memory", i, step);
    }
    return VB_OK;
}

static vb_status conv_fits(const vb_plan *p, int step, vb_err *err)
{
    const vb_step *s = &p->steps[step];
    long width = p->values[s->in[0]].width, taps = s->u.conv.taps;
    if (taps < 2 || taps > VB_MOST_TAPS) return wrong(p, step, err, "taps at most", VB_MOST_TAPS, taps);
    if (s->weight->cols != taps) return wrong(p, step, err, "columns of the weight", taps, (long)s->weight->cols);
    if (s->weight->rows != width) return wrong(p, step, err, "weight rows", width, (long)s->weight->rows);
    return remembers(p, step, s->u.conv.memory, err);
}

static vb_status delta_fits(const vb_plan *p, int step, vb_err *err)
{
    const vb_step *s = &p->steps[step];
    long keys = s->u.delta.key_heads, values = s->u.delta.value_heads, dim = s->u.delta.dim;
    if (p->values[s->in[0]].width != 2 * keys * dim)
        return wrong(p, step, err, "width of queries and keys", 2 * keys * dim, p->values[s->in[0]].width);
    if (p->values[s->in[1]].width != values * dim)
        return wrong(p, step, err, "width of values", values * dim, p->values[s->in[1]].width);
    if (p->values[s->in[2]].width != 2 * values)
        return wrong(p, step, err, "width of decays", 2 * values, p->values[s->in[2]].width);
    if (values % keys != 0) return wrong(p, step, err, "value heads modulo key heads", 0, values % keys);
    return remembers(p, step, s->u.delta.memory, err);
}

static vb_status slice_fits(const vb_plan *p, int step, vb_err *err)
{
    const vb_step *s = &p->steps[step];
    int group = s->u.slice.group, width = p->values[s->in[0]].width;
    if (group < 1 || width % group != 0) return wrong(p, step, err, "width modulo group", 0, width);
    if (s->u.slice.from < 0 || s->u.slice.len < 1 || s->u.slice.len > group - s->u.slice.from)
        return wrong(p, step, err, "elements at most", group - s->u.slice.from, s->u.slice.len);
    return VB_OK;
}

static vb_status widths_fit(const vb_plan *p, int step, vb_err *err)
{
    const vb_step *s = &p->steps[step];
    int out = p->values[s->out].width;
    int x = s->in[0] >= 0 ? p->values[s->in[0]].width : 0;
    int y = s->in[1] >= 0 ? p->values[s->in[1]].width : 0;
    switch (s->op) {
    case VB_OP_ADD:
    case VB_OP_GLU:
        if (x != y) return wrong(p, step, err, "equal widths", x, y);
        return VB_OK;
    case VB_OP_NORM_RMS:
        if (x % s->u.norm.group != 0) return wrong(p, step, err, "width modulo group", 0, x % s->u.norm.group);
        return VB_OK;
    case VB_OP_NORM_LAYER:
        if (x != s->u.norm.group) return wrong(p, step, err, "width of the group", x, s->u.norm.group);
        return VB_OK;
    case VB_OP_SLICE:
        return slice_fits(p, step, err);
    case VB_OP_CONV:
        return conv_fits(p, step, err);
    case VB_OP_DECAY:
        if (x != y) return wrong(p, step, err, "equal widths", x, y);
        return VB_OK;
    case VB_OP_DELTA:
        return delta_fits(p, step, err);
    case VB_OP_ROPE:
        if (x % s->u.rope.head_dim != 0) return wrong(p, step, err, "width modulo head", 0, x % s->u.rope.head_dim);
        if (p->ropes[s->u.rope.rope].n_rot > s->u.rope.head_dim)
            return wrong(p, step, err, "rotated dimensions at most", s->u.rope.head_dim,
                         p->ropes[s->u.rope.rope].n_rot);
        return VB_OK;
    case VB_OP_LINEAR:
        if (s->weight->cols != x || s->weight->rows != out)
            return wrong(p, step, err, "weight rows", out, (long)s->weight->rows);
        return VB_OK;
    case VB_OP_ATTEND:
        return attend_fits(p, step, err);
    case VB_OP_ATTEND_KEPT:
        return kept_fits(p, step, err);
    case VB_OP_GATE:
        if (x != 1) return wrong(p, step, err, "values of a gate", 1, x);
        return VB_OK;
    case VB_OP_ROUTE:
        return route_fits(p, step, err);
    case VB_OP_LINEAR_EXPERTS:
    case VB_OP_MIX:
        return experts_fit(p, step, err);
    default:
        return VB_OK;
    }
}

vb_status vb_plan_verify(const vb_plan *p, vb_err *err)
{
    if (p->n_steps == 0 || p->output < 0) VB_FAIL(err, VB_E_FORMAT, "plan: expected an output, found none");
    for (int i = 0; i < p->n_steps; i++) {
        VB_TRY(inputs_defined(p, i, err));
        VB_TRY(widths_fit(p, i, err));
    }
    for (int v = 0; v < p->n_values; v++)
        if (p->values[v].last_use <= p->values[v].step)
            return wrong(p, p->values[v].step, err, "uses of its value at least", 1, 0);
    const vb_value *out = &p->values[p->output];
    if (out->width != p->out_width) return wrong(p, out->step, err, "width of the output", p->out_width, out->width);
    if (!out->wanted) return wrong(p, out->step, err, "output of wanted tokens only", 1, 0);
    return VB_OK;
}

static void last_uses(vb_plan *p)
{
    for (int i = 0; i < p->n_steps; i++)
        for (int k = 0; k < 3; k++)
            if (p->steps[i].in[k] >= 0) p->values[p->steps[i].in[k]].last_use = i;
    if (p->output >= 0) p->values[p->output].last_use = p->n_steps;
}

vb_status vb_plan_finish(vb_plan *p, vb_err *err)
{
    if (p->err.code != VB_OK) {
        if (err != NULL) *err = p->err;
        return p->err.code;
    }
    last_uses(p);
    VB_TRY(vb_plan_verify(p, err));
    return vb_plan_digest(p, err);
}
