/* imatrix.c - importance matrices, from either of their forms. */
#include "quantize/imatrix.h"
#include "base/arena.h"
#include "file/gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ENTRIES = 1 << 20, LONGEST_NAME = 4096 };

typedef struct {
    const char *name;
    float *values;
    int64_t n;
} entry;

struct vb_imatrix {
    vb_arena arena;
    const char *path;
    entry *entries;
    int64_t n, chunks;
    const char *dataset;
};

static vb_status no_memory(const vb_imatrix *m, vb_err *err)
{
    VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", m->path);
}

static int is_number(float x)
{
    return x - x == 0.0f && x >= 0.0f;
}

/* A new entry with room for n values. */
static vb_status add(vb_imatrix *m, const char *name, size_t len, int64_t n, vb_err *err)
{
    entry *e = &m->entries[m->n];
    e->name = vb_arena_text(&m->arena, name, len);
    e->values = vb_arena_array(&m->arena, (size_t)n, sizeof(float));
    if (e->name == NULL || e->values == NULL) return no_memory(m, err);
    e->n = n;
    m->n++;
    return VB_OK;
}

static vb_status check_last(const vb_imatrix *m, vb_err *err)
{
    const entry *e = &m->entries[m->n - 1];
    for (int64_t i = 0; i < e->n; i++)
        if (!is_number(e->values[i]))
            VB_FAIL(err, VB_E_FORMAT, "%s: %s: value %lld: expected a number >= 0, found %g", m->path, e->name,
                    (long long)i, (double)e->values[i]);
    return VB_OK;
}

static vb_status make_room(vb_imatrix *m, int64_t n, vb_err *err)
{
    m->entries = vb_arena_array(&m->arena, (size_t)n, sizeof *m->entries);
    return m->entries != NULL ? VB_OK : no_memory(m, err);
}

/* --- the GGUF form --------------------------------------------------------------------------------------------- */

static float f32_at(const vb_gguf_tensor *t, uint64_t i)
{
    float x;
    memcpy(&x, (const uint8_t *)t->data + i * sizeof x, sizeof x);
    return x;
}

/* The mean of each column; what was never asked for counts evenly. */
static void take_means(entry *e, const vb_gguf_tensor *sums, const vb_gguf_tensor *counts)
{
    uint64_t columns = sums->elements / counts->elements;
    for (uint64_t i = 0; i < sums->elements; i++) {
        float count = f32_at(counts, i / columns);
        e->values[i] = count > 0.0f ? f32_at(sums, i) / count : 1.0f;
    }
}

static vb_status take_pair(vb_imatrix *m, const vb_gguf *g, const vb_gguf_tensor *sums, vb_err *err)
{
    char name[LONGEST_NAME + 16];
    int len = (int)(strlen(sums->name) - strlen(".in_sum2"));
    snprintf(name, sizeof name, "%.*s.counts", len < LONGEST_NAME ? len : LONGEST_NAME, sums->name);
    const vb_gguf_tensor *counts = vb_gguf_tensor_find(g, name);
    if (counts == NULL) VB_FAIL(err, VB_E_FORMAT, "%s: expected %s beside %s", m->path, name, sums->name);
    if (sums->format->format != VB_FMT_F32 || counts->format->format != VB_FMT_F32)
        VB_FAIL(err, VB_E_FORMAT, "%s: %s: expected F32, found %s and %s", m->path, sums->name, sums->format->name,
                counts->format->name);
    if (counts->elements == 0 || sums->elements == 0 || sums->elements % counts->elements != 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: %s: expected columns for each of %llu counts, found %llu values", m->path,
                sums->name, (unsigned long long)counts->elements, (unsigned long long)sums->elements);
    VB_TRY(add(m, sums->name, (size_t)len, (int64_t)sums->elements, err));
    take_means(&m->entries[m->n - 1], sums, counts);
    return check_last(m, err);
}

static void take_keys(vb_imatrix *m, const vb_gguf *g)
{
    const vb_gguf_entry *sets = vb_gguf_find(g, "imatrix.datasets");
    int64_t chunks;
    if (vb_gguf_int(g, "imatrix.chunk_count", 0, INT64_MAX, &chunks, NULL) == VB_OK) m->chunks = chunks;
    if (sets == NULL || sets->type != VB_GGUF_ARRAY || sets->item != VB_GGUF_STRING || sets->n == 0) return;
    const uint8_t *cursor = sets->data;
    vb_text first = vb_gguf_next_string(&cursor);
    char *copy = vb_arena_text(&m->arena, first.ptr, first.len);
    if (copy != NULL) m->dataset = copy;
}

static vb_status read_gguf(vb_imatrix *m, vb_err *err)
{
    vb_gguf *g;
    vb_status s = VB_OK;
    VB_TRY(vb_gguf_open(&g, m->path, err));
    VB_TRY_OUT(s, make_room(m, vb_gguf_n_tensors(g) + 1, err));
    for (int64_t i = 0; i < vb_gguf_n_tensors(g); i++) {
        const vb_gguf_tensor *t = vb_gguf_tensor_at(g, i);
        size_t len = strlen(t->name);
        if (len > 8 && strcmp(t->name + len - 8, ".in_sum2") == 0) VB_TRY_OUT(s, take_pair(m, g, t, err));
    }
    if (m->n == 0)
        s = vb_fail(err, VB_E_FORMAT, "%s: expected an importance matrix (tensors NAME.in_sum2), found none", m->path);
    take_keys(m, g);
out:
    vb_gguf_close(g);
    return s;
}

