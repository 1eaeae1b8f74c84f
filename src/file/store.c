/* store.c - MODEL to a file, and every model that the two stores hold.
 *
 *   path that exists -> that file
 *   "smollm2"        -> own directory's smollm2.gguf (an ordinary NAME.gguf there)
 *   NAME             -> own directory's NAME.gguf, own manifest, Ollama's manifest
 *   "tales-1m"       -> the library's own bytes, as VB_MODEL_EMBEDDED always is
 *
 * Invariant: stores are only read. A damaged model in a store hides none of the others.
 */
#include "file/store.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/os.h"
#include "file/embedded.h"
#include "file/gguf.h"
#include "file/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OWN, OLLAMA, STORES };

/* --- roots ----------------------------------------------------------------------------------------------- */

static int default_dir(int which, char *buf, size_t cap)
{
    char base[3072];
    const char *home = getenv("HOME");
    if (which == OWN) return vb_dir(VB_DIR_DATA, base, sizeof base) && snprintf(buf, cap, "%s/models", base) < (int)cap;
    if (home == NULL || home[0] != '/') return 0;
    return snprintf(buf, cap, "%s/.ollama/models", home) < (int)cap;
}

static void open_root(vb_store_root *root, int which)
{
    const char *said = getenv(which == OWN ? "VERBATIM_MODELS" : "OLLAMA_MODELS");
    root->label = which == OWN ? "verbatim" : "ollama";
    root->fd = -1;
    root->dir[0] = 0;
    if (said != NULL && said[0] != 0) {
        if (strlen(said) < sizeof root->dir) strcpy(root->dir, said);
    } else if (!default_dir(which, root->dir, sizeof root->dir)) {
        root->dir[0] = 0;
    }
    if (root->dir[0] != 0) root->fd = open(root->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void close_root(vb_store_root *root)
{
    if (root->fd >= 0) close(root->fd);
}

void vb_located_free(vb_located *located)
{
    free(located->path);
    free(located->template_);
    free(located->system);
    free(located->params);
    free(located->projector);
    free(located->messages);
    free(located->license);
    memset(located, 0, sizeof *located);
}

/* --- MODEL to a file ------------------------------------------------------------------------------------- */

static vb_status located_path(vb_located *out, const char *path, vb_err *err)
{
    out->path = strdup(path);
    if (out->path == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", path);
    return VB_OK;
}

static vb_status locate_embedded(vb_located *out, const char *model, vb_err *err)
{
    const uint8_t *data = vb_embedded(model, &out->size);
    if (data == NULL) return VB_E_NOT_FOUND;
    out->data = data;
    return located_path(out, VB_MODEL_EMBEDDED, err);
}

/* NAME.gguf right in the store's directory, where a link is the owner's wish. */
static vb_status locate_file(vb_located *out, const vb_store_root *root, const char *model, vb_err *err)
{
    char file[300], path[4500];
    struct stat st;
    snprintf(file, sizeof file, "%.255s.gguf", model);
    if (root->fd < 0 || !vb_name_part_valid(model, strlen(model)) || fstatat(root->fd, file, &st, 0) != 0 ||
        !S_ISREG(st.st_mode))
        return VB_E_NOT_FOUND;
    snprintf(path, sizeof path, "%s/%s", root->dir, file);
    return located_path(out, path, err);
}

static vb_status locate_stored(vb_located *out, const vb_store_root *root, const vb_store_name *name, vb_err *err)
{
    vb_manifest manifest;
    if (root->fd < 0) return VB_E_NOT_FOUND;
    vb_status s = vb_manifest_read(&manifest, root, name, err);
    return s == VB_OK ? vb_manifest_locate(out, root, &manifest, err) : s;
}

/* What was looked at, in order. */
static vb_status not_found(const char *model, const vb_store_root *roots, int is_name, vb_err *err)
{
    const char *own = roots[OWN].dir[0] != 0 ? roots[OWN].dir : "$VERBATIM_MODELS (unset)";
    const char *ollama = roots[OLLAMA].dir[0] != 0 ? roots[OLLAMA].dir : "$OLLAMA_MODELS (unset)";
    if (!is_name)
        VB_FAIL(err, VB_E_NOT_FOUND, "%s: expected a file or name[:tag], found neither", model);
    if (strcmp(model, "smollm2") == 0)
        VB_FAIL(err, VB_E_NOT_FOUND, "%s: expected %s/smollm2.gguf, found no such file; `make run` fetches it (also "
                "looked for file %s and manifests in %s and %s)", model, own, model, own, ollama);
    VB_FAIL(err, VB_E_NOT_FOUND, "%s: expected a model, found none: looked for file %s, %s/%s.gguf, manifests in %s "
            "and %s (verbatim pull fetches one)", model, model, own, model, own, ollama);
}

static vb_status locate_name(vb_located *out, const vb_store_root *roots, const char *model, vb_err *err)
{
    vb_store_name name;
    vb_err why = {0};
    vb_status s = locate_file(out, &roots[OWN], model, err);
    int is_name = vb_name_parse(&name, model);
    for (int i = 0; i < STORES && is_name && s == VB_E_NOT_FOUND; i++)
        s = locate_stored(out, &roots[i], &name, &why);
    if (s == VB_E_NOT_FOUND) s = locate_embedded(out, model, &why);
    if (s == VB_E_NOT_FOUND) return not_found(model, roots, is_name, err);
    if (s < 0 && err != NULL) *err = why;
    return s;
}

vb_status vb_store_locate(vb_located *out, const char *model, vb_err *err)
{
    vb_store_root roots[STORES];
    struct stat st;
    memset(out, 0, sizeof *out);
    if (strcmp(model, VB_MODEL_EMBEDDED) == 0) return locate_embedded(out, model, err);
    if (stat(model, &st) == 0 && !S_ISDIR(st.st_mode)) return located_path(out, model, err);
    for (int i = 0; i < STORES; i++) open_root(&roots[i], i);
    vb_status s = locate_name(out, roots, model, err);
    for (int i = 0; i < STORES; i++) close_root(&roots[i]);
    return s;
}

/* --- every model ----------------------------------------------------------------------------------------- */

/* One stored model: a file of the store's directory, or a manifest. */
typedef struct {
    const vb_store_root *root;
    const char *file; /* NULL: `name` has a manifest */
    vb_store_name name;
} stored;

typedef struct {
    int (*fn)(void *ud, const stored *model); /* not 0: stop */
    void *ud;
} visitor;

static int by_text(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_part(const struct dirent *entry)
{
    return vb_name_part_valid(entry->d_name, strlen(entry->d_name));
}

/* A GGUF file; of a split one, "...-00001-of-00003.gguf", only the first part. */
static int is_gguf(const struct dirent *entry)
{
    const char *name = entry->d_name;
    size_t len = strlen(name);
    if (len <= 5 || strcmp(name + len - 5, ".gguf") != 0 || !is_part(entry)) return 0;
    if (len < 20 || memcmp(name + len - 14, "-of-", 4) != 0) return 1;
    return strspn(name + len - 19, "0123456789") != 5 || memcmp(name + len - 19, "00001", 5) == 0;
}

static int visit_level(const visitor *v, stored *model, int fd, int level)
{
    struct dirent **entries = NULL;
    int stop = 0, n = scandirat(fd, ".", &entries, is_part, by_text);
    for (int i = 0; i < n; i++) {
        if (!stop) {
            strcpy(model->name.part[level], entries[i]->d_name);
            int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_DIRECTORY;
            int below = level < VB_NAME_TAG ? openat(fd, entries[i]->d_name, flags) : -1;
            if (level == VB_NAME_TAG) stop = v->fn(v->ud, model);
            else if (below >= 0) stop = visit_level(v, model, below, level + 1);
            if (below >= 0) close(below);
        }
        free(entries[i]);
    }
    free(entries);
    return stop;
}

static int visit_files(const visitor *v, stored *model)
{
    struct dirent **entries = NULL;
    int stop = 0, n = scandirat(model->root->fd, ".", &entries, is_gguf, by_text);
    for (int i = 0; i < n; i++) {
        model->file = entries[i]->d_name;
        if (!stop) stop = v->fn(v->ud, model);
        free(entries[i]);
    }
    free(entries);
    model->file = NULL;
    return stop;
}

/* All models, our own first, each group by name. Not 0: the visitor stopped. */
static int visit_all(const visitor *v)
{
    int stop = 0;
    for (int i = 0; i < STORES && !stop; i++) {
        vb_store_root root;
        open_root(&root, i);
        if (root.fd < 0) continue;
        stored model = {.root = &root};
        if (i == OWN) stop = visit_files(v, &model);
        int fd = stop ? -1 : openat(root.fd, "manifests", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0) {
            stop = visit_level(v, &model, fd, VB_NAME_HOST);
            close(fd);
        }
        close_root(&root);
    }
    return stop;
}

typedef struct {
    int (*fn)(void *ud, const vb_store_entry *entry);
    void *ud;
} listing;

static int list_file(const listing *l, const stored *model)
{
    char path[4500], name[256];
    struct stat st;
    if (fstatat(model->root->fd, model->file, &st, 0) != 0 || !S_ISREG(st.st_mode)) return 0;
    snprintf(path, sizeof path, "%s/%s", model->root->dir, model->file);
    snprintf(name, sizeof name, "%.*s", (int)strlen(model->file) - 5, model->file);
    int64_t changed = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    vb_store_entry entry = {name, path, model->root->label, (uint64_t)st.st_size, NULL, changed};
    return l->fn(l->ud, &entry);
}

static int list_one(void *ud, const stored *model)
{
    const listing *l = ud;
    vb_manifest manifest;
    vb_err err = {0};
    char path[4500], name[1100];
    if (model->file != NULL) return list_file(l, model);
    if (vb_manifest_read(&manifest, model->root, &model->name, &err) != VB_OK) {
        vb_log(VB_LOG_WARNING, "%s", err.text);
        return 0;
    }
    vb_name_text(&model->name, name, sizeof name);
    snprintf(path, sizeof path, "%s/blobs/sha256-%s", model->root->dir, manifest.layer[VB_LAYER_MODEL].hex);
    uint64_t bytes = manifest.layer[VB_LAYER_MODEL].bytes;
    vb_store_entry entry = {name, path, model->root->label, bytes, manifest.sha256, manifest.changed_ns};
    return l->fn(l->ud, &entry);
}

VB_API vb_status vb_store_list(int (*fn)(void *ud, const vb_store_entry *entry), void *ud, vb_err *err)
{
    listing l = {fn, ud};
    if (visit_all(&(visitor){list_one, &l})) VB_FAIL(err, VB_E_STOPPED, "list of models: stopped by the callback");
    return VB_OK;
}

/* --- by digest ------------------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *sha256;
    char hex[65];
    int hash_files; /* 0: compare manifests, 1: hash files */
    vb_located *out;
} wanted;

/* 1: the file, with all parts if it is split, hashes to the wanted digest. */
static int file_matches(const wanted *w, const char *path)
{
    const char *paths[1000];
    uint8_t found[32];
    vb_gguf *g;
    if (vb_gguf_open(&g, path, NULL) != VB_OK) return 0;
    int n = vb_gguf_parts(g);
    for (int i = 0; i < n; i++) paths[i] = vb_gguf_part_path(g, i);
    int same = vb_file_sha256(paths, n, found, NULL) == VB_OK && memcmp(found, w->sha256, sizeof found) == 0;
    vb_gguf_close(g);
    return same;
}

static int match_one(void *ud, const stored *model)
{
    const wanted *w = ud;
    vb_manifest m;
    char path[4500];
    if (w->hash_files != (model->file != NULL)) return 0;
    if (model->file == NULL)
        return vb_manifest_read(&m, model->root, &model->name, NULL) == VB_OK &&
               strcmp(m.layer[VB_LAYER_MODEL].hex, w->hex) == 0 &&
               vb_manifest_locate(w->out, model->root, &m, NULL) == VB_OK;
    snprintf(path, sizeof path, "%s/%s", model->root->dir, model->file);
    return file_matches(w, path) && located_path(w->out, path, NULL) == VB_OK;
}

vb_status vb_store_by_sha256(vb_located *out, const uint8_t sha256[32], vb_err *err)
{
    wanted w = {.sha256 = sha256, .out = out};
    vb_hex(w.hex, sha256, 32);
    memset(out, 0, sizeof *out);
    for (w.hash_files = 0; w.hash_files < 2; w.hash_files++)
        if (visit_all(&(visitor){match_one, &w})) return VB_OK;
    VB_FAIL(err, VB_E_NOT_FOUND, "sha256:%s: expected a stored model of this digest, found none", w.hex);
}
