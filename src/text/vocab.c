/* vocab.c - open addressing over XXH3: slots hold 32 bits of the hash and the id, at most two thirds of them in use. */
#include "text/vocab.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static size_t free_slot(const vb_vocab *v, uint64_t hash)
{
    size_t i = (size_t)(hash >> 32) & v->mask;
    while (v->slots[i].id >= 0) i = (i + 1) & v->mask;
    return i;
}

static int rehash(vb_vocab *v, size_t slots)
{
    vb_vocab_slot *old = v->slots;
    v->slots = malloc(slots * sizeof *v->slots);
    if (v->slots == NULL) {
        v->slots = old;
        return 0;
    }
    memset(v->slots, 0xff, slots * sizeof *v->slots);
    v->mask = slots - 1;
    for (size_t id = 0; id < v->n; id++) {
        uint64_t hash = XXH3_64bits(v->pieces[id].text, v->pieces[id].len);
        v->slots[free_slot(v, hash)] = (vb_vocab_slot){(uint32_t)hash, (int32_t)id};
    }
    free(old);
    return 1;
}

int vb_vocab_reserve(vb_vocab *v, size_t n)
{
    size_t slots = 16;
    if (n > VB_VOCAB_MOST) return 0;
    if (n > v->cap) {
        vb_piece *pieces = realloc(v->pieces, n * sizeof *pieces);
        if (pieces == NULL) return 0;
        v->pieces = pieces;
        v->cap = n;
    }
    while (slots < n + n / 2 + 1) slots *= 2;
    return v->slots != NULL && slots <= v->mask + 1 ? 1 : rehash(v, slots);
}

void vb_vocab_free(vb_vocab *v)
{
    free(v->pieces);
    free(v->slots);
    *v = (vb_vocab){0};
}

static int32_t find(const vb_vocab *v, const char *text, size_t len, uint64_t hash)
{
    for (size_t i = (size_t)(hash >> 32) & v->mask; v->slots[i].id >= 0; i = (i + 1) & v->mask) {
        if (v->slots[i].hash != (uint32_t)hash) continue;
        const vb_piece *p = &v->pieces[v->slots[i].id];
        if (p->len == len && memcmp(p->text, text, len) == 0) return v->slots[i].id;
    }
    return -1;
}

/* Slots of a block are fetched while its hashes are computed; waiting for memory is most of the work. */
size_t vb_vocab_index(vb_vocab *v, size_t n)
{
    enum { BLOCK = 32 };
    uint64_t hash[BLOCK];
    while (v->n < n) {
        size_t count = n - v->n < BLOCK ? n - v->n : BLOCK;
        for (size_t i = 0; i < count; i++) {
            const vb_piece *p = &v->pieces[v->n + i];
            hash[i] = XXH3_64bits(p->text, p->len);
            __builtin_prefetch(&v->slots[(size_t)(hash[i] >> 32) & v->mask], 1);
            if (p->len > v->longest) v->longest = p->len;
        }
        for (size_t i = 0; i < count; i++, v->n++) {
            const vb_piece *p = &v->pieces[v->n];
            if (find(v, p->text, p->len, hash[i]) >= 0) return v->n;
            v->slots[free_slot(v, hash[i])] = (vb_vocab_slot){(uint32_t)hash[i], (int32_t)v->n};
        }
    }
    return n;
}

int32_t vb_vocab_find(const vb_vocab *v, const char *text, size_t len)
{
    if (len == 0 || len > v->longest) return -1;
    return find(v, text, len, XXH3_64bits(text, len));
}

int32_t vb_vocab_intern(vb_vocab *v, const char *text, size_t len)
{
    uint64_t hash = XXH3_64bits(text, len);
    if (v->n == v->cap && !vb_vocab_reserve(v, 2 * v->cap + 16)) return -1;
    int32_t id = find(v, text, len, hash);
    if (id >= 0) return id;
    id = (int32_t)v->n++;
    v->pieces[id] = (vb_piece){text, (uint32_t)len, 0};
    v->slots[free_slot(v, hash)] = (vb_vocab_slot){(uint32_t)hash, id};
    if (len > v->longest) v->longest = len;
    return id;
}
