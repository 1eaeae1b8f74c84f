/* answer.h - what another engine answered, as plain data: who it is, what it was asked, what it said, token by token.
 *
 *   recording file ---> recording.c ----+
 *   Ollama ------------> ollama.c ------+--> vb_answers: one vb_answer a question --> judged by parity.h, shown by page.h
 *   llama-server ------> llama_server.c-+
 *
 * Nothing here depends on where it came from: a recorded answer and a live one of the same engine are equal field by
 * field. What an engine does not tell is NULL, -1, 0 or NAN as said below; nothing is guessed. Texts are bytes with a
 * NUL behind them; only `bytes` and `text` may hold NULs and parts of characters, so they carry a length.
 */
#ifndef VB_PARITY_ANSWER_H
#define VB_PARITY_ANSWER_H
#include "verbatim.h"

/* One token that was chosen or could have been. */
typedef struct {
    char *bytes; /* as the engine spells it; Ollama replaces bytes that are no whole character by U+FFFD */
    size_t len;
    vb_token id;    /* -1: not told (Ollama never does) */
    double logprob; /* natural, over the whole vocabulary, before any sampler; NAN: not told */
} vb_answer_choice;

typedef struct {
    vb_answer_choice chosen;
    vb_answer_choice *top; /* the likeliest ones, likeliest first, the chosen one usually among them */
    int n_top;
} vb_answer_token;

typedef struct {
    char *role, *content;
} vb_answer_message;

typedef enum {
    VB_DONE_UNKNOWN = 0,
    VB_DONE_STOP,  /* the model ended, or a stop text did */
    VB_DONE_LENGTH /* as many tokens as asked for, or the context is full */
} vb_done;

typedef struct {
    /* who */
    char *engine;  /* "ollama" or "llama-server" */
    char *version; /* its own word for it; NULL: not told */
    char *source;  /* file or URL it came from */
    char *model;   /* the name it was asked for; NULL: not told */
    int has_sha256;
    uint8_t sha256[32]; /* of the weights' file, if has_sha256 */
    char *chat_template; /* its chat template, in its own language; NULL: not told */

    /* what it was asked */
    int chat;     /* 1: messages through its chat template, 0: a raw prompt */
    char *prompt; /* the raw prompt; NULL for chat */
    vb_answer_message *messages;
    int n_messages;
    vb_sampling sampling; /* as the engine works, its defaults filled in */
    int seeded;           /* 0: it was free to take any seed */
    int num_predict;      /* limit of new tokens; -1: none */
    int num_ctx;          /* 0: not told */
    char **stops;
    int n_stops;
    char **unknown; /* "name=value" of options that verbatim does not have; they may change the answer */
    int n_unknown;

    /* what it made of the question */
    int64_t prompt_tokens; /* -1: not told */
    vb_token *prompt_ids;  /* NULL: not told; else prompt_tokens of them */
    char *rendered;        /* the prompt behind its chat template; NULL: not told */

    /* what it said */
    char *text;
    size_t len;
    vb_done done;
    char *done_reason;      /* its own word; NULL: not told */
    int64_t generated;      /* tokens by its own count, the ending token included; -1: not told */
    /* Those it showed: mostly one a token. Where several are shown as one, because a character or what may become a stop
     * text was not whole before, it has the bytes of all and the id and log-probability of the last. */
    vb_answer_token *tokens;
    int n_tokens;
    vb_token *ids; /* every generated token, the ending one included; NULL: not told (Ollama never does) */
    int n_ids;
} vb_answer;

typedef struct {
    vb_answer *item;
    int n;
} vb_answers;

void vb_answer_free(vb_answer *answer); /* what it holds, not the struct; accepts zero bytes */
void vb_answers_free(vb_answers *answers);

/* --- where answers come from --------------------------------------------------------------------------------- */

/* A question for a live engine. Greedy with the five likeliest tokens unless `sampling` says otherwise. */
typedef struct {
    const char *prompt;         /* raw; NULL: chat */
    const vb_message *messages; /* chat */
    size_t n_messages;
    vb_sampling sampling;
    int num_predict; /* 0: 48 */
    int num_ctx;     /* 0: 2048 */
    const char *const *stops;
    int n_stops;
    int top; /* 0: 5 */
} vb_question;

typedef struct {
    const char *url;   /* "http://127.0.0.1:11434"; without a scheme http is meant */
    const char *model; /* Ollama's name of the model; llama-server has only one: NULL */
    int patience;      /* seconds without a byte after which it counts as dead; 0: 120 */
    int failed;        /* out: 1 if the failure is the partner's or the network's */
} vb_partner;

/* Every case of a recorded file: {"ollama_version", "model", "cases": [{"endpoint", "request", "response"}, ...]}, or a
 * single {"path" or "endpoint", "request", "response" or "body"}. */
vb_status vb_answers_read(vb_answers *out, const char *path, vb_err *err);
/* Asks a live engine. After a failure `out` holds zero bytes. */
vb_status vb_ollama_ask(vb_answer *out, vb_partner *partner, const vb_question *question, vb_err *err);
vb_status vb_llama_server_ask(vb_answer *out, vb_partner *partner, const vb_question *question, vb_err *err);

#endif
