/* tensors.h - weights by name: the file's tensor directory as the families see it.
 *
 * A family's emitter asks for each tensor with the shape it must have; what it never asked for is found afterwards
 * by vb_tensors_unused. Data stays where the file was mapped.
 */
#ifndef VB_MODEL_TENSORS_H
#define VB_MODEL_TENSORS_H
#include "base/arena.h"
#include "file/gguf.h"

typedef struct {
    const char *name;
    vb_format format;
    int64_t cols, rows;  /* a row is contiguous; a vector has rows = 1 */
    int64_t experts;     /* the last of three dimensions: each expert has rows / experts rows of its own; else 1 */
    size_t row_bytes;
    const void *data;
} vb_tensor;

typedef struct {
    const vb_gguf *g;
    vb_tensor *all; /* in file order */
    unsigned char *used;
    int64_t n;
} vb_tensors;

vb_status vb_tensors_open(vb_tensors *out, const vb_gguf *g, vb_arena *arena, vb_err *err);
/* *out = NULL and VB_OK if the file has no such tensor. A shape that differs, or a format that cannot be computed
 * with, is an error with expected and found. rows <= 0: any. */
vb_status vb_tensors_take(vb_tensors *t, const char *name, int64_t cols, int64_t rows, const vb_tensor **out,
                          vb_err *err);
/* An error naming the first tensor that no step uses; tensors of vision and audio towers are only reported. */
vb_status vb_tensors_unused(const vb_tensors *t, vb_err *err);

#endif
