/* params.c - metadata to hyper-parameters by one table of (key, field, kind, range).
 *
 * Keys are relative to the architecture ("block_count" is llama.block_count). Invariant: what stands in vb_params
 * afterwards can be multiplied and divided by without another check: counts lie in 1..2^20, widths and heads in
 * ranges whose products fit 63 bits, floats are finite.
 */
#include "model/params.h"

#include <math.h>
#include <string.h>

typedef enum { INT, PER_LAYER, FLOAT, DOUBLE, BOOL } kind;
typedef struct {
    const char *key;
    kind kind;
    size_t field;
    int required;
    double min, max;
} entry;

#define FIELD(f) offsetof(vb_params, f)
enum { MOST_LAYERS = 4096, MOST_WIDTH = 1 << 20, MOST_HEADS = 4096 };

/* `block_count` stands first: arrays of one value a layer need it. */
static const entry table[] = {
    {"block_count", INT, FIELD(layers), 1, 1, MOST_LAYERS},
    {"embedding_length", INT, FIELD(width), 1, 1, MOST_WIDTH},
    {"context_length", INT, FIELD(context), 1, 1, 1 << 30},
    {"vocab_size", INT, FIELD(vocab), 0, 1, 1 << 26},
    {"feed_forward_length", PER_LAYER, FIELD(ff), 0, 1, MOST_WIDTH},
    {"attention.head_count", PER_LAYER, FIELD(heads), 1, 1, MOST_HEADS},
    {"attention.head_count_kv", PER_LAYER, FIELD(kv_heads), 0, 1, MOST_HEADS},
    {"attention.key_length", INT, FIELD(dim_k), 0, 1, 1 << 16},
    {"attention.value_length", INT, FIELD(dim_v), 0, 1, 1 << 16},
    {"attention.key_length_swa", INT, FIELD(dim_k_local), 0, 1, 1 << 16},
    {"attention.value_length_swa", INT, FIELD(dim_v_local), 0, 1, 1 << 16},
    {"attention.shared_kv_layers", INT, FIELD(shared_layers), 0, 0, MOST_LAYERS},
    {"embedding_length_per_layer_input", INT, FIELD(per_layer_width), 0, 0, 1 << 16},
    {"attention.layer_norm_rms_epsilon", FLOAT, FIELD(eps), 0, 0x1p-60, 1},
    {"attention.layer_norm_epsilon", FLOAT, FIELD(layer_eps), 0, 0x1p-60, 1},
    {"attention.sliding_window", INT, FIELD(window), 0, 0, 1 << 30},
    {"attention.scale", FLOAT, FIELD(attn_scale), 0, 0, 0x1p20},
    {"embedding_scale", FLOAT, FIELD(embedding_scale), 0, 0, 0x1p20},
    {"residual_scale", FLOAT, FIELD(residual_scale), 0, 0, 0x1p20},
    {"logit_scale", FLOAT, FIELD(logit_scale), 0, 0, 0x1p20},
    {"attn_logit_softcapping", FLOAT, FIELD(attn_softcap), 0, 0, 0x1p20},
    {"final_logit_softcapping", FLOAT, FIELD(final_softcap), 0, 0, 0x1p20},
    {"rope.dimension_count", INT, FIELD(n_rot), 0, 2, 1 << 16},
    {"rope.dimension_count_swa", INT, FIELD(n_rot_local), 0, 2, 1 << 16},
    {"rope.freq_base", DOUBLE, FIELD(rope_base), 0, 1, 1e12},
    {"rope.freq_base_swa", DOUBLE, FIELD(rope_base_local), 0, 1, 1e12},
    {"rope.scaling.factor", DOUBLE, FIELD(scaling_factor), 0, 0x1p-20, 0x1p20},
    {"rope.scaling.original_context_length", DOUBLE, FIELD(scaling_context), 0, 1, 0x1p30},
    {"rope.scaling.attn_factor", DOUBLE, FIELD(attn_factor), 0, 0x1p-20, 0x1p20},
    {"rope.scaling.yarn_beta_fast", DOUBLE, FIELD(beta_fast), 0, 0x1p-20, 0x1p20},
    {"rope.scaling.yarn_beta_slow", DOUBLE, FIELD(beta_slow), 0, 0x1p-20, 0x1p20},
    {"attention.causal", BOOL, FIELD(causal), 0, 0, 1},
    {"pooling_type", INT, FIELD(pooling), 0, 0, 3},
    {"use_parallel_residual", BOOL, FIELD(parallel), 0, 0, 1},
    {"nextn_predict_layers", INT, FIELD(extra_layers), 0, 0, MOST_LAYERS},
    {"full_attention_interval", INT, FIELD(full_every), 0, 1, MOST_LAYERS},
    {"ssm.conv_kernel", INT, FIELD(conv_taps), 0, 2, 16},
    {"ssm.state_size", INT, FIELD(delta_dim), 0, 1, 1 << 12},
    {"ssm.group_count", INT, FIELD(delta_key_heads), 0, 1, MOST_HEADS},
    {"ssm.time_step_rank", INT, FIELD(delta_value_heads), 0, 1, MOST_HEADS},
    {"ssm.inner_size", INT, FIELD(delta_width), 0, 1, MOST_WIDTH},
    {"expert_count", INT, FIELD(experts), 0, 0, 1 << 16},
    {"expert_used_count", INT, FIELD(experts_used), 0, 0, 1 << 16},
    {"expert_feed_forward_length", INT, FIELD(expert_ff), 0, 1, MOST_WIDTH},
    {"expert_shared_feed_forward_length", INT, FIELD(shared_ff), 0, 1, MOST_WIDTH},
};
enum { ENTRIES = sizeof table / sizeof table[0] };

