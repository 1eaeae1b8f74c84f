/* chores.h - work that takes long and is none of the scheduler's: a thread for each, a few at once. */
#ifndef VB_SERVE_CHORES_H
#define VB_SERVE_CHORES_H
#include "verbatim.h"

typedef struct vb_chores vb_chores;

vb_status vb_chores_open(vb_chores **out, int most, vb_err *err);
/* Tells all to end and waits for them; nothing starts any more. Closing is for when nobody can ask any more. */
void vb_chores_stop(vb_chores *chores);
void vb_chores_close(vb_chores *chores);
/* Runs fn(ud) on a thread of its own; 0: too many run already. */
int vb_chores_start(vb_chores *chores, void (*fn)(void *ud), void *ud);
/* 1: the server closes; what can be left undone should be. */
int vb_chores_ending(vb_chores *chores);

#endif
