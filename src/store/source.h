/* source.h - what a name means now: our own manifest, our own file, or a model of a store that is only read; and what is
 * done with names that needs to know. */
#ifndef VB_STORE_SOURCE_H
#define VB_STORE_SOURCE_H
#include "store/store.h"

typedef enum {
    VB_ORIGIN_OWN,  /* a manifest of our own store */
    VB_ORIGIN_FILE, /* NAME.gguf right in its directory */
    VB_ORIGIN_OTHER /* a manifest of another store */
} vb_origin_kind;

typedef struct {
    vb_origin_kind kind;
    vb_ref ref;
    char path[4608]; /* of the weights; "": not known */
    vb_store *other; /* VB_ORIGIN_OTHER: the store that has it */
} vb_origin;

/* The model that a request for this name would get. VB_E_NOT_FOUND; VB_E_ARGUMENT: no such name can be. */
vb_status vb_origin_find(vb_origin *out, const vb_store *own, const char *name, vb_err *err);
void vb_origin_close(vb_origin *source);

/* Another name for the same model, in our own store; blobs of another store are copied. */
vb_status vb_origin_copy(vb_store *own, const char *from, const char *to, const vb_listener *listener, vb_err *err);
/* The name goes, and with it what no other name needs. VB_E_UNSUPPORTED: it is in a store that is only read. */
vb_status vb_origin_remove(vb_store *own, const char *name, vb_err *err);
/* Fails if a file of that name would hide a manifest of that name. */
vb_status vb_origin_hidden(const vb_store *own, const vb_ref *ref, vb_err *err);

#endif