typedef struct {
    vb_params *out;
    const vb_gguf *g;
    vb_arena *arena;
    char key[192];
    vb_err *err;
} reader;

static void *at(const reader *r, const entry *e)
{
    return (char *)r->out + e->field;
}

static vb_status read_int(reader *r, const entry *e)
{
    int64_t value;
    VB_TRY(vb_gguf_int(r->g, r->key, (int64_t)e->min, (int64_t)e->max, &value, r->err));
    *(int *)at(r, e) = (int)value;
    return VB_OK;
}

static vb_status read_float(reader *r, const entry *e)
{
    double value;
    vb_status s = vb_gguf_float(r->g, r->key, &value, r->err);
    int64_t whole;
    if (s == VB_E_FORMAT && vb_gguf_int(r->g, r->key, INT32_MIN, INT32_MAX, &whole, NULL) == VB_OK) {
        value = (double)whole; /* original_context_length is written as an integer */
        s = VB_OK;
    }
    VB_TRY(s);
    if (!(value >= e->min && value <= e->max))
        VB_FAIL(r->err, VB_E_FORMAT, "%s: key %s: expected %.9g to %.9g, found %.9g", vb_gguf_path(r->g), r->key,
                e->min, e->max, value);
    if (e->kind == FLOAT)
        *(float *)at(r, e) = (float)value;
    else
        *(double *)at(r, e) = value;
    return VB_OK;
}

/* One value for all layers, or an array of one value a layer. */
static vb_status read_per_layer(reader *r, const entry *e)
{
    int *values = vb_arena_array(r->arena, (size_t)r->out->layers, sizeof *values);
    if (values == NULL) VB_FAIL(r->err, VB_E_MEMORY, "%s: out of memory for %d layers", vb_gguf_path(r->g), r->out->layers);
    const vb_gguf_entry *found = vb_gguf_find(r->g, r->key);
    const vb_gguf_entry *array = NULL;
    int64_t one = 0;
    if (found != NULL && found->type == VB_GGUF_ARRAY && found->n != 1) {
        VB_TRY(vb_gguf_array(r->g, r->key, VB_GGUF_INTS, &array, r->err));
        if (array->n < (uint64_t)r->out->layers)
            VB_FAIL(r->err, VB_E_FORMAT, "%s: key %s: expected %d values, found %llu", vb_gguf_path(r->g), r->key,
                    r->out->layers, (unsigned long long)array->n);
    } else {
        VB_TRY(vb_gguf_int(r->g, r->key, (int64_t)e->min, (int64_t)e->max, &one, r->err));
    }
    for (int i = 0; i < r->out->layers; i++) {
        int64_t v = array != NULL ? vb_gguf_item_int(array, (uint64_t)i) : one;
        if (v < (int64_t)e->min || v > (int64_t)e->max)
            VB_FAIL(r->err, VB_E_FORMAT, "%s: key %s: layer %d: expected %lld to %lld, found %lld", vb_gguf_path(r->g),
                    r->key, i, (long long)e->min, (long long)e->max, (long long)v);
        values[i] = (int)v;
    }
    *(int **)at(r, e) = values;
    return VB_OK;
}

