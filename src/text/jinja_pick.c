/* jinja_pick.c - filters of rows that look at each item: through an attribute ("a.b.0"), a filter or a test. */
#include "text/jinja_eval.h"

#include <stdlib.h>
#include <string.h>

/* One part of a dotted attribute: a number is an index. */
static vb_status step_into(vb_jinja *j, vb_jval *v, const char *part, size_t len)
{
    vb_jval key = {.type = VB_J_STR, .len = len, .u.s = part}, object = *v;
    if (len > 0 && len < 9 && strspn(part, "0123456789") >= len) {
        int64_t index = 0;
        for (size_t i = 0; i < len; i++) index = index * 10 + (part[i] - '0');
        key = vb_j_int(index);
    }
    return vb_j_item(j, &object, &key, v);
}

/* item.attribute; the item itself without one. `otherwise` replaces what is undefined, if not NULL. */
static vb_status get(vb_jinja *j, const vb_jval *item, const vb_jval *attribute, const vb_jval *otherwise, vb_jval *out)
{
    *out = *item;
    if (attribute == NULL || attribute->type == VB_J_NONE) return VB_OK;
    if (attribute->type != VB_J_STR) {
        VB_TRY(vb_j_item(j, item, attribute, out));
    } else {
        char *copy = vb_j_alloc(j, attribute->len + 1, 1); /* NUL-terminated */
        if (copy == NULL) return VB_E_MEMORY;
        memcpy(copy, attribute->u.s, attribute->len);
        for (size_t from = 0; from <= attribute->len;) {
            size_t n = strcspn(copy + from, ".");
            VB_TRY(step_into(j, out, copy + from, n));
            if (otherwise != NULL && out->type == VB_J_UNDEF) *out = *otherwise;
            from += n + 1;
        }
    }
    if (otherwise != NULL && out->type == VB_J_UNDEF) *out = *otherwise;
    return VB_OK;
}

/* The same as a key to compare by: texts in lower case unless `exact`. */
static vb_status get_key(vb_jinja *j, const vb_jval *item, const vb_jval *attribute, int exact, vb_jval *out)
{
    VB_TRY(get(j, item, attribute, NULL, out));
    if (exact || out->type != VB_J_STR) return VB_OK;
    return vb_j_case(j, out, VB_J_LOWER, out);
}

static int flag(const vb_jval *arg)
{
    return arg != NULL && vb_j_truth(arg);
}

static const vb_jval *named(const vb_jcall *c, const char *name)
{
    for (size_t i = 0; i < c->all->named.n; i++)
        if (vb_j_is_str(&c->all->named.pairs[i].key, name)) return &c->all->named.pairs[i].value;
    return NULL;
}

/* Positional arguments from `from` on; the named ones go along. */
static vb_jargs rest_of(const vb_jcall *c, size_t from)
{
    vb_jargs rest = *c->all;
    rest.pos.items += from;
    rest.pos.n -= from;
    rest.pos.cap = rest.pos.n;
    return rest;
}

/* map and select take None, 0 and the like for an empty list. */
static vb_status items_or_nothing(vb_jinja *j, const vb_jval *v, vb_jval *out)
{
    return vb_j_truth(v) ? vb_j_items(j, v, out) : vb_j_list_new(j, VB_J_LIST, 0, out);
}

static vb_status map(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    const vb_jval *attribute = named(c, "attribute"), *otherwise = named(c, "default");
    vb_jval items;
    if (c->all->pos.n == 0 && attribute == NULL) VB_J_BAD(j, "expected a filter or an attribute for map, found none");
    if (c->all->pos.n > 0) VB_TRY(vb_j_need_str(j, &c->all->pos.items[0], "the name of a filter"));
    VB_TRY(items_or_nothing(j, &c->self, &items));
    VB_TRY(vb_j_list_new(j, VB_J_GEN, items.u.list->n, out));
    for (size_t i = 0; i < items.u.list->n; i++) {
        vb_jval *item = &items.u.list->items[i], result;
        if (c->all->pos.n == 0) {
            VB_TRY(get(j, item, attribute, otherwise, &result));
        } else {
            vb_jargs args = rest_of(c, 1);
            const vb_jval *name = &c->all->pos.items[0];
            VB_TRY(vb_j_filter_by_name(j, name->u.s, name->len, item, &args, &result));
        }
        VB_TRY(vb_j_list_add(j, out, &result));
    }
    return VB_OK;
}

