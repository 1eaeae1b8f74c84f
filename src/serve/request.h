/* request.h - the JSON of a request, read field by field.
 *
 * Each getter strikes its field from a list; what is left at the end was not understood and is told to the client. The
 * first thing that is wrong is kept as the request's fault and later ones are passed over, so that a route may read all
 * its fields and look once. Error texts are those that Ollama's clients know.
 */
#ifndef VB_SERVE_REQUEST_H
#define VB_SERVE_REQUEST_H
#include "serve/http.h"
#include "serve/text.h"

#include <jansson.h>

/* An answer that is an error. */
typedef struct {
    unsigned status; /* 0: nothing is wrong; VB_FAULT_LATER: the model is being loaded (vb_serve_later) */
    int retry_after; /* seconds; 0: not said */
    uint64_t load;   /* vb_hosts_ask's */
    char text[496];
} vb_fault;
enum { VB_FAULT_LATER = 1 };
void vb_fault_set(vb_fault *fault, unsigned status, const char *format, ...) __attribute__((format(printf, 3, 4)));

typedef struct vb_request {
    char path[96];  /* how errors call it: "GenerateRequest", "ChatRequest.options" */
    json_t *root;   /* an object */
    json_t *left;   /* its fields that nobody has asked for */
    json_t *ignored; /* names of those of its parts */
    vb_fault fault;
} vb_request;

/* From the exchange's body; 0: it has a fault. To be closed in either case. */
int vb_request_open(vb_request *r, vb_exchange *x, const char *type);
void vb_request_close(vb_request *r);
/* The object `key` as a request of its own; absent: an empty one. Joined back: its fault and unknown fields become r's. */
void vb_request_part(vb_request *part, vb_request *r, const char *key);
void vb_request_join(vb_request *r, vb_request *part);
/* Names of what was not understood, a JSON array to be freed; NULL: all was. */
char *vb_request_ignored(const vb_request *r);
/* The answer's "verbatim":{"ignored":[...]}, into an open object: such names (NULL: nothing is put), or r's. */
void vb_ignored_put(vb_out *out, const char *names);
void vb_request_put_ignored(const vb_request *r, vb_out *out);
/* A field that is known, but not heeded. */
void vb_request_ignore(vb_request *r, const char *key);

/* Absent and null give `otherwise`; numbers outside of the range are a fault of 400. */
const char *vb_request_string(vb_request *r, const char *key, const char *otherwise);
int vb_request_bool(vb_request *r, const char *key, int otherwise);
int64_t vb_request_int(vb_request *r, const char *key, int64_t otherwise, int64_t min, int64_t max);
double vb_request_number(vb_request *r, const char *key, double otherwise, double min, double max);
json_t *vb_request_list(vb_request *r, const char *key, const char *go_type); /* NULL: absent */
json_t *vb_request_any(vb_request *r, const char *key);                       /* NULL: absent */
/* "5m", "1h30m", or seconds as a number; below zero: for ever. VB_KEEP_DEFAULT: no such text. */
int64_t vb_keep_of(const char *text);
/* Seconds, or text as "5m", "1h30m"; below zero: for ever. VB_KEEP_DEFAULT: absent. */
int64_t vb_request_keep(vb_request *r, const char *key);
/* `value`, found at `key`, is not of this type: the fault that Go's decoder would tell. */
void vb_request_mistyped(vb_request *r, const char *key, const json_t *value, const char *go_type);

#endif
