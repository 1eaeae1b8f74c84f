/* serve.c - opening and closing the server; a request's way to its route.
 *
 * A path that some route has, but not for this method, is 405; one that none has is 404, both as plain text, as Ollama
 * answers them.
 */
#include "serve/serve.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BODY_MOST = 4 << 20 };
static const vb_route *const tables[] = {vb_ollama_routes, vb_openai_routes, vb_native_routes};

typedef struct {
    vb_serve serve;
    size_t body_most;
} server;

void vb_serve_json(vb_exchange *x, unsigned status, vb_out *out)
{
    if (out->failed) vb_exchange_answer(x, 500, VB_JSON_TYPE, "{\"error\":\"out of memory\"}", 25);
    else vb_exchange_answer(x, status, VB_JSON_TYPE, out->data, out->len);
    vb_out_free(out);
}

static int path_fits(const vb_route *r, const char *path)
{
    size_t n = strlen(r->path);
    if (n > 1 && r->path[n - 1] == '/') return strncmp(path, r->path, n) == 0 && path[n] != '\0';
    return strcmp(path, r->path) == 0;
}

/* HEAD is served by GET's route. */
static const vb_route *find(const char *method, const char *path, int *known)
{
    if (strcmp(method, "HEAD") == 0) {
        const vb_route *own = find("HEAD ", path, known);
        return own != NULL ? own : find("GET", path, known);
    }
    size_t n = strcspn(method, " ");
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (const vb_route *r = tables[t]; r->path != NULL; r++) {
            if (!path_fits(r, path)) continue;
            *known = 1;
            if (strncmp(r->method, method, n) == 0 && r->method[n] == '\0') return r;
        }
    return NULL;
}

static size_t admit(void *ud, vb_exchange *x, int64_t length)
{
    const server *s = ud;
    static const char text[] = "{\"error\":\"request body too large\"}";
    if (length > (int64_t)s->body_most) vb_exchange_answer(x, 413, VB_JSON_TYPE, text, sizeof text - 1);
    return s->body_most;
}

static void handle(void *ud, vb_exchange *x)
{
    server *s = ud;
    int known = 0;
    const vb_route *r = find(vb_exchange_method(x), vb_exchange_path(x), &known);
    if (r != NULL) r->handle(&s->serve, x);
    else if (known) vb_exchange_answer(x, 405, "text/plain", "405 method not allowed", 22);
    else vb_exchange_answer(x, 404, "text/plain", "404 page not found", 18);
}

vb_status vb_serve_open(vb_serve **out, const vb_serve_opts *opts, vb_err *err)
{
    server *s = calloc(1, sizeof *s);
    vb_http_opts http = opts->http;
    *out = NULL;
    if (s == NULL) VB_FAIL(err, VB_E_MEMORY, "serve: out of memory");
    s->body_most = opts->body_most > 0 ? opts->body_most : BODY_MOST;
    http.admit = admit;
    http.handle = handle;
    http.ud = s;
    vb_status status = vb_hosts_open(&s->serve.hosts, &opts->hosts, err);
    if (status == VB_OK) status = vb_scheduler_open(&s->serve.scheduler, s->serve.hosts, &opts->scheduler, err);
    if (status == VB_OK) status = vb_http_open(&s->serve.http, &http, err);
    if (status < 0) {
        vb_serve_close(&s->serve, 0);
        return status;
    }
    *out = &s->serve;
    return VB_OK;
}

void vb_serve_close(vb_serve *s, int64_t ns)
{
    int64_t until = vb_now_ns() + ns;
    const struct timespec moment = {.tv_nsec = 10000000};
    if (s->http != NULL) vb_http_quiesce(s->http);
    while (s->http != NULL && vb_http_busy(s->http) > 0 && vb_now_ns() < until) nanosleep(&moment, NULL);
    vb_scheduler_close(s->scheduler);
    vb_http_close(s->http);
    vb_hosts_close(s->hosts);
    free(s);
}
