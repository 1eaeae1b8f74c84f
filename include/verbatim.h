/* verbatim.h - run language models so that the same input gives the same bits.
 *
 * Three objects: a model (read-only, shared by all threads), a session (one growing row of tokens and its
 * state; one thread at a time) and a trace (a recording of a session). Everything else is plain data that you
 * pass in and may free at once.
 *
 * Results never depend on thread count, batch, cache or machine: batching is only a way to be faster.
 *
 * Conventions
 *   - Sizes are in bytes, counts are in tokens, times in ns. Token positions start at 0.
 *   - A vb_status is VB_OK (0) or negative. Functions that count return the count or a negative vb_status, and
 *     accept (NULL, 0) to ask for the size; they never write beyond `cap`.
 *   - `err` is the last parameter and may be NULL. On failure it holds a code and one line of text that names
 *     file, object, expected and found; on success it is left alone.
 *   - Option structs filled with zero bytes mean the defaults. Strings you pass are copied.
 *   - You own what a *_open or *_fork call gave you and give it back with *_close, which accepts NULL. After a
 *     failed open the result is NULL. Pointers returned from an object live as long as the object, unless the
 *     function says otherwise.
 *   - The library never prints, never exits and keeps no writable globals but the log callback.
 */
#ifndef VERBATIM_H
#define VERBATIM_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifndef VB_API
#define VB_API __attribute__((visibility("default")))
#endif

typedef int32_t vb_token;
typedef struct vb_model vb_model;
typedef struct vb_session vb_session;
typedef struct vb_trace vb_trace;
typedef struct vb_digest vb_digest;
typedef struct vb_grammar vb_grammar;

typedef enum {
    VB_OK = 0,
    VB_E_IO = -1,          /* reading or writing failed: disk full, permission, vanished file */
    VB_E_FORMAT = -2,      /* a file or text is not what it claims to be */
    VB_E_UNSUPPORTED = -3, /* valid, but this build or machine cannot do it */
    VB_E_MEMORY = -4,
    VB_E_ARGUMENT = -5, /* a mistake of the caller */
    VB_E_FULL = -6,     /* the context has no room for these tokens */
    VB_E_STOPPED = -7,  /* a callback asked to stop */
    VB_E_DIFFERS = -8,  /* a comparison found a difference */
    VB_E_NOT_FOUND = -9 /* no such file, model, key or tensor */
} vb_status;

typedef struct {
    vb_status code;
    char text[504];
} vb_err;

/* --- library ------------------------------------------------------------------------------------------- */

#define VB_VERSION "0.1.0"
#define VB_ARITHMETIC_VERSION 1 /* docs/ARITHMETIC.md; stands in every trace */

VB_API const char *vb_version(void);
VB_API const char *vb_status_name(vb_status status);

/* Lines of talk (notices, warnings) go to `fn`; without it they are dropped. Level 0 notice, 1 warning. */
typedef void (*vb_log_fn)(void *ud, int level, const char *line);
VB_API void vb_log_to(vb_log_fn fn, void *ud);

/* --- the machine --------------------------------------------------------------------------------------- */

typedef struct {
    char cpu[96];      /* the processor's own name */
    char features[160]; /* those verbatim can use, separated by spaces */
    char isas[64];     /* instruction sets with kernels here, slowest first: "portable avx2" */
    int cores;         /* physical cores this process may use */
    int threads;       /* hardware threads this process may use */
    int packages, numa_nodes;
    uint64_t memory_bytes, available_bytes;
    uint64_t l2_bytes, l3_bytes;
} vb_machine;
VB_API void vb_machine_describe(vb_machine *out);

/* Every device that speaks Vulkan, in the driver's order. Each is opened and tried: it performs every operation that
 * layers are made of, and what it computes is compared with what this machine computes, bit for bit. `fn` is called once
 * for each, with texts that live until it returns; if it returns anything but 0 the list ends with VB_E_STOPPED.
 * VB_E_UNSUPPORTED: there is no loader or no driver, or this build has no Vulkan; the text says which. */
enum { VB_FLOATS_TO_NEAREST = 1, VB_FLOATS_SIGNED_ZERO = 2, VB_FLOATS_SUBNORMALS = 4 };
typedef struct {
    int index; /* from 0; as vb_model_opts.gpu_device takes it */
    const char *name, *driver;
    const char *type;      /* "discrete", "integrated", "virtual", "cpu", "other" */
    uint64_t memory_bytes; /* of its own, or of this machine where they share it */
    uint64_t free_bytes;   /* 0: the driver does not say */
    int float_modes;       /* what the driver promises, a sum of VB_FLOATS_... */
    int qualified;         /* 1: it may compute layers */
    const char *why;       /* it may not; "" where it may */
} vb_device_entry;
VB_API vb_status vb_device_list(int (*fn)(void *ud, const vb_device_entry *entry), void *ud, vb_err *err);

/* Compares every kernel of instruction set `isa` with the oracle, bit for bit, on random input made from `seed`, for
 * about a second.
 * Returns VB_OK if all are equal, VB_E_DIFFERS naming the first kernel that is not, VB_E_UNSUPPORTED if the
 * machine lacks `isa`. *checks (may be NULL) gets the number of comparisons made. */
VB_API vb_status vb_kernel_check(const char *isa, uint64_t seed, int64_t *checks, vb_err *err);

/* --- model --------------------------------------------------------------------------------------------- */

