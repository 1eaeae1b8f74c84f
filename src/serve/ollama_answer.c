/* ollama_answer.c - the answer to generate and chat, as one object or as a line for each piece of text.
 *
 *   split: thought, calls               --stream--> {"thinking": piece, "done": false}, {"tool_calls": [...], "done": false}
 *   token: ids, text, log-probabilities --stream--> {"response": piece, "done": false}
 *                                       --whole---> kept
 *   over:  the last object, with counts and times
 *
 * Log-probabilities wait for the text of their token: a character may take several.
 */
#include "serve/ollama.h"

#include "serve/record.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    vb_turn *turn;
    vb_exchange *x;
    vb_request request; /* until the end: what it asks for in vain may turn out late */
    char *model;
    int chat, streams, top, wants_context, begun;
    vb_out text;     /* all of it */
    vb_out thinking; /* of an answer that is not streamed */
    vb_out calls;    /* the same; values with commas between them */
    int n_calls;
    vb_out logprobs; /* those that have not been sent: values with commas between them */
    vb_token *ids;   /* chosen, the ending one left out */
    int n, cap;
    int failed;      /* 1: out of memory */
    int slow;        /* 1: the client does not read */
    vb_job_end end;
} answer;

static void free_answer(answer *a)
{
    vb_out_free(&a->text);
    vb_out_free(&a->thinking);
    vb_out_free(&a->calls);
    vb_out_free(&a->logprobs);
    vb_request_close(&a->request);
    free(a->model);
    free(a->ids);
    free(a);
}

/* --- log-probabilities ----------------------------------------------------------------------------------- */

static void put_choice(vb_out *out, const vb_model *model, vb_token id, float logprob)
{
    char text[512];
    int64_t n = vb_token_bytes(model, id, text, sizeof text);
    if (n < 0) n = 0;
    if (n > (int64_t)sizeof text) n = sizeof text;
    vb_js_key(out, "token");
    vb_js_string(out, text, (size_t)n);
    vb_js_key(out, "logprob");
    vb_js_double(out, (double)logprob);
    vb_js_key(out, "bytes");
    vb_js_open(out, '[');
    for (int64_t i = 0; i < n; i++) vb_js_uint(out, (unsigned char)text[i]);
    vb_js_close(out, ']');
}

static void put_logprob(vb_out *out, const vb_model *model, const vb_job_token *t)
{
    vb_js_open(out, '{');
    put_choice(out, model, t->id, t->logprob);
    if (t->n_top > 0) {
        vb_js_key(out, "top_logprobs");
        vb_js_open(out, '[');
        for (int i = 0; i < t->n_top; i++) {
            vb_js_open(out, '{');
            put_choice(out, model, t->top[i].id, t->top[i].logprob);
            vb_js_close(out, '}');
        }
        vb_js_close(out, ']');
    }
    vb_js_close(out, '}');
}

static void put_logprobs(vb_out *out, vb_out *waiting)
{
    if (waiting->len == 0) return;
    vb_js_key(out, "logprobs");
    vb_out_text(out, "[");
    vb_out_bytes(out, waiting->data, waiting->len);
    vb_out_text(out, "]");
    waiting->len = 0;
}

/* --- objects --------------------------------------------------------------------------------------------- */

/* What one object tells, beside its text. */
typedef struct {
    const char *text;
    size_t len;
    const vb_out *thinking, *calls; /* NULL or empty: none */
} part;

static void put_part(vb_out *out, const answer *a, const part *p)
{
    if (a->chat) {
        vb_js_key(out, "message");
        vb_js_open(out, '{');
        vb_js_put_string(out, "role", "assistant");
    }
    vb_js_key(out, a->chat ? "content" : "response");
    vb_js_string(out, p->text, p->len);
    if (p->thinking != NULL && p->thinking->len > 0) {
        vb_js_key(out, "thinking");
        vb_js_string(out, p->thinking->data, p->thinking->len);
    }
    if (p->calls != NULL && p->calls->len > 0) {
        vb_js_key(out, "tool_calls");
        vb_js_open(out, '[');
        vb_js_raw(out, p->calls->data, p->calls->len);
        vb_js_close(out, ']');
    }
    if (a->chat) vb_js_close(out, '}');
}

static void begin(answer *a)
{
    if (!a->begun) vb_exchange_begin(a->x, 200, "application/x-ndjson");
    a->begun = 1;
}

static void send_line(answer *a, vb_out *out)
{
    begin(a);
    vb_out_text(out, "\n");
    if (out->failed) a->failed = 1;
    else vb_exchange_write(a->x, out->data, out->len);
    vb_out_free(out);
}

static void send_piece(answer *a, const part *p)
{
    vb_out out = {0};
    vb_ollama_open(&out, a->model);
    put_part(&out, a, p);
    vb_js_put_bool(&out, "done", 0);
    put_logprobs(&out, &a->logprobs);
    vb_js_close(&out, '}');
    send_line(a, &out);
}

static void take_text(answer *a, const char *text, size_t len)
{
    vb_out_bytes(&a->text, text, len);
    if (a->streams && len > 0) send_piece(a, &(part){.text = text, .len = len});
}

/* The prompt and the answer as ids. Those of a text that a stop text has cut are made anew. */
static void put_context(vb_out *out, const answer *a)
{
    vb_token *made = NULL;
    vb_fault fault = {0};
    const vb_token *ids = a->ids;
    int64_t n = a->n;
    if (a->end.why == VB_JOB_STOP && a->end.tokens == a->n) {
        n = vb_turn_tokenize(a->turn->host, a->text.data != NULL ? a->text.data : "", 0, &made, &fault);
        ids = made;
    }
    vb_js_key(out, "context");
    vb_js_open(out, '[');
    for (int i = 0; i < a->turn->n; i++) vb_js_int(out, a->turn->ids[i]);
    for (int64_t i = 0; i < n; i++) vb_js_int(out, ids[i]);
    vb_js_close(out, ']');
    free(made);
}

