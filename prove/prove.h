/* prove.h - does this machine give the published answers? Two small models, all conditions, a fingerprint. */
#ifndef VB_PROVE_PROVE_H
#define VB_PROVE_PROVE_H
#include "verbatim.h"

extern const uint8_t vb_proof_model[], vb_proof_model_end[]; /* prove/model.gguf */

enum { VB_PROOF_QUESTIONS = 4 };

/* The same tokens in one arithmetic and with one KV type. */
typedef struct {
    const char *model, *arith, *kv; /* model: "mixed", which is vb_proof_model, or "tales-1m" */
    uint8_t published[16];
    uint8_t found[16];         /* of all conditions, or of the first one that differs */
    int conditions, different; /* asked; of them not as published */
    char first[704];           /* the first difference, with its condition; empty: none */
} vb_proof_answer;

typedef struct {
    uint8_t model[32], plan[32];
    char fingerprint[80]; /* vb_model_fingerprint of the model, then the first digits of a digest of all answers */
    vb_proof_answer answers[VB_PROOF_QUESTIONS];
    int conditions, different;
} vb_proof;

/* Proves; asks one in `every` conditions (0 or 1: all). `progress` is told how many conditions have been asked and
 * returns 0 to go on (VB_E_STOPPED: it did not). VB_E_DIFFERS naming the first
 * difference if an answer is not the published one; *out then holds all that was found. Needs room for the model in
 * $TMPDIR (/tmp). */
vb_status vb_prove(vb_proof *out, int every, int (*progress)(void *ud, int asked), void *ud, vb_err *err);

#endif
