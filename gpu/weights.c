/* weights.c - windows over buffers over the file's bytes (see weights.h).
 *
 *   tensors   w0 | w1 | w2 ............ | w3        rows, as the file has them
 *   windows   ,,   ,,   ,,,,,,,,|,,,,,,   ,,        at most 1 GiB and the largest range; 64 rows or a multiple of them
 *   buffers   [               ][             ]      windows one behind the other, at most 1 GiB, at multiples of 256
 */
#include "gpu/weights.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 256, WINDOW_ROWS = 64, IMPORT_FROM = 1 << 16, STAGE = 1 << 24 };
static const uint64_t MOST = UINT64_C(1) << 30;

/* A buffer, or an import. Ranges point to it, so it never moves. */
typedef struct block {
    struct block *next;
    vb_gpu_buffer buffer;
} block;

struct vb_gpu_weights {
    vb_gpu *gpu;
    vb_gpu_weight *of;
    int n, cap;
    block *blocks; /* the newest first */
    vb_gpu_buffer stage;
    int no_imports; /* 1: the driver has refused one */
};

vb_status vb_gpu_weights_open(vb_gpu_weights **out, vb_gpu *g, vb_err *err)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory");
    (*out)->gpu = g;
    return VB_OK;
}

static void drop_block(vb_gpu_weights *w)
{
    block *b = w->blocks;
    w->blocks = b->next;
    vb_gpu_free(w->gpu, &b->buffer);
    free(b);
}

void vb_gpu_weights_close(vb_gpu_weights *w)
{
    if (w == NULL) return;
    while (w->blocks != NULL) drop_block(w);
    for (int i = 0; i < w->n; i++) free(w->of[i].windows);
    vb_gpu_free(w->gpu, &w->stage);
    free(w->of);
    free(w);
}

/* --- shapes ---------------------------------------------------------------------------------------------------- */

