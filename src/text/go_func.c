/* go_func.c - the functions of Go's templates, and those that Ollama adds: json, currentDate, yesterdayDate,
 * toTypeScriptType.
 */
#include "text/go_eval.h"

#include <string.h>
#include <time.h>

/* --- comparing ----------------------------------------------------------------------------------------- */

static int is_basic(const vb_jval *v)
{
    return v->type == VB_J_BOOL || v->type == VB_J_INT || v->type == VB_J_FLOAT || v->type == VB_J_STR;
}

static vb_status incompatible(vb_go *g, const vb_jval *a, const vb_jval *b)
{
    VB_J_BAD(g->j, "expected two values that can be compared, found %s and %s", vb_g_type_name(a), vb_g_type_name(b));
}

/* Numbers of different types differ in type, not in value: that is an error. Nothing equals only nothing, or a list or
 * map that was never made; a message only itself. */
static vb_status same(vb_go *g, const vb_jval *a, const vb_jval *b, int *out)
{
    int nothing_a = a->type == VB_J_NONE || (!is_basic(a) && a->u.list == NULL);
    int nothing_b = b->type == VB_J_NONE || (!is_basic(b) && b->u.list == NULL);
    *out = 0;
    if (is_basic(a) && is_basic(b) && a->type == b->type) return vb_j_equal(g->j, a, b, out);
    if (a->type != VB_J_NONE && b->type != VB_J_NONE && (is_basic(a) || is_basic(b))) return incompatible(g, a, b);
    if (!nothing_a && !nothing_b && (a->type != VB_J_DICT || a->owner != VB_G_MESSAGE || b->owner != VB_G_MESSAGE))
        return incompatible(g, a, b);
    if (!nothing_a && !nothing_b) {
        *out = a->u.dict == b->u.dict;
        return VB_OK;
    }
    *out = nothing_a == nothing_b;
    return VB_OK;
}

static vb_status eq(vb_go *g, const vb_jval *args, size_t n, vb_jval *out)
{
    int equal = 0;
    for (size_t i = 1; i < n && !equal; i++) VB_TRY(same(g, &args[0], &args[i], &equal));
    *out = vb_j_bool(equal);
    return VB_OK;
}

static vb_status ne(vb_go *g, const vb_jval *args, size_t n, vb_jval *out)
{
    VB_TRY(eq(g, args, n, out));
    *out = vb_j_bool(!out->u.i);
    return VB_OK;
}

static vb_status order(vb_go *g, const vb_jval *args, int *out)
{
    int fits = is_basic(&args[0]) && args[0].type == args[1].type && args[0].type != VB_J_BOOL;
    return fits ? vb_j_order(g->j, &args[0], &args[1], out) : incompatible(g, &args[0], &args[1]);
}

static vb_status lt(vb_go *g, const vb_jval *args, size_t n, vb_jval *out)
{
    int cmp;
    (void)n;
    VB_TRY(order(g, args, &cmp));
    *out = vb_j_bool(cmp < 0);
    return VB_OK;
}

static vb_status le(vb_go *g, const vb_jval *args, size_t n, vb_jval *out)
{
    int cmp;
    (void)n;
    VB_TRY(order(g, args, &cmp));
    *out = vb_j_bool(cmp <= 0);
    return VB_OK;
}

static vb_status gt(vb_go *g, const vb_jval *args, size_t n, vb_jval *out)
{
    VB_TRY(le(g, args, n, out));
    *out = vb_j_bool(!out->u.i);
    return VB_OK;
}

static vb_status ge(vb_go *g, const vb_jval *args, size_t n, vb_jval *out)
{
    VB_TRY(lt(g, args, n, out));
    *out = vb_j_bool(!out->u.i);
    return VB_OK;
}

static vb_status not(vb_go *g, const vb_jval *args, size_t n, vb_jval *out)
{
    (void)g;
    (void)n;
    *out = vb_j_bool(!vb_g_truth(&args[0]));
    return VB_OK;
}

/* --- parts --------------------------------------------------------------------------------------------- */

static int64_t length_of(const vb_jval *v)
{
    return v->type == VB_J_STR ? (int64_t)v->len : (int64_t)vb_g_count(v);
}

static vb_status len(vb_go *g, const vb_jval *args, size_t n, vb_jval *out)
{
    (void)n;
    int has = args[0].type == VB_J_STR || args[0].type == VB_J_LIST || args[0].type == VB_J_DICT;
    if (!has || vb_g_is_struct(&args[0]))
        VB_J_BAD(g->j, "expected something that has a length, found %s", vb_g_type_name(&args[0]));
    *out = vb_j_int(length_of(&args[0]));
    return VB_OK;
}

