/* gguf_writer.h - GGUF bytes made piece by piece, right or wrong on purpose; nothing is checked. */
#ifndef VB_TESTS_GGUF_WRITER_H
#define VB_TESTS_GGUF_WRITER_H
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint8_t *data;
    size_t len, cap;
} writer;

/* n bytes to be filled in. */
static inline uint8_t *put_room(writer *w, size_t n)
{
    if (w->len + n > w->cap) {
        w->cap = 2 * (w->len + n) + 256;
        w->data = realloc(w->data, w->cap);
        if (w->data == NULL) abort();
    }
    w->len += n;
    return w->data + w->len - n;
}

static inline void put(writer *w, const void *bytes, size_t n)
{
    uint8_t *room = put_room(w, n);
    if (n > 0) memcpy(room, bytes, n);
}

static inline void put_u32(writer *w, uint32_t v)
{
    put(w, &v, sizeof v);
}

static inline void put_u64(writer *w, uint64_t v)
{
    put(w, &v, sizeof v);
}

static inline void put_text(writer *w, const char *text)
{
    put_u64(w, strlen(text));
    put(w, text, strlen(text));
}

static inline void put_header(writer *w, uint32_t version, uint64_t tensors, uint64_t keys)
{
    put(w, "GGUF", 4);
    put_u32(w, version);
    put_u64(w, tensors);
    put_u64(w, keys);
}

/* A key of `type` whose value is these bytes. */
static inline void put_key(writer *w, const char *key, uint32_t type, const void *value, size_t n)
{
    put_text(w, key);
    put_u32(w, type);
    put(w, value, n);
}

static inline void put_key_u32(writer *w, const char *key, uint32_t value)
{
    put_key(w, key, 4, &value, sizeof value);
}

static inline void put_key_text(writer *w, const char *key, const char *value)
{
    put_key(w, key, 8, NULL, 0);
    put_text(w, value);
}

/* The head of an array; the items follow. */
static inline void put_key_array(writer *w, const char *key, uint32_t item, uint64_t n)
{
    put_key(w, key, 9, NULL, 0);
    put_u32(w, item);
    put_u64(w, n);
}

static inline void put_tensor(writer *w, const char *name, uint32_t dims, const uint64_t *ne, uint32_t type,
                              uint64_t offset)
{
    put_text(w, name);
    put_u32(w, dims);
    for (uint32_t i = 0; i < dims; i++) put_u64(w, ne[i]);
    put_u32(w, type);
    put_u64(w, offset);
}

static inline void put_zeros(writer *w, size_t n)
{
    uint8_t *room = put_room(w, n);
    memset(room, 0, n);
}

static inline void put_padding(writer *w, size_t alignment)
{
    put_zeros(w, (alignment - w->len % alignment) % alignment);
}

#endif
