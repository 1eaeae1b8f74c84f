/* wire.h - what the readers of this room share: answers that grow, failures, JSON by name, and one HTTP exchange.
 *
 * A failure of the other side (it is not there, says no, or talks nonsense) is VB_E_IO, with vb_partner.failed set where
 * there is a live partner; a recording that is not one is VB_E_FORMAT.
 */
#ifndef VB_PARITY_WIRE_H
#define VB_PARITY_WIRE_H
#include "parity/answer.h"

#include <jansson.h>

/* --- answer.c ------------------------------------------------------------------------------------------------ */

vb_status vb_parity_fail(vb_err *err, vb_status code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void vb_answer_start(vb_answer *answer); /* all that is told later is "not told" */
vb_status vb_answer_append(vb_answer *answer, const char *text, size_t len, vb_err *err);
vb_status vb_text_set(char **slot, const char *text, vb_err *err); /* a copy; NULL stays NULL */
vb_status vb_text_add(char ***list, int *n, const char *text, vb_err *err);

/* --- json.c: members of an object; what is missing or null is left alone, another type is an error -------------- */

vb_status vb_member_text(char **out, const json_t *object, const char *name, vb_err *err);
vb_status vb_member_real(float *out, const json_t *object, const char *name, vb_err *err);
vb_status vb_member_int(int64_t *out, const json_t *object, const char *name, int64_t low, int64_t high, vb_err *err);
/* An array of token ids. */
vb_status vb_member_ids(vb_token **out, int *n, const json_t *object, const char *name, vb_err *err);
/* A text, or an array of texts, added to the list. */
vb_status vb_member_texts(char ***out, int *n, const json_t *object, const char *name, vb_err *err);
/* "name=value" into the answer's unknown options. */
vb_status vb_unknown_add(vb_answer *answer, const char *name, const json_t *value, vb_err *err);
/* The rows that both engines use: [{"token", "bytes", "id", "logprob", "top_logprobs": [...]}, ...], appended. */
vb_status vb_tokens_read(vb_answer *answer, const json_t *rows, vb_err *err);

/* --- ollama_wire.c, llama_server.c: requests and replies, as sent or as recorded -------------------------------- */

vb_status vb_ollama_request_read(vb_answer *answer, const char *endpoint, const json_t *request, vb_err *err);
/* One object, or one line of a stream; *done becomes 1 with the last one. */
vb_status vb_ollama_reply_read(vb_answer *answer, const json_t *reply, int *done, vb_err *err);
/* The same of all the lines; a stream that ends before its last line is an error. */
vb_status vb_ollama_replies_read(vb_answer *answer, const char *body, size_t len, vb_err *err);
vb_status vb_ollama_show_read(vb_answer *answer, const json_t *show, vb_err *err);
vb_status vb_llama_reply_read(vb_answer *answer, const json_t *reply, vb_err *err);

/* --- http.c -------------------------------------------------------------------------------------------------- */

/* POSTs `request` (NULL: GET) to the partner's url + path. *body gets what came back, with a NUL behind; free it. */
vb_status vb_http_ask(char **body, size_t *len, vb_partner *partner, const char *path, const json_t *request,
                      vb_err *err);
/* The same for a reply that is one JSON object. */
vb_status vb_http_json(json_t **reply, vb_partner *partner, const char *path, const json_t *request, vb_err *err);
/* Marks a failure of reading what the partner sent, and says who it was. */
vb_status vb_partner_failed(vb_partner *partner, const char *path, vb_status status, vb_err *err);

#endif
