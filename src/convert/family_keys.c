/* family_keys.c - what each family's files say about themselves.
 *
 * Most say what vb_keys_usual takes from the settings, and something of their own. Names and values are those of
 * llama.cpp's converter, so that a file from here is read wherever one from there is.
 */
#include "convert/family_keys.h"

#include "base/canon64.h"
#include "base/os.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS_MOST = 4096, FURTHER_MOST = 64, BLOCKS_MOST = LAYERS_MOST + FURTHER_MOST };

/* --- settings that several ask for ----------------------------------------------------------------------------- */

int vb_layers_of(vb_keys *k)
{
    vb_err err;
    int64_t n = 0;
    if (k->status < 0) return 0;
    vb_status status = vb_setting_int(k->folder, "num_hidden_layers|n_layers|n_layer|num_layers", 1, LAYERS_MOST, &n,
                                      &err);
    if (status == VB_OK) return (int)n;
    k->status = status == VB_E_NOT_FOUND ? VB_E_FORMAT : status;
    k->err = err;
    return 0;
}

/* Counted in the tensors: folders that were trained further often state such blocks and do not have them. */
int vb_further_of(const vb_folder *f)
{
    static const char *const names[] = {"mtp.layers.%d.input_layernorm.weight",
                                        "model.mtp.layers.%d.input_layernorm.weight"};
    char name[96];
    for (int n = 0;; n++) {
        int there = 0;
        for (int i = 0; i < 2; i++) {
            snprintf(name, sizeof name, names[i], n);
            there |= vb_source_find(f->source, name) != NULL;
        }
        if (!there || n == FURTHER_MOST) return n;
    }
}

int vb_layer_is(const vb_folder *f, int i, const char *kind)
{
    const char *text = json_string_value(json_array_get(json_object_get(f->config, "layer_types"), (size_t)i));
    return text != NULL && strcmp(text, kind) == 0;
}

const json_t *vb_rope_setting(const vb_folder *f, const char *names)
{
    const json_t *all = vb_setting(f->config, "rope_parameters|rope_scaling");
    const json_t *full = json_object_get(all, "full_attention");
    const json_t *found = vb_setting(full != NULL ? full : all, names);
    if (found != NULL) return found;
    if (strcmp(names, "rope_theta") == 0)
        return vb_setting(f->config,
                          "global_rope_theta|rope_global_theta|rope_theta_global|rope_theta|rotary_emb_base");
    if (strcmp(names, "partial_rotary_factor") == 0)
        return vb_setting(f->config, "partial_rotary_factor|rope_pct|rope_percent");
    if (strcmp(names, "original_max_position_embeddings") == 0) return vb_setting(f->config, names);
    return NULL;
}

