/* openai_completions.c - /v1/completions: one or several prompts, as they are, without a template.
 *
 *   prompt p, choice k --> part p * n + k: a job of its own, all of them at once; the last one to end answers
 *
 * With `echo` the prompt stands before the answer, with `logprobs` its tokens' log-probabilities too, and with max_tokens 0
 * nothing else: what evaluations of models ask for. The token that ends an answer is among the log-probabilities.
 *
 * Invariant: `left` counts the parts that have not ended and the route itself; who takes it to zero answers and frees.
 */
#include "serve/openai.h"

#include "serve/record.h"

#include <stdlib.h>
#include <string.h>

enum { PARTS_MOST = 512, BUSY_SECONDS = 5 };

typedef struct completion completion;
typedef struct {
    vb_job job;
    completion *all;
    vb_openai_input in; /* of the prompt's first choice; the others point to its ids */
    vb_out text, ids;   /* whole: all of it */
    vb_openai_legacy legacy;
    const char *reason;
    int tokens;
} part;

struct completion {
    vb_serve *serve;
    vb_exchange *exchange;
    vb_request request;
    vb_openai_head head;
    vb_host *host;
    vb_ask ask;
    int streams, usage, echo, ids, n; /* ids: tokens are told by their ids too; n: parts */
    int begun;                   /* the stream */
    atomic_int left;
    vb_fault fault;              /* the scheduler's thread writes it, before it counts down */
    vb_bias *biases;
    int n_biases;
    part parts[];
};

static void free_completion(completion *c)
{
    for (int i = 0; i < c->n; i++) {
        vb_grammar_close(c->parts[i].job.grammar);
        vb_record_close(c->parts[i].job.record);
    }
    if (c->host != NULL) vb_hosts_release(c->serve->hosts, c->host, c->ask.keep_ns);
    for (int i = 0; i < c->n; i++) {
        free(c->parts[i].in.ids);
        vb_out_free(&c->parts[i].text);
        vb_out_free(&c->parts[i].ids);
        vb_openai_legacy_clear(&c->parts[i].legacy);
    }
    vb_request_close(&c->request);
    free(c->biases);
    free(c);
}

/* --- what is sent ---------------------------------------------------------------------------------------- */

static void put_choice(vb_out *out, completion *c, int i, const vb_out *text, const char *reason)
{
    part *p = &c->parts[i];
    vb_js_open(out, '{');
    vb_js_key(out, "text");
    vb_js_string(out, text->data, text->len);
    vb_js_put_int(out, "index", i);
    if (c->ask.top >= 0) vb_openai_legacy_put(out, &p->legacy);
    if (c->ids) vb_openai_list_put(out, "token_ids", &p->ids);
    vb_js_put_string(out, "finish_reason", reason);
    if (c->n > 1 && reason != NULL) vb_verbatim_put(out, p->job.record, NULL);
    vb_js_close(out, '}');
    out->failed |= text->failed;
}

static void put_usage(vb_out *out, const completion *c)
{
    int64_t prompt = 0, tokens = 0;
    for (int i = 0; i < c->n; i++) {
        if (c->parts[i].in.ids != NULL) prompt += c->parts[i].in.n;
        tokens += c->parts[i].tokens;
    }
    vb_openai_usage_put(out, prompt, tokens);
    vb_verbatim_put_all(out, c->n == 1 && !c->streams ? c->parts[0].job.record : NULL, &c->request);
}

static void begin_object(completion *c, vb_out *out)
{
    vb_js_open(out, '{');
    vb_openai_head_put(&c->head, out);
    vb_js_key(out, "choices");
    vb_js_open(out, '[');
}

static void begin_stream(completion *c)
{
    if (!c->begun) vb_exchange_begin(c->exchange, 200, "text/event-stream");
    c->begun = 1;
}

/* What the part has gathered since the last piece. */
static void send_piece(part *p, const char *reason)
{
    completion *c = p->all;
    vb_out out = {0};
    begin_stream(c);
    begin_object(c, &out);
    put_choice(&out, c, (int)(p - c->parts), &p->text, reason);
    vb_js_close(&out, ']');
    if (c->n == 1 && reason != NULL) vb_verbatim_put(&out, p->job.record, NULL);
    vb_js_close(&out, '}');
    vb_openai_event(c->exchange, NULL, &out);
    vb_out_free(&p->text);
    vb_out_free(&p->ids);
    vb_openai_legacy_clear(&p->legacy);
}

static void end_stream(completion *c)
{
    vb_out out = {0};
    if (c->fault.status != 0) {
        vb_openai_fault_put(&out, &c->fault);
        vb_openai_event(c->exchange, NULL, &out);
    } else if (c->usage) {
        begin_object(c, &out);
        vb_js_close(&out, ']');
        put_usage(&out, c);
        vb_js_close(&out, '}');
        vb_openai_event(c->exchange, NULL, &out);
    }
    vb_openai_done(c->exchange);
}

