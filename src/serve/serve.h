/* serve.h - the server as a whole, and what its routes share.
 *
 *   http.h --exchange--> serve.c: guard, route --> ollama_*.c, openai_*.c, native_*.c --job--> scheduler.h
 *
 * A route reads its request, answers, or keeps the exchange and submits jobs whose events write the answer. It runs on a
 * thread of the crew, and may be called again for the same exchange as long as it has not answered (vb_serve_later).
 *
 *   the door       http, watch, patience, listen; guard, sandbox; crew
 *   a request      request, text; conversation, form, tools; turn, embedding; record
 *   the models     catalogue, details; hosts, loads
 *   the work       job, scheduler, pace
 *   the APIs       ollama_*, openai_*, native_*; manage_*, upload, chores; page
 *   who watches    metrics, events
 */
#ifndef VB_SERVE_SERVE_H
#define VB_SERVE_SERVE_H
#include "serve/crew.h"
#include "serve/events.h"
#include "serve/guard.h"
#include "serve/http.h"
#include "serve/record.h"
#include "serve/request.h"
#include "serve/sandbox.h"
#include "serve/scheduler.h"
#include "serve/text.h"

#include <jansson.h>
#include <stdatomic.h>

typedef struct vb_metrics vb_metrics;
typedef struct vb_chores vb_chores;

typedef struct vb_serve {
    vb_http *http;
    vb_hosts *hosts;
    vb_scheduler *scheduler;
    vb_metrics *metrics;
    vb_chores *chores; /* requests that change the store */
    vb_recorder *recorder;
    vb_events *events;
    vb_crew *crew; /* routes run on its threads */
    atomic_int ending; /* nothing new is begun */
} vb_serve;

typedef struct {
    const char *method;
    const char *path; /* "/api/blobs/" followed by anything, if it ends with a slash (but for "/" itself) */
    void (*handle)(vb_serve *s, vb_exchange *x);
} vb_route;
/* Each API's routes, ended by a row of NULLs. */
extern const vb_route vb_ollama_routes[], vb_openai_routes[], vb_native_routes[];
extern const vb_route vb_upload_routes[]; /* called with the headers alone: they answer, or take the body as it comes */

typedef struct {
    const char *host;      /* NULL: 127.0.0.1; an address that others can reach needs keys */
    int port;              /* 0: any that is free */
    const char *unix_path; /* a socket in the file system instead of host and port; NULL: none */
    int listener;          /* a socket that listens already (socket activation); 0: none */
    vb_http_opts http;     /* limits alone */
    vb_guard_opts guard;
    vb_hosts_opts hosts;
    vb_scheduler_opts scheduler;
    vb_sandbox_opts sandbox;
    size_t body_most; /* bytes; 0: 4 MiB */
    const char *trace_dir; /* a trace of each answer goes there; NULL: none is kept */
    int64_t deadline_ns;   /* how long a request may take, unless it asks for less; 0: as long as it does */
    vb_serve_hooks hooks;
} vb_serve_opts;

vb_status vb_serve_open(vb_serve **out, const vb_serve_opts *opts, vb_err *err);
int vb_serve_port(const vb_serve *s);
const char *vb_serve_sandbox(const vb_serve *s); /* what it has given up, in a line; empty: nothing was to be */
/* Nothing new is begun from now on; what runs goes on. */
void vb_serve_quiesce(vb_serve *s);
int vb_serve_busy(const vb_serve *s); /* exchanges that have not ended */
/* Cancels what still runs. */
void vb_serve_close(vb_serve *s);

#define VB_JSON_TYPE "application/json; charset=utf-8"
/* Answers with what was written, which is freed. */
void vb_serve_answer(vb_exchange *x, unsigned status, const char *type, vb_out *out);
void vb_serve_json(vb_exchange *x, unsigned status, vb_out *out);
/* Answers with an error as the API of the exchange's path writes it: Ollama's, OpenAI's or llama-server's. */
void vb_serve_error(vb_exchange *x, unsigned status, const char *text);
/* 1: the fault is a model that is being loaded. The exchange is in other hands: its route is called again, from the
 * beginning, when the model is there; if it cannot be loaded the exchange is answered with the reason. */
int vb_serve_later(vb_exchange *x, const vb_fault *fault);

#endif
