/* loads.h - models that are being loaded: two threads that do it, and who waits for them. */
#ifndef VB_SERVE_LOADS_H
#define VB_SERVE_LOADS_H
#include "verbatim.h"

typedef struct vb_loads vb_loads;

/* load(ud, name, embeds, err) loads a model, so that who asks for it finds it, or says in *err why not. */
vb_status vb_loads_open(vb_loads **out, void (*load)(void *ud, const char *name, int embeds, vb_err *err), void *ud,
                        vb_err *err);
/* The number of this model's loading, which begins soon if nobody has wanted it before; 0: no memory, or they stop. */
uint64_t vb_loads_want(vb_loads *loads, const char *name, int embeds);
/* Calls over(ud, err) once when that loading is over; err NULL: loaded. 0: it is over, or there is no memory. */
int vb_loads_wait(vb_loads *loads, uint64_t number, void (*over)(void *ud, const vb_err *err), void *ud);
int vb_loads_stopping(vb_loads *loads); /* 1: whoever loads should give it up */
/* Begins nothing more, tells all that wait. */
void vb_loads_stop(vb_loads *loads);
void vb_loads_close(vb_loads *loads);

#endif
