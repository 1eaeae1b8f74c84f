/* folder.c - which files of a folder hold tensors, and its settings.
 *
 * Invariant: what an index promises is there, each tensor in the file that it names, and nothing besides.
 */
#include "convert/folder.h"

#include "convert/json.h"
#include "convert/mlx.h"
#include "convert/torch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *single, *index, *part; /* part: the name of file i of n, for printf */
    vb_status (*add)(vb_source *s, const char *path, vb_err *err);
} layout;

static const layout layouts[] = {
    {"model.safetensors", "model.safetensors.index.json", "model-%05d-of-%05d.safetensors", vb_safetensors_add},
    {"pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-%05d-of-%05d.bin", vb_torch_add},
};

static vb_status join(const vb_folder *f, const char *name, char *path, size_t cap, vb_err *err)
{
    if ((size_t)snprintf(path, cap, "%s/%s", f->path, name) < cap) return VB_OK;
    VB_FAIL(err, VB_E_ARGUMENT, "%.64s...: expected a shorter path", f->path);
}

static int is_there(const vb_folder *f, const char *name)
{
    char path[4096];
    return join(f, name, path, sizeof path, NULL) == VB_OK && access(path, F_OK) == 0;
}

static vb_status add_file(const vb_folder *f, const layout *l, const char *name, vb_err *err)
{
    char path[4096];
    VB_TRY(join(f, name, path, sizeof path, err));
    return l->add(f->source, path, err);
}

/* --- sharded models -------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every file that the index names, once, in the order of their names. */
static vb_status add_named(const vb_folder *f, const layout *l, json_t *map, vb_err *err)
{
    size_t n = 0;
    const char *tensor, **files = calloc(json_object_size(map) + 1, sizeof *files);
    json_t *value;
    vb_status status = VB_OK;
    if (files == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", f->path);
    json_object_foreach(map, tensor, value) {
        const char *file = json_string_value(value);
        if (file == NULL || strchr(file, '/') != NULL || *file == '\0') {
            status = vb_fail(err, VB_E_FORMAT, "%s/%s: tensor '%s': expected the name of a file in this folder, found "
                             "'%.80s'", f->path, l->index, tensor, file != NULL ? file : "something else");
            goto out;
        }
        files[n++] = file;
    }
    qsort(files, n, sizeof *files, by_name);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(files[i], files[i - 1]) != 0) VB_TRY_OUT(status, add_file(f, l, files[i], err));
out:
    free(files);
    return status;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* The index and the files know the same tensors. */
static vb_status check_index(const vb_folder *f, const layout *l, json_t *map, vb_err *err)
{
    const char *tensor;
    json_t *value;
    json_object_foreach(map, tensor, value) {
        const vb_source_tensor *t = vb_source_find(f->source, tensor);
        const char *file = json_string_value(value);
        if (t == NULL || strcmp(last_part(t->file), file) != 0)
            VB_FAIL(err, VB_E_FORMAT, "%s/%s: tensor '%s': expected in %s, found %s", f->path, l->index, tensor, file,
                    t == NULL ? "nowhere" : last_part(t->file));
    }
    for (int64_t i = 0; i < vb_source_count(f->source); i++) {
        const vb_source_tensor *t = vb_source_at(f->source, i);
        if (json_object_get(map, t->name) == NULL)
            VB_FAIL(err, VB_E_FORMAT, "%s: tensor '%s': expected to stand in %s, found it missing there", t->file,
                    t->name,
                    l->index);
    }
    return VB_OK;
}

static vb_status add_indexed(const vb_folder *f, const layout *l, vb_err *err)
{
    char path[4096];
    json_t *index = NULL;
    VB_TRY(join(f, l->index, path, sizeof path, err));
    VB_TRY(vb_json_file(&index, path, err));
    json_t *map = json_object_get(index, "weight_map");
    vb_status status = VB_OK;
    if (!json_is_object(map))
        status = vb_fail(err, VB_E_FORMAT, "%s: weight_map: expected an object, found %s", path,
                         map ? "something else" : "none");
    if (status == VB_OK) status = add_named(f, l, map, err);
    if (status == VB_OK) status = check_index(f, l, map, err);
    json_decref(index);
    return status;
}

/* Without an index: file 1 of n says how many there are. Returns n, 0: there is none. */
static int count_parts(const vb_folder *f, const layout *l)
{
    char name[128];
    for (int n = 1; n < 1000; n++) {
        snprintf(name, sizeof name, l->part, 1, n);
        if (is_there(f, name)) return n;
    }
    return 0;
}

static vb_status add_layout(const vb_folder *f, const layout *l, int *found, vb_err *err)
{
    char name[128];
    int parts = 0;
    *found = 1;
    if (is_there(f, l->index)) return add_indexed(f, l, err);
    if (is_there(f, l->single)) return add_file(f, l, l->single, err);
    parts = count_parts(f, l);
    for (int i = 1; i <= parts; i++) {
        snprintf(name, sizeof name, l->part, i, parts);
        VB_TRY(add_file(f, l, name, err));
    }
    *found = parts > 0;
    return VB_OK;
}

static vb_status add_tensors(const vb_folder *f, vb_err *err)
{
    int found = 0;
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0] && !found; i++)
        VB_TRY(add_layout(f, &layouts[i], &found, err));
    if (!found)
        VB_FAIL(err, VB_E_NOT_FOUND, "%s: expected model.safetensors, pytorch_model.bin or their parts, found none",
                f->path);
    const json_t *groups = json_object_get(f->config, "quantization");
    return vb_mlx_join(f->source, groups, err);
}

