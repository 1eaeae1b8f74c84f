/* openai_responses.c - /v1/responses: one message from text or items; nothing is stored.
 *
 *   whole    the response object
 *   stream   created, in_progress, then for each item output_item.added, its own events, output_item.done, then completed;
 *            each with its number
 *
 *            reasoning   reasoning_summary_text.delta ..., reasoning_summary_text.done
 *            a message   content_part.added, output_text.delta ..., output_text.done, content_part.done
 *            each call   function_call_arguments.delta, function_call_arguments.done
 *
 * Items stand in this order, so calls wait until the text is at its end. A message is left out if there are calls and it
 * would be empty.
 */
#include "serve/openai.h"

#include "serve/record.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    vb_request request;
    vb_turn *turn;
    char id[VB_OPENAI_ID], item[VB_OPENAI_ID], thought[VB_OPENAI_ID];
    const char *model, *instructions;
    const json_t *metadata, *format, *tools, *choice, *reasoning; /* as they were sent */
    vb_tooling tooling;
    double temperature, top_p, presence, frequency;
    int most, top; /* of output tokens, 0: no limit; of log-probabilities */
    int streams, logprobs, begun, events;
    int64_t created;
    vb_out text, values; /* the whole answer and its log-probabilities */
    size_t sent;         /* of these values */
    vb_out thinking;
    json_t *calls;       /* [{"id", "call_id", "name", "arguments"}] */
    int item_begun;      /* the message's events */
    int thought_begun, thought_done; /* the reasoning's */
    int prompt, reused, tokens, thoughts;
    const vb_record *record; /* NULL: nothing is kept */
    vb_fault fault;
} response;

static void free_response(response *r)
{
    vb_out_free(&r->text);
    vb_out_free(&r->values);
    vb_out_free(&r->thinking);
    json_decref(r->calls);
    vb_tooling_free(&r->tooling);
    vb_request_close(&r->request);
    free(r);
}

/* --- the objects ----------------------------------------------------------------------------------------- */

static void put_empty(vb_out *out, const char *key, const char *brackets)
{
    vb_js_key(out, key);
    vb_js_open(out, brackets[0]);
    vb_js_close(out, brackets[1]);
}

static void put_number(vb_out *out, const char *key, double value)
{
    vb_js_key(out, key);
    vb_js_double(out, value);
}

static void put_values(vb_out *out, const vb_out *values)
{
    vb_js_key(out, "logprobs");
    vb_js_open(out, '[');
    if (values->len > 0) vb_js_raw(out, values->data, values->len);
    vb_js_close(out, ']');
}

static void put_part(vb_out *out, const response *r, int done)
{
    static const vb_out none;
    vb_js_open(out, '{');
    vb_js_put_string(out, "type", "output_text");
    vb_js_key(out, "text");
    vb_js_string(out, r->text.data, done ? r->text.len : 0);
    put_empty(out, "annotations", "[]");
    put_values(out, done ? &r->values : &none);
    vb_js_close(out, '}');
}

static void put_item(vb_out *out, const response *r, int done)
{
    vb_js_open(out, '{');
    vb_js_put_string(out, "id", r->item);
    vb_js_put_string(out, "type", "message");
    vb_js_put_string(out, "status", done ? "completed" : "in_progress");
    vb_js_put_string(out, "role", "assistant");
    vb_js_key(out, "content");
    vb_js_open(out, '[');
    if (done) put_part(out, r, 1);
    vb_js_close(out, ']');
    vb_js_close(out, '}');
}

static void put_reasoning(vb_out *out, const response *r, int done)
{
    vb_js_open(out, '{');
    vb_js_put_string(out, "id", r->thought);
    vb_js_put_string(out, "type", "reasoning");
    vb_js_key(out, "summary");
    vb_js_open(out, '[');
    if (done) {
        vb_js_open(out, '{');
        vb_js_put_string(out, "type", "summary_text");
        vb_js_key(out, "text");
        vb_js_string(out, r->thinking.data, r->thinking.len);
        vb_js_close(out, '}');
    }
    vb_js_close(out, ']');
    vb_js_close(out, '}');
}

static const char *call_text(const response *r, size_t i, const char *key)
{
    return json_string_value(json_object_get(json_array_get(r->calls, i), key));
}

