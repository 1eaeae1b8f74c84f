/* metrics.c - counters and histograms, written in Prometheus' text format.
 *
 *   http: a request is over ------> per route: statuses, seconds
 *   scheduler: a job has ended ---> seconds waited, to the first token, for a token
 *   /metrics --------------------> those, the scheduler's sums, the models that are loaded
 *
 * Where llama-server has a name for a number, that name is used too, so that its dashboards show us. Invariant: a
 * histogram's rows are cumulative and end with its count, all read under one lock.
 */
#include "serve/metrics.h"

#include "base/err.h"

#include <pthread.h>
#include <stdlib.h>

enum { BUCKETS = 14, ROUTES_MOST = 64, STATUSES_MOST = 16 };
static const double bounds[BUCKETS] = {0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};

typedef struct {
    uint64_t counts[BUCKETS + 1]; /* not cumulative; the last one: above all bounds */
    double sum;
} histogram;

typedef struct {
    const vb_route *route; /* NULL: requests without one */
    unsigned statuses[STATUSES_MOST];
    uint64_t counts[STATUSES_MOST];
    int n_statuses;
    histogram seconds;
} row;

struct vb_metrics {
    pthread_mutex_t lock;
    row rows[ROUTES_MOST];
    int n_rows;
    histogram queue, first_token, token;
};

static void add(histogram *h, double seconds)
{
    int i = 0;
    while (i < BUCKETS && seconds > bounds[i]) i++;
    h->counts[i]++;
    h->sum += seconds;
}

static double seconds_of(int64_t ns)
{
    return (double)ns * 1e-9;
}

static row *row_of(vb_metrics *m, const vb_route *route)
{
    for (int i = 0; i < m->n_rows; i++)
        if (m->rows[i].route == route) return &m->rows[i];
    if (m->n_rows == ROUTES_MOST) return &m->rows[ROUTES_MOST - 1];
    m->rows[m->n_rows].route = route;
    return &m->rows[m->n_rows++];
}

void vb_metrics_request(vb_metrics *m, const void *route, unsigned status, int64_t ns)
{
    int i = 0;
    unsigned code = status != 0 ? status : 499; /* as Ollama and nginx call it */
    pthread_mutex_lock(&m->lock);
    row *r = row_of(m, route);
    while (i < r->n_statuses && r->statuses[i] != code) i++;
    if (i == r->n_statuses && i < STATUSES_MOST) r->statuses[r->n_statuses++] = code;
    if (i < STATUSES_MOST) r->counts[i]++;
    add(&r->seconds, seconds_of(ns));
    pthread_mutex_unlock(&m->lock);
}

void vb_metrics_job(vb_metrics *m, const vb_job_end *end)
{
    pthread_mutex_lock(&m->lock);
    add(&m->queue, seconds_of(end->queued_ns));
    if (end->tokens > 0) {
        add(&m->first_token, seconds_of(end->queued_ns + end->prefill_ns));
        add(&m->token, seconds_of(end->decode_ns) / end->tokens);
    }
    pthread_mutex_unlock(&m->lock);
}

/* --- the page -------------------------------------------------------------------------------------------- */