static vb_status read_entry(reader *r, const entry *e)
{
    snprintf(r->key, sizeof r->key, "%s.%s", r->out->arch, e->key);
    if (!e->required && vb_gguf_find(r->g, r->key) == NULL) return VB_OK;
    switch (e->kind) {
    case INT:
        return read_int(r, e);
    case PER_LAYER:
        return read_per_layer(r, e);
    case BOOL:
        return vb_gguf_bool(r->g, r->key, at(r, e), r->err);
    default:
        return read_float(r, e);
    }
}

static vb_status read_scaling(reader *r)
{
    vb_text type;
    snprintf(r->key, sizeof r->key, "%s.rope.scaling.type", r->out->arch);
    if (vb_gguf_find(r->g, r->key) == NULL) {
        /* older files give a linear factor without a type */
        r->out->scaling = r->out->scaling_factor == 1.0 ? VB_SCALING_NONE : VB_SCALING_LINEAR;
        return VB_OK;
    }
    VB_TRY(vb_gguf_string(r->g, r->key, &type, r->err));
    static const char *const names[] = {"none", "linear", "yarn", "longrope"};
    for (int i = 0; i < 4; i++)
        if (type.len == strlen(names[i]) && memcmp(type.ptr, names[i], type.len) == 0) {
            r->out->scaling = (vb_scaling)i;
            return VB_OK;
        }
    VB_FAIL(r->err, VB_E_UNSUPPORTED, "%s: key %s: expected none, linear, yarn or longrope, found \"%.*s\"", vb_gguf_path(r->g),
            r->key, (int)(type.len < 40 ? type.len : 40), type.ptr);
}

/* A boolean a layer that is run; NULL if the file has no such array. */
static vb_status read_flags(reader *r, const char *key, unsigned char **out)
{
    vb_params *h = r->out;
    const vb_gguf_entry *array;
    snprintf(r->key, sizeof r->key, "%s.%s", h->arch, key);
    const vb_gguf_entry *found = vb_gguf_find(r->g, r->key);
    if (found == NULL) return VB_OK;
    VB_TRY(vb_gguf_array(r->g, r->key, found->item == VB_GGUF_BOOL ? VB_GGUF_BOOLS : VB_GGUF_INTS, &array, r->err));
    int run = h->layers - h->extra_layers;
    if (run > 0 && array->n < (uint64_t)run)
        VB_FAIL(r->err, VB_E_FORMAT, "%s: key %s: expected %d values, found %llu", vb_gguf_path(r->g), r->key, run,
                (unsigned long long)array->n);
    *out = vb_arena_alloc(r->arena, (size_t)h->layers);
    if (*out == NULL) VB_FAIL(r->err, VB_E_MEMORY, "%s: out of memory", vb_gguf_path(r->g));
    for (int i = 0; i < run; i++) (*out)[i] = vb_gguf_item_int(array, (uint64_t)i) != 0;
    return VB_OK;
}

/* A period, or one boolean a layer. */
static vb_status read_window_pattern(reader *r)
{
    vb_params *h = r->out;
    int64_t every;
    snprintf(r->key, sizeof r->key, "%s.attention.sliding_window_pattern", h->arch);
    const vb_gguf_entry *found = vb_gguf_find(r->g, r->key);
    if (found == NULL) return VB_OK;
    if (found->type != VB_GGUF_ARRAY) {
        VB_TRY(vb_gguf_int(r->g, r->key, 1, MOST_LAYERS, &every, r->err));
        h->window_every = (int)every;
        return VB_OK;
    }
    return read_flags(r, "attention.sliding_window_pattern", &h->window_layers);
}