/* An index from 0 to most. */
static vb_status position(vb_go *g, const vb_jval *index, int64_t most, int64_t *out)
{
    if (index->type != VB_J_INT) VB_J_BAD(g->j, "expected an int as index, found %s", vb_g_type_name(index));
    if (index->u.i < 0 || index->u.i > most)
        VB_J_BAD(g->j, "expected an index from 0 to %lld, found %lld", (long long)most, (long long)index->u.i);
    *out = index->u.i;
    return VB_OK;
}

static vb_status index_one(vb_go *g, const vb_jval *v, const vb_jval *index, vb_jval *out)
{
    int64_t i = 0;
    if (v->type == VB_J_DICT && !vb_g_is_struct(v)) {
        if (index->type != VB_J_STR) VB_J_BAD(g->j, "expected a string as key, found %s", vb_g_type_name(index));
        return vb_g_entry(g, v, index, out);
    }
    if (v->type != VB_J_LIST && v->type != VB_J_STR)
        VB_J_BAD(g->j, "expected something that has items, found %s", vb_g_type_name(v));
    VB_TRY(position(g, index, length_of(v) - 1, &i));
    *out = v->type == VB_J_LIST ? v->u.list->items[i] : vb_j_int((unsigned char)v->u.s[i]);
    return VB_OK;
}

static vb_status index_of(vb_go *g, const vb_jval *args, size_t n, vb_jval *out)
{
    vb_jval now = args[0];
    if (now.type == VB_J_NONE) VB_J_BAD(g->j, "expected something that has items, found nil");
    for (size_t i = 1; i < n; i++) {
        vb_jval item;
        VB_TRY(index_one(g, &now, &args[i], &item));
        now = item;
    }
    *out = now;
    return VB_OK;
}

/* A part of a list shares its items. */
static vb_status cut_list(vb_go *g, const vb_jval *v, int64_t from, int64_t to, vb_jval *out)
{
    *out = *v;
    if (v->u.list == NULL) return VB_OK;
    VB_TRY(vb_j_list_new(g->j, VB_J_LIST, 0, out));
    out->owner = v->owner;
    out->u.list->n = out->u.list->cap = (size_t)(to - from);
    out->u.list->items = v->u.list->items != NULL ? v->u.list->items + from : NULL;
    return VB_OK;
}

static vb_status slice(vb_go *g, const vb_jval *args, size_t n, vb_jval *out)
{
    const vb_jval *v = &args[0];
    int64_t most = length_of(v), at[2] = {0, most};
    if (v->type != VB_J_STR && v->type != VB_J_LIST)
        VB_J_BAD(g->j, "expected a text or list to cut, found %s", vb_g_type_name(v));
    if (v->type == VB_J_STR && n > 3) VB_J_BAD(g->j, "expected two places to cut a text, found %zu", n - 1);
    for (size_t i = 1; i < n && i < 3; i++) VB_TRY(position(g, &args[i], most, &at[i - 1]));
    if (at[0] > at[1]) VB_J_BAD(g->j, "expected an end behind %lld, found %lld", (long long)at[0], (long long)at[1]);
    if (v->type == VB_J_LIST) return cut_list(g, v, at[0], at[1], out);
    *out = vb_j_cut(v, (size_t)at[0], (size_t)(at[1] - at[0]));
    return VB_OK;
}

/* --- printing ------------------------------------------------------------------------------------------ */

/* Spaces stand between operands of which neither is a text. */
static vb_status print(vb_go *g, const vb_jval *args, size_t n, vb_jval *out)
{
    vb_jbuf buf = {0};
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && args[i].type != VB_J_STR && args[i - 1].type != VB_J_STR) VB_TRY(vb_j_add_text(g->j, &buf, " "));
        VB_TRY(vb_g_add_value(g, &buf, &args[i]));
    }
    *out = vb_j_done(&buf);
    return VB_OK;
}

static vb_status println(vb_go *g, const vb_jval *args, size_t n, vb_jval *out)
{
    vb_jbuf buf = {0};
    for (size_t i = 0; i < n; i++) {
        if (i > 0) VB_TRY(vb_j_add_text(g->j, &buf, " "));
        VB_TRY(vb_g_add_value(g, &buf, &args[i]));
    }
    VB_TRY(vb_j_add_text(g->j, &buf, "\n"));
    *out = vb_j_done(&buf);
    return VB_OK;
}

