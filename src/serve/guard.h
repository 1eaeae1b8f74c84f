/* guard.h - who may ask: keys, the names the server goes by, and pages of other origins. */
#ifndef VB_SERVE_GUARD_H
#define VB_SERVE_GUARD_H
#include "serve/http.h"
#include "serve/listen.h"

typedef struct {
    const char *key_file;       /* NULL: no key is needed */
    const char *const *origins; /* pages that may ask, "https://page.example" or "*"; must live as long as the guard */
    int n_origins;
    const char *host;           /* a name the server goes by besides this machine's own; NULL: none */
} vb_guard_opts;

typedef struct vb_guard vb_guard;
vb_status vb_guard_open(vb_guard **out, const vb_guard_opts *opts, vb_err *err);
void vb_guard_close(vb_guard *g);
int vb_guard_has_keys(const vb_guard *g);
void vb_guard_set_reach(vb_guard *g, vb_reach reach); /* before the first request */
/* 1: may ask, the exchange has the priority of its key. 0: the guard has answered. */
int vb_guard_admits(const vb_guard *g, vb_exchange *x);
/* NULL: a body that is safe to parse; else what is wrong with it: nesting or number of values. */
const char *vb_guard_shape(const char *json, size_t len);

#endif
