/* source.c - names looked up in the order in which models are opened: our files, our manifests, other stores. */
#include "store/source.h"

#include "base/err.h"
#include "store/create.h"
#include "store/disk.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char blobs[] = "/blobs/sha256-";

/* --- looking up ------------------------------------------------------------------------------------------ */

typedef struct {
    vb_origin *out;
    int found;
} search;

static int look(void *ud, const vb_store_entry *e)
{
    search *s = ud;
    vb_ref ref;
    if (!vb_ref_parse(&ref, e->name) || !vb_ref_same(&ref, &s->out->ref)) return 0;
    if (snprintf(s->out->path, sizeof s->out->path, "%s", e->path) >= (int)sizeof s->out->path) return 0;
    s->out->kind = strcmp(e->store, "verbatim") != 0 ? VB_ORIGIN_OTHER
                   : strstr(e->path, blobs) != NULL  ? VB_ORIGIN_OWN : VB_ORIGIN_FILE;
    s->found = 1;
    return 1;
}

/* The directory that the blob at source->path belongs to. */
static vb_status open_other(vb_origin *source, vb_err *err)
{
    char dir[sizeof source->path];
    snprintf(dir, sizeof dir, "%s", source->path);
    char *end = strstr(dir, blobs);
    for (char *next = end; next != NULL; next = strstr(next + 1, blobs)) end = next;
    if (end == NULL) VB_FAIL(err, VB_E_IO, "%.400s: expected a blob", source->path);
    *end = '\0';
    return vb_store_open_readonly(&source->other, dir, err);
}

vb_status vb_origin_find(vb_origin *out, const vb_store *own, const char *name, vb_err *err)
{
    char *text = NULL;
    size_t len;
    search s = {.out = out};
    memset(out, 0, sizeof *out);
    if (!vb_ref_parse(&out->ref, name)) VB_FAIL(err, VB_E_ARGUMENT, "name \"%.300s\" is invalid", name);
    vb_store_list(look, &s, NULL);
    if (s.found) return out->kind == VB_ORIGIN_OTHER ? open_other(out, err) : VB_OK;
    out->kind = VB_ORIGIN_OWN; /* lists leave out what is damaged */
    vb_status status = vb_image_bytes(own, &out->ref, &text, &len, NULL);
    free(text);
    if (status != VB_OK) VB_FAIL(err, VB_E_NOT_FOUND, "model '%.300s' not found", name);
    return VB_OK;
}

void vb_origin_close(vb_origin *source)
{
    vb_store_close(source->other);
    source->other = NULL;
}

vb_status vb_origin_hidden(const vb_store *own, const vb_ref *ref, vb_err *err)
{
    vb_origin source = {.ref = *ref};
    search s = {.out = &source};
    vb_store_list(look, &s, NULL);
    if (!s.found || source.kind != VB_ORIGIN_FILE) return VB_OK;
    VB_FAIL(err, VB_E_ARGUMENT, "%.80s: expected a name that is free, found the file %.300s of %s", ref->model,
            strrchr(source.path, '/') + 1, own->dir);
}

/* --- copying --------------------------------------------------------------------------------------------- */

static vb_status bring_blobs(vb_store *own, const vb_store *other, const vb_image *image, const vb_listener *to, vb_err *err)
{
    char path[4700], hex[65];
    uint64_t bytes;
    for (int i = -1; i < image->n; i++) {
        const vb_layer *l = i < 0 ? &image->config : &image->layers[i];
        if (l->hex[0] == '\0') continue;
        memcpy(hex, l->hex, sizeof hex);
        vb_store_blob_path(other, hex, path, sizeof path);
        VB_TRY(vb_blob_import(own, path, hex, &bytes, to, err));
    }
    return VB_OK;
}

static vb_status copy_manifest(vb_store *own, const vb_origin *source, const vb_ref *to, const vb_listener *listener,
                               vb_err *err)
{
    char *text, name[720];
    size_t len;
    vb_image *image = malloc(sizeof *image);
    if (image == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", own->dir);
    vb_ref_text(&source->ref, name, sizeof name);
    vb_status s = vb_image_bytes(source->other != NULL ? source->other : own, &source->ref, &text, &len, err);
    if (s == VB_OK) {
        s = vb_image_parse(image, text, len, name, err);
        if (s == VB_OK && source->other != NULL) s = bring_blobs(own, source->other, image, listener, err);
        if (s == VB_OK) s = vb_store_put(own, to, text, len, err);
        free(text);
    }
    free(image);
    return s;
}

vb_status vb_origin_copy(vb_store *own, const char *from, const char *to, const vb_listener *listener, vb_err *err)
{
    vb_origin source;
    vb_ref ref;
    if (!vb_ref_parse(&source.ref, from)) VB_FAIL(err, VB_E_ARGUMENT, "source \"%.300s\" is invalid", from);
    if (!vb_ref_parse(&ref, to)) VB_FAIL(err, VB_E_ARGUMENT, "destination \"%.300s\" is invalid", to);
    vb_status s = vb_origin_find(&source, own, from, NULL);
    if (s == VB_E_NOT_FOUND) VB_FAIL(err, s, "model \"%.300s\" not found", from);
    if (s != VB_OK) return vb_origin_find(&source, own, from, err);
    if (vb_ref_same(&ref, &source.ref) && source.kind != VB_ORIGIN_OTHER) return VB_OK;
    s = vb_origin_hidden(own, &ref, err);
    if (s == VB_OK && source.kind != VB_ORIGIN_FILE) s = copy_manifest(own, &source, &ref, listener, err);
    else if (s == VB_OK) s = vb_create(own, &(vb_recipe){.name = to, .from = from}, listener, err);
    vb_origin_close(&source);
    return s;
}

/* --- removing -------------------------------------------------------------------------------------------- */

/* The file, of a split model each of its parts; a link goes, not what it points to. */
static vb_status remove_file(vb_store *own, const char *path, vb_err *err)
{
    char name[300];
    snprintf(name, sizeof name, "%s", strrchr(path, '/') + 1);
    size_t len = strlen(name);
    int parts = 1, split = len > 20 && memcmp(name + len - 14, "-of-", 4) == 0;
    if (split) parts = atoi(name + len - 10);
    for (int i = 1; i <= parts; i++) {
        char number[16];
        snprintf(number, sizeof number, "%05d", i);
        if (split) memcpy(name + len - 19, number, 5);
        if (unlinkat(own->fd, name, 0) != 0 && i == 1) return vb_disk_failed(own, name, err);
    }
    return VB_OK;
}

vb_status vb_origin_remove(vb_store *own, const char *name, vb_err *err)
{
    vb_origin source;
    vb_status s = vb_origin_find(&source, own, name, err);
    if (s != VB_OK) return s;
    if (source.kind == VB_ORIGIN_OTHER)
        s = vb_fail(err, VB_E_UNSUPPORTED, "model '%.300s' is in %.100s, which is only read", name,
                    vb_store_dir(source.other));
    else if (source.kind == VB_ORIGIN_FILE) s = remove_file(own, source.path, err);
    else s = vb_store_remove(own, &source.ref, err);
    vb_origin_close(&source);
    return s;
}
