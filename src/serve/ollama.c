/* ollama.c - Ollama's API: its routes. */
#include "serve/serve.h"

#include <string.h>

static void root(vb_serve *s, vb_exchange *x)
{
    static const char text[] = "Ollama is running";
    (void)s;
    vb_exchange_answer(x, 200, "text/plain; charset=utf-8", text, sizeof text - 1);
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
    {NULL, NULL, NULL},
};
