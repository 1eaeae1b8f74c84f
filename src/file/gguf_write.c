/* gguf_write.c - a GGUF file in one pass: head and directory from memory, weights as they come.
 *
 * Invariant: what close renames holds exactly the bytes that the directory promises, and they are on the disk.
 */
#include "file/gguf_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ALIGNMENT = 32, VERSION = 3 };

static void failed(vb_gguf_writer *w, const char *what)
{
    if (w->status < 0) return;
    w->status = vb_fail(&w->err, errno == ENOMEM ? VB_E_MEMORY : VB_E_IO, "%s: %s: %s", w->path, what, strerror(errno));
}

/* --- bytes in memory ------------------------------------------------------------------------------------------- */

static void add(vb_gguf_writer *w, vb_bytes *to, const void *bytes, size_t n)
{
    if (w->status < 0 || n == 0) return;
    if (n > to->cap - to->len) {
        size_t cap = 2 * to->cap + n + 4096;
        uint8_t *more = realloc(to->data, cap);
        if (more == NULL) {
            failed(w, "keys");
            return;
        }
        to->data = more;
        to->cap = cap;
    }
    memcpy(to->data + to->len, bytes, n);
    to->len += n;
}

static void add_u32(vb_gguf_writer *w, vb_bytes *to, uint32_t value)
{
    add(w, to, &value, sizeof value);
}

static void add_u64(vb_gguf_writer *w, vb_bytes *to, uint64_t value)
{
    add(w, to, &value, sizeof value);
}

static void add_text(vb_gguf_writer *w, vb_bytes *to, const char *text, size_t len)
{
    add_u64(w, to, len);
    add(w, to, text, len);
}

/* --- keys ------------------------------------------------------------------------------------------------------ */

static void put_key(vb_gguf_writer *w, const char *key, size_t len, vb_gguf_type type)
{
    add_text(w, &w->keys, key, len);
    add_u32(w, &w->keys, type);
    w->n_keys++;
}

static void put(vb_gguf_writer *w, const char *key, vb_gguf_type type, const void *value, size_t bytes)
{
    put_key(w, key, strlen(key), type);
    add(w, &w->keys, value, bytes);
}

void vb_gguf_put_u32(vb_gguf_writer *w, const char *key, uint32_t value)
{
    put(w, key, VB_GGUF_U32, &value, sizeof value);
}

void vb_gguf_put_f32(vb_gguf_writer *w, const char *key, float value)
{
    put(w, key, VB_GGUF_F32, &value, sizeof value);
}

void vb_gguf_put_bool(vb_gguf_writer *w, const char *key, int value)
{
    uint8_t byte = value != 0;
    put(w, key, VB_GGUF_BOOL, &byte, 1);
}

void vb_gguf_put_text(vb_gguf_writer *w, const char *key, const char *value)
{
    put_key(w, key, strlen(key), VB_GGUF_STRING);
    add_text(w, &w->keys, value, strlen(value));
}

void vb_gguf_put_array(vb_gguf_writer *w, const char *key, vb_gguf_type item, uint64_t n)
{
    put_key(w, key, strlen(key), VB_GGUF_ARRAY);
    add_u32(w, &w->keys, item);
    add_u64(w, &w->keys, n);
}

void vb_gguf_put_item_text(vb_gguf_writer *w, const char *value)
{
    add_text(w, &w->keys, value, strlen(value));
}

void vb_gguf_put_item(vb_gguf_writer *w, const void *value, size_t bytes)
{
    add(w, &w->keys, value, bytes);
}

