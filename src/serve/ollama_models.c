/* ollama_models.c - what models there are: /api/tags, /api/ps, /api/show. */
#include "serve/ollama.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CENTURY (INT64_C(3155760000) * 1000000000)

static int64_t wall_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void put_digest(vb_out *out, const uint8_t sha256[32])
{
    char hex[65] = "";
    vb_hex(hex, sha256, 32);
    vb_js_put_string(out, "digest", hex);
}

/* The manifest's digest, as Ollama names a stored model; of a file without one its own. */
static const uint8_t *digest_of(const vb_catalogued *model, const uint8_t *weights)
{
    return model->layered ? model->digest : weights;
}

static void put_capability(vb_out *out, const char *name)
{
    vb_js_string(out, name, strlen(name));
}

static void put_capabilities(vb_out *out, const vb_details *d)
{
    const char *what = d->figures.embeds ? "embedding" : "completion";
    vb_js_key(out, "capabilities");
    vb_js_open(out, '[');
    put_capability(out, what);
    if (d->can & VB_CAN_TOOLS) put_capability(out, "tools");
    if (d->can & VB_CAN_INSERT) put_capability(out, "insert");
    if (d->can & VB_CAN_THINK) put_capability(out, "thinking");
    vb_js_close(out, ']');
}

/* --- tags ------------------------------------------------------------------------------------------------ */

typedef struct {
    vb_out out;
    vb_serve *serve;
    json_t *seen; /* names: the first model of a name is the one that requests get */
} listing;

static int list_one(void *ud, const vb_catalogued *m)
{
    listing *l = ud;
    vb_details d;
    if (json_object_get(l->seen, m->name) != NULL) return 0;
    json_object_set_new(l->seen, m->name, json_true());
    vb_details_get(vb_hosts_details(l->serve->hosts), m, &d);
    vb_js_open(&l->out, '{');
    vb_js_put_string(&l->out, "name", m->name);
    vb_js_put_string(&l->out, "model", m->name);
    vb_ollama_put_time(&l->out, "modified_at", m->changed_ns);
    vb_js_put_int(&l->out, "size", (int64_t)m->bytes);
    put_digest(&l->out, digest_of(m, d.sha256));
    vb_details_put(&l->out, &d, 1);
    put_capabilities(&l->out, &d);
    vb_js_close(&l->out, '}');
    return 0;
}

void vb_ollama_tags(vb_serve *s, vb_exchange *x)
{
    listing l = {.serve = s, .seen = json_object()};
    vb_js_open(&l.out, '{');
    vb_js_key(&l.out, "models");
    vb_js_open(&l.out, '[');
    vb_catalogue_each(list_one, &l);
    vb_js_close(&l.out, ']');
    vb_js_close(&l.out, '}');
    vb_serve_json(x, 200, &l.out);
    json_decref(l.seen);
}

/* --- ps -------------------------------------------------------------------------------------------------- */

/* Of the model's bytes those that a GPU has. */
static uint64_t on_device(const vb_host *h)
{
    vb_model_info info;
    vb_model_describe(h->model, &info);
    return info.device_bytes < h->bytes ? info.device_bytes : h->bytes;
}

static void put_host(void *ud, const vb_host *h)
{
    vb_out *out = ud;
    vb_details d = {0};
    vb_catalogued m = {0};
    int64_t keep = h->keep_ns > CENTURY ? CENTURY : h->keep_ns;
    vb_details_read(h->model, &d);
    vb_js_open(out, '{');
    vb_js_put_string(out, "name", h->name);
    vb_js_put_string(out, "model", h->name);
    vb_js_put_int(out, "size", (int64_t)h->bytes);
    put_digest(out, vb_catalogue_find(h->name, &m) ? digest_of(&m, h->sha256) : h->sha256);
    vb_details_put(out, &d, 0);
    vb_ollama_put_time(out, "expires_at", wall_ns() + (h->last_ns - vb_now_ns()) + keep);
    vb_js_put_int(out, "size_vram", (int64_t)on_device(h));
    vb_js_put_int(out, "context_length", h->context);
    vb_js_close(out, '}');
}

void vb_ollama_ps(vb_serve *s, vb_exchange *x)
{
    vb_out out = {0};
    vb_js_open(&out, '{');
    vb_js_key(&out, "models");
    vb_js_open(&out, '[');
    vb_hosts_each(s->hosts, put_host, &out);
    vb_js_close(&out, ']');
    vb_js_close(&out, '}');
    vb_serve_json(x, 200, &out);
}

