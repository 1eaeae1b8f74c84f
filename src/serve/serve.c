/* serve.c - opening and closing the server; a request's way to its route.
 *
 *   headers -> its id -> ending? 503 -> guard: 401, 403 -> length: 413 -> body -> route: 404, 405
 *           -> crew -> shape: 400 -> its handler
 *
 * A path that some route has, but not for this method, is 405; one that none has is 404, both as plain text, as Ollama
 * answers them.
 */
#include "serve/serve.h"

#include "base/err.h"
#include "serve/chores.h"
#include "serve/metrics.h"
#include "serve/turn.h"

#include <stddef.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BODY_MOST = 4 << 20, CHORES_MOST = 8, CREW_MOST = 32, LARGE_BODY = 1 << 16 };
static const vb_route *const tables[] = {vb_ollama_routes, vb_openai_routes, vb_native_routes, vb_upload_routes};

typedef struct {
    vb_serve serve; /* first: what an exchange calls its server */
    vb_guard *guard;
    size_t body_most;
    int64_t deadline_ns;
    char *unix_path;
    int port;
    char sandbox[256];
} server;

void vb_serve_answer(vb_exchange *x, unsigned status, const char *type, vb_out *out)
{
    if (out->failed) vb_exchange_answer(x, 500, VB_JSON_TYPE, "{\"error\":\"out of memory\"}", 25);
    else vb_exchange_answer(x, status, type, out->data, out->len);
    vb_out_free(out);
}

void vb_serve_json(vb_exchange *x, unsigned status, vb_out *out)
{
    vb_serve_answer(x, status, VB_JSON_TYPE, out);
}

/* OpenAI's names of kinds of errors, which llama-server uses too. */
static const char *kind_of(unsigned status)
{
    switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 503: return "unavailable_error";
    }
    return status < 500 ? "invalid_request_error" : "api_error";
}

