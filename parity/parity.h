/* parity.h - another engine's answer beside our own arithmetic: where the two differ, by how much, and why.
 *
 *   vb_answer --align--> vb_aligned: their tokens fed to our model, position by position
 *   model -----envelope--> vb_envelope: how far our own numbers move when one ulp is planted in every layer
 *   both ------verdict---> vb_judgement: same, rounding, template, tokenizer, model, sampler, stop or unexplained
 *   all of them --report-> vb_report: what is printed and written
 *
 * Drift is the difference of log-probabilities of the same token after the same tokens, in nat. Feeding their tokens is
 * the measure because texts that run freely part for good at the first place where two tokens are nearly equal.
 *
 * Invariant: nothing here is random. The same answers and the same model give the same numbers and verdicts, on every
 * machine and for any number of threads. docs/PARITY.md says what the statistics mean and why they were chosen.
 */
#ifndef VB_PARITY_PARITY_H
#define VB_PARITY_PARITY_H
#include "parity/answer.h"

#include <jansson.h>

/* --- spell.c, prompt.c, align.c: their tokens, our numbers -------------------------------------------------------------------------- */

enum { VB_PARITY_TOP = 5 };

/* Every token of a vocabulary by its bytes. */
typedef struct vb_speller vb_speller;
vb_status vb_speller_open(vb_speller **out, const vb_model *model, vb_err *err);
void vb_speller_close(vb_speller *speller);
/* The ids of all tokens that stand for these bytes; returns how many. */
int vb_speller_find(const vb_speller *speller, const char *bytes, size_t len, const vb_token **ids);

/* One token of theirs. Logits of ours are those that predict it. */
typedef struct {
    int judged;            /* 0: fed, not compared: several tokens shown as one, or no log-probability told */
    vb_token id;           /* theirs in our vocabulary; -1: not judged */
    double theirs, ours;   /* log-probability of their token, as they say and as we have it */
    double drift;          /* |theirs - ours| */
    double our_margin;     /* our best over our second, log-probabilities */
    double their_margin;   /* the same of theirs; NAN: they did not tell */
    /* Where our best token is another one: our preference for ours and theirs for theirs, added: by so much the two
     * engines' views of this pair differ. Where they did not tell ours, at least so much. 0 where the best is the same. */
    double gap;
    vb_choice top[VB_PARITY_TOP]; /* ours, largest first */
    int n_top;
} vb_aligned_token;

typedef enum { VB_PROMPT_SAME = 0, VB_PROMPT_TEMPLATE, VB_PROMPT_TOKENIZER } vb_prompt_state;

typedef struct {
    vb_prompt_state prompt;
    int64_t prompt_at;     /* byte or token where the prompts part; -1: only the number of tokens is known */
    int readable;          /* 1: their tokens were fed; another template was put up with, another tokenizer is not */
    vb_token *prompt_ids;  /* as fed */
    int n_prompt, n_ours;  /* n_ours: what we would have asked, in our own words */
    vb_token *fed;         /* prompt and their tokens, as evaluated */
    int n_fed;
    vb_aligned_token *token; /* as many as the answer has tokens */
    int n;                 /* those reached; fewer than the answer's if an entry could not be read */
    int judged, agreed;    /* our best token is theirs at `agreed` of `judged` positions */
    int joined;            /* entries that are several tokens */
    int first;             /* the first entry where our best token is another one; -1: none */
    int foreign;           /* an entry that no token of ours spells; -1: none */
    vb_choice end[VB_PARITY_TOP]; /* ours behind their last token */
    int n_end;
    double end_best;       /* log-probability of the likeliest token that ends a generation, there */
} vb_aligned;

vb_status vb_parity_no_memory(vb_err *err);
/* The prompt's part of an alignment. */
vb_status vb_align_prompt(vb_aligned *out, const vb_model *model, const vb_answer *answer, vb_err *err);
/* `model` renders chats as the other engine does (vb_model_opts.template_as). */
vb_status vb_align(vb_aligned *out, vb_model *model, const vb_speller *speller, const vb_answer *answer, vb_err *err);
void vb_aligned_free(vb_aligned *aligned);

/* --- envelope.c: how far our own numbers move -------------------------------------------------------------------- */

typedef struct {
    int n;
    double median, p95, p99, most;
} vb_spread;
vb_spread vb_spread_of(double *values, int n); /* sorts them */

/* A text of the sample: predictions of ids[from] and what follows are compared. from >= 1. */
typedef struct {
    const vb_token *ids;
    int n, from;
} vb_envelope_text;

