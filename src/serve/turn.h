/* turn.h - one turn of a model: a conversation, a text or tokens in, one or several answers out. What both APIs share.
 *
 *   vb_ask --vb_turn_start--> [model] [template] [tokens] --> a job for each choice
 *                                                         --> token ... token, done (each choice), over (once)
 *
 * A turn that does not start leaves a fault, and the exchange is still to be answered. One that has started calls its
 * events, one at a time and never two at once, and frees itself behind `over`, which answers or ends the exchange. When the
 * client goes its jobs are cancelled; events then come all the same.
 */
#ifndef VB_SERVE_TURN_H
#define VB_SERVE_TURN_H
#include "serve/form.h"
#include "serve/serve.h"
#include "serve/tools.h"

enum { VB_CHOICES_MOST = 16, VB_STOPS_MOST = 16 };

typedef struct vb_turn vb_turn;

/* From the scheduler's thread, or the one that starts the turn; quick. */
typedef struct {
    /* Thought and calls, in front of the token that brought them, or of `done`; their text is in no other event. May be
     * NULL: then they are lost. */
    void (*split)(void *ud, int choice, const vb_reply_piece *piece);
    /* A token and the text that has become certain with it. Not 0: this choice ends here. */
    int (*token)(void *ud, int choice, const vb_job_token *token);
    void (*prompt)(void *ud, int choice, int position, const vb_job_token *token); /* if ask.echo */
    void (*done)(void *ud, int choice, const vb_job_end *end); /* once for each choice; may bring text that was held back */
    void (*over)(void *ud); /* behind the last `done`; the turn's fields are still there */
} vb_turn_events;

/* What is asked; all of it is copied or used up when vb_turn_start returns. */
typedef struct {
    const char *model;
    /* The prompt is all of these that are there, in this order: */
    const vb_token *ids;
    size_t n_ids;
    const json_t *messages; /* [{role, content}], through the model's template, an answer opened at the end; the store's
                             * system message goes before them if they have none */
    const vb_tooling *tooling; /* of the messages; NULL: neither tools nor a word about thoughts */
    const char *text;       /* with control tokens read, and BOS if nothing stands before it */
    int truncate;           /* 1: the oldest messages, except system's, go when the context is too small */
    vb_sampling sampling;
    const json_t *biases;   /* {"token": number}, what is added to logits; NULL: nothing */
    vb_form form;
    int max_tokens;         /* 0: no limit but the context; -1: only evaluate the prompt */
    const char *stops[VB_STOPS_MOST];
    int n_stops;
    int choices;            /* 0: 1; choice i samples with stream + i */
    int top, echo, ending, priority; /* as in vb_job; top -1: no log-probabilities */
    int context;            /* at most so many tokens of it; 0: as the model is loaded */
    int64_t keep_ns;        /* VB_KEEP_DEFAULT: as it was */
    int digest;             /* the answer tells the digest of its logits, also where no trace is kept */
} vb_ask;

struct vb_turn {
    vb_serve *serve;
    vb_exchange *exchange;
    vb_host *host;      /* held */
    vb_token *ids;      /* the prompt */
    int n, choices;
    int64_t started_ns, load_ns; /* CLOCK_MONOTONIC; load: until the model was there */
    vb_turn_events events;
    void *ud;
    struct vb_turn_more *more;
};

/* 1: started, *out may be used in events (it is set before the first one). 0: *fault says why not. */
int vb_turn_start(vb_turn **out, vb_serve *s, vb_exchange *x, const vb_ask *ask, const vb_turn_events *events, void *ud,
                  vb_fault *fault);
/* The loaded model of a client's name; to be given back with vb_hosts_release. 0: *fault says why not, or that it is
 * being loaded: then the route is to answer with this fault, and is called again when the model is there. */
int vb_turn_host(vb_serve *s, const char *model, int embeds, vb_host **out, vb_fault *fault);
/* A conversation as the model would get it, to be freed; 0: *fault says why not. */
int vb_turn_render(const vb_model *model, const json_t *messages, const vb_tooling *tooling, char **text, size_t *len,
                   vb_fault *fault);
/* Has a text of so many bytes more tokens than `context`, whatever they are? Only a yes is sure. */
int vb_turn_too_long(const vb_host *host, size_t bytes, int context);
/* Text to ids, to be freed; `flags` as of vb_tokenize, VB_STOP_WHEN_FULL: more than the context. -1: *fault says why not. */
int64_t vb_turn_tokenize(const vb_host *host, const char *text, int flags, vb_token **ids, vb_fault *fault);
/* What an end means for the client: a fault of status 0 if it got its answer. */
void vb_turn_judge(const vb_job_end *end, vb_fault *fault);
/* Tokens of this choice that were thought. */
int vb_turn_thoughts(const vb_turn *turn, int choice);
/* "stop" or "length". */
const char *vb_turn_reason(const vb_job_end *end);
/* A status of the library as one of HTTP. */
unsigned vb_turn_status(vb_status status);
/* Random, for requests without a seed. */
uint64_t vb_turn_seed(void);
/* Is the client too slow to be written to any further? */
int vb_turn_stalled(const vb_turn *turn);

#endif
