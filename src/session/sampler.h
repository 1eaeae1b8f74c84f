/* sampler.h - choosing a token, with all that the choice depends on in one place (docs/ARITHMETIC.md J6). */
#ifndef VB_SESSION_SAMPLER_H
#define VB_SESSION_SAMPLER_H
#include "base/err.h"

typedef struct {
    const float *logits;
    int n_vocab;
    const uint8_t *mask; /* tokens that may be chosen, as vb_grammar_mask writes them; NULL: all */
    const vb_token *past;
    int n_past;
    const vb_bias *biases;
    int n_biases;
    float *room; /* [n_vocab] for a changed copy of the logits; NULL: allocated where one is needed */
    void *sorting; /* 32 * n_vocab bytes, as vb_sample_input has them; NULL: allocated where all candidates are sorted */
} vb_sample_from;

vb_status vb_sample_among(const vb_sample_from *from, const vb_sampling *s, vb_token *out, vb_err *err);
/* The same with the mask of a grammar, which is made only if the choice needs it; from->mask is not looked at. */
vb_status vb_sample_within(const vb_sample_from *from, const vb_sampling *s, vb_grammar *grammar, vb_token *out,
                           vb_err *err);

#endif
