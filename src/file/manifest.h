/* manifest.h - one stored model of a store in Ollama's layout: its name, its manifest, its blobs. */
#ifndef VB_FILE_MANIFEST_H
#define VB_FILE_MANIFEST_H
#include "file/store.h"

/* A store's directory. Nothing below it is reached but by openat without following links. */
typedef struct {
    const char *label; /* "ollama" or "verbatim" */
    char dir[4096];
    int fd; /* -1: there is no such directory */
} vb_store_root;

enum { VB_NAME_HOST, VB_NAME_SPACE, VB_NAME_MODEL, VB_NAME_TAG, VB_NAME_PARTS };
typedef struct {
    char part[VB_NAME_PARTS][256];
} vb_store_name;

/* 1: a part that may become a directory's or a file's name: no slash, control character or leading dot. */
int vb_name_part_valid(const char *part, size_t len);
/* [host/][namespace/]model[:tag], the rest filled with Ollama's defaults; 0: not such a name. */
int vb_name_parse(vb_store_name *out, const char *text);
/* The shortest text that parses to this name, tag included. */
void vb_name_text(const vb_store_name *name, char *buf, size_t cap);

enum { VB_LAYER_MODEL, VB_LAYER_TEMPLATE, VB_LAYER_SYSTEM, VB_LAYER_PARAMS, VB_LAYER_PROJECTOR,
       VB_LAYER_MESSAGES, VB_LAYER_LICENSE, VB_LAYER_CONFIG, VB_LAYERS };
typedef struct {
    struct {
        char hex[65]; /* SHA-256; empty: no such layer */
        uint64_t bytes;
    } layer[VB_LAYERS]; /* the model's is always there */
    uint8_t sha256[32]; /* of the manifest itself */
    int64_t changed_ns; /* when it was written, since 1970 */
    char path[5200];    /* of the manifest, for messages */
} vb_manifest;

vb_status vb_manifest_read(vb_manifest *out, const vb_store_root *root, const vb_store_name *name, vb_err *err);
/* Checks that the blobs are there in their stated sizes and reads the texts among them. */
vb_status vb_manifest_locate(vb_located *out, const vb_store_root *root, const vb_manifest *m, vb_err *err);

#endif
