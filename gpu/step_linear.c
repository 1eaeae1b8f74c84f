/* step_linear.c - matrices as dispatches: what comes in becomes integers once, then each window of rows meets it.
 *
 *   int8   x --quantize--> acts --linear_int8 or, where small integers are multiplied at once, linear_dot--> y
 *   f32    x --linear_float--> y
 *
 * Up to MOST_TOKENS rows of the batch meet a weight's row while it is unpacked; those of experts come one by one,
 * because their experts differ.
 */
#include "gpu/steps.h"

#include <string.h>

enum { MOST_TOKENS = 8, MOST_AHEAD = 4, MOST_DEEP = 4, MOST_GROUPS = 32768, INT8_ROWS = 8, FLOAT_ROWS = 16 };

/* Of each format: whether products of its elements can be subnormal (A5), and its shaders; int8 and dot where it has a
 * rule in C. */
#define SHADERS(ID) VB_SHADER_LINEAR_FLOAT_##ID, VB_SHADER_EMBED_##ID
#define QUANTISED(ID) [VB_FMT_##ID] = {1, 0, VB_SHADER_LINEAR_INT8_##ID, VB_SHADER_LINEAR_DOT_##ID, SHADERS(ID)}
#define FLOATS(ID, subnormals) [VB_FMT_##ID] = {1, subnormals, VB_SHADERS, VB_SHADERS, SHADERS(ID)}
static const struct {
    int known, subnormals;
    vb_gpu_shader int8, dot, floats, embed;
} shaders[VB_FORMATS] = {
    FLOATS(F32, 1),  FLOATS(F16, 0),  FLOATS(BF16, 1), QUANTISED(Q4_0), QUANTISED(Q4_1),
    QUANTISED(Q5_0), QUANTISED(Q8_0), QUANTISED(Q4_K), QUANTISED(Q5_K), QUANTISED(Q6_K),
};
#undef SHADERS
#undef QUANTISED
#undef FLOATS

/* Rows of a view may begin where no word does. */
static int is_placed(const vb_tensor *t)
{
    return t == NULL || (uintptr_t)t->data % sizeof(uint32_t) == 0;
}

int vb_gpu_has_linear(const vb_gpu *g, const vb_step *s)
{
    if (s->weight->format >= VB_FORMATS || !shaders[s->weight->format].known) return 0;
    if (!is_placed(s->weight) || !is_placed(s->bias)) return 0;
    if (s->op == VB_OP_EMBED) return 1; /* moves bits and guards them */
    if (s->op == VB_OP_LINEAR_EXPERTS && s->u.experts.used > 65535 / VB_GPU_MOST_ROWS) return 0;
    return !shaders[s->weight->format].subnormals || vb_gpu_keeps_subnormals(g);
}

uint64_t vb_gpu_act_bytes(int64_t cols)
{
    return ((uint64_t)cols + 31) / 32 * 40;
}

static uint32_t act_words(int64_t cols)
{
    return (uint32_t)(vb_gpu_act_bytes(cols) / sizeof(uint32_t));
}

static uint32_t groups(int64_t n, int64_t each)
{
    return (uint32_t)((n + each - 1) / each);
}

static int bucket_of(const vb_gpu_recording *r, const vb_step *s)
{
    return r->plan->values[s->out].wanted ? r->wanted_bucket : r->bucket;
}

/* --- what meets the weights -------------------------------------------------------------------------------------- */

static vb_act_kind act_kind(const vb_gpu_recording *r, const vb_step *s)
{
    return r->arith == VB_ARITH_INT8 ? vb_format_of(s->weight->format)->act : VB_ACT_F32;
}

