/* easy.c - a model with one session: loading it, what state it is in, one call at a time, and ending that one.
 *
 *   free --begin--> runs --done--> free       `running` is one word, so that a cancel meets the call that
 *                    \--cancel--> stops --done--> free      runs or none: it can never wait for a later one
 *
 * Loading has two halves: the tables, and the weights, which are read once from end to end so that the first answer need not
 * wait for the disk; that is where progress comes from.
 */
#include "easy/easy.h"

#include "base/os.h"

#include <stdlib.h>
#include <string.h>

enum { STRIDE = 4 << 20, PAGE = 4096 }; /* bytes between two reports; bytes a touch brings in */

int vb_easy_put(vb_easy_buf *b, const char *text, size_t len)
{
    if (len >= SIZE_MAX / 2 - b->len) return 0;
    if (b->len + len + 1 > b->cap) {
        size_t cap = (b->len + len + 1) * 2;
        char *data = realloc(b->data, cap);
        if (data == NULL) return 0;
        b->data = data;
        b->cap = cap;
    }
    if (len > 0) memcpy(b->data + b->len, text, len);
    b->len += len;
    b->data[b->len] = '\0';
    return 1;
}

int vb_easy_print(vb_easy_buf *b, const char *text)
{
    return vb_easy_put(b, text, strlen(text));
}

/* --- status ------------------------------------------------------------------------------------------------------ */

VB_API const char *vb_easy_state_name(vb_easy_state state)
{
    static const char *const names[] = {"idle", "loading", "ready", "generating", "error"};
    return state >= VB_EASY_IDLE && state <= VB_EASY_ERROR ? names[state] : "unknown";
}

static int tell(vb_easy *e, vb_easy_state state, double progress, const char *text)
{
    vb_easy_status status = {state, progress, text};
    atomic_store(&e->state, (int)state);
    return e->on_status != NULL ? e->on_status(e->ud, &status) : 0;
}

VB_API vb_easy_state vb_easy_state_of(const vb_easy *e)
{
    return e == NULL ? VB_EASY_IDLE : (vb_easy_state)atomic_load(&e->state);
}

VB_API vb_model *vb_easy_model(const vb_easy *e)
{
    return e->model;
}

VB_API vb_session *vb_easy_session(const vb_easy *e)
{
    return e->session;
}

VB_API uint64_t vb_easy_bytes(const vb_easy *e)
{
    vb_stats stats;
    vb_session_stats(e->session, &stats);
    return sizeof *e + stats.kv_bytes + stats.scratch_bytes;
}

/* --- one call at a time ------------------------------------------------------------------------------------------- */

int vb_easy_stopping(void *ud)
{
    vb_easy *e = ud;
    return atomic_load(&e->running) == VB_EASY_STOPS;
}

VB_API int vb_easy_cancel(vb_easy *e)
{
    int was = VB_EASY_RUNS;
    return atomic_compare_exchange_strong(&e->running, &was, VB_EASY_STOPS) || was == VB_EASY_STOPS;
}

vb_status vb_easy_begin(vb_easy *e, vb_err *err)
{
    int was = VB_EASY_FREE;
    if (!atomic_compare_exchange_strong(&e->running, &was, VB_EASY_RUNS))
        VB_FAIL(err, VB_E_ARGUMENT, "easy: expected one call at a time, found a second one");
    tell(e, VB_EASY_GENERATING, 1, "");
    return VB_OK;
}

vb_status vb_easy_done(vb_easy *e, vb_status status, const vb_err *err)
{
    if (status < 0 && status != VB_E_STOPPED) tell(e, VB_EASY_ERROR, 1, err->text);
    else tell(e, VB_EASY_READY, 1, "");
    atomic_store(&e->running, VB_EASY_FREE);
    return status;
}

/* --- loading ------------------------------------------------------------------------------------------------------ */

static vb_status stopped(vb_err *err)
{
    VB_FAIL(err, VB_E_STOPPED, "loading: expected to go on, found a callback that stops it");
}

/* Brings the file's pages in, unless they would crowd out what else is in memory. An embedded model has no file. */
static vb_status read_ahead(vb_easy *e, vb_err *err)
{
    vb_model_info info;
    vb_machine machine;
    vb_map map;
    unsigned sum = 0;
    vb_model_describe(e->model, &info);
    vb_machine_describe(&machine);
    if (info.file_bytes > machine.available_bytes / 2) return VB_OK;
    if (vb_map_open(&map, info.path, NULL) < 0) return VB_OK;
    vb_status s = VB_OK;
    for (uint64_t at = 0; at < map.size && s == VB_OK; at += PAGE) {
        sum += *(const volatile uint8_t *)(map.data + at);
        if (at % STRIDE == 0 && tell(e, VB_EASY_LOADING, (double)at / (double)map.size, "")) s = stopped(err);
    }
    (void)sum;
    vb_map_close(&map);
    return s;
}

static vb_status load(vb_easy *e, const char *model, const vb_easy_opts *opts, vb_err *err)
{
    if (tell(e, VB_EASY_LOADING, 0, "")) return stopped(err);
    if (opts->opened == NULL) VB_TRY(vb_model_open(&e->own, model, &opts->model, err));
    e->model = opts->opened != NULL ? opts->opened : e->own;
    if (opts->opened == NULL && !opts->lazy) VB_TRY(read_ahead(e, err));
    VB_TRY(vb_session_open(&e->session, e->model, &opts->session, err));
    vb_session_between(e->session, vb_easy_stopping, e);
    if (tell(e, VB_EASY_LOADING, 1, "")) return stopped(err);
    return VB_OK;
}

static void release(vb_easy *e)
{
    vb_session_close(e->session);
    vb_model_close(e->own);
    free(e->text.data);
    free(e);
}

VB_API vb_status vb_easy_open(vb_easy **out, const char *model, const vb_easy_opts *opts, vb_err *err)
{
    static const vb_easy_opts defaults;
    vb_err own = {0};
    *out = NULL;
    if (err == NULL) err = &own;
    if (opts == NULL) opts = &defaults;
    vb_easy *e = calloc(1, sizeof *e);
    if (e == NULL) VB_FAIL(err, VB_E_MEMORY, "easy: out of memory");
    e->on_status = opts->on_status;
    e->ud = opts->ud;
    vb_status s = load(e, model, opts, err);
    if (s < 0) {
        tell(e, s == VB_E_STOPPED ? VB_EASY_IDLE : VB_EASY_ERROR, 0, s == VB_E_STOPPED ? "" : err->text);
        release(e);
        return s;
    }
    tell(e, VB_EASY_READY, 1, "");
    *out = e;
    return VB_OK;
}

VB_API void vb_easy_close(vb_easy *e)
{
    if (e == NULL) return;
    tell(e, VB_EASY_IDLE, 0, "");
    release(e);
}