static vb_status need_text(vb_go *g, const vb_jval *v)
{
    if (v->type != VB_J_STR) VB_J_BAD(g->j, "expected a string, found %s", vb_g_type_name(v));
    return VB_OK;
}

static vb_status print_format(vb_go *g, const vb_jval *args, size_t n, vb_jval *out)
{
    vb_jbuf buf = {0};
    VB_TRY(need_text(g, &args[0]));
    VB_TRY(vb_g_format(g, &args[0], args + 1, n - 1, &buf));
    *out = vb_j_done(&buf);
    return VB_OK;
}

static vb_status html(vb_go *g, const vb_jval *args, size_t n, vb_jval *out)
{
    static const struct {
        char from;
        const char *to;
    } escapes[] = {{'"', "&#34;"}, {'\'', "&#39;"}, {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}};
    vb_jval text;
    vb_jbuf buf = {0};
    VB_TRY(print(g, args, n, &text));
    for (size_t i = 0; i < text.len; i++) {
        const char *to = NULL;
        for (size_t k = 0; k < sizeof escapes / sizeof *escapes; k++)
            if (text.u.s[i] == escapes[k].from) to = escapes[k].to;
        vb_jval one = vb_j_cut(&text, i, 1);
        VB_TRY(to != NULL ? vb_j_add_text(g->j, &buf, to) : vb_j_add_str(g->j, &buf, &one));
    }
    *out = vb_j_done(&buf);
    return VB_OK;
}

/* --- Ollama's ------------------------------------------------------------------------------------------ */

static vb_status json(vb_go *g, const vb_jval *args, size_t n, vb_jval *out)
{
    vb_jbuf buf = {0};
    (void)n;
    VB_TRY(vb_g_add_json(g, &buf, &args[0]));
    *out = vb_j_done(&buf);
    return VB_OK;
}

static vb_status date(vb_go *g, const vb_jval *args, size_t n, int days, vb_jval *out)
{
    char text[32];
    struct tm day = g->j->now;
    vb_jbuf buf = {0};
    for (size_t i = 0; i < n; i++) VB_TRY(need_text(g, &args[i]));
    day.tm_mday += days;
    day.tm_hour = 12;
    timegm(&day);
    strftime(text, sizeof text, "%Y-%m-%d", &day);
    VB_TRY(vb_j_add_text(g->j, &buf, text));
    *out = vb_j_done(&buf);
    return VB_OK;
}

static vb_status today(vb_go *g, const vb_jval *args, size_t n, vb_jval *out)
{
    return date(g, args, n, 0, out);
}

static vb_status yesterday(vb_go *g, const vb_jval *args, size_t n, vb_jval *out)
{
    return date(g, args, n, -1, out);
}

static vb_status script_type(vb_go *g, const vb_jval *args, size_t n, vb_jval *out)
{
    vb_jbuf buf = {0};
    (void)n;
    if (args[0].type == VB_J_DICT && args[0].owner == VB_G_PROPERTY) VB_TRY(vb_g_script_type(g, &args[0], &buf));
    else VB_TRY(vb_j_add_text(g->j, &buf, "any"));
    *out = vb_j_done(&buf);
    return VB_OK;
}

/* --- the table ----------------------------------------------------------------------------------------- */

const vb_gfunc *vb_g_function(const char *name, size_t n)
{
    static const vb_gfunc functions[] = {
        {"and", 1, -1, NULL, 0},      {"or", 1, -1, NULL, 1},      {"not", 1, 1, not, 0},
        {"eq", 2, -1, eq, 0},         {"ne", 2, 2, ne, 0},         {"lt", 2, 2, lt, 0},
        {"le", 2, 2, le, 0},          {"gt", 2, 2, gt, 0},         {"ge", 2, 2, ge, 0},
        {"len", 1, 1, len, 0},        {"index", 1, -1, index_of, 0}, {"slice", 1, 4, slice, 0},
        {"print", 0, -1, print, 0},   {"println", 0, -1, println, 0}, {"printf", 1, -1, print_format, 0},
        {"html", 0, -1, html, 0},     {"json", 1, 1, json, 0},     {"currentDate", 0, -1, today, 0},
        {"yesterdayDate", 0, -1, yesterday, 0}, {"toTypeScriptType", 1, 1, script_type, 0}};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strlen(functions[i].name) == n && memcmp(functions[i].name, name, n) == 0) return &functions[i];
    return NULL;
}
