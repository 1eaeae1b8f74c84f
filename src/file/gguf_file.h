/* gguf_file.h - one GGUF file as checked tables; src/file/gguf.c joins the files of a split model.
 *
 *   byte 0  "GGUF"                      magic
 *        4  u32 version                 2 or 3 (the same layout)
 *        8  u64 tensors, u64 keys       counts
 *       24  keys x {string name, u32 type, value}
 *        .  tensors x {string name, u32 dims, dims x u64 ne, u32 format, u64 offset}
 *        .  zeros up to a multiple of general.alignment (32 without that key)
 *        .  the data section; offsets count from here
 *
 *   string: u64 length, bytes          array: u32 item type, u64 items, the items without gaps
 *
 * All numbers are little endian and stand at any byte, so they are read with memcpy.
 */
#ifndef VB_FILE_GGUF_FILE_H
#define VB_FILE_GGUF_FILE_H
#include "base/arena.h"
#include "file/gguf.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "GGUF numbers and weights are used where they lie");

/* Names to positions: open addressing over twice as many slots as names. */
typedef struct {
    const vb_text *names;
    uint32_t *slots; /* position + 1, 0: free */
    uint64_t mask;
} vb_gguf_index;

/* -1, or the position of the first name that stands twice in names[0, n). VB_E_MEMORY: no memory. */
int64_t vb_gguf_index_make(vb_gguf_index *index, vb_arena *arena, const vb_text *names, uint64_t n);
int64_t vb_gguf_index_find(const vb_gguf_index *index, vb_text name); /* -1: absent */

typedef struct {
    vb_map map;
    int borrowed; /* 1: the map's bytes belong to somebody else */
    char *path;
    int version;
    uint8_t *copy;           /* of header, keys and directory; NULL: borrowed */
    uint64_t copy_room;
    const uint8_t *keys_end; /* where the last key's value ends */
    vb_gguf_entry *entries;
    uint64_t n_entries;
    vb_gguf_index keys;
    vb_gguf_tensor *tensors;
    uint64_t n_tensors;
} vb_gguf_file;

/* file->map and file->path are set; fills the rest. The tables live in the arena; the file is to be closed in any case. */
vb_status vb_gguf_file_parse(vb_gguf_file *file, vb_arena *arena, vb_err *err);
void vb_gguf_file_close(vb_gguf_file *file); /* the arena is its owner's */

static inline vb_text vb_text_of(const char *ptr, size_t len)
{
    return (vb_text){ptr, len};
}

#endif
