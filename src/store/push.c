/* push.c - a model of our store, or of one that is only read, to a registry.
 *
 *   HEAD blob: there? --no--> begin --> pieces of 64 MiB --> commit by digest      last of all the manifest
 *
 * After a break the registry is asked how far the upload came; what it has lost is sent again.
 */
#include "store/source.h"
#include "store/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 64 << 20 };

typedef struct {
    vb_carrying c;
    const vb_store *own, *store; /* `store` holds the model */
    vb_origin source;
    vb_sending upload;
    int fd; /* of the layer at work */
    vb_image image;
} pushing;

static size_t give(void *ud, uint64_t at, char *to, size_t most)
{
    pushing *p = ud;
    vb_carrying *c = &p->c;
    ssize_t n = pread(p->fd, to, most, (off_t)at);
    if (n <= 0) {
        c->why.code = vb_fail(&c->why, VB_E_IO, "sha256:%s: expected a byte at %llu, found: %s", c->layer->hex,
                              (unsigned long long)at, n < 0 ? strerror(errno) : "the end");
        return 0;
    }
    c->done = at + (uint64_t)n;
    c->why.code = vb_carry_tell_layer(c, 0, &c->why);
    return c->why.code == VB_OK ? (size_t)n : 0;
}

/* All that is left, in pieces; *at says how far it came. */
static vb_status send_rest(pushing *p, uint64_t *at, vb_err *err)
{
    uint64_t end = p->c.layer->bytes;
    while (*at < end) {
        uint64_t to = end - *at < PIECE ? end : *at + PIECE;
        VB_TRY(vb_sending_part(p->c.registry, &p->upload, *at, to, (vb_supply){give, p}, err));
        *at = to;
    }
    return vb_sending_commit(p->c.registry, &p->upload, p->c.layer->hex, err);
}

static vb_status send_layer(pushing *p, vb_err *err)
{
    vb_carrying *c = &p->c;
    uint64_t at = 0, before = 0;
    vb_status status = vb_sending_begin(c->registry, &p->upload, err);
    for (;;) {
        if (status == VB_OK) status = send_rest(p, &at, err);
        if (status == VB_OK) return VB_OK;
        c->done = at;
        VB_TRY(vb_carry_again(c, status, before, err));
        before = at;
        status = p->upload.url[0] != '\0' ? vb_sending_resume(c->registry, &p->upload, &at, err)
                                          : vb_sending_begin(c->registry, &p->upload, err);
    }
}

static vb_status open_layer(pushing *p, vb_err *err)
{
    char path[4300];
    vb_store_blob_path(p->store, p->c.layer->hex, path, sizeof path);
    p->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (p->fd < 0 || vb_store_blob_size(p->store, p->c.layer->hex) != (int64_t)p->c.layer->bytes)
        VB_FAIL(err, VB_E_IO, "%s: expected %llu bytes, found: %s", path, (unsigned long long)p->c.layer->bytes,
                p->fd < 0 ? strerror(errno) : "another number");
    return VB_OK;
}

static void close_layer(pushing *p)
{
    if (p->fd >= 0) close(p->fd);
    p->fd = -1;
}

static vb_status put_layer(pushing *p, const vb_layer *l, vb_err *err)
{
    vb_carrying *c = &p->c;
    int there = 0;
    c->layer = l;
    c->done = 0;
    c->vain = 0;
    vb_status status = vb_registry_has(c->registry, l->hex, &there, err);
    c->t->remote = status < 0;
    VB_TRY(status);
    if (!there) {
        p->upload.url[0] = '\0';
        VB_TRY(vb_carry_tell_layer(c, 1, err));
        VB_TRY(open_layer(p, err));
        VB_TRY(send_layer(p, err));
        close_layer(p);
    }
    c->done = l->bytes;
    return vb_carry_tell_layer(c, 1, err);
}

/* Where on this machine a layer came from is nobody's business. */
static void forget_paths(vb_image *image)
{
    for (int i = 0; i < image->n; i++)
        if (image->layers[i].from[0] == '/') image->layers[i].from[0] = '\0';
    if (image->config.from[0] == '/') image->config.from[0] = '\0';
}

static vb_status put_manifest(pushing *p, vb_err *err)
{
    size_t len;
    forget_paths(&p->image);
    char *json = vb_image_text(&p->image, &len);
    if (json == NULL) VB_FAIL(err, VB_E_MEMORY, "out of memory");
    vb_status status = vb_carry_tell(&p->c, "pushing manifest", err);
    if (status == VB_OK) {
        status = vb_registry_put_manifest(p->c.registry, p->c.ref.tag, json, len, err);
        p->c.t->remote = status < 0;
    }
    free(json);
    return status;
}

static vb_status find_model(pushing *p, const char *name, vb_err *err)
{
    VB_TRY(vb_origin_find(&p->source, p->own, name, err));
    if (p->source.kind == VB_ORIGIN_FILE)
        VB_FAIL(err, VB_E_UNSUPPORTED, "%.300s: expected a model with a manifest, found a file; create makes one of it", name);
    p->store = p->source.other != NULL ? p->source.other : p->own;
    return vb_image_read(&p->image, p->store, &p->c.ref, err);
}

static vb_status push(pushing *p, vb_err *err)
{
    const vb_layer *l;
    char name[512];
    vb_ref_text(&p->c.ref, name, sizeof name);
    VB_TRY(vb_carry_tell(&p->c, "retrieving manifest", err));
    vb_status status = find_model(p, name, err);
    if (status < 0) vb_carry_tell(&p->c, "couldn't retrieve manifest", NULL);
    VB_TRY(status);
    for (int i = 0; (l = vb_carry_layer(&p->image, i)) != NULL; i++) VB_TRY(put_layer(p, l, err));
    VB_TRY(put_manifest(p, err));
    return vb_carry_tell(&p->c, "success", err);
}

vb_status vb_store_push(const vb_store *store, const char *name, vb_transfer *t, vb_err *err)
{
    pushing *p = calloc(1, sizeof *p);
    if (p == NULL) VB_FAIL(err, VB_E_MEMORY, "out of memory");
    p->own = store;
    p->fd = -1;
    vb_status status = vb_carry_open(&p->c, t, name, "pushing", err);
    if (status == VB_OK) status = push(p, err);
    close_layer(p);
    vb_origin_close(&p->source);
    vb_carry_close(&p->c);
    free(p);
    return status;
}
