/* manage_transfer.c - POST /api/pull and /api/push: models from and to a registry.
 *
 *   progress of a layer --> a line for the client
 *                       --> of a pull that has something to fetch: the server's state, and how far all of it is
 */
#include "serve/manage.h"

#include "base/err.h"
#include "serve/events.h"
#include "store/transfer.h"

#include <string.h>

typedef struct {
    vb_manage *m;
    const char *name;
    uint64_t total, before, layer; /* bytes of all layers, of those before this one, of this one; total 0: nothing to fetch */
    char digest[80];               /* of this one */
    double told;                   /* the progress that was told last */
} carrying;

static void count(void *ud, const vb_host *host)
{
    int *n = ud;
    (void)host;
    ++*n;
}

/* A state a per cent. */
static void tell_state(carrying *c, const vb_progress *p)
{
    if (strcmp(c->digest, p->digest) != 0) {
        snprintf(c->digest, sizeof c->digest, "%s", p->digest);
        c->before += c->layer;
        c->layer = p->total;
    }
    double now = (double)(c->before + p->completed) / (double)c->total;
    if (now - c->told < 0.01 && now < 1) return;
    c->told = now;
    vb_events_state(c->m->serve->events, VB_SERVE_DOWNLOADING, c->name, now < 1 ? now : 1, NULL);
}

static int hear(void *ud, const vb_progress *p)
{
    carrying *c = ud;
    if (c->total > 0 && p->digest != NULL) tell_state(c, p);
    return c->m->listener.fn(c->m->listener.ud, p);
}

static void plan(void *ud, const vb_plan_of_pull *plan)
{
    carrying *c = ud;
    if (plan->missing > 0) c->total = plan->total;
}

/* The state behind a download: what it would be without one. */
static void tell_end(const carrying *c, vb_status status, const vb_err *err)
{
    int loaded = 0;
    vb_events *events = c->m->serve->events;
    if (c->total == 0) return;
    vb_hosts_each(c->m->serve->hosts, count, &loaded);
    if (status < 0 && status != VB_E_STOPPED) vb_events_state(events, VB_SERVE_ERROR, c->name, 0, err->text);
    else vb_events_state(events, loaded > 0 ? VB_SERVE_READY : VB_SERVE_IDLE, NULL, loaded > 0, NULL);
}

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
    carrying c = {.m = m, .name = vb_manage_model(r), .told = -1};
    vb_transfer t = {.insecure = vb_request_bool(r, "insecure", 0), .stop = {stopped, m}, .to = {hear, &c}, .plan = plan};
    if (r->fault.status != 0) VB_FAIL(err, VB_E_ARGUMENT, "%s", r->fault.text);
    vb_status status = fn(store, c.name, &t, err);
    if (t.changed) vb_manage_unload(m->serve, c.name);
    tell_end(&c, status, err);
    if (status == VB_E_IO && t.remote) vb_fault_set(&r->fault, 424, "%s", err->text);
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
