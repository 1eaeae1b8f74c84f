/* native.h - what the routes of llama-server's API share. */
#ifndef VB_SERVE_NATIVE_H
#define VB_SERVE_NATIVE_H
#include "serve/serve.h"

/* The model a request means: the one it names, else the one that was used last. NULL: the exchange has been answered.
 * Give it back with vb_hosts_release. */
vb_host *vb_native_host(vb_serve *s, vb_exchange *x, const char *name);

void vb_native_tokenize(vb_serve *s, vb_exchange *x);
void vb_native_detokenize(vb_serve *s, vb_exchange *x);
void vb_native_apply_template(vb_serve *s, vb_exchange *x);
void vb_native_props(vb_serve *s, vb_exchange *x);
void vb_native_slots(vb_serve *s, vb_exchange *x);

#endif