static void put_call(vb_out *out, const response *r, size_t i, int done)
{
    vb_js_open(out, '{');
    vb_js_put_string(out, "id", call_text(r, i, "id"));
    vb_js_put_string(out, "type", "function_call");
    vb_js_put_string(out, "status", done ? "completed" : "in_progress");
    vb_js_put_string(out, "call_id", call_text(r, i, "call_id"));
    vb_js_put_string(out, "name", call_text(r, i, "name"));
    vb_js_put_string(out, "arguments", done ? call_text(r, i, "arguments") : "");
    vb_js_close(out, '}');
}

/* Is there a message? */
static int has_item(const response *r)
{
    return r->text.len > 0 || json_array_size(r->calls) == 0;
}

static void put_output(vb_out *out, const response *r)
{
    if (r->thinking.len > 0) put_reasoning(out, r, 1);
    if (has_item(r)) put_item(out, r, 1);
    for (size_t i = 0; i < json_array_size(r->calls); i++) put_call(out, r, i, 1);
}

static void put_usage(vb_out *out, const response *r)
{
    vb_js_key(out, "usage");
    vb_js_open(out, '{');
    vb_js_put_int(out, "input_tokens", r->prompt);
    vb_js_put_int(out, "output_tokens", r->tokens);
    vb_js_put_int(out, "total_tokens", r->prompt + r->tokens);
    vb_js_key(out, "input_tokens_details");
    vb_js_open(out, '{');
    vb_js_put_int(out, "cached_tokens", r->reused);
    vb_js_close(out, '}');
    vb_js_key(out, "output_tokens_details");
    vb_js_open(out, '{');
    vb_js_put_int(out, "reasoning_tokens", r->thoughts);
    vb_js_close(out, '}');
    vb_js_close(out, '}');
}

/* A value as it was sent. */
static void put_given(vb_out *out, const char *key, const json_t *value, const char *otherwise)
{
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    vb_js_key(out, key);
    vb_js_raw(out, text != NULL ? text : otherwise, strlen(text != NULL ? text : otherwise));
    free(text);
}

/* What was asked, and what OpenAI's clients expect to be told beside it. */
static void put_settings(vb_out *out, const response *r)
{
    put_given(out, "tools", r->tools, "[]");
    put_given(out, "tool_choice", r->choice, "\"auto\"");
    vb_js_put_string(out, "truncation", "disabled");
    vb_js_put_bool(out, "parallel_tool_calls", !r->tooling.one);
    vb_js_key(out, "text");
    vb_js_open(out, '{');
    put_given(out, "format", r->format, "{\"type\":\"text\"}");
    vb_js_close(out, '}');
    put_number(out, "top_p", r->top_p);
    put_number(out, "presence_penalty", r->presence);
    put_number(out, "frequency_penalty", r->frequency);
    vb_js_put_int(out, "top_logprobs", r->top);
    put_number(out, "temperature", r->temperature);
    put_given(out, "reasoning", r->reasoning, "null");
}

static void put_rest(vb_out *out, const response *r, int done)
{
    if (done) put_usage(out, r);
    else vb_js_put_string(out, "usage", NULL);
    if (r->most > 0) vb_js_put_int(out, "max_output_tokens", r->most);
    else vb_js_put_string(out, "max_output_tokens", NULL);
    vb_js_put_string(out, "max_tool_calls", NULL);
    vb_js_put_bool(out, "store", 0);
    vb_js_put_bool(out, "background", 0);
    vb_js_put_string(out, "service_tier", "default");
    put_given(out, "metadata", r->metadata, "{}");
    vb_js_put_string(out, "safety_identifier", NULL);
    vb_js_put_string(out, "prompt_cache_key", NULL);
    if (done) vb_verbatim_put_all(out, r->record, &r->request);
}