typedef struct {
    int texts, seeds;
    int flips;        /* positions where the best token became another one */
    vb_spread drift;  /* of log-probabilities of the tokens of the texts */
    vb_spread margin; /* of the difference between our best and our second token */
} vb_envelope;

/* Each text with `seeds` different disturbances. */
vb_status vb_envelope_measure(vb_envelope *out, vb_model *model, const vb_envelope_text *texts, int n, int seeds,
                              vb_err *err);
/* The same numbers for two models of the same weights, one of which computes otherwise (vb_model_opts.like_ggml). */
vb_status vb_envelope_between(vb_envelope *out, vb_model *model, vb_model *other, const vb_envelope_text *texts, int n,
                              vb_err *err);

/* --- verdict.c: why ---------------------------------------------------------------------------------------------- */

typedef enum {
    VB_VERDICT_SAME = 0,
    VB_VERDICT_ROUNDING,
    VB_VERDICT_TEMPLATE,
    VB_VERDICT_TOKENIZER,
    VB_VERDICT_MODEL,
    VB_VERDICT_SAMPLER,
    VB_VERDICT_STOP,
    VB_VERDICT_UNEXPLAINED,
    VB_VERDICTS
} vb_verdict;
const char *vb_verdict_name(vb_verdict verdict); /* "template differs" */

typedef struct {
    vb_verdict verdict;
    int64_t at;         /* byte of the rendering, token of the prompt or of the answer; -1: nowhere in particular */
    int inside, outside; /* positions where our best token is another one: explained by rounding or not */
    double largest_gap;
    int largest_at;
    char why[256];      /* one sentence */
} vb_judgement;

double vb_envelope_limit(const vb_envelope *envelope); /* the largest gap that is called rounding, in nat */
int vb_envelope_holds(const vb_envelope *envelope, const vb_spread *drift); /* 1: such drift is rounding's */
/* `sha256` is of our model's file, or NULL. */
void vb_judge_answer(vb_judgement *out, const vb_model *model, const uint8_t sha256[32], const vb_answer *answer,
              const vb_aligned *aligned, const vb_envelope *envelope);

/* --- certificate.c: all of it for many answers ------------------------------------------------------------------- */

typedef struct {
    int sample; /* positions that the envelope is measured on; 0: 384 */
    int (*progress)(void *ud, int done, int all); /* may be NULL; not 0: stop */
    void *ud;
} vb_certify_opts;

typedef struct {
    const vb_answers *answers; /* not its own */
    vb_aligned *aligned;       /* one an answer */
    vb_judgement *judged;
    int n;
    vb_envelope envelope;
    double limit;              /* of a gap, and of a margin below which another engine may choose differently */
    vb_spread drift;           /* of all judged tokens */
    int tokens, agreed, joined;
    int open;                  /* tokens of ours with a margin below the limit */
    int apart, outside;        /* positions with another best token; those that rounding does not explain */
    int verdicts[VB_VERDICTS]; /* answers of each verdict */
    int holds;                 /* vb_envelope_holds */
    int explained;             /* 1: no answer is unexplained and the drift holds */
} vb_certificate;

/* Answers must outlive the certificate. `sha256` of our model's file, or NULL. */
vb_status vb_certify(vb_certificate *out, vb_model *model, const uint8_t *sha256, const vb_answers *answers,
                     const vb_certify_opts *opts, vb_err *err);
void vb_certificate_free(vb_certificate *certificate);

/* --- contributions.c: what the documented differences to ggml move ----------------------------------------------- */

enum { VB_CONTRIBUTIONS = 6 }; /* five, and all together */
typedef struct {
    int difference; /* VB_GGML_... */
    const char *name;
    vb_envelope found;
} vb_contribution;
/* On a small sample of the certificate's texts. `opts` as the model was opened. Returns how many there are (0: no text is
 * short enough), or a vb_status. */
int vb_contributions(vb_contribution out[VB_CONTRIBUTIONS], const vb_certificate *certificate, vb_model *model,
                     const vb_model_opts *opts, vb_err *err);

/* --- report.c ---------------------------------------------------------------------------------------------------- */

/* Lines for people; the colours are escape sequences or empty. */
typedef struct {
    const char *good, *bad, *plain;
} vb_report_colours;
void vb_certificate_print(FILE *to, const vb_certificate *certificate, const vb_report_colours *colours);
void vb_contributions_print(FILE *to, const vb_contribution *list, int n);
json_t *vb_contributions_json(const vb_contribution *list, int n);
/* The same and every token as JSON. NULL: no memory. */
json_t *vb_certificate_json(const vb_certificate *certificate, const vb_model *model);

#endif
