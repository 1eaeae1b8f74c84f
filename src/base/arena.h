/* arena.h - memory that is taken piece by piece and given back at once.
 *
 * An arena is a chain of blocks; a piece is 64-byte aligned, zeroed, and lives until vb_arena_free. Use it for
 * everything that lives as long as its owner (a parsed file, a plan, a vocabulary). A failed allocation returns
 * NULL and leaves the arena usable.
 */
#ifndef VB_BASE_ARENA_H
#define VB_BASE_ARENA_H
#include <stddef.h>

typedef struct vb_arena_block vb_arena_block;
typedef struct {
    vb_arena_block *head; /* zero bytes: an empty arena */
    size_t bytes;         /* handed out so far */
} vb_arena;

void *vb_arena_alloc(vb_arena *arena, size_t bytes);
/* n elements of `size` bytes; NULL also if the product overflows. */
void *vb_arena_array(vb_arena *arena, size_t n, size_t size);
/* A NUL-terminated copy of len bytes. */
char *vb_arena_text(vb_arena *arena, const char *text, size_t len);
void vb_arena_free(vb_arena *arena);

#endif
