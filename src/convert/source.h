/* source.h - the tensors of a folder, whatever wraps them: name, kind of number, shape, and either bytes or a reader.
 *
 *   vb_source_open            an empty source
 *   vb_safetensors_add        the tensors of one file join it (torch.h and mlx.h have their own *_add or *_join)
 *   vb_source_find, _floats   what the converter asks for
 *   vb_source_close           gives everything back
 *
 * Dimensions stand as the files state them, slowest first; a row is the last dimension. Invariant: names are unique,
 * at most VB_SOURCE_DIMS dimensions, their product and the bytes it takes fit 63 bits, and `data`, where it is not
 * NULL, holds exactly those bytes: contiguous, little endian, not necessarily aligned.
 */
#ifndef VB_CONVERT_SOURCE_H
#define VB_CONVERT_SOURCE_H
#include "base/arena.h"
#include "base/err.h"
#include "base/os.h"

typedef enum {
    VB_NUM_F32, VB_NUM_F16, VB_NUM_BF16, VB_NUM_F64, VB_NUM_I64, VB_NUM_I32, VB_NUM_I16, VB_NUM_I8, VB_NUM_U32,
    VB_NUM_U8, VB_NUM_BOOL, VB_NUM_KINDS
} vb_number;

enum { VB_SOURCE_DIMS = 8 };

typedef struct vb_source_tensor vb_source_tensor;
struct vb_source_tensor {
    const char *name; /* NUL-terminated */
    const char *file; /* for errors */
    vb_number type;   /* of the bytes; of a tensor with a reader, what `--type auto` keeps it as: F32, F16 or BF16 */
    int n_dims;       /* 0: a single number */
    uint64_t dims[VB_SOURCE_DIMS];
    const uint8_t *data; /* NULL: ask `read` */
    /* Numbers [first, first + n) of the tensor, in the order of its dimensions, as floats; called with whole rows only
     * (the last dimension divides first and n; a single number is a row of one). Several threads may call it. */
    vb_status (*read)(const vb_source_tensor *t, uint64_t first, uint64_t n, float *out, vb_err *err);
    const void *ud; /* the reader's */
};

typedef struct vb_source vb_source;
vb_status vb_source_open(vb_source **out, vb_err *err);
void vb_source_close(vb_source *s); /* accepts NULL */

/* Memory that lives as long as the source; and things that it gives back at its end, the last one first. If owning
 * fails the thing has been given back. */
vb_arena *vb_source_arena(vb_source *s);
vb_status vb_source_own(vb_source *s, void *thing, void (*give_back)(void *thing), vb_err *err);

/* A file that stays mapped as long as the source. */
vb_status vb_source_map(vb_source *s, const char *path, const vb_map **out, vb_err *err);
/* VB_E_IO if a file was written or cut since it was mapped: what was read from it may be anything. */
vb_status vb_source_check(const vb_source *s, vb_err *err);

/* A copy of *t and of its name joins the source (`file` and `ud` are kept as they are); a name that is there already
 * is an error. */
vb_status vb_source_add(vb_source *s, const vb_source_tensor *t, vb_err *err);
/* What has become part of another tensor goes. */
void vb_source_remove(vb_source *s, const char *name);

/* Tensors in the order in which they joined; removed ones are gone. Pointers hold until the next one joins. */
int64_t vb_source_count(const vb_source *s);
const vb_source_tensor *vb_source_at(const vb_source *s, int64_t i);
const vb_source_tensor *vb_source_find(const vb_source *s, const char *name); /* NULL: absent */

uint64_t vb_source_elements(const vb_source_tensor *t);
/* "[64, 256]"; returns buf. */
const char *vb_source_shape(const vb_source_tensor *t, char *buf, size_t cap);
/* As `read` of the tensor, from bytes too. */
vb_status vb_source_floats(const vb_source_tensor *t, uint64_t first, uint64_t n, float *out, vb_err *err);

const char *vb_number_name(vb_number type); /* "F32", "BF16" */
int vb_number_bytes(vb_number type);
/* n numbers of a type as floats; what a float cannot hold is rounded. */
void vb_number_floats(vb_number type, const uint8_t *data, uint64_t n, float *out);

/* The tensors of one safetensors file, which stays mapped as long as the source. */
vb_status vb_safetensors_add(vb_source *s, const char *path, vb_err *err);

#endif
