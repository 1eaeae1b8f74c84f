/* convert.h - a Hugging Face folder becomes one GGUF file.
 *
 *   folder (settings, tensors, tokenizer) -> family (rules, keys) -> outputs -> file, tensor by tensor
 *
 * The same folder gives the same bytes on every machine and with any number of threads. The file appears under its name
 * when it is whole; a failure, a stop or a full disk leaves nothing.
 */
#ifndef VB_CONVERT_CONVERT_H
#define VB_CONVERT_CONVERT_H
#include "quantize/mix.h"

typedef struct {
    const char *folder, *out;
    const vb_mixture *mix; /* the formats of matrices; NULL: each as the folder keeps it */
    int pure, threads;     /* pure: one format for all of them; threads <= 0: as many as processors may be used */
    /* Bytes of tensors that are written, of all; not 0: stop. May be NULL. */
    int (*progress)(void *ud, const char *tensor, uint64_t done, uint64_t total);
    void (*note)(void *ud, const char *line); /* what the user should know; may be NULL */
    void *ud;
} vb_convert_job;

typedef struct {
    char arch[64], class_name[96];
    int64_t tensors, tokens;
    uint64_t bytes; /* of tensors */
    const char *type; /* of most numbers, or the name of the mix */
} vb_convert_result;
vb_status vb_convert(const vb_convert_job *job, vb_convert_result *out, vb_err *err);

#endif
