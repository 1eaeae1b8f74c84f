/* native.c - llama-server's API and what watches over a server: their routes. */
#include "serve/serve.h"

static void health(vb_serve *s, vb_exchange *x)
{
    static const char text[] = "{\"status\":\"ok\"}";
    (void)s;
    vb_exchange_answer(x, 200, VB_JSON_TYPE, text, sizeof text - 1);
}

const vb_route vb_native_routes[] = {
    {"GET", "/health", health},
    {NULL, NULL, NULL},
};