/* Items whose value (or attribute, if `by_attribute`) passes the test named first, or is true without one. */
static vb_status pick(vb_jinja *j, const vb_jcall *c, int by_attribute, int wanted, vb_jval *out)
{
    size_t used = by_attribute ? 1 : 0;
    vb_jval items;
    if (c->all->pos.n < used) VB_J_BAD(j, "expected an attribute to select by, found none");
    const vb_jval *attribute = by_attribute ? &c->all->pos.items[0] : NULL;
    const vb_jval *test = c->all->pos.n > used ? &c->all->pos.items[used] : NULL;
    if (test != NULL) VB_TRY(vb_j_need_str(j, test, "the name of a test"));
    VB_TRY(items_or_nothing(j, &c->self, &items));
    VB_TRY(vb_j_list_new(j, VB_J_GEN, 0, out));
    for (size_t i = 0; i < items.u.list->n; i++) {
        vb_jval value;
        VB_TRY(get(j, &items.u.list->items[i], attribute, NULL, &value));
        int truth = vb_j_truth(&value);
        if (test != NULL) {
            vb_jargs args = rest_of(c, used + 1);
            VB_TRY(vb_j_test_by_name(j, test->u.s, test->len, &value, &args, &truth));
        }
        if (truth == wanted) VB_TRY(vb_j_list_add(j, out, &items.u.list->items[i]));
    }
    return VB_OK;
}

static vb_status select_items(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return pick(j, c, 0, 1, out);
}

static vb_status reject(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return pick(j, c, 0, 0, out);
}

static vb_status selectattr(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return pick(j, c, 1, 1, out);
}

static vb_status rejectattr(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return pick(j, c, 1, 0, out);
}

static vb_status join(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval items, between = vb_j_text("");
    vb_jbuf buf = {0};
    VB_TRY(vb_j_items(j, &c->self, &items));
    if (c->arg[0] != NULL) VB_TRY(vb_j_str(j, c->arg[0], &between));
    for (size_t i = 0; i < items.u.list->n; i++) {
        vb_jval item, text;
        VB_TRY(get(j, &items.u.list->items[i], c->arg[1], NULL, &item));
        VB_TRY(vb_j_str(j, &item, &text));
        if (i > 0) VB_TRY(vb_j_add_str(j, &buf, &between));
        VB_TRY(vb_j_add_str(j, &buf, &text));
    }
    *out = vb_j_done(&buf);
    return VB_OK;
}

static vb_status sum(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval items, total = c->arg[1] != NULL ? *c->arg[1] : vb_j_int(0);
    VB_TRY(vb_j_items(j, &c->self, &items));
    for (size_t i = 0; i < items.u.list->n; i++) {
        vb_jval item, sofar = total;
        VB_TRY(get(j, &items.u.list->items[i], c->arg[0], NULL, &item));
        VB_TRY(vb_j_binary(j, '+', &sofar, &item, &total));
    }
    *out = total;
    return VB_OK;
}

static vb_status extreme(vb_jinja *j, const vb_jcall *c, int sign, vb_jval *out)
{
    static const char none[] = "expected an item to choose, found none";
    vb_jval items, best, key;
    int cmp;
    VB_TRY(vb_j_items(j, &c->self, &items));
    *out = vb_j_undef(none, sizeof none - 1, VB_J_OWNER_MESSAGE);
    for (size_t i = 0; i < items.u.list->n; i++) {
        VB_TRY(get_key(j, &items.u.list->items[i], c->arg[1], flag(c->arg[0]), &key));
        if (i > 0) {
            VB_TRY(vb_j_order(j, &key, &best, &cmp));
            if (sign < 0 ? cmp >= 0 : cmp <= 0) continue;
        }
        best = key;
        *out = items.u.list->items[i];
    }
    return VB_OK;
}

static vb_status minimum(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return extreme(j, c, -1, out);
}

static vb_status maximum(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return extreme(j, c, 1, out);
}

