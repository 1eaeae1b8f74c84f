/* crew.h - threads for what would keep an HTTP thread too long: reading a request, tokenizing it, compiling its grammar. */
#ifndef VB_SERVE_CREW_H
#define VB_SERVE_CREW_H
#include "verbatim.h"

typedef struct vb_crew vb_crew;

vb_status vb_crew_open(vb_crew **out, int most, vb_err *err);
/* fn(ud, what) will be called by one of at most `most` threads, in the order given. 0: it will not, for want of memory or
 * because the crew has stopped. */
int vb_crew_give(vb_crew *crew, void (*fn)(void *ud, void *what), void *ud, void *what);
/* Does what was given and takes nothing more; closing is for when nobody can give any more. */
void vb_crew_stop(vb_crew *crew);
void vb_crew_close(vb_crew *crew);

#endif
