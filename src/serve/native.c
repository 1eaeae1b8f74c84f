/* native.c - llama-server's API and what watches over a server: their routes. */
#include "serve/native.h"

#include "serve/metrics.h"

static void health(vb_serve *s, vb_exchange *x)
{
    static const char text[] = "{\"status\":\"ok\"}";
    (void)s;
    vb_exchange_answer(x, 200, VB_JSON_TYPE, text, sizeof text - 1);
}

static void metrics(vb_serve *s, vb_exchange *x)
{
    vb_out out = {0};
    vb_metrics_write(s->metrics, s, &out);
    vb_serve_answer(x, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
}

const vb_route vb_native_routes[] = {
    {"GET", "/health", health},
    {"GET", "/v1/health", health},
    {"GET", "/metrics", metrics},
    {"GET", "/props", vb_native_props},
    {"GET", "/slots", vb_native_slots},
    {"POST", "/tokenize", vb_native_tokenize},
    {"POST", "/detokenize", vb_native_detokenize},
    {"POST", "/apply-template", vb_native_apply_template},
    {NULL, NULL, NULL},
};
