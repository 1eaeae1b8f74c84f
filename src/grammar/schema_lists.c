/* schema_lists.c - objects and arrays.
 *
 *   object   properties in the order of the schema, then others; those that are not required may be left out:
 *              rule [i][c]: property i is next, c have been written (as far as anybody counts)
 *   array    the same with places instead of properties
 */
#include "grammar/schema_parts.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *key;
    int required;
    int rule; /* what it looks like: "key": value */
} property;

typedef struct {
    vb_schema *s;
    property *all;
    int n, cap;
    int least, most; /* of properties; most VB_GRAMMAR_UNBOUNDED: any number */
    int others;      /* a rule for a further member; -1: there are none */
} object;

static int text(vb_schema *s, const char *what)
{
    return vb_expr_text(s->r, what);
}

static int then(vb_schema *s, int a, int b)
{
    return vb_expr_then(s->r, a, b);
}

/* What stands in front of an item: a comma if it is not the first. */
static int separated(vb_schema *s, int is_first, int item)
{
    int front = is_first ? vb_jg_space(&s->json) : then(s, text(s, ","), vb_jg_space(&s->json));
    return then(s, front, item);
}

/* --- members -------------------------------------------------------------------------------------------------- */

static int is_required(const json_t *schema, const char *key)
{
    const json_t *required = json_object_get(schema, "required");
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));
        if (name != NULL && strcmp(name, key) == 0) return 1;
    }
    return 0;
}

static vb_status add(object *o, const char *key, const json_t *value, int required)
{
    vb_schema *s = o->s;
    int expr;
    VB_TRY(vb_schema_expr(s, value, &expr));
    if (expr == VB_EXPR_NEVER && !required) return VB_OK;
    if (o->n == o->cap) {
        int cap = o->cap * 2 + 16;
        property *all = realloc(o->all, (size_t)cap * sizeof *all);
        if (all == NULL) VB_FAIL(s->err, VB_E_MEMORY, "schema: out of memory");
        o->all = all;
        o->cap = cap;
    }
    int member = then(s, vb_jg_literal(&s->json, key, strlen(key)), text(s, ":"));
    member = then(s, then(s, member, vb_jg_space(&s->json)), expr);
    o->all[o->n] = (property){key, required, vb_rule_new(s->r)};
    vb_rule_set(s->r, o->all[o->n++].rule, member);
    return VB_OK;
}

static int by_key(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* A member whose key is none of the schema's. */
static vb_status add_others(object *o, const json_t *schema, const json_t *value)
{
    vb_schema *s = o->s;
    const json_t *named = json_object_get(schema, "properties");
    size_t n = 0, most = json_object_size(named) + (size_t)o->n;
    const char *key, **keys = malloc((most + 1) * sizeof *keys);
    json_t *ignored;
    int expr;
    if (keys == NULL) VB_FAIL(s->err, VB_E_MEMORY, "schema: out of memory");
    json_object_foreach((json_t *)named, key, ignored) keys[n++] = key;
    for (int i = 0; i < o->n; i++) keys[n++] = o->all[i].key;
    qsort(keys, n, sizeof *keys, by_key);
    size_t unique = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(keys[i], keys[unique - 1]) != 0) keys[unique++] = keys[i];
    int other = vb_jg_other_key(&s->json, keys, (int)unique);
    free(keys);
    VB_TRY(vb_schema_expr(s, value, &expr));
    if (expr == VB_EXPR_NEVER) return VB_OK;
    o->others = vb_rule_new(s->r);
    vb_rule_set(s->r, o->others, then(s, then(s, then(s, other, text(s, ":")), vb_jg_space(&s->json)), expr));
    return VB_OK;
}

static vb_status read_members(object *o, const json_t *schema)
{
    vb_schema *s = o->s;
    const json_t *named = json_object_get(schema, "properties"), *required = json_object_get(schema, "required");
    const json_t *others = json_object_get(schema, "additionalProperties");
    json_t *any = json_true(), *value;
    const char *key;
    if (others == NULL) others = named == NULL && required == NULL ? any : NULL;
    if (named != NULL && !json_is_object(named))
        VB_FAIL(s->err, VB_E_FORMAT, "schema: properties: expected an object, found another value");
    json_object_foreach((json_t *)named, key, value) VB_TRY(add(o, key, value, is_required(schema, key)));
    for (size_t i = 0; i < json_array_size(required); i++) {
        key = json_string_value(json_array_get(required, i));
        if (key == NULL) VB_FAIL(s->err, VB_E_FORMAT, "schema: required: expected names, found another value");
        if (json_object_get(named, key) == NULL) VB_TRY(add(o, key, others != NULL ? others : any, 1));
    }
    return others == NULL || json_is_false(others) ? VB_OK : add_others(o, schema, others);
}

/* --- the order of members ------------------------------------------------------------------------------------- */

static int counted(const object *o)
{
    int n = o->least > 1 ? o->least : 1;
    return o->most != VB_GRAMMAR_UNBOUNDED && o->most > n ? o->most : n;
}

