/* gguf_file.c - the bytes of one GGUF file to checked tables.
 *
 * A cursor walks from the magic to the end of the tensor directory. Nothing is believed: a count is at most what
 * the rest of the file can hold before anything is allocated for it, every sum and product is checked, and a
 * tensor gets its address only when its whole range lies inside the file, apart from all others. Another program may
 * write the file meanwhile, so its bytes are copied once, ahead of the cursor, and looked at in the copy alone.
 *
 * Invariant: cursor.at <= cursor.ready <= cursor.size, and at any failure the message names the key or tensor that is
 * being read.
 */
#include "file/gguf_file.h"

#include <stdlib.h>
#include <string.h>

/* Limits far above any real model; they keep time and memory spent on a bad file small. */
enum {
    MOST_ENTRIES = 8192,
    MOST_TENSORS = 16384,
    MOST_STRING_BYTES = 20 << 20, /* in all arrays of strings together: only those are walked */
    MOST_READ = 24 << 20,         /* of header, keys and tensor directory, which are copied */
    READ_AT_ONCE = 1 << 18,
    LONGEST_KEY = 65535,
    LONGEST_NAME = 63,
    SMALLEST_ENTRY = 8 + 1 + 4 + 1,
    SMALLEST_TENSOR = 8 + 1 + 4 + 8 + 4 + 8,
    DEFAULT_ALIGNMENT = 32,
    LARGEST_ALIGNMENT = 1 << 20,
};

typedef struct {
    const char *path;
    const vb_map *file;
    uint8_t *copy;       /* of the file's bytes [0, ready) */
    const uint8_t *data; /* the copy, or the file's bytes themselves if they are borrowed */
    uint64_t size, ready, at;
    uint64_t string_bytes; /* walked so far */
    const char *kind;      /* what is being read: "key", "tensor", or "header" */
    uint64_t number;       /* the how-manieth of its kind, from 1 */
    vb_text name;          /* ptr NULL: not read yet */
    vb_status failed;
    char object[96];       /* these three as text, made when something fails */
    vb_err *err;
} cursor;

static const char *object(cursor *c)
{
    if (c->name.ptr != NULL)
        snprintf(c->object, sizeof c->object, "%s %.*s", c->kind, (int)(c->name.len < 64 ? c->name.len : 64),
                 c->name.ptr);
    else if (c->number > 0)
        snprintf(c->object, sizeof c->object, "%s number %llu", c->kind, (unsigned long long)c->number);
    else
        snprintf(c->object, sizeof c->object, "%s", c->kind);
    return c->object;
}

#define FAIL(c, code, fmt, ...) VB_FAIL((c)->err, code, "%s: %s: " fmt, (c)->path, object(c), __VA_ARGS__)
#define BAD(c, fmt, ...) FAIL(c, VB_E_FORMAT, fmt, __VA_ARGS__)
#define ULL(x) ((unsigned long long)(x))

/* Copies at least up to c->at + bytes. */
static vb_status read_on(cursor *c, uint64_t bytes)
{
    if (bytes > c->size - c->at)
        BAD(c, "at byte %llu: expected %llu more bytes, found %llu", ULL(c->at), ULL(bytes), ULL(c->size - c->at));
    uint64_t end = c->at + bytes, most = c->size < MOST_READ ? c->size : MOST_READ;
    if (end > most) BAD(c, "expected it to end within the first %d bytes, found byte %llu in it", MOST_READ, ULL(end));
    end = end + READ_AT_ONCE < most ? end + READ_AT_ONCE : most;
    VB_TRY(vb_map_read(c->file, c->ready, c->copy + c->ready, end - c->ready, c->path, c->err));
    c->ready = end;
    return VB_OK;
}

/* The next `bytes` bytes; NULL: c->failed tells why not. */
static inline const uint8_t *take(cursor *c, uint64_t bytes)
{
    if (bytes > c->ready - c->at && (c->failed = read_on(c, bytes)) < 0) return NULL;
    c->at += bytes;
    return c->data + c->at - bytes;
}

static vb_status take_u32(cursor *c, uint32_t *out)
{
    const uint8_t *p = take(c, sizeof *out);
    if (p == NULL) return c->failed;
    memcpy(out, p, sizeof *out);
    return VB_OK;
}

static vb_status take_u64(cursor *c, uint64_t *out)
{
    const uint8_t *p = take(c, sizeof *out);
    if (p == NULL) return c->failed;
    memcpy(out, p, sizeof *out);
    return VB_OK;
}

static int printable(const uint8_t *p, uint64_t len)
{
    for (uint64_t i = 0; i < len; i++)
        if (p[i] < 0x20 || p[i] > 0x7e) return 0;
    return 1;
}

