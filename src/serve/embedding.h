/* embedding.h - texts to embeddings, for both APIs: a job for each text, told when all of them have ended. */
#ifndef VB_SERVE_EMBEDDING_H
#define VB_SERVE_EMBEDDING_H
#include "serve/turn.h"

enum { VB_INPUTS_MOST = 2048 };

typedef struct {
    vb_fault fault;       /* status 0: all is there */
    const float *rows;    /* [n][width], each of length 1 */
    int n, width;
    int prompt_tokens;    /* of all */
    int64_t total_ns, load_ns;
    const vb_host *host;
} vb_embedded;

typedef struct {
    const char *model;
    const json_t *input;  /* an array of texts and of arrays of token ids */
    int truncate;         /* 1: what is too long is cut; 0: it is a fault */
    int64_t keep_ns;
    int priority;
} vb_embed_ask;

/* 1: done(ud, ...) will be called once, on the scheduler's thread or this one. 0: *fault says why not. */
int vb_embedding_start(vb_serve *s, vb_exchange *x, const vb_embed_ask *ask, void (*done)(void *ud, const vb_embedded *e),
                       void *ud, vb_fault *fault);

#endif
