/* changes.c - the changes of rules as views.
 *
 *   rows of a head that rotates   [heads, 2, half]        -> [heads, half, 2]
 *   q, k, v head by head          [heads, 3, size]        -> [3, heads, size]
 *   value heads by key head       [keys, rounds, size]    -> [rounds, keys, size]
 *   gate and up in one            [expert, 2, rows]       -> two of [expert, rows]
 *   gate and up row by row        [expert, rows, 2]       -> two of [expert, rows]
 */
#include "convert/tensors.h"

#include <string.h>

typedef struct {
    vb_output *o;
    const vb_source_tensor *t;
    const vb_sizes *sizes;
} job;

/* Dimensions of the output, the slowest first as folders have them. */
static void shape(vb_output *o, int n, const uint64_t *dims)
{
    o->n_dims = n > 0 ? n : 1;
    for (int i = 0; i < 4; i++) o->ne[i] = i < n ? dims[n - 1 - i] : 1;
}

static void same_shape(const job *j)
{
    shape(j->o, j->t->n_dims, j->t->dims);
}

static vb_view *view(const job *j, uint64_t base)
{
    vb_view *v = &j->o->views[j->o->n_views++];
    *v = vb_view_begin(j->t, base);
    return v;
}

/* The dimensions from `first` on as they are. */
static void rest(vb_view *v, const vb_source_tensor *t, int first)
{
    for (int i = first; i < t->n_dims; i++) vb_view_axis(v, t->dims[i], vb_view_step(t, i));
}

static void keep(const job *j)
{
    same_shape(j);
    j->o->views[j->o->n_views++] = vb_view_all(j->t);
}

/* Rows [start, start + a b c) in the order [b, a, c] instead of [a, b, c]. */
static void swapped_rows(const job *j, uint64_t start, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t row = vb_view_step(j->t, 0);
    vb_view *v = view(j, start * row);
    vb_view_axis(v, b, c * row);
    vb_view_axis(v, a, b * c * row);
    vb_view_axis(v, c, row);
    rest(v, j->t, 1);
}

/* Each head's rows [2, half] become [half, 2]. */
static void pairs(const job *j, uint64_t heads)
{
    uint64_t row = vb_view_step(j->t, 0), size = j->t->dims[0] / heads;
    vb_view *v = view(j, 0);
    same_shape(j);
    vb_view_axis(v, heads, size * row);
    vb_view_axis(v, size / 2, row);
    vb_view_axis(v, 2, size / 2 * row);
    rest(v, j->t, 1);
}

/* The last two dimensions change places; of the columns, which become rows, every `every`-th from `first` on. */
static void turned(const job *j, uint64_t first, uint64_t every)
{
    const vb_source_tensor *t = j->t;
    int n = t->n_dims;
    uint64_t dims[VB_SOURCE_DIMS];
    memcpy(dims, t->dims, sizeof dims);
    dims[n - 2] = t->dims[n - 1] / every;
    dims[n - 1] = t->dims[n - 2];
    shape(j->o, n, dims);
    vb_view *v = view(j, first);
    for (int i = 0; i < n - 2; i++) vb_view_axis(v, t->dims[i], vb_view_step(t, i));
    vb_view_axis(v, dims[n - 2], every);
    vb_view_axis(v, dims[n - 1], t->dims[n - 1]);
}

/* Half of dimension `dim`: every other one (turn) or one after the other. */
static void half(const job *j, int dim, int second, int turn)
{
    const vb_source_tensor *t = j->t;
    uint64_t dims[VB_SOURCE_DIMS], step = vb_view_step(t, dim);
    memcpy(dims, t->dims, sizeof dims);
    dims[dim] = t->dims[dim] / 2;
    shape(j->o, t->n_dims, dims);
    vb_view *v = view(j, second ? (turn ? step : dims[dim] * step) : 0);
    for (int i = 0; i < t->n_dims; i++) vb_view_axis(v, dims[i], vb_view_step(t, i) * (i == dim && turn ? 2 : 1));
}

