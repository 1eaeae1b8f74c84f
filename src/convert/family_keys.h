/* family_keys.h - what each family's files say about themselves; see family_keys.c. */
#ifndef VB_CONVERT_FAMILY_KEYS_H
#define VB_CONVERT_FAMILY_KEYS_H
#include "convert/keys.h"

void vb_keys_usual(vb_keys *k); /* starcoder2, and what most others begin with */
void vb_keys_llama(vb_keys *k);
void vb_keys_granite(vb_keys *k);
void vb_keys_encoder(vb_keys *k);
void vb_keys_nomic(vb_keys *k);
void vb_keys_gemma(vb_keys *k);
void vb_keys_gemma2(vb_keys *k);
void vb_keys_gemma3(vb_keys *k);
void vb_keys_gemma4(vb_keys *k);
void vb_keys_gpt2(vb_keys *k);
void vb_keys_gptneo(vb_keys *k);
void vb_keys_gptneox(vb_keys *k);
void vb_keys_gpt_oss(vb_keys *k);
void vb_keys_olmo2(vb_keys *k);
void vb_keys_olmoe(vb_keys *k);
void vb_keys_phi3(vb_keys *k);
void vb_keys_qwen(vb_keys *k);
void vb_keys_routed(vb_keys *k);
void vb_keys_qwen35(vb_keys *k);

/* The number of layers that the settings state, and of blocks behind them that predict further tokens. */
int vb_layers_of(vb_keys *k);
int vb_further_of(const vb_folder *f);
/* 1: `kind` ("full_attention", ...) is what layer_types says of layer i; 0 also where there is no such list. */
int vb_layer_is(const vb_folder *f, int i, const char *kind);
/* Where the settings of positions are: rope_parameters, older rope_scaling; of kinds of layers those of full attention. */
const json_t *vb_rope_setting(const vb_folder *f, const char *names);
/* How many of `width` dimensions rotate: partial_rotary_factor of them. */
int64_t vb_rotating(vb_keys *k, double otherwise, int64_t width);
/* The width of a head, by its own setting or by those of width and heads. */
int64_t vb_head_width(vb_keys *k);
/* Gemma 4: that of the layers without a window. */
int64_t vb_global_head_width(vb_keys *k);

#endif
