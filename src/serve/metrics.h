/* metrics.h - what a server counts, and the page that Prometheus reads. */
#ifndef VB_SERVE_METRICS_H
#define VB_SERVE_METRICS_H
#include "serve/serve.h"

vb_status vb_metrics_open(vb_metrics **out, vb_err *err);
void vb_metrics_close(vb_metrics *m);
/* One request that is over; route: a vb_route, NULL: none. status 0: the client left before there was one. */
void vb_metrics_request(vb_metrics *m, const void *route, unsigned status, int64_t ns);
void vb_metrics_job(vb_metrics *m, const vb_job_end *end);
void vb_metrics_write(vb_metrics *m, vb_serve *s, vb_out *out);

#endif
