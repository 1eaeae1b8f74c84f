/* model.h - what stands behind the public vb_model and vb_session.
 *
 *   file -> params, tensors -> plan -> player        (absent in vocabulary-only models)
 *        -> tokenizer, chat template
 *
 * Everything in a model is read-only once vb_model_open has returned. The player is shared by the model's sessions
 * and evaluates one batch at a time, guarded by `lock`.
 */
#ifndef VB_SESSION_MODEL_H
#define VB_SESSION_MODEL_H
#include "arch/arch.h"
#include "file/gguf.h"
#include "file/store.h"
#include "grammar/trie.h"
#include "plan/player.h"
#include "text/chat.h"
#include "text/tokenizer.h"

#include <pthread.h>
#include <stdatomic.h>

/* The vocabulary as grammars need it, made for the first one. */
typedef struct {
    pthread_mutex_t lock;
    int made;
    vb_trie trie;
} vb_model_trie;

/* The digest of the model's bytes, once it is known. */
typedef struct {
    pthread_mutex_t lock;
    int known;
    uint8_t sum[32];
} vb_model_sum;

struct vb_model {
    vb_arena arena;
    vb_located located;
    vb_gguf *gguf;
    vb_tokenizer *tokenizer; /* NULL: `no_tokenizer` says why */
    vb_err no_tokenizer;
    vb_chat_template template_;
    atomic_int *template_said; /* 1: a stand-in template has been announced */
    const vb_arch *arch; /* NULL: vocabulary only */
    vb_params params;
    vb_tensors tensors;
    vb_plan plan;
    const vb_player *player;
    void *playing; /* the opened player */
    const char *player_name; /* "vulkan" is the cpu player with a device for every step */
    vb_device device;        /* the player's; ops NULL: none */
    vb_arith arith;
    int threads, like_ggml;
    pthread_mutex_t lock;
    vb_part *parts; /* of the evaluation; guarded by lock */
    int parts_room;
    vb_model_trie *texts;
    vb_model_sum *sum;
    char arch_name[64], name[128], cpu[96];
    const char **keys; /* metadata keys with a NUL behind them */
};

struct vb_session {
    vb_model *model;
    void *state;
    vb_token *tokens; /* [context] */
    int n;            /* tokens known */
    int done;         /* tokens evaluated; the rest is evaluated before anything new */
    int sound;        /* tokens that were evaluated when the last evaluation began, whatever it had to repeat */
    int context, batch;
    vb_kv kv;
    float *logits; /* [vocab] of token done-1 */
    int has_logits;
    struct vb_prefix *prefix; /* NULL: none are kept */
    struct vb_speculation *speculation; /* NULL: never generated */
    vb_taps taps;
    vb_stats stats;
};

/* device.c: as the options ask; what it is. */
vb_status vb_open_device(vb_device *out, const vb_model *m, const vb_model_opts *opts, vb_err *err);
void vb_describe_device(const vb_model *m, vb_model_info *out);
int vb_is_vulkan(const char *player);
vb_pooling vb_pooling_of(const vb_model *m); /* the file's, else what its kind of model is made for */
/* An error that names the model if it gives embeddings. */
vb_status vb_need_logits(const vb_model *m, vb_err *err);

/* The default and the limits of session options, filled in; an error names the option. */
vb_status vb_session_settle(const vb_model *model, vb_session_opts *opts, vb_err *err);

/* A rendered chat as ids: control tokens only where the template wrote them, one BOS if the model wants it. Returns
 * the number of ids, also when it is more than `cap`. */
int64_t vb_encode_rendered(const vb_tokenizer *t, const vb_jinja_text *text, vb_token *ids, size_t cap, vb_err *err);

#endif
