/* pull.c - a model from a registry into our store.
 *
 * Weights that a store which is only read has, Ollama's, are copied and proven instead of fetched.
 *
 *   blobs/sha256-HEX-partial  <-- bytes from where it ends; a registry without ranges begins again --> proven --> sha256-HEX
 */
#include "store/source.h"
#include "store/transfer.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    vb_carrying c;
    vb_store *store;
    vb_blob *blob; /* of the layer at work */
    char *manifest;
    size_t len;
    vb_image image;
} pulling;

/* --- room ------------------------------------------------------------------------------------------------ */

/* Bytes of a layer that are on the disk already, whole or of an earlier attempt. */
static uint64_t bytes_there(const pulling *p, const vb_layer *l)
{
    char path[4300], partial[4320];
    struct stat st;
    if (vb_store_blob_size(p->store, l->hex) >= 0) return l->bytes;
    vb_store_blob_path(p->store, l->hex, path, sizeof path);
    snprintf(partial, sizeof partial, "%s-partial", path);
    if (lstat(partial, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > l->bytes) return 0;
    return (uint64_t)st.st_size;
}

static int named_before(const vb_image *image, int i)
{
    for (int k = 0; k < i; k++)
        if (strcmp(vb_carry_layer(image, k)->hex, vb_carry_layer(image, i)->hex) == 0) return 1;
    return 0;
}

static void put_size(char *buf, size_t cap, uint64_t bytes)
{
    const char *units = "KMGTPE";
    double value = (double)bytes / 1024;
    for (; value >= 1024 && units[1] != '\0'; units++) value /= 1024;
    snprintf(buf, cap, "%.1f %ciB", value, *units);
}

static vb_status find_room(pulling *p, vb_err *err)
{
    vb_plan_of_pull plan = {.free = vb_store_free_bytes(p->store)};
    char need[32], free_[32];
    const vb_layer *l;
    for (int i = 0; (l = vb_carry_layer(&p->image, i)) != NULL; i++) {
        uint64_t missing = l->bytes - bytes_there(p, l);
        if (named_before(&p->image, i)) continue;
        if (strcmp(l->media, VB_MEDIA_KIND "model") == 0) plan.weights += l->bytes;
        if (__builtin_add_overflow(plan.total, l->bytes, &plan.total) ||
            __builtin_add_overflow(plan.missing, missing, &plan.missing))
            VB_FAIL(err, VB_E_FORMAT, "manifest: expected sizes of layers, found %llu", (unsigned long long)l->bytes);
    }
    if (p->c.t->plan != NULL) p->c.t->plan(p->c.t->to.ud, &plan);
    if (plan.missing <= plan.free) return VB_OK;
    put_size(need, sizeof need, plan.missing);
    put_size(free_, sizeof free_, plan.free);
    VB_FAIL(err, VB_E_IO, "%s: expected room for %s, found %s free", vb_store_dir(p->store), need, free_);
}

/* --- one layer ------------------------------------------------------------------------------------------- */

static vb_status write_piece(pulling *p, uint64_t at, const char *data, size_t len, vb_err *err)
{
    vb_carrying *c = &p->c;
    if (at == 0 && c->done > 0) {
        VB_TRY(vb_blob_restart(p->blob, err));
        c->done = 0;
    }
    if (at != c->done)
        VB_FAIL(err, VB_E_FORMAT, "sha256:%s: expected byte %llu, found byte %llu", c->layer->hex,
                (unsigned long long)c->done, (unsigned long long)at);
    if (len > c->layer->bytes - c->done)
        VB_FAIL(err, VB_E_FORMAT, "sha256:%s: expected %llu bytes, found more", c->layer->hex,
                (unsigned long long)c->layer->bytes);
    VB_TRY(vb_blob_add(p->blob, data, len, err));
    c->done += len;
    return vb_carry_tell_layer(c, 0, err);
}

static int take(void *ud, uint64_t at, const char *data, size_t len)
{
    pulling *p = ud;
    vb_status status = write_piece(p, at, data, len, &p->c.why);
    p->c.why.code = status;
    return status == VB_OK;
}

/* Until all its bytes are there. */
static vb_status fetch_rest(pulling *p, vb_err *err)
{
    vb_carrying *c = &p->c;
    vb_sink sink = {take, p};
    while (c->done < c->layer->bytes) {
        uint64_t before = c->done;
        vb_status status = vb_registry_blob(c->registry, c->layer->hex, c->done, sink, err);
        if (status == VB_OK && c->done == before)
            status = vb_fail(err, VB_E_FORMAT, "sha256:%s: expected %llu bytes, found %llu", c->layer->hex,
                             (unsigned long long)c->layer->bytes, (unsigned long long)c->done);
        if (status < 0) VB_TRY(vb_carry_again(c, status, before, err));
    }
    return VB_OK;
}

static vb_status prove(pulling *p, vb_err *err)
{
    char found[65] = "";
    vb_status status = vb_blob_end(p->blob, found, NULL, err);
    p->blob = NULL;
    p->c.t->remote = status == VB_E_DIFFERS;
    if (status == VB_E_DIFFERS)
        VB_FAIL(err, status, "digest mismatch, file must be downloaded again: want sha256:%s, got sha256:%s", p->c.layer->hex,
                found);
    return status;
}

static vb_status fetch_layer(pulling *p, vb_err *err)
{
    vb_carrying *c = &p->c;
    c->vain = 0;
    if (c->done > c->layer->bytes) {
        VB_TRY(vb_blob_restart(p->blob, err));
        c->done = 0;
    }
    VB_TRY(vb_carry_tell_layer(c, 1, err));
    VB_TRY(fetch_rest(p, err));
    VB_TRY(prove(p, err));
    return vb_carry_tell_layer(c, 1, err);
}

/* Takes the layer's download over; while somebody else has it, tells how far they are. *there: it is whole already. */
static vb_status take_over(pulling *p, int *there, vb_err *err)
{
    vb_carrying *c = &p->c;
    for (;;) {
        *there = vb_store_blob_size(p->store, c->layer->hex) >= 0;
        if (!*there) VB_TRY(vb_blob_resume(&p->blob, p->store, c->layer->hex, &c->done, err));
        if (*there || p->blob != NULL) return VB_OK;
        c->done = bytes_there(p, c->layer);
        VB_TRY(vb_carry_tell_layer(c, 0, err));
        VB_TRY(vb_carry_wait(c, err));
    }
}

/* --- what another store of this machine has --- */

typedef struct {
    const char *hex;
    char path[4608];
} neighbour;

static int look(void *ud, const vb_store_entry *e)
{
    neighbour *n = ud;
    char file[96];
    size_t len = (size_t)snprintf(file, sizeof file, "/blobs/sha256-%.64s", n->hex), end = strlen(e->path);
    if (end < len || end >= sizeof n->path || strcmp(e->path + end - len, file) != 0) return 0;
    memcpy(n->path, e->path, end + 1);
    return 1;
}

static int hear_copying(void *ud, const vb_progress *copied)
{
    pulling *p = ud;
    p->c.done = copied->completed;
    return vb_stopped(&p->c.t->stop) || vb_carry_tell_layer(&p->c, 0, NULL) < 0;
}

/* *there: it was copied; else it is to be fetched, also where copying failed. */
static vb_status copy_layer(pulling *p, int *there, vb_err *err)
{
    neighbour n = {.hex = p->c.layer->hex};
    char hex[65];
    uint64_t bytes;
    struct stat st;
    memcpy(hex, n.hex, sizeof hex);
    *there = 0;
    vb_store_list(look, &n, NULL);
    if (n.path[0] == '\0' || stat(n.path, &st) != 0 || (uint64_t)st.st_size != p->c.layer->bytes) return VB_OK;
    vb_status status = vb_blob_import(p->store, n.path, hex, &bytes, &(vb_listener){hear_copying, p}, NULL);
    *there = status == VB_OK;
    p->c.done = 0;
    if (status == VB_E_STOPPED) VB_FAIL(err, VB_E_STOPPED, "stopped");
    return VB_OK;
}

static vb_status get_layer(pulling *p, const vb_layer *l, vb_err *err)
{
    int there = vb_store_blob_size(p->store, l->hex) >= 0;
    p->c.layer = l;
    p->c.done = 0;
    if (!there && bytes_there(p, l) == 0) VB_TRY(copy_layer(p, &there, err));
    if (!there) VB_TRY(take_over(p, &there, err));
    if (!there) return fetch_layer(p, err);
    int64_t bytes = vb_store_blob_size(p->store, l->hex);
    if (bytes != (int64_t)l->bytes)
        VB_FAIL(err, VB_E_FORMAT, "sha256:%s: the manifest says %llu bytes, and it has %lld", l->hex,
                (unsigned long long)l->bytes, (long long)bytes);
    p->c.done = l->bytes;
    return vb_carry_tell_layer(&p->c, 1, err);
}

/* --- the model ------------------------------------------------------------------------------------------- */

static vb_status get_manifest(pulling *p, vb_err *err)
{
    vb_err why = {0};
    char name[512];
    vb_ref_text(&p->c.ref, name, sizeof name);
    VB_TRY(vb_carry_tell(&p->c, "pulling manifest", err));
    vb_status status = vb_registry_manifest(p->c.registry, p->c.ref.tag, &p->manifest, &p->len, &why);
    p->c.t->remote = status < 0;
    if (status < 0) VB_FAIL(err, status, "pull model manifest: %.480s", why.text);
    status = vb_image_parse(&p->image, p->manifest, p->len, name, err);
    p->c.t->remote = status < 0;
    return status;
}

/* A layer of `one` that `other` does not name. */
static int has_more(const vb_image *one, const vb_image *other)
{
    const vb_layer *mine, *theirs;
    for (int i = 0; (mine = vb_carry_layer(one, i)) != NULL; i++) {
        int named = 0;
        for (int k = 0; (theirs = vb_carry_layer(other, k)) != NULL; k++) named |= strcmp(theirs->hex, mine->hex) == 0;
        if (!named) return 1;
    }
    return 0;
}

static vb_status put_model(pulling *p, vb_err *err)
{
    vb_image *before = calloc(1, sizeof *before);
    if (before == NULL) VB_FAIL(err, VB_E_MEMORY, "out of memory");
    int known = vb_image_read(before, p->store, &p->c.ref, NULL) == VB_OK, leaves = known && has_more(before, &p->image);
    p->c.t->changed = !known || leaves || has_more(&p->image, before);
    free(before);
    VB_TRY(vb_carry_tell(&p->c, "writing manifest", err));
    VB_TRY(vb_store_put(p->store, &p->c.ref, p->manifest, p->len, err));
    return leaves ? vb_carry_tell(&p->c, "removing unused layers", err) : VB_OK;
}

static vb_status pull(pulling *p, vb_err *err)
{
    const vb_layer *l;
    VB_TRY(vb_origin_hidden(p->store, &p->c.ref, err));
    VB_TRY(get_manifest(p, err));
    VB_TRY(find_room(p, err));
    for (int i = 0; (l = vb_carry_layer(&p->image, i)) != NULL; i++)
        if (!named_before(&p->image, i)) VB_TRY(get_layer(p, l, err));
    VB_TRY(vb_carry_tell(&p->c, "verifying sha256 digest", err));
    VB_TRY(put_model(p, err));
    return vb_carry_tell(&p->c, "success", err);
}

int vb_store_partial(const vb_store *store, uint64_t *bytes)
{
    char path[4200];
    struct dirent *entry;
    struct stat st;
    int n = 0;
    snprintf(path, sizeof path, "%s/blobs", vb_store_dir(store));
    DIR *dir = opendir(path);
    *bytes = 0;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name);
        if (len < 8 || strcmp(entry->d_name + len - 8, "-partial") != 0) continue;
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) continue;
        n++;
        *bytes += (uint64_t)st.st_size;
    }
    if (dir != NULL) closedir(dir);
    return n;
}

vb_status vb_store_pull(vb_store *store, const char *name, vb_transfer *t, vb_err *err)
{
    pulling *p = calloc(1, sizeof *p);
    if (p == NULL) VB_FAIL(err, VB_E_MEMORY, "out of memory");
    p->store = store;
    vb_status status = vb_carry_open(&p->c, t, name, "pulling", err);
    if (status == VB_OK) status = pull(p, err);
    vb_blob_drop(p->blob);
    vb_carry_close(&p->c);
    free(p->manifest);
    free(p);
    return status;
}