void vb_serve_error(vb_exchange *x, unsigned status, const char *text)
{
    vb_out out = {0};
    const char *path = vb_exchange_path(x);
    int openai = strncmp(path, "/v1/", 4) == 0, ollama = strncmp(path, "/api/", 5) == 0 || strcmp(path, "/") == 0;
    vb_js_open(&out, '{');
    vb_js_key(&out, "error");
    if (ollama) {
        vb_js_string(&out, text, strlen(text));
    } else {
        vb_js_open(&out, '{');
        if (!openai) vb_js_put_int(&out, "code", status);
        vb_js_put_string(&out, "message", text);
        vb_js_put_string(&out, "type", kind_of(status));
        if (openai) {
            vb_js_put_string(&out, "param", NULL);
            vb_js_put_string(&out, "code", status == 401 ? "invalid_api_key" : NULL);
        }
        vb_js_close(&out, '}');
    }
    vb_js_close(&out, '}');
    vb_serve_json(x, status, &out);
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

static int is_upload(const vb_route *r)
{
    const vb_route *u = vb_upload_routes;
    while (u->path != NULL && u != r) u++;
    return u->path != NULL;
}

/* "20261121-190502-8f2a6c01d3b4": names of files in the order of time, and no two alike. */
static void name_it(vb_exchange *x)
{
    char id[VB_REQUEST_ID], when[24];
    struct tm parts;
    time_t now = time(NULL);
    if (gmtime_r(&now, &parts) == NULL) memset(&parts, 0, sizeof parts);
    strftime(when, sizeof when, "%Y%m%d-%H%M%S", &parts);
    snprintf(id, sizeof id, "%.15s-%012llx", when, (unsigned long long)(vb_turn_seed() & 0xffffffffffffu));
    vb_exchange_set_id(x, id);
    vb_exchange_set(x, "X-Request-Id", id);
}

/* X-Request-Timeout: seconds; what the server allows is the most. */
static void limit(const server *s, vb_exchange *x)
{
    const char *said = vb_exchange_header(x, "X-Request-Timeout");
    char *end = NULL;
    double seconds = said != NULL ? strtod(said, &end) : 0;
    int64_t ns = s->deadline_ns;
    if (said != NULL && end != said && *end == '\0' && seconds > 0 && seconds < 1e9) {
        int64_t asked = (int64_t)(seconds * 1e9);
        if (ns == 0 || asked < ns) ns = asked > 0 ? asked : 1;
    }
    if (ns > 0) vb_exchange_set_deadline(x, vb_now_ns() + ns);
}

static size_t admit(void *ud, vb_exchange *x, int64_t length)
{
    server *s = ud;
    int known = 0;
    name_it(x);
    limit(s, x);
    const vb_route *r = find(vb_exchange_method(x), vb_exchange_path(x), &known);
    vb_exchange_set_route(x, r);
    if (atomic_load(&s->serve.ending)) {
        vb_exchange_set(x, "Connection", "close");
        vb_exchange_set(x, "Retry-After", "5");
        vb_serve_error(x, 503, "the server is ending");
    } else if (vb_guard_admits(s->guard, x)) {
        if (is_upload(r)) r->handle(&s->serve, x);
        else if (length > (int64_t)s->body_most) vb_serve_error(x, 413, "request body too large");
    }
    return s->body_most;
}

/* A large body has been a tree of many small pieces, which would stay with this process. */
static void give_back(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

static void run_route(void *ud, void *what)
{
    vb_serve *s = ud;
    vb_exchange *x = what;
    const vb_route *r = vb_exchange_route(x);
    size_t len;
    const char *body = vb_exchange_body(x, &len), *wrong = vb_guard_shape(body, len);
    if (wrong != NULL) vb_serve_error(x, 400, wrong);
    else r->handle(s, x);
    if (len >= LARGE_BODY) give_back();
}

/* What is asked of a server to see whether it is well must be answered while all the crew is at work. */
static int is_quick(const char *path)
{
    static const char *const quick[] = {"/", "/health", "/v1/health", "/ready", "/events", "/metrics", "/slots",
                                        "/api/version", "/api/ps"};
    for (size_t i = 0; i < sizeof quick / sizeof quick[0]; i++)
        if (strcmp(path, quick[i]) == 0) return 1;
    return 0;
}

/* By one of the crew; where it takes nothing for want of memory, by who asks. */
static void give(vb_serve *s, vb_exchange *x)
{
    if (vb_crew_give(s->crew, run_route, s, x)) return;
    if (!atomic_load(&s->ending)) run_route(s, x);
    else vb_serve_error(x, 503, "the server is ending");
}

static void handle(void *ud, vb_exchange *x)
{
    server *s = ud;
    int known = 0;
    const vb_route *r = find(vb_exchange_method(x), vb_exchange_path(x), &known);
    vb_exchange_set_route(x, r);
    if (r == NULL && known) vb_exchange_answer(x, 405, "text/plain", "405 method not allowed", 22);
    else if (r == NULL) vb_exchange_answer(x, 404, "text/plain", "404 page not found", 18);
    else if (is_quick(r->path)) run_route(&s->serve, x);
    else give(&s->serve, x);
}

/* --- requests that wait for a model ---------------------------------------------------------------------- */

static void on_loaded(void *ud, const vb_err *err)
{
    vb_exchange *x = ud;
    vb_serve *s = vb_exchange_server(x);
    unsigned status = err != NULL ? vb_turn_status(err->code) : 0;
    if (status == 503) vb_exchange_set(x, "Retry-After", "5");
    if (err != NULL) vb_serve_error(x, status, err->text);
    else give(s, x);
}

int vb_serve_later(vb_exchange *x, const vb_fault *fault)
{
    vb_serve *s = vb_exchange_server(x);
    if (fault->status != VB_FAULT_LATER) return 0;
    if (!vb_hosts_when_loaded(s->hosts, fault->load, on_loaded, x)) on_loaded(x, NULL);
    return 1;
}

static void over(void *ud, const vb_exchange *x)
{
    server *s = ud;
    vb_event e = {.kind = VB_EVENT_REQUEST, .status = vb_exchange_status(x), .total_ns = vb_exchange_age_ns(x)};
    vb_metrics_request(s->serve.metrics, vb_exchange_route(x), e.status, e.total_ns);
    snprintf(e.request, sizeof e.request, "%s", vb_exchange_id(x));
    snprintf(e.method, sizeof e.method, "%.15s", vb_exchange_method(x));
    snprintf(e.path, sizeof e.path, "%.127s", vb_exchange_path(x));
    vb_events_tell(s->serve.events, &e);
}

/* --- what is told of jobs and models ---------------------------------------------------------------------- */

static vb_event event_of(vb_event_kind kind, const vb_job *job)
{
    vb_event e = {.kind = kind};
    snprintf(e.request, sizeof e.request, "%s", job->request != NULL ? job->request : "");
    snprintf(e.model, sizeof e.model, "%s", job->host->name);
    return e;
}

static void job_waited(void *ud, const vb_job *job, int64_t ns)
{
    server *s = ud;
    vb_event e = event_of(VB_EVENT_QUEUE_WAIT, job);
    e.queued_ns = ns;
    vb_events_tell(s->serve.events, &e);
}

static const char *reason_of(vb_job_why why)
{
    static const char *const names[] = {"stop", "length", "context", "cancelled", "queue_timeout", "deadline", "failed"};
    return names[why];
}

static void tell_failure(server *s, const vb_job_end *end)
{
    vb_event e = event_of(VB_EVENT_ERROR, end->job);
    snprintf(e.text, sizeof e.text, "%.250s", end->err.text);
    vb_events_tell(s->serve.events, &e);
}

static void job_ended(void *ud, const vb_job_end *end)
{
    server *s = ud;
    vb_event e = event_of(VB_EVENT_GENERATE, end->job);
    const char *trace = vb_record_trace(end->job->record);
    vb_metrics_job(s->serve.metrics, end);
    if (end->why == VB_JOB_FAILED) tell_failure(s, end);
    snprintf(e.trace, sizeof e.trace, "%s", trace != NULL ? trace : "");
    snprintf(e.text, sizeof e.text, "%s", end->job->embed && end->why == VB_JOB_STOP ? "embedded" : reason_of(end->why));
    e.prompt_tokens = end->prompt_tokens;
    e.reused_tokens = end->reused;
    e.tokens = end->tokens;
    e.queued_ns = end->queued_ns;
    e.prefill_ns = end->prefill_ns;
    e.decode_ns = end->decode_ns;
    e.total_ns = end->queued_ns + end->prefill_ns + end->decode_ns;
    vb_events_tell(s->serve.events, &e);
}

static void model_loads(void *ud, const vb_loading *l)
{
    server *s = ud;
    vb_event e = {.kind = l->err != NULL ? VB_EVENT_ERROR : VB_EVENT_MODEL_LOAD, .total_ns = l->ns, .bytes = l->bytes};
    vb_serve_state state = !l->over ? (l->checking ? VB_SERVE_CHECKING : VB_SERVE_LOADING)
                           : l->err != NULL ? VB_SERVE_ERROR : VB_SERVE_READY;
    const char *why = l->err != NULL ? l->err->text : "";
    snprintf(e.model, sizeof e.model, "%s", l->name);
    snprintf(e.text, sizeof e.text, "%.250s", why);
    if (l->over) vb_events_tell(s->serve.events, &e);
    vb_events_state(s->serve.events, state, l->name, l->done, why);
}

static void model_unloads(void *ud, const char *name, int left)
{
    server *s = ud;
    vb_event e = {.kind = VB_EVENT_MODEL_UNLOAD};
    snprintf(e.model, sizeof e.model, "%s", name);
    vb_events_tell(s->serve.events, &e);
    if (left == 0) vb_events_state(s->serve.events, VB_SERVE_IDLE, name, 0, NULL);
}

static vb_status listen_at(server *s, const vb_serve_opts *o, int *fd, vb_err *err)
{
    int open = vb_guard_has_keys(s->guard);
    if (o->listener > 0) {
        *fd = o->listener;
        VB_TRY(vb_listen_given(*fd, open, err));
    } else if (o->unix_path != NULL) {
        VB_TRY(vb_listen_unix(fd, o->unix_path, err));
        s->unix_path = strdup(o->unix_path);
    } else {
        VB_TRY(vb_listen_tcp(fd, o->host != NULL ? o->host : "127.0.0.1", o->port, open, err));
    }
    s->port = vb_listen_port(*fd);
    vb_guard_set_reach(s->guard, vb_listen_reach(*fd));
    return VB_OK;
}

static vb_status open_parts(server *s, const vb_serve_opts *opts, vb_err *err)
{
    vb_http_opts http = opts->http;
    vb_scheduler_opts scheduler = opts->scheduler;
    vb_guard_opts guard = opts->guard;
    vb_hosts_opts hosts = opts->hosts;
    if (opts->host != NULL) guard.host = opts->host;
    http.admit = admit;
    http.handle = handle;
    http.over = over;
    scheduler.ended = job_ended;
    scheduler.waited = job_waited;
    hosts.on_load = model_loads;
    hosts.on_unload = model_unloads;
    http.ud = scheduler.ud = hosts.ud = s;
    VB_TRY(vb_guard_open(&s->guard, &guard, err));
    VB_TRY(listen_at(s, opts, &http.listener, err));
    VB_TRY(vb_recorder_open(&s->serve.recorder, opts->trace_dir, err)); /* its folder is not for all to read */
    if (opts->sandbox.on) vb_sandbox_enter(&opts->sandbox, s->sandbox, sizeof s->sandbox); /* before there are threads */
    VB_TRY(vb_events_open(&s->serve.events, &opts->hooks, err));
    VB_TRY(vb_metrics_open(&s->serve.metrics, err));
    VB_TRY(vb_chores_open(&s->serve.chores, CHORES_MOST, err));
    VB_TRY(vb_hosts_open(&s->serve.hosts, &hosts, err));
    VB_TRY(vb_crew_open(&s->serve.crew, CREW_MOST, err));
    VB_TRY(vb_scheduler_open(&s->serve.scheduler, s->serve.hosts, &scheduler, err));
    return vb_http_open(&s->serve.http, &http, err);
}

vb_status vb_serve_open(vb_serve **out, const vb_serve_opts *opts, vb_err *err)
{
    server *s = calloc(1, sizeof *s);
    *out = NULL;
    if (s == NULL) VB_FAIL(err, VB_E_MEMORY, "serve: out of memory");
    s->body_most = opts->body_most > 0 ? opts->body_most : BODY_MOST;
    s->deadline_ns = opts->deadline_ns;
    vb_status status = open_parts(s, opts, err);
    if (status < 0) {
        vb_serve_close(&s->serve);
        return status;
    }
    *out = &s->serve;
    return VB_OK;
}

static server *server_of(vb_serve *s)
{
    return (server *)(void *)((char *)s - offsetof(server, serve));
}

int vb_serve_port(const vb_serve *s)
{
    return ((const server *)(const void *)((const char *)s - offsetof(server, serve)))->port;
}

const char *vb_serve_sandbox(const vb_serve *s)
{
    return ((const server *)(const void *)((const char *)s - offsetof(server, serve)))->sandbox;
}

void vb_serve_quiesce(vb_serve *s)
{
    atomic_store(&s->ending, 1);
    vb_events_quiesce(s->events);
}

int vb_serve_busy(const vb_serve *s)
{
    return vb_http_busy(s->http);
}

void vb_serve_close(vb_serve *s)
{
    server *own = server_of(s);
    atomic_store(&s->ending, 1);
    vb_hosts_stop(s->hosts);
    vb_crew_stop(s->crew);
    vb_scheduler_stop(s->scheduler);
    vb_chores_stop(s->chores);
    if (s->events != NULL) vb_events_quiesce(s->events);
    vb_http_close(s->http); /* only now can nobody ask for any of them */
    vb_crew_close(s->crew);
    vb_scheduler_close(s->scheduler);
    vb_chores_close(s->chores);
    vb_hosts_close(s->hosts);
    vb_guard_close(own->guard);
    vb_metrics_close(s->metrics);
    vb_recorder_close(s->recorder);
    vb_events_close(s->events);
    if (own->unix_path != NULL) unlink(own->unix_path);
    free(own->unix_path);
    free(own);
}
