/* image.c - manifests: read, written in one step, removed, and what then nobody names any more.
 *
 *   put     lock -> every blob there? -> old manifest read -> new one under its name -> what only the old one named goes
 *   remove  lock -> manifest read -> gone -> what only it named goes
 *
 * Invariant: a blob goes only if its digits stand in no manifest. For that manifests are read as bytes, not as JSON: one
 * that is damaged, or of a kind we do not know, keeps its blobs; one that cannot be read keeps them all.
 */
#include "store/disk.h"

#include "base/err.h"
#include "store/gojson.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MANIFEST_MOST = 1 << 18, READABLE_MOST = 1 << 24, DEPTH_MOST = 8 };

/* --- JSON ------------------------------------------------------------------------------------------------ */

static vb_status take_layer(vb_layer *out, const json_t *layer, const char *name, vb_err *err)
{
    const char *media = json_string_value(json_object_get(layer, "mediaType"));
    const char *digest = json_string_value(json_object_get(layer, "digest"));
    const char *from = json_string_value(json_object_get(layer, "from"));
    const json_t *size = json_object_get(layer, "size");
    memset(out, 0, sizeof *out);
    if (media == NULL || digest == NULL || !json_is_integer(size) || json_integer_value(size) < 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: a layer: expected mediaType, digest and size, found something else", name);
    if (!vb_digest_parse(out->hex, digest) || strlen(media) >= sizeof out->media)
        VB_FAIL(err, VB_E_FORMAT, "%s: a layer: expected sha256:<64 hex digits>, found \"%.80s\"", name, digest);
    snprintf(out->media, sizeof out->media, "%s", media);
    snprintf(out->from, sizeof out->from, "%s", from != NULL ? from : "");
    out->bytes = (uint64_t)json_integer_value(size);
    return VB_OK;
}

static vb_status take_image(vb_image *out, const json_t *json, const char *name, vb_err *err)
{
    const json_t *layers = json_object_get(json, "layers"), *config = json_object_get(json, "config");
    if (!json_is_array(layers) || json_array_size(layers) > VB_LAYERS_MOST)
        VB_FAIL(err, VB_E_FORMAT, "%s: layers: expected an array of at most %d, found something else", name,
                VB_LAYERS_MOST);
    if (json_object_size(config) > 0) VB_TRY(take_layer(&out->config, config, name, err));
    for (size_t i = 0; i < json_array_size(layers); i++)
        VB_TRY(take_layer(&out->layers[out->n++], json_array_get(layers, i), name, err));
    return VB_OK;
}

vb_status vb_image_parse(vb_image *out, const char *json, size_t len, const char *name, vb_err *err)
{
    json_error_t why;
    memset(out, 0, sizeof *out);
    json_t *root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &why);
    if (root == NULL) VB_FAIL(err, VB_E_FORMAT, "%s: expected JSON, found at byte %d: %s", name, why.position, why.text);
    vb_status s = take_image(out, root, name, err);
    json_decref(root);
    return s;
}

static json_t *layer_json(const vb_layer *l)
{
    char digest[80];
    snprintf(digest, sizeof digest, "sha256:%s", l->hex);
    json_t *json = json_pack("{s:s, s:s, s:I}", "mediaType", l->media, "digest", digest, "size", (json_int_t)l->bytes);
    if (json != NULL && l->from[0] != '\0') json_object_set_new(json, "from", json_string(l->from));
    return json;
}

char *vb_image_text(const vb_image *image, size_t *len)
{
    json_t *layers = json_array();
    for (int i = 0; i < image->n; i++) json_array_append_new(layers, layer_json(&image->layers[i]));
    json_t *root = json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType", VB_MEDIA_MANIFEST, "config",
                             layer_json(&image->config), "layers", layers);
    char *text = vb_gojson(root, len);
    json_decref(root);
    return text;
}

/* --- reading --------------------------------------------------------------------------------------------- */

enum { TAGS = 3 }; /* how deep they lie */