/* --- the old form ---------------------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *at;
    uint64_t left;
} reader;

static const uint8_t *take(reader *r, uint64_t n)
{
    const uint8_t *at = r->at;
    if (n > r->left) return NULL;
    r->at += n;
    r->left -= n;
    return at;
}

/* -1: the file ends, or the number is outside [0, most]. */
static int64_t take_count(reader *r, int64_t most)
{
    int32_t value;
    const uint8_t *at = take(r, sizeof value);
    if (at == NULL) return -1;
    memcpy(&value, at, sizeof value);
    return value < 0 || value > most ? -1 : value;
}

static vb_status read_entry(vb_imatrix *m, reader *r, vb_err *err)
{
    int64_t len = take_count(r, LONGEST_NAME), calls, n;
    const uint8_t *name = len > 0 ? take(r, (uint64_t)len) : NULL;
    calls = name != NULL ? take_count(r, INT32_MAX) : -1;
    n = calls >= 0 ? take_count(r, INT32_MAX) : -1;
    const uint8_t *values = n > 0 ? take(r, (uint64_t)n * sizeof(float)) : NULL;
    if (values == NULL)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected an importance matrix, entry %lld is cut off or none", m->path,
                (long long)m->n);
    VB_TRY(add(m, (const char *)name, (size_t)len, n, err));
    float *to = m->entries[m->n - 1].values;
    memcpy(to, values, (size_t)n * sizeof(float));
    for (int64_t i = 0; i < n && calls > 0; i++) to[i] = to[i] / (float)calls;
    return check_last(m, err);
}

static void read_tail(vb_imatrix *m, reader *r)
{
    int64_t chunks = take_count(r, INT32_MAX), len = chunks >= 0 ? take_count(r, LONGEST_NAME) : -1;
    const uint8_t *text = len > 0 ? take(r, (uint64_t)len) : NULL;
    char *copy = text != NULL ? vb_arena_text(&m->arena, (const char *)text, (size_t)len) : NULL;
    if (chunks >= 0) m->chunks = chunks;
    if (copy != NULL) m->dataset = copy;
}

static vb_status read_old(vb_imatrix *m, const vb_map *map, vb_err *err)
{
    reader r = {map->data, map->size};
    int64_t n = take_count(&r, MOST_ENTRIES);
    if (n <= 0 || (uint64_t)n > map->size / 16)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected an importance matrix (GGUF, or a .dat file of llama.cpp)", m->path);
    VB_TRY(make_room(m, n, err));
    while (m->n < n) VB_TRY(read_entry(m, &r, err));
    read_tail(m, &r);
    return VB_OK;
}

/* --- both ------------------------------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

static vb_status read_any(vb_imatrix *m, const char *path, vb_err *err)
{
    vb_map map;
    VB_TRY(vb_map_open(&map, path, err));
    int gguf = map.size >= 4 && memcmp(map.data, "GGUF", 4) == 0;
    vb_status s = gguf ? read_gguf(m, err) : read_old(m, &map, err);
    if (s == VB_OK) s = vb_map_check(&map, path, err);
    vb_map_close(&map);
    if (s < 0) return s;
    qsort(m->entries, (size_t)m->n, sizeof *m->entries, by_name);
    for (int64_t i = 1; i < m->n; i++)
        if (by_name(&m->entries[i - 1], &m->entries[i]) == 0)
            VB_FAIL(err, VB_E_FORMAT, "%s: %s stands there twice", path, m->entries[i].name);
    return VB_OK;
}

vb_status vb_imatrix_open(vb_imatrix **out, const char *path, vb_err *err)
{
    vb_imatrix *m = calloc(1, sizeof *m);
    *out = NULL;
    if (m == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", path);
    m->path = path;
    m->dataset = "";
    vb_status s = read_any(m, path, err);
    if (s < 0) vb_imatrix_close(m);
    else *out = m;
    return s;
}

void vb_imatrix_close(vb_imatrix *m)
{
    if (m == NULL) return;
    vb_arena_free(&m->arena);
    free(m);
}

int64_t vb_imatrix_entries(const vb_imatrix *m)
{
    return m->n;
}

int64_t vb_imatrix_chunks(const vb_imatrix *m)
{
    return m->chunks;
}

const char *vb_imatrix_dataset(const vb_imatrix *m)
{
    return m->dataset;
}

const float *vb_imatrix_find(const vb_imatrix *m, const char *tensor, int64_t *n)
{
    entry key = {.name = tensor};
    const entry *found = bsearch(&key, m->entries, (size_t)m->n, sizeof *m->entries, by_name);
    *n = found != NULL ? found->n : 0;
    return found != NULL ? found->values : NULL;
}
