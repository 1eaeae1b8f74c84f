/* ollama_ask.c - fields of Ollama's requests, with its defaults and its words for what is wrong.
 *
 * Ollama tells a wrong type of an option with status 500, of anything else with 400.
 */
#include "serve/ollama.h"

#include "serve/record.h"

#include <stdlib.h>
#include <string.h>

enum { CONTEXT_MOST = 1 << 24 };

/* --- options --------------------------------------------------------------------------------------------- */

static void wrong_option(vb_request *o, const char *key, const char *type)
{
    vb_fault_set(&o->fault, 500, "option \"%s\" must be of type %s", key, type);
}

static float real_option(vb_request *o, const char *key, float otherwise)
{
    json_t *value = vb_request_any(o, key);
    if (value == NULL) return otherwise;
    if (!json_is_number(value)) wrong_option(o, key, "float32");
    return (float)json_number_value(value);
}

static int int_option(vb_request *o, const char *key, int otherwise)
{
    json_t *value = vb_request_any(o, key);
    double n = json_number_value(value);
    if (value == NULL) return otherwise;
    if (!json_is_number(value)) wrong_option(o, key, "integer");
    else if (!(n >= INT32_MIN && n <= INT32_MAX)) vb_fault_set(&o->fault, 400, "option \"%s\" is out of range", key);
    else return (int)n;
    return otherwise;
}

static void seed_option(vb_request *o, vb_sampling *s)
{
    json_t *value = vb_request_any(o, "seed");
    double n = json_number_value(value);
    s->seed = vb_turn_seed();
    if (value != NULL && !json_is_number(value)) wrong_option(o, "seed", "integer");
    else if (json_is_integer(value) && json_integer_value(value) != -1) s->seed = (uint64_t)json_integer_value(value);
    else if (json_is_real(value) && n > -9e18 && n < 9e18 && n != -1.0) s->seed = (uint64_t)(int64_t)n;
}

static void stop_option(vb_request *o, vb_ask *ask)
{
    json_t *list = vb_request_any(o, "stop"), *one;
    size_t i;
    if (list == NULL) return;
    if (json_string_length(list) > 0) ask->stops[ask->n_stops++] = json_string_value(list); /* as good as a list of one */
    if (!json_is_array(list) && !json_is_string(list)) wrong_option(o, "stop", "array");
    json_array_foreach(list, i, one) {
        if (!json_is_string(one)) vb_fault_set(&o->fault, 500, "option \"stop\" must be of an array of strings");
        else if (ask->n_stops == VB_STOPS_MOST)
            vb_fault_set(&o->fault, 400, "option \"stop\": expected at most %d texts", VB_STOPS_MOST);
        else if (json_string_length(one) > 0) ask->stops[ask->n_stops++] = json_string_value(one);
    }
}

static void penalty_options(vb_request *o, vb_sampling *s)
{
    s->repeat_last = int_option(o, "repeat_last_n", 64);
    s->repeat = real_option(o, "repeat_penalty", 1.0f);
    s->presence = real_option(o, "presence_penalty", 0.0f);
    s->frequency = real_option(o, "frequency_penalty", 0.0f);
    if (s->repeat_last != 0) return;
    s->repeat = s->presence = s->frequency = 0.0f; /* none of the past: none of them */
}

static void read_options(vb_request *r, vb_ask *ask)
{
    vb_request o;
    vb_sampling *s = &ask->sampling;
    vb_request_part(&o, r, "options");
    s->temperature = real_option(&o, "temperature", 0.8f);
    if (s->temperature < 0.0f) s->temperature = 0.0f;
    s->top_k = int_option(&o, "top_k", 40);
    if (s->top_k < 0) s->top_k = 0;
    s->top_p = real_option(&o, "top_p", 0.9f);
    s->min_p = real_option(&o, "min_p", 0.0f);
    s->typical = real_option(&o, "typical_p", 1.0f);
    penalty_options(&o, s);
    seed_option(&o, s);
    stop_option(&o, ask);
    int most = int_option(&o, "num_predict", -1), context = int_option(&o, "num_ctx", 0);
    ask->max_tokens = most == 0 ? -1 : most < 0 ? 0 : most;
    if (context < 0 || context > CONTEXT_MOST) vb_fault_set(&o.fault, 400, "option \"num_ctx\" is out of range");
    ask->context = context;
    vb_request_join(r, &o);
}

