/* tensors.c - the file's tensors as rows, taken by name and shape, and the account of what was taken. */
#include "model/tensors.h"

#include "base/log.h"

#include <string.h>

static void describe(vb_tensor *t, const vb_gguf_tensor *from)
{
    t->name = from->name;
    t->format = from->format->format;
    t->cols = (int64_t)from->ne[0];
    t->rows = (int64_t)(from->ne[0] == 0 ? 0 : from->elements / from->ne[0]);
    t->experts = from->n_dims > 2 ? (int64_t)from->ne[2] : 1;
    t->row_bytes = (size_t)(from->ne[0] / (uint64_t)from->format->block * (uint64_t)from->format->bytes);
    t->data = from->data;
}

vb_status vb_tensors_open(vb_tensors *out, const vb_gguf *g, vb_arena *arena, vb_err *err)
{
    memset(out, 0, sizeof *out);
    out->g = g;
    out->n = vb_gguf_n_tensors(g);
    out->all = vb_arena_array(arena, (size_t)out->n, sizeof *out->all);
    out->used = vb_arena_alloc(arena, (size_t)out->n);
    if (out->all == NULL || out->used == NULL)
        VB_FAIL(err, VB_E_MEMORY, "%s: out of memory for %lld tensors", vb_gguf_path(g), (long long)out->n);
    for (int64_t i = 0; i < out->n; i++) describe(&out->all[i], vb_gguf_tensor_at(g, i));
    return VB_OK;
}

vb_status vb_tensors_take(vb_tensors *t, const char *name, int64_t cols, int64_t rows, const vb_tensor **out,
                          vb_err *err)
{
    *out = NULL;
    const vb_gguf_tensor *found = vb_gguf_tensor_find(t->g, name);
    if (found == NULL) return VB_OK;
    int64_t i = found - vb_gguf_tensor_at(t->g, 0);
    const vb_tensor *w = &t->all[i];
    if (w->cols != cols || (rows > 0 && w->rows != rows))
        VB_FAIL(err, VB_E_FORMAT, "%s: tensor %s: expected %lld x %lld, found %lld x %lld", vb_gguf_path(t->g), name,
                (long long)cols, (long long)rows, (long long)w->cols, (long long)w->rows);
    if (w->format == VB_FMT_NONE)
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s: tensor %s: format %s is known, but not computed with yet",
                vb_gguf_path(t->g), name, found->format->name);
    t->used[i] = 1;
    *out = w;
    return VB_OK;
}

/* Towers and extra heads that a text model's file may carry. */
static int is_tower(const char *name)
{
    static const char *const prefixes[] = {"v.", "a.", "mm."};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) return 1;
    return 0;
}

vb_status vb_tensors_unused(const vb_tensors *t, vb_err *err)
{
    int64_t towers = 0;
    for (int64_t i = 0; i < t->n; i++) {
        if (t->used[i]) continue;
        if (!is_tower(t->all[i].name))
            VB_FAIL(err, VB_E_FORMAT, "%s: tensor %s: expected only tensors this family uses, found one that no step "
                    "reads", vb_gguf_path(t->g), t->all[i].name);
        towers++;
    }
    if (towers > 0)
        vb_log(VB_LOG_NOTICE, "%s: %lld tensors of a vision or audio tower are not used", vb_gguf_path(t->g),
               (long long)towers);
    return VB_OK;
}