/* The directory `depth` levels down the way to ref's tags, made if `make`; -1 and errno. */
static int dir_of(const vb_store *store, const vb_ref *ref, int depth, int make)
{
    const char *const parts[] = {ref->host, ref->space, ref->model};
    int at = store->manifests < 0 ? -1 : fcntl(store->manifests, F_DUPFD_CLOEXEC, 0);
    if (store->manifests < 0) errno = ENOENT;
    for (int i = 0; i < depth && at >= 0; i++) {
        if (make && mkdirat(at, parts[i], 0755) == 0) fsync(at);
        int next = openat(at, parts[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), reason = errno;
        close(at);
        errno = reason;
        at = next;
    }
    return at;
}

static void name_of(const vb_store *store, const vb_ref *r, char *buf, size_t cap)
{
    snprintf(buf, cap, "%s/manifests/%s/%s/%s/%s", store->dir, r->host, r->space, r->model, r->tag);
}

vb_status vb_image_bytes(const vb_store *store, const vb_ref *ref, char **text, size_t *len, vb_err *err)
{
    char name[4700];
    int tags = dir_of(store, ref, TAGS, 0);
    *text = tags >= 0 ? vb_disk_read(tags, ref->tag, MANIFEST_MOST, len) : NULL;
    int reason = errno;
    if (tags >= 0) close(tags);
    if (*text != NULL) return VB_OK;
    name_of(store, ref, name, sizeof name);
    VB_FAIL(err, reason == ENOENT || reason == ENOTDIR ? VB_E_NOT_FOUND : VB_E_IO, "%.400s: %s", name, strerror(reason));
}

vb_status vb_image_read(vb_image *out, const vb_store *store, const vb_ref *ref, vb_err *err)
{
    char *text, name[720];
    size_t len;
    VB_TRY(vb_image_bytes(store, ref, &text, &len, err));
    vb_ref_text(ref, name, sizeof name);
    vb_status s = vb_image_parse(out, text, len, name, err);
    free(text);
    return s;
}

/* --- what nobody names ----------------------------------------------------------------------------------- */

typedef struct {
    char (*hex)[65];
    char *named;
    int n, cap;
} digests;

/* The first digits of a digest in the text, wherever it stands; NULL: none. */
static const char *next_digest(const char *text, char hex[65])
{
    char digest[72];
    while ((text = strstr(text, "sha256")) != NULL) {
        snprintf(digest, sizeof digest, "%.71s", text);
        if (vb_digest_parse(hex, digest)) return text + 71;
        text += 6;
    }
    return NULL;
}

static int add_digest(digests *d, const char hex[65])
{
    if (d->n == d->cap) {
        int cap = 2 * d->cap + 16;
        char (*grown)[65] = realloc(d->hex, (size_t)cap * sizeof *grown);
        if (grown != NULL) d->hex = grown;
        char *named = grown != NULL ? realloc(d->named, (size_t)cap) : NULL;
        if (named == NULL) return 0;
        d->named = named;
        d->cap = cap;
    }
    memcpy(d->hex[d->n], hex, 65);
    d->named[d->n++] = 0;
    return 1;
}

static void mark(digests *d, const char *text)
{
    char hex[65];
    while ((text = next_digest(text, hex)) != NULL)
        for (int i = 0; i < d->n; i++)
            if (strcmp(d->hex[i], hex) == 0) d->named[i] = 1;
}

/* Marks what the manifests below name; 0: one of them could not be read. */
static int mark_all(digests *d, int at, int depth)
{
    int copy = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), readable = copy >= 0 && depth < DEPTH_MOST;
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    struct dirent *e;
    if (dir == NULL) {
        if (copy >= 0) close(copy);
        return 0;
    }
    while (readable && (errno = 0, e = readdir(dir)) != NULL) {
        size_t len;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (vb_disk_is_new(e->d_name)) { /* written under the lock, which is ours now: nobody writes it any more */
            unlinkat(at, e->d_name, 0);
            continue;
        }
        int below = openat(at, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (below >= 0) {
            readable = mark_all(d, below, depth + 1);
            close(below);
            continue;
        }
        char *text = vb_disk_read(at, e->d_name, READABLE_MOST, &len);
        for (size_t i = 0; text != NULL && i < len; i++) text[i] = text[i] != '\0' ? text[i] : ' ';
        if (text != NULL) mark(d, text);
        else readable = 0;
        free(text);
    }
    readable = readable && errno == 0;
    closedir(dir);
    return readable;
}

/* Removes those blobs that stand in `old`, a manifest that is gone, and in no other; under the lock. */
static void prune(vb_store *store, const char *old)
{
    digests d = {0};
    char hex[65], name[80];
    int whole = 1;
    while (whole && (old = next_digest(old, hex)) != NULL) whole = add_digest(&d, hex);
    if (whole && mark_all(&d, store->manifests, 0))
        for (int i = 0; i < d.n; i++) {
            if (d.named[i]) continue;
            snprintf(name, sizeof name, "sha256-%.64s", d.hex[i]);
            unlinkat(store->blobs, name, 0);
        }
    free(d.hex);
    free(d.named);
}

/* --- writing --------------------------------------------------------------------------------------------- */

static vb_status check_blobs(const vb_store *store, const vb_image *image, const char *name, vb_err *err)
{
    for (int i = -1; i < image->n; i++) {
        const vb_layer *l = i < 0 ? &image->config : &image->layers[i];
        int64_t size = l->hex[0] != '\0' ? vb_store_blob_size(store, l->hex) : (int64_t)l->bytes;
        if (size != (int64_t)l->bytes)
            VB_FAIL(err, VB_E_NOT_FOUND, "%s: expected blob sha256:%s of %llu bytes, found %s", name, l->hex,
                    (unsigned long long)l->bytes, size < 0 ? "none" : "another size");
    }
    return VB_OK;
}

static vb_status write_manifest(const vb_store *store, int tags, const char *tag, const char *text, size_t len, vb_err *err)
{
    char name[32];
    int fd = vb_disk_new_in(store, tags, name, err);
    if (fd < 0) return VB_E_IO;
    vb_status s = vb_disk_write(store, fd, name, text, len, err);
    if (s == VB_OK && (fsync(fd) != 0 || renameat(tags, name, tags, tag) != 0 || fsync(tags) != 0))
        s = vb_disk_failed(store, tag, err);
    if (s != VB_OK) unlinkat(tags, name, 0);
    close(fd);
    return s;
}

static vb_status put_locked(vb_store *store, const vb_ref *ref, const char *text, size_t len, vb_err *err)
{
    char *old = NULL;
    size_t old_len;
    vb_status s = vb_image_bytes(store, ref, &old, &old_len, NULL);
    if (s != VB_OK && s != VB_E_NOT_FOUND) return vb_image_bytes(store, ref, &old, &old_len, err);
    int tags = dir_of(store, ref, TAGS, 1);
    s = tags >= 0 ? write_manifest(store, tags, ref->tag, text, len, err) : vb_disk_failed(store, ref->model, err);
    if (s == VB_OK && old != NULL) prune(store, old);
    if (tags >= 0) close(tags);
    free(old);
    return s;
}

vb_status vb_store_put(vb_store *store, const vb_ref *ref, const char *json, size_t len, vb_err *err)
{
    vb_image *image = malloc(sizeof *image);
    char name[720];
    if (image == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", store->dir);
    vb_ref_text(ref, name, sizeof name);
    vb_status s = vb_image_parse(image, json, len, name, err);
    int lock = s == VB_OK ? vb_disk_lock(store, err) : -1;
    if (s == VB_OK && lock < 0) s = VB_E_IO;
    if (s == VB_OK) s = check_blobs(store, image, name, err);
    if (s == VB_OK) s = put_locked(store, ref, json, len, err);
    if (lock >= 0) close(lock);
    free(image);
    return s;
}

/* Takes away directories that have become empty. */
static void tidy(vb_store *store, const vb_ref *ref)
{
    const char *const parts[] = {ref->host, ref->space, ref->model};
    for (int i = TAGS - 1; i >= 0; i--) {
        int above = dir_of(store, ref, i, 0), gone = above >= 0 && unlinkat(above, parts[i], AT_REMOVEDIR) == 0;
        if (above >= 0) close(above);
        if (!gone) return;
    }
}

static vb_status remove_locked(vb_store *store, const vb_ref *ref, vb_err *err)
{
    char *old = NULL;
    size_t len;
    VB_TRY(vb_image_bytes(store, ref, &old, &len, err));
    int tags = dir_of(store, ref, TAGS, 0);
    vb_status s = tags >= 0 && unlinkat(tags, ref->tag, 0) == 0 && fsync(tags) == 0
                      ? VB_OK : vb_disk_failed(store, ref->model, err);
    if (tags >= 0) close(tags);
    if (s == VB_OK) {
        prune(store, old);
        tidy(store, ref);
    }
    free(old);
    return s;
}

vb_status vb_store_remove(vb_store *store, const vb_ref *ref, vb_err *err)
{
    int lock = vb_disk_lock(store, err);
    if (lock < 0) return VB_E_IO;
    vb_status s = remove_locked(store, ref, err);
    close(lock);
    return s;
}