/* The step's input as integers, unless they are there already. parts: rows of the matrix's columns in a token's row. */
static vb_status quantize(vb_gpu_recording *r, const vb_step *s, uint32_t note, uint32_t parts, vb_err *err)
{
    vb_act_kind kind = act_kind(r, s);
    int acts_kind = (int)kind + (int)parts * 4;
    uint32_t cols = (uint32_t)s->weight->cols;
    if (kind == VB_ACT_F32 || (r->acts_of == s->in[0] && r->acts_kind == acts_kind)) return VB_OK;
    vb_gpu_dispatch d = vb_gpu_dispatch_of(r, s, note, VB_SHADER_QUANTIZE);
    d.range[VB_GPU_A] = r->value(r->player, s->in[0]);
    d.range[VB_GPU_OUT] = r->acts;
    d.c[2] = cols;
    d.c[3] = kind == VB_ACT_Q32 ? 32 : 256;
    d.c[4] = vb_gpu_stride((int)(cols * parts));
    d.c[5] = parts;
    d.c[6] = act_words(cols);
    d.x = groups(cols, 256);
    d.y = (uint32_t)bucket_of(r, s) * parts;
    r->acts_of = s->in[0];
    r->acts_kind = acts_kind;
    return vb_gpu_tape_dispatch(r->tape, &d, err);
}

/* How rows and inputs share a work group (shaders/linear.glsl), and how many rows a group has. A device that is a CPU
 * has no memory to wait for, and each way is a shader that it has to compile first. */
typedef struct {
    uint32_t tokens, ahead, deep;
    int rows;
} way;

static way way_of(const vb_gpu_recording *r, const vb_step *s, int inputs)
{
    int cpu = strcmp(vb_gpu_facts_of(r->gpu)->type, "cpu") == 0;
    vb_act_kind kind = act_kind(r, s);
    way w = {.tokens = cpu && inputs > 1 ? MOST_TOKENS : 1, .ahead = 1, .deep = 1};
    while (w.tokens < (uint32_t)inputs && w.tokens < MOST_TOKENS) w.tokens *= 2;
    if (!cpu && w.tokens == 1) w.ahead = MOST_AHEAD;
    if (!cpu && w.tokens == MOST_TOKENS && kind == VB_ACT_Q32) w.deep = MOST_DEEP;
    w.rows = kind == VB_ACT_F32 ? FLOAT_ROWS : INT8_ROWS * (int)w.deep;
    return w;
}

/* The dispatch but for its windows; the input's rows as the shader meets them. */
static vb_gpu_dispatch multiply(vb_gpu_recording *r, const vb_step *s, uint32_t note, uint32_t parts, way w)
{
    int floats = act_kind(r, s) == VB_ACT_F32, fast = vb_gpu_facts_of(r->gpu)->integer_dot;
    vb_format f = s->weight->format;
    uint32_t cols = (uint32_t)s->weight->cols;
    vb_gpu_shader integers = fast ? shaders[f].dot : shaders[f].int8;
    vb_gpu_dispatch d = vb_gpu_dispatch_of(r, s, note, floats ? shaders[f].floats : integers);
    d.range[VB_GPU_A] = floats ? r->value(r->player, s->in[0]) : r->acts;
    d.range[VB_GPU_OUT] = r->value(r->player, s->out);
    if (s->bias != NULL) d.range[VB_GPU_W2] = r->weight(r->player, s->bias)->windows[0].range;
    d.variant[0] = w.tokens;
    d.variant[2] = w.ahead;
    d.variant[3] = w.deep;
    d.c[2] = cols;
    d.c[3] = (uint32_t)s->weight->row_bytes;
    d.c[7] = s->bias != NULL;
    d.c[8] = (uint32_t)r->plan->values[s->out].width;
    d.c[9] = floats ? vb_gpu_stride((int)(cols * parts)) : act_words(cols) * parts;
    d.c[15] = parts == 1 ? 0 : floats ? cols : act_words(cols);
    return d;
}

/* --- linear ------------------------------------------------------------------------------------------------------ */

