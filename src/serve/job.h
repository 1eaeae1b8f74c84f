/* job.h - one generation, or one text to embed, as the scheduler sees it: plain data in, events out.
 *
 *   submit -> [queue] -> on_token ... -> on_end (exactly once)
 *
 * Events come from the scheduler's thread; they must be quick and must not call back into it except for
 * vb_job_cancel. Tokens, sampling and log-probabilities are pure functions of the job: what else runs cannot be seen.
 */
#ifndef VB_SERVE_JOB_H
#define VB_SERVE_JOB_H
#include "serve/hosts.h"

#include <stdatomic.h>

enum { VB_TOP_MOST = 20 };

typedef struct {
    vb_token id;
    float logprob;          /* of the chosen token; only if job.top >= 0 */
    vb_choice top[VB_TOP_MOST];
    int n_top;
    const char *text; /* text that has become certain with it, whole UTF-8 characters; may be empty */
    size_t len;
} vb_job_token;

typedef enum {
    VB_JOB_STOP, VB_JOB_LENGTH, VB_JOB_CONTEXT, VB_JOB_CANCELLED, VB_JOB_TIMEOUT, VB_JOB_DEADLINE, VB_JOB_FAILED
} vb_job_why;
typedef struct {
    vb_job_why why;
    const struct vb_job *job;
    vb_err err;        /* of VB_JOB_FAILED */
    const char *text;  /* text that was held back until the end */
    size_t len;
    int prompt_tokens, reused, tokens; /* reused: of the prompt, known before */
    int64_t queued_ns, prefill_ns, decode_ns;
} vb_job_end;

typedef struct vb_job {
    vb_host *host; /* held by the submitter until on_end */
    const vb_token *ids; /* the prompt; must live until on_end */
    int n;
    vb_sampling sampling;
    const vb_bias *biases; /* must live until on_end */
    int n_biases;
    vb_grammar *grammar; /* NULL: any text; the job moves it on */
    const vb_token *shown; /* control tokens that are text here; must live until on_end */
    int n_shown;
    int max_tokens;     /* 0: until the model ends or the context is full; -1: only evaluate the prompt */
    const char *const *stops; /* copied */
    int n_stops;
    int top;            /* log-probabilities: -1 none, 0 of the chosen one, k of the k best besides */
    int echo;           /* the prompt's tokens too: on_prompt for each but the first */
    int ending;         /* 1: on_token for the token that ends the answer, too; without text */
    int priority;       /* higher goes first; equal ones in the order they came */
    const char *request; /* the id of the request it belongs to; NULL: none. Lives until on_end */
    int64_t deadline_ns; /* CLOCK_MONOTONIC: it ends by then; 0: when it is done */
    struct vb_record *record; /* what is kept of it (record.h); NULL: nothing */
    int embed;          /* 1: an embedding: no tokens, `embedding` is filled */
    vb_pooling pooling;
    float *embedding;   /* [width] */
    int (*on_token)(void *ud, const vb_job_token *token); /* not 0: cancel */
    void (*on_prompt)(void *ud, int position, const vb_job_token *token);
    void (*on_end)(void *ud, const vb_job_end *end);
    void *ud;

    /* the scheduler's own */
    struct vb_job *next;
    atomic_int cancelled;
    int queued; /* it had to wait for a slot */
    int slot, at, tokens, reused; /* at: tokens of the prompt that are evaluated */
    int counted;                  /* of `tokens`, in the scheduler's sums */
    vb_token last;                /* chosen, not yet evaluated */
    vb_stream *stream;
    int64_t submitted_ns, started_ns, decoding_ns;
} vb_job;

/* It ends soon, with VB_JOB_CANCELLED if it has not ended already. From any thread, until on_end has returned. */
static inline void vb_job_cancel(vb_job *job)
{
    atomic_store(&job->cancelled, 1);
}

#endif
