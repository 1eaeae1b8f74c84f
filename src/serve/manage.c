/* manage.c - /api/create, /api/copy, /api/delete, and the frame that pulling and pushing share with them.
 *
 *   request --> a thread: the store is opened, work, answer
 *                           progress --> {"status":...} a line each, the first one begins the stream
 *
 * An error before the first line has its own status; behind it, it is a line. A client that leaves ends its work at the next
 * sign of progress. Who may ask is the guard's business: an address that others reach needs a key for every request.
 */
#include "serve/manage.h"

#include "base/err.h"
#include "serve/ollama.h"
#include "store/create.h"
#include "store/source.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { BACKLOG_MOST = 1 << 16 };

typedef struct {
    vb_manage m; /* first: the same address */
    vb_status (*work)(vb_manage *m, vb_store *store, vb_err *err);
    int silent, begun;
    atomic_int gone;
} managed;

/* --- the frame ------------------------------------------------------------------------------------------- */

const char *vb_manage_model(vb_request *r)
{
    const char *model = vb_request_string(r, "model", ""), *old = vb_request_string(r, "name", "");
    return model[0] != '\0' ? model : old;
}

static void put_progress(vb_out *out, const vb_progress *p)
{
    vb_js_put_string(out, "status", p->status);
    if (p->digest == NULL) return;
    vb_js_put_string(out, "digest", p->digest);
    vb_js_put_int(out, "total", (int64_t)p->total);
    if (p->completed > 0) vb_js_put_int(out, "completed", (int64_t)p->completed);
}

static void write_line(managed *w, vb_out *out)
{
    vb_out_bytes(out, "\n", 1);
    if (!w->begun) vb_exchange_begin(w->m.exchange, 200, "application/x-ndjson");
    w->begun = 1;
    if (!out->failed) vb_exchange_write(w->m.exchange, out->data, out->len);
    vb_out_free(out);
}

int vb_manage_stopped(const vb_manage *m)
{
    return atomic_load(&((const managed *)(const void *)m)->gone) || vb_chores_ending(m->serve->chores);
}

static int tell(void *ud, const vb_progress *p)
{
    managed *w = ud;
    vb_out out = {0};
    if (vb_manage_stopped(&w->m)) return 1;
    if (!w->m.stream || strcmp(p->status, "success") == 0) return 0; /* the end says it */
    if (vb_exchange_backlog(w->m.exchange) > BACKLOG_MOST) return 0; /* a client that does not read */
    vb_js_open(&out, '{');
    put_progress(&out, p);
    vb_js_close(&out, '}');
    write_line(w, &out);
    return 0;
}

static void gone(void *ud)
{
    managed *w = ud;
    atomic_store(&w->gone, 1);
}

static unsigned status_of(vb_status s)
{
    switch (s) {
    case VB_E_ARGUMENT:
    case VB_E_DIFFERS:
    case VB_E_UNSUPPORTED:
    case VB_E_FORMAT: return 400;
    case VB_E_NOT_FOUND: return 404;
    case VB_E_STOPPED: return 499;
    default: return 500;
    }
}

static void answer(managed *w, vb_status s, const vb_err *err)
{
    vb_out out = {0};
    if (s == VB_OK) w->m.request.fault.status = 0;
    else vb_fault_set(&w->m.request.fault, status_of(s), "%s", err->text);
    if (s != VB_OK && !w->begun) {
        vb_ollama_fault(w->m.exchange, &w->m.request.fault);
        return;
    }
    if (s == VB_OK && w->silent) {
        vb_exchange_answer(w->m.exchange, 200, NULL, "", 0);
        return;
    }
    vb_js_open(&out, '{');
    vb_js_put_string(&out, s == VB_OK ? "status" : "error", s == VB_OK ? "success" : w->m.request.fault.text);
    if (s == VB_OK) vb_request_put_ignored(&w->m.request, &out);
    vb_js_close(&out, '}');
    if (w->m.stream) {
        write_line(w, &out);
        vb_exchange_end(w->m.exchange);
    } else vb_serve_json(w->m.exchange, 200, &out);
}

static void run(void *ud)
{
    managed *w = ud;
    vb_store *store;
    vb_err err = {0};
    vb_status s = vb_store_open(&store, NULL, &err);
    if (s == VB_OK) s = w->work(&w->m, store, &err);
    vb_store_close(store);
    answer(w, s, &err);
    vb_request_close(&w->m.request);
    free(w);
}