typedef enum { VB_ARITH_INT8 = 0, VB_ARITH_F32 = 1 } vb_arith;
typedef enum { VB_KV_DEFAULT = 0, VB_KV_F16, VB_KV_F32, VB_KV_Q8_0 } vb_kv; /* default: f16, in f32 mode f32 */

/* How the rows of a text's tokens become its embedding. */
typedef enum {
    VB_POOLING_DEFAULT = 0, /* as the file says; else mean for encoders, last for others */
    VB_POOLING_NONE,        /* not at all: a row for each token */
    VB_POOLING_MEAN,
    VB_POOLING_CLS,         /* the first token's row */
    VB_POOLING_LAST         /* the last token's */
} vb_pooling;

typedef struct {
    const char *player;      /* "cpu" (default), "vulkan" (a GPU, by the same bits), "oracle" or "blas" */
    vb_arith arith;          /* docs/ARITHMETIC.md, the two modes */
    const char *isa;         /* "portable", "avx2", ...; NULL: the best this machine has */
    int threads;             /* 0: one per physical core that affinity and cgroup allow */
    int embeddings;          /* 1: the plan ends at the final norm, for vb_session_embed; an encoder is always such a model */
    int vocab_only;          /* read only the vocabulary; works for architectures unknown to verbatim */
    const char *template_as; /* "ollama": a model without a chat template is rendered as ChatML, as Ollama does */
    int like_ggml;           /* a sum of VB_GGML_..., only for player "oracle"; such a run cannot be traced */
    /* Layers that a GPU computes: "all", "auto" (those that have room), "20" (the last 20 and the output), "0-5,9,output".
     * NULL: none; player "vulkan": all. Never changes a bit. Player "cpu" computes what a GPU does not take, or all where
     * there is none, and says so in a warning; player "vulkan" is not opened then (VB_E_UNSUPPORTED). */
    const char *gpu_layers;
    const char *gpu_device;    /* a part of its name, or its index (vb_device_list); NULL: the best one that is no CPU */
    uint64_t gpu_budget_bytes; /* most of its memory to use; 0: what it has left */
    /* Share of its steps that are computed once more here, 0 to 1: an evaluation in which one differs ends with
     * VB_E_DIFFERS, which names device, step and element. */
    float gpu_verify;
    /* Hears how many bytes of weights the GPU has, and of how many; returning 0 ends opening with VB_E_STOPPED. */
    int (*gpu_progress)(void *ud, uint64_t done, uint64_t all);
    void *gpu_progress_ud;
} vb_model_opts;

/* What ggml, the library under llama.cpp and Ollama, computes otherwise on purpose. The oracle can do so too, one by one or
 * together, to show how much of the distance between two engines comes from where (docs/PARITY.md). */
enum {
    VB_GGML_ATTENTION = 1,   /* queries rounded to f16, and the sum of values after each position; f16 KV */
    VB_GGML_SCALES = 2,      /* f16 scales of quantised activations (blocks of 32) */
    VB_GGML_GELU = 4,        /* gelu from a table of 65,536 f16 */
    VB_GGML_ACTIVATIONS = 8, /* activations rounded to f16 or bf16 before they meet a weight of that format */
    VB_GGML_ROPE = 16,       /* angles by repeated f32 multiplication */
    VB_GGML_ALL = 31
};
VB_API const char *vb_ggml_name(int difference); /* of one: "attention", "scales", ...; NULL: there is none */

/* What a chat template has a place for. */
enum { VB_CAN_TOOLS = 1, VB_CAN_INSERT = 2, VB_CAN_THINK = 4 }; /* insert: the text between a prompt and a suffix */

typedef struct {
    const char *path; /* the file that was opened (the first one of a split model) */
    const char *arch, *name, *format; /* format: the most frequent weight format, "Q4_1" */
    const char *player, *isa;
    const char *cpu; /* the processor's own name */
    vb_arith arith;
    int threads;
    int embeds;  /* 1: gives embeddings, rows of `width` floats, and no logits */
    int like_ggml;
    int encoder; /* 1: each token sees the whole text, so that texts are evaluated in one piece */
    vb_pooling pooling; /* what VB_POOLING_DEFAULT means for it */
    int layers, width, heads, kv_heads, vocab, context; /* context: tokens the model was trained for */
    uint64_t file_bytes, weight_bytes, parameters;
    vb_token bos, eos;          /* -1: none */
    int longest_token;          /* bytes of text that one token can stand for; 0: any number */
    uint8_t plan_digest[32];      /* SHA-256 of steps, shapes, constants and formats; zero if vocab_only */
    uint8_t tokenizer_digest[32]; /* SHA-256 of everything that decides tokenization */
    uint8_t template_digest[32];  /* SHA-256 of the chat template in use; zero: none */
    const char *template_source;  /* "file", "family", "ollama" (the store's, or ChatML as Ollama takes it) or "none" */
    const char *template_language; /* "jinja" or "go"; NULL: there is no template */
    int template_can;              /* a sum of VB_CAN_... */
    const char *device;       /* the GPU that computes some layers; NULL: none */
    const char *device_about; /* its driver, and how its floats behave */
    int device_layers;        /* how many layers it has */
    uint64_t device_bytes;    /* of its memory that are in use */
} vb_model_info;

typedef struct {
    const char *name, *format;
    int n_dims;
    uint64_t ne[4]; /* GGUF order: ne[0] is the contiguous one */
    uint64_t bytes, offset;
} vb_tensor_info;

