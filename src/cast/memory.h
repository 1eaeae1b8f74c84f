/* memory.h - what entities remember. */
#ifndef VB_CAST_MEMORY_H
#define VB_CAST_MEMORY_H
#include "base/err.h"
#include "verbatim_dialogue.h"

enum { VB_MEMORY_TEXT = 232 }; /* bytes of an entry; a longer one is cut behind its last whole character */

typedef struct vb_memory vb_memory;
/* For up to `entities` entities at a time, of whose entries each line sees the newest `entries`. Room for all of that is
 * taken here; the pages cost memory when they are first used. */
uint64_t vb_memory_room(int entities, int entries);
vb_status vb_memory_open(vb_memory **out, const vb_model *model, int entities, int entries, vb_err *err);
void vb_memory_close(vb_memory *memory); /* accepts NULL */

/* What is kept depends on what was added, not on the order: of an entity the 2 x `entries` newest by (tick, draw, text).
 * VB_E_FULL: there are `entities` others. White space around the text is left out, an empty text is nothing. */
vb_status vb_memory_add(vb_memory *memory, const vb_line_key *who, const char *text, size_t len, vb_err *err);
void vb_memory_forget(vb_memory *memory, uint64_t entity);

/* The newest of at most `entries` entries of ticks before `tick` that fit into so many tokens (each one's with a line break
 * behind it), the oldest first, a line each, no line break at the end. Returns the number of bytes, at most
 * vb_memory_longest; VB_E_FULL: so many entries of later ticks were added that earlier ones may be lost. Allocates nothing. */
int64_t vb_memory_render(const vb_memory *memory, uint64_t entity, uint64_t tick, int tokens, char *buf, size_t cap, vb_err *err);
size_t vb_memory_longest(int entries);

/* All of it as bytes, the same for the same content; returns their number, also when it is more than `cap`. */
int64_t vb_memory_save(const vb_memory *memory, void *buf, size_t cap);
/* Instead of what it holds; it is unchanged after an error. */
vb_status vb_memory_restore(vb_memory *memory, const void *buf, size_t len, vb_err *err);

#endif
