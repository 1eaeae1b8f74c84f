/* safetensors.c - one safetensors file: a length, a header in JSON, bytes.
 *
 *   | u64 n | n bytes: {"name": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}, ...} | bytes |
 *
 * Invariant: a tensor joins the source only if its bytes are as many as its shape and dtype say, and all tensors of the
 * file together cover the bytes behind the header once, without gap or overlap.
 */
#include "convert/source.h"

#include "base/os.h"
#include "convert/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_MOST = 100000000 };

typedef struct {
    const char *path; /* in the source's arena */
    const uint8_t *bytes;
    uint64_t size;    /* of what lies behind the header */
} file;

typedef struct {
    uint64_t begin, end;
    const char *name;
} span;

static const struct {
    const char *name;
    vb_number type;
} dtypes[] = {{"F32", VB_NUM_F32}, {"F16", VB_NUM_F16}, {"BF16", VB_NUM_BF16}, {"F64", VB_NUM_F64}, {"I64", VB_NUM_I64},
              {"I32", VB_NUM_I32}, {"I16", VB_NUM_I16}, {"I8", VB_NUM_I8}, {"U32", VB_NUM_U32}, {"U8", VB_NUM_U8},
              {"BOOL", VB_NUM_BOOL}};

static vb_status read_dtype(const file *f, const char *name, const json_t *value, vb_number *out, vb_err *err)
{
    const char *text = json_string_value(json_object_get(value, "dtype"));
    for (size_t i = 0; text != NULL && i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (strcmp(dtypes[i].name, text) == 0) {
            *out = dtypes[i].type;
            return VB_OK;
        }
    VB_FAIL(err, text != NULL ? VB_E_UNSUPPORTED : VB_E_FORMAT,
            "%s: tensor '%s': dtype: expected F32, F16, BF16, F64, I64, I32, I16, I8, U32, U8 or BOOL, found %.32s", f->path,
            name, text != NULL ? text : "none");
}

/* Dimensions, and the bytes that they and the type take. */
static vb_status read_shape(const file *f, vb_source_tensor *t, const json_t *value, uint64_t *bytes, vb_err *err)
{
    const json_t *shape = json_object_get(value, "shape");
    size_t n = json_array_size(shape);
    if (!json_is_array(shape) || n > VB_SOURCE_DIMS)
        VB_FAIL(err, VB_E_FORMAT, "%s: tensor '%s': shape: expected a list of at most %d numbers, found %s", f->path,
                t->name,
                VB_SOURCE_DIMS, json_is_array(shape) ? "a longer one" : "none");
    uint64_t total = (uint64_t)vb_number_bytes(t->type);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(shape, i);
        json_int_t dim = json_integer_value(item);
        if (!json_is_integer(item) || dim < 0)
            VB_FAIL(err, VB_E_FORMAT, "%s: tensor '%s': shape: expected whole numbers, found something else", f->path,
                    t->name);
        t->dims[i] = (uint64_t)dim;
        if (__builtin_mul_overflow(total, t->dims[i], &total) || total > INT64_MAX)
            VB_FAIL(err, VB_E_FORMAT, "%s: tensor '%s': shape: expected fewer than 2^63 bytes, found more", f->path,
                    t->name);
    }
    t->n_dims = (int)n;
    *bytes = total;
    return VB_OK;
}

static vb_status read_span(const file *f, const char *name, const json_t *value, span *out, vb_err *err)
{
    const json_t *offsets = json_object_get(value, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: tensor '%s': data_offsets: expected [begin, end], found something else",
                f->path, name);
    *out = (span){(uint64_t)json_integer_value(begin), (uint64_t)json_integer_value(end), name};
    if (json_integer_value(end) < json_integer_value(begin) || out->end > f->size)
        VB_FAIL(err, VB_E_FORMAT, "%s: tensor '%s': data_offsets: expected to lie in the %llu bytes there are, found "
                "%llu to %lld", f->path, name, (unsigned long long)f->size, (unsigned long long)out->begin,
                (long long)json_integer_value(end));
    return VB_OK;
}

static vb_status add_tensor(vb_source *s, const file *f, const char *name, const json_t *value, span *at, vb_err *err)
{
    vb_source_tensor t = {.name = name, .file = f->path};
    uint64_t bytes = 0;
    VB_TRY(read_dtype(f, name, value, &t.type, err));
    VB_TRY(read_shape(f, &t, value, &bytes, err));
    VB_TRY(read_span(f, name, value, at, err));
    if (at->end - at->begin != bytes)
        VB_FAIL(err, VB_E_FORMAT, "%s: tensor '%s': data_offsets: expected %llu bytes as its shape says, found %llu",
                f->path,
                name, (unsigned long long)bytes, (unsigned long long)(at->end - at->begin));
    t.data = f->bytes + at->begin;
    return vb_source_add(s, &t, err);
}

static int by_begin(const void *a, const void *b)
{
    const span *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* Each byte behind the header is one tensor's. */
static vb_status check_cover(const file *f, span *spans, size_t n, vb_err *err)
{
    uint64_t at = 0;
    if (n > 0) qsort(spans, n, sizeof *spans, by_begin);
    for (size_t i = 0; i < n; i++) {
        if (spans[i].begin != at)
            VB_FAIL(err, VB_E_FORMAT,
                    "%s: tensor '%s': data_offsets: expected to begin at %llu, where the one before it "
                    "ends, found %llu (%s)", f->path, spans[i].name, (unsigned long long)at,
                    (unsigned long long)spans[i].begin, spans[i].begin < at ? "an overlap" : "a gap");
        at = spans[i].end;
    }
    if (at != f->size)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected %llu bytes of tensors as its header says, found %llu", f->path,
                (unsigned long long)at, (unsigned long long)f->size);
    return VB_OK;
}

static vb_status add_all(vb_source *s, const file *f, json_t *header, vb_err *err)
{
    size_t n = 0;
    const char *name;
    json_t *value;
    vb_status status = VB_OK;
    span *spans = calloc(json_object_size(header) + 1, sizeof *spans);
    if (spans == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", f->path);
    json_object_foreach(header, name, value) {
        if (strcmp(name, "__metadata__") == 0) continue;
        VB_TRY_OUT(status, add_tensor(s, f, name, value, &spans[n++], err));
    }
    status = check_cover(f, spans, n, err);
out:
    free(spans);
    return status;
}

vb_status vb_safetensors_add(vb_source *s, const char *path, vb_err *err)
{
    uint64_t n = 0;
    const vb_map *map;
    json_t *header = NULL;
    char name[4096];
    char *kept = vb_arena_text(vb_source_arena(s), path, strlen(path));
    if (kept == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", path);
    VB_TRY(vb_source_map(s, path, &map, err));
    if (map->size < sizeof n)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected a safetensors file, found %llu bytes", path,
                (unsigned long long)map->size);
    memcpy(&n, map->data, sizeof n);
    if (n > HEADER_MOST || n > map->size - sizeof n)
        VB_FAIL(err, VB_E_FORMAT, "%s: header: expected at most %llu bytes, found %llu", path,
                (unsigned long long)(n > HEADER_MOST ? HEADER_MOST : map->size - sizeof n), (unsigned long long)n);
    snprintf(name, sizeof name, "%.4000s: header", path);
    VB_TRY(vb_json_parse(&header, (const char *)map->data + sizeof n, (size_t)n, name, err));
    file f = {kept, map->data + sizeof n + n, map->size - sizeof n - n};
    vb_status status = add_all(s, &f, header, err);
    json_decref(header);
    return status;
}
