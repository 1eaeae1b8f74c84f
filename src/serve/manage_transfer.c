/* manage_transfer.c - POST /api/pull and /api/push: models from and to a registry. */
#include "serve/manage.h"

#include "base/err.h"
#include "store/transfer.h"

/* A transfer goes on later from where it was ended, so the server's end does not wait for one. */
static int stopped(void *ud)
{
    const vb_manage *m = ud;
    return vb_manage_stopped(m) || atomic_load(&m->serve->ending);
}

static vb_status transfer(vb_manage *m, vb_status (*fn)(vb_store *, const char *, vb_transfer *, vb_err *), vb_store *store,
                          vb_err *err)
{
    vb_request *r = &m->request;
    vb_transfer t = {.insecure = vb_request_bool(r, "insecure", 0), .stop = {stopped, m}, .to = m->listener};
    const char *name = vb_manage_model(r);
    if (r->fault.status != 0) VB_FAIL(err, VB_E_ARGUMENT, "%s", r->fault.text);
    vb_status status = fn(store, name, &t, err);
    if (t.changed) vb_manage_unload(m->serve, name);
    if (status == VB_E_IO && t.remote) vb_fault_set(&r->fault, 502, "%s", err->text);
    return status;
}

static vb_status pull(vb_manage *m, vb_store *store, vb_err *err)
{
    return transfer(m, vb_store_pull, store, err);
}

static vb_status send(vb_store *store, const char *name, vb_transfer *t, vb_err *err)
{
    if (name[0] == '\0') VB_FAIL(err, VB_E_ARGUMENT, "model is required");
    return vb_store_push(store, name, t, err);
}

static vb_status push(vb_manage *m, vb_store *store, vb_err *err)
{
    return transfer(m, send, store, err);
}

void vb_manage_pull(vb_serve *s, vb_exchange *x)
{
    vb_manage_start(s, x, "PullRequest", 0, pull);
}

void vb_manage_push(vb_serve *s, vb_exchange *x)
{
    vb_manage_start(s, x, "PushRequest", 0, push);
}