static double rope_real(const vb_keys *k, const char *names, double otherwise)
{
    const json_t *value = vb_rope_setting(k->folder, names);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

/* A number of tokens among the settings of positions. */
static int64_t rope_context(vb_keys *k, double otherwise)
{
    double n = rope_real(k, "original_max_position_embeddings", otherwise);
    if (n >= 0.0 && n < 4294967296.0) return (int64_t)n;
    k->status = vb_fail(&k->err, VB_E_FORMAT,
                        "%s/config.json: original_max_position_embeddings: expected a number of tokens, "
                        "found another", k->folder->path);
    return 0;
}

int64_t vb_rotating(vb_keys *k, double otherwise, int64_t width)
{
    double part = rope_real(k, "partial_rotary_factor", otherwise);
    if (part >= 0.0 && part <= 1.0) return (int64_t)(part * (double)width);
    if (k->status == VB_OK)
        k->status = vb_fail(&k->err, VB_E_FORMAT,
                            "%s/config.json: partial_rotary_factor: expected a number from 0 to 1, found "
                            "another", k->folder->path);
    return 0;
}

int64_t vb_head_width(vb_keys *k)
{
    int64_t heads = vb_key_int(k, "num_attention_heads|n_head|num_heads|n_heads", 1);
    return vb_key_int(k, "head_dim", vb_key_int(k, "hidden_size|n_embd|dim", 0) / (heads > 0 ? heads : 1));
}

/* --- positions ------------------------------------------------------------------------------------------------- */

static void take_rope(vb_keys *k, const char *name, const char *names)
{
    const json_t *value = vb_rope_setting(k->folder, names);
    if (json_is_number(value)) vb_key_f32(k, name, json_number_value(value));
}

/* By how much yarn makes scores larger. Readers take it from the factor, and times attn_factor where that is not all. */
static void put_yarn_attention(vb_keys *k)
{
    double more = 0.1 * c64_log(fmax(rope_real(k, "factor", 1.0), 1.0)), usual = more + 1.0;
    double some = rope_real(k, "mscale", 0.0), all = rope_real(k, "mscale_all_dim", 0.0);
    double inferred = some > 0.0 && all > 0.0 ? (some * more + 1.0) / (all * more + 1.0) : usual;
    double wanted = rope_real(k, "attention_factor|attn_factor", inferred);
    if (fabs(wanted - usual) > 1e-6 * usual) vb_key_f32(k, "rope.scaling.attn_factor", wanted / usual);
    else take_rope(k, "rope.scaling.yarn_attn_factor", "attention_factor|attn_factor");
}

static void put_yarn(vb_keys *k)
{
    vb_key_text(k, "rope.scaling.type", "yarn");
    take_rope(k, "rope.scaling.factor", "factor");
    int64_t context = rope_context(k, 0.0);
    if (context > 0) vb_key_u32(k, "rope.scaling.original_context_length", context);
    take_rope(k, "rope.scaling.yarn_ext_factor", "extrapolation_factor");
    put_yarn_attention(k);
    take_rope(k, "rope.scaling.yarn_beta_fast", "beta_fast");
    take_rope(k, "rope.scaling.yarn_beta_slow", "beta_slow");
}

/* The other kinds that are known have tensors of their own (llama3, proportional) or change nothing (default). */
static void put_scaling(vb_keys *k)
{
    const char *kind = json_string_value(vb_rope_setting(k->folder, "rope_type|type"));
    int factor = vb_rope_setting(k->folder, "factor") != NULL;
    if (k->status < 0 || kind == NULL || strcmp(kind, "default") == 0 || strcmp(kind, "llama3") == 0) return;
    if (strcmp(kind, "proportional") == 0) return;
    if (strcmp(kind, "linear") == 0 && factor) {
        vb_key_text(k, "rope.scaling.type", "linear");
        take_rope(k, "rope.scaling.factor", "factor");
    } else if (strcmp(kind, "yarn") == 0 && factor) {
        put_yarn(k);
    } else {
        k->status = vb_fail(&k->err, VB_E_UNSUPPORTED,
                            "%s/config.json: rope_scaling: expected default, linear, llama3, yarn, "
                            "longrope (phi3) or proportional, found '%.40s'", k->folder->path, kind);
    }
}

static void put_rope(vb_keys *k)
{
    put_scaling(k);
    take_rope(k, "rope.freq_base", "rope_theta");
    const json_t *local = vb_setting(k->folder->config, "rope_parameters.sliding_attention.rope_theta|local_rope_theta|"
                                     "rope_local_theta|rope_theta_local|swa_rope_theta|rope_local_base_freq");
    if (json_is_number(local)) vb_key_f32(k, "rope.freq_base_swa", json_number_value(local));
}

/* Three kinds of positions of images and texts, of which a fourth number is left for more. */
static void put_sections(vb_keys *k, const int32_t *otherwise)
{
    const json_t *list = vb_rope_setting(k->folder, "mrope_section");
    int32_t four[4] = {0, 0, 0, 0};
    if (!json_is_array(list) && otherwise == NULL) return;
    for (size_t i = 0; i < 4; i++)
        four[i] = json_is_array(list) ? (int32_t)json_integer_value(json_array_get(list, i)) : otherwise[i];
    vb_key_array(k, "rope.dimension_sections", VB_GGUF_I32, four, 4);
}

/* --- what most families say ------------------------------------------------------------------------------------ */

void vb_keys_usual(vb_keys *k)
{
    vb_key_u32(k, "block_count", k->layers);
    vb_key_take_u32(k, "context_length", "max_position_embeddings|n_ctx|n_positions|max_length|max_sequence_length|"
                    "model_max_length");
    vb_key_need_u32(k, "embedding_length", "hidden_size|n_embd|dim");
    vb_key_take_u32(k, "feed_forward_length", "intermediate_size|n_inner|hidden_dim");
    vb_key_need_u32(k, "attention.head_count", "num_attention_heads|n_head|n_heads");
    vb_key_take_u32(k, "attention.head_count_kv", "num_key_value_heads|n_kv_heads");
    put_rope(k);
    put_sections(k, NULL);
    vb_key_take_f32(k, "attention.layer_norm_rms_epsilon", "rms_norm_eps|norm_eps");
    vb_key_take_f32(k, "attention.layer_norm_epsilon", "layer_norm_eps|layer_norm_epsilon|norm_epsilon");
    vb_key_take_u32(k, "expert_count", "num_local_experts|num_experts|n_routed_experts");
    vb_key_take_u32(k, "expert_used_count", "num_experts_per_tok|num_experts_per_token|top_k_experts");
    vb_key_take_u32(k, "attention.key_length", "head_dim");
    vb_key_take_u32(k, "attention.value_length", "head_dim");
}

void vb_keys_llama(vb_keys *k)
{
    vb_keys_usual(k);
    vb_key_need_u32(k, "vocab_size", "vocab_size");
    vb_key_u32(k, "rope.dimension_count", vb_head_width(k));
    if (strcmp(k->folder->class_name, "LlamaForCausalLM") != 0) return; /* whose size of a head is always stated */
    vb_key_u32(k, "attention.key_length", vb_head_width(k));
    vb_key_u32(k, "attention.value_length", vb_head_width(k));
}

void vb_keys_granite(vb_keys *k)
{
    vb_keys_llama(k);
    vb_key_take_f32(k, "attention.scale", "attention_multiplier");
    vb_key_take_f32(k, "embedding_scale", "embedding_multiplier");
    vb_key_take_f32(k, "residual_scale", "residual_multiplier");
    vb_key_take_f32(k, "logit_scale", "logits_scaling");
}

void vb_keys_routed(vb_keys *k)
{
    vb_keys_usual(k);
    vb_key_take_u32(k, "expert_feed_forward_length", "moe_intermediate_size");
    vb_key_take_u32(k, "expert_shared_feed_forward_length", "shared_expert_intermediate_size");
}

void vb_keys_olmoe(vb_keys *k)
{
    vb_keys_usual(k);
    vb_key_f32(k, "attention.layer_norm_rms_epsilon", vb_key_real(k, "rms_norm_eps", 1e-5));
}

/* Of each layer whether it has a window; by layer_types, else all but each fourth. */
static void put_window_layers(vb_keys *k, int every)
{
    int32_t local[BLOCKS_MOST];
    int listed = json_is_array(json_object_get(k->folder->config, "layer_types"));
    for (int i = 0; i < k->layers; i++)
        local[i] = listed ? vb_layer_is(k->folder, i, "sliding_attention") : (i + 1) % every != 0;
    vb_key_array(k, "attention.sliding_window_pattern", VB_GGUF_BOOL, local, k->layers);
}

/* Where others have a window than all but each `every`-th, which readers take for granted. */
static void put_other_windows(vb_keys *k, int every)
{
    int same = 1;
    if (!json_is_array(json_object_get(k->folder->config, "layer_types"))) return;
    for (int i = 0; i < k->layers; i++)
        same &= vb_layer_is(k->folder, i, "sliding_attention") == ((i + 1) % every != 0);
    if (!same) put_window_layers(k, every);
}

void vb_keys_olmo2(vb_keys *k)
{
    vb_keys_usual(k);
    if (vb_setting(k->folder->config, "sliding_window") == NULL) return;
    vb_key_take_u32(k, "attention.sliding_window", "sliding_window");
    put_window_layers(k, 4);
}

void vb_keys_gpt_oss(vb_keys *k)
{
    vb_keys_usual(k);
    vb_key_need_u32(k, "attention.sliding_window", "sliding_window");
    vb_key_need_u32(k, "expert_feed_forward_length", "intermediate_size");
    put_other_windows(k, 2);
}

void vb_keys_phi3(vb_keys *k)
{
    int64_t context = vb_key_int(k, "max_position_embeddings", 4096), width = vb_key_int(k, "hidden_size", 0);
    int64_t heads = vb_key_int(k, "num_attention_heads", 1);
    vb_key_u32(k, "context_length", context);
    vb_key_u32(k, "rope.scaling.original_context_length", rope_context(k, (double)context));
    vb_key_need_u32(k, "embedding_length", "hidden_size");
    vb_key_need_u32(k, "feed_forward_length", "intermediate_size");
    vb_key_u32(k, "block_count", k->layers);
    vb_key_need_u32(k, "attention.head_count", "num_attention_heads");
    vb_key_take_u32(k, "attention.head_count_kv", "num_key_value_heads");
    vb_key_need_f32(k, "attention.layer_norm_rms_epsilon", "rms_norm_eps");
    vb_key_u32(k, "rope.dimension_count", vb_rotating(k, 1.0, width) / (heads > 0 ? heads : 1));
    take_rope(k, "rope.freq_base", "rope_theta");
    vb_key_u32(k, "attention.sliding_window", vb_key_int(k, "sliding_window", 0));
}

/* --- GPT ------------------------------------------------------------------------------------------------------- */

void vb_keys_gpt2(vb_keys *k)
{
    int64_t width = vb_key_int(k, "n_embd", 0);
    vb_key_u32(k, "block_count", k->layers);
    vb_key_need_u32(k, "context_length", "n_ctx|n_positions");
    vb_key_need_u32(k, "embedding_length", "n_embd");
    vb_key_u32(k, "feed_forward_length", vb_key_int(k, "n_inner", 4 * width));
    vb_key_need_u32(k, "attention.head_count", "n_head");
    vb_key_need_f32(k, "attention.layer_norm_epsilon", "layer_norm_epsilon");
}

/* Which layers see a window: a list, or an older one of patterns and how often each is repeated. */
static int is_local(const vb_folder *f, int layer)
{
    const json_t *list = json_object_get(f->config, "attention_layers"), *kinds, *pattern;
    size_t i, at = (size_t)layer;
    if (json_is_array(list)) {
        const char *kind = json_string_value(json_array_get(list, at));
        return kind != NULL && strcmp(kind, "local") == 0;
    }
    json_array_foreach(json_object_get(f->config, "attention_types"), i, pattern) {
        kinds = json_array_get(pattern, 0);
        size_t n = json_array_size(kinds), all = n * (size_t)json_integer_value(json_array_get(pattern, 1));
        const char *kind = n > 0 && at < all ? json_string_value(json_array_get(kinds, at % n)) : NULL;
        if (kind != NULL) return strcmp(kind, "local") == 0;
        at -= at < all ? at : all;
    }
    return 0;
}

void vb_keys_gptneo(vb_keys *k)
{
    int32_t local[BLOCKS_MOST];
    int64_t width = vb_key_int(k, "hidden_size", 0);
    for (int i = 0; i < k->layers; i++) local[i] = is_local(k->folder, i);
    vb_key_u32(k, "block_count", k->layers);
    vb_key_need_u32(k, "context_length", "max_position_embeddings");
    vb_key_need_u32(k, "embedding_length", "hidden_size");
    vb_key_u32(k, "feed_forward_length", vb_key_int(k, "intermediate_size", 4 * width));
    vb_key_need_u32(k, "attention.head_count", "num_heads");
    vb_key_need_f32(k, "attention.layer_norm_epsilon", "layer_norm_epsilon");
    vb_key_f32(k, "attention.scale", 1.0);
    vb_key_need_u32(k, "attention.sliding_window", "window_size");
    vb_key_array(k, "attention.sliding_window_pattern", VB_GGUF_BOOL, local, k->layers);
}

void vb_keys_gptneox(vb_keys *k)
{
    double base = rope_real(k, "rope_theta", 10000.0);
    vb_key_need_u32(k, "context_length", "max_position_embeddings");
    vb_key_need_u32(k, "embedding_length", "hidden_size");
    vb_key_u32(k, "block_count", k->layers);
    vb_key_need_u32(k, "feed_forward_length", "intermediate_size");
    vb_key_u32(k, "rope.dimension_count", vb_rotating(k, vb_key_real(k, "rotary_pct", 0.25), vb_head_width(k)));
    vb_key_need_u32(k, "attention.head_count", "num_attention_heads");
    vb_key_bool(k, "use_parallel_residual", !json_is_false(vb_setting(k->folder->config, "use_parallel_residual")));
    vb_key_need_f32(k, "attention.layer_norm_epsilon", "layer_norm_eps");
    if (base != 10000.0) vb_key_f32(k, "rope.freq_base", base);
    put_scaling(k);
}

/* --- Gemma ----------------------------------------------------------------------------------------------------- */

/* Scores are divided by the root of a number of their own; readers know that of the largest model by its layers. */
static void put_query_scale(vb_keys *k, int largest)
{
    int64_t heads = vb_key_int(k, "num_attention_heads", 1), head = vb_head_width(k);
    double usual = (double)(k->layers == largest && heads > 0 ? vb_key_int(k, "hidden_size", 0) / heads : head);
    double wanted = vb_key_real(k, "query_pre_attn_scalar", usual);
    if (wanted > 0.0 && wanted != usual) vb_key_f32(k, "attention.scale", 1.0 / sqrt(wanted));
}

void vb_keys_gemma(vb_keys *k)
{
    vb_key_need_u32(k, "context_length", "max_position_embeddings");
    vb_key_need_u32(k, "embedding_length", "hidden_size");
    vb_key_u32(k, "block_count", k->layers);
    vb_key_need_u32(k, "feed_forward_length", "intermediate_size");
    vb_key_need_u32(k, "attention.head_count", "num_attention_heads");
    vb_key_need_u32(k, "attention.head_count_kv", "num_key_value_heads|num_attention_heads");
    vb_key_need_f32(k, "attention.layer_norm_rms_epsilon", "rms_norm_eps");
    vb_key_need_u32(k, "attention.key_length", "head_dim");
    vb_key_need_u32(k, "attention.value_length", "head_dim");
    if (rope_real(k, "rope_theta", 10000.0) != 10000.0) take_rope(k, "rope.freq_base", "rope_theta");
    put_scaling(k);
}

void vb_keys_gemma2(vb_keys *k)
{
    vb_keys_gemma(k);
    vb_key_take_f32(k, "attn_logit_softcapping", "attn_logit_softcapping");
    vb_key_take_f32(k, "final_logit_softcapping", "final_logit_softcapping");
    vb_key_need_u32(k, "attention.sliding_window", "sliding_window");
    put_other_windows(k, 2);
    put_query_scale(k, 46);
}

void vb_keys_gemma3(vb_keys *k)
{
    vb_keys_usual(k);
    if (strcmp(k->arch, "gemma3") == 0) put_query_scale(k, 62);
    if (strcmp(k->arch, "gemma3") == 0) put_other_windows(k, 6);
    vb_key_take_f32(k, "final_logit_softcapping", "final_logit_softcapping");
    if (vb_key_int(k, "sliding_window_pattern", 0) != 1)
        vb_key_need_u32(k, "attention.sliding_window", "sliding_window");
}

/* Newer folders say so where they say what single layers have of their own. */
static int64_t of_full_layers(vb_keys *k, const char *name, const char *older, int64_t otherwise)
{
    const char *layer;
    json_t *own;
    json_object_foreach(json_object_get(k->folder->config, "per_layer_config"), layer, own) {
        const json_t *value = json_object_get(own, name);
        json_int_t n = json_integer_value(value);
        if (json_is_integer(value) && n > 0 && n <= UINT32_MAX) return n;
    }
    return vb_key_int(k, older, otherwise);
}

int64_t vb_global_head_width(vb_keys *k)
{
    return of_full_layers(k, "head_dim", "global_head_dim", 512);
}

/* Heads that read keys and values in layers with a window and in the others differ in number. */
static void put_kv_heads(vb_keys *k)
{
    int32_t heads[BLOCKS_MOST];
    int64_t local = vb_key_int(k, "num_key_value_heads", 0), global = of_full_layers(k, "num_key_value_heads", "num_global_key_value_heads", -1);
    if (global < 0 || local == 0) return;
    for (int i = 0; i < k->layers; i++)
        heads[i] = (int32_t)(vb_layer_is(k->folder, i, "sliding_attention") ? local : global);
    vb_key_array(k, "attention.head_count_kv", VB_GGUF_I32, heads, k->layers);
}

static void put_double_widths(vb_keys *k, int64_t shared)
{
    int32_t widths[BLOCKS_MOST];
    int64_t ff = vb_key_int(k, "intermediate_size", 0);
    if (!json_is_true(vb_setting(k->folder->config, "use_double_wide_mlp"))) return;
    for (int i = 0; i < k->layers; i++) widths[i] = (int32_t)(i < k->layers - shared ? ff : 2 * ff);
    vb_key_array(k, "feed_forward_length", VB_GGUF_I32, widths, k->layers);
}

void vb_keys_gemma4(vb_keys *k)
{
    int64_t shared = vb_key_int(k, "num_kv_shared_layers", 0), global = vb_global_head_width(k);
    int64_t local = vb_key_int(k, "head_dim", 256);
    vb_keys_gemma3(k);
    vb_key_u32(k, "attention.shared_kv_layers", shared);
    vb_key_u32(k, "embedding_length_per_layer_input", vb_key_int(k, "hidden_size_per_layer_input", 0));
    put_window_layers(k, 6);
    vb_key_u32(k, "attention.key_length", global);
    vb_key_u32(k, "attention.value_length", global);
    vb_key_u32(k, "attention.key_length_swa", local);
    vb_key_u32(k, "attention.value_length_swa", local);
    vb_key_take_u32(k, "expert_feed_forward_length", "expert_intermediate_size|moe_intermediate_size");
    put_double_widths(k, shared);
    put_kv_heads(k);
    vb_key_u32(k, "rope.dimension_count", global);
    vb_key_u32(k, "rope.dimension_count_swa", local);
}

/* --- Qwen ------------------------------------------------------------------------------------------------------ */

/* A small file of JSON in the folder; NULL: there is none, or it is none, which is a failure. */
static json_t *small_json(vb_keys *k, const char *name)
{
    char path[4400], *text = NULL;
    size_t size = 0;
    json_error_t why;
    snprintf(path, sizeof path, "%s/%.255s", k->folder->path, name);
    if (k->status < 0 || vb_file_read(path, 1 << 20, &text, &size, NULL) < 0) return NULL;
    json_t *value = json_loadb(text, size, 0, &why);
    if (value == NULL) k->status = vb_fail(&k->err, VB_E_FORMAT, "%.300s: expected JSON, found %.100s", path, why.text);
    free(text);
    return value;
}

/* Models that are made for embeddings say in modules.json how a text's rows become one. */
static void put_pooling(vb_keys *k)
{
    static const char *const kinds[] = {"pooling_mode_mean_tokens", "pooling_mode_cls_token", "pooling_mode_lasttoken"};
    static const char *const names[] = {"mean", "cls", "lasttoken"};
    char name[256] = "";
    json_t *modules = small_json(k, "modules.json"), *module, *pooling = NULL;
    size_t i;
    json_array_foreach(modules, i, module) {
        const char *kind = json_string_value(json_object_get(module, "type"));
        const char *folder = json_string_value(json_object_get(module, "path"));
        size_t len = kind != NULL ? strlen(kind) : 0;
        int pools = len >= 7 && strcmp(kind + len - 7, "Pooling") == 0 && folder != NULL;
        if (pools && name[0] == '\0' && strchr(folder, '/') == NULL)
            snprintf(name, sizeof name, "%.200s/config.json", folder);
    }
    if (name[0] != '\0') pooling = small_json(k, name);
    for (int n = 2; n >= 0; n--)
        if (json_is_true(json_object_get(pooling, kinds[n])) || vb_setting_is(pooling, "pooling_mode", names[n]))
            vb_key_u32(k, "pooling_type", n + 1);
    json_decref(pooling);
    json_decref(modules);
}

void vb_keys_qwen(vb_keys *k)
{
    vb_keys_usual(k);
    put_pooling(k);
}

static void put_recurrent_layers(vb_keys *k, int layers)
{
    int32_t recurrent[BLOCKS_MOST];
    if (!json_is_array(json_object_get(k->folder->config, "layer_types"))) return;
    for (int i = 0; i < k->layers; i++) recurrent[i] = i < layers && vb_layer_is(k->folder, i, "linear_attention");
    vb_key_array(k, "attention.recurrent_layers", VB_GGUF_BOOL, recurrent, k->layers);
}

void vb_keys_qwen35(vb_keys *k)
{
    static const int32_t sections[4] = {11, 11, 10, 0};
    int layers = vb_layers_of(k);
    vb_keys_routed(k);
    vb_key_need_u32(k, "ssm.conv_kernel", "linear_conv_kernel_dim");
    vb_key_need_u32(k, "ssm.state_size", "linear_key_head_dim");
    vb_key_need_u32(k, "ssm.group_count", "linear_num_key_heads");
    vb_key_need_u32(k, "ssm.time_step_rank", "linear_num_value_heads");
    int64_t values = vb_key_int(k, "linear_num_value_heads", 0);
    vb_key_u32(k, "ssm.inner_size", vb_key_int(k, "linear_value_head_dim", 0) * values);
    put_recurrent_layers(k, layers);
    vb_key_u32(k, "full_attention_interval", vb_key_int(k, "full_attention_interval", 4));
    vb_key_u32(k, "rope.dimension_count", vb_rotating(k, 0.25, vb_head_width(k)));
    if (k->layers > layers) vb_key_u32(k, "nextn_predict_layers", k->layers - layers);
    put_sections(k, sections);
}

/* --- encoders -------------------------------------------------------------------------------------------------- */

void vb_keys_encoder(vb_keys *k)
{
    vb_keys_usual(k);
    vb_key_bool(k, "attention.causal", 0);
    put_pooling(k);
}

/* Made for more positions than it was trained with. */
void vb_keys_nomic(vb_keys *k)
{
    int64_t most = vb_key_int(k, "n_positions", 8192), trained = vb_key_int(k, "max_trained_positions", 2048);
    vb_keys_encoder(k);
    vb_key_u32(k, "context_length", most > trained && trained > 0 ? trained : most);
}
