/* print.c - the plan for people (`verbatim explain`) and for programs (a JSON array).
 *
 *   step  layer  out        = operation                          weight                  bytes  tap
 *   12    0      v13[576]   = linear(v12)                        blk.0.attn_q.weight Q4_1 576x576 ...
 *
 * One step a line, nothing hidden: inputs, constants, weights with format and shape, bytes read, tap name.
 */
#include "plan/plan.h"

#include <string.h>

static void constants(const vb_plan *p, const vb_step *s, char *buf, size_t cap)
{
    static const char *const acts[] = {"silu", "gelu_tanh", "clamped", "sigmoid"};
    static const char *const routings[] = {"shares", "normalised", "chosen"};
    static const char *const curves[] = {"silu", "gelu_tanh", "gelu_erf"};
    const vb_rope *r;
    buf[0] = 0;
    switch (s->op) {
    case VB_OP_EMBED:
        if (s->u.embed.by != VB_BY_TOKEN)
            snprintf(buf, cap, "by=%s", s->u.embed.by == VB_BY_POSITION ? "position" : "first");
        break;
    case VB_OP_SCALE:
        snprintf(buf, cap, "by=%.9g", (double)s->u.scale.by);
        break;
    case VB_OP_NORM_RMS:
    case VB_OP_NORM_LAYER:
        snprintf(buf, cap, "group=%d eps=%.9g", s->u.norm.group, (double)s->u.norm.eps);
        break;
    case VB_OP_ROPE:
        r = &p->ropes[s->u.rope.rope];
        snprintf(buf, cap, "rope=%d head=%d n_rot=%d %s base=%.9g", s->u.rope.rope, s->u.rope.head_dim, r->n_rot,
                 r->pairing == VB_PAIR_NORM ? "norm" : "neox", r->base);
        break;
    case VB_OP_ATTEND:
    case VB_OP_ATTEND_KEPT:
        snprintf(buf, cap, "slot=%d heads=%d/%d dim=%d/%d window=%d scale=%.9g softcap=%.9g%s", s->u.attend.slot,
                 s->u.attend.heads,
                 s->u.attend.kv_heads, s->u.attend.dim_k, s->u.attend.dim_v, s->u.attend.window,
                 (double)s->u.attend.scale, (double)s->u.attend.softcap,
                 s->u.attend.whole ? " whole" : "");
        break;
    case VB_OP_SLICE:
        snprintf(buf, cap, "group=%d from=%d len=%d", s->u.slice.group, s->u.slice.from, s->u.slice.len);
        break;
    case VB_OP_CONV:
        snprintf(buf, cap, "memory=%d taps=%d", s->u.conv.memory, s->u.conv.taps);
        break;
    case VB_OP_DELTA:
        snprintf(buf, cap, "memory=%d heads=%d/%d dim=%d scale=%.9g", s->u.delta.memory, s->u.delta.value_heads,
                 s->u.delta.key_heads, s->u.delta.dim, (double)s->u.delta.scale);
        break;
    case VB_OP_GLU:
        snprintf(buf, cap, "%s", acts[s->u.glu.act]);
        break;
    case VB_OP_ACT:
        snprintf(buf, cap, "%s", curves[s->u.act.curve]);
        break;
    case VB_OP_SOFTCAP:
        snprintf(buf, cap, "cap=%.9g", (double)s->u.softcap.cap);
        break;
    case VB_OP_ROUTE:
        snprintf(buf, cap, "experts=%d/%d %s", s->u.route.used, s->u.route.experts, routings[s->u.route.how]);
        break;
    case VB_OP_LINEAR_EXPERTS:
        snprintf(buf, cap, "experts=%d/%d rows=%d..%d of %d", s->u.experts.used, s->u.experts.experts,
                 s->u.experts.from, s->u.experts.from + s->u.experts.rows, s->u.experts.total);
        break;
    default:
        break;
    }
}

