/* jinja_list.c - filters of rows: what takes a list or dict and needs no other filter, test or key for it. */
#include "text/jinja_eval.h"

#include <string.h>

static vb_status length(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    int64_t n;
    VB_TRY(vb_j_length(j, &c->self, &n));
    *out = vb_j_int(n);
    return VB_OK;
}

static vb_status first(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    static const char none[] = "expected a first item, found none";
    vb_jval list;
    VB_TRY(vb_j_items(j, &c->self, &list));
    *out = list.u.list->n > 0 ? list.u.list->items[0] : vb_j_undef(none, sizeof none - 1, VB_J_OWNER_MESSAGE);
    return VB_OK;
}

static vb_status last(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    static const char none[] = "expected a last item, found none";
    vb_jval list;
    if (c->self.type == VB_J_GEN)
        VB_J_BAD(j, "expected a list that has a last item, found a %s", vb_j_type_name(&c->self));
    VB_TRY(vb_j_items(j, &c->self, &list));
    size_t n = list.u.list->n;
    *out = n > 0 ? list.u.list->items[n - 1] : vb_j_undef(none, sizeof none - 1, VB_J_OWNER_MESSAGE);
    return VB_OK;
}

static vb_status to_list(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval items;
    VB_TRY(vb_j_items(j, &c->self, &items));
    VB_TRY(vb_j_list_new(j, VB_J_LIST, items.u.list->n, out));
    for (size_t i = 0; i < items.u.list->n; i++) VB_TRY(vb_j_list_add(j, out, &items.u.list->items[i]));
    return VB_OK;
}

static vb_status reverse_text(vb_jinja *j, const vb_jlist *chars, vb_jval *out)
{
    vb_jbuf buf = {0};
    for (size_t i = chars->n; i > 0; i--) VB_TRY(vb_j_add_str(j, &buf, &chars->items[i - 1]));
    *out = vb_j_done(&buf);
    return VB_OK;
}

static vb_status reverse(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval items;
    VB_TRY(vb_j_items(j, &c->self, &items));
    if (c->self.type == VB_J_STR) return reverse_text(j, items.u.list, out);
    VB_TRY(vb_j_list_new(j, VB_J_GEN, items.u.list->n, out));
    for (size_t i = items.u.list->n; i > 0; i--) VB_TRY(vb_j_list_add(j, out, &items.u.list->items[i - 1]));
    return VB_OK;
}

static vb_status dict_items(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    VB_TRY(vb_j_list_new(j, VB_J_GEN, 0, out));
    if (c->self.type == VB_J_UNDEF) return VB_OK;
    if (c->self.type != VB_J_DICT) VB_J_BAD(j, "expected a dict that has items, found a %s", vb_j_type_name(&c->self));
    for (size_t i = 0; i < c->self.u.dict->n; i++) {
        vb_jval pair;
        VB_TRY(vb_j_pair(j, &c->self.u.dict->pairs[i].key, &c->self.u.dict->pairs[i].value, &pair));
        VB_TRY(vb_j_list_add(j, out, &pair));
    }
    return VB_OK;
}

/* Adds a copy of `fill` unless it is absent or None. */
static vb_status add_fill(vb_jinja *j, const vb_jval *list, const vb_jval *fill)
{
    return fill == NULL || fill->type == VB_J_NONE ? VB_OK : vb_j_list_add(j, list, fill);
}

static vb_status batch(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    int64_t size;
    vb_jval items, row = vb_j_none;
    VB_TRY(vb_j_need_int(j, c->arg[0], "size of a batch", &size));
    if (size < 1) VB_J_BAD(j, "expected a batch of at least 1");
    VB_TRY(vb_j_items(j, &c->self, &items));
    VB_TRY(vb_j_list_new(j, VB_J_GEN, 0, out));
    for (size_t i = 0; i < items.u.list->n; i++) {
        if (i % (size_t)size == 0) {
            VB_TRY(vb_j_list_new(j, VB_J_LIST, 0, &row));
            VB_TRY(vb_j_list_add(j, out, &row));
        }
        VB_TRY(vb_j_list_add(j, &row, &items.u.list->items[i]));
    }
    if (items.u.list->n == 0 || c->arg[1] == NULL || c->arg[1]->type == VB_J_NONE) return VB_OK;
    while (row.u.list->n < (size_t)size) VB_TRY(vb_j_list_add(j, &row, c->arg[1]));
    return VB_OK;
}

