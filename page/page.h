/* page.h - one self-contained HTML page about one or two performances, from plain data.
 *
 *   vb_page            what is told: a title, a verdict, facts of both sides, the envelope of rounding, cases
 *     vb_page_case     one prompt: two rows of tokens (or one), aligned by index, where they part, drift, layers
 *       vb_page_stream   who spoke, and its tokens
 *         vb_page_token    text, id, log-probability, margin, the largest choices with their exact logits
 *
 * Callers fill these structs and may free everything after vb_page_write. All zero means "not there", a number that is
 * not known is NAN, a text that is not known is NULL. Texts may hold any bytes: whatever is not printable UTF-8 is
 * shown as an escape, and nothing of it ever becomes markup.
 *
 * Invariant: the page asks for nothing from outside. Its style and its script stand inside and are named to the browser
 * by their SHA-256; anything else that the page might be made to run or load is refused.
 */
#ifndef VB_PAGE_PAGE_H
#define VB_PAGE_PAGE_H
#include "verbatim.h"

/* How a verdict looks. */
typedef enum {
    VB_PAGE_NEUTRAL, /* nothing was compared */
    VB_PAGE_GOOD,    /* equal, the same */
    VB_PAGE_EXPLAINED, /* differs for a reason that is known: rounding, template, tokenizer, options */
    VB_PAGE_BAD        /* differs, unexplained */
} vb_page_tone;

/* One of the likeliest tokens at a position. */
typedef struct {
    const char *text;
    size_t len;
    vb_token id;    /* -1: not known */
    int has_bits;   /* 1: `bits` is the logit, exact */
    uint32_t bits;  /* a float's bits */
    double logprob; /* nat */
} vb_page_choice;

typedef struct {
    const char *text; /* NULL: a hole, no token of this stream stands here, and none is compared */
    size_t len;
    vb_token id;    /* -1: not known */
    int given;      /* 1: of the prompt; shown without colour */
    double logprob; /* nat; decides the colour */
    double margin;  /* best logit minus the second one, or the same of log-probabilities */
    const vb_page_choice *top; /* likeliest first */
    int n_top;
    const char *note; /* a line for this token ("logits differ: 3f.. 41..") or NULL; it is marked then */
} vb_page_token;

typedef struct {
    const char *name; /* "a.trace", "Ollama 0.12" */
    const char *what; /* a line below it: "smollm2 Q4_1, cpu avx2, 2 threads"; may be NULL */
    const vb_page_token *tokens;
    int n;
    int bounds; /* 1: log-probabilities count only the kept choices: probabilities are upper bounds */
} vb_page_stream;

/* Drift of every layer at every position: value[layer * positions + index], index as in the streams. */
typedef struct {
    int layers, positions;
    const char *const *names; /* one a layer, or NULL: numbered */
    const double *largest, *rms; /* either may be NULL; NAN: not compared */
} vb_page_layers;

typedef struct {
    const char *title;   /* the prompt, a file's name; may be NULL if there is one case */
    const char *verdict; /* "rounding"; NULL: none */
    const char *reason;  /* the sentence that goes with it; may be NULL */
    vb_page_tone tone;
    vb_page_stream streams[2];
    int n_streams;
    int first_position; /* of index 0 */
    int divergence;     /* index of the first differing token, -1: none */
    const double *drift; /* one an index, as many as the longer stream has tokens; NULL: none, NAN: not compared */
    vb_page_layers layers;
} vb_page_case;

/* A fact of both sides; with `b` NULL of the whole. */
typedef struct {
    const char *key, *a, *b;
    int differs; /* 1: this is a difference that matters; marked */
} vb_page_fact;

/* How far two right answers may be apart, measured: drift of log-probabilities or logits, in nat. */
typedef struct {
    int known;
    double median, p95, most;
    double limit;    /* drift above it is outside; 0: most */
    double margin;   /* with a margin up to this any engine may choose otherwise; 0: the same as limit */
    const char *how; /* "one ulp in each layer, 512 tokens"; may be NULL */
} vb_page_envelope;

typedef struct {
    const char *kind;  /* small line above the title: "trace diff" */
    const char *title;
    const char *verdict, *reason; /* as in a case, of everything; may be NULL */
    vb_page_tone tone;
    const vb_page_fact *facts;
    int n_facts;
    vb_page_envelope envelope;
    const char *drift_what; /* what a case's drift is: "largest difference of kept logits"; NULL: "drift" */
    const vb_page_case *cases;
    int n_cases;
} vb_page;

/* Writes the page to an open stream, which stays open. VB_E_IO if writing failed, VB_E_MEMORY. */
vb_status vb_page_write(FILE *to, const vb_page *page, vb_err *err);
/* The same into a new or emptied file; "-" is stdout. */
vb_status vb_page_save(const char *path, const vb_page *page, vb_err *err);

#endif
