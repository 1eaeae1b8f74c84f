/* ollama_generate.c - POST /api/generate and /api/chat: what is asked becomes a turn. */
#include "serve/ollama.h"

#include <stdlib.h>
#include <string.h>

/* --- what would be evaluated, instead of an answer -------------------------------------------------------- */

static void put_rendered(vb_out *out, const char *model, int chat, const char *text, size_t len)
{
    vb_ollama_open(out, model);
    if (chat) {
        vb_js_key(out, "message");
        vb_js_open(out, '{');
        vb_js_put_string(out, "role", "");
        vb_js_put_string(out, "content", "");
        vb_js_close(out, '}');
    } else {
        vb_js_put_string(out, "response", "");
    }
    vb_js_put_bool(out, "done", 0);
    vb_js_key(out, "_debug_info");
    vb_js_open(out, '{');
    vb_js_key(out, "rendered_template");
    vb_js_string(out, text, len);
    vb_js_close(out, '}');
    vb_js_close(out, '}');
}

static void answer_rendered(vb_serve *s, vb_exchange *x, vb_request *r, const vb_ask *ask, int chat)
{
    vb_host *host = NULL;
    char *text = NULL;
    size_t len = 0;
    vb_out out = {0};
    int ok = r->fault.status == 0 && vb_turn_host(s, ask->model, 0, &host, &r->fault);
    if (ok && ask->messages != NULL) ok = vb_turn_render(host->model, ask->messages, ask->tooling, &text, &len, &r->fault);
    if (ok) put_rendered(&out, ask->model, chat, text != NULL ? text : ask->text, text != NULL ? len : strlen(ask->text));
    if (ok) vb_serve_json(x, 200, &out);
    else vb_ollama_fault(x, &r->fault);
    if (host != NULL) vb_hosts_release(s->hosts, host, ask->keep_ns);
    free(text);
}

static void answer(vb_serve *s, vb_exchange *x, vb_request *r, const vb_ask *ask, int chat)
{
    if (vb_request_bool(r, "_debug_render_only", 0)) answer_rendered(s, x, r, ask, chat);
    else vb_ollama_answer(s, x, r, ask, chat);
}

/* --- generate -------------------------------------------------------------------------------------------- */

/* Ids of an earlier answer; to be freed. */
static vb_token *read_context(vb_request *r, size_t *n)
{
    json_t *list = vb_request_list(r, "context", "[]int"), *one;
    vb_token *ids = calloc(json_array_size(list) + 1, sizeof *ids);
    *n = json_array_size(list);
    if (ids == NULL) vb_fault_set(&r->fault, 500, "out of memory");
    for (size_t i = 0; ids != NULL && i < *n; i++) {
        one = json_array_get(list, i);
        json_int_t id = json_integer_value(one);
        if (!json_is_integer(one)) vb_request_mistyped(r, "context", one, "int");
        else if (id < 0 || id > INT32_MAX)
            vb_fault_set(&r->fault, 400, "context: token %lld is not one of the model's", (long long)id);
        else ids[i] = (vb_token)id;
    }
    return ids;
}

static json_t *as_messages(const char *system, const char *prompt)
{
    json_t *list = json_array();
    if (system[0] != '\0') json_array_append_new(list, json_pack("{s:s, s:s}", "role", "system", "content", system));
    json_array_append_new(list, json_pack("{s:s, s:s}", "role", "user", "content", prompt));
    return list;
}

typedef struct {
    const char *prompt, *suffix, *system, *template_; /* empty: not given */
    int raw;
    size_t n_context;
    vb_token *context;
    vb_tooling tooling; /* no tools, but thoughts, and a template of its own */
} generation;

static void read_generation(vb_request *r, generation *g, const char *model)
{
    g->prompt = vb_request_string(r, "prompt", "");
    g->suffix = vb_request_string(r, "suffix", "");
    g->system = vb_request_string(r, "system", "");
    g->template_ = vb_request_string(r, "template", "");
    g->raw = vb_request_bool(r, "raw", 0);
    g->context = read_context(r, &g->n_context);
    vb_tooling_ollama(&g->tooling, r);
    vb_ollama_refuse(r, model);
    if (g->raw && (g->system[0] != '\0' || g->template_[0] != '\0' || g->n_context > 0))
        vb_fault_set(&r->fault, 400, "raw mode does not support template, system, or context");
    g->tooling.template_ = g->template_[0] != '\0' ? g->template_ : NULL;
    g->tooling.suffix = g->suffix[0] != '\0' ? g->suffix : NULL;
    g->tooling.continues = g->n_context > 0;
}

