/* store.h - where models live: an Ollama store (read only) and verbatim's own data directory.
 *
 *   $OLLAMA_MODELS | ~/.ollama/models
 *     manifests/<host>/<namespace>/<model>/<tag>    JSON: layers[] of {mediaType, digest, size}
 *     blobs/sha256-<64 hex digits>
 *   $VERBATIM_MODELS | <data directory>/models
 *     the same layout, and NAME.gguf files, known as NAME; smollm2.gguf is the small model that `make run` fetches
 *
 * Invariant: nothing but a digest of the strict pattern sha256:<64 hex> is ever joined to a blob path, and no name
 * part with a slash, a leading dot or a control character to a manifest path.
 */
#ifndef VB_FILE_STORE_H
#define VB_FILE_STORE_H
#include "base/err.h"

typedef struct {
    char *path;      /* the GGUF file to open, or what names the model inside the library */
    const uint8_t *data; /* that model's bytes; NULL: it is a file */
    uint64_t size;
    char *template_; /* template layer (in Go's language), system text and parameters; NULL: none */
    char *system;
    char *params;    /* JSON */
    char *messages;  /* JSON, [{role, content}]: how a conversation begins */
    char *license;
    int rendered;    /* 1: Ollama has a renderer for it built in, the template is a stand-in */
    char *projector; /* path of the vision/audio tower */
} vb_located;

/* MODEL to a file: an existing path wins; then name[:tag] in the stores; then "tales-1m", which the library brings along.
 * VB_MODEL_EMBEDDED means that one and no other. Free with vb_located_free. */
vb_status vb_store_locate(vb_located *out, const char *model, vb_err *err);
/* The first stored model whose weights have this digest, or whose file hashes to it; VB_E_NOT_FOUND if none. */
vb_status vb_store_by_sha256(vb_located *out, const uint8_t sha256[32], vb_err *err);
void vb_located_free(vb_located *located);

/* SHA-256 over the bytes of `n` files in order, remembered in the cache directory by device, inode, size and mtime;
 * an unusable cache costs time, never correctness. */
vb_status vb_file_sha256(const char *const *paths, int n, uint8_t out[32], vb_err *err);
/* The same of files that are open, whatever has become of their names, which stand in messages. Watched, if not NULL:
 * `go_on` hears how many bytes have been read now and then, and ends it by returning 0 (VB_E_STOPPED). What is remembered
 * is not read. */
typedef struct {
    const char *path;
    int fd;
} vb_open_file;
typedef struct {
    int (*go_on)(void *ud, uint64_t done);
    void *ud;
} vb_reading;
vb_status vb_open_files_sha256(const vb_open_file *files, int n, const vb_reading *watch, uint8_t out[32], vb_err *err);

#endif
