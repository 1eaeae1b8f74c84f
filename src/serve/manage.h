/* manage.h - requests that change the store: a thread for each, progress as a stream of lines or one answer at the end. */
#ifndef VB_SERVE_MANAGE_H
#define VB_SERVE_MANAGE_H
#include "serve/chores.h"
#include "serve/request.h"
#include "serve/serve.h"
#include "store/store.h"

typedef struct vb_manage {
    vb_serve *serve;
    vb_exchange *exchange;
    vb_request request;
    int stream;           /* 1: progress is told line by line */
    vb_listener listener; /* for the store's functions */
} vb_manage;

/* Reads the request and runs work(m, store, err) on a thread, then answers: a stream's last lines or, with `stream` 0,
 * {"status":"success"}; `silent`: 200 and nothing. `type` is how errors call the request. */
void vb_manage_start(vb_serve *s, vb_exchange *x, const char *type, int silent,
                     vb_status (*work)(vb_manage *m, vb_store *store, vb_err *err));
/* 1: the client has left, or the server closes. */
int vb_manage_stopped(const vb_manage *m);
/* What was loaded by this name is not what it means any more: it goes when nobody uses it. */
void vb_manage_unload(vb_serve *s, const char *model);
/* The name of a request, from "model" or, as it was called once, "name". */
const char *vb_manage_model(vb_request *r);

/* --- routes --- */
void vb_manage_create(vb_serve *s, vb_exchange *x);
void vb_manage_copy(vb_serve *s, vb_exchange *x);
void vb_manage_delete(vb_serve *s, vb_exchange *x);
void vb_manage_pull(vb_serve *s, vb_exchange *x);
void vb_manage_push(vb_serve *s, vb_exchange *x);
void vb_upload_head(vb_serve *s, vb_exchange *x);
/* Called with the headers alone: the body goes to the disk as it comes. */
void vb_upload_begin(vb_serve *s, vb_exchange *x);

#endif
