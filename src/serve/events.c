/* events.c - see events.h.
 *
 *   ring     events that were told and not yet passed on; `lock` is held for a copy alone
 *   streams  exchanges of GET /events; written under `lock`, ended without it (what is over is told as an event)
 *
 * A stream ends when its client has gone or does not read, and when the server ends. Its exchange calls `gone` under a
 * lock of its own, so that may only leave a mark. Invariant: a place is free again only when its exchange has ended, so
 * that no mark of a former client falls on the next one.
 *
 * Every few seconds a stream gets an empty comment, which keeps the connection alive.
 */
#include "serve/events.h"

#include "base/err.h"
#include "serve/text.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RING = 512, STREAMS_MOST = 64, BACKLOG_MOST = 1 << 18, BEAT_SECONDS = 15 };

typedef struct {
    vb_exchange *exchange; /* NULL: free */
    atomic_int gone;       /* it is to end */
    vb_events *all;
} stream;

struct vb_events {
    vb_serve_hooks hooks;
    pthread_t thread;
    int has_thread;
    pthread_mutex_t lock, ends; /* ends: of streams, one after the other; taken before `lock` */
    sem_t news;
    vb_event ring[RING];
    uint64_t told, passed, dropped; /* the ring's place is the number modulo its size */
    vb_event now;                   /* the last state */
    stream streams[STREAMS_MOST];
    int quiet, ending;
};

const char *vb_serve_state_name(vb_serve_state state)
{
    static const char *const names[] = {"idle", "checking", "downloading", "loading", "ready", "error"};
    return names[state];
}

static const char *name_of(vb_event_kind kind)
{
    static const char *const names[VB_EVENTS] = {"status", "model_load", "model_unload", "queue_wait",
                                                 "generate", "error", "request"};
    return names[kind];
}

/* --- an event as JSON ------------------------------------------------------------------------------------ */

static void put_text(vb_out *out, const char *key, const char *text)
{
    if (text[0] != '\0') vb_js_put_string(out, key, text);
}

static void put_seconds(vb_out *out, const char *key, int64_t ns)
{
    vb_js_key(out, key);
    vb_js_double(out, (double)ns * 1e-9);
}

static void put_time(vb_out *out, int64_t ns)
{
    char text[80], whole[40];
    struct tm parts;
    time_t seconds = (time_t)(ns / 1000000000);
    if (gmtime_r(&seconds, &parts) == NULL) return;
    strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, sizeof text, "%s.%06dZ", whole, (int)(ns % 1000000000 / 1000));
    vb_js_put_string(out, "time", text);
}

static void put_state(vb_out *out, const vb_event *e)
{
    vb_js_put_string(out, "state", vb_serve_state_name(e->state));
    vb_js_key(out, "progress");
    vb_js_double(out, e->progress);
}

static void put_tokens(vb_out *out, const vb_event *e)
{
    vb_js_put_int(out, "prompt_tokens", e->prompt_tokens);
    vb_js_put_int(out, "reused_tokens", e->reused_tokens);
    vb_js_put_int(out, "tokens", e->tokens);
    put_seconds(out, "queue_seconds", e->queued_ns);
    put_seconds(out, "prefill_seconds", e->prefill_ns);
    put_seconds(out, "decode_seconds", e->decode_ns);
}

static void put_event(vb_out *out, const vb_event *e)
{
    vb_js_open(out, '{');
    put_time(out, e->at_ns);
    vb_js_put_string(out, "event", name_of(e->kind));
    put_text(out, "request", e->request);
    put_text(out, "model", e->model);
    put_text(out, "trace", e->trace);
    put_text(out, "method", e->method);
    put_text(out, "path", e->path);
    if (e->kind == VB_EVENT_STATUS) put_state(out, e);
    if (e->kind == VB_EVENT_GENERATE) put_tokens(out, e);
    if (e->kind == VB_EVENT_QUEUE_WAIT) put_seconds(out, "queue_seconds", e->queued_ns);
    if (e->kind == VB_EVENT_REQUEST) vb_js_put_int(out, "status", e->status);
    if (e->total_ns > 0) put_seconds(out, "seconds", e->total_ns);
    if (e->bytes > 0) vb_js_put_int(out, "bytes", (int64_t)e->bytes);
    put_text(out, e->kind == VB_EVENT_GENERATE ? "reason" : "message", e->text);
    vb_js_close(out, '}');
}