static void put_response(vb_out *out, const response *r, int done)
{
    vb_js_open(out, '{');
    vb_js_put_string(out, "id", r->id);
    vb_js_put_string(out, "object", "response");
    vb_js_put_int(out, "created_at", r->created);
    if (done) vb_js_put_int(out, "completed_at", (int64_t)time(NULL));
    else vb_js_put_string(out, "completed_at", NULL);
    vb_js_put_string(out, "status", done ? "completed" : "in_progress");
    vb_js_put_string(out, "incomplete_details", NULL);
    vb_js_put_string(out, "model", r->model);
    vb_js_put_string(out, "previous_response_id", NULL);
    vb_js_put_string(out, "instructions", r->instructions);
    vb_js_key(out, "output");
    vb_js_open(out, '[');
    if (done) put_output(out, r);
    vb_js_close(out, ']');
    vb_js_put_string(out, "error", NULL);
    put_settings(out, r);
    put_rest(out, r, done);
    vb_js_close(out, '}');
    out->failed |= r->text.failed | r->values.failed | r->thinking.failed;
}

/* --- events of a stream ---------------------------------------------------------------------------------- */

static void begin_event(response *r, vb_out *out, const char *name)
{
    vb_js_open(out, '{');
    vb_js_put_string(out, "type", name);
    vb_js_put_int(out, "sequence_number", r->events++);
}

static void send_event(response *r, vb_out *out, const char *name)
{
    vb_js_close(out, '}');
    vb_openai_event(r->turn->exchange, name, out);
}

static void send_response(response *r, const char *name, int done)
{
    vb_out out = {0};
    begin_event(r, &out, name);
    vb_js_key(&out, "response");
    put_response(&out, r, done);
    send_event(r, &out, name);
}

/* "output_index" of the message. */
static int item_index(const response *r)
{
    return r->thinking.len > 0;
}

static void send_item(response *r, const char *name, int done)
{
    vb_out out = {0};
    begin_event(r, &out, name);
    vb_js_put_int(&out, "output_index", item_index(r));
    vb_js_key(&out, "item");
    put_item(&out, r, done);
    send_event(r, &out, name);
}

/* Where in the response something is; the fields that stand in all events about the part. */
static void begin_part_event(response *r, vb_out *out, const char *name)
{
    begin_event(r, out, name);
    vb_js_put_string(out, "item_id", r->item);
    vb_js_put_int(out, "output_index", item_index(r));
    vb_js_put_int(out, "content_index", 0);
}

static void send_part(response *r, const char *name, int done)
{
    vb_out out = {0};
    begin_part_event(r, &out, name);
    vb_js_key(&out, "part");
    put_part(&out, r, done);
    send_event(r, &out, name);
}

static void send_text(response *r, const char *name, const char *key, const char *text, size_t len, const vb_out *values)
{
    vb_out out = {0};
    begin_part_event(r, &out, name);
    vb_js_key(&out, key);
    vb_js_string(&out, text, len);
    put_values(&out, values);
    send_event(r, &out, name);
}

static void begin_stream(response *r)
{
    if (r->begun) return;
    r->begun = 1;
    vb_exchange_begin(r->turn->exchange, 200, "text/event-stream");
    send_response(r, "response.created", 0);
    send_response(r, "response.in_progress", 0);
}

static void begin_item(response *r)
{
    if (r->item_begun) return;
    r->item_begun = 1;
    send_item(r, "response.output_item.added", 0);
    send_part(r, "response.content_part.added", 0);
}

static void end_item(response *r)
{
    begin_item(r);
    send_text(r, "response.output_text.done", "text", r->text.data, r->text.len, &r->values);
    send_part(r, "response.content_part.done", 1);
    send_item(r, "response.output_item.done", 1);
}

/* --- events of thoughts and calls -------------------------------------------------------------------------- */

static void send_thought(response *r, const char *name, const char *key, const char *text, size_t len)
{
    vb_out out = {0};
    begin_event(r, &out, name);
    vb_js_put_string(&out, "item_id", r->thought);
    vb_js_put_int(&out, "output_index", 0);
    vb_js_put_int(&out, "summary_index", 0);
    vb_js_key(&out, key);
    vb_js_string(&out, text, len);
    send_event(r, &out, name);
}

static void send_thought_item(response *r, const char *name, int done)
{
    vb_out out = {0};
    begin_event(r, &out, name);
    vb_js_put_int(&out, "output_index", 0);
    vb_js_key(&out, "item");
    put_reasoning(&out, r, done);
    send_event(r, &out, name);
}

static void end_thought(response *r)
{
    if (!r->thought_begun || r->thought_done) return;
    r->thought_done = 1;
    send_thought(r, "response.reasoning_summary_text.done", "text", r->thinking.data, r->thinking.len);
    send_thought_item(r, "response.output_item.done", 1);
}