static void head(vb_out *out, const char *name, const char *type, const char *help)
{
    vb_out_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void number(vb_out *out, const char *name, const char *type, const char *help, double value)
{
    head(out, name, type, help);
    vb_out_format(out, "%s %.17g\n", name, value);
}

/* labels: "" or `route="..."` */
static void rows_of(vb_out *out, const char *name, const char *labels, const histogram *h)
{
    uint64_t sum = 0;
    const char *comma = labels[0] != '\0' ? "," : "";
    for (int i = 0; i < BUCKETS; i++) {
        sum += h->counts[i];
        vb_out_format(out, "%s_bucket{%s%sle=\"%g\"} %llu\n", name, labels, comma, bounds[i], (unsigned long long)sum);
    }
    sum += h->counts[BUCKETS];
    vb_out_format(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, labels, comma, (unsigned long long)sum);
    vb_out_format(out, "%s_sum{%s} %.9g\n%s_count{%s} %llu\n", name, labels, h->sum, name, labels,
                  (unsigned long long)sum);
}

static void name_route(const row *r, char *to, size_t cap)
{
    if (r->route == NULL) snprintf(to, cap, "route=\"other\"");
    else snprintf(to, cap, "route=\"%s %s\"", r->route->method, r->route->path);
}

static void write_requests(vb_metrics *m, vb_out *out)
{
    char label[160];
    head(out, "verbatim_http_requests_total", "counter", "Requests by route and status; 499: the client left.");
    for (int i = 0; i < m->n_rows; i++) {
        name_route(&m->rows[i], label, sizeof label);
        for (int k = 0; k < m->rows[i].n_statuses; k++)
            vb_out_format(out, "verbatim_http_requests_total{%s,status=\"%u\"} %llu\n", label, m->rows[i].statuses[k],
                          (unsigned long long)m->rows[i].counts[k]);
    }
    head(out, "verbatim_http_request_seconds", "histogram", "From a request's headers to the end of its answer.");
    for (int i = 0; i < m->n_rows; i++) {
        name_route(&m->rows[i], label, sizeof label);
        rows_of(out, "verbatim_http_request_seconds", label, &m->rows[i].seconds);
    }
}

static void write_histograms(vb_metrics *m, vb_out *out)
{
    head(out, "verbatim_queue_seconds", "histogram", "How long jobs waited for a slot.");
    rows_of(out, "verbatim_queue_seconds", "", &m->queue);
    head(out, "verbatim_first_token_seconds", "histogram", "From submission to the first token.");
    rows_of(out, "verbatim_first_token_seconds", "", &m->first_token);
    head(out, "verbatim_token_seconds", "histogram", "Time per generated token, a mean for each job.");
    rows_of(out, "verbatim_token_seconds", "", &m->token);
}

static double rate(uint64_t n, int64_t ns)
{
    return ns > 0 ? (double)n / seconds_of(ns) : 0;
}

/* llama-server's names. */
static void write_llama(const vb_scheduler_stats *t, vb_out *out)
{
    number(out, "llamacpp:prompt_tokens_total", "counter", "Prompt tokens evaluated.", (double)t->prompt_tokens);
    number(out, "llamacpp:prompt_seconds_total", "counter", "Time spent with prompts.", seconds_of(t->prefill_ns));
    number(out, "llamacpp:tokens_predicted_total", "counter", "Tokens generated.", (double)t->tokens);
    number(out, "llamacpp:tokens_predicted_seconds_total", "counter", "Time spent generating.", seconds_of(t->decode_ns));
    number(out, "llamacpp:n_decode_total", "counter", "Evaluations.", (double)t->steps);
    number(out, "llamacpp:prompt_tokens_seconds", "gauge", "Prompt tokens a second.", rate(t->prompt_tokens, t->prefill_ns));
    number(out, "llamacpp:predicted_tokens_seconds", "gauge", "Generated tokens a second.", rate(t->tokens, t->decode_ns));
    number(out, "llamacpp:requests_processing", "gauge", "Jobs in slots.", t->running);
    number(out, "llamacpp:requests_deferred", "gauge", "Jobs that wait for a slot.", t->waiting);
}

static void write_jobs(const vb_scheduler_stats *t, vb_out *out)
{
    number(out, "verbatim_jobs_total", "counter", "Jobs that were accepted.", (double)t->jobs);
    number(out, "verbatim_jobs_refused_total", "counter", "Jobs refused because the queue was full.", (double)t->refused);
    number(out, "verbatim_jobs_cancelled_total", "counter", "Jobs whose client left.", (double)t->cancelled);
    number(out, "verbatim_jobs_timeout_total", "counter", "Jobs that waited too long.", (double)t->timeouts);
    number(out, "verbatim_jobs_late_total", "counter", "Jobs that their deadline ended.", (double)t->late);
    number(out, "verbatim_jobs_failed_total", "counter", "Jobs that failed.", (double)t->failed);
    number(out, "verbatim_reused_tokens_total", "counter", "Prompt tokens that were known before.", (double)t->reused_tokens);
    number(out, "verbatim_busy_seconds_total", "counter", "Time spent evaluating.", seconds_of(t->busy_ns));
}

typedef struct {
    int models, slots;
    uint64_t bytes;
} loaded;

static void add_host(void *ud, const vb_host *host)
{
    loaded *l = ud;
    l->models++;
    l->slots += host->slots;
    l->bytes += host->bytes;
}

void vb_metrics_write(vb_metrics *m, vb_serve *s, vb_out *out)
{
    vb_scheduler_stats stats;
    loaded l = {0};
    vb_scheduler_stats_get(s->scheduler, &stats);
    vb_hosts_each(s->hosts, add_host, &l);
    write_llama(&stats, out);
    write_jobs(&stats, out);
    number(out, "verbatim_traces_total", "counter", "Traces begun.", (double)vb_recorder_traces(s->recorder));
    number(out, "verbatim_events_dropped_total", "counter", "Events that listeners were too slow for.",
           (double)vb_events_dropped(s->events));
    number(out, "verbatim_event_streams", "gauge", "Clients that listen to events.", vb_events_streams(s->events));
    number(out, "verbatim_models_loaded", "gauge", "Models in memory.", l.models);
    number(out, "verbatim_slots", "gauge", "Slots of all loaded models.", l.slots);
    number(out, "verbatim_models_bytes", "gauge", "Memory planned for models and their slots.", (double)l.bytes);
    pthread_mutex_lock(&m->lock);
    write_histograms(m, out);
    write_requests(m, out);
    pthread_mutex_unlock(&m->lock);
}

vb_status vb_metrics_open(vb_metrics **out, vb_err *err)
{
    vb_metrics *m = calloc(1, sizeof *m);
    *out = m;
    if (m == NULL) VB_FAIL(err, VB_E_MEMORY, "serve: out of memory");
    pthread_mutex_init(&m->lock, NULL);
    return VB_OK;
}

void vb_metrics_close(vb_metrics *m)
{
    if (m == NULL) return;
    pthread_mutex_destroy(&m->lock);
    free(m);
}
