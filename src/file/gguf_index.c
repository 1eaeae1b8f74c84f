/* gguf_index.c - names to positions, for thousands of keys and tensors.
 *
 * Invariant: at least half of the slots are free, so every probe ends.
 */
#include "file/gguf_file.h"

#include "base/hash.h"

#include <string.h>

static uint64_t first_slot(const vb_gguf_index *index, vb_text name)
{
    uint8_t digest[16];
    uint64_t hash;
    vb_xxh128_of(name.ptr, name.len, digest);
    memcpy(&hash, digest, sizeof hash);
    return hash & index->mask;
}

static int same(vb_text a, vb_text b)
{
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

/* The slot that holds `name`, or the free one where it belongs. */
static uint64_t probe(const vb_gguf_index *index, vb_text name)
{
    uint64_t slot = first_slot(index, name);
    while (index->slots[slot] != 0 && !same(index->names[index->slots[slot] - 1], name))
        slot = (slot + 1) & index->mask;
    return slot;
}

int64_t vb_gguf_index_make(vb_gguf_index *index, vb_arena *arena, const vb_text *names, uint64_t n)
{
    uint64_t slots = 2;
    while (slots < 2 * n) slots *= 2;
    index->names = names;
    index->mask = slots - 1;
    index->slots = vb_arena_array(arena, slots, sizeof *index->slots);
    if (index->slots == NULL) return VB_E_MEMORY;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t slot = probe(index, names[i]);
        if (index->slots[slot] != 0) return (int64_t)i;
        index->slots[slot] = (uint32_t)i + 1;
    }
    return -1;
}

int64_t vb_gguf_index_find(const vb_gguf_index *index, vb_text name)
{
    return (int64_t)index->slots[probe(index, name)] - 1;
}