/* The name of a key or tensor; from here on errors carry it. */
static vb_status take_name(cursor *c, uint64_t longest)
{
    uint64_t at = c->at, len = 0;
    VB_TRY(take_u64(c, &len));
    if (len == 0 || len > longest)
        BAD(c, "at byte %llu: expected a name of 1 to %llu bytes, found %llu", ULL(at), ULL(longest), ULL(len));
    const uint8_t *p = take(c, len);
    if (p == NULL) return c->failed;
    if (!printable(p, len)) BAD(c, "at byte %llu: expected a name in printable ASCII, found other bytes", ULL(at + 8));
    c->name = vb_text_of((const char *)p, (size_t)len);
    return VB_OK;
}

/* --- header ---------------------------------------------------------------------------------------------- */

static vb_status check_magic(cursor *c)
{
    uint8_t b[4] = {0};
    if (c->size == 0) BAD(c, "expected a GGUF file, found %s", "an empty file");
    memcpy(b, c->data, c->ready < 4 ? c->ready : 4);
    if (c->size < 4 || memcmp(b, "GGUF", 4) != 0)
        BAD(c, "expected a GGUF file (bytes 47 47 55 46), found %02x %02x %02x %02x", b[0], b[1], b[2], b[3]);
    c->at = 4;
    return VB_OK;
}

static vb_status take_version(cursor *c, int *version)
{
    uint32_t v = 0;
    VB_TRY(take_u32(c, &v));
    if (v >= 0x10000 && (v & 0xffff) == 0)
        FAIL(c, VB_E_UNSUPPORTED, "expected little-endian GGUF, found a big-endian file (version bytes %08x)", v);
    if (v != 2 && v != 3) FAIL(c, VB_E_UNSUPPORTED, "expected GGUF version 2 or 3, found version %u", v);
    *version = (int)v;
    return VB_OK;
}

static vb_status check_count(cursor *c, const char *what, uint64_t n, uint64_t most, uint64_t smallest)
{
    uint64_t fit = (c->size - c->at) / smallest;
    if (n > most) BAD(c, "expected at most %llu %s, found %llu", ULL(most), what, ULL(n));
    if (n > fit)
        BAD(c, "expected at most %llu %s in the %llu bytes left, found %llu", ULL(fit), what, ULL(c->size - c->at),
            ULL(n));
    return VB_OK;
}

static vb_status take_header(cursor *c, vb_gguf_file *f)
{
    VB_TRY(check_magic(c));
    VB_TRY(take_version(c, &f->version));
    VB_TRY(take_u64(c, &f->n_tensors));
    VB_TRY(take_u64(c, &f->n_entries));
    VB_TRY(check_count(c, "tensors", f->n_tensors, MOST_TENSORS, SMALLEST_TENSOR));
    return check_count(c, "keys", f->n_entries, MOST_ENTRIES, SMALLEST_ENTRY);
}

/* --- keys ------------------------------------------------------------------------------------------------ */