/* Opens MODEL: a path of a GGUF file (of a split model the first part), `name[:tag]` of an Ollama store
 * ($OLLAMA_MODELS or ~/.ollama/models, read only), or "smollm2", the small model that `make run` fetches. Where neither
 * a file nor a store has that name, "tales-1m" is the model inside the library: a teller of small stories for which no
 * file is read (data/README.md). VB_MODEL_EMBEDDED is that one, whatever files and stores hold. */
#define VB_MODEL_EMBEDDED "embedded:tales-1m"
VB_API vb_status vb_model_open(vb_model **out, const char *model, const vb_model_opts *opts, vb_err *err);
VB_API void vb_model_close(vb_model *model);
/* VB_E_IO if a file of the model was written or cut since it was opened (a file that was deleted, or replaced by another,
 * lives on until close). Evaluating asks this before it believes what it has read, while text functions read a copy; but
 * reading weights that were cut off raises SIGBUS, which a program may want to handle. */
VB_API vb_status vb_model_check(const vb_model *model, vb_err *err);
VB_API void vb_model_describe(const vb_model *model, vb_model_info *out);
/* SHA-256 of the model's bytes (all parts in order). Computed once per file and remembered in the user's cache
 * directory by device, inode, size and modification time. */
VB_API vb_status vb_model_sha256(const vb_model *model, uint8_t out[32], vb_err *err);
/* The same for those who want to know how far it is: `go_on` hears of bytes read of all, unless the digest is remembered;
 * returning 0 ends it with VB_E_STOPPED. */
VB_API vb_status vb_model_hash(const vb_model *model, uint8_t out[32],
                               int (*go_on)(void *ud, uint64_t done, uint64_t all), void *ud, vb_err *err);
/* What decides the bits of an answer, short enough for a `system_fingerprint`: "vb1-<plan>-<model>", arithmetic version
 * (with "f32" behind it in that mode) and the first 16 digits of both digests. Returns the length, as snprintf does. */
VB_API int64_t vb_model_fingerprint(const vb_model *model, char *buf, size_t cap, vb_err *err);
/* Metadata, by key or by index (0-based, key written to `key`); value as text, arrays shortened.
 * Returns the value's length or VB_E_NOT_FOUND. */
VB_API int64_t vb_model_meta(const vb_model *model, const char *key, char *buf, size_t cap);
VB_API int64_t vb_model_meta_at(const vb_model *model, int index, const char **key, char *buf, size_t cap);
/* What the store says of a model that was opened by its name there, besides the weights: "system", "params" (a JSON
 * object of Ollama's options), "messages" (a JSON list), "license" or "template" (in Go's language); NULL: nothing. */
VB_API const char *vb_model_stored(const vb_model *model, const char *what);
VB_API int vb_model_tensor_at(const vb_model *model, int index, vb_tensor_info *out); /* 0: no such index */
/* Prints the plan, one line a step; with `kernels` the kernel that each step takes, with `json` a JSON array. */
VB_API vb_status vb_model_explain(const vb_model *model, FILE *to, int kernels, int json, vb_err *err);

/* Every model of the local stores; `fn` returns 0 to go on. */
typedef struct {
    const char *name, *path; /* path of the weights */
    const char *store;       /* "ollama" or "verbatim" */
    uint64_t bytes;
    const uint8_t *digest; /* SHA-256 of the manifest; NULL: a file without one */
    int64_t changed_ns;    /* when the manifest, or the file without one, was last written; since 1970 */
} vb_store_entry;
VB_API vb_status vb_store_list(int (*fn)(void *ud, const vb_store_entry *entry), void *ud, vb_err *err);

/* --- text ---------------------------------------------------------------------------------------------- */

enum { VB_ADD_SPECIAL = 1, VB_PARSE_SPECIAL = 2, VB_STOP_WHEN_FULL = 4 };
/* Text to ids. VB_ADD_SPECIAL adds BOS/EOS as the model says, VB_PARSE_SPECIAL reads control tokens in the text.
 * Returns the number of ids the text has, even when it is more than `cap`. With VB_STOP_WHEN_FULL a text that has more than
 * `cap` is not read to its end: then some number above `cap` is returned. */
VB_API int64_t vb_tokenize(const vb_model *model, const char *text, size_t len, int flags, vb_token *ids,
                           size_t cap, vb_err *err);
/* Ids to bytes; control tokens are written out if `special`. Returns the number of bytes (no NUL is added). */
VB_API int64_t vb_detokenize(const vb_model *model, const vb_token *ids, size_t n, int special, char *buf,
                             size_t cap, vb_err *err);
/* The bytes one token stands for inside a text; control tokens written out. Returns the length. */
VB_API int64_t vb_token_bytes(const vb_model *model, vb_token id, char *buf, size_t cap);
VB_API int vb_token_ends(const vb_model *model, vb_token id); /* 1: this token ends a generation */
VB_API int vb_token_controls(const vb_model *model, vb_token id); /* 1: a control token, no part of the text that is shown */

typedef struct {
    const char *role, *content;
} vb_message;
/* Messages through the model's chat template, with the opening of an assistant turn at the end. */
VB_API int64_t vb_chat_render(const vb_model *model, const vb_message *msgs, size_t n, char *buf, size_t cap,
                              vb_err *err);
/* The same as ids. Text of the messages never becomes a control token. */
VB_API int64_t vb_chat_encode(const vb_model *model, const vb_message *msgs, size_t n, vb_token *ids, size_t cap,
                              vb_err *err);
