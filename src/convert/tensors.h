/* tensors.h - the tensors of the file to be, by a family's rules from those of a folder. */
#ifndef VB_CONVERT_TENSORS_H
#define VB_CONVERT_TENSORS_H
#include "convert/output.h"
#include "convert/shapes.h"

typedef struct {
    vb_output *all; /* in the order of the file; memory of the source's arena but for the array itself */
    int64_t n, cap;
    int64_t left_out; /* tensors of a folder that have no place in the file: towers of vision and audio */
} vb_outputs;

/* Every tensor of the folder is used, or known to be of no use, or an error; so is one that is missing or of another
 * shape. Formats are not chosen yet. */
vb_status vb_outputs_make(vb_outputs *out, const vb_family *family, const vb_sizes *sizes, vb_keys *k, vb_err *err);
void vb_outputs_free(vb_outputs *out);

/* What the change of a rule makes of a tensor: dimensions and views, in the arena. `with`: the scales of packed ones. */
vb_status vb_change_apply(vb_output *o, const vb_rule *rule, const vb_sizes *sizes, const vb_source_tensor *const *from,
                          vb_arena *arena, vb_err *err);
/* How many tensors that takes. */
uint64_t vb_change_takes(const vb_rule *rule, const vb_sizes *sizes);

/* An output of the file's own making, of n numbers. */
vb_status vb_outputs_add_values(vb_outputs *out, vb_keys *k, const char *name, const float *values, int n);
/* rope_freqs.weight and its relatives, as the settings ask for them. */
vb_status vb_outputs_add_rope(vb_outputs *out, const vb_family *family, const vb_sizes *sizes, vb_keys *k);

#endif
