/* page.h - the page that a browser gets at `/`: a chat with the server's models, whole in one document. */
#ifndef VB_SERVE_PAGE_H
#define VB_SERVE_PAGE_H
#include "serve/serve.h"

/* Does the request prefer HTML? Programs that only ask whether the server is there do not. */
int vb_front_wanted(const vb_exchange *x);
void vb_front_answer(vb_exchange *x);

#endif
