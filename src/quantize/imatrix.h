/* imatrix.h - importance matrices as llama.cpp's imatrix tool writes them: for each matrix of a model, and of a mixture
 * for each expert, the mean square of what it was multiplied with, a number for each column.
 *
 *   GGUF form   NAME.in_sum2 [columns, experts] and NAME.counts [1, experts], both F32; the mean is sum / count
 *   old form    i32 entries, each: i32 length, name, i32 calls, i32 values, values x f32; then perhaps
 *               i32 chunks, i32 length, data set
 */
#ifndef VB_QUANTIZE_IMATRIX_H
#define VB_QUANTIZE_IMATRIX_H
#include "base/err.h"

typedef struct vb_imatrix vb_imatrix;
/* Everything is checked: names, sizes, and that every number is finite and not negative. */
vb_status vb_imatrix_open(vb_imatrix **out, const char *path, vb_err *err);
void vb_imatrix_close(vb_imatrix *m); /* accepts NULL */

int64_t vb_imatrix_entries(const vb_imatrix *m);
int64_t vb_imatrix_chunks(const vb_imatrix *m);      /* of text that were looked at; 0: not told */
const char *vb_imatrix_dataset(const vb_imatrix *m); /* "": not told */
/* The numbers of a tensor, NULL: it has none. */
const float *vb_imatrix_find(const vb_imatrix *m, const char *tensor, int64_t *n);

#endif
