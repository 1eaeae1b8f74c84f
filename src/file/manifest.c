/* manifest.c - names, manifests and blobs of Ollama's layout, read and never written.
 *
 *   name      [host/][namespace/]model[:tag]
 *   manifest  manifests/<host>/<namespace>/<model>/<tag>
 *             {"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:...", "size": N}, ...]}
 *   blob      blobs/sha256-<64 hex digits>
 *
 * Invariant: a digest reaches a path only after it matched the strict pattern, a name part only after
 * vb_name_part_valid, and each step of a path is opened by itself with O_NOFOLLOW.
 */
#include "file/manifest.h"

#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGEST_MANIFEST = 1 << 18, LARGEST_TEXT = 1 << 20, MOST_LAYERS = 64 };

/* --- names ----------------------------------------------------------------------------------------------- */

/* What Ollama fills in. The host is the name of a directory here; nothing is ever asked of it. */
static const char *const defaults[VB_NAME_PARTS] = {("registry" ".ollama.ai"), "library", "", "latest"};

int vb_name_part_valid(const char *part, size_t len)
{
    if (len == 0 || len >= sizeof ((vb_store_name *)NULL)->part[0] || part[0] == '.') return 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)part[i];
        if (c <= ' ' || c == 0x7f || c == '/' || c == '\\') return 0;
    }
    return 1;
}

static int set_part(vb_store_name *name, int which, const char *text, size_t len)
{
    if (!vb_name_part_valid(text, len)) return 0;
    memcpy(name->part[which], text, len);
    name->part[which][len] = 0;
    return 1;
}

int vb_name_parse(vb_store_name *out, const char *text)
{
    const char *slash = strrchr(text, '/');
    const char *last = slash == NULL ? text : slash + 1;
    const char *colon = strchr(last, ':');
    size_t len = colon == NULL ? strlen(last) : (size_t)(colon - last);
    const char *tag = colon == NULL ? defaults[VB_NAME_TAG] : colon + 1;
    for (int i = 0; i < VB_NAME_PARTS; i++) strcpy(out->part[i], defaults[i]);
    if (!set_part(out, VB_NAME_MODEL, last, len) || !set_part(out, VB_NAME_TAG, tag, strlen(tag))) return 0;
    if (slash == NULL) return 1;
    const char *first = memchr(text, '/', (size_t)(slash - text));
    const char *space = first == NULL ? text : first + 1;
    if (!set_part(out, VB_NAME_SPACE, space, (size_t)(slash - space))) return 0;
    return first == NULL || set_part(out, VB_NAME_HOST, text, (size_t)(first - text));
}

void vb_name_text(const vb_store_name *name, char *buf, size_t cap)
{
    const char (*p)[256] = name->part;
    if (strcmp(p[VB_NAME_HOST], defaults[VB_NAME_HOST]) != 0)
        snprintf(buf, cap, "%s/%s/%s:%s", p[VB_NAME_HOST], p[VB_NAME_SPACE], p[VB_NAME_MODEL], p[VB_NAME_TAG]);
    else if (strcmp(p[VB_NAME_SPACE], defaults[VB_NAME_SPACE]) != 0)
        snprintf(buf, cap, "%s/%s:%s", p[VB_NAME_SPACE], p[VB_NAME_MODEL], p[VB_NAME_TAG]);
    else
        snprintf(buf, cap, "%s:%s", p[VB_NAME_MODEL], p[VB_NAME_TAG]);
}

/* --- files under the root -------------------------------------------------------------------------------- */

/* Opens root/parts[0]/parts[1]/..., the last one a regular file; -1 and errno if that cannot be. */
static int open_below(int root, const char *const *parts, int n, struct stat *st)
{
    int at = root;
    for (int i = 0; i < n && at >= 0; i++) {
        int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (i + 1 < n ? O_DIRECTORY : 0);
        int next = openat(at, parts[i], flags);
        int reason = errno;
        if (at != root) close(at);
        errno = reason;
        at = next;
    }
    if (at < 0) return -1;
    if (fstat(at, st) == 0 && S_ISREG(st->st_mode)) return at;
    close(at);
    errno = EISDIR;
    return -1;
}

/* open_below failed: `absent` is the code if there is no such file. */
static vb_status missing(const char *path, vb_status absent, vb_err *err)
{
    vb_status code = errno == ENOENT || errno == ENOTDIR ? absent : VB_E_IO;
    VB_FAIL(err, code, "%s: expected a file, found: %s", path, strerror(errno));
}

