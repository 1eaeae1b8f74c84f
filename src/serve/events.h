/* events.h - what happens in a server, told to whoever wants to know.
 *
 *   scheduler, hosts, routes --vb_events_tell--> [a few hundred] --a thread of its own--> hooks, lines of a log,
 *                                                                                         streams of GET /events
 *
 * Telling is quick and never waits: when the listeners are too slow events are dropped, and counted. Hooks are called one
 * at a time, in the order of what happened.
 */
#ifndef VB_SERVE_EVENTS_H
#define VB_SERVE_EVENTS_H
#include "serve/details.h"
#include "serve/http.h"

#include <stddef.h>

enum { VB_REQUEST_ID = 32 };

/* The server as a whole. Ready: a model is loaded; idle: none is, the next request loads one. */
typedef enum {
    VB_SERVE_IDLE,
    VB_SERVE_CHECKING,    /* a model's bytes against their digest */
    VB_SERVE_DOWNLOADING,
    VB_SERVE_LOADING,
    VB_SERVE_READY,
    VB_SERVE_ERROR        /* loading or downloading has failed; `text` says why */
} vb_serve_state;

typedef enum {
    VB_EVENT_STATUS,     /* state, progress, model, text */
    VB_EVENT_MODEL_LOAD, /* model, total_ns, bytes */
    VB_EVENT_MODEL_UNLOAD,
    VB_EVENT_QUEUE_WAIT, /* a job got its slot and had to wait for it: request, model, queued_ns */
    VB_EVENT_GENERATE,   /* a job has ended: request, model, trace, text (why), tokens and times */
    VB_EVENT_ERROR,      /* request or model, text */
    VB_EVENT_REQUEST,    /* request, method, path, status, total_ns */
    VB_EVENTS
} vb_event_kind;

typedef struct {
    vb_event_kind kind;
    int64_t at_ns; /* since 1970; filled in when it is told */
    char request[VB_REQUEST_ID], model[VB_HOST_NAME], trace[64], text[256];
    char method[16], path[128];
    vb_serve_state state;
    double progress; /* 0..1 */
    unsigned status;
    int prompt_tokens, reused_tokens, tokens;
    int64_t queued_ns, prefill_ns, decode_ns, total_ns;
    uint64_t bytes;
} vb_event;

typedef void (*vb_event_fn)(void *ud, const vb_event *event);
/* Each may be NULL. They may take their time, but must not close the server. */
typedef struct {
    vb_event_fn on_status, on_model_load, on_queue_wait, on_generate, on_error;
    void (*on_line)(void *ud, const char *line, size_t len); /* every event as a line of JSON, newline included */
    void *ud;
} vb_serve_hooks;

typedef struct vb_events vb_events;
vb_status vb_events_open(vb_events **out, const vb_serve_hooks *hooks, vb_err *err);
/* Tells what was left to tell. */
void vb_events_close(vb_events *e);
void vb_events_tell(vb_events *e, const vb_event *event);
/* A new state of the server; text NULL: none. */
void vb_events_state(vb_events *e, vb_serve_state state, const char *model, double progress, const char *text);
/* The last one told: kind, state, progress, model, text. */
void vb_events_now(vb_events *e, vb_event *out);
uint64_t vb_events_dropped(vb_events *e);
int vb_events_streams(vb_events *e); /* open ones */
const char *vb_serve_state_name(vb_serve_state state);

/* Answers with a stream of events, beginning with the state as it is. 0: there are too many streams already. */
int vb_events_stream(vb_events *e, vb_exchange *x);
/* Ends all streams, before it returns, and begins none from now on. */
void vb_events_quiesce(vb_events *e);

#endif
