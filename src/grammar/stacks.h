/* stacks.h - where a text may stand in a network: a set of stacks, numbered, with remembered steps.
 *
 *   frame   a node, how often a repetition has been entered, the frame to return to       frames are shared and unique
 *   state   a set of frames that wait for a byte (or are through), sorted                 states are unique
 *   next    [state][class of bytes] -> state, filled when first asked for
 *
 * Texts that leave the same to be written are in the same state, whatever stood in front: inside a long string every
 * character leads back to where it was, and stepping is one look into a table.
 *
 * Invariant: a state's number is its set, as long as vb_stacks_keep is not called.
 */
#ifndef VB_GRAMMAR_STACKS_H
#define VB_GRAMMAR_STACKS_H
#include "grammar/graph.h"

enum {
    VB_STACKS_STATES_MOST = 100000,
    VB_STACKS_FRAMES_MOST = 1 << 20,
    VB_STACKS_SET_MOST = 4096, /* stacks at a time */
};
enum { VB_STATE_NONE = -1, VB_STATE_UNKNOWN = -2, VB_STATE_FAILED = -3 };

typedef struct {
    int node, count, parent; /* parent -1: the outermost rule */
} vb_frame;

typedef struct {
    int first, n; /* members */
    int through;  /* 1: the text may end here */
} vb_state_set;

/* A set that grows, found by contents: slots hold number + 1. */
typedef struct {
    int *slots;
    int n_slots;
} vb_finder;

typedef struct {
    const vb_graph *g;
    vb_frame *frames;
    uint32_t *mark; /* [cap_frames] the step that last saw it */
    int n_frames, cap_frames;
    vb_state_set *states;
    int n_states, cap_states;
    int *members;
    int n_members, cap_members;
    int *next; /* [cap_states][classes] */
    vb_finder by_frame, by_set;
    uint32_t step;
    int *pending, *found; /* of the step in progress */
    int n_pending, cap_pending, n_found, found_through;
    int64_t work; /* frames looked at so far */
    int64_t work_most; /* a step beyond it fails */
    vb_status failed;
} vb_stacks;

vb_status vb_stacks_open(vb_stacks *s, const vb_graph *g, vb_err *err);
void vb_stacks_close(vb_stacks *s);
int vb_stacks_start(vb_stacks *s); /* the state before anything is written; VB_STATE_FAILED */
/* The state behind one more byte; VB_STATE_NONE: it may not stand here; VB_STATE_FAILED: `failed` says why. */
int vb_stacks_step_slowly(vb_stacks *s, int state, uint8_t byte);
/* What went wrong, as an error; `failed` is cleared, as a smaller set may do. */
vb_status vb_stacks_error(vb_stacks *s, vb_err *err);
/* Forgets all states but these, which get new numbers. */
vb_status vb_stacks_keep(vb_stacks *s, int **kept, int n, vb_err *err);

static inline int vb_stacks_step(vb_stacks *s, int state, uint8_t byte)
{
    int next = s->next[(size_t)state * (size_t)s->g->n_classes + s->g->class_of[byte]];
    return next == VB_STATE_UNKNOWN ? vb_stacks_step_slowly(s, state, byte) : next;
}

#endif
