/* shapes.h - the sizes of a model under the letters by which rules name dimensions. */
#ifndef VB_CONVERT_SHAPES_H
#define VB_CONVERT_SHAPES_H
#include "convert/families.h"

typedef struct {
    uint64_t of[128]; /* by letter; 0: any */
    uint64_t layers, blocks; /* blocks: with those that predict further tokens */
    uint64_t key_heads, rounds, key_width, value_width; /* of recurrent layers; rounds: value heads a key head */
} vb_sizes;
/* Also refuses sizes that do not fit one another. */
vb_status vb_sizes_read(vb_sizes *out, vb_keys *k, vb_err *err);

/* The tensor has the shape of the rule. */
vb_status vb_shape_check(const vb_sizes *s, const vb_source_tensor *t, const char *shape, vb_err *err);

#endif