static void inputs(const vb_step *s, char *buf, size_t cap)
{
    size_t used = 0;
    buf[0] = 0;
    for (int i = 0; i < 3 && s->in[i] >= 0 && used < cap; i++)
        used += (size_t)snprintf(buf + used, cap - used, "%sv%d", i > 0 ? ", " : "", s->in[i]);
}

static uint64_t bytes_of(const vb_tensor *t)
{
    return t == NULL ? 0 : (uint64_t)t->rows * t->row_bytes;
}

static void line(const vb_plan *p, int i, FILE *to, const char *kernel)
{
    const vb_step *s = &p->steps[i];
    const vb_value *v = &p->values[s->out];
    char in[48], call[200], fixed[128], out[40], layer[16];
    inputs(s, in, sizeof in);
    constants(p, s, fixed, sizeof fixed);
    snprintf(out, sizeof out, "v%d[%d]", s->out, v->width);
    snprintf(layer, sizeof layer, s->layer >= 0 ? "%d" : "-", s->layer);
    snprintf(call, sizeof call, "%s(%s%s%s)", vb_op_name(s->op), in, in[0] && fixed[0] ? "; " : "", fixed);
    fprintf(to, "%4d %3s  %-14s = %-72s", i, layer, out, call);
    if (s->weight != NULL)
        fprintf(to, " %s %s %lldx%lld %llu B", s->weight->name, vb_format_of(s->weight->format)->name,
                (long long)s->weight->cols, (long long)s->weight->rows, (unsigned long long)bytes_of(s->weight));
    if (s->bias != NULL) fprintf(to, " + %s", s->bias->name);
    if (v->tap != NULL) fprintf(to, "  tap %s", v->tap);
    if (kernel != NULL) fprintf(to, "  kernel %s", kernel);
    fputc('\n', to);
}

static void json_tensor(FILE *to, const char *key, const vb_tensor *t)
{
    if (t == NULL) return;
    fprintf(to, ",\"%s\":{\"name\":\"%s\",\"format\":\"%s\",\"shape\":[%lld,%lld],\"bytes\":%llu}", key, t->name,
            vb_format_of(t->format)->name, (long long)t->cols, (long long)t->rows, (unsigned long long)bytes_of(t));
}

static void json_step(const vb_plan *p, int i, FILE *to, const char *kernel)
{
    const vb_step *s = &p->steps[i];
    const vb_value *v = &p->values[s->out];
    char fixed[128];
    constants(p, s, fixed, sizeof fixed);
    fprintf(to, "{\"step\":%d,\"op\":\"%s\",\"layer\":%d,\"out\":%d,\"width\":%d,\"in\":[", i, vb_op_name(s->op),
            s->layer, s->out, v->width);
    for (int k = 0; k < 3 && s->in[k] >= 0; k++) fprintf(to, "%s%d", k > 0 ? "," : "", s->in[k]);
    fprintf(to, "]");
    if (fixed[0]) fprintf(to, ",\"constants\":\"%s\"", fixed);
    json_tensor(to, "weight", s->weight);
    json_tensor(to, "bias", s->bias);
    if (v->tap != NULL) fprintf(to, ",\"tap\":\"%s\"", v->tap);
    if (kernel != NULL) fprintf(to, ",\"kernel\":\"%s\"", kernel);
    fprintf(to, "}");
}

vb_status vb_plan_print(const vb_plan *p, FILE *to, int json, vb_kernel_name kernel, const void *player, vb_err *err)
{
    if (json) fputs("[", to);
    for (int i = 0; i < p->n_steps; i++) {
        const char *name = kernel != NULL ? kernel(player, &p->steps[i]) : NULL;
        if (json && i > 0) fputs(",\n", to);
        if (json)
            json_step(p, i, to, name);
        else
            line(p, i, to, name);
    }
    if (json) fputs("]\n", to);
    if (ferror(to)) VB_FAIL(err, VB_E_IO, "plan: cannot write it out");
    return VB_OK;
}