static uint64_t size_of(vb_gguf_type type)
{
    static const uint8_t sizes[VB_GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return sizes[type];
}

static vb_status take_type(cursor *c, vb_gguf_type *out)
{
    uint32_t type = 0;
    uint64_t at = c->at;
    VB_TRY(take_u32(c, &type));
    if (type >= VB_GGUF_TYPES) BAD(c, "at byte %llu: expected a type below 13, found %u", ULL(at), type);
    *out = (vb_gguf_type)type;
    return VB_OK;
}

static vb_status skip_string(cursor *c)
{
    uint64_t len = 0;
    VB_TRY(take_u64(c, &len));
    return take(c, len) == NULL ? c->failed : VB_OK;
}

static vb_status take_array(cursor *c, vb_gguf_entry *e)
{
    VB_TRY(take_type(c, &e->item));
    VB_TRY(take_u64(c, &e->n));
    if (e->item == VB_GGUF_ARRAY)
        FAIL(c, VB_E_UNSUPPORTED, "expected an array of plain items, found %s", "an array of arrays");
    e->data = c->data + c->at;
    if (e->item != VB_GGUF_STRING) {
        VB_TRY(check_count(c, "items", e->n, INT64_MAX, size_of(e->item)));
        return take(c, e->n * size_of(e->item)) == NULL ? c->failed : VB_OK;
    }
    VB_TRY(check_count(c, "items", e->n, MOST_STRING_BYTES / 8, 8));
    uint64_t start = c->at, most = MOST_STRING_BYTES - c->string_bytes;
    for (uint64_t i = 0; i < e->n; i++) {
        VB_TRY(skip_string(c));
        if (c->at - start > most)
            BAD(c, "expected at most %d bytes of strings in arrays, found more", MOST_STRING_BYTES);
    }
    c->string_bytes += c->at - start;
    return VB_OK;
}

static vb_status take_value(cursor *c, vb_gguf_entry *e)
{
    e->item = e->type;
    e->n = 1;
    e->data = c->data + c->at;
    if (e->type == VB_GGUF_ARRAY) return take_array(c, e);
    if (e->type == VB_GGUF_STRING) return skip_string(c);
    const uint8_t *p = take(c, size_of(e->type));
    if (p == NULL) return c->failed;
    if (e->type == VB_GGUF_BOOL && *p > 1) BAD(c, "expected a boolean 0 or 1, found %d", *p);
    return VB_OK;
}

static vb_status take_entries(cursor *c, vb_gguf_file *f, vb_arena *arena)
{
    f->entries = vb_arena_array(arena, f->n_entries, sizeof *f->entries);
    vb_text *names = vb_arena_array(arena, f->n_entries, sizeof *names);
    if (f->entries == NULL || names == NULL) FAIL(c, VB_E_MEMORY, "out of memory for %llu keys", ULL(f->n_entries));
    c->kind = "key";
    for (uint64_t i = 0; i < f->n_entries; i++) {
        vb_gguf_entry *e = &f->entries[i];
        c->number = i + 1;
        c->name.ptr = NULL;
        VB_TRY(take_name(c, LONGEST_KEY));
        names[i] = e->key = c->name;
        VB_TRY(take_type(c, &e->type));
        VB_TRY(take_value(c, e));
    }
    f->keys_end = c->data + c->at;
    int64_t twice = vb_gguf_index_make(&f->keys, arena, names, f->n_entries);
    if (twice == VB_E_MEMORY) FAIL(c, VB_E_MEMORY, "out of memory for %llu keys", ULL(f->n_entries));
    if (twice < 0) return VB_OK;
    c->name = names[twice];
    BAD(c, "expected one key of this name, found %s", "two");
}

static vb_status read_alignment(cursor *c, const vb_gguf_file *f, uint64_t *out)
{
    static const char key[] = "general.alignment";
    int64_t i = vb_gguf_index_find(&f->keys, vb_text_of(key, sizeof key - 1));
    uint32_t value;
    *out = DEFAULT_ALIGNMENT;
    if (i < 0) return VB_OK;
    c->kind = "key";
    c->name = f->entries[i].key;
    if (f->entries[i].type != VB_GGUF_U32)
        BAD(c, "expected u32, found %s", vb_gguf_type_name(f->entries[i].type));
    memcpy(&value, f->entries[i].data, sizeof value);
    if (value < 8 || value > LARGEST_ALIGNMENT || (value & (value - 1)) != 0)
        BAD(c, "expected a power of two from 8 to %d, found %u", LARGEST_ALIGNMENT, value);
    *out = value;
    return VB_OK;
}

/* --- tensors --------------------------------------------------------------------------------------------- */

static vb_status take_shape(cursor *c, vb_gguf_tensor *t)
{
    uint32_t dims = 0;
    VB_TRY(take_u32(c, &dims));
    if (dims < 1 || dims > 4) BAD(c, "expected 1 to 4 dimensions, found %u", dims);
    t->n_dims = (int)dims;
    t->elements = 1;
    for (int i = 0; i < 4; i++) t->ne[i] = 1;
    for (int i = 0; i < t->n_dims; i++) {
        VB_TRY(take_u64(c, &t->ne[i]));
        if (t->ne[i] == 0) BAD(c, "dimension %d: expected at least 1, found %d", i, 0);
        if (__builtin_mul_overflow(t->elements, t->ne[i], &t->elements) || t->elements > INT64_MAX)
            BAD(c, "dimension %d: expected fewer than 2^63 elements in all, found a factor of %llu", i, ULL(t->ne[i]));
    }
    return VB_OK;
}

static vb_status take_format(cursor *c, vb_gguf_tensor *t)
{
    uint32_t type = 0;
    VB_TRY(take_u32(c, &type));
    t->format = vb_format_of_gguf(type);
    if (t->format == NULL) BAD(c, "expected a known weight format, found type number %u", type);
    uint64_t block = (uint64_t)t->format->block;
    if (t->ne[0] % block != 0)
        BAD(c, "expected rows of a multiple of %llu elements (%s), found %llu", ULL(block), t->format->name,
            ULL(t->ne[0]));
    if (__builtin_mul_overflow(t->elements / block, (uint64_t)t->format->bytes, &t->bytes))
        BAD(c, "expected a size below 2^64 bytes, found %llu elements of %s", ULL(t->elements), t->format->name);
    return VB_OK;
}

static vb_status take_tensors(cursor *c, vb_gguf_file *f, vb_arena *arena)
{
    f->tensors = vb_arena_array(arena, f->n_tensors, sizeof *f->tensors);
    if (f->tensors == NULL) FAIL(c, VB_E_MEMORY, "out of memory for %llu tensors", ULL(f->n_tensors));
    c->kind = "tensor";
    for (uint64_t i = 0; i < f->n_tensors; i++) {
        vb_gguf_tensor *t = &f->tensors[i];
        c->number = i + 1;
        c->name.ptr = NULL;
        VB_TRY(take_name(c, LONGEST_NAME));
        t->name = vb_arena_text(arena, c->name.ptr, c->name.len);
        if (t->name == NULL) FAIL(c, VB_E_MEMORY, "out of memory for its name of %zu bytes", c->name.len);
        VB_TRY(take_shape(c, t));
        VB_TRY(take_format(c, t));
        VB_TRY(take_u64(c, &t->offset));
    }
    return VB_OK;
}

/* The cursor stands behind the directory: the data section starts at the next multiple of the alignment. */
static vb_status place_tensors(cursor *c, vb_gguf_file *f, uint64_t alignment)
{
    uint64_t start, end;
    c->kind = "header";
    c->name.ptr = NULL;
    c->number = 0;
    if (__builtin_add_overflow(c->at, alignment - 1, &start))
        BAD(c, "expected a smaller file, found %llu bytes", ULL(c->at));
    start &= ~(alignment - 1);
    uint64_t size = start < c->size ? c->size - start : 0;
    c->kind = "tensor";
    for (uint64_t i = 0; i < f->n_tensors; i++) {
        vb_gguf_tensor *t = &f->tensors[i];
        c->name = vb_text_of(t->name, strlen(t->name));
        if (t->offset % alignment != 0)
            BAD(c, "expected an offset of a multiple of %llu, found %llu", ULL(alignment), ULL(t->offset));
        if (__builtin_add_overflow(t->offset, t->bytes, &end) || end > size)
            BAD(c, "expected %llu bytes at offset %llu, found a data section of %llu bytes (file: %llu)", ULL(t->bytes),
                ULL(t->offset), ULL(size), ULL(c->size));
        t->data = c->file->data + start + t->offset;
    }
    return VB_OK;
}

static int by_offset(const void *a, const void *b)
{
    const vb_gguf_tensor *x = *(const vb_gguf_tensor *const *)a, *y = *(const vb_gguf_tensor *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* No tensor is empty, so two that share a byte are neighbours by offset somewhere. */
static vb_status check_overlap(cursor *c, const vb_gguf_file *f, vb_arena *arena)
{
    const vb_gguf_tensor **order = vb_arena_array(arena, f->n_tensors, sizeof *order);
    if (order == NULL) FAIL(c, VB_E_MEMORY, "out of memory for %llu tensors", ULL(f->n_tensors));
    for (uint64_t i = 0; i < f->n_tensors; i++) order[i] = &f->tensors[i];
    qsort(order, f->n_tensors, sizeof *order, by_offset);
    for (uint64_t i = 1; i < f->n_tensors; i++) {
        const vb_gguf_tensor *a = order[i - 1], *b = order[i];
        if (a->offset + a->bytes <= b->offset) continue;
        c->name = vb_text_of(b->name, strlen(b->name));
        BAD(c, "expected data behind tensor %s (offset %llu, %llu bytes), found offset %llu inside it", a->name,
            ULL(a->offset), ULL(a->bytes), ULL(b->offset));
    }
    return VB_OK;
}

/* A copy costs memory only as far as it is written. */
static vb_status start(cursor *c, vb_gguf_file *f)
{
    c->data = c->file->data;
    c->ready = c->size;
    if (f->borrowed || c->size == 0) return VB_OK;
    f->copy_room = c->size < MOST_READ ? c->size : MOST_READ;
    c->data = c->copy = f->copy = vb_pages_reserve(f->copy_room);
    if (c->copy == NULL) FAIL(c, VB_E_MEMORY, "out of memory for a copy of up to %llu bytes", ULL(f->copy_room));
    vb_pages_large(c->copy, f->copy_room);
    c->ready = 0;
    return read_on(c, c->size < 4 ? c->size : 4);
}

vb_status vb_gguf_file_parse(vb_gguf_file *f, vb_arena *arena, vb_err *err)
{
    cursor c = {.path = f->path, .file = &f->map, .size = f->map.size, .kind = "header", .err = err};
    uint64_t alignment;
    VB_TRY(start(&c, f));
    VB_TRY(take_header(&c, f));
    VB_TRY(take_entries(&c, f, arena));
    VB_TRY(read_alignment(&c, f, &alignment));
    VB_TRY(take_tensors(&c, f, arena));
    VB_TRY(place_tensors(&c, f, alignment));
    return check_overlap(&c, f, arena);
}

void vb_gguf_file_close(vb_gguf_file *f)
{
    vb_pages_release(f->copy, f->copy_room);
    if (!f->borrowed) vb_map_close(&f->map);
}
