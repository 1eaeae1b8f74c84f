/* spm_model.h - a SentencePiece model (tokenizer.model) as a table of pieces.
 *
 * The file is one protobuf message; of its fields these are read, all others are stepped over:
 *
 *   1  repeated piece      1 text, 2 score (float), 3 kind (below; 1 if absent)
 *   2  how it was trained  3 algorithm: 1 unigrams, 2 BPE
 *   3  how text is read    2 a precompiled map of characters, 3 a space is put before the text, 4 runs of spaces shrink
 */
#ifndef VB_CONVERT_SPM_MODEL_H
#define VB_CONVERT_SPM_MODEL_H
#include "base/err.h"
#include "file/gguf.h"

typedef enum {
    VB_SPM_NORMAL = 1, VB_SPM_UNKNOWN, VB_SPM_CONTROL, VB_SPM_USER_DEFINED, VB_SPM_UNUSED, VB_SPM_BYTE
} vb_spm_kind;

typedef struct {
    vb_text text; /* in the bytes that were read */
    float score;
    vb_spm_kind kind;
} vb_spm_piece;

typedef struct {
    vb_spm_piece *pieces;
    uint64_t n;
    int unigram;
    vb_text charsmap;
    int space_prefix, shrinks_spaces;
} vb_spm_model;

/* `data` stays the caller's and must outlive the model; `name` stands in errors. */
vb_status vb_spm_model_read(vb_spm_model *m, const uint8_t *data, size_t size, const char *name, vb_err *err);
void vb_spm_model_free(vb_spm_model *m);

#endif