/* Without dimensions of one, but for the first. */
static void squeezed(const job *j)
{
    uint64_t dims[VB_SOURCE_DIMS];
    int n = 0;
    for (int i = 0; i < j->t->n_dims; i++)
        if (i == 0 || j->t->dims[i] != 1) dims[n++] = j->t->dims[i];
    shape(j->o, n, dims);
}

/* --- value heads ----------------------------------------------------------------------------------------------- */

static void tiled_rows(const job *j, uint64_t size)
{
    same_shape(j);
    swapped_rows(j, 0, j->sizes->key_heads, j->sizes->rounds, size);
}

/* Queries and keys stay where they are, values behind them do not. */
static void tiled_values(const job *j)
{
    uint64_t start = 2 * j->sizes->key_heads * j->sizes->key_width;
    vb_view *v = view(j, 0);
    vb_view_axis(v, start, vb_view_step(j->t, 0));
    rest(v, j->t, 1);
    swapped_rows(j, start, j->sizes->key_heads, j->sizes->rounds, j->sizes->value_width);
}

static void tiled_columns(const job *j)
{
    const vb_sizes *s = j->sizes;
    vb_view *v = view(j, 0);
    same_shape(j);
    vb_view_axis(v, j->t->dims[0], j->t->dims[1]);
    vb_view_axis(v, s->rounds, s->value_width);
    vb_view_axis(v, s->key_heads, s->rounds * s->value_width);
    vb_view_axis(v, s->value_width, 1);
}

/* --- experts --------------------------------------------------------------------------------------------------- */

static vb_status stacked(vb_output *o, const vb_source_tensor *const *from, uint64_t n, vb_err *err)
{
    uint64_t dims[VB_SOURCE_DIMS + 1] = {n};
    memcpy(dims + 1, from[0]->dims, sizeof from[0]->dims);
    shape(o, from[0]->n_dims + 1, dims);
    for (uint64_t i = 0; i < n; i++) {
        if (from[i]->type != from[0]->type) o->type = VB_NUM_F32;
        if (memcmp(from[i]->dims, from[0]->dims, sizeof from[i]->dims) != 0)
            VB_FAIL(err, VB_E_FORMAT, "%s: tensor '%s': expected the shape of the first expert's, found another",
                    from[i]->file, from[i]->name);
        o->views[o->n_views++] = vb_view_all(from[i]);
    }
    return VB_OK;
}

/* Blocks [expert, rows, blocks, 16] and scales [expert, rows, blocks] as [expert, rows, 32 blocks]; of the rows all, or
 * every other from `first` on. */
static vb_status packed(vb_output *o, const vb_source_tensor *const *from, uint64_t first, uint64_t every, vb_err *err)
{
    const vb_source_tensor *b = from[0], *s = from[1];
    int same = b->n_dims == 4 && s->n_dims == 3 && b->dims[3] == 16 &&
               memcmp(b->dims, s->dims, 3 * sizeof b->dims[0]) == 0;
    if (!same || b->type != VB_NUM_U8 || s->type != VB_NUM_U8 || b->data == NULL || s->data == NULL)
        VB_FAIL(err, VB_E_FORMAT,
                "%s: tensor '%s': expected U8 blocks [expert, row, n, 16] with scales [expert, row, n], "
                "found something else", b->file, b->name);
    uint64_t dims[3] = {b->dims[0], b->dims[1] / every, 32 * b->dims[2]};
    shape(o, 3, dims);
    o->packed = 1;
    for (int i = 0; i < 2; i++) {
        uint64_t row = vb_view_step(from[i], 1);
        o->views[i] = vb_view_begin(from[i], first * row);
        vb_view_axis(&o->views[i], dims[0], b->dims[1] * row);
        vb_view_axis(&o->views[i], dims[1], every * row);
        vb_view_axis(&o->views[i], row, 1);
    }
    o->n_views = 2;
    return VB_OK;
}

uint64_t vb_change_takes(const vb_rule *rule, const vb_sizes *sizes)
{
    if (rule->change == VB_STACK) return sizes->of['e'];
    return rule->change == VB_PACKED || rule->change == VB_PACKED_EVEN || rule->change == VB_PACKED_ODD ? 2 : 1;
}