static vb_status read_vocab(reader *r)
{
    const vb_gguf_tensor *t = vb_gguf_tensor_find(r->g, "token_embd.weight");
    if (t == NULL || t->n_dims != 2 || t->ne[1] < 1 || t->ne[1] > 1 << 26)
        VB_FAIL(r->err, VB_E_FORMAT, "%s: tensor token_embd.weight: expected %d x vocabulary, found %s",
                vb_gguf_path(r->g), r->out->width, t == NULL ? "no such tensor" : "another shape");
    r->out->vocab = (int)t->ne[1]; /* the rows that exist; vocab_size may be stale */
    return VB_OK;
}

static vb_status heads_fit(const vb_params *h, const vb_gguf *g, vb_err *err)
{
    for (int i = 0; i < h->layers; i++)
        if (h->heads[i] % h->kv_heads[i] != 0)
            VB_FAIL(err, VB_E_FORMAT, "%s: layer %d: expected head_count a multiple of head_count_kv, found %d and %d",
                    vb_gguf_path(g), i, h->heads[i], h->kv_heads[i]);
    if (h->dim_k == 0 && h->width % h->heads[0] != 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected embedding_length a multiple of head_count, found %d and %d",
                vb_gguf_path(g), h->width, h->heads[0]);
    return VB_OK;
}

/* A file of experts alone may give no other width than theirs. */
static vb_status widths(vb_params *h, const vb_gguf *g, vb_arena *arena, vb_err *err)
{
    if (h->ff != NULL) return VB_OK;
    if (h->expert_ff == 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: key %s.feed_forward_length: expected a number, found no such key",
                vb_gguf_path(g), h->arch);
    h->ff = vb_arena_array(arena, (size_t)h->layers, sizeof *h->ff);
    if (h->ff == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", vb_gguf_path(g));
    for (int i = 0; i < h->layers; i++) h->ff[i] = h->expert_ff;
    return VB_OK;
}

static vb_status settle(vb_params *h, const vb_gguf *g, vb_arena *arena, vb_err *err)
{
    if (h->kv_heads == NULL) h->kv_heads = h->heads;
    VB_TRY(widths(h, g, arena, err));
    VB_TRY(heads_fit(h, g, err));
    if (h->dim_k == 0) h->dim_k = h->width / h->heads[0];
    if (h->dim_v == 0) h->dim_v = h->dim_k;
    if (h->n_rot == 0) h->n_rot = h->dim_k;
    if (h->n_rot > h->dim_k || h->n_rot % 2 != 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: rope.dimension_count: expected an even number up to the head size %d, found %d",
                vb_gguf_path(g), h->dim_k, h->n_rot);
    return VB_OK;
}

vb_status vb_params_read(vb_params *out, const vb_gguf *g, vb_arena *arena, vb_err *err)
{
    vb_text arch;
    reader r = {.out = out, .g = g, .arena = arena, .err = err};
    memset(out, 0, sizeof *out);
    VB_TRY(vb_gguf_string(g, "general.architecture", &arch, err));
    if (arch.len == 0 || arch.len >= sizeof out->arch)
        VB_FAIL(err, VB_E_FORMAT, "%s: key general.architecture: expected a name, found %zu bytes", vb_gguf_path(g),
                arch.len);
    memcpy(out->arch, arch.ptr, arch.len);
    out->rope_base = out->rope_base_local = 10000.0;
    out->scaling_factor = out->attn_factor = 1.0;
    out->beta_fast = 32.0;
    out->beta_slow = 1.0;
    out->causal = 1;
    out->pooling = -1;
    for (int i = 0; i < ENTRIES; i++) VB_TRY(read_entry(&r, &table[i]));
    VB_TRY(read_scaling(&r));
    VB_TRY(read_window_pattern(&r));
    VB_TRY(read_flags(&r, "attention.recurrent_layers", &out->recurrent_layers));
    VB_TRY(read_vocab(&r));
    return settle(out, g, arena, err);
}