static vb_status slice(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    int64_t n;
    vb_jval items;
    size_t at = 0;
    VB_TRY(vb_j_need_int(j, c->arg[0], "number of slices", &n));
    if (n < 1 || n > VB_JINJA_MAX_RANGE) VB_J_BAD(j, "expected 1 to %d slices", VB_JINJA_MAX_RANGE);
    VB_TRY(vb_j_items(j, &c->self, &items));
    VB_TRY(vb_j_list_new(j, VB_J_GEN, (size_t)n, out));
    size_t each = items.u.list->n / (size_t)n, longer = items.u.list->n % (size_t)n;
    for (size_t k = 0; k < (size_t)n; k++) {
        vb_jval row;
        VB_TRY(vb_j_list_new(j, VB_J_LIST, 0, &row));
        for (size_t i = 0; i < each + (k < longer); i++) VB_TRY(vb_j_list_add(j, &row, &items.u.list->items[at++]));
        if (k >= longer && longer > 0) VB_TRY(add_fill(j, &row, c->arg[1]));
        VB_TRY(vb_j_list_add(j, out, &row));
    }
    return VB_OK;
}

/* --- sorting ------------------------------------------------------------------------------------------- */

/* Merges the sorted runs order[a..b) and order[b..c). Equal keys: the left one first, also in reverse. */
static vb_status merge(vb_jinja *j, const vb_jval *keys, size_t *order, size_t *spare, const size_t run[3], int reverse)
{
    size_t left = run[0], right = run[1], n = run[0];
    while (left < run[1] && right < run[2]) {
        int same, cmp = 0;
        VB_TRY(vb_j_equal(j, &keys[order[left]], &keys[order[right]], &same)); /* None and undefined have no order */
        if (!same) VB_TRY(vb_j_order(j, &keys[order[left]], &keys[order[right]], &cmp));
        spare[n++] = (reverse ? cmp >= 0 : cmp <= 0) ? order[left++] : order[right++];
    }
    while (left < run[1]) spare[n++] = order[left++];
    while (right < run[2]) spare[n++] = order[right++];
    memcpy(order + run[0], spare + run[0], (run[2] - run[0]) * sizeof *order);
    return VB_OK;
}

vb_status vb_j_sort(vb_jinja *j, const vb_jval *list, const vb_jval *keys, int reverse, vb_jval *out)
{
    size_t n = list->u.list->n;
    VB_TRY(vb_j_list_new(j, VB_J_LIST, n, out));
    size_t *order = vb_j_alloc(j, n, 2 * sizeof *order);
    if (order == NULL) return VB_E_MEMORY;
    for (size_t i = 0; i < n; i++) order[i] = i;
    for (size_t width = 1; width < n; width *= 2)
        for (size_t a = 0; a + width < n; a += 2 * width) {
            size_t run[3] = {a, a + width, a + 2 * width < n ? a + 2 * width : n};
            VB_TRY(merge(j, keys->u.list->items, order, order + n, run, reverse));
        }
    for (size_t i = 0; i < n; i++) VB_TRY(vb_j_list_add(j, out, &list->u.list->items[order[i]]));
    return VB_OK;
}

static vb_status dictsort(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    int exact = c->arg[0] != NULL && vb_j_truth(c->arg[0]), reverse = c->arg[2] != NULL && vb_j_truth(c->arg[2]);
    int by_value = c->arg[1] != NULL && vb_j_is_str(c->arg[1], "value");
    vb_jval pairs, keys;
    if (c->self.type == VB_J_UNDEF) return vb_j_undefined(j, &c->self);
    if (c->self.type != VB_J_DICT) VB_J_BAD(j, "expected a dict to sort, found a %s", vb_j_type_name(&c->self));
    if (c->arg[1] != NULL && !by_value && !vb_j_is_str(c->arg[1], "key"))
        VB_J_BAD(j, "expected 'key' or 'value' to sort by");
    VB_TRY(vb_j_list_new(j, VB_J_LIST, 0, &pairs));
    VB_TRY(vb_j_list_new(j, VB_J_LIST, 0, &keys));
    for (size_t i = 0; i < c->self.u.dict->n; i++) {
        const vb_jpair *p = &c->self.u.dict->pairs[i];
        vb_jval pair, key = by_value ? p->value : p->key;
        if (!exact && key.type == VB_J_STR) VB_TRY(vb_j_case(j, &key, VB_J_LOWER, &key));
        VB_TRY(vb_j_pair(j, &p->key, &p->value, &pair));
        VB_TRY(vb_j_list_add(j, &pairs, &pair));
        VB_TRY(vb_j_list_add(j, &keys, &key));
    }
    return vb_j_sort(j, &pairs, &keys, reverse, out);
}

const vb_jfunc vb_j_filters_list[] = {
    {"length", "", 0, length},
    {"count", "", 0, length},
    {"first", "", 0, first},
    {"last", "", 0, last},
    {"list", "", 0, to_list},
    {"reverse", "", 0, reverse},
    {"items", "", 0, dict_items},
    {"batch", "linecount fill_with", 1, batch},
    {"slice", "slices fill_with", 1, slice},
    {"dictsort", "case_sensitive by reverse", 0, dictsort},
    {NULL, NULL, 0, NULL},
};
