/* http.h - HTTP as a route sees it: a whole request in, one answer or a stream out.
 *
 *   client -> [ libmicrohttpd: a few threads with epoll ] -> admit (headers) -> body -> handle -> answer | stream
 *
 * `handle` runs on an HTTP thread and must be quick: it answers, or it keeps the exchange and lets another thread read the
 * request, answer later or write a stream piece by piece. Nobody waits: the connection sleeps until there is something to
 * send.
 *
 * Invariants: an exchange is answered exactly once. Whoever keeps it may use it until vb_exchange_end (or the answer),
 * even when the client has gone; `gone` is then called once, on a thread of its own, and writes are dropped.
 */
#ifndef VB_SERVE_HTTP_H
#define VB_SERVE_HTTP_H
#include "verbatim.h"

typedef struct vb_http vb_http;
typedef struct vb_exchange vb_exchange;

typedef struct {
    int listener;     /* a socket that is listening (listen.h); closed with the server */
    int threads;      /* 0: 2 */
    unsigned connections, idle_seconds; /* 0: 1200, 300 */
    int64_t patience_ns; /* how long a connection may take to say a request; 0: 60 s */
    /* The headers are there. May answer (then the body is not read and `handle` is not called); `length` is what
     * Content-Length says, -1: not said. Returns the most bytes of body to accept. */
    size_t (*admit)(void *ud, vb_exchange *x, int64_t length);
    void (*handle)(void *ud, vb_exchange *x);
    void (*over)(void *ud, const vb_exchange *x); /* both sides have done with it; its connection is gone already */
    void *ud;
} vb_http_opts;

vb_status vb_http_open(vb_http **out, const vb_http_opts *opts, vb_err *err);
int vb_http_busy(const vb_http *http); /* exchanges that have not ended */
/* After the last exchange has been answered; waits half a second at most until the answers are sent. */
void vb_http_close(vb_http *http);

/* --- the request; what is returned lives as long as the exchange --- */
const char *vb_exchange_method(const vb_exchange *x);
const char *vb_exchange_path(const vb_exchange *x); /* without the query */
const char *vb_exchange_header(const vb_exchange *x, const char *name); /* NULL: none */
int vb_exchange_count(const vb_exchange *x, const char *name); /* how often that header is there */
const char *vb_exchange_query(const vb_exchange *x, const char *name);  /* NULL: none */
const char *vb_exchange_body(const vb_exchange *x, size_t *len); /* a NUL follows */
int vb_exchange_answered(const vb_exchange *x);
int64_t vb_exchange_length(const vb_exchange *x); /* what Content-Length says, -1: not said */
/* In `admit`: the body is not gathered. take() gets its pieces on the connection's thread, keeps what it has room for and
 * returns how much that was; the rest comes again after vb_exchange_more. data NULL: that was all. The caller keeps the
 * exchange, `handle` is not called; once it is answered the rest of the body is dropped. gone(), perhaps twice: the client
 * sends no more, but take() may still get what it has sent. */
void vb_exchange_take_body(vb_exchange *x, size_t (*take)(void *ud, const char *data, size_t n), void (*gone)(void *ud),
                           void *ud);
void vb_exchange_more(vb_exchange *x); /* from any thread: there is room again */
void *vb_exchange_server(const vb_exchange *x); /* vb_http_opts.ud */
/* What a server knows about an exchange: which route it took (any pointer), how important it is. */
void vb_exchange_set_route(vb_exchange *x, const void *route);
const void *vb_exchange_route(const vb_exchange *x);
void vb_exchange_set_priority(vb_exchange *x, int priority);
int vb_exchange_priority(const vb_exchange *x); /* 0 unless set */
void vb_exchange_set_id(vb_exchange *x, const char *id); /* at most 31 characters */
const char *vb_exchange_id(const vb_exchange *x);        /* "" unless set */
void vb_exchange_set_deadline(vb_exchange *x, int64_t ns); /* CLOCK_MONOTONIC */
int64_t vb_exchange_deadline(const vb_exchange *x);      /* 0: none */
/* Of one that is over: its status (0: the client left before there was one), nanoseconds since its headers came. */
unsigned vb_exchange_status(const vb_exchange *x);
int64_t vb_exchange_age_ns(const vb_exchange *x);
int64_t vb_exchange_whole_ns(const vb_exchange *x); /* when the last byte of the request had come, CLOCK_MONOTONIC */

/* --- the answer; from any thread --- */
/* Adds a header to the answer, before it begins. */
void vb_exchange_set(vb_exchange *x, const char *name, const char *value);
/* The whole answer; takes a copy of the body. */
void vb_exchange_answer(vb_exchange *x, unsigned status, const char *type, const char *body, size_t len);
/* A stream: begins, any number of pieces, ends. */
void vb_exchange_begin(vb_exchange *x, unsigned status, const char *type);
void vb_exchange_write(vb_exchange *x, const char *data, size_t len);
void vb_exchange_end(vb_exchange *x);
/* Bytes written that the client has not taken yet: a slow reader. */
size_t vb_exchange_backlog(vb_exchange *x);
/* Calls gone(ud) when the client goes before the answer has ended, at once if it has gone already. From then on the
 * request's headers may be lost. `gone` must not use the exchange; when vb_exchange_answer or vb_exchange_end has returned,
 * it is over or will never come. */
void vb_exchange_on_gone(vb_exchange *x, void (*gone)(void *ud), void *ud);

#endif