/* --- streams --------------------------------------------------------------------------------------------- */

static void on_gone(void *ud)
{
    stream *s = ud;
    atomic_store(&s->gone, 1);
    sem_post(&s->all->news);
}

static void write_stream(stream *s, const vb_out *event)
{
    if (vb_exchange_backlog(s->exchange) > BACKLOG_MOST) atomic_store(&s->gone, 1);
    else vb_exchange_write(s->exchange, event->data, event->len);
}

static void write_all(vb_events *e, const vb_out *event)
{
    pthread_mutex_lock(&e->lock);
    for (int i = 0; i < STREAMS_MOST && !event->failed && event->len > 0; i++)
        if (e->streams[i].exchange != NULL && !atomic_load(&e->streams[i].gone)) write_stream(&e->streams[i], event);
    pthread_mutex_unlock(&e->lock);
}

static void put_sse(vb_out *out, const vb_event *event)
{
    vb_out json = {0};
    put_event(&json, event);
    vb_out_format(out, "event: %s\ndata: ", name_of(event->kind));
    vb_out_bytes(out, json.data, json.len);
    vb_out_text(out, "\n\n");
    out->failed |= json.failed;
    vb_out_free(&json);
}

/* The stream's exchange, if it is to end; from then on nothing is written to it. */
static vb_exchange *to_end(vb_events *e, stream *s)
{
    pthread_mutex_lock(&e->lock);
    if (e->quiet) atomic_store(&s->gone, 1);
    vb_exchange *x = atomic_load(&s->gone) ? s->exchange : NULL;
    pthread_mutex_unlock(&e->lock);
    return x;
}

/* Those that have gone leave, and all of them when the server ends. */
static void tidy(vb_events *e)
{
    pthread_mutex_lock(&e->ends);
    for (int i = 0; i < STREAMS_MOST; i++) {
        stream *s = &e->streams[i];
        vb_exchange *x = to_end(e, s);
        if (x == NULL) continue;
        vb_exchange_end(x);
        pthread_mutex_lock(&e->lock);
        s->exchange = NULL;
        pthread_mutex_unlock(&e->lock);
    }
    pthread_mutex_unlock(&e->ends);
}

static stream *free_stream(vb_events *e)
{
    for (int i = 0; i < STREAMS_MOST && !e->quiet; i++)
        if (e->streams[i].exchange == NULL) return &e->streams[i];
    return NULL;
}

int vb_events_stream(vb_events *e, vb_exchange *x)
{
    vb_out first = {0};
    pthread_mutex_lock(&e->lock);
    stream *s = free_stream(e);
    if (s != NULL) {
        s->all = e;
        atomic_store(&s->gone, 0);
        vb_exchange_set(x, "Cache-Control", "no-store");
        vb_exchange_begin(x, 200, "text/event-stream");
        put_sse(&first, &e->now);
        if (!first.failed) vb_exchange_write(x, first.data, first.len);
        vb_exchange_on_gone(x, on_gone, s);
        s->exchange = x;
    }
    pthread_mutex_unlock(&e->lock);
    vb_out_free(&first);
    return s != NULL;
}

void vb_events_quiesce(vb_events *e)
{
    pthread_mutex_lock(&e->lock);
    e->quiet = 1;
    pthread_mutex_unlock(&e->lock);
    tidy(e);
}

/* --- the thread ------------------------------------------------------------------------------------------ */

static void call_hook(const vb_events *e, const vb_event *event)
{
    const vb_serve_hooks *h = &e->hooks;
    const vb_event_fn fns[VB_EVENTS] = {[VB_EVENT_STATUS] = h->on_status,       [VB_EVENT_MODEL_LOAD] = h->on_model_load,
                                        [VB_EVENT_QUEUE_WAIT] = h->on_queue_wait, [VB_EVENT_GENERATE] = h->on_generate,
                                        [VB_EVENT_ERROR] = h->on_error};
    if (fns[event->kind] != NULL) fns[event->kind](h->ud, event);
}