/* --- show ------------------------------------------------------------------------------------------------ */

static int ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Keys whose values are text, whatever they look like. */
static int is_text(const char *key)
{
    static const char *const numbers[] = {".file_type", ".parameter_count", ".quantization_version", ".alignment",
                                          ".count"};
    static const char *const texts[] = {"tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.chat_template",
                                        "tokenizer.huggingface.json"};
    int general = strncmp(key, "general.", 8) == 0;
    for (size_t i = 0; general && i < sizeof numbers / sizeof numbers[0]; i++)
        if (ends_with(key, numbers[i])) return 0;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(key, texts[i]) == 0) return 1;
    return general;
}

static int is_number(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    int number = json_is_number(value) || json_is_boolean(value);
    json_decref(value);
    return number;
}

/* Arrays are left out (null), as Ollama does it unless it is asked to be verbose. */
static void put_meta(vb_out *out, const char *key, const char *text, size_t len)
{
    char *escaped = NULL;
    json_t *name = json_string(key);
    if (name != NULL) escaped = json_dumps(name, JSON_ENCODE_ANY);
    if (escaped != NULL) {
        vb_js_raw(out, escaped, strlen(escaped));
        vb_out_text(out, ":");
        if (text[0] == '[' && text[len - 1] == ']') vb_js_null(out);
        else if (!is_text(key) && is_number(text)) vb_js_raw(out, text, len);
        else vb_js_string(out, text, len);
    }
    free(escaped);
    json_decref(name);
}

static void put_model_info(vb_out *out, const vb_model *model, uint64_t parameters)
{
    const char *key;
    vb_js_key(out, "model_info");
    vb_js_open(out, '{');
    int64_t len;
    for (int i = 0; (len = vb_model_meta_at(model, i, &key, NULL, 0)) >= 0; i++) {
        char *text = malloc((size_t)len + 1);
        if (text == NULL) continue;
        vb_model_meta_at(model, i, &key, text, (size_t)len);
        text[len] = '\0';
        put_meta(out, key, text, (size_t)len);
        free(text);
    }
    if (vb_model_meta(model, "general.parameter_count", NULL, 0) < 0) {
        vb_js_key(out, "general.parameter_count");
        vb_js_uint(out, parameters);
    }
    vb_js_close(out, '}');
}

static void put_tensors(vb_out *out, const vb_model *model)
{
    vb_tensor_info t;
    vb_js_key(out, "tensors");
    vb_js_open(out, '[');
    for (int i = 0; vb_model_tensor_at(model, i, &t); i++) {
        vb_js_open(out, '{');
        vb_js_put_string(out, "name", t.name);
        vb_js_put_string(out, "type", t.format);
        vb_js_key(out, "shape");
        vb_js_open(out, '[');
        for (int d = 0; d < t.n_dims; d++) vb_js_uint(out, t.ne[d]);
        vb_js_close(out, ']');
        vb_js_close(out, '}');
    }
    vb_js_close(out, ']');
}

static void put_parameter(vb_out *list, vb_out *file, const char *key, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    if (text == NULL) return;
    vb_out_format(list, "%s%-30s %s", list->len > 0 ? "\n" : "", key, text);
    vb_out_format(file, "PARAMETER %s %s\n", key, text);
    free(text);
}

/* One line an option, one for each of a list's entries. */
static void write_parameters(vb_out *list, vb_out *file, const vb_model *model)
{
    const char *text = vb_model_stored(model, "params"), *key;
    json_t *all = text != NULL ? json_loads(text, 0, NULL) : NULL, *value, *one;
    size_t i;
    json_object_foreach(all, key, value) {
        if (!json_is_array(value)) put_parameter(list, file, key, value);
        json_array_foreach(value, i, one) put_parameter(list, file, key, one);
    }
    json_decref(all);
}

static void write_text(vb_out *file, const char *what, const char *text, size_t len)
{
    if (len == 0) return;
    vb_out_format(file, "%s \"\"\"", what);
    vb_out_bytes(file, text, len);
    vb_out_text(file, "\"\"\"\n");
}

