/* digest.c - the plan as a number: two runs are comparable only if the score is the same.
 *
 * SHA-256 over a fixed serialisation: "verbatim plan 1", then ropes, then steps in order, every integer as
 * little-endian u32, every f32 as its bits, every f64 as its bits in u64, every name as length and bytes. Weights
 * enter by name, format and shape, never by their data; taps do not enter.
 */
#include "plan/plan.h"

#include "base/hash.h"

#include <string.h>

static void add_int(vb_sha256 *h, int value)
{
    vb_sha256_add_u32(h, (uint32_t)value);
}

static void add_f32(vb_sha256 *h, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    vb_sha256_add_u32(h, bits);
}

static void add_f64(vb_sha256 *h, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    vb_sha256_add_u64(h, bits);
}

static void add_tensor(vb_sha256 *h, const vb_tensor *t)
{
    if (t == NULL) {
        vb_sha256_add_text(h, "", 0);
        return;
    }
    const char *format = vb_format_of(t->format)->name;
    vb_sha256_add_text(h, t->name, strlen(t->name));
    vb_sha256_add_text(h, format, strlen(format));
    vb_sha256_add_u64(h, (uint64_t)t->cols);
    vb_sha256_add_u64(h, (uint64_t)t->rows);
}

static void add_rope(vb_sha256 *h, const vb_rope *r)
{
    add_int(h, r->n_rot);
    add_int(h, (int)r->pairing);
    add_int(h, (int)r->scaling);
    add_f64(h, r->base);
    add_f64(h, r->factor);
    add_f64(h, r->context);
    add_f64(h, r->attn_factor);
    add_f64(h, r->beta_fast);
    add_f64(h, r->beta_slow);
    add_tensor(h, r->factors);
    add_tensor(h, r->long_factors);
}

static void add_constants(vb_sha256 *h, const vb_step *s)
{
    switch (s->op) {
    case VB_OP_EMBED:
        if (s->u.embed.by != VB_BY_TOKEN) add_int(h, (int)s->u.embed.by);
        break;
    case VB_OP_SCALE:
        add_f32(h, s->u.scale.by);
        break;
    case VB_OP_NORM_RMS:
    case VB_OP_NORM_LAYER:
        add_int(h, s->u.norm.group);
        add_f32(h, s->u.norm.eps);
        break;
    case VB_OP_ROPE:
        add_int(h, s->u.rope.rope);
        add_int(h, s->u.rope.head_dim);
        break;
    case VB_OP_ATTEND:
    case VB_OP_ATTEND_KEPT:
        add_int(h, s->u.attend.slot);
        add_int(h, s->u.attend.heads);
        add_int(h, s->u.attend.kv_heads);
        add_int(h, s->u.attend.dim_k);
        add_int(h, s->u.attend.dim_v);
        add_int(h, s->u.attend.window);
        add_f32(h, s->u.attend.scale);
        add_f32(h, s->u.attend.softcap);
        if (s->u.attend.whole) add_int(h, 1);
        break;
    case VB_OP_SLICE:
        add_int(h, s->u.slice.group);
        add_int(h, s->u.slice.from);
        add_int(h, s->u.slice.len);
        break;
    case VB_OP_CONV:
        add_int(h, s->u.conv.memory);
        add_int(h, s->u.conv.taps);
        break;
    case VB_OP_DELTA:
        add_int(h, s->u.delta.memory);
        add_int(h, s->u.delta.key_heads);
        add_int(h, s->u.delta.value_heads);
        add_int(h, s->u.delta.dim);
        add_f32(h, s->u.delta.scale);
        break;
    case VB_OP_GLU:
        add_int(h, (int)s->u.glu.act);
        break;
    case VB_OP_ACT:
        add_int(h, (int)s->u.act.curve);
        break;
    case VB_OP_SOFTCAP:
        add_f32(h, s->u.softcap.cap);
        break;
    case VB_OP_ROUTE:
        add_int(h, s->u.route.experts);
        add_int(h, s->u.route.used);
        add_int(h, (int)s->u.route.how);
        break;
    case VB_OP_LINEAR_EXPERTS:
        add_int(h, s->u.experts.experts);
        add_int(h, s->u.experts.used);
        add_int(h, s->u.experts.rows);
        add_int(h, s->u.experts.from);
        add_int(h, s->u.experts.total);
        break;
    default:
        break;
    }
}

static void add_step(vb_sha256 *h, const vb_plan *p, const vb_step *s)
{
    const char *name = vb_op_name(s->op);
    vb_sha256_add_text(h, name, strlen(name));
    add_int(h, s->layer);
    add_int(h, s->out);
    for (int i = 0; i < 3; i++) add_int(h, s->in[i]);
    add_int(h, p->values[s->out].width);
    add_tensor(h, s->weight);
    add_tensor(h, s->bias);
    add_constants(h, s);
}

vb_status vb_plan_digest(vb_plan *p, vb_err *err)
{
    static const char tag[] = "verbatim plan 1";
    vb_sha256 *h = vb_sha256_new();
    if (h == NULL) VB_FAIL(err, VB_E_MEMORY, "plan: out of memory for its digest");
    vb_sha256_add_text(h, tag, sizeof tag - 1);
    add_int(h, p->n_ropes);
    for (int i = 0; i < p->n_ropes; i++) add_rope(h, &p->ropes[i]);
    add_int(h, p->n_steps);
    for (int i = 0; i < p->n_steps; i++) add_step(h, p, &p->steps[i]);
    add_int(h, p->output);
    vb_sha256_end(h, p->digest);
    return VB_OK;
}
