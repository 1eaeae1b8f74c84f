/* kept.c - see kept.h. With VB_TAPS_LAYERS a list holds the first value, every l_out and the last value:
 *
 *   inp_embd  attn_norm  Qcur ...  l_out  attn_norm ...  l_out  result_norm  result_output
 *   first     \_ each overwrites __/kept  \_____________/kept   \_ overwritten_/ last
 */
#include "traces/kept.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are recorded as they lie in memory");

/* The array with room for one element of `size` more than n (or `more` more), or NULL. */
static void *with_room(void *array, size_t n, size_t more, size_t *cap, size_t size)
{
    size_t want, bytes;
    if (n + more <= *cap) return array;
    if (__builtin_add_overflow(n, more, &want) || __builtin_mul_overflow(want, 2 * size, &bytes)) return NULL;
    void *bigger = realloc(array, bytes);
    if (bigger != NULL) *cap = 2 * want;
    return bigger;
}

static vb_kept_list *list_of(vb_kept *k, int position)
{
    int i = position - k->from, cap = 2 * (i + 1);
    if (i < k->cap) return &k->lists[i];
    vb_kept_list *more = realloc(k->lists, (size_t)cap * sizeof *more);
    if (more == NULL) return NULL;
    memset(more + k->cap, 0, (size_t)(cap - k->cap) * sizeof *more);
    k->lists = more;
    k->cap = cap;
    return &k->lists[i];
}

static int append(vb_kept_list *l, const vb_tap *tap, int passing)
{
    size_t cap = (size_t)l->cap, width = (size_t)tap->width;
    vb_kept_value *values = with_room(l->values, (size_t)l->n, 1, &cap, sizeof *values);
    if (values == NULL) return 0;
    l->values = values;
    l->cap = (int)cap;
    float *floats = with_room(l->floats, l->n_floats, width, &l->cap_floats, sizeof *floats);
    if (floats == NULL) return 0;
    l->floats = floats;
    values[l->n++] = (vb_kept_value){tap->name, tap->layer, tap->width, passing, l->n_floats};
    memcpy(floats + l->n_floats, tap->x, width * sizeof *floats);
    l->n_floats += width;
    return 1;
}

static void drop_last(vb_kept_list *l)
{
    l->n_floats = l->values[--l->n].at;
}

static int same_value(const vb_kept_value *v, const vb_tap *tap)
{
    return v->layer == tap->layer && strcmp(v->name, tap->name) == 0;
}

void vb_kept_take(void *ud, const vb_tap *tap)
{
    vb_kept *k = ud;
    if (k->failed || tap->position < k->from) return;
    vb_kept_list *l = list_of(k, tap->position);
    if (l == NULL) {
        k->failed = 1;
        return;
    }
    if (l->n > 0 && same_value(&l->values[0], tap)) l->n = 0, l->n_floats = 0; /* evaluated again */
    if (l->n > 0 && l->values[l->n - 1].passing) drop_last(l);
    int passing = k->taps == VB_TAPS_LAYERS && l->n > 0 && strcmp(tap->name, "l_out") != 0;
    if (!append(l, tap, passing)) k->failed = 1;
}

static void drop_outputs(vb_kept_list *l)
{
    int inside = 0;
    for (int i = 0; i < l->n; i++) inside |= l->values[i].layer >= 0;
    while (inside && l->values[l->n - 1].layer < 0) drop_last(l);
}

static void forget_first(vb_kept *k)
{
    vb_kept_list first = k->lists[0];
    first.n = 0;
    first.n_floats = 0;
    memmove(k->lists, k->lists + 1, (size_t)(k->cap - 1) * sizeof *k->lists);
    k->lists[k->cap - 1] = first;
    k->from++;
}

vb_status vb_kept_put(vb_kept *k, vb_trace_bytes *to, int chosen, const char *what, vb_err *err)
{
    if (k->failed) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory for the values to record", what);
    if (k->cap == 0 || k->lists[0].n == 0)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: position %d: expected its values, found none: was it evaluated elsewhere?", what,
                k->from);
    vb_kept_list *l = &k->lists[0];
    if (!chosen) drop_outputs(l);
    for (int i = 0; i < l->n; i++) {
        const vb_kept_value *v = &l->values[i];
        vb_trace_tap tap = {.position = k->from, .layer = v->layer, .width = v->width};
        tap.name = (vb_trace_text){(const uint8_t *)v->name, strlen(v->name)};
        tap.values = (const uint8_t *)(l->floats + v->at);
        vb_trace_encode_tap(to, &tap);
    }
    forget_first(k);
    return VB_OK;
}

void vb_kept_free(vb_kept *k)
{
    for (int i = 0; i < k->cap; i++) {
        free(k->lists[i].values);
        free(k->lists[i].floats);
    }
    free(k->lists);
    memset(k, 0, sizeof *k);
}
