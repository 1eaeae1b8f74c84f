/* mkmodel.c - a model of true shape and random weights, so that size is measured without a download.
 *
 *   mkmodel SHAPE [--format F] [--seed N] [--layers N] [--context N] [--vocab FROM.gguf] -o FILE.gguf
 *
 * F is a weight format, MIXED (each matrix another one, in turn), or Q4_K_M or Q5_K_M, the mixes llama.cpp makes: their
 * value and down projections of some layers are Q6_K. As there, the matrix that gives the logits is Q6_K with every quantised format but Q8_0, rows that are no
 * multiple of 256 take the nearest format with blocks of 32, and vectors are F32.
 *
 * Each matrix has root mean square 1 / sqrt(columns), so that a normalised input gives outputs near 1, and norms are
 * near 1: activations stay of one magnitude through any number of layers. The same arguments give the same bytes.
 * The vocabulary is tools/mkvocab.c's, or --vocab's. Weights are made and written 64 KiB at a time.
 */
#include "tools/mkvocab.h"
#include "tools/mkweights.h"
#include "tools/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *name, *arch, *title;
    int layers, width, heads, kv_heads, head, ff, vocab, context;
    int tied;   /* logits by the embedding's matrix */
    int window; /* tokens; gemma3 */
    double rope_base, rope_factor; /* factor of Llama 3's long-context scaling, 0: none */
    double eps;
    int experts, used; /* of experts, whose width is ff; 0: dense; qwen3moe */
} shape;

static const shape shapes[] = {
    {"tiny", "llama", "Tiny Llama shape", 3, 256, 4, 2, 64, 512, 1024, 4096, 1, 0, 500000, 32, 1e-5, 0, 0},
    {"tiny-gemma3", "gemma3", "Tiny Gemma 3 shape", 7, 256, 4, 1, 64, 512, 1024, 4096, 1, 32, 1000000, 0, 1e-6, 0, 0},
    {"tiny-moe", "qwen3moe", "Tiny Qwen 3 MoE shape", 3, 256, 4, 2, 64, 256, 1024, 4096, 0, 0, 1000000, 0, 1e-6, 8, 2},
    {"tiny-phi3", "phi3", "Tiny Phi 3 shape", 3, 256, 4, 2, 64, 512, 1024, 4096, 0, 0, 10000, 0, 1e-5, 0, 0},
    {"tiny-gemma4", "gemma4", "Tiny Gemma 4 shape", 6, 256, 4, 1, 32, 256, 1024, 4096, 1, 16, 1000000, 0, 1e-6, 0, 0},
    {"tiny-qwen35", "qwen35", "Tiny Qwen 3.5 shape", 4, 256, 4, 2, 64, 512, 1024, 4096, 1, 0, 10000000, 0, 1e-6, 0, 0},
    {"proof", "qwen35", "Proof", 4, 256, 2, 1, 64, 256, 960, 4096, 1, 0, 10000000, 0, 1e-6, 0, 0},
    {"smollm2-135m", "llama", "SmolLM2 135M shape", 30, 576, 9, 3, 64, 1536, 49152, 8192, 1, 0, 100000, 0, 1e-5, 0, 0},
    {"gemma3-270m", "gemma3", "Gemma 3 270M shape", 18, 640, 4, 1, 256, 2048, 262144, 32768, 1, 512, 1000000, 0, 1e-6, 0, 0},
    {"gemma3-1b", "gemma3", "Gemma 3 1B shape", 26, 1152, 4, 1, 256, 6912, 262144, 32768, 1, 512, 1000000, 0, 1e-6, 0, 0},
    {"llama-1b", "llama", "Llama 3.2 1B shape", 16, 2048, 32, 8, 64, 8192, 128256, 131072, 1, 0, 500000, 32, 1e-5, 0, 0},
    {"llama-3b", "llama", "Llama 3.2 3B shape", 28, 3072, 24, 8, 128, 8192, 128256, 131072, 1, 0, 500000, 32, 1e-5, 0, 0},
    {"llama-8b", "llama", "Llama 3.1 8B shape", 32, 4096, 32, 8, 128, 14336, 128256, 131072, 0, 0, 500000, 8, 1e-5, 0, 0},
    {"gemma4-e2b", "gemma4", "Gemma 4 E2B shape", 35, 1536, 8, 1, 256, 6144, 262144, 131072, 1, 512, 1000000, 0, 1e-6, 0,
     0},
    {"qwen3.5-0.8b", "qwen35", "Qwen 3.5 0.8B shape", 24, 1024, 8, 2, 256, 3584, 248320, 262144, 1, 0, 10000000, 0, 1e-6, 0,
     0},
    {"qwen3-30b-a3b", "qwen3moe", "Qwen 3 30B-A3B shape", 48, 2048, 32, 4, 128, 768, 151936, 40960, 0, 0, 1000000, 0, 1e-6,
     128, 8},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0], CHUNK = 65536, MOST_TENSORS = 16384, PHI3_CONTEXT = 64 };