/* Both, of a conversation in JSON, as vb_template_render takes it: messages with all their fields, tools, kwargs. It may
 * bring a "template" of its own, in Go's language. */
VB_API int64_t vb_chat_render_json(const vb_model *model, const char *input, size_t len, char *buf, size_t cap, vb_err *err);
VB_API int64_t vb_chat_encode_json(const vb_model *model, const char *input, size_t len, vb_token *ids, size_t cap,
                                   vb_err *err);
/* The chat template's source, in vb_model_info.template_language; NULL if there is none. */
VB_API const char *vb_model_template(const vb_model *model, size_t *len);
/* Renders a template. `input` is a JSON object: messages, tools, add_generation_prompt, kwargs (an object of
 * extra variables), special_tokens (bos_token, eos_token, ...), strftime_now (ISO time); null means absent. `language`
 * says what the template is written in: "jinja", the default but for the model's own one, or "go", the language of
 * Ollama's templates, which also takes think (true, false or a level), and prompt and suffix instead of messages.
 * `model` may be NULL; it supplies special tokens that the input leaves out. */
VB_API int64_t vb_template_render(const vb_model *model, const char *tmpl, size_t tmpl_len, const char *input,
                                  size_t input_len, char *buf, size_t cap, vb_err *err);

/* --- session ------------------------------------------------------------------------------------------- */

typedef struct {
    int context; /* tokens; 0: the model's own, at most 8192 */
    vb_kv kv;
    int batch; /* tokens evaluated at a time by sync; 0: 512. Changes speed and memory, never bits. */
    /* Directory where sync keeps what it evaluated and looks for what is kept; NULL: none. Its files serve the same
     * model, plan, arithmetic and KV type alone, and change no bit; what is damaged is made again. It may be
     * shared by processes and deleted at any time. Only for player "cpu". */
    const char *cache;
} vb_session_opts;

typedef struct {
    int context;
    vb_kv kv;
    uint64_t kv_bytes, scratch_bytes; /* keys and values, and what recurrent layers remember; shared by all sessions */
    uint64_t evaluated, reused;   /* tokens computed, tokens taken from the common prefix */
    uint64_t prefill_ns, decode_ns; /* evaluations of several tokens; of one token, or with drafts behind it */
    uint64_t prefill_tokens, decode_tokens; /* decoded: drafts that were not accepted do not count */
    uint64_t drafted, accepted; /* tokens evaluated ahead by vb_generate; those of them that were then chosen */
    uint64_t cpu_rows, device_rows; /* tokens times layers that were computed here and on a GPU, what stands before and behind
                                     * the layers counted as one each */
} vb_stats;

/* Bytes a session will take besides the weights. */
VB_API uint64_t vb_session_bytes(const vb_model *model, const vb_session_opts *opts);
VB_API vb_status vb_session_open(vb_session **out, vb_model *model, const vb_session_opts *opts, vb_err *err);
VB_API vb_status vb_session_fork(vb_session **out, const vb_session *session, vb_err *err);
/* Become the first n tokens of another session of the same model and KV type, by copying what they made of its state. */
VB_API vb_status vb_session_adopt(vb_session *session, const vb_session *from, int n, vb_err *err);
VB_API void vb_session_close(vb_session *session);
VB_API vb_model *vb_session_model(const vb_session *session);
/* Become the longest known beginning of these tokens, from what the session holds and from its cache, without
 * evaluating anything; *held gets its length. vb_session_sync does this first. */
VB_API vb_status vb_session_recall(vb_session *session, const vb_token *ids, int n, int *held, vb_err *err);
/* Become exactly these tokens: keep the common prefix, drop the rest, evaluate what is new. Afterwards the logits
 * of the last token are there. n >= 1. */
VB_API vb_status vb_session_sync(vb_session *session, const vb_token *ids, int n, vb_err *err);
/* Drop all tokens from position n on. The logits are gone until the next evaluation. A model with recurrent layers
 * (qwen35) then evaluates again from the nearest position before n of which it has kept what it remembered. */
VB_API vb_status vb_session_rewind(vb_session *session, int n, vb_err *err);
VB_API const vb_token *vb_session_tokens(const vb_session *session, int *n);
/* Logits of the last evaluated token, n = vocabulary size; NULL if there are none. Valid until the next
 * evaluation, rewind or close. */
VB_API const float *vb_session_logits(const vb_session *session, int *n);
VB_API void vb_session_stats(const vb_session *session, vb_stats *out);

/* Appends tokens to sessions and evaluates them, several sessions at once; all sessions must belong to one model.
 * Grouping cannot change a bit. After a failure a session holds the tokens that were evaluated. If `logits` is not NULL it gets the logits of the last `want` tokens
 * (want x vocabulary floats, 0 <= want <= n); the last token's stay readable in the session anyway. */
typedef struct {
    vb_session *session;
    const vb_token *ids;
    int n;
    float *logits;
    int want;
} vb_work;
VB_API vb_status vb_eval(const vb_work *work, int n, vb_err *err);

/* Bytes of the work area, shared by all sessions of a model, for evaluating so many tokens at once, `wanted` of them with
 * logits. It grows to what was needed most. */
VB_API uint64_t vb_eval_bytes(const vb_model *model, int tokens, int wanted);

/* --- watching what is computed ------------------------------------------------------------------------- */

