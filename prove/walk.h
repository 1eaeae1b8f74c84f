/* walk.h - the walk over all conditions of prove/conditions.h that this machine can meet. */
#ifndef VB_PROVE_WALK_H
#define VB_PROVE_WALK_H
#include "prove/ask.h"

typedef struct {
    int quick;  /* fewer thread counts, one chunk size beside all at once */
    int every;  /* one in so many of the conditions, by chance that is the same each time; 0 or 1: all */
    /* Each split of the layers between the CPU and this GPU, or one in so many, instead of instruction sets and threads, or
     * also. gpu_must: the model has to have layers there. */
    const char *gpu;
    int gpu_must, gpu_also, splits;
    /* Told of each condition and what was different ("": nothing); returns 0 to go on. */
    int (*told)(void *ud, const vb_question *q, const vb_condition *c, const char *difference);
    void *ud;
    unsigned asked, deal, split; /* start at 0 (split: anywhere); they go on from question to question */
} vb_walk;

/* The expected answers must be there. VB_E_STOPPED: `told` has stopped it. */
vb_status vb_walk_conditions(vb_walk *w, vb_question *q, vb_err *err);

#endif
