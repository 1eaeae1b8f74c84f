/* openai_chat.c - /v1/chat/completions.
 *
 *   whole    one object, when all choices are done
 *   stream   {"delta":{"role","content"}} {"delta":{"content"}} ... {"delta":{},"finish_reason"} of each choice, with
 *            "reasoning" or "tool_calls" beside an empty content where the model thinks or calls, then
 *            with stream_options.include_usage {"choices":[],"usage"}, then [DONE]
 *
 * A stream begins with the first event, so that what fails before it is answered with a status of its own.
 */
#include "serve/openai.h"

#include "serve/record.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    vb_out text, logprobs, ids; /* whole: all of it; stream: what the next piece brings */
    vb_out thinking, calls;
    const char *reason;
    const vb_record *record; /* NULL: nothing is kept */
    int begun, n_calls;
} choice;

typedef struct {
    vb_openai_head head;
    vb_request request;
    vb_turn *turn;
    vb_tooling tooling; /* until the turn has started */
    int streams, usage, logprobs, ids, begun; /* ids: tokens are told by their ids too */
    int prompt, completion; /* tokens */
    vb_fault fault;         /* of the first choice that failed */
    choice choices[VB_CHOICES_MOST];
} chat;

static void free_chat(chat *c)
{
    for (int i = 0; i < VB_CHOICES_MOST; i++) {
        vb_out_free(&c->choices[i].text);
        vb_out_free(&c->choices[i].logprobs);
        vb_out_free(&c->choices[i].ids);
        vb_out_free(&c->choices[i].thinking);
        vb_out_free(&c->choices[i].calls);
    }
    vb_tooling_free(&c->tooling);
    vb_request_close(&c->request);
    free(c);
}

/* --- pieces of a stream ---------------------------------------------------------------------------------- */

static void begin_piece(chat *c, vb_out *out)
{
    if (!c->begun) vb_exchange_begin(c->turn->exchange, 200, "text/event-stream");
    c->head.fingerprint = c->turn->host->fingerprint;
    vb_js_open(out, '{');
    vb_openai_head_put(&c->head, out);
    if (c->ids && !c->begun) vb_openai_ids_put(out, "prompt_token_ids", c->turn->ids, c->turn->n);
    c->begun = 1;
    vb_js_key(out, "choices");
    vb_js_open(out, '[');
}

static void put_logprobs(vb_out *out, const choice *h)
{
    vb_js_key(out, "logprobs");
    vb_js_open(out, '{');
    vb_openai_list_put(out, "content", &h->logprobs);
    vb_js_close(out, '}');
}

/* Thought and calls, where there are any. */
static void put_split(vb_out *out, const choice *h)
{
    if (h->thinking.len > 0) {
        vb_js_key(out, "reasoning");
        vb_js_string(out, h->thinking.data, h->thinking.len);
    }
    if (h->calls.len == 0) return;
    vb_js_key(out, "tool_calls");
    vb_js_open(out, '[');
    vb_js_raw(out, h->calls.data, h->calls.len);
    vb_js_close(out, ']');
}

/* A piece with the choice's new text, or with its reason to finish. */
static void send_piece(chat *c, int i, const char *text, size_t len, const char *reason)
{
    vb_out out = {0};
    choice *h = &c->choices[i];
    begin_piece(c, &out);
    vb_js_open(&out, '{');
    vb_js_put_int(&out, "index", i);
    vb_js_key(&out, "delta");
    vb_js_open(&out, '{');
    if (!h->begun) vb_js_put_string(&out, "role", "assistant");
    if (!h->begun || reason == NULL) vb_js_key(&out, "content");
    if (!h->begun || reason == NULL) vb_js_string(&out, text, len);
    put_split(&out, h);
    vb_js_close(&out, '}');
    if (c->logprobs && h->logprobs.len > 0) put_logprobs(&out, h);
    if (c->ids && h->ids.len > 0) vb_openai_list_put(&out, "token_ids", &h->ids);
    vb_js_put_string(&out, "finish_reason", reason);
    vb_js_close(&out, '}');
    vb_js_close(&out, ']');
    if (reason != NULL) vb_verbatim_put(&out, h->record, NULL);
    vb_js_close(&out, '}');
    vb_openai_event(c->turn->exchange, NULL, &out);
    vb_out_free(&h->logprobs);
    vb_out_free(&h->ids);
    h->thinking.len = h->calls.len = 0;
    h->begun = 1;
}

static void end_stream(chat *c)
{
    vb_out out = {0};
    if (c->fault.status != 0) {
        vb_openai_fault_put(&out, &c->fault);
        vb_openai_event(c->turn->exchange, NULL, &out);
    } else if (c->usage) {
        begin_piece(c, &out);
        vb_js_close(&out, ']');
        vb_openai_usage_put(&out, c->prompt, c->completion);
        vb_request_put_ignored(&c->request, &out);
        vb_js_close(&out, '}');
        vb_openai_event(c->turn->exchange, NULL, &out);
    }
    vb_openai_done(c->turn->exchange);
}

/* --- the whole answer ------------------------------------------------------------------------------------ */

static void put_choice(vb_out *out, const chat *c, int i)
{
    const choice *h = &c->choices[i];
    vb_js_open(out, '{');
    vb_js_put_int(out, "index", i);
    vb_js_key(out, "message");
    vb_js_open(out, '{');
    vb_js_put_string(out, "role", "assistant");
    vb_js_key(out, "content");
    vb_js_string(out, h->text.data, h->text.len);
    put_split(out, h);
    vb_js_close(out, '}');
    vb_js_put_string(out, "finish_reason", h->reason);
    if (c->logprobs) put_logprobs(out, h);
    if (c->ids) vb_openai_list_put(out, "token_ids", &h->ids);
    if (c->turn->choices > 1) vb_verbatim_put(out, h->record, NULL);
    vb_js_close(out, '}');
}

