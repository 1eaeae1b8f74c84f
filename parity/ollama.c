/* ollama.c - a live Ollama: who it is, which weights and template it has, how it renders the chat, what it answers.
 *
 *   GET  /api/version             its version
 *   POST /api/show                template, weights' digest, the model's own stop texts
 *   POST /api/chat, render only   the prompt behind its template (newer versions; left out where it fails)
 *   POST /api/generate, /api/chat the answer as a stream with log-probabilities
 *
 * Every sampling option is named in the request, so that no default of the model or of a version decides.
 */
#include "parity/wire.h"

#include <stdlib.h>
#include <string.h>

#define TRY_OUT(call)             \
    do {                          \
        status = (call);          \
        if (status < 0) goto out; \
    } while (0)

static json_t *options_json(const vb_question *q)
{
    const vb_sampling *s = &q->sampling;
    json_t *o = json_pack("{s:f, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:i, s:I, s:i, s:i}", "temperature",
                          (double)s->temperature, "top_k", s->top_k, "top_p", s->top_p > 0 ? (double)s->top_p : 1.0,
                          "min_p", (double)s->min_p, "typical_p", s->typical > 0 ? (double)s->typical : 1.0,
                          "repeat_penalty", s->repeat > 0 ? (double)s->repeat : 1.0, "presence_penalty",
                          (double)s->presence, "frequency_penalty", (double)s->frequency, "repeat_last_n",
                          s->repeat_last ? s->repeat_last : 64, "seed", (json_int_t)s->seed, "num_predict",
                          q->num_predict ? q->num_predict : 48, "num_ctx", q->num_ctx ? q->num_ctx : 2048);
    json_t *stops = q->n_stops ? json_array() : NULL;
    for (int i = 0; stops && i < q->n_stops; i++) json_array_append_new(stops, json_string(q->stops[i]));
    if (o && stops) json_object_set_new(o, "stop", stops);
    return o;
}

static json_t *messages_json(const vb_question *q)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < q->n_messages; i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "role", q->messages[i].role, "content",
                                              q->messages[i].content));
    return list;
}

static json_t *request_json(const vb_partner *p, const vb_question *q)
{
    json_t *r = json_pack("{s:s, s:o, s:b, s:b, s:i}", "model", p->model, "options", options_json(q), "stream", 1,
                          "logprobs", 1, "top_logprobs", q->top ? q->top : 5);
    if (!r) return NULL;
    if (q->prompt) {
        json_object_set_new(r, "prompt", json_string(q->prompt));
        json_object_set_new(r, "raw", json_true());
    } else json_object_set_new(r, "messages", messages_json(q));
    return r;
}

/* Its rendering of the chat; an Ollama that does not know the field would answer: it is asked for no token. */
static void render(vb_answer *a, vb_partner *p, const json_t *request)
{
    json_t *copy = json_deep_copy(request), *reply = NULL;
    vb_partner quiet = *p;
    if (copy) {
        json_object_set_new(copy, "_debug_render_only", json_true());
        json_object_set_new(copy, "stream", json_false());
        json_object_set_new(json_object_get(copy, "options"), "num_predict", json_integer(1));
        if (vb_http_json(&reply, &quiet, "/api/chat", copy, NULL) == VB_OK)
            (void)vb_member_text(&a->rendered, json_object_get(reply, "_debug_info"), "rendered_template", NULL);
    }
    json_decref(reply);
    json_decref(copy);
}

static vb_status introduce(vb_answer *a, vb_partner *p, vb_err *err)
{
    json_t *version = NULL, *show = NULL, *which = json_pack("{s:s}", "model", p->model);
    vb_status status = which ? VB_OK : vb_parity_fail(err, VB_E_MEMORY, "%s: out of memory", p->url);
    if (status < 0) goto out;
    TRY_OUT(vb_http_json(&version, p, "/api/version", NULL, err));
    TRY_OUT(vb_http_json(&show, p, "/api/show", which, err));
    status = vb_member_text(&a->version, version, "version", err);
    if (status == VB_OK) status = vb_ollama_show_read(a, show, err);
    if (status < 0) status = vb_partner_failed(p, "/api/show", status, err);
out:
    json_decref(version);
    json_decref(show);
    json_decref(which);
    return status;
}

vb_status vb_ollama_ask(vb_answer *a, vb_partner *p, const vb_question *q, vb_err *err)
{
    const char *path = q->prompt ? "/api/generate" : "/api/chat";
    char *body = NULL;
    size_t len;
    vb_status status;
    vb_answer_start(a);
    p->failed = 0;
    json_t *request = request_json(p, q);
    if (!request) return vb_parity_fail(err, VB_E_MEMORY, "%s: out of memory", p->url);
    TRY_OUT(vb_text_set(&a->source, p->url, err));
    TRY_OUT(vb_ollama_request_read(a, path, request, err));
    TRY_OUT(introduce(a, p, err));
    if (a->chat) render(a, p, request);
    TRY_OUT(vb_http_ask(&body, &len, p, path, request, err));
    status = vb_ollama_replies_read(a, body, len, err);
    if (status < 0) status = vb_partner_failed(p, path, status, err);
out:
    free(body);
    json_decref(request);
    if (status < 0) vb_answer_free(a);
    return status;
}
