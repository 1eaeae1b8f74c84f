/* openai_wire.c - how answers, events and errors of OpenAI's API look.
 *
 * An error is {"error":{"message","type","param","code"}}; its type follows from the status alone.
 */
#include "serve/openai.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TOKEN_BYTES = 256 };

void vb_openai_id(char id[VB_OPENAI_ID], const char *prefix)
{
    snprintf(id, VB_OPENAI_ID, "%.24s%016llx", prefix, (unsigned long long)vb_turn_seed());
}

void vb_openai_head_begin(vb_openai_head *head, const char *prefix, const char *object, const char *model)
{
    vb_openai_id(head->id, prefix);
    head->object = object;
    head->model = model;
    head->fingerprint = NULL;
    head->created = (int64_t)time(NULL);
}

void vb_openai_head_put(const vb_openai_head *head, vb_out *out)
{
    vb_js_put_string(out, "id", head->id);
    vb_js_put_string(out, "object", head->object);
    vb_js_put_int(out, "created", head->created);
    vb_js_put_string(out, "model", head->model);
    vb_js_put_string(out, "system_fingerprint", head->fingerprint);
}

void vb_openai_usage_put(vb_out *out, int64_t prompt, int64_t completion)
{
    vb_js_key(out, "usage");
    vb_js_open(out, '{');
    vb_js_put_int(out, "prompt_tokens", prompt);
    vb_js_put_int(out, "completion_tokens", completion);
    vb_js_put_int(out, "total_tokens", prompt + completion);
    vb_js_close(out, '}');
}

/* --- log-probabilities ----------------------------------------------------------------------------------- */

static void put_token(vb_out *out, const vb_model *model, vb_token id, float logprob, int ids)
{
    char bytes[TOKEN_BYTES];
    int64_t n = vb_token_bytes(model, id, bytes, sizeof bytes);
    size_t len = n < 0 ? 0 : n > TOKEN_BYTES ? TOKEN_BYTES : (size_t)n;
    if (ids) vb_js_put_int(out, "id", id);
    vb_js_key(out, "token");
    vb_js_string(out, bytes, len);
    vb_js_key(out, "logprob");
    vb_js_float(out, logprob);
    vb_js_key(out, "bytes");
    vb_js_open(out, '[');
    for (size_t i = 0; i < len; i++) vb_js_int(out, (unsigned char)bytes[i]);
    vb_js_close(out, ']');
}

void vb_openai_logprob_put(vb_out *out, const vb_model *model, const vb_job_token *token, int ids)
{
    vb_js_open(out, '{');
    put_token(out, model, token->id, token->logprob, ids);
    vb_js_key(out, "top_logprobs");
    vb_js_open(out, '[');
    for (int i = 0; i < token->n_top; i++) {
        vb_js_open(out, '{');
        put_token(out, model, token->top[i].id, token->top[i].logprob, ids);
        vb_js_close(out, '}');
    }
    vb_js_close(out, ']');
    vb_js_close(out, '}');
}

void vb_openai_list_put(vb_out *out, const char *key, const vb_out *list)
{
    vb_js_key(out, key);
    vb_js_open(out, '[');
    if (list->len > 0) vb_js_raw(out, list->data, list->len);
    vb_js_close(out, ']');
    out->failed |= list->failed;
}

void vb_openai_ids_put(vb_out *out, const char *key, const vb_token *ids, int n)
{
    vb_js_key(out, key);
    vb_js_open(out, '[');
    for (int i = 0; i < n; i++) vb_js_int(out, ids[i]);
    vb_js_close(out, ']');
}

/* --- errors, answers, events ----------------------------------------------------------------------------- */

void vb_openai_fault_put(vb_out *out, const vb_fault *fault)
{
    unsigned status = fault->status;
    vb_js_open(out, '{');
    vb_js_key(out, "error");
    vb_js_open(out, '{');
    vb_js_put_string(out, "message", fault->text);
    vb_js_put_string(out, "type", status == 400 ? "invalid_request_error" : status == 404 ? "not_found_error" : "api_error");
    vb_js_put_string(out, "param", NULL);
    vb_js_put_string(out, "code", NULL);
    vb_js_close(out, '}');
    vb_js_close(out, '}');
}

/* A request that cannot be read is refused with a charset and without a newline, as Ollama does it. */
void vb_openai_fault(vb_exchange *x, const vb_fault *fault)
{
    vb_out out = {0};
    char seconds[16];
    if (vb_serve_later(x, fault)) return;
    vb_openai_fault_put(&out, fault);
    snprintf(seconds, sizeof seconds, "%d", fault->retry_after);
    if (fault->retry_after > 0) vb_exchange_set(x, "Retry-After", seconds);
    if (fault->status == 400) vb_serve_json(x, fault->status, &out);
    else vb_openai_answer(x, fault->status, &out);
}

void vb_openai_answer(vb_exchange *x, unsigned status, vb_out *out)
{
    vb_out_bytes(out, "\n", 1);
    if (out->failed) vb_exchange_answer(x, 500, VB_OPENAI_TYPE, "{\"error\":{\"message\":\"out of memory\"}}\n", 39);
    else vb_exchange_answer(x, status, VB_OPENAI_TYPE, out->data, out->len);
    vb_out_free(out);
}

void vb_openai_event(vb_exchange *x, const char *name, vb_out *out)
{
    vb_out event = {0};
    if (name != NULL) vb_out_format(&event, "event: %s\n", name);
    vb_out_text(&event, "data: ");
    vb_out_bytes(&event, out->data, out->len);
    vb_out_text(&event, "\n\n");
    if (!out->failed && !event.failed) vb_exchange_write(x, event.data, event.len);
    vb_out_free(&event);
    vb_out_free(out);
}

void vb_openai_done(vb_exchange *x)
{
    vb_exchange_write(x, "data: [DONE]\n\n", 14);
    vb_exchange_end(x);
}