static void answer(chat *c)
{
    vb_out out = {0};
    c->head.fingerprint = c->turn->host->fingerprint;
    vb_js_open(&out, '{');
    vb_openai_head_put(&c->head, &out);
    if (c->ids) vb_openai_ids_put(&out, "prompt_token_ids", c->turn->ids, c->turn->n);
    vb_js_key(&out, "choices");
    vb_js_open(&out, '[');
    for (int i = 0; i < c->turn->choices; i++) {
        put_choice(&out, c, i);
        out.failed |= c->choices[i].text.failed | c->choices[i].logprobs.failed;
        out.failed |= c->choices[i].thinking.failed | c->choices[i].calls.failed;
    }
    vb_js_close(&out, ']');
    vb_openai_usage_put(&out, c->prompt, c->completion);
    vb_verbatim_put_all(&out, c->turn->choices == 1 ? c->choices[0].record : NULL, &c->request);
    vb_js_close(&out, '}');
    vb_openai_answer(c->turn->exchange, 200, &out);
}

/* --- events ---------------------------------------------------------------------------------------------- */

static void on_split(void *ud, int i, const vb_reply_piece *piece)
{
    chat *c = ud;
    choice *h = &c->choices[i];
    vb_out_bytes(&h->thinking, piece->thinking, piece->thinking_len);
    vb_calls_put_openai(&h->calls, piece->calls, piece->n_calls, h->n_calls);
    h->n_calls += piece->n_calls;
    if (c->streams) send_piece(c, i, "", 0, NULL);
}

static int on_token(void *ud, int i, const vb_job_token *token)
{
    chat *c = ud;
    choice *h = &c->choices[i];
    if (c->logprobs) vb_openai_logprob_put(&h->logprobs, c->turn->host->model, token, c->ids);
    if (c->ids) vb_js_int(&h->ids, token->id);
    if (!c->streams) vb_out_bytes(&h->text, token->text, token->len);
    else if (token->len > 0) send_piece(c, i, token->text, token->len, NULL);
    return c->streams && vb_turn_stalled(c->turn);
}

static void on_done(void *ud, int i, const vb_job_end *end)
{
    chat *c = ud;
    choice *h = &c->choices[i];
    vb_fault fault;
    vb_turn_judge(end, &fault);
    if (c->fault.status == 0) c->fault = fault;
    c->prompt = end->prompt_tokens;
    c->completion += end->tokens;
    h->reason = h->n_calls > 0 ? "tool_calls" : vb_turn_reason(end);
    if (end->job != NULL) h->record = end->job->record;
    if (!c->streams) vb_out_bytes(&h->text, end->text, end->len);
    if (!c->streams || fault.status != 0) return;
    if (end->len > 0 || h->logprobs.len > 0 || h->ids.len > 0) send_piece(c, i, end->text, end->len, NULL);
    send_piece(c, i, "", 0, h->reason);
}

static void on_over(void *ud)
{
    chat *c = ud;
    if (c->begun) end_stream(c);
    else if (c->fault.status != 0) vb_openai_fault(c->turn->exchange, &c->fault);
    else answer(c);
    free_chat(c);
}

/* --- the request ----------------------------------------------------------------------------------------- */

static void read_chat(chat *c, vb_ask *ask)
{
    static const char *const limits[] = {"max_completion_tokens", "max_tokens", NULL};
    vb_request *r = &c->request, options;
    vb_openai_ask(ask, r);
    vb_openai_limit(ask, r, limits);
    ask->messages = vb_openai_messages(r, ask->model);
    c->streams = vb_request_bool(r, "stream", 0);
    vb_request_part(&options, r, "stream_options");
    c->usage = vb_request_bool(&options, "include_usage", 0);
    vb_request_join(r, &options);
    c->logprobs = vb_request_bool(r, "logprobs", 0);
    c->ids = ask->ending = vb_request_bool(r, "return_token_ids", 0);
    int top = (int)vb_request_int(r, "top_logprobs", 0, 0, VB_TOP_MOST);
    ask->top = c->logprobs ? top : -1;
    vb_openai_format(ask, r, vb_request_any(r, "response_format"), "response_format");
    vb_tooling_openai(&c->tooling, r);
    ask->tooling = &c->tooling;
    vb_request_any(r, "user");
}

void vb_openai_chat(vb_serve *s, vb_exchange *x)
{
    static const vb_turn_events events = {.split = on_split, .token = on_token, .done = on_done, .over = on_over};
    vb_ask ask = {0};
    vb_fault none = {.status = 500, .text = "out of memory"}, *fault = &none;
    chat *c = calloc(1, sizeof *c);
    if (c != NULL) {
        fault = &c->request.fault;
        if (vb_request_open(&c->request, x, "ChatCompletionRequest")) read_chat(c, &ask);
        vb_openai_head_begin(&c->head, "chatcmpl-", c->streams ? "chat.completion.chunk" : "chat.completion", ask.model);
        if (fault->status == 0 && vb_turn_start(&c->turn, s, x, &ask, &events, c, fault)) return;
    }
    vb_openai_fault(x, fault);
    if (c != NULL) free_chat(c);
}
