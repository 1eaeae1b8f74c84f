/* quorum.h - many recordings of one performance: which of them stand against the majority, and from which record on. */
#ifndef VB_PROVE_QUORUM_H
#define VB_PROVE_QUORUM_H
#include "verbatim.h"

typedef struct {
    vb_diff first;  /* the first record in which not all are equal; differs 0: none. a is the leader's, b the first other's */
    int leader;     /* a file of the largest group */
    int agree;      /* files that are equal to it at that record */
    int majority;   /* 1: these are more than half of all */
} vb_quorum;

/* side[i] gets the index of the first file that file i is equal to at that record. VB_OK if all are equal,
 * VB_E_DIFFERS if not, another error if a file cannot be read. n >= 1. */
vb_status vb_quorum_traces(const char *const *paths, int n, int *side, vb_quorum *out, vb_err *err);

#endif
