/* step_attend.c - attention as dispatches: first all new keys and values, if the step has any, then the queries.
 *
 *   kv_write      k, v -> their pages, and the mirror that the host reads
 *   attend        a work group for each head of each row; where these are few, some that share the chunks
 *   attend_join   what they left in parts becomes one
 */
#include "gpu/steps.h"

#include "base/canon.h"
#include "gpu/table.h"

enum { THREADS = 64, MOST_DIM = 512, MOST_GROUPS = 65535 };
enum { FEW = 512, MANY = 2048, MOST_SHARES = 64, MOST_PARTS = 32 << 20 }; /* work groups, bytes */

static int has_dim(int dim, vb_kv kv)
{
    return dim >= 4 && dim <= MOST_DIM && dim % (kv == VB_KV_Q8_0 ? 32 : 2) == 0;
}

/* Keys and values as floats may be subnormal, or their products. */
int vb_gpu_has_attend(const vb_gpu *g, const vb_plan *plan, const vb_step *s, vb_kv kv)
{
    if (plan->whole || s->u.attend.whole || (kv == VB_KV_F32 && !vb_gpu_keeps_subnormals(g))) return 0;
    if (s->weight != NULL && s->weight->format != VB_FMT_F32) return 0;
    return s->u.attend.heads <= MOST_GROUPS && has_dim(s->u.attend.dim_k, kv) && has_dim(s->u.attend.dim_v, kv);
}

static vb_gpu_shader by_type(vb_kv kv, vb_gpu_shader f16)
{
    return f16 + (kv == VB_KV_F32 ? 1 : kv == VB_KV_Q8_0 ? 2 : 0);
}

/* Elements that a work item of kv_write stores: a word, or two blocks. */
static uint32_t items(vb_kv kv, int heads, int dim)
{
    int each = kv == VB_KV_F32 ? 1 : kv == VB_KV_Q8_0 ? 64 : 2;
    return (uint32_t)(heads * ((dim + each - 1) / each));
}

static vb_status record_write(vb_gpu_recording *r, const vb_step *s, uint32_t note, vb_err *err)
{
    const vb_gpu_slot *slot = r->slot(r->player, s->u.attend.slot);
    int heads = s->u.attend.kv_heads, dim_k = s->u.attend.dim_k, dim_v = s->u.attend.dim_v;
    vb_gpu_dispatch d = vb_gpu_dispatch_of(r, s, note, by_type(r->kv, VB_SHADER_KV_WRITE_F16));
    d.range[VB_GPU_A] = r->value(r->player, s->in[1]);
    d.range[VB_GPU_B] = r->value(r->player, s->in[2]);
    d.range[VB_GPU_OUT] = slot->mirror;
    d.range[VB_GPU_K] = slot->keys;
    d.range[VB_GPU_V] = slot->values;
    d.c[2] = (uint32_t)heads;
    d.c[3] = (uint32_t)dim_k;
    d.c[4] = slot->key_row / 4;
    d.c[5] = (uint32_t)dim_v;
    d.c[6] = slot->value_row / 4;
    d.x = (items(r->kv, heads, dim_k) + items(r->kv, heads, dim_v) + THREADS - 1) / THREADS;
    return vb_gpu_tape_dispatch(r->tape, &d, err);
}

/* --- queries -------------------------------------------------------------------------------------------------- */

/* Chunks that a row may see. */
static int chunks_of(const vb_step *s, int pages)
{
    int window = s->u.attend.window, most = (window + VB_GPU_PAGE - 2) / VB_GPU_PAGE + 1;
    return window > 0 && most < pages ? most : pages;
}

uint64_t vb_gpu_parts_bytes(const vb_step *s, int pages, int rows)
{
    uint64_t groups = (uint64_t)rows * (uint64_t)s->u.attend.heads, chunks = (uint64_t)chunks_of(s, pages);
    uint64_t bytes = groups * chunks * ((uint64_t)s->u.attend.dim_v + 2) * 4;
    return groups <= FEW && chunks > 1 && bytes <= MOST_PARTS ? bytes : 0;
}

