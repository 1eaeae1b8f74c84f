/* openai.c - OpenAI's API: its routes, and the models. */
#include "serve/openai.h"

#include <string.h>

static void put_model(vb_out *out, const char *id, int64_t changed_ns)
{
    vb_js_open(out, '{');
    vb_js_put_string(out, "id", id);
    vb_js_put_string(out, "object", "model");
    vb_js_put_int(out, "created", changed_ns / 1000000000);
    vb_js_put_string(out, "owned_by", "library");
    vb_js_close(out, '}');
}

/* Two stores may have a model of one name; the first one is what the name opens. */
static int list_model(void *ud, const vb_catalogued *model)
{
    vb_out *out = ud;
    vb_catalogued first;
    if (vb_catalogue_find(model->name, &first) && strcmp(first.path, model->path) == 0)
        put_model(out, model->name, model->changed_ns);
    return 0;
}

static void models(vb_serve *s, vb_exchange *x)
{
    vb_out out = {0};
    (void)s;
    vb_js_open(&out, '{');
    vb_js_put_string(&out, "object", "list");
    vb_js_key(&out, "data");
    vb_js_open(&out, '[');
    vb_catalogue_each(list_model, &out);
    vb_js_close(&out, ']');
    vb_js_close(&out, '}');
    vb_openai_answer(x, 200, &out);
}

static void one_model(vb_serve *s, vb_exchange *x)
{
    vb_out out = {0};
    vb_fault fault = {0};
    vb_catalogued found;
    char name[VB_HOST_NAME];
    const char *asked = vb_exchange_path(x) + strlen("/v1/models/");
    (void)s;
    int spelled = vb_catalogue_spell(asked, name);
    if (spelled && vb_catalogue_find(name, &found)) {
        put_model(&out, asked, found.changed_ns);
        vb_openai_answer(x, 200, &out);
        return;
    }
    vb_fault_set(&fault, 404, "model '%.320s' not found", spelled ? name : asked);
    vb_openai_fault(x, &fault);
}

const vb_route vb_openai_routes[] = {
    {"GET", "/v1/models", models},
    {"GET", "/v1/models/", one_model},
    {"POST", "/v1/chat/completions", vb_openai_chat},
    {"POST", "/v1/completions", vb_openai_completions},
    {"POST", "/v1/embeddings", vb_openai_embeddings},
    {"POST", "/v1/responses", vb_openai_responses},
    {NULL, NULL, NULL},
};