/* What only Gemma 4 has: heads of every n-th layer, which is global; layers at the end without keys, which are twice as
 * wide inside; the width of each layer's own embedding. */
typedef struct {
    const char *name;
    int head, every, shared, per_layer;
} gemma4;

static const gemma4 gemma4s[] = {{"tiny-gemma4", 64, 3, 2, 32}, {"gemma4-e2b", 512, 5, 20, 256}};

/* What only Qwen 3.5 has, all but every fourth layer: heads that remember. */
typedef struct {
    const char *name;
    int keys, values, dim;
} qwen35;
enum { QWEN35_EVERY = 4, QWEN35_TAPS = 4 };

static const qwen35 qwen35s[] = {{"tiny-qwen35", 2, 4, 32}, {"proof", 2, 4, 32}, {"qwen3.5-0.8b", 16, 16, 128}};

/* What the name of a mix or format says about each matrix. */
typedef struct {
    const char *name;
    const vb_format_info *most;
    int more_bits;  /* Q6_K for some value and down projections */
    int mixed;      /* each matrix has the next one of in_turn[] */
    int file_type;  /* llama.cpp's number, -1: left out */
} mix;

typedef struct {
    shape s;
    const gemma4 *g; /* NULL: not Gemma 4 */
    const qwen35 *q; /* NULL: not Qwen 3.5 */
    mix f;
    uint64_t seed;
    vb_gguf_writer w;
    vb_gguf_shape *tensors;
    int n_tensors, n_turns;
} job;

/* --- which format -------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int type;
} file_types[] = {{"F32", 0},   {"F16", 1},   {"Q4_0", 2},   {"Q4_1", 3},   {"Q8_0", 7},  {"Q5_0", 8},
                  {"Q5_1", 9},  {"Q2_K", 10}, {"Q3_K", 12},  {"Q4_K", 15},  {"Q5_K", 17}, {"Q6_K", 18},
                  {"IQ4_NL", 25}, {"IQ4_XS", 30}, {"BF16", 32}, {"MXFP4", 38}};

/* MIXED: all once, those with large elements where qwen35 has small matrices; the usual ones twice. Narrow rows have
 * no turn. */
static const vb_format in_turn[] = {
    VB_FMT_Q4_K, VB_FMT_Q8_0,  VB_FMT_F16,     VB_FMT_BF16,   VB_FMT_Q4_0,  VB_FMT_Q6_K, VB_FMT_Q5_K,    VB_FMT_Q4_1,
    VB_FMT_Q2_K, VB_FMT_Q3_K,  VB_FMT_IQ1_S,   VB_FMT_TQ1_0,  VB_FMT_Q5_0,  VB_FMT_IQ4_XS, VB_FMT_MXFP4, VB_FMT_IQ2_XXS,
    VB_FMT_IQ3_S, VB_FMT_TQ2_0, VB_FMT_IQ2_XS, VB_FMT_IQ2_S, VB_FMT_Q5_1, VB_FMT_IQ3_XXS, VB_FMT_IQ4_NL,
    VB_FMT_Q4_K, VB_FMT_Q4_0, VB_FMT_Q5_K, VB_FMT_Q5_0,
};
enum { TURNS = sizeof in_turn / sizeof in_turn[0] };