/* A named value of the computation (`verbatim explain` lists them): "l_out" of a layer, "result_norm", ... */
typedef struct {
    const char *name;
    int layer;    /* -1: outside of the layers */
    int position; /* of the token */
    int width;
    float *x; /* what it is; what you write here is what the following steps compute with */
} vb_tap;
typedef void (*vb_tap_fn)(void *ud, const vb_tap *tap);

/* From now on `fn` gets each named value of this session's tokens when it has been computed: step by step, in the plan's
 * order, and for each step token by token, so a token's values may be mixed with others' that are evaluated together. Up
 * to 4, called in the order of being added, on the thread that evaluates; they must not evaluate anything of this model
 * themselves. Values behind the last layer are computed only for tokens whose logits are wanted, and for the last. Tokens
 * that are evaluated again (after a rewind, or after a failure) are shown again. Writing anything but finite numbers, or
 * numbers of experts that are not there, is an error of the evaluation.
 * From the first tap on the session does without its cache; with taps vb_generate does not speculate. A fork has none. */
VB_API vb_status vb_session_tap(vb_session *session, vb_tap_fn fn, void *ud, vb_err *err);
VB_API void vb_session_untap(vb_session *session, vb_tap_fn fn, void *ud);
/* From now on `fn` is called between the steps of this session's evaluations, on the thread that evaluates; NULL: no more.
 * It may evaluate sessions of other models. Not 0: the evaluation ends with VB_E_STOPPED, as if it had not begun; the
 * same vb_eval again goes on from there, if nothing else of this model was evaluated meanwhile (player "cpu", no taps). */
VB_API void vb_session_between(vb_session *session, int (*fn)(void *ud), void *ud);

/* --- choosing tokens ----------------------------------------------------------------------------------- */

/* A pure function of logits, these settings, seed, stream and position (docs/ARITHMETIC.md J6). Zero switches a
 * setting off; all zero is greedy. Ranges: temperature 0..100, top_k 0..vocabulary, top_p, min_p, typical 0..1
 * (1 is off too for top_p and typical), repeat 0 or 0.01..100 (1 is off), presence, frequency -100..100. */
typedef struct {
    float temperature, top_p, min_p, typical;
    float repeat, presence, frequency;
    int top_k, repeat_last; /* repeat_last: tokens of the past that penalties look at; 0: 64, -1: all */
    uint64_t seed, stream;
} vb_sampling;

/* What is added to the logit of a token before anything else is done with it, -100 to 100. */
typedef struct {
    vb_token id;
    float add;
} vb_bias;

VB_API vb_status vb_sampling_check(const vb_sampling *sampling, vb_err *err);
/* Chooses the token that follows the session's last one, at position = number of tokens. */
VB_API vb_status vb_sample(const vb_session *session, const vb_sampling *sampling, vb_token *out, vb_err *err);
/* The same without a session: `past` are the n_past tokens before `position` = n_past. */
VB_API vb_status vb_sample_logits(const float *logits, int n_vocab, const vb_token *past, int n_past,
                                  const vb_sampling *sampling, vb_token *out, vb_err *err);

/* --- what may be written -------------------------------------------------------------------------------- */

/* A grammar holds a text to a form, token by token: it knows which tokens may stand next, and nothing else ever does.
 * Tokens are taken as bytes, so they may begin and end anywhere in a character or word. The model must outlive it; it
 * may be used by several threads, one after the other is served. */

/* GBNF, as in llama.cpp, and `%json {...}` for JSON that fits a schema; the text is what the rule "root" says. */
VB_API vb_status vb_grammar_open_gbnf(vb_grammar **out, const vb_model *model, const char *text, size_t len, vb_err *err);
/* JSON that fits a JSON Schema; docs/GRAMMAR.md says which keywords are held. White space is free but short, members come
 * in the schema's order. */
VB_API vb_status vb_grammar_open_schema(vb_grammar **out, const vb_model *model, const char *text, size_t len, vb_err *err);
VB_API vb_status vb_grammar_open_json(vb_grammar **out, const vb_model *model, vb_err *err); /* any JSON object */
/* What the schema asks for and the grammar does not hold, one keyword at a time; NULL: no more. */
VB_API const char *vb_grammar_unheld(const vb_grammar *grammar, int index);
/* What it was opened from, and of which kind that is: "gbnf" or "schema". No NUL need follow. */
VB_API const char *vb_grammar_source(const vb_grammar *grammar, const char **kind, size_t *len);
/* At the same place in the same grammar; both go on by themselves. Much cheaper than opening. */
VB_API vb_status vb_grammar_fork(vb_grammar **out, vb_grammar *grammar, vb_err *err);
VB_API void vb_grammar_close(vb_grammar *grammar);
/* Goes on behind a token, or stays where it is: VB_E_ARGUMENT if the token may not stand here. A token that ends a
 * generation may stand where the text may end, and then nothing may follow. */
VB_API vb_status vb_grammar_accept(vb_grammar *grammar, vb_token id, vb_err *err);
/* The same of bytes. */
VB_API vb_status vb_grammar_accept_text(vb_grammar *grammar, const char *text, size_t len, vb_err *err);
/* 1: the token may stand here; 0: it may not. */
VB_API int vb_grammar_allows(vb_grammar *grammar, vb_token id, vb_err *err);
VB_API int vb_grammar_may_end(vb_grammar *grammar); /* 1: the text may end here */
/* Which tokens may stand here: one bit each, token 0 the lowest of the first byte. `bytes`: at least vocabulary / 8,
 * rounded up. */