/* The whole of an open file in malloc'd memory with a NUL behind it. Closes fd. */
static vb_status read_all(int fd, uint64_t size, const char *path, char **out, vb_err *err)
{
    char *data = malloc((size_t)size + 1);
    uint64_t have = 0;
    ssize_t n = 1;
    while (data != NULL && have < size && n > 0) {
        n = read(fd, data + have, (size_t)(size - have));
        if (n > 0) have += (uint64_t)n;
    }
    close(fd);
    if (data == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory for %llu bytes", path, (unsigned long long)size);
    if (have < size) {
        free(data);
        VB_FAIL(err, VB_E_IO, "%s: expected %llu bytes, found %llu", path, (unsigned long long)size,
                (unsigned long long)have);
    }
    data[size] = 0;
    *out = data;
    return VB_OK;
}

/* --- manifest -------------------------------------------------------------------------------------------- */

static int take_digest(char hex[65], const char *text)
{
    if (strncmp(text, "sha256:", 7) != 0 || strlen(text) != 71 || strspn(text + 7, "0123456789abcdef") != 64) return 0;
    memcpy(hex, text + 7, 65);
    return 1;
}

static vb_status read_layer(vb_manifest *m, size_t i, json_t *layer, vb_err *err)
{
    static const char family[] = "application/vnd.ollama.image.";
    static const char *const kinds[VB_LAYER_CONFIG] = {"model", "template", "system", "params", "projector", "messages",
                                                       "license"};
    const char *type = json_string_value(json_object_get(layer, "mediaType"));
    const char *digest = json_string_value(json_object_get(layer, "digest"));
    json_t *size = json_object_get(layer, "size");
    if (type == NULL || digest == NULL || !json_is_integer(size) || json_integer_value(size) < 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: layer %zu: expected mediaType, digest and size, found something else", m->path,
                i);
    if (strncmp(type, family, sizeof family - 1) != 0) return VB_OK;
    if (strcmp(type + sizeof family - 1, "adapter") == 0)
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s: layer %zu: expected plain weights, found an adapter", m->path, i);
    for (int k = 0; k < VB_LAYER_CONFIG; k++) {
        if (strcmp(type + sizeof family - 1, kinds[k]) != 0) continue;
        int taken = take_digest(m->layer[k].hex, digest);
        if (!taken && k == VB_LAYER_LICENSE) return VB_OK; /* nothing depends on it */
        if (!taken)
            VB_FAIL(err, VB_E_FORMAT, "%s: layer %zu: expected sha256:<64 hex digits>, found \"%.80s\"", m->path, i,
                    digest);
        m->layer[k].bytes = (uint64_t)json_integer_value(size);
    }
    return VB_OK;
}

/* What the store says of the model beside its layers; it may be missing. */
static void read_config(vb_manifest *m, const json_t *json)
{
    const json_t *config = json_object_get(json, "config");
    const char *digest = json_string_value(json_object_get(config, "digest"));
    json_int_t size = json_integer_value(json_object_get(config, "size"));
    if (digest == NULL || size <= 0 || !take_digest(m->layer[VB_LAYER_CONFIG].hex, digest)) return;
    m->layer[VB_LAYER_CONFIG].bytes = (uint64_t)size;
}

static vb_status read_layers(vb_manifest *m, json_t *json, vb_err *err)
{
    json_t *layers = json_object_get(json, "layers");
    if (!json_is_array(layers) || json_array_size(layers) > MOST_LAYERS)
        VB_FAIL(err, VB_E_FORMAT, "%s: layers: expected an array of at most %d, found something else", m->path,
                MOST_LAYERS);
    for (size_t i = 0; i < json_array_size(layers); i++) VB_TRY(read_layer(m, i, json_array_get(layers, i), err));
    if (m->layer[VB_LAYER_MODEL].hex[0] == 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: layers: expected one of a GGUF model, found none", m->path);
    return VB_OK;
}

static vb_status parse_manifest(vb_manifest *m, const char *data, size_t size, vb_err *err)
{
    json_error_t why;
    json_t *json = json_loadb(data, size, JSON_REJECT_DUPLICATES, &why);
    if (json == NULL)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected JSON, found at byte %d: %s", m->path, why.position, why.text);
    vb_status s = read_layers(m, json, err);
    read_config(m, json);
    json_decref(json);
    return s;
}

vb_status vb_manifest_read(vb_manifest *m, const vb_store_root *root, const vb_store_name *name, vb_err *err)
{
    const char (*p)[256] = name->part;
    const char *const parts[] = {"manifests", p[0], p[1], p[2], p[3]};
    struct stat st = {0};
    char *data = NULL;
    memset(m, 0, sizeof *m);
    snprintf(m->path, sizeof m->path, "%s/manifests/%s/%s/%s/%s", root->dir, p[0], p[1], p[2], p[3]);
    int fd = open_below(root->fd, parts, 5, &st);
    if (fd < 0) return missing(m->path, VB_E_NOT_FOUND, err);
    m->changed_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    if (st.st_size > LARGEST_MANIFEST) {
        close(fd);
        VB_FAIL(err, VB_E_FORMAT, "%s: expected at most %d bytes, found %lld", m->path, LARGEST_MANIFEST,
                (long long)st.st_size);
    }
    VB_TRY(read_all(fd, (uint64_t)st.st_size, m->path, &data, err));
    vb_status s = parse_manifest(m, data, (size_t)st.st_size, err);
    vb_sha256_of(data, (size_t)st.st_size, m->sha256);
    free(data);
    return s;
}

/* --- blobs ----------------------------------------------------------------------------------------------- */

/* Opens the blob of layer `kind`; *path (malloc'd) is its path. */
static vb_status open_blob(const vb_store_root *root, const vb_manifest *m, int kind, int *fd, char **path, vb_err *err)
{
    char file[80];
    const char *const parts[] = {"blobs", file};
    struct stat st = {0};
    size_t len = strlen(root->dir) + sizeof file;
    snprintf(file, sizeof file, "sha256-%s", m->layer[kind].hex);
    *path = malloc(len);
    if (*path == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", m->path);
    snprintf(*path, len, "%s/blobs/%s", root->dir, file);
    *fd = open_below(root->fd, parts, 2, &st);
    if (*fd < 0) return missing(*path, VB_E_FORMAT, err);
    if ((uint64_t)st.st_size == m->layer[kind].bytes) return VB_OK;
    close(*fd);
    VB_FAIL(err, VB_E_FORMAT, "%s: expected %llu bytes as %s says, found %lld", *path,
            (unsigned long long)m->layer[kind].bytes, m->path, (long long)st.st_size);
}

static vb_status blob_path(const vb_store_root *root, const vb_manifest *m, int kind, char **out, vb_err *err)
{
    int fd;
    if (m->layer[kind].hex[0] == 0) return VB_OK;
    VB_TRY(open_blob(root, m, kind, &fd, out, err));
    close(fd);
    return VB_OK;
}

static vb_status blob_text(const vb_store_root *root, const vb_manifest *m, int kind, char **out, vb_err *err)
{
    char *path = NULL;
    int fd;
    if (m->layer[kind].hex[0] == 0) return VB_OK;
    vb_status s = open_blob(root, m, kind, &fd, &path, err);
    if (s == VB_OK && m->layer[kind].bytes > LARGEST_TEXT) {
        close(fd);
        s = vb_fail(err, VB_E_FORMAT, "%s: expected at most %d bytes of text, found %llu", path, LARGEST_TEXT,
                    (unsigned long long)m->layer[kind].bytes);
    } else if (s == VB_OK) {
        s = read_all(fd, m->layer[kind].bytes, path, out, err);
    }
    free(path);
    return s;
}

/* Does the configuration name a renderer or parser? */
static int has_renderer(const vb_store_root *root, const vb_manifest *m)
{
    char *text = NULL;
    if (blob_text(root, m, VB_LAYER_CONFIG, &text, NULL) < 0 || text == NULL) {
        free(text);
        return 0;
    }
    json_t *config = json_loads(text, 0, NULL);
    int has = json_string_length(json_object_get(config, "renderer")) > 0 ||
              json_string_length(json_object_get(config, "parser")) > 0;
    json_decref(config);
    free(text);
    return has;
}

vb_status vb_manifest_locate(vb_located *out, const vb_store_root *root, const vb_manifest *m, vb_err *err)
{
    vb_status s;
    memset(out, 0, sizeof *out);
    VB_TRY_OUT(s, blob_path(root, m, VB_LAYER_MODEL, &out->path, err));
    VB_TRY_OUT(s, blob_path(root, m, VB_LAYER_PROJECTOR, &out->projector, err));
    VB_TRY_OUT(s, blob_text(root, m, VB_LAYER_TEMPLATE, &out->template_, err));
    VB_TRY_OUT(s, blob_text(root, m, VB_LAYER_SYSTEM, &out->system, err));
    VB_TRY_OUT(s, blob_text(root, m, VB_LAYER_PARAMS, &out->params, err));
    VB_TRY_OUT(s, blob_text(root, m, VB_LAYER_MESSAGES, &out->messages, err));
    if (blob_text(root, m, VB_LAYER_LICENSE, &out->license, NULL) < 0) out->license = NULL; /* nothing depends on it */
    out->rendered = has_renderer(root, m);
    return VB_OK;
out:
    vb_located_free(out);
    return s;
}