/* The store's options with the request's over them, in the request's place. */
static void put_stored(vb_request *r, const vb_model *model)
{
    const char *text = vb_model_stored(model, "params"), *key;
    json_t *stored = text != NULL ? json_loads(text, 0, NULL) : NULL, *own = json_object_get(r->root, "options"), *value;
    if (!json_is_object(stored) || (own != NULL && !json_is_object(own) && !json_is_null(own))) {
        json_decref(stored);
        return;
    }
    json_object_foreach(own, key, value) {
        if (!json_is_null(value)) json_object_set(stored, key, value);
    }
    json_object_set_new(r->root, "options", stored);
}

void vb_ollama_options(vb_serve *s, vb_request *r, vb_ask *ask)
{
    vb_host *host = NULL;
    int most = CONTEXT_MOST;
    if (s != NULL && r->fault.status == 0 && vb_turn_host(s, ask->model, 0, &host, &r->fault)) {
        put_stored(r, host->model);
        most = host->context;
        vb_hosts_release(s->hosts, host, VB_KEEP_DEFAULT);
    }
    read_options(r, ask);
    if (ask->context > most) vb_request_ignore(r, "options.num_ctx"); /* it is settled when the server starts */
}

/* --- the request ----------------------------------------------------------------------------------------- */

/* "json", or a JSON schema. */
static void read_format(vb_request *r, vb_ask *ask)
{
    const json_t *format = vb_request_any(r, "format");
    const char *name = json_string_value(format);
    ask->form.request = r;
    if (format == NULL || (name != NULL && name[0] == '\0')) return;
    ask->form.json = name != NULL && strcmp(name, "json") == 0;
    ask->form.schema = json_is_object(format) ? format : NULL;
    if (!ask->form.json && ask->form.schema == NULL)
        vb_fault_set(&r->fault, 400, "invalid format: expected \"json\" or a valid JSON Schema object");
}

void vb_ollama_common(vb_request *r, vb_ask *ask)
{
    memset(ask, 0, sizeof *ask);
    ask->model = vb_request_string(r, "model", "");
    ask->keep_ns = vb_request_keep(r, "keep_alive");
    ask->truncate = vb_request_bool(r, "truncate", 1);
    ask->digest = vb_record_asked(r);
    int wanted = vb_request_bool(r, "logprobs", 0);
    int64_t top = vb_request_int(r, "top_logprobs", 0, INT32_MIN, INT32_MAX);
    if (top < 0 || top > VB_TOP_MOST)
        vb_fault_set(&r->fault, 400, "top_logprobs must be between 0 and %d", VB_TOP_MOST);
    ask->top = wanted ? (int)top : -1;
    read_format(r, ask);
}

void vb_ollama_refuse(vb_request *r, const char *model)
{
    if (json_array_size(vb_request_list(r, "images", "[]api.ImageData")) > 0)
        vb_fault_set(&r->fault, 400, "\"%.200s\" does not support vision", model);
    if (vb_request_bool(r, "shift", 0)) vb_request_ignore(r, "shift");
}

/* --- loading and unloading ------------------------------------------------------------------------------- */

static int unload(vb_serve *s, const char *model, vb_fault *fault)
{
    char name[VB_HOST_NAME];
    vb_catalogued found;
    int known = vb_catalogue_spell(model, name) && vb_catalogue_find(name, &found);
    if (known) vb_hosts_unload(s->hosts, name);
    else vb_fault_set(fault, 404, "model '%.256s' not found", model);
    return known;
}

int vb_ollama_load(vb_serve *s, vb_exchange *x, vb_request *r, const vb_ask *ask, int chat)
{
    vb_host *host;
    vb_out out = {0};
    int ends = ask->keep_ns == 0;
    if (ends && !unload(s, ask->model, &r->fault)) return 0;
    if (!ends && !vb_turn_host(s, ask->model, 0, &host, &r->fault)) return 0;
    if (!ends) vb_hosts_release(s->hosts, host, ask->keep_ns);
    char *ignored = vb_request_ignored(r);
    vb_ollama_open(&out, ask->model);
    if (chat) {
        vb_js_key(&out, "message");
        vb_js_open(&out, '{');
        vb_js_put_string(&out, "role", "assistant");
        vb_js_put_string(&out, "content", "");
        vb_js_close(&out, '}');
    } else {
        vb_js_put_string(&out, "response", "");
    }
    vb_js_put_bool(&out, "done", 1);
    vb_js_put_string(&out, "done_reason", ends ? "unload" : "load");
    vb_ignored_put(&out, ignored);
    vb_js_close(&out, '}');
    vb_serve_json(x, 200, &out);
    free(ignored);
    return 1;
}