VB_API vb_status vb_grammar_mask(vb_grammar *grammar, uint8_t *mask, size_t bytes, vb_err *err);
/* vb_sample, among the tokens that the grammar allows (docs/ARITHMETIC.md J6). It is not moved: vb_grammar_accept the
 * token that is taken. VB_E_NOT_FOUND: no token may stand here. */
VB_API vb_status vb_sample_masked(const vb_session *session, const vb_sampling *sampling, vb_grammar *grammar, vb_token *out,
                                  vb_err *err);
/* vb_sample_masked (without a grammar: vb_sample) of logits with n biases, of one token at most one. */
VB_API vb_status vb_sample_biased(const vb_session *session, const vb_sampling *sampling, const vb_bias *biases, int n,
                                  vb_grammar *grammar, vb_token *out, vb_err *err);
/* All that a choice depends on beside its settings, without a session. */
typedef struct {
    const float *logits;
    int n_vocab;
    const vb_token *past; /* the n_past tokens before position n_past */
    int n_past;
    const vb_bias *biases;
    int n_biases;
    vb_grammar *grammar; /* of the logits' model, behind the past; NULL: none */
    /* Work areas, allocated where they are needed if they are NULL: n_vocab floats for penalties, biases and the grammar's
     * mask; 32 bytes for each of n_vocab, aligned as malloc does, for sorting without a top_k or with one above 256. With
     * both a choice without a grammar allocates nothing. */
    float *room;
    void *sorting;
} vb_sample_input;
VB_API vb_status vb_sample_given(const vb_sample_input *from, const vb_sampling *sampling, vb_token *out, vb_err *err);

typedef struct {
    vb_token id;
    float logit, logprob; /* log-probability over the whole vocabulary at temperature 1, natural logarithm */
} vb_choice;
/* The ids of the k largest logits, largest first, ties to the lower id. Returns how many were written. */
VB_API int vb_top_ids(const float *logits, int n_vocab, vb_token *ids, int k);
/* The same of the session's logits with log-probabilities; k is cut to 256. */
VB_API int vb_top(const vb_session *session, vb_choice *out, int k);
VB_API float vb_logprob(const float *logits, int n_vocab, vb_token id);

/* The text of tokens as it becomes certain: whole UTF-8 characters (U+FFFD for a byte that belongs to none), without
 * control tokens, nothing that may still turn out to be a stop text. The piece is valid until the next call. */
typedef struct vb_stream vb_stream;
typedef struct {
    const char *text; /* may be empty */
    size_t len;
    int stopped; /* a stop text was completed; neither it nor what followed it is part of the text */
} vb_streamed;
VB_API vb_status vb_stream_open(vb_stream **out, const vb_model *model, const char *const *stops, int n_stops, vb_err *err);
/* Writes this control token out from now on, as text. */
VB_API vb_status vb_stream_show(vb_stream *stream, vb_token id, vb_err *err);
VB_API vb_status vb_stream_add(vb_stream *stream, vb_token id, vb_streamed *out, vb_err *err);
VB_API vb_status vb_stream_end(vb_stream *stream, vb_streamed *out, vb_err *err); /* what was held back */
VB_API void vb_stream_close(vb_stream *stream);

typedef enum { VB_END_NONE = 0, VB_END_TOKEN, VB_END_STOP, VB_END_LENGTH, VB_END_CONTEXT, VB_END_CALLBACK } vb_end;

/* Speculation: tokens that are expected next are evaluated together with the last one, and those that the sampler then
 * chooses need no evaluation of their own. Text, tokens and traces are the same, bit by bit, at any temperature.
 *   AUTO   guesses from the session's own tokens (n-grams seen before) and, if there is one, from the draft model,
 *          whenever that is measured to pay; nothing for player "blas", whose bits depend on the batch
 *   NGRAM  guesses from the session's tokens alone; how often depends on the tokens, not on the clock
 *   DRAFT  the same for the draft model */
typedef enum { VB_SPECULATE_AUTO = 0, VB_SPECULATE_OFF, VB_SPECULATE_NGRAM, VB_SPECULATE_DRAFT } vb_speculate;

/* VB_OK if `draft` may draft for `model`: an id is the same text for both. Otherwise VB_E_ARGUMENT naming both. */
VB_API vb_status vb_draft_check(const vb_model *model, const vb_model *draft, vb_err *err);

typedef struct {
    vb_sampling sampling;
    int max_tokens;           /* 0: until the model ends or the context is full */
    const char *const *stops; /* texts that end the generation; not part of the answer */
    int n_stops;
    vb_trace *trace; /* may be NULL */
    vb_speculate speculate;
    /* A session of a smaller model whose ids are the same tokens, or NULL. It is brought to this session's tokens and
     * beyond, is yours to close and may draft for one generation at a time. One that vb_draft_check refuses is an
     * error; when its context is full, or it fails, generation goes on without it. */
    vb_session *draft;
    const vb_bias *biases; /* of distinct tokens */
    int n_biases;
    /* Chooses among what it allows and moves it on, or NULL. A trace must have been opened with the same one, and biases. */
    vb_grammar *grammar;
    /* New text, whole UTF-8 characters, nothing that may still turn out to be a stop text. Return 0 to go on. */
    int (*on_text)(void *ud, const char *text, size_t len);
    void *ud;
} vb_generation;
typedef struct {
    int tokens; /* generated, the ending token included */
    vb_end end;
} vb_generated;
/* Continues the session. A token is in the session (and trace) as soon as it is chosen, before its text is shown; the
 * last one is evaluated only when the session goes on. */