/* A suffix only where the model's template has a gap. */
static void check_insert(vb_serve *s, vb_request *r, const vb_ask *ask)
{
    char full[VB_HOST_NAME + 32];
    vb_host *host;
    if (r->fault.status != 0 || !vb_turn_host(s, ask->model, 0, &host, &r->fault)) return;
    if ((host->info.template_can & VB_CAN_INSERT) == 0)
        vb_fault_set(&r->fault, 400, "%s does not support insert", vb_ollama_full_name(ask->model, full, sizeof full));
    vb_hosts_release(s->hosts, host, VB_KEEP_DEFAULT);
}

void vb_ollama_generate(vb_serve *s, vb_exchange *x)
{
    vb_request r;
    vb_ask ask = {0};
    generation g = {0};
    json_t *messages = NULL;
    if (vb_request_open(&r, x, "GenerateRequest")) {
        vb_ollama_common(&r, &ask);
        read_generation(&r, &g, ask.model);
    }
    int loads = r.fault.status == 0 && g.prompt[0] == '\0';
    vb_ollama_options(loads ? NULL : s, &r, &ask);
    if (g.tooling.suffix != NULL) check_insert(s, &r, &ask);
    if (loads) vb_request_bool(&r, "stream", 1);
    if (loads && r.fault.status == 0 && vb_ollama_load(s, x, &r, &ask, 0)) goto out;
    if (r.fault.status != 0) {
        vb_ollama_fault(x, &r.fault);
        goto out;
    }
    ask.ids = g.context;
    ask.n_ids = g.n_context;
    ask.text = g.raw ? g.prompt : NULL;
    ask.messages = messages = g.raw ? NULL : as_messages(g.system, g.prompt);
    ask.tooling = &g.tooling;
    answer(s, x, &r, &ask, 0);
out:
    json_decref(messages);
    vb_tooling_free(&g.tooling);
    free(g.context);
    vb_request_close(&r);
}

/* --- chat ------------------------------------------------------------------------------------------------ */

static void check_message(vb_request *r, const json_t *message, const char *model)
{
    json_t *role = json_object_get(message, "role"), *content = json_object_get(message, "content");
    if (!json_is_object(message)) vb_request_mistyped(r, "messages", message, "api.Message");
    else if (role != NULL && !json_is_string(role)) vb_request_mistyped(r, "messages.role", role, "string");
    else if (content != NULL && !json_is_null(content) && !json_is_string(content))
        vb_request_mistyped(r, "messages.content", content, "string");
    else if (json_array_size(json_object_get(message, "images")) > 0)
        vb_fault_set(&r->fault, 400, "\"%.200s\" does not support vision", model);
    else vb_tooling_check_calls(r, message);
}

static json_t *read_messages(vb_request *r, const char *model, vb_tooling *tooling)
{
    json_t *list = vb_request_list(r, "messages", "[]api.Message"), *one;
    size_t i;
    json_array_foreach(list, i, one) check_message(r, one, model);
    vb_ollama_refuse(r, model);
    vb_tooling_ollama(tooling, r);
    return list;
}

void vb_ollama_chat(vb_serve *s, vb_exchange *x)
{
    vb_request r;
    vb_ask ask = {0};
    vb_tooling tooling = {0};
    json_t *messages = NULL;
    if (vb_request_open(&r, x, "ChatRequest")) {
        vb_ollama_common(&r, &ask);
        messages = read_messages(&r, ask.model, &tooling);
    }
    int loads = r.fault.status == 0 && json_array_size(messages) == 0;
    vb_ollama_options(loads ? NULL : s, &r, &ask);
    if (loads) vb_request_bool(&r, "stream", 1);
    if (!loads || r.fault.status != 0 || !vb_ollama_load(s, x, &r, &ask, 1)) {
        ask.messages = messages;
        ask.tooling = &tooling;
        if (r.fault.status != 0) vb_ollama_fault(x, &r.fault);
        else answer(s, x, &r, &ask, 1);
    }
    vb_tooling_free(&tooling);
    vb_request_close(&r);
}