static vb_status mix_of(mix *out, const char *name, vb_err *err)
{
    char base[16];
    *out = (mix){.name = name, .file_type = -1};
    out->more_bits = strcmp(name, "Q4_K_M") == 0 || strcmp(name, "Q5_K_M") == 0;
    out->mixed = strcmp(name, "MIXED") == 0;
    snprintf(base, sizeof base, "%.*s", out->more_bits ? 4 : 15, out->mixed ? "Q4_K" : name);
    out->most = vb_format_by_name(base);
    if (out->most == NULL || !vb_weights_known(out->most))
        VB_FAIL(err, VB_E_ARGUMENT, "--format: expected MIXED, Q4_K_M, Q5_K_M or a format with one scale, found %s", name);
    for (size_t i = 0; i < sizeof file_types / sizeof file_types[0]; i++)
        if (strcmp(base, file_types[i].name) == 0 && !out->mixed) out->file_type = file_types[i].type;
    return VB_OK;
}

static const vb_format_info *fitting(const vb_format_info *f, int columns)
{
    vb_format instead = VB_FMT_IQ4_NL;
    if (columns % f->block == 0) return f;
    if (f->format == VB_FMT_Q4_K) instead = VB_FMT_Q5_0;
    if (f->format == VB_FMT_Q5_K) instead = VB_FMT_Q5_1;
    if (f->format == VB_FMT_Q6_K) instead = VB_FMT_Q8_0;
    return vb_format_of(instead);
}

