/* llama_server.c - a live llama-server: who it is, how it renders and tokenizes the prompt, what it answers.
 *
 *   GET  /props           build, model file, chat template, context
 *   POST /apply-template  the chat as a prompt
 *   POST /tokenize        the prompt as ids
 *   POST /completion      the answer in one piece, with every id and with log-probabilities (n_probs)
 *
 * It is asked without its prompt cache, which its own manual says may change results. Its log-probabilities are those
 * before sampling; the settings it sends back are what it really used.
 */
#include "parity/wire.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TRY(call)                              \
    do {                                       \
        vb_status try_status = (call);         \
        if (try_status < 0) return try_status; \
    } while (0)
#define TRY_OUT(call)             \
    do {                          \
        status = (call);          \
        if (status < 0) goto out; \
    } while (0)

/* Settings that verbatim does not have, and the values at which they do nothing. */
static const struct {
    const char *name;
    double low, high;
} foreign[] = {
    {"dynatemp_range", 0, 0}, {"xtc_probability", 0, 0},       {"dry_multiplier", 0, 0},
    {"mirostat", 0, 0},       {"top_n_sigma", -HUGE_VAL, 0},   {"adaptive_target", -HUGE_VAL, -1e-9},
};

static vb_status foreign_read(vb_answer *a, const json_t *settings, vb_err *err)
{
    const json_t *grammar = json_object_get(settings, "grammar"), *bias = json_object_get(settings, "logit_bias");
    const json_t *endless = json_object_get(settings, "ignore_eos");
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        const json_t *value = json_object_get(settings, foreign[i].name);
        double x = json_number_value(value);
        if (value && !(x >= foreign[i].low && x <= foreign[i].high)) TRY(vb_unknown_add(a, foreign[i].name, value, err));
    }
    if (json_is_string(grammar) && json_string_length(grammar)) TRY(vb_unknown_add(a, "grammar", grammar, err));
    if (json_array_size(bias)) TRY(vb_unknown_add(a, "logit_bias", bias, err));
    return json_is_true(endless) ? vb_unknown_add(a, "ignore_eos", endless, err) : VB_OK;
}

static vb_status settings_read(vb_answer *a, const json_t *settings, vb_err *err)
{
    vb_sampling *s = &a->sampling;
    int64_t top_k = 0, last = 64, seed = 0, predict = -1;
    TRY(vb_member_real(&s->temperature, settings, "temperature", err));
    TRY(vb_member_real(&s->top_p, settings, "top_p", err));
    TRY(vb_member_real(&s->min_p, settings, "min_p", err));
    TRY(vb_member_real(&s->typical, settings, "typical_p", err));
    TRY(vb_member_real(&s->repeat, settings, "repeat_penalty", err));
    TRY(vb_member_real(&s->presence, settings, "presence_penalty", err));
    TRY(vb_member_real(&s->frequency, settings, "frequency_penalty", err));
    TRY(vb_member_int(&top_k, settings, "top_k", INT32_MIN, INT32_MAX, err));
    TRY(vb_member_int(&last, settings, "repeat_last_n", -1, INT32_MAX, err));
    TRY(vb_member_int(&seed, settings, "seed", 0, UINT32_MAX, err));
    TRY(vb_member_int(&predict, settings, "n_predict", -1, INT32_MAX, err));
    TRY(vb_member_texts(&a->stops, &a->n_stops, settings, "stop", err));
    s->top_k = top_k < 0 ? 0 : (int)top_k;
    s->repeat_last = (int)last;
    if (last == 0) s->repeat = s->presence = s->frequency = 0; /* looks at no token */
    a->seeded = seed != UINT32_MAX;
    s->seed = a->seeded ? (uint64_t)seed : 0;
    a->num_predict = (int)predict;
    return foreign_read(a, settings, err);
}

static vb_done done_of(const char *stop)
{
    if (stop && (strcmp(stop, "eos") == 0 || strcmp(stop, "word") == 0)) return VB_DONE_STOP;
    return stop && strcmp(stop, "limit") == 0 ? VB_DONE_LENGTH : VB_DONE_UNKNOWN;
}

vb_status vb_llama_reply_read(vb_answer *a, const json_t *reply, vb_err *err)
{
    const json_t *content = json_object_get(reply, "content");
    if (!json_is_string(content))
        return vb_parity_fail(err, VB_E_FORMAT, "reply: expected \"content\" as a text, found none");
    TRY(vb_text_set(&a->engine, "llama-server", err));
    TRY(vb_answer_append(a, json_string_value(content), json_string_length(content), err));
    TRY(vb_member_text(&a->model, reply, "model", err));
    TRY(vb_member_text(&a->done_reason, reply, "stop_type", err));
    TRY(vb_member_int(&a->generated, reply, "tokens_predicted", 0, INT32_MAX, err));
    TRY(vb_member_int(&a->prompt_tokens, reply, "tokens_evaluated", 0, INT32_MAX, err));
    TRY(vb_member_ids(&a->ids, &a->n_ids, reply, "tokens", err));
    TRY(settings_read(a, json_object_get(reply, "generation_settings"), err));
    a->done = done_of(a->done_reason);
    return vb_tokens_read(a, json_object_get(reply, "completion_probabilities"), err);
}