void vb_manage_start(vb_serve *s, vb_exchange *x, const char *type, int silent,
                     vb_status (*work)(vb_manage *m, vb_store *store, vb_err *err))
{
    vb_fault fault = {0};
    managed *w = calloc(1, sizeof *w);
    if (w == NULL) {
        vb_serve_error(x, 500, "out of memory");
        return;
    }
    w->m = (vb_manage){.serve = s, .exchange = x, .listener = {tell, w}};
    w->work = work;
    w->silent = silent;
    vb_request_open(&w->m.request, x, type);
    w->m.stream = vb_request_bool(&w->m.request, "stream", 1) && !silent;
    fault = w->m.request.fault;
    if (fault.status == 0) vb_exchange_on_gone(x, gone, w);
    if (fault.status == 0 && vb_chores_start(s->chores, run, w)) return;
    vb_fault_set(&fault, 503, "server busy: too many requests that change the store");
    if (fault.status == 503) fault.retry_after = 1;
    vb_ollama_fault(x, &fault);
    vb_request_close(&w->m.request);
    free(w);
}

void vb_manage_unload(vb_serve *s, const char *model)
{
    char name[VB_HOST_NAME];
    if (vb_catalogue_spell(model, name)) vb_hosts_unload(s->hosts, name);
}

/* A fault that reading the fields left. */
static vb_status read_well(const vb_request *r, vb_err *err)
{
    return r->fault.status == 0 ? VB_OK : vb_fail(err, VB_E_ARGUMENT, "%s", r->fault.text);
}

/* --- create, copy, delete -------------------------------------------------------------------------------- */

static json_t *object(vb_request *r, const char *key, const char *go_type)
{
    json_t *value = vb_request_any(r, key);
    if (value == NULL || json_is_object(value)) return value;
    vb_request_mistyped(r, key, value, go_type);
    return NULL;
}

/* A path on this machine. Whatever is wrong with it is told in the same words: a client may not learn what other files there
 * are, and what is in them. */
static vb_status check_path(const char *from, vb_err *err)
{
    vb_model *model;
    vb_model_opts opts = {.vocab_only = 1};
    if (from == NULL || from[0] != '/') return VB_OK;
    if (vb_model_open(&model, from, &opts, NULL) != VB_OK)
        VB_FAIL(err, VB_E_NOT_FOUND, "%.300s: expected a GGUF file that the server can open, found none", from);
    vb_model_close(model);
    return VB_OK;
}

static vb_status create(vb_manage *m, vb_store *store, vb_err *err)
{
    vb_request *r = &m->request;
    const char *old = vb_request_string(r, "quantization", NULL);
    vb_recipe recipe = {
        .name = vb_manage_model(r),
        .from = vb_request_string(r, "from", NULL),
        .files = object(r, "files", "map[string]string"),
        .adapters = object(r, "adapters", "map[string]string"),
        .quantize = vb_request_string(r, "quantize", old),
        .template_ = vb_request_string(r, "template", NULL),
        .system = vb_request_string(r, "system", NULL),
        .renderer = vb_request_string(r, "renderer", NULL),
        .parser = vb_request_string(r, "parser", NULL),
        .requires = vb_request_string(r, "requires", NULL),
        .license = vb_request_any(r, "license"),
        .parameters = object(r, "parameters", "map[string]interface {}"),
        .messages = vb_request_list(r, "messages", "[]api.Message"),
    };
    VB_TRY(read_well(r, err));
    VB_TRY(check_path(recipe.from, err));
    VB_TRY(vb_create(store, &recipe, &m->listener, err));
    vb_manage_unload(m->serve, recipe.name);
    return VB_OK;
}

static vb_status copy(vb_manage *m, vb_store *store, vb_err *err)
{
    const char *from = vb_request_string(&m->request, "source", ""), *to = vb_request_string(&m->request, "destination", "");
    VB_TRY(read_well(&m->request, err));
    VB_TRY(vb_origin_copy(store, from, to, &m->listener, err));
    vb_manage_unload(m->serve, to);
    return VB_OK;
}

static vb_status delete(vb_manage *m, vb_store *store, vb_err *err)
{
    const char *name = vb_manage_model(&m->request);
    VB_TRY(read_well(&m->request, err));
    VB_TRY(vb_origin_remove(store, name, err));
    vb_manage_unload(m->serve, name);
    return VB_OK;
}

void vb_manage_create(vb_serve *s, vb_exchange *x)
{
    vb_manage_start(s, x, "CreateRequest", 0, create);
}

void vb_manage_copy(vb_serve *s, vb_exchange *x)
{
    vb_manage_start(s, x, "CopyRequest", 1, copy);
}

void vb_manage_delete(vb_serve *s, vb_exchange *x)
{
    vb_manage_start(s, x, "DeleteRequest", 1, delete);
}
