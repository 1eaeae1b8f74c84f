/* mix.h - which tensor gets which weight format: the types that the field knows by name.
 *
 * A type such as Q4_K_M is a format for most matrices and another one for those that cost the most quality: the value
 * and down projections of some layers, the matrix that gives the logits. Names, numbers and choices are llama.cpp's,
 * so that a file of ours is what people expect under that name. Vectors, norms, routers and the small tensors of
 * state-space layers are kept as they are.
 */
#ifndef VB_QUANTIZE_MIX_H
#define VB_QUANTIZE_MIX_H
#include "base/err.h"
#include "base/quant.h"

typedef struct vb_mixture {
    const char *name; /* "Q4_K_M" */
    int file_type;    /* general.file_type */
    vb_format base;
} vb_mixture;

/* Upper or lower case; Q3_K, Q4_K and Q5_K mean the M of their kind. NULL: no such type. */
const vb_mixture *vb_mix_find(const char *name);
void vb_mix_names(char *to, size_t cap); /* "F32, F16, ..." */

typedef struct {
    const char *arch; /* general.architecture */
    int layers, experts, heads, kv_heads;
    int importance; /* 1: there is an importance matrix */
    int pure;       /* 1: the base format for all that is encoded */
} vb_mix_model;

typedef struct {
    const char *name; /* as in GGUF files */
    uint64_t ne[4];   /* unused ones are 1; ne[0] is the row */
    const vb_format_info *from;
    const vb_format_info *to; /* the answer; `from` where the tensor is kept */
    int fallback;             /* the answer is another one than wanted, because rows are not whole blocks */
} vb_mix_tensor;
/* Chooses for all n tensors of a file at once: which layers get more bits depends on how many there are. */
vb_status vb_mix_choose(const vb_mixture *mix, const vb_mix_model *model, vb_mix_tensor *tensors, int64_t n, vb_err *err);

#endif