/* The first and last eighth of the layers, and every third between them. */
static int is_dear(int layer, int layers)
{
    return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

static const vb_format_info *format_of(const job *j, const char *what, int layer)
{
    int dear = strcmp(what, "attn_v") == 0 || strncmp(what, "ffn_down", 8) == 0;
    int logits = strcmp(what, "output") == 0 || (j->s.tied && strcmp(what, "token_embd") == 0);
    int quantised = j->f.most->block > 1 && j->f.most->format != VB_FMT_Q8_0;
    if (quantised && logits) return vb_format_of(VB_FMT_Q6_K);
    if (j->f.more_bits && dear && is_dear(layer, j->s.layers)) return vb_format_of(VB_FMT_Q6_K);
    return j->f.most;
}

static int is(const job *j, const char *arch)
{
    return strcmp(j->s.arch, arch) == 0;
}

/* --- which tensors ------------------------------------------------------------------------------------------- */

static vb_gguf_shape *named(job *j, const char *what, int layer)
{
    vb_gguf_shape *t = &j->tensors[j->n_tensors++];
    *t = (vb_gguf_shape){.ne = {1, 1, 1, 1}};
    if (layer >= 0)
        snprintf(t->name, sizeof t->name, "blk.%d.%s.weight", layer, what);
    else
        snprintf(t->name, sizeof t->name, "%s.weight", what);
    return t;
}

static void vector(job *j, const char *what, int layer, int n)
{
    vb_gguf_shape *t = named(j, what, layer);
    t->n_dims = 1;
    t->ne[0] = (uint64_t)n;
    t->format = vb_format_of(VB_FMT_F32);
}

static void matrix(job *j, const char *what, int layer, int columns, int rows)
{
    vb_gguf_shape *t = named(j, what, layer);
    t->n_dims = 2;
    t->ne[0] = (uint64_t)columns;
    t->ne[1] = (uint64_t)rows;
    t->format = fitting(format_of(j, what, layer), columns);
    if (j->f.mixed && layer >= 0 && columns % 256 == 0) t->format = vb_format_of(in_turn[j->n_turns++ % TURNS]);
}

/* Logits of experts are floats in any mix. */
static void expert_tensors(job *j, int i)
{
    static const char *const names[] = {"ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"};
    const shape *s = &j->s;
    matrix(j, "ffn_gate_inp", i, s->width, s->experts);
    j->tensors[j->n_tensors - 1].format = vb_format_of(VB_FMT_F32);
    for (int k = 0; k < 3; k++) {
        matrix(j, names[k], i, k < 2 ? s->width : s->ff, k < 2 ? s->ff : s->width);
        j->tensors[j->n_tensors - 1].n_dims = 3;
        j->tensors[j->n_tensors - 1].ne[2] = (uint64_t)s->experts;
    }
}

static int is_global(const gemma4 *g, int layer)
{
    return (layer + 1) % g->every == 0;
}

static int is_shared(const job *j, int layer)
{
    return layer >= j->s.layers - j->g->shared;
}

static int ff_of(const job *j, int layer)
{
    return j->s.ff * (j->g != NULL && is_shared(j, layer) ? 2 : 1);
}

/* Gemma 4's layer, but for its gated half. */
static void gemma4_tensors(job *j, int i)
{
    static const char *const norms[] = {"post_attention_norm", "ffn_norm", "post_ffw_norm", "post_norm"};
    const shape *s = &j->s;
    int head = is_global(j->g, i) ? j->g->head : s->head;
    vector(j, "attn_norm", i, s->width);
    matrix(j, "attn_q", i, s->width, s->heads * head);
    vector(j, "attn_q_norm", i, head);
    if (!is_shared(j, i)) {
        matrix(j, "attn_k", i, s->width, s->kv_heads * head);
        matrix(j, "attn_v", i, s->width, s->kv_heads * head);
        vector(j, "attn_k_norm", i, head);
    }
    matrix(j, "attn_output", i, s->heads * head, s->width);
    for (int k = 0; k < 4; k++) vector(j, norms[k], i, s->width);
    matrix(j, "inp_gate", i, s->width, j->g->per_layer);
    matrix(j, "proj", i, j->g->per_layer, s->width);
    vector(j, "layer_output_scale", i, 1);
}

static void phi3_tensors(job *j, int i)
{
    const shape *s = &j->s;
    vector(j, "attn_norm", i, s->width);
    matrix(j, "attn_qkv", i, s->width, (s->heads + 2 * s->kv_heads) * s->head);
    matrix(j, "attn_output", i, s->heads * s->head, s->width);
    vector(j, "ffn_norm", i, s->width);
    matrix(j, "ffn_up", i, s->width, 2 * s->ff);
    matrix(j, "ffn_down", i, s->ff, s->width);
}

static void usual_tensors(job *j, int i)
{
    const shape *s = &j->s;
    int gemma = is(j, "gemma3");
    vector(j, "attn_norm", i, s->width);
    matrix(j, "attn_q", i, s->width, s->heads * s->head);
    matrix(j, "attn_k", i, s->width, s->kv_heads * s->head);
    matrix(j, "attn_v", i, s->width, s->kv_heads * s->head);
    matrix(j, "attn_output", i, s->heads * s->head, s->width);
    if (gemma || s->experts > 0) {
        vector(j, "attn_q_norm", i, s->head);
        vector(j, "attn_k_norm", i, s->head);
    }
    if (gemma) {
        vector(j, "post_attention_norm", i, s->width);
        vector(j, "post_ffw_norm", i, s->width);
    }
    vector(j, "ffn_norm", i, s->width);
    if (s->experts > 0) expert_tensors(j, i);
}

/* Without ".weight" behind their names. */
static void bare_vector(job *j, const char *what, int layer, int n)
{
    vector(j, "", layer, n);
    vb_gguf_shape *t = &j->tensors[j->n_tensors - 1];
    snprintf(t->name, sizeof t->name, "blk.%d.%s", layer, what);
}

static void memory_tensors(job *j, int i)
{
    int width = j->s.width, keys = 2 * j->q->keys * j->q->dim, values = j->q->values * j->q->dim;
    matrix(j, "attn_qkv", i, width, keys + values);
    matrix(j, "attn_gate", i, width, values);
    matrix(j, "ssm_beta", i, width, j->q->values);
    matrix(j, "ssm_alpha", i, width, j->q->values);
    bare_vector(j, "ssm_a", i, j->q->values);
    bare_vector(j, "ssm_dt.bias", i, j->q->values);
    matrix(j, "ssm_conv1d", i, QWEN35_TAPS, keys + values);
    j->tensors[j->n_tensors - 1].format = vb_format_of(VB_FMT_F32);
    vector(j, "ssm_norm", i, j->q->dim);
    matrix(j, "ssm_out", i, values, width);
}

static void qwen35_tensors(job *j, int i)
{
    const shape *s = &j->s;
    vector(j, "attn_norm", i, s->width);
    vector(j, "post_attention_norm", i, s->width);
    if ((i + 1) % QWEN35_EVERY != 0) {
        memory_tensors(j, i);
        return;
    }
    matrix(j, "attn_q", i, s->width, 2 * s->heads * s->head);
    matrix(j, "attn_k", i, s->width, s->kv_heads * s->head);
    matrix(j, "attn_v", i, s->width, s->kv_heads * s->head);
    matrix(j, "attn_output", i, s->heads * s->head, s->width);
    vector(j, "attn_q_norm", i, s->head);
    vector(j, "attn_k_norm", i, s->head);
}

static void layer_tensors(job *j, int i)
{
    const shape *s = &j->s;
    if (is(j, "phi3")) {
        phi3_tensors(j, i);
        return;
    }
    if (j->g != NULL)
        gemma4_tensors(j, i);
    else if (j->q != NULL)
        qwen35_tensors(j, i);
    else
        usual_tensors(j, i);
    if (s->experts > 0) return;
    matrix(j, "ffn_gate", i, s->width, ff_of(j, i));
    matrix(j, "ffn_up", i, s->width, ff_of(j, i));
    matrix(j, "ffn_down", i, ff_of(j, i), s->width);
}

/* What stands beside the layers for their sake. */
static void rope_tensors(job *j)
{
    const shape *s = &j->s;
    if (s->rope_factor > 0) vector(j, "rope_freqs", -1, s->head / 2);
    if (is(j, "phi3")) {
        vector(j, "rope_factors_short", -1, s->head / 2);
        vector(j, "rope_factors_long", -1, s->head / 2);
    }
    if (j->g == NULL) return;
    vector(j, "rope_freqs", -1, j->g->head / 2);
    matrix(j, "per_layer_token_embd", -1, j->g->per_layer * s->layers, s->vocab);
    matrix(j, "per_layer_model_proj", -1, s->width, j->g->per_layer * s->layers);
    vector(j, "per_layer_proj_norm", -1, j->g->per_layer);
}

static void list_tensors(job *j)
{
    const shape *s = &j->s;
    matrix(j, "token_embd", -1, s->width, s->vocab);
    for (int i = 0; i < s->layers; i++) layer_tensors(j, i);
    vector(j, "output_norm", -1, s->width);
    if (!s->tied) matrix(j, "output", -1, s->width, s->vocab);
    rope_tensors(j);
}

/* --- metadata ------------------------------------------------------------------------------------------------ */

static void put_number(job *j, const char *what, int value)
{
    char key[128];
    snprintf(key, sizeof key, "%s.%s", j->s.arch, what);
    vb_gguf_put_u32(&j->w, key, (uint32_t)value);
}

static void put_real(job *j, const char *what, double value)
{
    char key[128];
    snprintf(key, sizeof key, "%s.%s", j->s.arch, what);
    vb_gguf_put_f32(&j->w, key, (float)value);
}

static void put_gemma4_keys(job *j)
{
    const gemma4 *g = j->g;
    vb_gguf_put_array(&j->w, "gemma4.feed_forward_length", VB_GGUF_U32, (uint64_t)j->s.layers);
    for (int i = 0; i < j->s.layers; i++) vb_gguf_put_item(&j->w, &(uint32_t){(uint32_t)ff_of(j, i)}, sizeof(uint32_t));
    vb_gguf_put_array(&j->w, "gemma4.attention.sliding_window_pattern", VB_GGUF_BOOL, (uint64_t)j->s.layers);
    for (int i = 0; i < j->s.layers; i++) vb_gguf_put_item(&j->w, &(uint8_t){!is_global(g, i)}, 1);
    put_number(j, "attention.key_length_swa", j->s.head);
    put_number(j, "attention.value_length_swa", j->s.head);
    put_number(j, "rope.dimension_count_swa", j->s.head);
    put_real(j, "rope.freq_base_swa", 10000);
    put_number(j, "attention.shared_kv_layers", g->shared);
    put_number(j, "embedding_length_per_layer_input", g->per_layer);
    put_real(j, "final_logit_softcapping", 30);
}

static void put_qwen35_keys(job *j)
{
    put_number(j, "full_attention_interval", QWEN35_EVERY);
    put_number(j, "ssm.conv_kernel", QWEN35_TAPS);
    put_number(j, "ssm.state_size", j->q->dim);
    put_number(j, "ssm.group_count", j->q->keys);
    put_number(j, "ssm.time_step_rank", j->q->values);
    put_number(j, "ssm.inner_size", j->q->values * j->q->dim);
}

static void put_keys(job *j)
{
    const shape *s = &j->s;
    int head = j->g != NULL ? j->g->head : s->head;
    vb_gguf_put_text(&j->w, "general.architecture", s->arch);
    vb_gguf_put_text(&j->w, "general.name", s->title);
    vb_gguf_put_text(&j->w, "general.description", "random weights");
    vb_gguf_put_u32(&j->w, "general.quantization_version", 2);
    if (j->f.file_type >= 0) vb_gguf_put_u32(&j->w, "general.file_type", (uint32_t)j->f.file_type);
    put_number(j, "block_count", s->layers);
    put_number(j, "context_length", s->context);
    put_number(j, "embedding_length", s->width);
    if (j->g == NULL) put_number(j, "feed_forward_length", s->ff);
    put_number(j, "vocab_size", s->vocab);
    put_number(j, "attention.head_count", s->heads);
    put_number(j, "attention.head_count_kv", s->kv_heads);
    put_number(j, "attention.key_length", head);
    put_number(j, "attention.value_length", head);
    put_real(j, "attention.layer_norm_rms_epsilon", s->eps);
    put_number(j, "rope.dimension_count", j->q != NULL ? head / 4 : head);
    put_real(j, "rope.freq_base", s->rope_base);
    if (s->experts > 0) {
        put_number(j, "expert_count", s->experts);
        put_number(j, "expert_used_count", s->used);
        put_number(j, "expert_feed_forward_length", s->ff);
    }
    if (s->window > 0) put_number(j, "attention.sliding_window", s->window);
    if (is(j, "phi3")) put_number(j, "rope.scaling.original_context_length", PHI3_CONTEXT);
    if (is(j, "phi3")) put_real(j, "rope.scaling.attn_factor", 1.1);
    if (j->g != NULL) put_gemma4_keys(j);
    if (j->q != NULL) put_qwen35_keys(j);
}

/* --- weights ------------------------------------------------------------------------------------------------- */

/* Llama 3: waves longer than the first context are stretched, those shorter than a quarter of it are not. */
static void write_rope(job *j)
{
    enum { FIRST_CONTEXT = 8192 };
    for (int i = 0; i < j->s.head / 2; i++) {
        double wave = 6.283185307179586 * pow(j->s.rope_base, 2.0 * i / j->s.head);
        double part = fmin(fmax((FIRST_CONTEXT / wave - 1.0) / 3.0, 0.0), 1.0);
        float factor = (float)(1.0 / (part + (1.0 - part) / j->s.rope_factor));
        vb_gguf_write(&j->w, &factor, sizeof factor);
    }
}

/* Qwen 3.5: what is known fades at about -1 times softplus of a number near -3. */
static float centre_of(const char *name)
{
    const char *end = strrchr(name, '.');
    return strcmp(end, ".ssm_a") == 0 ? -1.0f : strcmp(end, ".bias") == 0 ? -3.0f : 1.0f;
}

/* Gemma 4: a quarter of a global head rotates. */
static void write_proportional_rope(job *j)
{
    for (int i = 0; i < j->g->head / 2; i++) {
        float factor = i < j->g->head / 8 ? 1.0f : 1e30f;
        vb_gguf_write(&j->w, &factor, sizeof factor);
    }
}

static void write_vector(job *j, const vb_gguf_shape *t)
{
    static float x[CHUNK / sizeof(float)];
    vb_weights random;
    vb_weights_start(&random, t->format, j->seed, t->name, 0.1f);
    vb_weights_fill(&random, (uint8_t *)x, (int64_t)t->ne[0]);
    for (uint64_t i = 0; i < t->ne[0]; i++) x[i] += centre_of(t->name);
    vb_gguf_write(&j->w, x, t->ne[0] * sizeof x[0]);
}

static void write_matrix(job *j, const vb_gguf_shape *t, vb_progress *progress)
{
    static uint8_t chunk[CHUNK];
    vb_weights random;
    uint64_t left = vb_gguf_shape_bytes(t), most = CHUNK / (uint64_t)t->format->bytes * (uint64_t)t->format->bytes;
    vb_weights_start(&random, t->format, j->seed, t->name, 1.0f / sqrtf((float)t->ne[0]));
    while (left > 0 && j->w.status == VB_OK) {
        uint64_t n = left < most ? left : most;
        vb_weights_fill(&random, chunk, (int64_t)n / t->format->bytes);
        vb_gguf_write(&j->w, chunk, n);
        vb_progress_add(progress, n);
        left -= n;
    }
}

static void write_tensors(job *j)
{
    uint64_t total = 0;
    for (int i = 0; i < j->n_tensors; i++)
        if (j->tensors[i].n_dims > 1) total += vb_gguf_shape_bytes(&j->tensors[i]);
    vb_progress progress = vb_progress_start(j->w.path, total);
    for (int i = 0; i < j->n_tensors; i++) {
        const vb_gguf_shape *t = &j->tensors[i];
        if (t->n_dims > 1)
            write_matrix(j, t, &progress);
        else if (strcmp(t->name, "rope_freqs.weight") == 0)
            (j->g != NULL ? write_proportional_rope : write_rope)(j);
        else
            write_vector(j, t);
    }
}

static vb_status make(job *j, const char *path, const char *vocab, vb_err *err)
{
    vb_gguf *from = NULL;
    vb_status status = VB_OK;
    vb_gguf_writer_open(&j->w, path);
    if (vocab != NULL) {
        VB_TRY_OUT(status, vb_gguf_open(&from, vocab, err));
        VB_TRY_OUT(status, vb_vocab_copy(&j->w, from, &j->s.vocab, err));
    } else {
        vb_vocab_invent(&j->w, j->s.vocab);
    }
    put_keys(j);
    list_tensors(j);
    for (int i = 0; i < j->n_tensors; i++) vb_gguf_put_tensor(&j->w, &j->tensors[i]);
    write_tensors(j);
out:
    if (status < 0) vb_gguf_writer_drop(&j->w);
    vb_gguf_close(from);
    return status < 0 ? status : vb_gguf_writer_close(&j->w, err);
}

/* --- the command line ---------------------------------------------------------------------------------------- */

static int usage(void)
{
    fprintf(stderr, "usage: mkmodel SHAPE [--format F] [--seed N] [--layers N] [--context N] [--vocab FROM.gguf] "
                    "-o FILE.gguf\n       SHAPE:");
    for (int i = 0; i < SHAPES; i++) fprintf(stderr, " %s", shapes[i].name);
    fprintf(stderr, "\n       F: Q4_K_M (default), Q5_K_M, MIXED, Q4_0, Q8_0, F16, BF16, F32, ...\n");
    return 2;
}

static const char *option(int argc, char **argv, const char *name, const char *otherwise)
{
    for (int i = 2; i + 1 < argc; i += 2)
        if (strcmp(argv[i], name) == 0) return argv[i + 1];
    return otherwise;
}

static int all_known(int argc, char **argv)
{
    static const char *const known[] = {"--format", "--seed", "--layers", "--context", "--vocab", "-o"};
    for (int i = 2; i < argc; i += 2) {
        size_t k = 0;
        while (k < sizeof known / sizeof known[0] && strcmp(argv[i], known[k]) != 0) k++;
        if (k == sizeof known / sizeof known[0] || i + 1 == argc) return 0;
    }
    return 1;
}

static vb_status number(const char *name, const char *text, int most, int *out, vb_err *err)
{
    char *end;
    if (text == NULL) return VB_OK;
    long value = strtol(text, &end, 10);
    if (*text == 0 || *end != 0 || value < 1 || value > most)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: expected 1 to %d, found %s", name, most, text);
    *out = (int)value;
    return VB_OK;
}

static vb_status run(job *j, int argc, char **argv, vb_err *err)
{
    int seed = 1;
    for (int i = 0; i < SHAPES; i++)
        if (strcmp(argv[1], shapes[i].name) == 0) j->s = shapes[i];
    for (size_t i = 0; i < sizeof gemma4s / sizeof gemma4s[0]; i++)
        if (strcmp(argv[1], gemma4s[i].name) == 0) j->g = &gemma4s[i];
    for (size_t i = 0; i < sizeof qwen35s / sizeof qwen35s[0]; i++)
        if (strcmp(argv[1], qwen35s[i].name) == 0) j->q = &qwen35s[i];
    if (j->s.name == NULL) VB_FAIL(err, VB_E_ARGUMENT, "%s: no such shape", argv[1]);
    VB_TRY(mix_of(&j->f, option(argc, argv, "--format", "Q4_K_M"), err));
    VB_TRY(number("--seed", option(argc, argv, "--seed", NULL), 1 << 30, &seed, err));
    VB_TRY(number("--layers", option(argc, argv, "--layers", NULL), 1000, &j->s.layers, err));
    VB_TRY(number("--context", option(argc, argv, "--context", NULL), 1 << 30, &j->s.context, err));
    j->seed = (uint64_t)seed;
    j->tensors = calloc(MOST_TENSORS, sizeof *j->tensors);
    if (j->tensors == NULL) VB_FAIL(err, VB_E_MEMORY, "mkmodel: out of memory");
    return make(j, option(argc, argv, "-o", NULL), option(argc, argv, "--vocab", NULL), err);
}

int main(int argc, char **argv)
{
    static job j;
    vb_err err;
    if (argc < 2 || !all_known(argc, argv) || option(argc, argv, "-o", NULL) == NULL) return usage();
    vb_status status = run(&j, argc, argv, &err);
    free(j.tensors);
    if (status < 0) fprintf(stderr, "mkmodel: %s\n", err.text);
    return status < 0;
}