static void send_call_item(response *r, const char *name, size_t i, int index, int done)
{
    vb_out out = {0};
    begin_event(r, &out, name);
    vb_js_put_int(&out, "output_index", index);
    vb_js_key(&out, "item");
    put_call(&out, r, i, done);
    send_event(r, &out, name);
}

static void send_arguments(response *r, const char *name, const char *key, size_t i, int index)
{
    vb_out out = {0};
    begin_event(r, &out, name);
    vb_js_put_string(&out, "item_id", call_text(r, i, "id"));
    vb_js_put_int(&out, "output_index", index);
    vb_js_put_string(&out, key, call_text(r, i, "arguments"));
    send_event(r, &out, name);
}

static void send_calls(response *r)
{
    int index = item_index(r) + has_item(r);
    for (size_t i = 0; i < json_array_size(r->calls); i++, index++) {
        send_call_item(r, "response.output_item.added", i, index, 0);
        send_arguments(r, "response.function_call_arguments.delta", "delta", i, index);
        send_arguments(r, "response.function_call_arguments.done", "arguments", i, index);
        send_call_item(r, "response.output_item.done", i, index, 1);
    }
}

static void end_stream(response *r)
{
    vb_out out = {0};
    if (r->fault.status != 0) {
        begin_event(r, &out, "error");
        vb_js_put_string(&out, "code", "server_error");
        vb_js_put_string(&out, "message", r->fault.text);
        vb_js_put_string(&out, "param", NULL);
        send_event(r, &out, "error");
    } else {
        end_thought(r);
        if (has_item(r)) end_item(r);
        send_calls(r);
        send_response(r, "response.completed", 1);
    }
    vb_exchange_end(r->turn->exchange);
}

/* --- the turn's events ----------------------------------------------------------------------------------- */

static void add_text(response *r, const char *text, size_t len)
{
    vb_out fresh = {0};
    vb_out_bytes(&r->text, text, len);
    if (!r->streams) return;
    begin_stream(r);
    if (len == 0 && (r->values.len == r->sent || !r->item_begun)) return;
    end_thought(r);
    begin_item(r);
    size_t skip = r->sent + (r->sent > 0); /* and its comma */
    if (r->values.len > skip) vb_out_bytes(&fresh, r->values.data + skip, r->values.len - skip);
    r->sent = r->values.len;
    send_text(r, "response.output_text.delta", "delta", text, len, &fresh);
    vb_out_free(&fresh);
}

static void add_thought(response *r, const char *text, size_t len)
{
    vb_out_bytes(&r->thinking, text, len);
    if (!r->streams) return;
    begin_stream(r);
    if (!r->thought_begun) send_thought_item(r, "response.output_item.added", 0);
    r->thought_begun = 1;
    send_thought(r, "response.reasoning_summary_text.delta", "delta", text, len);
}

/* A thought behind the answer's beginning would come out of order: it is lost. */
static void on_split(void *ud, int i, const vb_reply_piece *piece)
{
    response *r = ud;
    char id[VB_OPENAI_ID], call[16];
    (void)i;
    if (piece->thinking_len > 0 && !r->item_begun && !r->thought_done) add_thought(r, piece->thinking, piece->thinking_len);
    for (int k = 0; k < piece->n_calls; k++) {
        vb_openai_id(id, "fc_");
        vb_call_id(call);
        json_array_append_new(r->calls, json_pack("{s:s, s:s, s:s, s:s}", "id", id, "call_id", call, "name", piece->calls[k].name,
                                                  "arguments", piece->calls[k].arguments));
    }
}

static int on_token(void *ud, int i, const vb_job_token *token)
{
    response *r = ud;
    (void)i;
    if (r->logprobs) vb_openai_logprob_put(&r->values, r->turn->host->model, token, 0);
    add_text(r, token->text, token->len);
    return r->streams && vb_turn_stalled(r->turn);
}

static void on_done(void *ud, int i, const vb_job_end *end)
{
    response *r = ud;
    vb_turn_judge(end, &r->fault);
    r->prompt = end->prompt_tokens;
    r->reused = end->reused;
    r->tokens = end->tokens;
    if (end->job != NULL) r->record = end->job->record;
    r->thoughts = vb_turn_thoughts(r->turn, i);
    if (r->fault.status == 0) add_text(r, end->text, end->len);
}

