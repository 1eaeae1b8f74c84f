/* quantize.h - a GGUF file with its weights in other formats, and what that cost.
 *
 * All keys are kept but those that speak of the old file (its parts, its alignment) or of formats, which are set anew;
 * tensors keep their order. What has the wanted format already is copied byte by byte; other weights become floats
 * first, as the oracle decodes them. The new file appears under its name when it is whole.
 */
#ifndef VB_QUANTIZE_QUANTIZE_H
#define VB_QUANTIZE_QUANTIZE_H
#include "quantize/mix.h"

typedef struct {
    char name[80];
    const vb_format_info *from, *to;
    uint64_t ne[4], bytes; /* bytes: in the new file */
    int copied, fallback, weighted; /* 1: not encoded; another format than wanted; by importance */
    /* Of the new values against the old ones, over all elements. */
    double rms, max, cosine; /* cosine: 1 if both are zero */
    double size; /* root mean square of the old values */
} vb_quantized;

typedef struct {
    vb_quantized *tensors;
    int64_t n;
    vb_quantized all; /* sums over what was encoded; `bytes` of all tensors */
    uint64_t bytes_before, elements;
    int64_t requantized;      /* tensors that were quantised before, and are another way now */
    const char *requantized_from; /* the format of the first of them */
    int64_t without; /* tensors that an importance matrix was given for but says nothing about */
} vb_quantize_report;

typedef struct {
    const char *in, *out;
    const vb_mixture *mix;
    const char *imatrix; /* a file, NULL: none */
    int threads, pure, force;
    int (*tell)(void *ud, const char *tensor, uint64_t done, uint64_t total); /* bytes read; not 0: stop. May be NULL */
    void *ud;
} vb_quantize_job;

/* VB_E_ARGUMENT: `out` exists (and not force), or is `in`. The report is to be freed in any case. */
vb_status vb_quantize(const vb_quantize_job *job, vb_quantize_report *report, vb_err *err);
void vb_quantize_report_free(vb_quantize_report *report);

#endif
