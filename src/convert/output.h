/* output.h - a tensor of the file to be: views of a folder's tensors, one behind the other, as floats.
 *
 * What converters do to weights is nearly always a question of order: rows permuted, halves split, experts stacked, a
 * matrix transposed. All of that is a view: number i of it, written in the digits of its axes (the slowest first), lies
 * at base + sum of digit * step in the folder's tensor.
 */
#ifndef VB_CONVERT_OUTPUT_H
#define VB_CONVERT_OUTPUT_H
#include "base/quant.h"
#include "convert/source.h"

enum { VB_VIEW_AXES = 8 };
typedef struct {
    uint64_t size, step;
} vb_axis;
typedef struct {
    const vb_source_tensor *from;
    uint64_t base, count; /* count: product of the axes' sizes */
    int n;
    vb_axis axis[VB_VIEW_AXES];
} vb_view;

/* What happens to each number. */
typedef enum { VB_EACH_SAME, VB_EACH_PLUS_ONE, VB_EACH_MINUS_EXP } vb_each;

typedef struct {
    char name[80];
    int n_dims;
    uint64_t ne[4]; /* as in GGUF files, the fastest first; unused ones are 1 */
    vb_number type; /* what the folder keeps it as */
    const vb_format_info *format; /* what it becomes */
    vb_each each;
    vb_view *views;
    int n_views;
    const float *values; /* instead of views: numbers that come from the settings */
    int packed; /* views[0]: 4-bit blocks of 32, views[1]: their scales; becomes MXFP4 as it is */
} vb_output;

/* All of a tensor in its own order; and one that is put together axis by axis. */
vb_view vb_view_all(const vb_source_tensor *t);
vb_view vb_view_begin(const vb_source_tensor *t, uint64_t base);
void vb_view_axis(vb_view *v, uint64_t size, uint64_t step); /* of size 1: nothing happens */
uint64_t vb_view_step(const vb_source_tensor *t, int dim);   /* of a dimension */

int vb_ends(const char *text, const char *with); /* names end with what they are */
uint64_t vb_output_elements(const vb_output *o);
/* Numbers [first, first + n), whole rows. Several threads may ask. */
vb_status vb_output_floats(const vb_output *o, uint64_t first, uint64_t n, float *out, vb_err *err);
/* The bytes of the output, if they stand in the folder just as the file wants them; else NULL. */
const uint8_t *vb_output_bytes(const vb_output *o);
/* `n` rows of a packed output from `first` on, as MXFP4. */
void vb_output_packed(const vb_output *o, uint64_t first, uint64_t n, uint8_t *out);
/* 1: its rows stand in the folder as MLX's groups of 4 bits, which Q4_1 holds without loss; then n of them as Q4_1. */
int vb_output_is_grouped(const vb_output *o);
void vb_output_grouped(const vb_output *o, uint64_t first, uint64_t n, uint8_t *out);

#endif
