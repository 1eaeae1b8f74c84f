/* patience.h - how long a connection may take to say a whole request; on a thread of its own. */
#ifndef VB_SERVE_PATIENCE_H
#define VB_SERVE_PATIENCE_H
#include "verbatim.h"

typedef struct vb_patience vb_patience;
typedef struct vb_waited vb_waited; /* one connection */

vb_status vb_patience_open(vb_patience **out, int64_t ns, vb_err *err);
void vb_patience_close(vb_patience *p); /* nothing is waited for any more */
/* Begins to wait for a request on `fd`, which is shut down when it takes too long. NULL: out of memory, no limit. */
vb_waited *vb_patience_add(vb_patience *p, int fd);
void vb_patience_remove(vb_patience *p, vb_waited *w); /* before fd is closed */
void vb_patience_restart(vb_patience *p, vb_waited *w); /* waits for the next one */
void vb_patience_fed(vb_patience *p, vb_waited *w, size_t bytes); /* some of a body: more time for the rest */
void vb_patience_end(vb_patience *p, vb_waited *w);     /* the request is whole */

#endif
