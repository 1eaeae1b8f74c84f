/* source.c - tensors by name, and their numbers as floats.
 *
 *   all[]     as they joined; a removed one has no name
 *   index[]   open addressing by name, at least twice as many places as tensors; 0: free, else 1 + place in all[]
 *
 * Invariant: each tensor with a name is found by it.
 */
#include "convert/source.h"

#include "base/canon.h"
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    void *thing;
    void (*give_back)(void *thing);
} owned;

typedef struct mapped mapped;
struct mapped {
    vb_map map;
    const char *path;
    mapped *next;
};

struct vb_source {
    vb_arena arena;
    mapped *files;
    vb_source_tensor *all;
    int64_t n, cap, live;
    uint32_t *index;
    size_t places; /* a power of two, or 0 */
    owned *owned;
    size_t n_owned;
};

vb_status vb_source_open(vb_source **out, vb_err *err)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) VB_FAIL(err, VB_E_MEMORY, "tensors: out of memory");
    return VB_OK;
}

void vb_source_close(vb_source *s)
{
    if (s == NULL) return;
    while (s->n_owned > 0) {
        s->n_owned--;
        s->owned[s->n_owned].give_back(s->owned[s->n_owned].thing);
    }
    for (mapped *f = s->files; f != NULL; f = f->next) vb_map_close(&f->map);
    free(s->owned);
    free(s->all);
    free(s->index);
    vb_arena_free(&s->arena);
    free(s);
}

vb_arena *vb_source_arena(vb_source *s)
{
    return &s->arena;
}

vb_status vb_source_own(vb_source *s, void *thing, void (*give_back)(void *thing), vb_err *err)
{
    owned *more = realloc(s->owned, (s->n_owned + 1) * sizeof *more);
    if (more == NULL) {
        give_back(thing);
        VB_FAIL(err, VB_E_MEMORY, "tensors: out of memory");
    }
    s->owned = more;
    s->owned[s->n_owned++] = (owned){thing, give_back};
    return VB_OK;
}