VB_API vb_status vb_generate(vb_session *session, const vb_generation *how, vb_generated *out, vb_err *err);

/* --- embeddings ---------------------------------------------------------------------------------------- */

/* The embedding of a text of n >= 1 tokens by a model whose info says `embeds`; the session holds the text afterwards.
 * `out` gets `width` floats, n times as many without pooling. With `normalize` each row gets length 1. The same bits
 * for any threads, instruction set and history of the session (docs/ARITHMETIC.md J8). */
VB_API vb_status vb_session_embed(vb_session *session, const vb_token *ids, int n, vb_pooling pooling, int normalize, float *out,
                          vb_err *err);
/* The same bits in parts, for a caller who has other things to do in between: evaluates `most` tokens more (0: all that
 * are left; an encoder's text is always evaluated as a whole). To be called until at == n, nothing else being done with the
 * session; on an error the text is lost. */
typedef struct {
    const vb_token *ids;
    int n;
    vb_pooling pooling;
    int normalize;
    float *out;
    int at; /* tokens that are done; 0 at first */
} vb_embedding;
VB_API vb_status vb_session_embed_part(vb_session *session, vb_embedding *text, int most, vb_err *err);

/* --- digests ------------------------------------------------------------------------------------------- */

/* XXH3-128 over little-endian bytes, canonical (big-endian) form; what `verbatim logits` prints. */
VB_API vb_status vb_digest_open(vb_digest **out, vb_err *err);
VB_API void vb_digest_add(vb_digest *digest, const void *data, size_t len);
VB_API void vb_digest_get(const vb_digest *digest, uint8_t out[16]);
VB_API void vb_digest_close(vb_digest *digest);

/* --- traces -------------------------------------------------------------------------------------------- */

/* Which values of the plan a trace keeps for each evaluated token: none; every layer's output with the first and the last
 * value that have a name; all that have a name. */
enum { VB_TAPS_NONE = 0, VB_TAPS_LAYERS, VB_TAPS_ALL };

typedef struct {
    int top;            /* largest logits kept per token; 0: 5 */
    vb_sampling sampling; /* as the generation will use it; part of the header */
    const char *prompt; /* text the ids came from, may be NULL; information only */
    uint8_t parent[32]; /* the trace this one branches from: its link before position parent_at; zero: none */
    int parent_at;      /* tokens it shares with that trace */
    int taps;           /* VB_TAPS_...; other than none: the prompt is evaluated again, and the trace closed before the session */
    const char *sign;   /* a private key made by vb_trace_keygen that signs the closed trace; NULL: none */
    const vb_bias *biases;     /* as the generation will use them */
    int n_biases;
    const vb_grammar *grammar; /* what the generation is held to, which the trace records by its source; NULL: nothing */
    int held_from;      /* position of the first token that the grammar has seen; 0: what follows those the session holds */
    int hasty;          /* 1: closing does not wait for the disk */
} vb_trace_opts;

/* Records what `session` chooses from now on into a new file; the tokens it holds now are recorded as the prompt.
 * Each record reaches the file before the token is shown. An existing file is not overwritten. */
VB_API vb_status vb_trace_open(vb_trace **out, const char *path, vb_session *session, const vb_trace_opts *opts,
                               vb_err *err);
/* Adds the token `id`, about to be appended to the session, together with the logits it was chosen from. Called by
 * vb_generate; call it yourself only when you sample by hand, before vb_eval. */
VB_API vb_status vb_trace_add(vb_trace *trace, const vb_session *session, vb_token id, vb_err *err);
/* 1: it records a generation with these biases, held to this grammar (NULL: to none). */
VB_API int vb_trace_holds(const vb_trace *trace, const vb_grammar *grammar, const vb_bias *biases, int n);
VB_API void vb_trace_digest(const vb_trace *trace, uint8_t out[32]); /* the last link in the chain */
VB_API vb_status vb_trace_close(vb_trace *trace, vb_err *err);

/* A new Ed25519 key: `path` gets the private one (PEM, mode 0600), `path`.pub the public one. Neither may exist. */
VB_API vb_status vb_trace_keygen(const char *path, vb_err *err);
/* Appends a signature to a trace that has ended and has none. It covers every byte of the file. */
VB_API vb_status vb_trace_sign(const char *path, const char *key, vb_err *err);
/* The public key in a file made by vb_trace_keygen, or written as 64 hexadecimal digits. */
VB_API vb_status vb_trace_public_key(const char *key, uint8_t out[32], vb_err *err);

typedef struct {
    int differs;      /* 0: equal */
    int64_t record;   /* first differing record: 0 is the header, then one a token; -1: none */
    int64_t position; /* token position, -1 for the header */
    char field[32];   /* "id", "logits", "top", "text", "plan", "length", ... */
    char a[96], b[96]; /* what either side holds, as text */
    int64_t records;  /* compared */
} vb_diff;
VB_API vb_status vb_trace_show(const char *path, FILE *to, int json, vb_err *err);
/* VB_OK if equal, VB_E_DIFFERS with *out filled if not. Information-only fields are not compared. */
VB_API vb_status vb_trace_diff(const char *path_a, const char *path_b, vb_diff *out, vb_err *err);

