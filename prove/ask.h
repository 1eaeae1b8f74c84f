/* ask.h - one question, asked under one condition of prove/conditions.h; the answer must have the expected bits. */
#ifndef VB_PROVE_ASK_H
#define VB_PROVE_ASK_H
#include "prove/conditions.h"

enum { VB_ANSWER = 16, VB_DIFFERENCE = 400 };

/* What a generation leaves behind. */
typedef struct {
    vb_token ids[VB_ANSWER];
    int n;
    float *logits; /* behind the last token, [row] */
} vb_answered;

/* Tokens whose last `want` rows of logits are asked for; after half of them something is generated too. An encoder
 * reads a text only as a whole: nothing is generated, and its conditions are neighbours and floating point. */
typedef struct {
    const char *path;
    const char *cache; /* a folder that exists, for kept prefixes */
    const vb_token *ids;
    int n, want;
    vb_arith arith;
    vb_kv kv;
    int row, layers, encoder; /* row: floats of one */
    float *expected, *found;  /* [want][row] */
    vb_answered generated;    /* expected */
} vb_question;

typedef struct {
    const char *device, *isa, *hard; /* hard: a seed of VB_HARD or NULL */
    const char *layers;              /* of a GPU; NULL: none */
    int threads, chunk, together;
    vb_history how;
    vb_fp_mode fp;
    int generates; /* 1: `speculation` counts; 0: chunk, together, how and fp do */
    int speculation;
} vb_condition;

/* Fills row, layers and encoder, then allocates; want 0 or above n becomes n. */
vb_status vb_question_open(vb_question *q, vb_err *err);
void vb_question_close(vb_question *q);
/* The oracle's answers become the expected ones. */
vb_status vb_question_settle(vb_question *q, vb_err *err);
/* What `expected`, or `found`, is known by: XXH3-128 of its bytes, as `verbatim logits` prints. */
vb_status vb_question_digest(const vb_question *q, const float *rows, uint8_t out[16], vb_err *err);

/* Asks on an opened model. `difference` is empty if the answer is the expected one, else one line about where it is
 * not; `found` then holds whole rows. */
vb_status vb_ask(const vb_question *q, vb_model *m, const vb_condition *c, char difference[VB_DIFFERENCE], vb_err *err);
/* "int8 avx2 3 threads, chunk 5, forked, 2 together, usual rounding" */
void vb_condition_text(char *buf, size_t cap, const vb_question *q, const vb_condition *c);

#endif
