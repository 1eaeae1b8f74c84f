/* mix.c - the choices behind Q4_K_M and its like.
 *
 * Projections are counted as they follow each other through the layers; "more bits" go to the first and the last
 * eighth of them and to every third between. Invariant: the answer's block divides the row, or the tensor is kept.
 */
#include "quantize/mix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Q2_K_S needs importance to be of use and is left out, as are the formats without an encoder. */
typedef enum {
    F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, Q5_K_S, Q5_1, Q5_0, Q4_K_M, Q4_K_S, Q4_1, Q4_0, IQ4_NL, IQ4_XS, Q3_K_L, Q3_K_M,
    Q3_K_S, Q2_K, MXFP4_MOE, MIXES
} type;

static const vb_mixture mixes[MIXES] = {
    [F32] = {"F32", 0, VB_FMT_F32},           [F16] = {"F16", 1, VB_FMT_F16},
    [BF16] = {"BF16", 32, VB_FMT_BF16},       [Q8_0] = {"Q8_0", 7, VB_FMT_Q8_0},
    [Q6_K] = {"Q6_K", 18, VB_FMT_Q6_K},       [Q5_K_M] = {"Q5_K_M", 17, VB_FMT_Q5_K},
    [Q5_K_S] = {"Q5_K_S", 16, VB_FMT_Q5_K},   [Q5_1] = {"Q5_1", 9, VB_FMT_Q5_1},
    [Q5_0] = {"Q5_0", 8, VB_FMT_Q5_0},        [Q4_K_M] = {"Q4_K_M", 15, VB_FMT_Q4_K},
    [Q4_K_S] = {"Q4_K_S", 14, VB_FMT_Q4_K},   [Q4_1] = {"Q4_1", 3, VB_FMT_Q4_1},
    [Q4_0] = {"Q4_0", 2, VB_FMT_Q4_0},        [IQ4_NL] = {"IQ4_NL", 25, VB_FMT_IQ4_NL},
    [IQ4_XS] = {"IQ4_XS", 30, VB_FMT_IQ4_XS}, [Q3_K_L] = {"Q3_K_L", 13, VB_FMT_Q3_K},
    [Q3_K_M] = {"Q3_K_M", 12, VB_FMT_Q3_K},   [Q3_K_S] = {"Q3_K_S", 11, VB_FMT_Q3_K},
    [Q2_K] = {"Q2_K", 10, VB_FMT_Q2_K},       [MXFP4_MOE] = {"MXFP4_MOE", 38, VB_FMT_MXFP4},
};

const vb_mixture *vb_mix_find(const char *name)
{
    static const struct {
        const char *name;
        type type;
    } also[] = {{"Q3_K", Q3_K_M}, {"Q4_K", Q4_K_M}, {"Q5_K", Q5_K_M}};
    for (int i = 0; i < MIXES; i++)
        if (strcasecmp(mixes[i].name, name) == 0) return &mixes[i];
    for (size_t i = 0; i < sizeof also / sizeof also[0]; i++)
        if (strcasecmp(also[i].name, name) == 0) return &mixes[also[i].type];
    return NULL;
}

void vb_mix_names(char *to, size_t cap)
{
    size_t at = 0;
    for (int i = 0; i < MIXES && at < cap; i++)
        at += (size_t)snprintf(to + at, cap - at, "%s%s", i > 0 ? ", " : "", mixes[i].name);
}

/* --- what a tensor is ------------------------------------------------------------------------------------------ */

typedef enum { OTHER, OUTPUT, EMBEDDING, VALUE, KEY, ATTENTION_OUT, DOWN } role;

static int has(const char *name, const char *part)
{
    return strstr(name, part) != NULL;
}

static int is_embedding(const char *name)
{
    return strcmp(name, "token_embd.weight") == 0 || strcmp(name, "per_layer_token_embd.weight") == 0;
}

static role role_of(const char *name)
{
    if (strcmp(name, "output.weight") == 0) return OUTPUT;
    if (is_embedding(name)) return EMBEDDING;
    if (has(name, "attn_qkv.weight") || has(name, "attn_kv_b.weight") || has(name, "attn_v.weight")) return VALUE;
    if (has(name, "attn_k.weight")) return KEY;
    if (has(name, "attn_output.weight")) return ATTENTION_OUT;
    return has(name, "ffn_down") ? DOWN : OTHER;
}