static void answer(completion *c)
{
    vb_out out = {0};
    begin_object(c, &out);
    for (int i = 0; i < c->n; i++) put_choice(&out, c, i, &c->parts[i].text, c->parts[i].reason);
    vb_js_close(&out, ']');
    put_usage(&out, c);
    vb_js_close(&out, '}');
    vb_openai_answer(c->exchange, 200, &out);
}

static void finish(completion *c)
{
    if (atomic_fetch_sub(&c->left, 1) > 1) return;
    if (c->request.fault.status != 0) c->fault = c->request.fault;
    if (c->begun) end_stream(c);
    else if (c->fault.status != 0) vb_openai_fault(c->exchange, &c->fault);
    else answer(c);
    free_completion(c);
}

/* --- events ---------------------------------------------------------------------------------------------- */

static void add_echo(part *p, const char *text, vb_token id)
{
    char bytes[256];
    int64_t n;
    if (text != NULL) vb_out_text(&p->text, text);
    else if ((n = vb_detokenize(p->all->host->model, &id, 1, 0, bytes, sizeof bytes, NULL)) > 0)
        vb_out_bytes(&p->text, bytes, n < (int64_t)sizeof bytes ? (size_t)n : sizeof bytes);
}

static void on_prompt(void *ud, int position, const vb_job_token *token)
{
    part *p = ud;
    const vb_model *model = p->all->host->model;
    (void)position;
    if (p->all->ask.top >= 0) vb_openai_legacy_add(&p->legacy, model, token, 1);
    if (p->in.text == NULL) add_echo(p, NULL, token->id);
}

static int on_token(void *ud, const vb_job_token *token)
{
    part *p = ud;
    completion *c = p->all;
    if (c->ask.top >= 0) vb_openai_legacy_add(&p->legacy, c->host->model, token, 1);
    if (c->ask.top >= 0 && c->ids) vb_openai_logprob_put(&p->legacy.content, c->host->model, token, 1);
    if (c->ids) vb_js_int(&p->ids, token->id);
    vb_out_bytes(&p->text, token->text, token->len);
    if (c->streams && p->text.len > 0) send_piece(p, NULL);
    return c->streams && vb_exchange_backlog(c->exchange) > 1 << 20;
}

static void on_end(void *ud, const vb_job_end *end)
{
    part *p = ud;
    completion *c = p->all;
    vb_fault fault;
    vb_turn_judge(end, &fault);
    if (c->fault.status == 0) c->fault = fault;
    vb_out_bytes(&p->text, end->text, end->len);
    p->reason = vb_turn_reason(end);
    p->tokens = end->tokens;
    if (c->streams && fault.status == 0) send_piece(p, p->reason);
    finish(c);
}

static void on_gone(void *ud)
{
    completion *c = ud;
    for (int i = 0; i < c->n; i++) vb_job_cancel(&c->parts[i].job);
    vb_scheduler_wake(c->serve->scheduler);
}

/* --- jobs ------------------------------------------------------------------------------------------------ */

static void make_job(completion *c, int i)
{
    const vb_ask *a = &c->ask;
    part *p = &c->parts[i], *first = &c->parts[i - i % a->choices];
    int room = c->host->context - first->in.n;
    p->all = c;
    p->in.text = first->in.text;
    p->job = (vb_job){.host = c->host, .ids = first->in.ids, .n = first->in.n, .sampling = a->sampling,
                      .max_tokens = a->max_tokens, .stops = a->stops, .n_stops = a->n_stops, .top = a->top, .echo = c->echo,
                      .biases = c->biases, .n_biases = c->n_biases, .request = vb_exchange_id(c->exchange),
                      .deadline_ns = vb_exchange_deadline(c->exchange), .priority = vb_exchange_priority(c->exchange),
                      .ending = a->top >= 0 || c->ids, .on_token = on_token, .on_prompt = on_prompt, .on_end = on_end, .ud = p};
    if (a->max_tokens == 0 || a->max_tokens > room) p->job.max_tokens = room;
    p->job.sampling.stream = (uint64_t)(i % a->choices);
    if (!c->echo) return;
    add_echo(p, first->in.text, first->in.ids[0]);
    if (a->top >= 0) vb_openai_legacy_add(&p->legacy, c->host->model, &(vb_job_token){.id = first->in.ids[0]}, 0);
}

/* Each part goes its own way through the grammar. */
static int hold(completion *c)
{
    vb_grammar **first = &c->parts[0].job.grammar;
    vb_err err = {0};
    if (!vb_form_open(first, c->host->model, &c->ask.form, &c->request.fault)) return 0;
    for (int i = 1; i < c->n && *first != NULL; i++)
        if (vb_grammar_fork(&c->parts[i].job.grammar, *first, &err) < 0) {
            vb_fault_set(&c->request.fault, 500, "%s", err.text);
            return 0;
        }
    return 1;
}