static void pass_on(vb_events *e, const vb_event *event)
{
    vb_out line = {0}, sse = {0};
    call_hook(e, event);
    if (e->hooks.on_line != NULL) {
        put_event(&line, event);
        vb_out_text(&line, "\n");
        if (!line.failed) e->hooks.on_line(e->hooks.ud, line.data, line.len);
    }
    put_sse(&sse, event);
    write_all(e, &sse);
    vb_out_free(&line);
    vb_out_free(&sse);
}

static int next(vb_events *e, vb_event *out)
{
    pthread_mutex_lock(&e->lock);
    int there = e->passed < e->told;
    if (there) *out = e->ring[e->passed++ % RING];
    pthread_mutex_unlock(&e->lock);
    return there;
}

static void beat(vb_events *e)
{
    vb_out comment = {0};
    vb_out_text(&comment, ":\n\n");
    write_all(e, &comment);
    vb_out_free(&comment);
}

/* 1: something is new, 0: nothing was for a while. */
static int wait_for_news(vb_events *e)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += BEAT_SECONDS;
    return sem_timedwait(&e->news, &until) == 0;
}

static void *loop(void *ud)
{
    vb_events *e = ud;
    vb_event event;
    for (int ending = 0; !ending;) {
        if (!wait_for_news(e)) beat(e);
        pthread_mutex_lock(&e->lock);
        ending = e->ending;
        pthread_mutex_unlock(&e->lock);
        while (next(e, &event)) pass_on(e, &event);
        tidy(e);
    }
    return NULL;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- telling --------------------------------------------------------------------------------------------- */

void vb_events_tell(vb_events *e, const vb_event *event)
{
    vb_event told = *event;
    told.at_ns = now_ns();
    pthread_mutex_lock(&e->lock);
    if (told.kind == VB_EVENT_STATUS) e->now = told;
    if (e->told - e->passed == RING) e->dropped++;
    else e->ring[e->told++ % RING] = told;
    pthread_mutex_unlock(&e->lock);
    sem_post(&e->news);
}

void vb_events_state(vb_events *e, vb_serve_state state, const char *model, double progress, const char *text)
{
    vb_event event = {.kind = VB_EVENT_STATUS, .state = state, .progress = progress};
    snprintf(event.model, sizeof event.model, "%s", model != NULL ? model : "");
    snprintf(event.text, sizeof event.text, "%.250s", text != NULL ? text : "");
    vb_events_tell(e, &event);
}

void vb_events_now(vb_events *e, vb_event *out)
{
    pthread_mutex_lock(&e->lock);
    *out = e->now;
    pthread_mutex_unlock(&e->lock);
}

uint64_t vb_events_dropped(vb_events *e)
{
    pthread_mutex_lock(&e->lock);
    uint64_t n = e->dropped;
    pthread_mutex_unlock(&e->lock);
    return n;
}

int vb_events_streams(vb_events *e)
{
    int n = 0;
    pthread_mutex_lock(&e->lock);
    for (int i = 0; i < STREAMS_MOST; i++) n += e->streams[i].exchange != NULL;
    pthread_mutex_unlock(&e->lock);
    return n;
}

/* --- opening and closing --------------------------------------------------------------------------------- */

vb_status vb_events_open(vb_events **out, const vb_serve_hooks *hooks, vb_err *err)
{
    vb_events *e = calloc(1, sizeof *e);
    *out = NULL;
    if (e == NULL) VB_FAIL(err, VB_E_MEMORY, "serve: out of memory");
    e->hooks = *hooks;
    e->now.kind = VB_EVENT_STATUS;
    e->now.at_ns = now_ns();
    pthread_mutex_init(&e->lock, NULL);
    pthread_mutex_init(&e->ends, NULL);
    sem_init(&e->news, 0, 0);
    e->has_thread = pthread_create(&e->thread, NULL, loop, e) == 0;
    if (!e->has_thread) {
        vb_events_close(e);
        VB_FAIL(err, VB_E_MEMORY, "serve: expected a thread, found none to be had");
    }
    *out = e;
    return VB_OK;
}

void vb_events_close(vb_events *e)
{
    if (e == NULL) return;
    pthread_mutex_lock(&e->lock);
    e->ending = e->quiet = 1;
    pthread_mutex_unlock(&e->lock);
    sem_post(&e->news);
    if (e->has_thread) pthread_join(e->thread, NULL);
    sem_destroy(&e->news);
    pthread_mutex_destroy(&e->ends);
    pthread_mutex_destroy(&e->lock);
    free(e);
}
