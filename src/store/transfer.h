/* transfer.h - models to and from a registry, layer by layer.
 *
 *   pull   manifest --> room on the disk? --> layers that are not there, each proven while it is written --> manifest
 *   push   layers that the registry does not have --> manifest
 *
 * A way that breaks is tried again, from where it broke, as long as each attempt gets further; seven in vain are enough. What
 * was fetched stays in blobs/sha256-HEX-partial however the transfer ends, but for a digest that is not the one promised.
 * Invariant: a model appears under its name when all of it is there, and not before.
 */
#ifndef VB_STORE_TRANSFER_H
#define VB_STORE_TRANSFER_H
#include "store/registry.h"
#include "store/store.h"

/* What a pull is about to do, known before the first layer is fetched. */
typedef struct {
    uint64_t total, missing; /* bytes of all layers, of those to fetch */
    uint64_t weights;        /* bytes of the model among them: what it takes of memory at least */
    uint64_t free;           /* bytes of the store's disk */
} vb_plan_of_pull;

typedef struct {
    int insecure; /* http with other machines too */
    int netrc;    /* a person's own: names and passwords of ~/.netrc */
    vb_stop stop;
    vb_listener to;
    void (*plan)(void *ud, const vb_plan_of_pull *plan); /* NULL: nobody wants to know */
    int remote;  /* out, of a failure: it is the registry's, or of the way to it */
    int changed; /* out: the name means another model than before */
} vb_transfer;

/* `name` may begin with https:// or http://, the latter only for this machine or if insecure. */
vb_status vb_store_pull(vb_store *store, const char *name, vb_transfer *t, vb_err *err);
vb_status vb_store_push(const vb_store *store, const char *name, vb_transfer *t, vb_err *err);

/* Downloads that are not complete: how many, and the bytes that are there. */
int vb_store_partial(const vb_store *store, uint64_t *bytes);

/* --- what both are made of ------------------------------------------------------------------------------- */

typedef struct {
    vb_transfer *t;
    vb_registry *registry;
    vb_ref ref;
    const vb_layer *layer; /* at work */
    const char *verb;      /* "pulling" */
    uint64_t done;         /* its bytes that are there */
    uint64_t told_ns;
    int vain;              /* attempts that got no further */
    vb_err why;            /* what went wrong at our end */
} vb_carrying;

vb_status vb_carry_open(vb_carrying *c, vb_transfer *t, const char *name, const char *verb, vb_err *err);
void vb_carry_close(vb_carrying *c);
vb_status vb_carry_tell(const vb_carrying *c, const char *status, vb_err *err);
/* How far the layer is; at most every 60 ms unless `now`. */
vb_status vb_carry_tell_layer(vb_carrying *c, int now, vb_err *err);
vb_status vb_carry_wait(const vb_carrying *c, vb_err *err); /* a moment, for somebody else */
/* An attempt failed with `status` when `before` bytes were there at its beginning: VB_OK after a pause, if another one may
 * help; else what to fail with. */
vb_status vb_carry_again(vb_carrying *c, vb_status status, uint64_t before, vb_err *err);
/* The image's layers and, as the last one, its config; NULL: there are no more. */
const vb_layer *vb_carry_layer(const vb_image *image, int i);

#endif
