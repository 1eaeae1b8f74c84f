/* encode.h - floats into weight formats, the way back of oracle/decode.c.
 *
 *   F32 F16 BF16                          rounded to nearest, ties to even
 *   Q8_0 Q4_0 Q4_1 Q5_0 Q5_1              a scale from the block's extremes; byte by byte what the field's reference
 *                                         quantisation gives. With importance, a search as below (not Q8_0)
 *   Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS MXFP4
 *                                         weighted least squares over candidate scales
 *
 * `importance` has one number >= 0 for each column: how much an error there counts (NULL: errors count by the size of
 * what they hit). Plain binary32 in one order: the same floats give the same bytes on every machine and with any number
 * of threads.
 */
#ifndef VB_QUANTIZE_ENCODE_H
#define VB_QUANTIZE_ENCODE_H
#include "base/err.h"
#include "base/quant.h"

int vb_encode_can(const vb_format_info *format); /* 1: there is an encoder */
/* Names of all that can be written, "F32, F16, ...". */
void vb_encode_names(char *to, size_t cap);
int64_t vb_encode_bytes(const vb_format_info *format, int64_t rows, int64_t width);

/* `width` is a whole number of blocks. VB_E_FORMAT: a number is not finite or too large for the format; vb_encode_fault
 * finds which. `out` is then undefined. */
vb_status vb_encode_rows(const vb_format_info *format, const float *x, int64_t rows, int64_t width,
                         const float *importance, void *out);
/* Which of n floats that were refused is to blame. Of F32, F16 and BF16 it may be asked before: -1, none. */
int64_t vb_encode_fault(const vb_format_info *format, const float *x, int64_t n);

/* The same with threads and with errors that name tensor and index. */
typedef struct {
    const vb_format_info *format;
    const char *name;
    int64_t rows, width;
    const float *importance;
    int threads; /* <= 0: as many as processors may be used */
} vb_encode_job;
vb_status vb_encode_tensor(const vb_encode_job *job, const float *x, void *out, vb_err *err);
/* What vb_encode_tensor says: x[at] of the tensor `name` cannot be written as `format`. */
vb_status vb_encode_refuse(const vb_format_info *format, const char *name, int64_t at, float value, vb_err *err);

#endif