/* Rows from..from+rows of the window, in dispatches of no more groups than every device takes. */
static vb_status window(vb_gpu_recording *r, vb_gpu_dispatch *d, const vb_gpu_window *w, int each, vb_err *err)
{
    int64_t most = (int64_t)MOST_GROUPS * each;
    d->range[VB_GPU_W] = w->range;
    for (int64_t from = 0; from < w->rows; from += most) {
        int64_t rows = w->rows - from < most ? w->rows - from : most;
        d->c[4] = (uint32_t)(w->first_row + from);
        d->c[5] = (uint32_t)rows;
        d->c[6] = (uint32_t)from;
        d->x = groups(rows, each);
        VB_TRY(vb_gpu_tape_dispatch(r->tape, d, err));
    }
    return VB_OK;
}

vb_status vb_gpu_record_linear(vb_gpu_recording *r, const vb_step *s, uint32_t note, vb_err *err)
{
    const vb_gpu_weight *w = r->weight(r->player, s->weight);
    way how = way_of(r, s, bucket_of(r, s));
    VB_TRY(quantize(r, s, note, 1, err));
    vb_gpu_dispatch d = multiply(r, s, note, 1, how);
    d.y = groups(bucket_of(r, s), how.tokens);
    for (int i = 0; i < w->n_windows; i++) VB_TRY(window(r, &d, &w->windows[i], how.rows, err));
    return VB_OK;
}

/* --- experts ----------------------------------------------------------------------------------------------------- */

vb_status vb_gpu_record_experts(vb_gpu_recording *r, const vb_step *s, uint32_t note, vb_err *err)
{
    const vb_gpu_weight *w = r->weight(r->player, s->weight);
    uint32_t parts = (uint32_t)r->plan->values[s->in[0]].parts, used = (uint32_t)s->u.experts.used;
    way how = way_of(r, s, 1);
    VB_TRY(quantize(r, s, note, parts, err));
    vb_gpu_dispatch d = multiply(r, s, note, parts, how);
    d.variant[1] = 1;
    d.range[VB_GPU_B] = r->value(r->player, s->in[1]);
    d.c[5] = d.c[12] = (uint32_t)s->u.experts.rows;
    d.c[11] = used;
    d.c[13] = (uint32_t)s->u.experts.total;
    d.c[14] = (uint32_t)s->u.experts.from;
    d.c[16] = vb_gpu_stride(r->plan->values[s->in[1]].width);
    d.c[17] = (uint32_t)s->u.experts.experts;
    d.x = groups(s->u.experts.rows, how.rows);
    d.y = (uint32_t)bucket_of(r, s) * used;
    for (int i = 0; i < w->n_windows; i++) {
        d.range[VB_GPU_W] = w->windows[i].range;
        d.c[6] = (uint32_t)w->windows[i].first_row;
        d.c[10] = (uint32_t)w->windows[i].rows;
        VB_TRY(vb_gpu_tape_dispatch(r->tape, &d, err));
    }
    return VB_OK;
}

/* --- embed ------------------------------------------------------------------------------------------------------- */

vb_status vb_gpu_record_embed(vb_gpu_recording *r, const vb_step *s, uint32_t note, vb_err *err)
{
    static const uint32_t by[] = {[VB_BY_TOKEN] = 0, [VB_BY_POSITION] = 1, [VB_BY_FIRST] = 2};
    const vb_gpu_weight *w = r->weight(r->player, s->weight);
    vb_gpu_dispatch d = vb_gpu_dispatch_of(r, s, note, shaders[s->weight->format].embed);
    d.range[VB_GPU_OUT] = r->value(r->player, s->out);
    d.c[2] = (uint32_t)s->weight->cols;
    d.c[3] = by[s->u.embed.by];
    d.c[6] = (uint32_t)s->weight->row_bytes;
    d.x = groups(s->weight->cols, 256);
    d.y = (uint32_t)r->bucket;
    for (int i = 0; i < w->n_windows; i++) {
        d.range[VB_GPU_W] = w->windows[i].range;
        d.c[4] = (uint32_t)w->windows[i].first_row;
        d.c[5] = (uint32_t)w->windows[i].rows;
        VB_TRY(vb_gpu_tape_dispatch(r->tape, &d, err));
    }
    return VB_OK;
}