static json_t *request_json(const vb_question *q, const char *prompt)
{
    const vb_sampling *s = &q->sampling;
    json_t *stops = json_array();
    for (int i = 0; stops && i < q->n_stops; i++) json_array_append_new(stops, json_string(q->stops[i]));
    return json_pack("{s:s, s:b, s:b, s:b, s:i, s:i, s:o, s:f, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:i, s:I}", "prompt",
                     prompt, "stream", 0, "cache_prompt", 0, "return_tokens", 1, "n_probs", q->top ? q->top : 5,
                     "n_predict", q->num_predict ? q->num_predict : 48, "stop", stops, "temperature",
                     (double)s->temperature, "top_k", s->top_k, "top_p", s->top_p > 0 ? (double)s->top_p : 1.0, "min_p",
                     (double)s->min_p, "typical_p", s->typical > 0 ? (double)s->typical : 1.0, "repeat_penalty",
                     s->repeat > 0 ? (double)s->repeat : 1.0, "presence_penalty", (double)s->presence,
                     "frequency_penalty", (double)s->frequency, "repeat_last_n", s->repeat_last ? s->repeat_last : 64,
                     "seed", (json_int_t)(s->seed & UINT32_MAX));
}

static vb_status introduce(vb_answer *a, vb_partner *p, vb_err *err)
{
    json_t *props;
    int64_t context = 0;
    TRY(vb_http_json(&props, p, "/props", NULL, err));
    vb_status status = vb_member_text(&a->version, props, "build_info", err);
    if (status == VB_OK) status = vb_member_text(&a->chat_template, props, "chat_template", err);
    if (status == VB_OK)
        status = vb_member_int(&context, json_object_get(props, "default_generation_settings"), "n_ctx", 0, INT32_MAX, err);
    a->num_ctx = (int)context;
    json_decref(props);
    return status < 0 ? vb_partner_failed(p, "/props", status, err) : VB_OK;
}

/* The messages as the answer keeps them. */
static vb_status messages_keep(vb_answer *a, const vb_question *q, vb_err *err)
{
    a->chat = 1;
    a->messages = calloc(q->n_messages + 1, sizeof *a->messages);
    if (!a->messages) return vb_parity_fail(err, VB_E_MEMORY, "answer: out of memory");
    for (size_t i = 0; i < q->n_messages; i++) {
        a->n_messages = (int)i + 1;
        TRY(vb_text_set(&a->messages[i].role, q->messages[i].role, err));
        TRY(vb_text_set(&a->messages[i].content, q->messages[i].content, err));
    }
    return VB_OK;
}

static vb_status render(vb_answer *a, vb_partner *p, const vb_question *q, vb_err *err)
{
    json_t *list = json_array(), *reply = NULL;
    for (size_t i = 0; list && i < q->n_messages; i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "role", q->messages[i].role, "content",
                                              q->messages[i].content));
    json_t *request = json_pack("{s:o}", "messages", list);
    if (!request) return vb_parity_fail(err, VB_E_MEMORY, "%s: out of memory", p->url);
    vb_status status = vb_http_json(&reply, p, "/apply-template", request, err);
    json_decref(request);
    TRY(status);
    status = vb_member_text(&a->rendered, reply, "prompt", err);
    json_decref(reply);
    if (status == VB_OK && !a->rendered) status = vb_parity_fail(err, VB_E_FORMAT, "expected a \"prompt\", found none");
    return status < 0 ? vb_partner_failed(p, "/apply-template", status, err) : VB_OK;
}

static vb_status tokenize(vb_answer *a, vb_partner *p, const char *prompt, vb_err *err)
{
    int n = 0;
    json_t *reply, *request = json_pack("{s:s, s:b, s:b}", "content", prompt, "add_special", 1, "parse_special", 1);
    if (!request) return vb_parity_fail(err, VB_E_MEMORY, "%s: out of memory", p->url);
    vb_status status = vb_http_json(&reply, p, "/tokenize", request, err);
    json_decref(request);
    TRY(status);
    status = vb_member_ids(&a->prompt_ids, &n, reply, "tokens", err);
    json_decref(reply);
    a->prompt_tokens = n;
    return status < 0 ? vb_partner_failed(p, "/tokenize", status, err) : VB_OK;
}

static vb_status complete(vb_answer *a, vb_partner *p, const vb_question *q, const char *prompt, vb_err *err)
{
    json_t *reply, *request = request_json(q, prompt);
    int64_t listed = a->prompt_tokens;
    if (!request) return vb_parity_fail(err, VB_E_MEMORY, "%s: out of memory", p->url);
    vb_status status = vb_http_json(&reply, p, "/completion", request, err);
    json_decref(request);
    TRY(status);
    status = vb_llama_reply_read(a, reply, err);
    json_decref(reply);
    if (status == VB_OK && a->prompt_tokens != listed)
        status = vb_parity_fail(err, VB_E_FORMAT, "expected %lld tokens of the prompt as /tokenize listed, found %lld",
                                (long long)listed, (long long)a->prompt_tokens);
    return status < 0 ? vb_partner_failed(p, "/completion", status, err) : VB_OK;
}

vb_status vb_llama_server_ask(vb_answer *a, vb_partner *p, const vb_question *q, vb_err *err)
{
    vb_status status;
    vb_answer_start(a);
    p->failed = 0;
    TRY_OUT(vb_text_set(&a->source, p->url, err));
    TRY_OUT(introduce(a, p, err));
    if (q->prompt) TRY_OUT(vb_text_set(&a->prompt, q->prompt, err));
    else {
        TRY_OUT(messages_keep(a, q, err));
        TRY_OUT(render(a, p, q, err));
    }
    const char *prompt = q->prompt ? q->prompt : a->rendered;
    TRY_OUT(tokenize(a, p, prompt, err));
    status = complete(a, p, q, prompt, err);
out:
    if (status < 0) vb_answer_free(a);
    return status;
}
