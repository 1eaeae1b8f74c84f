/* pickle.h - the state dict in a pickle of PyTorch, read by an interpreter that can do nothing else.
 *
 * A pickle is a program: it names functions of Python and calls them. Here names are looked up in a list of those that
 * state dicts need, what they would do is known, and any other name ends the reading with its place and itself in the
 * error. No name is ever turned into a call. Containers are held by reference and never walked beyond the state dict's
 * own entries, so that neither nesting nor sharing costs anything.
 *
 * Invariant of what comes out: all numbers of a tensor lie inside its storage, no two of them at one place.
 */
#ifndef VB_CONVERT_PICKLE_H
#define VB_CONVERT_PICKLE_H
#include "base/arena.h"
#include "convert/source.h"

typedef struct {
    const char *name;     /* in the state dict */
    const char *storage;  /* the key of its storage */
    uint64_t storage_n;   /* numbers in it */
    int type;             /* a vb_number, or -1: a kind that no source knows */
    uint64_t offset;      /* of the first number, in numbers, as strides are */
    int n_dims;
    uint64_t dims[VB_SOURCE_DIMS], strides[VB_SOURCE_DIMS];
} vb_pickle_tensor;

typedef struct {
    vb_arena arena;
    vb_pickle_tensor *tensors;
    uint64_t n;
} vb_pickle;

/* `name` stands in errors; everything is copied out of `data`. vb_pickle_free in any case. */
vb_status vb_pickle_read(vb_pickle *p, const uint8_t *data, size_t size, const char *name, vb_err *err);
void vb_pickle_free(vb_pickle *p);

int vb_pickle_is_whole(const vb_pickle_tensor *t); /* its numbers lie in the order of its dimensions */

#endif
