/* watch.h - tells when the other side of a socket hangs up, on a thread of its own. */
#ifndef VB_SERVE_WATCH_H
#define VB_SERVE_WATCH_H
#include "verbatim.h"

typedef struct vb_watch vb_watch;
vb_status vb_watch_open(vb_watch **out, vb_err *err);
void vb_watch_close(vb_watch *watch);
/* Calls hung_up(ud) at most once. */
void vb_watch_add(vb_watch *watch, int fd, void (*hung_up)(void *ud), void *ud);
/* After it has returned, the call for `ud` is over or will never come. */
void vb_watch_remove(vb_watch *watch, void *ud);

#endif