vb_status vb_source_map(vb_source *s, const char *path, const vb_map **out, vb_err *err)
{
    mapped *f = vb_arena_alloc(&s->arena, sizeof *f);
    f = f != NULL && (f->path = vb_arena_text(&s->arena, path, strlen(path))) != NULL ? f : NULL;
    if (f == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", path);
    VB_TRY(vb_map_open(&f->map, path, err));
    f->next = s->files;
    s->files = f;
    *out = &f->map;
    return VB_OK;
}

vb_status vb_source_check(const vb_source *s, vb_err *err)
{
    for (const mapped *f = s->files; f != NULL; f = f->next) VB_TRY(vb_map_check(&f->map, f->path, err));
    return VB_OK;
}

/* --- names ----------------------------------------------------------------------------------------------------- */

/* The place in the index where `name` is, or the free one where it would be. */
static size_t place_of(const vb_source *s, const char *name)
{
    uint8_t digest[16];
    size_t at;
    vb_xxh128_of(name, strlen(name), digest);
    memcpy(&at, digest, sizeof at);
    for (at &= s->places - 1; s->index[at] != 0; at = (at + 1) & (s->places - 1)) {
        const char *there = s->all[s->index[at] - 1].name;
        if (there != NULL && strcmp(there, name) == 0) break;
    }
    return at;
}

static vb_status grow(vb_source *s, vb_err *err)
{
    if (s->n < s->cap) return VB_OK;
    int64_t cap = s->cap == 0 ? 256 : 2 * s->cap;
    size_t places = 4 * (size_t)cap;
    vb_source_tensor *all = realloc(s->all, (size_t)cap * sizeof *all);
    if (all != NULL) s->all = all;
    uint32_t *index = all != NULL ? calloc(places, sizeof *index) : NULL;
    if (index == NULL) VB_FAIL(err, VB_E_MEMORY, "tensors: out of memory");
    free(s->index);
    s->index = index;
    s->places = places;
    s->cap = cap;
    for (int64_t i = 0; i < s->n; i++)
        if (s->all[i].name != NULL) s->index[place_of(s, s->all[i].name)] = (uint32_t)i + 1;
    return VB_OK;
}

vb_status vb_source_add(vb_source *s, const vb_source_tensor *t, vb_err *err)
{
    if (s->n >= INT32_MAX / 4) VB_FAIL(err, VB_E_FORMAT, "%s: more tensors than any model has", t->file);
    const vb_source_tensor *there = vb_source_find(s, t->name);
    if (there != NULL)
        VB_FAIL(err, VB_E_FORMAT, "%s: tensor '%s': expected once, found again (also in %s)", t->file, t->name,
                there->file);
    vb_source_tensor copy = *t; /* *t may lie in all[] */
    copy.name = vb_arena_text(&s->arena, t->name, strlen(t->name));
    if (copy.name == NULL) VB_FAIL(err, VB_E_MEMORY, "tensors: out of memory");
    VB_TRY(grow(s, err));
    size_t place = place_of(s, copy.name);
    s->all[s->n] = copy;
    s->index[place] = (uint32_t)++s->n;
    s->live++;
    return VB_OK;
}

const vb_source_tensor *vb_source_find(const vb_source *s, const char *name)
{
    size_t place = s->places > 0 ? place_of(s, name) : 0;
    return s->places > 0 && s->index[place] != 0 ? &s->all[s->index[place] - 1] : NULL;
}

/* Its place in the index stays taken, so that others behind it are still found. */
void vb_source_remove(vb_source *s, const char *name)
{
    size_t place = s->places > 0 ? place_of(s, name) : 0;
    if (s->places == 0 || s->index[place] == 0) return;
    s->all[s->index[place] - 1].name = NULL;
    s->live--;
}

int64_t vb_source_count(const vb_source *s)
{
    return s->live;
}

const vb_source_tensor *vb_source_at(const vb_source *s, int64_t i)
{
    if (s->live == s->n) return i < s->n ? &s->all[i] : NULL;
    for (int64_t k = 0; k < s->n; k++)
        if (s->all[k].name != NULL && i-- == 0) return &s->all[k];
    return NULL;
}

uint64_t vb_source_elements(const vb_source_tensor *t)
{
    uint64_t n = 1;
    for (int i = 0; i < t->n_dims; i++) n *= t->dims[i];
    return n;
}

const char *vb_source_shape(const vb_source_tensor *t, char *buf, size_t cap)
{
    size_t len = 0;
    for (int i = 0; i < t->n_dims && len < cap; i++)
        len += (size_t)snprintf(buf + len, cap - len, "%s%llu", i == 0 ? "[" : ", ", (unsigned long long)t->dims[i]);
    snprintf(buf + (len < cap ? len : cap - 1), len < cap ? cap - len : 1, t->n_dims == 0 ? "[]" : "]");
    return buf;
}

/* --- numbers --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int bytes;
} kinds[VB_NUM_KINDS] = {
    [VB_NUM_F32] = {"F32", 4}, [VB_NUM_F16] = {"F16", 2}, [VB_NUM_BF16] = {"BF16", 2}, [VB_NUM_F64] = {"F64", 8},
    [VB_NUM_I64] = {"I64", 8}, [VB_NUM_I32] = {"I32", 4}, [VB_NUM_I16] = {"I16", 2}, [VB_NUM_I8] = {"I8", 1},
    [VB_NUM_U32] = {"U32", 4}, [VB_NUM_U8] = {"U8", 1}, [VB_NUM_BOOL] = {"BOOL", 1},
};

const char *vb_number_name(vb_number type)
{
    return kinds[type].name;
}

int vb_number_bytes(vb_number type)
{
    return kinds[type].bytes;
}

static float number_at(vb_number type, const uint8_t *p)
{
    union { double d; int64_t l; int32_t i; uint32_t u; int16_t s; uint16_t h; } v;
    memcpy(&v, p, (size_t)kinds[type].bytes);
    switch (type) {
    case VB_NUM_F32: return asf(v.u);
    case VB_NUM_F16: return c_h2f(v.h);
    case VB_NUM_BF16: return asf((uint32_t)v.h << 16);
    case VB_NUM_F64: return (float)v.d;
    case VB_NUM_I64: return (float)v.l;
    case VB_NUM_I32: return (float)v.i;
    case VB_NUM_U32: return (float)v.u;
    case VB_NUM_I16: return (float)v.s;
    case VB_NUM_I8: return (float)(int8_t)*p;
    case VB_NUM_U8: return (float)*p;
    case VB_NUM_BOOL: return *p != 0 ? 1.0f : 0.0f;
    case VB_NUM_KINDS: break;
    }
    return 0.0f;
}

void vb_number_floats(vb_number type, const uint8_t *data, uint64_t n, float *out)
{
    size_t bytes = (size_t)kinds[type].bytes;
    if (type == VB_NUM_F32) {
        memcpy(out, data, (size_t)n * sizeof *out);
        return;
    }
    for (uint64_t i = 0; i < n; i++) out[i] = number_at(type, data + i * bytes);
}

vb_status vb_source_floats(const vb_source_tensor *t, uint64_t first, uint64_t n, float *out, vb_err *err)
{
    if (t->data == NULL) return t->read(t, first, n, out, err);
    vb_number_floats(t->type, t->data + first * (uint64_t)kinds[t->type].bytes, n, out);
    return VB_OK;
}
