/* registry.h - one repository of a registry, as the Docker Registry HTTP API (version 2) has it.
 *
 *   GET  /v2/<namespace>/<model>/manifests/<tag>         PUT: the same place
 *   GET  /v2/<namespace>/<model>/blobs/<digest>          HEAD: is it there?
 *   POST /v2/<namespace>/<model>/blobs/uploads/ -> Location -> PATCH pieces -> PUT ?digest=
 *
 * A registry that answers 401 with a bearer challenge is asked for a token once, at its own host alone, and the request is
 * made again. https; http only for this machine or where the caller says so.
 */
#ifndef VB_STORE_REGISTRY_H
#define VB_STORE_REGISTRY_H
#include "store/fetch.h"

typedef struct vb_registry vb_registry;

typedef struct {
    const char *host;       /* host or host:port */
    const char *repository; /* namespace/model */
    int insecure;           /* http with other machines too */
    int netrc;              /* names and passwords of ~/.netrc */
    vb_stop stop;
} vb_registry_opts;

/* 1: "127.x.x.x" or "localhost", with or without a port. */
int vb_registry_is_local(const char *host);
vb_status vb_registry_open(vb_registry **out, const vb_registry_opts *opts, vb_err *err);
void vb_registry_close(vb_registry *r);

/* Of the failure that came last: the same request may do better later (a broken way, a server in trouble). */
int vb_registry_passing(const vb_registry *r);

/* malloc'd, a NUL behind; VB_E_NOT_FOUND: the registry has no such model. */
vb_status vb_registry_manifest(vb_registry *r, const char *tag, char **json, size_t *len, vb_err *err);
vb_status vb_registry_put_manifest(vb_registry *r, const char *tag, const char *json, size_t len, vb_err *err);

/* Bytes of the blob sha256:<hex> from `from` on, or from 0 if the registry knows no ranges: `take` gets each piece with its
 * place, and returns 0 to end it. */
typedef struct {
    int (*take)(void *ud, uint64_t at, const char *data, size_t len);
    void *ud;
} vb_sink;
vb_status vb_registry_blob(vb_registry *r, const char *hex, uint64_t from, vb_sink sink, vb_err *err);

vb_status vb_registry_has(vb_registry *r, const char *hex, int *there, vb_err *err);

/* An upload: begins, gets the bytes in order, and is committed by the digest of all of them. After a passing failure
 * `resume` asks how far it came (*at; 0 and a new upload if the registry has forgotten it). */
typedef struct {
    char url[4096];
} vb_sending;
typedef struct {
    size_t (*give)(void *ud, uint64_t at, char *to, size_t most); /* `at` counts from the blob's beginning */
    void *ud;
} vb_supply;
vb_status vb_sending_begin(vb_registry *r, vb_sending *u, vb_err *err);
vb_status vb_sending_part(vb_registry *r, vb_sending *u, uint64_t from, uint64_t to, vb_supply supply, vb_err *err);
vb_status vb_sending_resume(vb_registry *r, vb_sending *u, uint64_t *at, vb_err *err);
vb_status vb_sending_commit(vb_registry *r, vb_sending *u, const char *hex, vb_err *err);

#endif