/* Tensors whose precision matters more than their size. */
static int is_kept(const vb_mix_tensor *t)
{
    static const char *const parts[] = {
        "_norm.weight", "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight", "altup", "laurel", "per_layer_model_proj",
        "ssm_conv1d", "shortconv.conv.weight", "indexer.k_proj.weight", "indexer.q_proj.weight",
        "time_mix_first.weight", "time_mix_w0.weight", "time_mix_w1.weight", "time_mix_w2.weight",
        "time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight", "time_mix_a0.weight", "time_mix_a1.weight",
        "time_mix_a2.weight", "time_mix_g1.weight", "time_mix_g2.weight", "time_mix_decay_w1.weight",
        "time_mix_decay_w2.weight", "time_mix_lerp_fused.weight", "attn_rel_b.weight", ".position_embd",
        "sam.pos_embd", "sam.neck.", "sam.net_", ".rel_pos", ".patch_embd", ".patch_merger", "a.rvq.codebook",
        "mm.a.code_embd",
    };
    size_t len = strlen(t->name);
    if (t->from->format == VB_FMT_NONE) return 1;
    if (t->ne[1] <= 1 && t->ne[2] <= 1 && t->ne[3] <= 1) return 1;
    if (len < 6 || strcmp(t->name + len - 6, "weight") != 0) return 1;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (has(t->name, parts[i])) return 1;
    return strcmp(t->name, "position_embd.weight") == 0 || strcmp(t->name, "token_types.weight") == 0;
}

/* N of "blk.N.", -1. */
static long layer_of(const char *name)
{
    return strncmp(name, "blk.", 4) == 0 ? strtol(name + 4, NULL, 10) : -1;
}

static int by_layer(const void *a, const void *b)
{
    const vb_mix_tensor *const *x = a, *const *y = b;
    long p = layer_of((*x)->name), q = layer_of((*y)->name);
    return p != q ? (p > q) - (p < q) : strcmp((*x)->name, (*y)->name);
}

/* --- choosing -------------------------------------------------------------------------------------------------- */

typedef struct {
    const vb_mixture *mix;
    const vb_mix_model *model;
    type type;
    int tied;                     /* the embedding gives the logits too */
    int values, value, down;      /* value projections in all; how many of each came before */
} choice;

static int more_bits(int i, int n)
{
    return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
}

/* How many query heads share a key: small key and value matrices are worth more bits. */
static int shared_by_four(const vb_mix_model *m)
{
    return m->kv_heads > 0 && m->heads / m->kv_heads >= 4;
}

static vb_format for_logits(const choice *c, const vb_mix_tensor *t)
{
    if (c->type == MXFP4_MOE || t->ne[0] % (uint64_t)vb_format_of(c->mix->base)->block != 0) return VB_FMT_Q8_0;
    return c->mix->base == VB_FMT_Q8_0 ? VB_FMT_Q8_0 : VB_FMT_Q6_K;
}

static vb_format for_value(choice *c)
{
    const vb_mix_model *m = c->model;
    int i = c->value++, four = shared_by_four(m);
    int is_70b = strcmp(m->arch, "llama") == 0 && m->layers == 80 && m->heads != m->kv_heads;
    vb_format f = c->mix->base;
    if (c->type == Q2_K) f = four ? VB_FMT_Q4_K : VB_FMT_Q3_K;
    else if (c->type == Q3_K_M) f = i < 2 ? VB_FMT_Q5_K : VB_FMT_Q4_K;
    else if (c->type == Q3_K_L) f = VB_FMT_Q5_K;
    else if ((c->type == IQ4_NL || c->type == IQ4_XS) && four) f = VB_FMT_Q5_K;
    else if ((c->type == Q4_K_M || c->type == Q5_K_M) && more_bits(i, c->values)) f = VB_FMT_Q6_K;
    else if (c->type == Q4_K_S && i < 4) f = VB_FMT_Q5_K;
    if (is_70b && (f == VB_FMT_Q3_K || f == VB_FMT_Q4_K)) f = VB_FMT_Q5_K;
    return m->experts == 8 ? VB_FMT_Q8_0 : f;
}