/* One element of a named value: the bits that either side has. */
typedef struct {
    char name[64];
    int layer, position, element; /* layer -1: outside of the layers */
    uint32_t a, b;
} vb_tap_diff;
/* How far apart a named value is over all positions that were compared. */
typedef struct {
    char name[64];
    int layer;
    int64_t elements, differing;
    double max, rms; /* of the elements' differences */
} vb_drift;
typedef struct {
    vb_diff header; /* first compared field that differs, if any does */
    int fields;     /* how many do */
    vb_diff tokens; /* first record behind the header that differs, whether or not the headers do */
    /* Taps of tokens in front of which both have the same tokens, that one included; the rest is another computation. */
    int positions;           /* that have some in both */
    int64_t compared, differing, unmatched; /* values; those with a difference; those that the other lacks or has in another width */
    vb_tap_diff first;       /* in the order of computation; if differing > 0 */
    vb_drift *drift;         /* [n_drift], in the order of the first position that has each */
    int n_drift;
} vb_contrast;
/* All of that about two traces of any players, machines, formats or models; `taps` 1: the taps too, which both must have
 * (VB_E_NOT_FOUND). VB_OK if nothing differs, VB_E_DIFFERS if something does. To be freed in either case. */
VB_API vb_status vb_trace_contrast(const char *path_a, const char *path_b, int taps, vb_contrast *out, vb_err *err);
VB_API void vb_contrast_free(vb_contrast *contrast);
/* Re-runs the trace's prompt and choices. `model` NULL: found by the trace's path hint, then by its SHA-256 in the
 * stores. Player, ISA and threads come from `opts` (may be NULL); arithmetic, KV type and sampling from the trace. */
VB_API vb_status vb_trace_replay(const char *path, const char *model, const vb_model_opts *opts, vb_diff *out,
                                 vb_err *err);
/* The same up to the token before position `to`; 0: all. */
VB_API vb_status vb_trace_replay_to(const char *path, int to, const char *model, const vb_model_opts *opts, vb_diff *out,
                                    vb_err *err);

typedef struct {
    const char *model; /* NULL: found as vb_trace_replay finds it */
    vb_model *opened;  /* this one instead; it stays yours */
    int sample;        /* how many chosen tokens get their logits computed, the last one among them; 0: all */
    uint64_t seed;     /* decides which */
    const uint8_t *signer; /* 32 bytes, the public key that must have signed the trace; NULL: nobody must */
} vb_trace_verify_opts;
typedef struct {
    vb_diff diff;
    int64_t given, chosen, checked; /* tokens; checked: chosen ones whose logits were computed */
    int64_t taps;
    int version;                    /* of the file's format; the first one has no proofs */
    int ended;                      /* 0: the file was cut, and all that is left of it was verified */
    int is_signed;                  /* by `signer`, and the signature fits */
    uint8_t signer[32], digest[32];
} vb_verified;
/* Proves a trace without trust in who recorded it: everything in it but the information is computed again, with the
 * recorded tokens given, in one pass. Whoever changes a single field has to run the model again from there, even
 * though every digest of the chain can be made to fit. With `sample` every change before the last chosen token is
 * still found; whether the sampler would have chosen the tokens in between is not asked.
 * VB_OK: verified. VB_E_DIFFERS with out->diff. VB_E_UNSUPPORTED: recorded by other arithmetic, or nothing was chosen. */
VB_API vb_status vb_trace_verify(const char *path, const vb_trace_verify_opts *how, const vb_model_opts *opts,
                                 vb_verified *out, vb_err *err);

typedef struct {
    const char *model; /* NULL: found as vb_trace_replay finds it */
    const vb_model_opts *model_opts;     /* may be NULL; arithmetic from the trace */
    const vb_session_opts *session_opts; /* may be NULL; KV type from the trace, and the context if this has 0 */
} vb_trace_resume_opts;
/* What stood before a token of a recording; `parent` and `parent_at` are for the vb_trace_opts of a new one. */
typedef struct {
    vb_model *model; /* yours to close, behind the session */
    vb_session *session;
    vb_sampling sampling; /* as recorded */
    int top;
    uint8_t parent[32];
    int parent_at;
    vb_bias *biases;     /* as recorded; yours to free; NULL: none */
    int n_biases;
    vb_grammar *grammar; /* as recorded, behind those of the session's tokens that it holds; yours to close; NULL: none */
    int held_from;       /* for the vb_trace_opts, too */
} vb_resumed;
/* A session that holds the recorded tokens before position `at` (1 up to the number of tokens; 0: all of them) and the
 * logits of the last of them. If a choice was recorded there, these logits are the recorded ones, or the result is
 * VB_E_DIFFERS. With a cache in the session's options coming back needs no evaluation. */
VB_API vb_status vb_trace_resume(vb_resumed *out, const char *path, int at, const vb_trace_resume_opts *how, vb_err *err);

/* A trace in its family. */
typedef struct {
    const char *path;
    const char *parent;   /* the file it branches from; NULL: it begins by itself, or `parent_link` is in none of the files */
    const char *error;    /* why it cannot be read; then there is nothing else. NULL: it can */
    int depth, at;        /* at: tokens it shares with its parent */
    int tokens, given, ended;
    uint8_t digest[32], parent_link[32];
    const char *text;     /* what its tokens from `at` on say, the beginning */
    size_t text_len;
} vb_trace_node;
/* Who branches from whom, by the links that traces name as their parents: each trace behind its parent, branches in the
 * order of their positions. `fn` returns 0 to go on. */
VB_API vb_status vb_trace_tree(const char *const *paths, int n, int (*fn)(void *ud, const vb_trace_node *node), void *ud,
                               vb_err *err);

#ifdef __cplusplus
}
#endif
#endif
