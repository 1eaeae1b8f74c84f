/* native.c - llama-server's API and what watches over a server: their routes. */
#include "serve/native.h"

#include "serve/metrics.h"

static void health(vb_serve *s, vb_exchange *x)
{
    static const char text[] = "{\"status\":\"ok\"}";
    (void)s;
    vb_exchange_answer(x, 200, VB_JSON_TYPE, text, sizeof text - 1);
}

typedef struct {
    int models;
} loaded;

static void count(void *ud, const vb_host *host)
{
    loaded *l = ud;
    (void)host;
    l->models++;
}

/* 503 while another request would be refused, or while the first model is on its way. */
static void ready(vb_serve *s, vb_exchange *x)
{
    vb_out out = {0};
    vb_event now;
    loaded l = {0};
    vb_scheduler_stats stats;
    vb_scheduler_stats_get(s->scheduler, &stats);
    vb_events_now(s->events, &now);
    vb_hosts_each(s->hosts, count, &l);
    int full = stats.waiting >= vb_scheduler_most(s->scheduler);
    int coming = l.models == 0 && (now.state == VB_SERVE_LOADING || now.state == VB_SERVE_CHECKING);
    vb_js_open(&out, '{');
    vb_js_put_string(&out, "status", full ? "busy" : coming ? "loading" : "ok");
    vb_js_put_string(&out, "state", vb_serve_state_name(now.state));
    vb_js_key(&out, "progress");
    vb_js_double(&out, now.progress);
    vb_js_put_int(&out, "models", l.models);
    vb_js_put_int(&out, "running", stats.running);
    vb_js_put_int(&out, "waiting", stats.waiting);
    vb_js_close(&out, '}');
    if (full || coming) vb_exchange_set(x, "Retry-After", "5");
    vb_serve_json(x, full || coming ? 503 : 200, &out);
}

static void events(vb_serve *s, vb_exchange *x)
{
    if (vb_events_stream(s->events, x)) return;
    vb_exchange_set(x, "Retry-After", "5");
    vb_serve_error(x, 503, "too many listen to events already");
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
    {"GET", "/ready", ready},
    {"GET", "/events", events},
    {"GET", "/metrics", metrics},
    {"GET", "/props", vb_native_props},
    {"GET", "/slots", vb_native_slots},
    {"POST", "/tokenize", vb_native_tokenize},
    {"POST", "/detokenize", vb_native_detokenize},
    {"POST", "/apply-template", vb_native_apply_template},
    {NULL, NULL, NULL},
};
