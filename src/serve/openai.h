/* openai.h - what OpenAI's routes share.
 *
 *   openai_ask.c     fields that all of them know      openai_chat.c         /v1/chat/completions
 *   openai_input.c   texts and token ids               openai_completions.c  /v1/completions, openai_legacy.c its logprobs
 *   openai_messages.c  conversations                   openai_embeddings.c   /v1/embeddings
 *   openai_wire.c    heads, errors, events, logprobs   openai_responses.c    /v1/responses
 *   openai.c         the routes; models
 */
#ifndef VB_SERVE_OPENAI_H
#define VB_SERVE_OPENAI_H
#include "serve/turn.h"

enum { VB_OPENAI_ID = 48 };
#define VB_OPENAI_TYPE "application/json"

/* --- openai_ask.c ---------------------------------------------------------------------------------------- */

/* temperature, top_p, seed, penalties, stop, n, logit_bias and what llama-server's clients send beside them. Texts live
 * as long as the request. */
void vb_openai_ask(vb_ask *ask, vb_request *r);
/* The answer's most tokens, by the first of the keys that is there; NULL ends them. */
void vb_openai_limit(vb_ask *ask, vb_request *r, const char *const *keys);
/* The form that an answer is held to, found at `key`; NULL: any text. */
void vb_openai_format(vb_ask *ask, vb_request *r, const json_t *format, const char *key);

/* --- openai_input.c -------------------------------------------------------------------------------------- */

/* One text of "text" | ["text", ...] | [id, ...] | [[id, ...], ...] */
typedef struct {
    const char *text; /* NULL: ids were given */
    vb_token *ids;    /* to be freed */
    int n;            /* at least 1 */
} vb_openai_input;
/* `key` as a list of texts and lists of ids, a new reference; NULL: the request has a fault. */
json_t *vb_openai_inputs(vb_request *r, const char *key, size_t most);
/* An entry of it as at most `room` ids; `flags` as of vb_tokenize. */
void vb_openai_input_read(vb_openai_input *out, vb_request *r, const json_t *value, const vb_host *host, int flags, int room);

/* --- openai_messages.c ----------------------------------------------------------------------------------- */

/* `messages`, borrowed from the request; `model` is told in faults. */
json_t *vb_openai_messages(vb_request *r, const char *model);
/* `input` and what stands before it (NULL: nothing), as messages; a new reference. */
json_t *vb_openai_items(vb_request *r, const char *model, const char *instructions);

/* --- openai_legacy.c ------------------------------------------------------------------------------------- */

/* Log-probabilities as /v1/completions has them: four lists that grow together. */
typedef struct {
    vb_out tokens, values, tops, offsets;
    vb_out content; /* the same tokens as /v1/chat/completions has them, with ids; empty unless they were asked for */
    int64_t chars;  /* of the text so far */
} vb_openai_legacy;
/* known: 0 for a prompt's first token, which nothing has predicted. */
void vb_openai_legacy_add(vb_openai_legacy *l, const vb_model *model, const vb_job_token *token, int known);
void vb_openai_legacy_put(vb_out *out, vb_openai_legacy *l); /* "logprobs":{...} */
void vb_openai_legacy_clear(vb_openai_legacy *l); /* keeps `chars` */

/* --- openai_wire.c --------------------------------------------------------------------------------------- */

/* What each piece of an answer repeats. */
typedef struct {
    char id[VB_OPENAI_ID];
    const char *object, *model, *fingerprint; /* the model as it was asked for */
    int64_t created;                          /* s since 1970 */
} vb_openai_head;

/* A new id behind `prefix`: "chatcmpl-0123456789abcdef". */
void vb_openai_id(char id[VB_OPENAI_ID], const char *prefix);
void vb_openai_head_begin(vb_openai_head *head, const char *prefix, const char *object, const char *model);
/* id, object, created, model and system_fingerprint, into an open object. */
void vb_openai_head_put(const vb_openai_head *head, vb_out *out);
/* "usage":{...} */
void vb_openai_usage_put(vb_out *out, int64_t prompt, int64_t completion);
/* One entry of "logprobs":{"content":[...]}; ids 1: each token with its id, as llama-server tells it. */
void vb_openai_logprob_put(vb_out *out, const vb_model *model, const vb_job_token *token, int ids);
/* "key":[...]: values that were written one behind another; ids. */
void vb_openai_list_put(vb_out *out, const char *key, const vb_out *list);
void vb_openai_ids_put(vb_out *out, const char *key, const vb_token *ids, int n);

void vb_openai_fault_put(vb_out *out, const vb_fault *fault); /* {"error":{...}} */
void vb_openai_fault(vb_exchange *x, const vb_fault *fault);
/* The answer is JSON on a line; it is sent and freed. */
void vb_openai_answer(vb_exchange *x, unsigned status, vb_out *out);
/* "data: {...}\n\n" of the JSON in `out`, which is freed. With a name "event: NAME\n" stands before it. */
void vb_openai_event(vb_exchange *x, const char *name, vb_out *out);
/* The stream's end: "data: [DONE]". */
void vb_openai_done(vb_exchange *x);

/* --- routes ---------------------------------------------------------------------------------------------- */

void vb_openai_chat(vb_serve *s, vb_exchange *x);
void vb_openai_completions(vb_serve *s, vb_exchange *x);
void vb_openai_embeddings(vb_serve *s, vb_exchange *x);
void vb_openai_responses(vb_serve *s, vb_exchange *x);

#endif
