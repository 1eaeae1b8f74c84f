/* ollama.c - Ollama's API: its routes, and how their answers begin. */
#include "serve/ollama.h"

#include "serve/manage.h"
#include "serve/page.h"

#include <string.h>
#include <time.h>

/* --- what answers share ---------------------------------------------------------------------------------- */

void vb_ollama_fault(vb_exchange *x, const vb_fault *fault)
{
    vb_out out = {0};
    char seconds[16];
    if (vb_serve_later(x, fault)) return;
    snprintf(seconds, sizeof seconds, "%d", fault->retry_after);
    if (fault->retry_after > 0) vb_exchange_set(x, "Retry-After", seconds);
    vb_js_open(&out, '{');
    vb_js_put_string(&out, "error", fault->text);
    vb_js_close(&out, '}');
    vb_serve_json(x, fault->status, &out);
}

void vb_ollama_put_time(vb_out *out, const char *key, int64_t ns)
{
    struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    struct tm parts;
    char seconds[32], text[64];
    if (ns < 0) clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &parts);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, sizeof text, "%s.%09ldZ", seconds, t.tv_nsec);
    vb_js_put_string(out, key, text);
}

void vb_ollama_open(vb_out *out, const char *model)
{
    vb_js_open(out, '{');
    vb_js_put_string(out, "model", model);
    vb_ollama_put_time(out, "created_at", -1);
}

const char *vb_ollama_full_name(const char *model, char *buf, size_t cap)
{
    char name[VB_HOST_NAME];
    if (!vb_catalogue_spell(model, name)) return model;
    vb_catalogue_full(name, buf, cap);
    return buf;
}

/* --- routes ---------------------------------------------------------------------------------------------- */

static void root(vb_serve *s, vb_exchange *x)
{
    static const char text[] = "Ollama is running";
    (void)s;
    if (vb_front_wanted(x)) vb_front_answer(x);
    else vb_exchange_answer(x, 200, "text/plain; charset=utf-8", text, sizeof text - 1);
}

static void version(vb_serve *s, vb_exchange *x)
{
    vb_out out = {0};
    (void)s;
    vb_js_open(&out, '{');
    vb_js_put_string(&out, "version", vb_version());
    vb_js_close(&out, '}');
    vb_serve_json(x, 200, &out);
}

const vb_route vb_ollama_routes[] = {
    {"GET", "/", root},
    {"GET", "/api/version", version},
    {"GET", "/api/tags", vb_ollama_tags},
    {"GET", "/api/ps", vb_ollama_ps},
    {"POST", "/api/show", vb_ollama_show},
    {"POST", "/api/generate", vb_ollama_generate},
    {"POST", "/api/chat", vb_ollama_chat},
    {"POST", "/api/embed", vb_ollama_embed},
    {"POST", "/api/embeddings", vb_ollama_embeddings},
    {"POST", "/api/create", vb_manage_create},
    {"POST", "/api/copy", vb_manage_copy},
    {"DELETE", "/api/delete", vb_manage_delete},
    {"POST", "/api/pull", vb_manage_pull},
    {"POST", "/api/push", vb_manage_push},
    {"HEAD", "/api/blobs/", vb_upload_head},
    {NULL, NULL, NULL},
};

const vb_route vb_upload_routes[] = {
    {"POST", "/api/blobs/", vb_upload_begin},
    {NULL, NULL, NULL},
};
