/* families.c - the families as data: architecture, rules, settings that folders leave out, keys. */
#include "convert/families.h"

#include "convert/family_keys.h"

#include <string.h>

#include "convert/rules.inc"

#define RULES(...) (const vb_rule *const[]){__VA_ARGS__, NULL}

const vb_family vb_family_bert = {
    .arch = "bert", .curve = "gelu",
    .rules = RULES(bert), .keys = vb_keys_encoder, .tied = 1,
    .defaults = "{\"max_position_embeddings\": 512, \"layer_norm_eps\": 1e-12, \"type_vocab_size\": 2}",
};
const vb_family vb_family_nomic_bert = {
    .arch = "nomic-bert", .curve = "swiglu|silu",
    .rules = RULES(nomic_bert), .keys = vb_keys_nomic, .tied = 1,
    .defaults = "{\"rotary_emb_base\": 1000, \"max_trained_positions\": 2048, \"type_vocab_size\": 2}",
};
const vb_family vb_family_gemma = {
    .arch = "gemma", .curve = "gelu_pytorch_tanh|gelu",
    .rules = RULES(outer, norms, attention, gated), .keys = vb_keys_gemma, .plus_one = 1, .tied = 1,
    .defaults = "{\"max_position_embeddings\": 8192, \"rms_norm_eps\": 1e-6, \"head_dim\": 256}",
};
const vb_family vb_family_gemma2 = {
    .arch = "gemma2", .curve = "gelu_pytorch_tanh",
    .rules = RULES(outer, four_norms, attention, gated), .keys = vb_keys_gemma2, .plus_one = 1, .tied = 1,
    .defaults = "{\"max_position_embeddings\": 8192, \"rms_norm_eps\": 1e-6, \"head_dim\": 256, \"sliding_window\": 4096,"
                " \"attn_logit_softcapping\": 50.0, \"final_logit_softcapping\": 30.0}",
};
const vb_family vb_family_gemma3 = {
    .arch = "gemma3", .curve = "gelu_pytorch_tanh",
    .rules = RULES(outer, four_norms, attention, head_norms, gated), .keys = vb_keys_gemma3,
    .plus_one = 1, .tied = 1,
    .defaults = "{\"hidden_size\": 2304, \"intermediate_size\": 9216, \"num_hidden_layers\": 26, \"num_attention_heads\": 8,"
                " \"num_key_value_heads\": 4, \"head_dim\": 256, \"max_position_embeddings\": 131072, \"rms_norm_eps\": 1e-6,"
                " \"sliding_window\": 4096, \"rope_theta\": 1000000.0, \"rope_local_base_freq\": 10000.0}",
};
const vb_family vb_family_gemma4 = {
    .arch = "gemma4", .curve = "gelu_pytorch_tanh",
    .rules = RULES(outer, four_norms, gemma4), .keys = vb_keys_gemma4, .tied = 1,
    .defaults = "{\"max_position_embeddings\": 131072, \"rms_norm_eps\": 1e-6, \"sliding_window\": 512, \"head_dim\": 256,"
                " \"global_head_dim\": 512, \"num_kv_shared_layers\": 0}",
};
const vb_family vb_family_gpt_oss = {
    .arch = "gpt-oss", .curve = "silu|swish",
    .rules = RULES(outer, attention, biases, gpt_oss), .keys = vb_keys_gpt_oss,
    .defaults = "{\"rms_norm_eps\": 1e-5, \"head_dim\": 64, \"sliding_window\": 128, \"rope_theta\": 150000.0}",
};
const vb_family vb_family_gpt2 = {
    .arch = "gpt2", .curve = "gelu_new|gelu_pytorch_tanh",
    .rules = RULES(gpt_outer, gpt2), .keys = vb_keys_gpt2, .tied = 1,
    .defaults = "{\"n_positions\": 1024, \"layer_norm_epsilon\": 1e-5}",
};
const vb_family vb_family_gptneo = {
    .arch = "gptneo", .curve = "gelu_new|gelu_pytorch_tanh",
    .rules = RULES(gpt_outer, gptneo), .keys = vb_keys_gptneo, .tied = 1,
    .defaults = "{\"max_position_embeddings\": 2048, \"layer_norm_epsilon\": 1e-5, \"window_size\": 256}",
};
const vb_family vb_family_gptneox = {
    .arch = "gptneox", .curve = "gelu",
    .rules = RULES(gptneox), .keys = vb_keys_gptneox,
    .defaults = "{\"max_position_embeddings\": 2048, \"layer_norm_eps\": 1e-5}",
};
const vb_family vb_family_granite = {
    .arch = "granite", .curve = "silu|swish",
    .rules = RULES(outer, norms, attention, biases, gated), .keys = vb_keys_granite, .pairs = 1,
    .defaults = "{\"max_position_embeddings\": 2048, \"rms_norm_eps\": 1e-6, \"rope_theta\": 10000.0}",
};
const vb_family vb_family_llama = {
    .arch = "llama", .curve = "silu|swish",
    .rules = RULES(outer, norms, attention, biases, gated, mixtral), .keys = vb_keys_llama, .pairs = 1,
    .defaults = "{\"max_position_embeddings\": 2048, \"rms_norm_eps\": 1e-6, \"rope_theta\": 10000.0}",
};
const vb_family vb_family_olmo2 = {
    .arch = "olmo2", .curve = "silu|swish",
    .rules = RULES(outer, post_norms, attention, whole_norms, gated), .keys = vb_keys_olmo2,
    .defaults = "{\"max_position_embeddings\": 2048, \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0}",
};
const vb_family vb_family_olmoe = {
    .arch = "olmoe", .curve = "silu|swish",
    .rules = RULES(outer, norms, attention, whole_norms, experts), .keys = vb_keys_olmoe,
    .defaults = "{\"max_position_embeddings\": 4096, \"rope_theta\": 10000.0, \"num_experts\": 64, \"num_experts_per_tok\": 8}",
};
const vb_family vb_family_phi3 = {
    .arch = "phi3", .curve = "silu|swish",
    .rules = RULES(outer, norms, fused), .keys = vb_keys_phi3,
    .defaults = "{\"max_position_embeddings\": 4096, \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0}",
};
const vb_family vb_family_qwen2 = {
    .arch = "qwen2", .curve = "silu|swish",
    .rules = RULES(outer, norms, attention, biases, gated), .keys = vb_keys_qwen,
    .defaults = "{\"max_position_embeddings\": 32768, \"rms_norm_eps\": 1e-6, \"rope_theta\": 10000.0}",
};
const vb_family vb_family_qwen3 = {
    .arch = "qwen3", .curve = "silu|swish",
    .rules = RULES(outer, norms, attention, biases, head_norms, gated), .keys = vb_keys_qwen,
    .defaults = "{\"max_position_embeddings\": 32768, \"rms_norm_eps\": 1e-6, \"rope_theta\": 10000.0, \"head_dim\": 128}",
};
const vb_family vb_family_qwen35 = {
    .arch = "qwen35", .curve = "silu|swish",
    .rules = RULES(outer, qwen35, gated, further), .keys = vb_keys_qwen35, .plus_one = 1,
    .defaults = "{\"max_position_embeddings\": 32768, \"rms_norm_eps\": 1e-6, \"head_dim\": 256}",
};
const vb_family vb_family_qwen35moe = {
    .arch = "qwen35moe", .curve = "silu|swish",
    .rules = RULES(outer, qwen35, experts, shared, further), .keys = vb_keys_qwen35, .plus_one = 1,
    .defaults = "{\"max_position_embeddings\": 32768, \"rms_norm_eps\": 1e-6, \"head_dim\": 256}",
};
const vb_family vb_family_qwen3moe = {
    .arch = "qwen3moe", .curve = "silu|swish",
    .rules = RULES(outer, norms, attention, biases, head_norms, experts), .keys = vb_keys_routed,
    .defaults = "{\"max_position_embeddings\": 32768, \"rms_norm_eps\": 1e-6, \"rope_theta\": 10000.0, \"num_experts\": 128,"
                " \"num_experts_per_tok\": 8}",
};
const vb_family vb_family_smollm3 = {
    .arch = "smollm3", .curve = "silu|swish",
    .rules = RULES(outer, norms, attention, biases, gated), .keys = vb_keys_llama, .pairs = 1,
    .defaults = "{\"max_position_embeddings\": 32768, \"rms_norm_eps\": 1e-6, \"rope_theta\": 2000000.0}",
};
const vb_family vb_family_starcoder2 = {
    .arch = "starcoder2", .curve = "gelu_pytorch_tanh",
    .rules = RULES(outer, norms, attention, biases, starcoder2), .keys = vb_keys_usual,
    .defaults = "{\"max_position_embeddings\": 4096, \"norm_epsilon\": 1e-5, \"rope_theta\": 10000.0}",
};

static const struct {
    const char *name;
    const vb_family *family;
} classes[] = {
#define VB_FAMILY(id, name)
#define VB_CLASS(id, name) {name, &vb_family_##id},
#include "convert/families.def"
};

const vb_family *vb_family_of(const char *class_name)
{
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (strcmp(classes[i].name, class_name) == 0) return classes[i].family;
    return NULL;
}

const char *vb_family_names(void)
{
    static const char names[] =
#define VB_FAMILY(id, name) ", " name
#define VB_CLASS(id, name)
#include "convert/families.def"
        ;
    return names + 2;
}
