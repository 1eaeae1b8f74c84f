/* serve.h - the server as a whole, and what its routes share.
 *
 *   http.h --exchange--> serve.c: guard, route --> ollama_*.c, openai_*.c, native_*.c --job--> scheduler.h
 *
 * A route reads its request, answers, or keeps the exchange and submits jobs whose events write the answer.
 */
#ifndef VB_SERVE_SERVE_H
#define VB_SERVE_SERVE_H
#include "serve/http.h"
#include "serve/scheduler.h"
#include "serve/text.h"

#include <jansson.h>

typedef struct vb_serve {
    vb_http *http;
    vb_hosts *hosts;
    vb_scheduler *scheduler;
} vb_serve;

typedef struct {
    const char *method;
    const char *path; /* "/api/blobs/" followed by anything, if it ends with a slash (but for "/" itself) */
    void (*handle)(vb_serve *s, vb_exchange *x);
} vb_route;
/* Each API's routes, ended by a row of NULLs. */
extern const vb_route vb_ollama_routes[], vb_openai_routes[], vb_native_routes[];

typedef struct {
    vb_http_opts http;
    vb_hosts_opts hosts;
    vb_scheduler_opts scheduler;
    size_t body_most; /* bytes; 0: 4 MiB */
} vb_serve_opts;

vb_status vb_serve_open(vb_serve **out, const vb_serve_opts *opts, vb_err *err);
/* No new connections; what runs may end within `ns`, then it is cancelled. */
void vb_serve_close(vb_serve *s, int64_t ns);

#define VB_JSON_TYPE "application/json; charset=utf-8"
/* Answers with what was written, which is freed. */
void vb_serve_json(vb_exchange *x, unsigned status, vb_out *out);

#endif
