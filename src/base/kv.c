/* kv.c - rows of keys in and out of tiles (see kv.h). */
#include "base/kv.h"

#include <string.h>

enum { Q8_BLOCK = 32, Q8_BYTES = 34 };

uint64_t vb_kv_row_bytes(int floats, vb_kv kv)
{
    if (kv == VB_KV_F32) return (uint64_t)floats * 4;
    if (kv == VB_KV_Q8_0) return (uint64_t)floats / Q8_BLOCK * Q8_BYTES;
    return (uint64_t)floats * 2;
}

size_t vb_key_places(int n)
{
    return ((size_t)n + VB_KEYS - 1) / VB_KEYS * VB_KEYS;
}

/* One element of n positions, between a tile, where they lie side by side, and rows. */
typedef void move_function(uint8_t *tile, uint8_t *rows, size_t stride, int n, size_t size);

static inline void put(uint8_t *tile, uint8_t *rows, size_t stride, int n, size_t size)
{
    for (int i = 0; i < n; i++, tile += size, rows += stride) memcpy(tile, rows, size);
}

static inline void get(uint8_t *tile, uint8_t *rows, size_t stride, int n, size_t size)
{
    for (int i = 0; i < n; i++, tile += size, rows += stride) memcpy(rows, tile, size);
}

typedef struct {
    uint8_t *tile, *rows;
    size_t stride, row_bytes;
    int first; /* position in the tile */
} turn;

/* The element of `size` bytes at byte `at` of a row. */
static inline void move_at(const turn *t, size_t at, size_t size, int n, move_function *move)
{
    move(t->tile + VB_KEYS * at + size * (size_t)t->first, t->rows + at, t->stride, n, size);
}

static inline void move_all(const turn *t, int n, vb_kv kv, move_function *move)
{
    size_t at = 0;
    for (; kv == VB_KV_F16 && at < t->row_bytes; at += 2) move_at(t, at, 2, n, move);
    for (; kv == VB_KV_F32 && at < t->row_bytes; at += 4) move_at(t, at, 4, n, move);
    for (; at < t->row_bytes; at += Q8_BYTES) {
        move_at(t, at, 2, n, move);
        for (size_t i = 2; i < Q8_BYTES; i++) move_at(t, at + i, 1, n, move);
    }
}

/* Tile after tile; one position alone, which a token writes, has loops of its own. */
static inline void move_tiles(turn *t, int from, int n, vb_kv kv, move_function *move)
{
    t->tile += (size_t)(from / VB_KEYS * VB_KEYS) * t->row_bytes;
    for (int some; n > 0; n -= some, from += some) {
        t->first = from % VB_KEYS;
        some = n < VB_KEYS - t->first ? n : VB_KEYS - t->first;
        if (some == 1) move_all(t, 1, kv, move);
        else move_all(t, some, kv, move);
        t->tile += VB_KEYS * t->row_bytes;
        t->rows += (size_t)some * t->stride;
    }
}

void vb_keys_put(uint8_t *keys, int from, int n, const uint8_t *rows, size_t stride, size_t row_bytes, vb_kv kv)
{
    turn t = {.tile = keys, .rows = (uint8_t *)(uintptr_t)rows, .stride = stride, .row_bytes = row_bytes};
    move_tiles(&t, from, n, kv, put);
}

void vb_keys_get(const uint8_t *keys, int from, int n, uint8_t *rows, size_t stride, size_t row_bytes, vb_kv kv)
{
    turn t = {.tile = (uint8_t *)(uintptr_t)keys, .rows = rows, .stride = stride, .row_bytes = row_bytes};
    move_tiles(&t, from, n, kv, get);
}