static uint64_t padded(uint64_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static uint64_t tensor_bytes(const vb_tensor *t)
{
    return (uint64_t)t->rows * t->row_bytes;
}

/* A range may begin between two places where a binding can. */
static uint64_t most_window(const vb_gpu_weights *w)
{
    const vb_gpu_facts *f = vb_gpu_facts_of(w->gpu);
    uint64_t most = f->most_range < f->most_alloc ? f->most_range : f->most_alloc;
    if (most > MOST) most = MOST;
    return most > f->range_alignment + ALIGN ? most - f->range_alignment - ALIGN : 0;
}

static int64_t window_rows(const vb_gpu_weights *w, const vb_tensor *t)
{
    int64_t rows = (int64_t)(most_window(w) / (t->row_bytes > 0 ? t->row_bytes : 1));
    return rows >= t->rows ? t->rows : rows / WINDOW_ROWS * WINDOW_ROWS;
}

int vb_gpu_weights_fit(const vb_gpu_weights *w, const vb_tensor *t)
{
    return window_rows(w, t) > 0;
}

static int is_imported(const vb_gpu_weights *w, const vb_tensor *t)
{
    const vb_gpu_facts *f = vb_gpu_facts_of(w->gpu);
    return f->imports && f->unified && !w->no_imports && tensor_bytes(t) >= IMPORT_FROM && (uintptr_t)t->data % 4 == 0 &&
           t->row_bytes * WINDOW_ROWS % 4 == 0;
}

uint64_t vb_gpu_weights_need(const vb_gpu_weights *w, const vb_tensor *t)
{
    int64_t rows = window_rows(w, t);
    if (is_imported(w, t) || rows == 0) return 0;
    uint64_t n = (uint64_t)((t->rows + rows - 1) / rows), whole = padded((uint64_t)rows * t->row_bytes);
    return (n - 1) * whole + padded((uint64_t)(t->rows - (int64_t)(n - 1) * rows) * t->row_bytes);
}

int vb_gpu_weights_same(const vb_tensor *a, const vb_tensor *b)
{
    return a == b || (a->data == b->data && a->format == b->format && a->rows == b->rows && a->cols == b->cols);
}

const vb_gpu_weight *vb_gpu_weights_find(const vb_gpu_weights *w, const vb_tensor *t)
{
    for (int i = 0; i < w->n; i++)
        if (vb_gpu_weights_same(w->of[i].tensor, t)) return &w->of[i];
    return NULL;
}

/* --- tables ---------------------------------------------------------------------------------------------------- */

/* The tensor and its windows, without memory. */
static vb_status add(vb_gpu_weights *w, const vb_tensor *t, vb_err *err)
{
    int64_t rows = window_rows(w, t);
    if (w->n == w->cap) {
        int cap = w->cap > 0 ? 2 * w->cap : 64;
        vb_gpu_weight *of = realloc(w->of, (size_t)cap * sizeof *of);
        if (of == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory for %d tensors", cap);
        w->of = of;
        w->cap = cap;
    }
    if (rows == 0)
        VB_FAIL(err, VB_E_MEMORY, "gpu: %s: %d rows of it are larger than what the device can bind", t->name, WINDOW_ROWS);
    int n = (int)((t->rows + rows - 1) / rows);
    vb_gpu_weight *weight = &w->of[w->n];
    *weight = (vb_gpu_weight){t, calloc((size_t)n, sizeof *weight->windows), n};
    if (weight->windows == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory for %d windows", n);
    for (int i = 0; i < n; i++) {
        vb_gpu_window *v = &weight->windows[i];
        v->first_row = i * rows;
        v->rows = t->rows - v->first_row < rows ? t->rows - v->first_row : rows;
        v->range.bytes = ((uint64_t)v->rows * t->row_bytes + 3) / 4 * 4;
    }
    w->n++;
    return VB_OK;
}

static vb_status add_tensors(vb_gpu_weights *w, const vb_step *steps, int n, vb_err *err)
{
    for (int i = 0; i < n; i++) {
        const vb_tensor *of[] = {steps[i].weight, steps[i].bias};
        for (int k = 0; k < 2; k++)
            if (of[k] != NULL && vb_gpu_weights_find(w, of[k]) == NULL) VB_TRY(add(w, of[k], err));
    }
    return VB_OK;
}

/* --- memory ---------------------------------------------------------------------------------------------------- */

static block *new_block(vb_gpu_weights *w)
{
    block *b = calloc(1, sizeof *b);
    if (b == NULL) return NULL;
    b->next = w->blocks;
    w->blocks = b;
    return b;
}

/* VB_OK: all its windows are imported. VB_E_UNSUPPORTED: the driver does not take such memory. */
static vb_status import(vb_gpu_weights *w, vb_gpu_weight *weight)
{
    const uint8_t *data = weight->tensor->data;
    for (int i = 0; i < weight->n_windows; i++) {
        vb_gpu_window *v = &weight->windows[i];
        block *b = new_block(w);
        uint64_t at = 0;
        if (b == NULL) return VB_E_MEMORY;
        const uint8_t *from = data + (size_t)v->first_row * weight->tensor->row_bytes;
        if (vb_gpu_import(&b->buffer, &at, w->gpu, from, v->range.bytes, NULL) < 0) return VB_E_UNSUPPORTED;
        v->range.buffer = &b->buffer;
        v->range.at = at;
    }
    return VB_OK;
}

/* Imports what can be; the others keep a range without a buffer. */
static void import_all(vb_gpu_weights *w, int from)
{
    for (int i = from; i < w->n; i++) {
        block *before = w->blocks;
        if (!is_imported(w, w->of[i].tensor) || import(w, &w->of[i]) == VB_OK) continue;
        while (w->blocks != before) drop_block(w);
        for (int k = 0; k < w->of[i].n_windows; k++) w->of[i].windows[k].range.buffer = NULL;
        w->no_imports = 1;
    }
}

/* One buffer for windows from *i, *k on, as many as it may hold; both move behind them. */
static vb_status fill_buffer(vb_gpu_weights *w, int *i, int *k, vb_err *err)
{
    uint64_t most = vb_gpu_facts_of(w->gpu)->most_alloc, bytes = 0;
    block *b = new_block(w);
    if (b == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory");
    if (most > MOST) most = MOST;
    for (; *i < w->n; (*i)++, *k = 0) {
        for (; *k < w->of[*i].n_windows; (*k)++) {
            vb_gpu_range *r = &w->of[*i].windows[*k].range;
            if (r->buffer != NULL) continue;
            if (bytes > 0 && bytes + padded(r->bytes) > most)
                return vb_gpu_alloc(&b->buffer, w->gpu, VB_GPU_LOCAL, bytes, err);
            r->buffer = &b->buffer;
            r->at = bytes;
            bytes += padded(r->bytes);
        }
    }
    if (bytes > 0) return vb_gpu_alloc(&b->buffer, w->gpu, VB_GPU_LOCAL, bytes, err);
    drop_block(w);
    return VB_OK;
}

/* --- copying --------------------------------------------------------------------------------------------------- */

static vb_status play_copy(vb_gpu_weights *w, vb_gpu_range to, vb_err *err)
{
    vb_gpu_tape *t = NULL;
    vb_gpu_range from = {&w->stage, 0, to.bytes};
    VB_TRY(vb_gpu_tape_open(&t, w->gpu, err));
    vb_status s = vb_gpu_tape_copy(t, to, from, err);
    if (s == VB_OK) s = vb_gpu_tape_end(t, err);
    if (s == VB_OK) s = vb_gpu_play(w->gpu, t, to.bytes, err);
    if (s == VB_OK) s = vb_gpu_wait(w->gpu, err);
    vb_gpu_tape_close(t);
    return s;
}

static vb_status copy_window(vb_gpu_weights *w, const vb_gpu_weight *weight, const vb_gpu_window *v,
                             vb_gpu_progress *progress, vb_err *err)
{
    const uint8_t *data = (const uint8_t *)weight->tensor->data + (size_t)v->first_row * weight->tensor->row_bytes;
    uint64_t bytes = (uint64_t)v->rows * weight->tensor->row_bytes;
    for (uint64_t at = 0, n; at < bytes; at += n) {
        n = bytes - at < STAGE ? bytes - at : STAGE;
        uint8_t *host = v->range.buffer->host;
        if (host != NULL) memcpy(host + v->range.at + at, data + at, n);
        else {
            memcpy(w->stage.host, data + at, n);
            VB_TRY(play_copy(w, (vb_gpu_range){v->range.buffer, v->range.at + at, (n + 3) / 4 * 4}, err));
        }
        progress->done += n;
        if (progress->fn != NULL && !progress->fn(progress->ud, progress->done, progress->all))
            VB_FAIL(err, VB_E_STOPPED, "gpu: copying of weights: stopped");
    }
    return VB_OK;
}

/* Windows of tensors from `from` on that lie in buffers of ours, none of which the host sees. */
static int needs_stage(const vb_gpu_weights *w, int from)
{
    for (int i = from; i < w->n; i++)
        for (int k = 0; k < w->of[i].n_windows; k++)
            if (w->of[i].windows[k].range.buffer->host == NULL) return 1;
    return 0;
}

static vb_status copy_all(vb_gpu_weights *w, int from, const uint8_t *imported, vb_gpu_progress *progress, vb_err *err)
{
    if (w->stage.bytes == 0 && needs_stage(w, from)) VB_TRY(vb_gpu_alloc(&w->stage, w->gpu, VB_GPU_UP, STAGE, err));
    for (int i = from; i < w->n; i++) {
        if (imported[i - from]) progress->done += tensor_bytes(w->of[i].tensor);
        for (int k = 0; !imported[i - from] && k < w->of[i].n_windows; k++)
            VB_TRY(copy_window(w, &w->of[i], &w->of[i].windows[k], progress, err));
    }
    return VB_OK;
}

static vb_status load(vb_gpu_weights *w, int from, vb_gpu_progress *progress, vb_err *err)
{
    int i = from, k = 0;
    uint8_t *imported = calloc((size_t)(w->n - from) + 1, 1);
    vb_status s = VB_OK;
    if (imported == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory for %d tensors", w->n - from);
    import_all(w, from);
    for (int t = from; t < w->n; t++) imported[t - from] = w->of[t].windows[0].range.buffer != NULL;
    while (s == VB_OK && i < w->n) s = fill_buffer(w, &i, &k, err);
    if (s == VB_OK) s = copy_all(w, from, imported, progress, err);
    free(imported);
    return s;
}

vb_status vb_gpu_weights_load(vb_gpu_weights *w, const vb_step *steps, int n, vb_gpu_progress *progress, vb_err *err)
{
    int before = w->n;
    uint64_t done = progress->done;
    block *blocks = w->blocks;
    vb_status s = add_tensors(w, steps, n, err);
    if (s == VB_OK) s = load(w, before, progress, err);
    if (s == VB_OK) return s;
    while (w->blocks != blocks) drop_block(w);
    while (w->n > before) free(w->of[--w->n].windows);
    progress->done = done;
    return s;
}

void vb_gpu_weights_loaded(vb_gpu_weights *w)
{
    vb_gpu_free(w->gpu, &w->stage);
}
