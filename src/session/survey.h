/* survey.h - one pass over all logits that tells whether they are finite and where the large ones are. */
#ifndef VB_SESSION_SURVEY_H
#define VB_SESSION_SURVEY_H
#include "base/err.h"

enum { VB_SURVEY_BLOCKS = 1024 };

typedef struct {
    const float *logits;
    int n, block, blocks; /* logits of a block, but for the last; blocks */
    int finite;           /* 1: there is no infinity and no NaN */
    float most[VB_SURVEY_BLOCKS]; /* the largest of each block; a NaN is none */
} vb_survey;

void vb_survey_make(vb_survey *s, const float *logits, int n); /* n >= 1 */
/* The ids of the k >= 1 largest, largest first, ties to the lower id; k <= n. Returns how many there are. */
int vb_survey_top(const vb_survey *s, vb_token *ids, int k);

#endif