static int record(completion *c)
{
    vb_fault *fault = &c->request.fault;
    for (int i = 0; i < c->n && fault->status == 0 && vb_record_wanted(c->serve->recorder, c->ask.digest); i++)
        vb_record_open(&c->parts[i].job.record, c->serve->recorder, vb_exchange_id(c->exchange), i, c->n, fault);
    return fault->status == 0;
}

static void submit_all(completion *c)
{
    vb_err err = {0};
    c->head.fingerprint = c->host->fingerprint;
    if (c->ask.sampling.top_k > c->host->info.vocab) c->ask.sampling.top_k = c->host->info.vocab;
    for (int i = 0; i < c->n; i++) make_job(c, i);
    if (!hold(c) || !record(c)) {
        finish(c);
        return;
    }
    atomic_store(&c->left, c->n + 1);
    vb_exchange_on_gone(c->exchange, on_gone, c);
    for (int i = 0; i < c->n; i++) {
        if (vb_scheduler_submit(c->serve->scheduler, &c->parts[i].job, &err) == VB_OK) continue;
        on_gone(c);
        vb_fault_set(&c->request.fault, 503, "%s", err.text);
        c->request.fault.retry_after = BUSY_SECONDS;
        atomic_fetch_sub(&c->left, c->n - i);
        break;
    }
    finish(c);
}

/* --- the request ----------------------------------------------------------------------------------------- */

static void read_fields(completion *c, vb_request *r)
{
    static const char *const limits[] = {"max_tokens", NULL};
    vb_request options;
    vb_openai_ask(&c->ask, r);
    vb_openai_limit(&c->ask, r, limits);
    c->streams = vb_request_bool(r, "stream", 0);
    vb_request_part(&options, r, "stream_options");
    c->usage = vb_request_bool(&options, "include_usage", 0);
    vb_request_join(r, &options);
    c->echo = vb_request_bool(r, "echo", 0);
    c->ids = vb_request_bool(r, "return_token_ids", 0);
    c->ask.top = (int)vb_request_int(r, "logprobs", -1, 0, VB_TOP_MOST);
    vb_openai_format(&c->ask, r, vb_request_any(r, "response_format"), "response_format");
    const char *suffix = vb_request_string(r, "suffix", "");
    if (suffix[0] != '\0') vb_fault_set(&r->fault, 400, "%.320s does not support insert", c->ask.model);
    if (vb_request_int(r, "best_of", c->ask.choices, 1, INT32_MAX) != c->ask.choices) vb_request_ignore(r, "best_of");
    vb_request_any(r, "user");
    vb_openai_head_begin(&c->head, "cmpl-", "text_completion", c->ask.model);
}

static int reads(completion *c, const json_t *prompts)
{
    vb_request *r = &c->request;
    vb_err err = {0};
    int n = c->ask.choices;
    if (vb_sampling_check(&c->ask.sampling, &err) < 0) vb_fault_set(&r->fault, 400, "%s", err.text);
    if (!vb_turn_host(c->serve, c->ask.model, 0, &c->host, &r->fault)) return 0;
    if (!vb_biases_read(&c->biases, &c->n_biases, c->ask.biases, c->host->info.vocab, &r->fault)) return 0;
    if (c->host->info.encoder) vb_fault_set(&r->fault, 400, "\"%.200s\" does not support generate", c->ask.model);
    for (int i = 0; i < c->n && r->fault.status == 0; i += n)
        vb_openai_input_read(&c->parts[i].in, r, json_array_get(prompts, (size_t)(i / n)), c->host,
                             VB_ADD_SPECIAL | VB_PARSE_SPECIAL, c->host->context - 1);
    return r->fault.status == 0;
}

void vb_openai_completions(vb_serve *s, vb_exchange *x)
{
    completion whole = {.serve = s, .exchange = x}, *c = NULL;
    vb_request *r = &whole.request;
    vb_request_open(r, x, "CompletionRequest");
    read_fields(&whole, r);
    json_t *prompts = r->fault.status == 0 ? vb_openai_inputs(r, "prompt", (size_t)(PARTS_MOST / whole.ask.choices)) : NULL;
    size_t n = json_array_size(prompts) * (size_t)whole.ask.choices;
    if (prompts != NULL) c = calloc(1, sizeof *c + n * sizeof c->parts[0]);
    if (c == NULL) {
        vb_fault_set(&r->fault, 500, "out of memory");
        vb_openai_fault(x, &r->fault);
        vb_request_close(r);
        json_decref(prompts);
    } else {
        memcpy(c, &whole, sizeof whole);
        c->ask.form.request = &c->request;
        c->n = (int)n;
        int ok = reads(c, prompts);
        json_decref(prompts); /* before others may free what it shares with the request */
        if (ok) submit_all(c);
        else finish(c);
    }
}