static void put_last(vb_out *out, answer *a)
{
    const vb_job_end *e = &a->end;
    int whole = !a->streams;
    part nothing = {.text = ""}, all = {a->text.data != NULL ? a->text.data : "", a->text.len, &a->thinking, &a->calls};
    vb_ollama_open(out, a->model);
    put_part(out, a, whole ? &all : &nothing);
    vb_js_put_bool(out, "done", 1);
    vb_js_put_string(out, "done_reason", vb_turn_reason(e));
    if (a->wants_context) put_context(out, a);
    vb_js_put_int(out, "total_duration", vb_now_ns() - a->turn->started_ns);
    vb_js_put_int(out, "load_duration", a->turn->load_ns);
    vb_js_put_int(out, "prompt_eval_count", e->prompt_tokens);
    vb_js_put_int(out, "prompt_eval_duration", e->prefill_ns);
    vb_js_put_int(out, "eval_count", e->tokens);
    vb_js_put_int(out, "eval_duration", e->decode_ns);
    put_logprobs(out, &a->logprobs);
    vb_verbatim_put_all(out, e->job->record, &a->request);
    vb_js_close(out, '}');
}

/* --- events ---------------------------------------------------------------------------------------------- */

static void keep_id(answer *a, vb_token id)
{
    if (a->n == a->cap) {
        int cap = a->cap > 0 ? 2 * a->cap : 64;
        vb_token *ids = realloc(a->ids, (size_t)cap * sizeof *ids);
        if (ids == NULL) {
            a->failed = 1;
            return;
        }
        a->ids = ids;
        a->cap = cap;
    }
    a->ids[a->n++] = id;
}

static void on_split(void *ud, int choice, const vb_reply_piece *piece)
{
    answer *a = ud;
    part p = {.text = "", .thinking = &a->thinking, .calls = &a->calls};
    (void)choice;
    vb_out_bytes(&a->thinking, piece->thinking, piece->thinking_len);
    vb_calls_put_ollama(&a->calls, piece->calls, piece->n_calls, a->n_calls);
    a->n_calls += piece->n_calls;
    if (!a->streams) return;
    send_piece(a, &p);
    a->thinking.len = a->calls.len = 0;
}

static int on_token(void *ud, int choice, const vb_job_token *t)
{
    answer *a = ud;
    (void)choice;
    keep_id(a, t->id);
    if (a->top >= 0) put_logprob(&a->logprobs, a->turn->host->model, t);
    take_text(a, t->text, t->len);
    a->slow = a->streams && vb_turn_stalled(a->turn);
    return a->slow || a->failed;
}

static void on_done(void *ud, int choice, const vb_job_end *end)
{
    answer *a = ud;
    (void)choice;
    take_text(a, end->text, end->len);
    a->end = *end;
    a->end.text = NULL;
}

/* A failure is a status while nothing has been sent, afterwards a line. */
static void send_fault(answer *a, vb_fault *fault)
{
    vb_out out = {0};
    if (!a->begun) {
        vb_ollama_fault(a->x, fault);
        return;
    }
    vb_js_open(&out, '{');
    vb_js_put_string(&out, "error", fault->text);
    vb_js_close(&out, '}');
    send_line(a, &out);
    vb_exchange_end(a->x);
}

static void on_over(void *ud)
{
    answer *a = ud;
    vb_out out = {0};
    vb_fault fault;
    vb_turn_judge(&a->end, &fault);
    if (a->failed || a->text.failed || a->logprobs.failed || a->thinking.failed || a->calls.failed) vb_fault_set(&fault, 500, "out of memory");
    if (a->end.why == VB_JOB_CANCELLED) vb_fault_set(&fault, 499, "request canceled");
    if (fault.status != 0) {
        send_fault(a, &fault);
    } else {
        put_last(&out, a);
        if (!a->streams) {
            vb_serve_json(a->x, 200, &out);
        } else {
            send_line(a, &out);
            vb_exchange_end(a->x);
        }
    }
    free_answer(a);
}

static answer *new_answer(vb_exchange *x, vb_request *r, const vb_ask *ask, int chat)
{
    answer *a = calloc(1, sizeof *a);
    if (a == NULL || (a->model = strdup(ask->model)) == NULL) {
        free(a);
        return NULL;
    }
    a->x = x;
    a->chat = chat;
    a->top = ask->top;
    a->streams = vb_request_bool(r, "stream", 1);
    a->wants_context = !chat && !vb_request_bool(r, "raw", 0);
    a->request = *r;
    memset(r, 0, sizeof *r);
    return a;
}

void vb_ollama_answer(vb_serve *s, vb_exchange *x, vb_request *r, const vb_ask *ask, int chat)
{
    static const vb_turn_events events = {.split = on_split, .token = on_token, .done = on_done, .over = on_over};
    vb_fault fault = {0};
    answer *a = new_answer(x, r, ask, chat);
    vb_ask own = *ask;
    if (a == NULL) vb_fault_set(&fault, 500, "out of memory");
    else fault = a->request.fault;
    if (a != NULL) own.form.request = &a->request;
    if (fault.status == 0 && vb_turn_start(&a->turn, s, x, &own, &events, a, &fault)) return;
    vb_ollama_fault(x, &fault);
    if (a != NULL) free_answer(a);
}