static vb_status unique(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval items, seen, key;
    VB_TRY(vb_j_items(j, &c->self, &items));
    VB_TRY(vb_j_list_new(j, VB_J_GEN, 0, out));
    VB_TRY(vb_j_list_new(j, VB_J_LIST, 0, &seen));
    for (size_t i = 0; i < items.u.list->n; i++) {
        int known;
        VB_TRY(get_key(j, &items.u.list->items[i], c->arg[1], flag(c->arg[0]), &key));
        VB_TRY(vb_j_contains(j, &seen, &key, &known));
        VB_TRY(vb_j_step(j, seen.u.list->n / 4));
        if (known) continue;
        VB_TRY(vb_j_list_add(j, &seen, &key));
        VB_TRY(vb_j_list_add(j, out, &items.u.list->items[i]));
    }
    return VB_OK;
}

/* The key of an item by "a,b": a list of keys; by "a": that key alone. */
static vb_status sort_key(vb_jinja *j, const vb_jval *item, const vb_jval *attribute, int exact, vb_jval *out)
{
    if (attribute == NULL || attribute->type != VB_J_STR || memchr(attribute->u.s, ',', attribute->len) == NULL)
        return get_key(j, item, attribute, exact, out);
    VB_TRY(vb_j_list_new(j, VB_J_LIST, 0, out));
    for (size_t from = 0; from <= attribute->len;) {
        size_t hit = vb_j_search(attribute->u.s, attribute->len, from, ",", 1), n;
        n = (hit == (size_t)-1 ? attribute->len : hit) - from;
        vb_jval part = vb_j_cut(attribute, from, n), key;
        VB_TRY(get_key(j, item, &part, exact, &key));
        VB_TRY(vb_j_list_add(j, out, &key));
        from += n + 1;
    }
    return VB_OK;
}

static vb_status sort_keys(vb_jinja *j, const vb_jval *items, const vb_jval *attribute, int exact, vb_jval *out)
{
    VB_TRY(vb_j_list_new(j, VB_J_LIST, items->u.list->n, out));
    for (size_t i = 0; i < items->u.list->n; i++) {
        vb_jval key;
        VB_TRY(sort_key(j, &items->u.list->items[i], attribute, exact, &key));
        VB_TRY(vb_j_list_add(j, out, &key));
    }
    return VB_OK;
}

static vb_status sort(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval items, keys;
    VB_TRY(vb_j_items(j, &c->self, &items));
    VB_TRY(sort_keys(j, &items, c->arg[2], flag(c->arg[1]), &keys));
    return vb_j_sort(j, &items, &keys, flag(c->arg[0]), out);
}

static vb_status groupby(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval items, keys, sorted, sorted_keys, group = vb_j_none;
    int exact = flag(c->arg[2]);
    VB_TRY(vb_j_items(j, &c->self, &items));
    VB_TRY(sort_keys(j, &items, c->arg[0], exact, &keys));
    VB_TRY(vb_j_sort(j, &items, &keys, 0, &sorted));
    VB_TRY(vb_j_sort(j, &keys, &keys, 0, &sorted_keys));
    VB_TRY(vb_j_list_new(j, VB_J_LIST, 0, out));
    for (size_t i = 0; i < sorted.u.list->n; i++) {
        const vb_jval *key = &sorted_keys.u.list->items[i], *item = &sorted.u.list->items[i];
        int same = 0;
        if (i > 0) VB_TRY(vb_j_equal(j, key, key - 1, &same));
        if (!same) {
            vb_jval pair, name;
            VB_TRY(get(j, item, c->arg[0], c->arg[1], &name));
            VB_TRY(vb_j_list_new(j, VB_J_LIST, 0, &group));
            VB_TRY(vb_j_pair(j, &name, &group, &pair));
            pair.u.list->name = "group"; /* has .grouper and .list */
            VB_TRY(vb_j_list_add(j, out, &pair));
        }
        VB_TRY(vb_j_list_add(j, &group, item));
    }
    return VB_OK;
}

const vb_jfunc vb_j_filters_pick[] = {
    {"map", "*", 0, map},
    {"select", "*", 0, select_items},
    {"reject", "*", 0, reject},
    {"selectattr", "*", 0, selectattr},
    {"rejectattr", "*", 0, rejectattr},
    {"join", "d attribute", 0, join},
    {"sum", "attribute start", 0, sum},
    {"min", "case_sensitive attribute", 0, minimum},
    {"max", "case_sensitive attribute", 0, maximum},
    {"unique", "case_sensitive attribute", 0, unique},
    {"sort", "reverse case_sensitive attribute", 0, sort},
    {"groupby", "attribute default case_sensitive", 1, groupby},
    {NULL, NULL, 0, NULL},
};
