/* gguf.h - a GGUF file as checked tables: typed metadata and a tensor directory.
 *
 * vb_gguf_open maps the file (of a split model all `-00001-of-0000N` parts) and checks every count, length, offset,
 * type, alignment and product before anything uses it. Metadata is copied, so that it stays what was checked if another
 * program writes the file; tensors lie inside the map. Weights are never touched. Getters are typed: one that fails
 * names file, key, wanted and found type.
 */
#ifndef VB_FILE_GGUF_H
#define VB_FILE_GGUF_H
#include "base/err.h"
#include "base/os.h"
#include "base/quant.h"

typedef enum {
    VB_GGUF_U8, VB_GGUF_I8, VB_GGUF_U16, VB_GGUF_I16, VB_GGUF_U32, VB_GGUF_I32, VB_GGUF_F32, VB_GGUF_BOOL,
    VB_GGUF_STRING, VB_GGUF_ARRAY, VB_GGUF_U64, VB_GGUF_I64, VB_GGUF_F64, VB_GGUF_TYPES
} vb_gguf_type;

typedef struct {
    const char *ptr; /* not NUL-terminated */
    size_t len;
} vb_text;

typedef struct {
    vb_text key;
    vb_gguf_type type;
    vb_gguf_type item;   /* of an array, else = type */
    uint64_t n;          /* items of an array, else 1 */
    const uint8_t *data; /* the first item's bytes; of strings: length u64, bytes, next string */
} vb_gguf_entry;

typedef struct {
    const char *name; /* NUL-terminated */
    const vb_format_info *format;
    int n_dims;
    uint64_t ne[4];    /* unused ones are 1 */
    uint64_t elements; /* product of ne */
    uint64_t bytes, offset; /* offset inside its part's data section */
    const void *data;
} vb_gguf_tensor;

typedef struct vb_gguf vb_gguf;
vb_status vb_gguf_open(vb_gguf **out, const char *path, vb_err *err);
/* The same over bytes that the caller keeps until close; `name` stands in errors. One part only. */
vb_status vb_gguf_open_memory(vb_gguf **out, const uint8_t *data, uint64_t size, const char *name, vb_err *err);
void vb_gguf_close(vb_gguf *g);
/* VB_E_IO if a file of it was written or cut since it was opened: what was read from its tensors may be anything. */
vb_status vb_gguf_check(const vb_gguf *g, vb_err *err);

const char *vb_gguf_path(const vb_gguf *g); /* of the first part */
int vb_gguf_parts(const vb_gguf *g);
const vb_map *vb_gguf_part(const vb_gguf *g, int part);
const char *vb_gguf_part_path(const vb_gguf *g, int part);
int vb_gguf_version(const vb_gguf *g);

int64_t vb_gguf_n_entries(const vb_gguf *g);
const vb_gguf_entry *vb_gguf_entry_at(const vb_gguf *g, int64_t i);
const vb_gguf_entry *vb_gguf_find(const vb_gguf *g, const char *key); /* NULL: absent */
const char *vb_gguf_type_name(vb_gguf_type type);

/* Scalars. Any integer type that holds the value is accepted where an integer is asked for, F32/F64 where a float
 * is asked for; an array of one counts as its item (not of strings). VB_E_NOT_FOUND if absent (err filled all the
 * same), VB_E_FORMAT if of another type or outside [min, max]. */
vb_status vb_gguf_int(const vb_gguf *g, const char *key, int64_t min, int64_t max, int64_t *out, vb_err *err);
vb_status vb_gguf_float(const vb_gguf *g, const char *key, double *out, vb_err *err); /* finite only */
vb_status vb_gguf_bool(const vb_gguf *g, const char *key, int *out, vb_err *err);
vb_status vb_gguf_string(const vb_gguf *g, const char *key, vb_text *out, vb_err *err);

/* Arrays: the entry if `key` is an array whose items are of a fitting kind. */
typedef enum { VB_GGUF_INTS, VB_GGUF_FLOATS, VB_GGUF_BOOLS, VB_GGUF_STRINGS } vb_gguf_kind;
vb_status vb_gguf_array(const vb_gguf *g, const char *key, vb_gguf_kind kind, const vb_gguf_entry **out,
                        vb_err *err);
int64_t vb_gguf_item_int(const vb_gguf_entry *array, uint64_t i); /* integers and booleans; i < n; cut to INT64_MAX */
double vb_gguf_item_float(const vb_gguf_entry *array, uint64_t i);
/* Strings are walked: `cursor` starts as array->data and moves behind the string that is returned. */
vb_text vb_gguf_next_string(const uint8_t **cursor);

int64_t vb_gguf_n_tensors(const vb_gguf *g);
const vb_gguf_tensor *vb_gguf_tensor_at(const vb_gguf *g, int64_t i);
const vb_gguf_tensor *vb_gguf_tensor_find(const vb_gguf *g, const char *name); /* NULL: absent */

#endif
