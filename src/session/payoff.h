/* payoff.h - how many tokens to draft: what a draft is expected to bring against what evaluating it costs.
 *
 * Pure bookkeeping without a clock: times are handed in, or not at all, and then a fixed table of costs stands in for
 * them and every decision is a function of the tokens alone.
 */
#ifndef VB_SESSION_PAYOFF_H
#define VB_SESSION_PAYOFF_H
#include <stdint.h>

enum {
    VB_DRAFT_MOST = 15,               /* tokens drafted at a time */
    VB_BATCH_MOST = VB_DRAFT_MOST + 1, /* and the one they follow */
    VB_MATCH_CLASSES = 9,             /* 0: the draft model's, then by the length of the agreement */
};

typedef struct {
    double ns;    /* of an evaluation; 0: never seen */
    int64_t seen; /* when, in tokens */
    int64_t n;    /* how often */
} vb_cost;

typedef struct {
    double hits, tries;
} vb_odds;

typedef struct {
    int timed;                      /* 0: the fixed costs */
    vb_cost batch[VB_BATCH_MOST + 1]; /* by tokens */
    vb_cost draft;                  /* one token of the draft model */
    vb_odds odds[VB_MATCH_CLASSES];
    int64_t tokens;                 /* generated so far */
    double credit;                  /* token times that may still be lost */
    int streak;                     /* guesses that came true, one after the other */
} vb_payoff;

void vb_payoff_start(vb_payoff *f, int timed);
/* The best number of tokens to draft, at most `most`; 0: none. match 0 is the draft model, otherwise the length of the
 * agreement. *gain gets tokens per token time, 1 for none. */
int vb_payoff_choose(const vb_payoff *f, int match, int most, double *gain);
/* 1: the draft model is worth asking although it has `lag` tokens to read first. */
int vb_payoff_may_lag(const vb_payoff *f, int lag);
/* Whether the first untested token of a draft came true. */
void vb_payoff_learn(vb_payoff *f, int match, int hit);
/* An evaluation of `batch` tokens took ns. */
void vb_payoff_timed(vb_payoff *f, int batch, double ns);
void vb_payoff_draft_timed(vb_payoff *f, int tokens, double ns);
/* A round that took ns is over: of `batch` evaluated tokens `kept` stayed, `drafted` came from the draft model. */
void vb_payoff_settle(vb_payoff *f, int batch, int kept, int drafted, double ns);

#endif