/* What takes one tensor. */
static void change_one(const job *j, vb_change change)
{
    const vb_sizes *s = j->sizes;
    int rows = j->t->n_dims - 2;
    switch (change) {
    case VB_PAIRS_Q: pairs(j, s->of['n']); break;
    case VB_PAIRS_K: pairs(j, s->of['k'] / s->of['H']); break;
    case VB_TURNED: turned(j, 0, 1); break;
    case VB_TURNED_EVEN: turned(j, 0, 2); break;
    case VB_TURNED_ODD: turned(j, 1, 2); break;
    case VB_FIRST_HALF: half(j, rows, 0, 0); break;
    case VB_SECOND_HALF: half(j, rows, 1, 0); break;
    case VB_EVEN: half(j, rows + 1, 0, 1); break;
    case VB_ODD: half(j, rows + 1, 1, 1); break;
    case VB_BY_HEAD:
        same_shape(j);
        swapped_rows(j, 0, s->of['n'], 3, s->of['H']);
        break;
    case VB_TILED_ROWS: tiled_rows(j, s->value_width); break;
    case VB_TILED_HEADS: tiled_rows(j, 1); break;
    case VB_TILED_DECAY:
        tiled_rows(j, 1);
        j->o->each = VB_EACH_MINUS_EXP;
        break;
    case VB_TILED_QKV:
        same_shape(j);
        tiled_values(j);
        break;
    case VB_TILED_TAPS:
        squeezed(j);
        tiled_values(j);
        break;
    case VB_TILED_COLUMNS: tiled_columns(j); break;
    default: keep(j); break;
    }
}

/* All of the output comes from somewhere, and from inside the folder's tensors, whatever the settings claim. */
static int covered(const vb_output *o)
{
    uint64_t all = 0;
    for (int i = 0; i < o->n_views; i++) {
        const vb_view *v = &o->views[i];
        uint64_t last = v->base, count = 1, part;
        for (int k = 0; k < v->n; k++) {
            if (v->axis[k].size == 0 || __builtin_mul_overflow(count, v->axis[k].size, &count)) return 0;
            if (__builtin_mul_overflow(v->axis[k].size - 1, v->axis[k].step, &part)) return 0;
            if (__builtin_add_overflow(last, part, &last)) return 0;
        }
        if (last >= vb_source_elements(v->from) || count != v->count) return 0;
        if (__builtin_add_overflow(all, count, &all)) return 0;
    }
    uint64_t wanted = vb_output_elements(o);
    return all == (o->packed ? wanted / 2 + wanted / 32 : wanted);
}

static vb_status apply(vb_output *o, const vb_rule *rule, const vb_sizes *sizes, const vb_source_tensor *const *from,
                       vb_arena *arena, vb_err *err)
{
    uint64_t n = vb_change_takes(rule, sizes);
    o->type = from[0]->type;
    o->views = vb_arena_array(arena, (size_t)n + 1, sizeof *o->views);
    if (o->views == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", o->name);
    if (rule->change == VB_STACK) return stacked(o, from, n, err);
    if (n == 2) return packed(o, from, rule->change == VB_PACKED_ODD, rule->change == VB_PACKED ? 1 : 2, err);
    if (from[0]->n_dims > 4)
        VB_FAIL(err, VB_E_FORMAT, "%s: tensor '%s': expected at most 4 dimensions, found %d", from[0]->file,
                from[0]->name,
                from[0]->n_dims);
    change_one(&(job){o, from[0], sizes}, rule->change);
    return VB_OK;
}

vb_status vb_change_apply(vb_output *o, const vb_rule *rule, const vb_sizes *sizes, const vb_source_tensor *const *from,
                          vb_arena *arena, vb_err *err)
{
    char found[160];
    VB_TRY(apply(o, rule, sizes, from, arena, err));
    if (covered(o)) return VB_OK;
    VB_FAIL(err, VB_E_FORMAT,
            "%s: tensor '%s': expected a shape that the heads and sizes of config.json divide, found %s",
            from[0]->file, from[0]->name, vb_source_shape(from[0], found, sizeof found));
}
