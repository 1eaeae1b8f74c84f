/* arena.c - bump allocation in growing blocks.
 *
 *   head -> [block: used ......... | free ] -> [older block] -> ...
 *
 * Invariant: every piece starts on a multiple of ALIGN inside its block and was zeroed by calloc; pieces never
 * move. A piece larger than a block gets a block of its own.
 */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, FIRST_BLOCK = 1 << 14, LARGEST_BLOCK = 1 << 20 };

struct vb_arena_block {
    vb_arena_block *next;
    unsigned char *data; /* aligned start inside the same allocation */
    size_t size, used;
};

static vb_arena_block *block_new(size_t size)
{
    if (size > SIZE_MAX - sizeof(vb_arena_block) - ALIGN) return NULL;
    vb_arena_block *block = calloc(1, sizeof *block + size + ALIGN);
    if (block == NULL) return NULL;
    uintptr_t start = ((uintptr_t)(block + 1) + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1);
    block->data = (unsigned char *)start;
    block->size = size;
    return block;
}

void *vb_arena_alloc(vb_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX - ALIGN) return NULL;
    size_t rounded = (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (rounded == 0) rounded = ALIGN;
    vb_arena_block *block = arena->head;
    if (block == NULL || block->size - block->used < rounded) {
        size_t size = block == NULL ? FIRST_BLOCK : block->size * 2;
        if (size > LARGEST_BLOCK) size = LARGEST_BLOCK;
        if (size < rounded) size = rounded;
        block = block_new(size);
        if (block == NULL) return NULL;
        block->next = arena->head;
        arena->head = block;
    }
    void *piece = block->data + block->used;
    block->used += rounded;
    arena->bytes += rounded;
    return piece;
}

void *vb_arena_array(vb_arena *arena, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) return NULL;
    return vb_arena_alloc(arena, bytes);
}

char *vb_arena_text(vb_arena *arena, const char *text, size_t len)
{
    if (len == SIZE_MAX) return NULL;
    char *copy = vb_arena_alloc(arena, len + 1);
    if (copy != NULL && len > 0) memcpy(copy, text, len);
    return copy;
}

void vb_arena_free(vb_arena *arena)
{
    while (arena->head != NULL) {
        vb_arena_block *next = arena->head->next;
        free(arena->head);
        arena->head = next;
    }
    arena->bytes = 0;
}