static vb_format for_down(choice *c, const vb_mix_tensor *t)
{
    int i = c->down++, n = c->model->layers, with = c->model->importance;
    if (c->model->experts > 1) i = (int)layer_of(t->name);
    switch (c->type) {
    case Q2_K: return VB_FMT_Q3_K;
    case Q3_K_M: return i < n / 16 ? VB_FMT_Q5_K : VB_FMT_Q4_K;
    case Q3_K_L: return VB_FMT_Q5_K;
    case Q4_K_M:
    case Q5_K_M: return more_bits(i, n) ? VB_FMT_Q6_K : c->mix->base;
    case IQ4_NL:
    case IQ4_XS: return i < n / 8 && !with ? VB_FMT_Q5_K : c->mix->base;
    case Q4_K_S: return i < n / 8 ? VB_FMT_Q5_K : c->mix->base;
    case Q4_0: return i < n / 8 && with ? VB_FMT_Q4_1 : c->mix->base;
    case Q5_0: return i < n / 8 && with ? VB_FMT_Q5_1 : c->mix->base;
    default: return c->mix->base;
    }
}

static vb_format for_attention_out(const choice *c)
{
    static const vb_format with_eight_experts[MIXES] = {
        [Q2_K] = VB_FMT_Q5_K,   [Q3_K_S] = VB_FMT_Q5_K, [Q3_K_M] = VB_FMT_Q5_K, [IQ4_NL] = VB_FMT_Q5_K,
        [Q4_K_S] = VB_FMT_Q5_K, [Q4_K_M] = VB_FMT_Q5_K, [IQ4_XS] = VB_FMT_Q5_K,
    };
    static const vb_format without[MIXES] = {[Q2_K] = VB_FMT_Q3_K, [Q3_K_M] = VB_FMT_Q4_K, [Q3_K_L] = VB_FMT_Q5_K};
    vb_format f = (c->model->experts == 8 ? with_eight_experts : without)[c->type];
    return f != VB_FMT_F32 ? f : c->mix->base;
}

static vb_format wanted(choice *c, const vb_mix_tensor *t)
{
    role r = role_of(t->name);
    if (r == OUTPUT || (r == EMBEDDING && c->tied)) return for_logits(c, t);
    if (c->type == MXFP4_MOE) return t->ne[2] > 1 ? VB_FMT_MXFP4 : VB_FMT_Q8_0;
    if (r == VALUE) return for_value(c);
    if (r == KEY) return c->model->experts == 8 ? VB_FMT_Q8_0 : c->mix->base;
    if (r == DOWN) return for_down(c, t);
    return r == ATTENTION_OUT ? for_attention_out(c) : c->mix->base;
}

/* The nearest format with blocks of 32, or of one. */
static vb_format fitting(vb_format f, uint64_t row)
{
    static const vb_format smaller[VB_FORMATS] = {
        [VB_FMT_IQ4_XS] = VB_FMT_IQ4_NL, [VB_FMT_Q2_K] = VB_FMT_Q4_0, [VB_FMT_Q3_K] = VB_FMT_Q4_0,
        [VB_FMT_Q4_K] = VB_FMT_Q5_0,     [VB_FMT_Q5_K] = VB_FMT_Q5_1, [VB_FMT_Q6_K] = VB_FMT_Q8_0,
    };
    if (row % (uint64_t)vb_format_of(f)->block == 0) return f;
    if (smaller[f] != VB_FMT_F32) f = smaller[f];
    return row % (uint64_t)vb_format_of(f)->block == 0 ? f : VB_FMT_F16;
}

static void choose(choice *c, vb_mix_tensor *t)
{
    vb_format base = c->mix->base, f = base;
    int plain = base == VB_FMT_F32 || base == VB_FMT_F16 || base == VB_FMT_BF16;
    t->to = t->from;
    t->fallback = 0;
    if (is_kept(t)) return;
    if (!plain && !c->model->pure) f = wanted(c, t);
    t->to = vb_format_of(fitting(f, t->ne[0]));
    t->fallback = t->to != vb_format_of(f);
}

vb_status vb_mix_choose(const vb_mixture *mix, const vb_mix_model *model, vb_mix_tensor *tensors, int64_t n, vb_err *err)
{
    choice c = {.mix = mix, .model = model, .type = (type)(mix - mixes), .tied = 1};
    vb_mix_tensor **order = calloc((size_t)n + 1, sizeof(vb_mix_tensor *));
    if (order == NULL) VB_FAIL(err, VB_E_MEMORY, "out of memory");
    for (int64_t i = 0; i < n; i++) {
        role r = role_of(tensors[i].name);
        c.values += r == VALUE;
        if (r == OUTPUT) c.tied = 0;
        order[i] = &tensors[i];
    }
    qsort(order, (size_t)n, sizeof(vb_mix_tensor *), by_layer);
    for (int64_t i = 0; i < n; i++) choose(&c, order[i]);
    free(order);
    return VB_OK;
}
