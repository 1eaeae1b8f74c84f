/* gguf.c - opening a model: one file, or the parts of a split one, behind one set of tables.
 *
 *   name-00001-of-00003.gguf   all keys, split.no 0, split.count 3, split.tensors.count T, some tensors
 *   name-00002-of-00003.gguf   split.* keys, more tensors
 *   name-00003-of-00003.gguf   the rest: T tensors together
 *
 * Metadata comes from the first part alone; a later part may repeat a key of it but not contradict it. Tensors are
 * one directory over all parts.
 */
#include "file/gguf.h"

#include "file/gguf_file.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_PARTS = 1000, MOST_TENSORS_IN_ALL = 16384, SUFFIX = 20 /* "-00001-of-00003.gguf" */ };

struct vb_gguf {
    vb_arena arena;
    vb_gguf_file *files;
    int n_files;
    vb_gguf_tensor *tensors;
    uint64_t n_tensors;
    vb_gguf_index names;
};

/* --- parts ----------------------------------------------------------------------------------------------- */

static vb_status open_file(vb_gguf *g, vb_gguf_file *f, const char *path, vb_err *err)
{
    f->path = vb_arena_text(&g->arena, path, strlen(path));
    if (f->path == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", path);
    VB_TRY(vb_map_open(&f->map, path, err));
    return vb_gguf_file_parse(f, &g->arena, err);
}

static vb_status split_number(const vb_gguf_file *f, const char *key, int64_t max, int64_t *out, vb_err *err)
{
    int64_t i = vb_gguf_index_find(&f->keys, vb_text_of(key, strlen(key)));
    if (i < 0) VB_FAIL(err, VB_E_FORMAT, "%s: key %s: expected a number, found no such key", f->path, key);
    const vb_gguf_entry *e = &f->entries[i];
    if (e->type > VB_GGUF_I32)
        VB_FAIL(err, VB_E_FORMAT, "%s: key %s: expected a number, found %s", f->path, key, vb_gguf_type_name(e->type));
    *out = vb_gguf_item_int(e, 0);
    if (*out < 0 || *out > max)
        VB_FAIL(err, VB_E_FORMAT, "%s: key %s: expected 0 to %lld, found %lld", f->path, key, (long long)max,
                (long long)*out);
    return VB_OK;
}

/* The path of part `no` (from 0), made from any part's path; NULL: the name is not that of a split model. */
static char *part_path(vb_arena *arena, const char *path, int64_t no, int64_t count)
{
    char suffix[48];
    size_t len = strlen(path);
    if (len <= SUFFIX) return NULL;
    const char *tail = path + len - SUFFIX;
    snprintf(suffix, sizeof suffix, "-of-%05lld.gguf", (long long)count);
    if (tail[0] != '-' || strspn(tail + 1, "0123456789") != 5 || strcmp(tail + 6, suffix) != 0) return NULL;
    char *made = vb_arena_text(arena, path, len);
    if (made == NULL) return NULL;
    snprintf(suffix, sizeof suffix, "%05lld", (long long)no + 1);
    memcpy(made + len - SUFFIX + 1, suffix, 5);
    return made;
}

static size_t entry_bytes(const vb_gguf_file *f, const vb_gguf_entry *e)
{
    const uint8_t *end = f->keys_end;
    if (e + 1 < f->entries + f->n_entries) end = (const uint8_t *)e[1].key.ptr - sizeof(uint64_t);
    return (size_t)(end - e->data);
}

static int same_entry(const vb_gguf_file *f, const vb_gguf_entry *a, const vb_gguf_file *other)
{
    int64_t i = vb_gguf_index_find(&other->keys, a->key);
    if (i < 0) return 0;
    const vb_gguf_entry *b = &other->entries[i];
    size_t bytes = entry_bytes(f, a);
    return a->type == b->type && a->item == b->item && bytes == entry_bytes(other, b) &&
           memcmp(a->data, b->data, bytes) == 0;
}

static vb_status check_part(const vb_gguf *g, int part, int64_t count, vb_err *err)
{
    const vb_gguf_file *f = &g->files[part];
    int64_t found_no, found_count;
    VB_TRY(split_number(f, "split.no", MOST_PARTS, &found_no, err));
    VB_TRY(split_number(f, "split.count", MOST_PARTS, &found_count, err));
    if (found_no != part || found_count != count)
        VB_FAIL(err, VB_E_FORMAT, "%s: key split.no: expected part %d of %lld, found part %lld of %lld (from 0)",
                f->path, part, (long long)count, (long long)found_no, (long long)found_count);
    for (uint64_t i = 0; i < f->n_entries; i++) {
        const vb_gguf_entry *e = &f->entries[i];
        if (e->key.len > 6 && memcmp(e->key.ptr, "split.", 6) == 0) continue;
        if (e->key.len == 17 && memcmp(e->key.ptr, "general.alignment", 17) == 0) continue;
        if (!same_entry(f, e, &g->files[0]))
            VB_FAIL(err, VB_E_FORMAT, "%s: key %.*s: expected what %s says, found something else", f->path,
                    (int)(e->key.len < 64 ? e->key.len : 64), e->key.ptr, g->files[0].path);
    }
    return VB_OK;
}

static vb_status open_parts(vb_gguf *g, int64_t count, vb_err *err)
{
    const vb_gguf_file first = g->files[0];
    int64_t no;
    VB_TRY(split_number(&first, "split.no", MOST_PARTS, &no, err));
    const char *start = part_path(&g->arena, first.path, 0, count);
    if (start == NULL || first.borrowed)
        VB_FAIL(err, VB_E_FORMAT, "%s: key split.count: expected a file name that ends in -00001-of-%05lld.gguf, found "
                "another", first.path, (long long)count);
    if (no != 0 || strcmp(start, first.path) != 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: key split.no: expected the first part, found part %lld; open %s", first.path,
                (long long)no + 1, start);
    vb_gguf_file *files = vb_arena_array(&g->arena, (size_t)count, sizeof *files);
    if (files == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory for %lld parts", first.path, (long long)count);
    files[0] = first;
    g->files = files;
    for (g->n_files = 1; g->n_files < count;) {
        char *path = part_path(&g->arena, first.path, g->n_files, count);
        if (path == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", first.path);
        int part = g->n_files++;
        VB_TRY(open_file(g, &files[part], path, err));
        VB_TRY(check_part(g, part, count, err));
    }
    return VB_OK;
}

/* --- one directory --------------------------------------------------------------------------------------- */

static vb_status join_tensors(vb_gguf *g, vb_err *err)
{
    uint64_t n = 0;
    for (int i = 0; i < g->n_files; i++) n += g->files[i].n_tensors;
    if (n > MOST_TENSORS_IN_ALL)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected at most %d tensors in all parts, found %llu", g->files[0].path,
                MOST_TENSORS_IN_ALL, (unsigned long long)n);
    g->n_tensors = n;
    g->tensors = g->files[0].tensors;
    if (g->n_files == 1) return VB_OK;
    int64_t said;
    VB_TRY(split_number(&g->files[0], "split.tensors.count", INT32_MAX, &said, err));
    if ((uint64_t)said != n)
        VB_FAIL(err, VB_E_FORMAT, "%s: key split.tensors.count: expected %lld tensors in %d parts, found %llu",
                g->files[0].path, (long long)said, g->n_files, (unsigned long long)n);
    g->tensors = vb_arena_array(&g->arena, n, sizeof *g->tensors);
    if (g->tensors == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory for its tensors", g->files[0].path);
    vb_gguf_tensor *to = g->tensors;
    for (int i = 0; i < g->n_files; i++) {
        for (uint64_t t = 0; t < g->files[i].n_tensors; t++) *to++ = g->files[i].tensors[t];
    }
    return VB_OK;
}

static vb_status index_tensors(vb_gguf *g, vb_err *err)
{
    vb_text *names = vb_arena_array(&g->arena, g->n_tensors, sizeof *names);
    if (names == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory for tensor names", g->files[0].path);
    for (uint64_t i = 0; i < g->n_tensors; i++)
        names[i] = vb_text_of(g->tensors[i].name, strlen(g->tensors[i].name));
    int64_t twice = vb_gguf_index_make(&g->names, &g->arena, names, g->n_tensors);
    if (twice == VB_E_MEMORY) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory for tensor names", g->files[0].path);
    if (twice >= 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: tensor %s: expected one tensor of this name, found two", g->files[0].path,
                g->tensors[twice].name);
    return VB_OK;
}

static vb_status finish(vb_gguf *g, vb_err *err)
{
    static const char key[] = "split.count";
    const vb_gguf_file *f = &g->files[0];
    int64_t count = 1;
    if (vb_gguf_index_find(&f->keys, vb_text_of(key, sizeof key - 1)) >= 0)
        VB_TRY(split_number(f, key, MOST_PARTS, &count, err));
    if (count > 1) VB_TRY(open_parts(g, count, err));
    VB_TRY(join_tensors(g, err));
    return index_tensors(g, err);
}

static vb_gguf *gguf_new(void)
{
    vb_gguf *g = calloc(1, sizeof *g);
    if (g == NULL) return NULL;
    g->files = vb_arena_alloc(&g->arena, sizeof *g->files);
    g->n_files = 1;
    if (g->files != NULL) return g;
    free(g);
    return NULL;
}

vb_status vb_gguf_open(vb_gguf **out, const char *path, vb_err *err)
{
    vb_gguf *g = gguf_new();
    vb_status s;
    *out = NULL;
    if (g == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", path);
    VB_TRY_OUT(s, open_file(g, &g->files[0], path, err));
    VB_TRY_OUT(s, finish(g, err));
    *out = g;
    return VB_OK;
out:
    vb_gguf_close(g);
    return s;
}

vb_status vb_gguf_open_memory(vb_gguf **out, const uint8_t *data, uint64_t size, const char *name, vb_err *err)
{
    vb_gguf *g = gguf_new();
    vb_status s = VB_E_MEMORY;
    *out = NULL;
    if (g == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", name);
    vb_gguf_file *f = &g->files[0];
    f->borrowed = 1;
    f->map.data = data;
    f->map.size = size;
    f->path = vb_arena_text(&g->arena, name, strlen(name));
    if (f->path == NULL) {
        vb_fail(err, s, "%s: out of memory", name);
        goto out;
    }
    VB_TRY_OUT(s, vb_gguf_file_parse(f, &g->arena, err));
    VB_TRY_OUT(s, finish(g, err));
    *out = g;
    return VB_OK;
out:
    vb_gguf_close(g);
    return s;
}

void vb_gguf_close(vb_gguf *g)
{
    if (g == NULL) return;
    for (int i = 0; i < g->n_files; i++) vb_gguf_file_close(&g->files[i]);
    vb_arena_free(&g->arena);
    free(g);
}

vb_status vb_gguf_check(const vb_gguf *g, vb_err *err)
{
    for (int i = 0; i < g->n_files; i++)
        if (!g->files[i].borrowed) VB_TRY(vb_map_check(&g->files[i].map, g->files[i].path, err));
    return VB_OK;
}

/* --- looking --------------------------------------------------------------------------------------------- */

const char *vb_gguf_path(const vb_gguf *g)
{
    return g->files[0].path;
}

int vb_gguf_parts(const vb_gguf *g)
{
    return g->n_files;
}

const vb_map *vb_gguf_part(const vb_gguf *g, int part)
{
    return &g->files[part].map;
}

const char *vb_gguf_part_path(const vb_gguf *g, int part)
{
    return g->files[part].path;
}

int vb_gguf_version(const vb_gguf *g)
{
    return g->files[0].version;
}

int64_t vb_gguf_n_entries(const vb_gguf *g)
{
    return (int64_t)g->files[0].n_entries;
}

const vb_gguf_entry *vb_gguf_entry_at(const vb_gguf *g, int64_t i)
{
    return &g->files[0].entries[i];
}

const vb_gguf_entry *vb_gguf_find(const vb_gguf *g, const char *key)
{
    int64_t i = vb_gguf_index_find(&g->files[0].keys, vb_text_of(key, strlen(key)));
    return i < 0 ? NULL : &g->files[0].entries[i];
}

int64_t vb_gguf_n_tensors(const vb_gguf *g)
{
    return (int64_t)g->n_tensors;
}

const vb_gguf_tensor *vb_gguf_tensor_at(const vb_gguf *g, int64_t i)
{
    return &g->tensors[i];
}

const vb_gguf_tensor *vb_gguf_tensor_find(const vb_gguf *g, const char *name)
{
    int64_t i = vb_gguf_index_find(&g->names, vb_text_of(name, strlen(name)));
    return i < 0 ? NULL : &g->tensors[i];
}