/* --- settings -------------------------------------------------------------------------------------------------- */

static vb_status read_config(vb_folder *f, vb_err *err)
{
    char path[4096];
    VB_TRY(join(f, "config.json", path, sizeof path, err));
    vb_status status = vb_json_file(&f->config, path, err);
    if (status == VB_E_NOT_FOUND) VB_FAIL(err, status, "%s: expected config.json in this folder, found none", f->path);
    VB_TRY(status);
    const json_t *classes = json_object_get(f->config, "architectures");
    const char *name = json_string_value(json_array_get(classes, 0));
    if (name == NULL) VB_FAIL(err, VB_E_FORMAT, "%s: architectures: expected the name of a class, found none", path);
    snprintf(f->class_name, sizeof f->class_name, "%s", name);
    json_t *text = json_object_get(f->config, "text_config");
    if (json_is_object(text) && json_object_update(f->config, text) != 0)
        VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", path);
    return VB_OK;
}

/* The last part of the path; of "." and ".." that of where they lead. */
static void name_of(vb_folder *f)
{
    const char *name = last_part(f->path);
    char *whole = *name == '\0' || *name == '.' ? realpath(f->path, NULL) : NULL;
    snprintf(f->name, sizeof f->name, "%.255s", whole != NULL ? last_part(whole) : name);
    free(whole);
}

vb_status vb_folder_open(vb_folder *out, const char *path, vb_err *err)
{
    memset(out, 0, sizeof *out);
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') len--;
    if (len >= sizeof out->path - 256) VB_FAIL(err, VB_E_ARGUMENT, "%.64s...: expected a shorter path", path);
    memcpy(out->path, path, len);
    name_of(out);
    if (access(out->path, F_OK) != 0) VB_FAIL(err, VB_E_NOT_FOUND, "%s: expected a folder, found nothing there",
                                              out->path);
    vb_status status = read_config(out, err);
    if (status == VB_OK) status = vb_source_open(&out->source, err);
    if (status == VB_OK) status = add_tensors(out, err);
    if (status < 0) vb_folder_close(out);
    return status;
}

void vb_folder_close(vb_folder *f)
{
    json_decref(f->config);
    vb_source_close(f->source);
    f->config = NULL;
    f->source = NULL;
}

static const json_t *by_path(const json_t *config, const char *path, size_t len)
{
    char key[64];
    while (config != NULL && len > 0) {
        size_t part = 0;
        while (part < len && path[part] != '.') part++;
        snprintf(key, sizeof key, "%.*s", (int)part, path);
        config = json_object_get(config, key);
        part += part < len;
        path += part;
        len -= part;
    }
    return json_is_null(config) ? NULL : config;
}

const json_t *vb_setting(const json_t *config, const char *names)
{
    for (const char *name = names;; name++) {
        size_t len = strcspn(name, "|");
        const json_t *value = by_path(config, name, len);
        name += len;
        if (value != NULL || *name == '\0') return value;
    }
}

static vb_status absent(const vb_folder *f, const char *names, vb_err *err)
{
    VB_FAIL(err, VB_E_NOT_FOUND, "%s/config.json: %.*s: expected a number, found none", f->path,
            (int)strcspn(names, "|"), names);
}

vb_status vb_setting_int(const vb_folder *f, const char *names, int64_t least, int64_t most, int64_t *out, vb_err *err)
{
    const json_t *value = vb_setting(f->config, names);
    if (value == NULL) return absent(f, names, err);
    double real = json_number_value(value);
    if (!json_is_number(value) || real != floor(real) || real < (double)least || real > (double)most)
        VB_FAIL(err, VB_E_FORMAT,
                "%s/config.json: %.*s: expected a whole number from %lld to %lld, found something else",
                f->path, (int)strcspn(names, "|"), names, (long long)least, (long long)most);
    *out = json_is_integer(value) ? json_integer_value(value) : (int64_t)real;
    return VB_OK;
}

vb_status vb_setting_real(const vb_folder *f, const char *names, double *out, vb_err *err)
{
    const json_t *value = vb_setting(f->config, names);
    if (value == NULL) return absent(f, names, err);
    if (!json_is_number(value))
        VB_FAIL(err, VB_E_FORMAT, "%s/config.json: %.*s: expected a number, found something else", f->path,
                (int)strcspn(names, "|"), names);
    *out = json_number_value(value);
    return VB_OK;
}

int vb_setting_is(const json_t *config, const char *names, const char *text)
{
    const char *value = json_string_value(vb_setting(config, names));
    return value != NULL && strcmp(value, text) == 0;
}