static size_t items_bytes(const vb_gguf_entry *e, uint64_t n)
{
    static const size_t size[VB_GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    const uint8_t *cursor = e->data;
    if (e->item != VB_GGUF_STRING) return (size_t)n * size[e->item];
    for (uint64_t i = 0; i < n; i++) vb_gguf_next_string(&cursor);
    return (size_t)(cursor - e->data);
}

void vb_gguf_put_entry(vb_gguf_writer *w, const vb_gguf_entry *entry, uint64_t n)
{
    put_key(w, entry->key.ptr, entry->key.len, entry->type);
    if (entry->type == VB_GGUF_ARRAY) {
        add_u32(w, &w->keys, entry->item);
        add_u64(w, &w->keys, n);
    }
    add(w, &w->keys, entry->data, items_bytes(entry, n));
}

/* --- tensors --------------------------------------------------------------------------------------------------- */

static uint64_t padded(uint64_t n)
{
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

uint64_t vb_gguf_shape_bytes(const vb_gguf_shape *shape)
{
    uint64_t rows = shape->ne[1] * shape->ne[2] * shape->ne[3];
    return shape->ne[0] / (uint64_t)shape->format->block * (uint64_t)shape->format->bytes * rows;
}

void vb_gguf_put_tensor(vb_gguf_writer *w, const vb_gguf_shape *shape)
{
    uint64_t *ends = realloc(w->ends, (size_t)(w->n_tensors + 1) * sizeof *ends);
    if (ends == NULL) {
        failed(w, "tensors");
        return;
    }
    w->ends = ends;
    add_text(w, &w->directory, shape->name, strlen(shape->name));
    add_u32(w, &w->directory, (uint32_t)shape->n_dims);
    for (int i = 0; i < shape->n_dims; i++) add_u64(w, &w->directory, shape->ne[i]);
    add_u32(w, &w->directory, (uint32_t)shape->format->gguf);
    add_u64(w, &w->directory, w->end);
    ends[w->n_tensors++] = w->end + vb_gguf_shape_bytes(shape);
    w->end = padded(ends[w->n_tensors - 1]);
}

/* --- the file -------------------------------------------------------------------------------------------------- */

void vb_gguf_writer_open(vb_gguf_writer *w, const char *path)
{
    memset(w, 0, sizeof *w);
    if (strlen(path) >= sizeof w->path) {
        w->status = vb_fail(&w->err, VB_E_ARGUMENT, "%.64s...: expected a shorter path", path);
        return;
    }
    snprintf(w->path, sizeof w->path, "%s", path);
    struct stat there;
    if (stat(path, &there) == 0 && !S_ISREG(there.st_mode)) {
        w->status = vb_fail(&w->err, VB_E_ARGUMENT, "%s: expected a regular file or none", path);
        return;
    }
    snprintf(w->part, sizeof w->part, "%s.part", path);
    w->to = fopen(w->part, "wb");
    if (w->to == NULL) failed(w, "cannot be written");
}

static void out(vb_gguf_writer *w, const void *bytes, size_t n)
{
    if (w->status < 0 || n == 0) return;
    if (fwrite(bytes, 1, n, w->to) != n) failed(w, "cannot be written");
}

static void out_zeros(vb_gguf_writer *w, uint64_t n)
{
    static const uint8_t zeros[ALIGNMENT];
    out(w, zeros, (size_t)n);
}

static void write_head(vb_gguf_writer *w)
{
    uint32_t version = VERSION;
    if (w->begun) return;
    w->begun = 1;
    uint64_t bytes = 4 + sizeof version + 2 * sizeof w->n_keys + w->keys.len + w->directory.len;
    out(w, "GGUF", 4);
    out(w, &version, sizeof version);
    out(w, &w->n_tensors, sizeof w->n_tensors);
    out(w, &w->n_keys, sizeof w->n_keys);
    out(w, w->keys.data, w->keys.len);
    out(w, w->directory.data, w->directory.len);
    out_zeros(w, padded(bytes) - bytes);
}

/* The end of the tensor that byte `at` of the data section belongs to. */
static uint64_t end_at(const vb_gguf_writer *w)
{
    uint64_t low = 0, high = w->n_tensors;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (padded(w->ends[middle]) > w->at)
            high = middle;
        else
            low = middle + 1;
    }
    return low < w->n_tensors ? w->ends[low] : w->end;
}

void vb_gguf_write(vb_gguf_writer *w, const void *bytes, size_t n)
{
    const uint8_t *from = bytes;
    write_head(w);
    while (n > 0 && w->status == VB_OK) {
        uint64_t end = end_at(w), room = end - w->at;
        size_t part = n < room ? n : (size_t)room;
        if (part == 0) {
            w->status = vb_fail(&w->err, VB_E_ARGUMENT, "%s: more bytes than its tensors have", w->path);
            return;
        }
        out(w, from, part);
        from += part;
        n -= part;
        w->at += part;
        if (w->at < end) continue;
        out_zeros(w, padded(end) - end);
        w->at = padded(end);
    }
}

static void release(vb_gguf_writer *w)
{
    if (w->to != NULL && fclose(w->to) != 0) failed(w, "cannot be written");
    w->to = NULL;
    free(w->keys.data);
    free(w->directory.data);
    free(w->ends);
    w->keys = w->directory = (vb_bytes){0};
    w->ends = NULL;
}

void vb_gguf_writer_drop(vb_gguf_writer *w)
{
    int made = w->to != NULL;
    release(w);
    if (made) unlink(w->part);
}

vb_status vb_gguf_writer_close(vb_gguf_writer *w, vb_err *err)
{
    int made = w->to != NULL;
    if (w->status == VB_OK && w->at != w->end)
        w->status = vb_fail(&w->err, VB_E_ARGUMENT, "%s: expected %llu bytes of weights, found %llu", w->path,
                            (unsigned long long)w->end, (unsigned long long)w->at);
    write_head(w);
    if (w->status == VB_OK && (fflush(w->to) != 0 || fsync(fileno(w->to)) != 0)) failed(w, "cannot be written");
    release(w);
    if (w->status == VB_OK && rename(w->part, w->path) != 0) failed(w, "cannot be named");
    if (w->status < 0 && made) unlink(w->part);
    if (w->status < 0 && err != NULL) *err = w->err;
    return w->status;
}
