/* params.h - a model's hyper-parameters, typed and checked.
 *
 * vb_params_read fills the struct from metadata `<arch>.<key>` by one table of (key, field, range); what a file
 * leaves out gets the field's usual default, what a family must have is asked for by the family. Every value is in
 * range afterwards: counts positive and bounded, eps > 0, divisors not zero, heads a multiple of KV heads.
 */
#ifndef VB_MODEL_PARAMS_H
#define VB_MODEL_PARAMS_H
#include "base/arena.h"
#include "file/gguf.h"

typedef enum { VB_SCALING_NONE, VB_SCALING_LINEAR, VB_SCALING_YARN, VB_SCALING_LONGROPE } vb_scaling;

typedef struct {
    char arch[64];
    int layers, width, vocab;
    int context;                  /* tokens the model was trained for */
    int *heads, *kv_heads, *ff;   /* [layers] */
    int dim_k, dim_v;             /* of one head */
    int dim_k_local, dim_v_local, n_rot_local; /* the same of sliding-window layers; 0: the file does not say */
    int n_rot;                    /* leading dimensions of a head that rotate; even */
    float eps, layer_eps;         /* of RMS norms, of layer norms; 0: the file does not say */
    double rope_base;             /* 10000 if absent */
    double rope_base_local;       /* of sliding-window layers; 10000 if absent */
    vb_scaling scaling;
    double scaling_factor;        /* 1: none */
    double scaling_context;       /* context before scaling; 0: absent */
    double attn_factor;           /* multiplies cos and sin; 1 */
    double beta_fast, beta_slow;  /* yarn: 32, 1 */
    int window;                   /* sliding window in tokens; 0: none */
    int window_every;             /* every n-th layer is global; 0: the file does not say */
    int shared_layers;            /* the last layers, which attend to keys and values of earlier ones */
    int per_layer_width;          /* of the embedding that each layer has of its own; 0: none */
    unsigned char *window_layers; /* [layers] 1: sliding window; NULL: the file has no such array */
    float attn_scale;             /* 0: 1/sqrt(dim_k) */
    float embedding_scale, residual_scale, logit_scale; /* 0: absent */
    float attn_softcap, final_softcap;                  /* 0: none */
    int experts, experts_used;                          /* of a layer, and for a token; 0: dense */
    int expert_ff, shared_ff;                           /* widths of an expert, of what all tokens share; 0: absent */
    int causal;                                         /* 0: a token sees the whole text; 1 if absent */
    int pooling;                                        /* 0 none, 1 mean, 2 first token, 3 last; -1: absent */
    int parallel;                                       /* 1: attention and feed-forward read the same input */
    int extra_layers;                /* the last blocks, which predict further tokens and are not run; 0: none */
    unsigned char *recurrent_layers; /* [layers] 1: no attention; NULL: the file has no such array */
    int full_every;                  /* every n-th layer is attention; 0: the file does not say */
    int conv_taps;                   /* of what recurrent layers see; these five 0: absent */
    int delta_dim, delta_key_heads, delta_value_heads, delta_width;
} vb_params;

/* `vocab` of the file: `<arch>.vocab_size`, else rows of token_embd.weight. Arrays come from `arena`. */
vb_status vb_params_read(vb_params *out, const vb_gguf *g, vb_arena *arena, vb_err *err);

#endif
