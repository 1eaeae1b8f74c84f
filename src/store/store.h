/* store.h - our own store of models, the one that is written: names, blobs, manifests in Ollama's layout.
 *
 *   DIR                             $VERBATIM_MODELS | <data directory>/models
 *     manifests/HOST/SPACE/MODEL/TAG  JSON: config and layers[], each {mediaType, digest, size}
 *     blobs/sha256-HEX                named by what is in it
 *     blobs/sha256-HEX-partial        a download that will go on
 *     .../.new-XXXXXX                 a blob or manifest that is being written, beside its place
 *
 * Invariants: a file appears under its name whole, proven and on disk, or not at all. A manifest is only written when
 * every blob it names is there in its size, and a blob is only removed when no manifest names it; both happen under one
 * lock, which holds between processes too. Names and digests reach a path only by strict patterns, and each step of a
 * path is opened by itself without following links.
 */
#ifndef VB_STORE_STORE_H
#define VB_STORE_STORE_H
#include "verbatim.h"

typedef struct vb_store vb_store;

/* dir NULL: as above; made if it is not there. */
vb_status vb_store_open(vb_store **out, const char *dir, vb_err *err);
/* Somebody else's, which is only read: every call that writes fails. */
vb_status vb_store_open_readonly(vb_store **out, const char *dir, vb_err *err);
void vb_store_close(vb_store *store);
const char *vb_store_dir(const vb_store *store);
uint64_t vb_store_free_bytes(const vb_store *store); /* of its disk, for us */

/* --- progress, as clients are told about it --- */
typedef struct {
    const char *status; /* "using existing layer sha256:..." */
    const char *digest; /* "sha256:..."; NULL: not about one layer */
    uint64_t total, completed;
} vb_progress;
typedef struct {
    int (*fn)(void *ud, const vb_progress *p); /* not 0: stop (VB_E_STOPPED); NULL: nobody listens */
    void *ud;
} vb_listener;
vb_status vb_tell(const vb_listener *to, const vb_progress *p, vb_err *err); /* `to` may be NULL */

/* --- names and digests: strict patterns, no path --- */
typedef struct {
    char host[256], space[81], model[81], tag[81]; /* [A-Za-z0-9_][A-Za-z0-9_.-]*, a host with colons, a space without dots */
} vb_ref;
/* [host/][space/]model[:tag], the rest filled with Ollama's defaults; 0: not such a name. */
int vb_ref_parse(vb_ref *out, const char *text);
/* The shortest text that parses to it, with its tag. */
void vb_ref_text(const vb_ref *ref, char *buf, size_t cap);
int vb_ref_same(const vb_ref *a, const vb_ref *b);
/* "sha256:HEX" or "sha256-HEX" to 64 lower-case digits; 0: not such a digest. */
int vb_digest_parse(char hex[65], const char *text);

/* --- blobs --- */
int64_t vb_store_blob_size(const vb_store *store, const char *hex);            /* -1: it is not there */
void vb_store_blob_path(const vb_store *store, const char *hex, char *buf, size_t cap); /* to be opened, not written */

/* One that is being written; nobody sees it before vb_blob_end. */
typedef struct vb_blob vb_blob;
/* hex NULL: whatever it turns out to be. Nothing stays behind of one that is dropped or whose writer is killed. */
vb_status vb_blob_begin(vb_blob **out, vb_store *store, const char *hex, vb_err *err);
/* A download, which is kept when it is dropped or killed. *have: the bytes that are there already; they are read once, so
 * that the digest is proven over all. VB_OK and *out NULL: another process or thread has it, or the blob is whole by now. */
vb_status vb_blob_resume(vb_blob **out, vb_store *store, const char *hex, uint64_t *have, vb_err *err);
vb_status vb_blob_restart(vb_blob *blob, vb_err *err); /* from its first byte */
vb_status vb_blob_add(vb_blob *blob, const void *data, size_t len, vb_err *err);
/* Takes the blob: on disk and in its place, or gone. VB_E_DIFFERS: another digest than was said, `found` has it; what was
 * written is removed, a kept download too. found and bytes may be NULL. */
vb_status vb_blob_end(vb_blob *blob, char found[65], uint64_t *bytes, vb_err *err);
void vb_blob_drop(vb_blob *blob); /* accepts NULL */
/* A whole file, unless the store has its blob; `to` hears about its bytes. hex: what it must be; "": any, filled in. */
vb_status vb_blob_import(vb_store *store, const char *path, char hex[65], uint64_t *bytes, const vb_listener *to,
                         vb_err *err);
/* A small text. */
vb_status vb_blob_of(vb_store *store, const void *data, size_t len, char hex[65], vb_err *err);

/* --- manifests --- */
enum { VB_LAYERS_MOST = 64 };
#define VB_MEDIA_KIND "application/vnd.ollama.image."
#define VB_MEDIA_CONFIG "application/vnd.docker.container.image.v1+json"
#define VB_MEDIA_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
typedef struct {
    char media[96];
    char hex[65];
    uint64_t bytes;
    char from[400]; /* the name it came from; "": not said */
    int made;       /* 1: it was not there before (not of the manifest; what progress says) */
} vb_layer;
typedef struct {
    vb_layer config; /* hex "": none */
    vb_layer layers[VB_LAYERS_MOST];
    int n;
} vb_image;
/* `name` is for messages. */
vb_status vb_image_parse(vb_image *out, const char *json, size_t len, const char *name, vb_err *err);
/* As text, to be freed; the bytes that Ollama would write. NULL: out of memory. */
char *vb_image_text(const vb_image *image, size_t *len);
vb_status vb_image_read(vb_image *out, const vb_store *store, const vb_ref *ref, vb_err *err); /* VB_E_NOT_FOUND */
vb_status vb_image_bytes(const vb_store *store, const vb_ref *ref, char **text, size_t *len, vb_err *err); /* to be freed */
/* These very bytes become the manifest of that name, in one step. VB_E_NOT_FOUND: a blob is missing. What only the manifest
 * before it named is removed. */
vb_status vb_store_put(vb_store *store, const vb_ref *ref, const char *json, size_t len, vb_err *err);
/* VB_E_NOT_FOUND: no such name. */
vb_status vb_store_remove(vb_store *store, const vb_ref *ref, vb_err *err);

#endif