/* How a conversation begins, as a list and as lines of a Modelfile. */
static void put_messages(vb_out *out, vb_out *file, const vb_model *model)
{
    const char *text = vb_model_stored(model, "messages");
    json_t *all = text != NULL ? json_loads(text, 0, NULL) : NULL, *one;
    size_t i;
    json_array_foreach(all, i, one) {
        const char *role = json_string_value(json_object_get(one, "role"));
        const char *content = json_string_value(json_object_get(one, "content"));
        if (role != NULL && content != NULL) vb_out_format(file, "MESSAGE %s \"\"\"%s\"\"\"\n", role, content);
    }
    char *list = json_array_size(all) > 0 ? json_dumps(all, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    if (list != NULL) {
        vb_js_key(out, "messages");
        vb_js_raw(out, list, strlen(list));
    }
    free(list);
    json_decref(all);
}

/* The template is the one that is used: the store's, or the model file's own. */
static void put_texts(vb_out *out, const vb_model *model, const char *name)
{
    size_t len = 0;
    const char *text = vb_model_template(model, &len), *system = vb_model_stored(model, "system");
    const char *license = vb_model_stored(model, "license");
    vb_out file = {0}, list = {0};
    vb_out_format(&file, "# Modelfile generated by \"verbatim\"\nFROM %s\n", name);
    write_text(&file, "TEMPLATE", text, len);
    if (system != NULL) write_text(&file, "SYSTEM", system, strlen(system));
    write_parameters(&list, &file, model);
    if (license != NULL) write_text(&file, "LICENSE", license, strlen(license));
    if (license != NULL) vb_js_put_string(out, "license", license);
    put_messages(out, &file, model);
    if (file.failed || list.failed) out->failed = 1;
    vb_js_put_string(out, "modelfile", file.data != NULL ? file.data : "");
    vb_js_put_string(out, "parameters", list.data != NULL ? list.data : "");
    vb_js_key(out, "template");
    vb_js_string(out, text != NULL ? text : "", len);
    if (system != NULL) vb_js_put_string(out, "system", system);
    vb_out_free(&file);
    vb_out_free(&list);
}

static void put_show(vb_out *out, const vb_model *model, const vb_catalogued *m, const char *ignored)
{
    vb_model_info info;
    vb_details d = {0};
    vb_model_describe(model, &info);
    vb_details_read(model, &d);
    vb_js_open(out, '{');
    put_texts(out, model, m->name);
    vb_details_put(out, &d, 0);
    put_model_info(out, model, info.parameters);
    put_tensors(out, model);
    put_capabilities(out, &d);
    vb_ignored_put(out, ignored);
}

static void show(vb_exchange *x, vb_request *r, const vb_catalogued *m)
{
    vb_model_opts opts = {.vocab_only = 1, .template_as = m->ollama ? "ollama" : NULL};
    vb_model *model;
    vb_err err = {0};
    vb_out out = {0};
    char door[VB_HOST_NAME + 64];
    vb_status status = vb_model_open(&model, vb_catalogue_door(m, door, sizeof door), &opts, &err);
    if (status < 0) {
        vb_fault_set(&r->fault, vb_turn_status(status), "%s", err.text);
        vb_ollama_fault(x, &r->fault);
        return;
    }
    char *ignored = vb_request_ignored(r);
    put_show(&out, model, m, ignored);
    vb_ollama_put_time(&out, "modified_at", m->changed_ns);
    vb_js_close(&out, '}');
    vb_serve_json(x, 200, &out);
    vb_model_close(model);
    free(ignored);
}

void vb_ollama_show(vb_serve *s, vb_exchange *x)
{
    vb_request r;
    vb_catalogued m;
    char name[VB_HOST_NAME] = "";
    (void)s;
    vb_request_open(&r, x, "ShowRequest");
    const char *asked = vb_request_string(&r, "model", ""), *old = vb_request_string(&r, "name", "");
    vb_request_bool(&r, "stream", 0); /* some clients say it everywhere */
    if (asked[0] == '\0') asked = old;
    if (asked[0] == '\0') vb_fault_set(&r.fault, 400, "model is required");
    if (r.fault.status == 0 && !(vb_catalogue_spell(asked, name) && vb_catalogue_find(name, &m)))
        vb_fault_set(&r.fault, 404, "model '%.300s' not found", name[0] != '\0' ? name : asked);
    if (r.fault.status == 0) show(x, &r, &m);
    else vb_ollama_fault(x, &r.fault);
    vb_request_close(&r);
}
