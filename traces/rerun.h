/* rerun.h - a recording beside the model it came from, evaluated again and compared. Replaying, verifying and branching
 * differ in what they compare and where they stop; this is what they share.
 */
#ifndef VB_TRACES_RERUN_H
#define VB_TRACES_RERUN_H
#include "traces/read.h"

/* What is known of a token before anything is evaluated. */
typedef struct {
    vb_token id;
    int chosen;
    int check;   /* its logits are to be computed and compared */
    size_t link; /* where the link before its record stands */
    size_t taps; /* where the records of its taps begin */
    int n_taps;
} vb_rerun_token;

typedef struct {
    vb_trace_file file; /* the reader has read all of it */
    const vb_trace_header *header;
    vb_model *model;
    int owns_model, vocab, threads, n;
    vb_rerun_token *tokens; /* [n] */
    vb_trace_ending end;    /* if the reader says `ended` */
    vb_diff *out;           /* the first difference so far, and how many records were compared */
} vb_rerun;

/* Proves the whole file before anything is computed. Every chosen token is marked to be checked. Close it even after
 * a failure. */
vb_status vb_rerun_open(vb_rerun *r, const char *path, vb_diff *out, vb_err *err);
/* Takes `opened`, or else opens the model (traces/find.h), and compares what the header says of it. If that differs
 * there is nothing to run. */
vb_status vb_rerun_model(vb_rerun *r, vb_model *opened, const char *given, const vb_model_opts *opts, vb_err *err);
/* Evaluates and compares the records of positions below `to`, until one differs. */
vb_status vb_rerun_compare(vb_rerun *r, int to, vb_err *err);
/* The recorded grammar at its beginning, NULL if there is none. To be closed. */
vb_status vb_rerun_grammar(vb_grammar **out, const vb_rerun *r, vb_err *err);
/* The recorded biases, checked against the vocabulary; NULL: none. To be freed. */
vb_status vb_rerun_biases(vb_bias **out, const vb_rerun *r, vb_err *err);
/* A session as the recorded one was, with room for as many tokens unless `opts` (may be NULL) says another number. */
vb_status vb_rerun_session(vb_session **out, const vb_rerun *r, const vb_session_opts *opts, vb_err *err);
/* "FILE: record 7: top: recorded .., now .." if there is a difference. */
vb_status vb_rerun_verdict(const vb_rerun *r, vb_err *err);
void vb_rerun_close(vb_rerun *r);

#endif