static void on_over(void *ud)
{
    response *r = ud;
    vb_out out = {0};
    if (r->begun) {
        end_stream(r);
    } else if (r->fault.status != 0) {
        vb_openai_fault(r->turn->exchange, &r->fault);
    } else {
        put_response(&out, r, 1);
        vb_openai_answer(r->turn->exchange, 200, &out);
    }
    free_response(r);
}

/* --- the request ----------------------------------------------------------------------------------------- */

/* Log-probabilities are asked for by name, among other things that are not here. */
static void read_include(response *p)
{
    size_t i;
    json_t *include = vb_request_list(&p->request, "include", "[]string"), *one;
    json_array_foreach(include, i, one) {
        const char *name = json_string_value(one);
        p->logprobs |= name != NULL && strcmp(name, "message.output_text.logprobs") == 0;
    }
    p->top = (int)vb_request_int(&p->request, "top_logprobs", 0, 0, VB_TOP_MOST);
}

static void read_settings(response *p, vb_ask *ask)
{
    vb_request *r = &p->request, text;
    if (vb_request_any(r, "previous_response_id") != NULL)
        vb_fault_set(&r->fault, 400, "previous_response_id: responses are not stored; send the conversation as input");
    vb_request_part(&text, r, "text");
    p->format = vb_request_any(&text, "format");
    vb_openai_format(ask, r, p->format, "text.format");
    vb_request_join(r, &text);
    p->tools = json_object_get(r->root, "tools");
    p->choice = json_object_get(r->root, "tool_choice");
    p->reasoning = json_object_get(r->root, "reasoning");
    vb_tooling_openai(&p->tooling, r);
    ask->tooling = &p->tooling;
    p->metadata = vb_request_any(r, "metadata");
    if (p->metadata != NULL && !json_is_object(p->metadata)) vb_request_mistyped(r, "metadata", p->metadata, "map[string]string");
    vb_request_any(r, "user");
    if (vb_request_bool(r, "store", 0)) vb_request_ignore(r, "store");
}

/* A number as it was asked, to be told again. */
static double said(const vb_request *r, const char *key, double otherwise)
{
    const json_t *value = json_object_get(r->root, key);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

static void read_response(response *p, vb_ask *ask)
{
    static const char *const limits[] = {"max_output_tokens", NULL};
    vb_request *r = &p->request;
    vb_openai_ask(ask, r);
    vb_openai_limit(ask, r, limits);
    p->model = ask->model;
    p->most = ask->max_tokens;
    p->temperature = said(r, "temperature", 1);
    p->top_p = said(r, "top_p", 1);
    p->presence = said(r, "presence_penalty", 0);
    p->frequency = said(r, "frequency_penalty", 0);
    p->instructions = vb_request_string(r, "instructions", NULL);
    p->streams = vb_request_bool(r, "stream", 0);
    ask->messages = vb_openai_items(r, p->model, p->instructions);
    read_include(p);
    ask->top = p->logprobs ? p->top : -1;
    if (ask->choices > 1) vb_fault_set(&r->fault, 400, "n must be 1");
    read_settings(p, ask);
}

void vb_openai_responses(vb_serve *s, vb_exchange *x)
{
    static const vb_turn_events events = {.split = on_split, .token = on_token, .done = on_done, .over = on_over};
    vb_ask ask = {0};
    vb_fault none = {.status = 500, .text = "out of memory"}, *fault = &none;
    int started = 0;
    response *p = calloc(1, sizeof *p);
    if (p != NULL) {
        fault = &p->request.fault;
        if (vb_request_open(&p->request, x, "ResponsesRequest")) read_response(p, &ask);
        vb_openai_id(p->id, "resp_");
        vb_openai_id(p->item, "msg_");
        vb_openai_id(p->thought, "rs_");
        p->calls = json_array();
        p->created = (int64_t)time(NULL);
        started = fault->status == 0 && vb_turn_start(&p->turn, s, x, &ask, &events, p, fault);
    }
    json_decref((json_t *)ask.messages);
    if (started) return;
    vb_openai_fault(x, fault);
    if (p != NULL) free_response(p);
}