static vb_gpu_dispatch reader(const vb_gpu_recording *r, const vb_step *s, uint32_t note)
{
    const vb_gpu_slot *slot = r->slot(r->player, s->u.attend.slot);
    vb_gpu_dispatch d = vb_gpu_dispatch_of(r, s, note, by_type(r->kv, VB_SHADER_ATTEND_F16));
    d.range[VB_GPU_A] = r->value(r->player, s->in[0]);
    d.range[VB_GPU_OUT] = r->value(r->player, s->out);
    d.range[VB_GPU_K] = slot->keys;
    d.range[VB_GPU_V] = slot->values;
    d.variant[0] = (uint32_t)s->u.attend.dim_k;
    d.variant[1] = (uint32_t)s->u.attend.dim_v;
    d.c[2] = (uint32_t)s->u.attend.heads;
    d.c[3] = (uint32_t)s->u.attend.kv_heads;
    d.c[4] = slot->key_row / 4;
    d.c[5] = slot->value_row / 4;
    d.c[6] = (uint32_t)s->u.attend.window;
    d.c[7] = asu(s->u.attend.scale);
    d.x = (uint32_t)s->u.attend.heads;
    if (s->u.attend.softcap > 0.0f) {
        d.c[8] = asu(s->u.attend.softcap);
        d.c[9] = asu(1.0f / s->u.attend.softcap);
    }
    if (s->weight != NULL) {
        d.range[VB_GPU_W2] = r->weight(r->player, s->weight)->windows[0].range;
        d.c[10] = 1;
    }
    return d;
}

/* So many that all together are MANY. */
static uint32_t shares(const vb_gpu_dispatch *d)
{
    uint32_t n = MANY / (d->x * d->y);
    if (n > MOST_SHARES) n = MOST_SHARES;
    return n < d->c[11] ? n : d->c[11];
}

static vb_status record_parts(vb_gpu_recording *r, const vb_gpu_dispatch *whole, const vb_gpu_slot *slot, vb_err *err)
{
    vb_gpu_dispatch d = *whole, join = *whole;
    d.range[VB_GPU_OUT] = slot->parts;
    d.range[VB_GPU_W2] = (vb_gpu_range){0};
    d.z = d.c[12] = shares(whole);
    d.variant[2] = 1;
    join.shader = VB_SHADER_ATTEND_JOIN;
    join.range[VB_GPU_A] = slot->parts;
    join.range[VB_GPU_K] = join.range[VB_GPU_V] = (vb_gpu_range){0};
    VB_TRY(vb_gpu_tape_dispatch(r->tape, &d, err));
    return vb_gpu_tape_dispatch(r->tape, &join, err);
}

vb_status vb_gpu_record_attend(vb_gpu_recording *r, const vb_step *s, uint32_t note, vb_err *err)
{
    const vb_gpu_slot *slot = r->slot(r->player, s->u.attend.slot);
    if (!vb_gpu_has_attend(r->gpu, r->plan, s, r->kv))
        VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: no attention over keys and values of this type");
    if (s->op == VB_OP_ATTEND) VB_TRY(record_write(r, s, note, err));
    vb_gpu_dispatch d = reader(r, s, note);
    int pages = (int)(slot->keys.bytes / ((uint64_t)slot->key_row * VB_GPU_PAGE * (uint64_t)s->u.attend.kv_heads));
    uint64_t bytes = vb_gpu_parts_bytes(s, pages, (int)d.y);
    d.c[11] = (uint32_t)chunks_of(s, pages);
    if (bytes > 0 && slot->parts.buffer != NULL && bytes <= slot->parts.bytes) return record_parts(r, &d, slot, err);
    return vb_gpu_tape_dispatch(r->tape, &d, err);
}