/* The rule of place i with c written; rules stand in a table of (n + 1) x (counted + 1). */
static void set_place(const object *o, const int *rules, int i, int c)
{
    vb_schema *s = o->s;
    int width = counted(o) + 1, next = c + 1 < width ? c + 1 : c, expr = VB_EXPR_NEVER;
    int full = o->most != VB_GRAMMAR_UNBOUNDED && c >= o->most;
    int last = i == o->n, item = last ? o->others : o->all[i].rule;
    if (last ? c >= o->least : !o->all[i].required)
        expr = last ? VB_EXPR_EMPTY : vb_expr_rule(s->r, rules[(i + 1) * width + c]);
    if (!full && item >= 0) {
        int rest = vb_expr_rule(s->r, rules[(last ? i : i + 1) * width + next]);
        expr = vb_expr_or(s->r, expr, then(s, separated(s, c == 0, vb_expr_rule(s->r, item)), rest));
    }
    vb_rule_set(s->r, rules[i * width + c], expr);
}

static vb_status order(const object *o, int *out)
{
    vb_schema *s = o->s;
    int width = counted(o) + 1;
    size_t n = (size_t)(o->n + 1) * (size_t)width;
    if (n > VB_GRAMMAR_EXPRS_MOST / 8)
        VB_FAIL(s->err, VB_E_ARGUMENT, "schema: expected fewer properties to count, found %d times %d", o->n, width);
    int *rules = malloc(n * sizeof *rules);
    if (rules == NULL) VB_FAIL(s->err, VB_E_MEMORY, "schema: out of memory");
    for (size_t i = 0; i < n; i++) rules[i] = vb_rule_new(s->r);
    for (int i = 0; i <= o->n; i++)
        for (int c = 0; c < width; c++) set_place(o, rules, i, c);
    *out = vb_expr_rule(s->r, rules[0]);
    free(rules);
    return VB_OK;
}

vb_status vb_schema_object(vb_schema *s, const json_t *schema, int *out)
{
    object o = {.s = s, .others = -1};
    int members = VB_EXPR_EMPTY;
    vb_status status = vb_schema_count(s, schema, "minProperties", 0, &o.least);
    if (status == VB_OK) status = vb_schema_count(s, schema, "maxProperties", VB_GRAMMAR_UNBOUNDED, &o.most);
    if (status == VB_OK) status = read_members(&o, schema);
    if (status == VB_OK) status = order(&o, &members);
    free(o.all);
    VB_TRY(status);
    *out = then(s, then(s, then(s, text(s, "{"), members), vb_jg_space(&s->json)), text(s, "}"));
    return VB_OK;
}

/* --- arrays --------------------------------------------------------------------------------------------------- */

/* Items of one kind, `before` of them written already: between least and most more. */
static vb_status items(vb_schema *s, const json_t *schema, int before, int least, int most, int *out)
{
    int first, more;
    *out = least == 0 ? VB_EXPR_EMPTY : VB_EXPR_NEVER;
    if (most == 0) return VB_OK;
    VB_TRY(vb_schema_expr(s, schema, &first));
    if (first == VB_EXPR_NEVER) return VB_OK;
    int rule = vb_rule_new(s->r);
    vb_rule_set(s->r, rule, first);
    more = separated(s, 0, vb_expr_rule(s->r, rule));
    if (before > 0) {
        *out = vb_expr_repeat(s->r, more, least, most);
        return VB_OK;
    }
    int rest = vb_expr_repeat(s->r, more, least > 1 ? least - 1 : 0, most == VB_GRAMMAR_UNBOUNDED ? most : most - 1);
    rest = then(s, separated(s, 1, vb_expr_rule(s->r, rule)), rest);
    *out = vb_expr_repeat(s->r, rest, least > 0, 1);
    return VB_OK;
}

/* Places of their own kind, from the last to the first: each may be the end if enough are there. */
static vb_status places(vb_schema *s, const json_t *list, int least, int most, int *rest)
{
    int n = (int)json_array_size(list);
    for (int i = n - 1; i >= 0; i--) {
        int item;
        VB_TRY(vb_schema_expr(s, json_array_get(list, (size_t)i), &item));
        int here = i >= least ? VB_EXPR_EMPTY : VB_EXPR_NEVER;
        int full = item == VB_EXPR_NEVER || (most != VB_GRAMMAR_UNBOUNDED && i >= most);
        *rest = full ? here : vb_expr_or(s->r, here, then(s, separated(s, i == 0, item), *rest));
    }
    return VB_OK;
}

vb_status vb_schema_array(vb_schema *s, const json_t *schema, int *out)
{
    const json_t *list = json_object_get(schema, "prefixItems"), *each = json_object_get(schema, "items");
    json_t *any = json_true();
    int least, most;
    if (json_is_array(each)) { /* as drafts before 2020 say it */
        list = each;
        each = json_object_get(schema, "additionalItems");
    }
    VB_TRY(vb_schema_count(s, schema, "minItems", 0, &least));
    VB_TRY(vb_schema_count(s, schema, "maxItems", VB_GRAMMAR_UNBOUNDED, &most));
    *out = VB_EXPR_NEVER;
    if (most != VB_GRAMMAR_UNBOUNDED && most < least) return VB_OK;
    int n = (int)json_array_size(list), rest;
    int more = most == VB_GRAMMAR_UNBOUNDED ? most : most > n ? most - n : 0;
    VB_TRY(items(s, each != NULL ? each : any, n, least > n ? least - n : 0, more, &rest));
    VB_TRY(places(s, list, least, most, &rest));
    *out = then(s, then(s, then(s, text(s, "["), rest), vb_jg_space(&s->json)), text(s, "]"));
    return VB_OK;
}
