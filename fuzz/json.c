/* json.c - fuzz target: any body for any route that takes one. The first byte chooses the route, the rest is the body.
 *
 * Whatever it is, there is an answer, it is not an inner error, and JSON in it is JSON.
 */
#include "fuzz/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Those that would ask another machine are left out. */
static const vb_route *route_of(unsigned number)
{
    static const vb_route *const tables[] = {vb_ollama_routes, vb_openai_routes, vb_native_routes};
    static const vb_route *all[64];
    static unsigned n, made;
    for (size_t t = 0; t < sizeof tables / sizeof tables[0] && !made; t++)
        for (const vb_route *r = tables[t]; r->path != NULL && n < 64; r++) {
            int asks = strcmp(r->path, "/api/pull") == 0 || strcmp(r->path, "/api/push") == 0;
            if (!asks && (strcmp(r->method, "POST") == 0 || strcmp(r->method, "DELETE") == 0)) all[n++] = r;
        }
    made = 1;
    return all[number % n];
}

static void check_answer(const fuzz_server *f)
{
    const char *body = strstr(f->answer, "\r\n\r\n"), *chunked = strcasestr(f->answer, "\r\nTransfer-Encoding: chunked");
    int status = fuzz_status(f->answer);
    fuzz_must(status >= 200 && status < 600 && status != 500 && body != NULL);
    if (f->len == sizeof f->answer - 1 || (chunked != NULL && chunked < body)) return;
    const char *type = strcasestr(f->answer, "\r\nContent-Type: application/json");
    if (type == NULL || type > body) return;
    json_t *value = json_loads(body + 4, JSON_DECODE_ANY, NULL);
    fuzz_must(value != NULL);
    json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_server *f = fuzz_server_start();
    if (size < 1) return 0;
    const vb_route *r = route_of(data[0]);
    char *request = malloc(size + 256);
    fuzz_must(request != NULL);
    int n = snprintf(request, 256, "%s %s%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
                     r->method, r->path, r->path[strlen(r->path) - 1] == '/' ? "x" : "", size - 1);
    memcpy(request + n, data + 1, size - 1);
    fuzz_model(f);
    fuzz_exchange(f, request, (size_t)n + size - 1, 0);
    free(request);
    check_answer(f);
    fuzz_wait_idle(f);
    return 0;
}
