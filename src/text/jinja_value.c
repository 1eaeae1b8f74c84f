/* jinja_value.c - making values and asking them questions, as Python answers.
 *
 * Every allocation and every loop over data passes vb_j_alloc and vb_j_step, so no template can take more memory or
 * time than the limits in jinja.h say. Recursion over nested data passes vb_j_enter.
 */
#include "text/jinja_value.h"

#include <stdarg.h>
#include <string.h>

/* --- limits and errors --------------------------------------------------------------------------------- */

static void position(const vb_jinja *j, size_t *line, size_t *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < j->at && i < j->source_len; i++) {
        if (j->source[i] == '\n') {
            (*line)++;
            *column = 1;
        } else if (((unsigned char)j->source[i] & 0xc0) != 0x80) {
            (*column)++;
        }
    }
}

/* Messages may quote the data; an error stays one line. */
static void one_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 32 || *text == 127) *text = ' ';
}

vb_status vb_j_fail(vb_jinja *j, vb_status code, const char *fmt, ...)
{
    char text[400];
    size_t line, column;
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    one_line(text);
    if (j->source == NULL) return vb_fail(j->err, code, "chat template input: %s", text);
    position(j, &line, &column);
    return vb_fail(j->err, code, "chat template: line %zu, column %zu: %s", line, column, text);
}

vb_status vb_j_step(vb_jinja *j, size_t n)
{
    if (n > VB_JINJA_MAX_STEPS - j->steps)
        return vb_j_fail(j, VB_E_UNSUPPORTED, "expected an end within %d steps, found none", VB_JINJA_MAX_STEPS);
    j->steps += n;
    return VB_OK;
}

vb_status vb_j_enter(vb_jinja *j)
{
    VB_TRY(vb_j_step(j, 1));
    if (j->depth >= VB_JINJA_MAX_DEPTH)
        return vb_j_fail(j, VB_E_UNSUPPORTED, "expected nesting of at most %d, found a deeper one", VB_JINJA_MAX_DEPTH);
    j->depth++;
    return VB_OK;
}

void *vb_j_alloc(vb_jinja *j, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || j->arena.bytes > VB_JINJA_MAX_MEMORY ||
        bytes > VB_JINJA_MAX_MEMORY - j->arena.bytes) {
        vb_j_fail(j, VB_E_MEMORY, "expected to need at most %d bytes of memory, found more", VB_JINJA_MAX_MEMORY);
        return NULL;
    }
    void *p = vb_arena_alloc(&j->arena, bytes);
    if (p == NULL) vb_j_fail(j, VB_E_MEMORY, "out of memory for %zu bytes", bytes);
    return p;
}

vb_status vb_j_undefined(vb_jinja *j, const vb_jval *v)
{
    int len = (int)(v->len > 200 ? 200 : v->len);
    if (v->owner == VB_J_OWNER_MESSAGE) VB_J_BAD(j, "%.*s", len, v->u.s);
    if (v->owner == VB_J_OWNER_NOBODY) VB_J_BAD(j, "expected a value, found that '%.*s' is undefined", len, v->u.s);
    if (v->owner == VB_J_OWNER_UNSAFE)
        VB_J_BAD(j, "expected data that stays as it is, found '%.*s', which would change it", len, v->u.s);
    vb_jval owner = {.type = (vb_jtype)v->owner, .u.list = NULL};
    VB_J_BAD(j, "expected a value, found that '%s' has no attribute '%.*s'", vb_j_type_name(&owner), len, v->u.s);
}

const char *vb_j_type_name(const vb_jval *v)
{
    static const char *const names[] = {"undefined", "NoneType", "bool", "int", "float", "str", "list", "tuple",
                                        "view", "generator", "dict", "namespace", "macro", "function", "method",
                                        "loop", "cycler", "joiner"};
    if ((v->type == VB_J_VIEW || v->type == VB_J_GEN) && v->u.list != NULL) return v->u.list->name;
    return names[v->type];
}

/* --- making values ------------------------------------------------------------------------------------- */

const vb_jval vb_j_none = {.type = VB_J_NONE};

vb_jval vb_j_undef(const char *name, size_t len, int owner)
{
    return (vb_jval){.type = VB_J_UNDEF, .owner = owner, .len = len, .u.s = name};
}

vb_jval vb_j_bool(int value)
{
    return (vb_jval){.type = VB_J_BOOL, .u.i = value != 0};
}

vb_jval vb_j_int(int64_t value)
{
    return (vb_jval){.type = VB_J_INT, .u.i = value};
}

vb_jval vb_j_float(double value)
{
    return (vb_jval){.type = VB_J_FLOAT, .u.f = value};
}

vb_jval vb_j_text(const char *text)
{
    return (vb_jval){.type = VB_J_STR, .len = strlen(text), .u.s = text};
}

vb_jval vb_j_cut(const vb_jval *str, size_t from, size_t len)
{
    vb_jval cut = *str;
    cut.u.s += from;
    cut.len = len;
    if (cut.mark != NULL) cut.mark += from;
    return cut;
}

vb_status vb_j_list_new(vb_jinja *j, vb_jtype type, size_t cap, vb_jval *out)
{
    vb_jlist *list = vb_j_alloc(j, 1, sizeof *list);
    if (list == NULL) return VB_E_MEMORY;
    list->cap = cap;
    list->name = type == VB_J_GEN ? "generator" : "view";
    if (cap > 0) list->items = vb_j_alloc(j, cap, sizeof *list->items);
    if (cap > 0 && list->items == NULL) return VB_E_MEMORY;
    *out = (vb_jval){.type = type, .u.list = list};
    return VB_OK;
}

vb_status vb_j_list_add(vb_jinja *j, const vb_jval *value, const vb_jval *item)
{
    vb_jlist *list = value->u.list;
    VB_TRY(vb_j_step(j, 1));
    if (list->n == list->cap) {
        size_t cap = list->cap < 4 ? 4 : list->cap * 2;
        vb_jval *items = vb_j_alloc(j, cap, sizeof *items);
        if (items == NULL) return VB_E_MEMORY;
        if (list->n > 0) memcpy(items, list->items, list->n * sizeof *items);
        list->items = items;
        list->cap = cap;
    }
    list->items[list->n++] = *item;
    return VB_OK;
}

vb_status vb_j_pair(vb_jinja *j, const vb_jval *a, const vb_jval *b, vb_jval *out)
{
    VB_TRY(vb_j_list_new(j, VB_J_TUPLE, 2, out));
    VB_TRY(vb_j_list_add(j, out, a));
    return vb_j_list_add(j, out, b);
}

vb_status vb_j_dict_new(vb_jinja *j, vb_jtype type, size_t cap, vb_jval *out)
{
    vb_jdict *dict = vb_j_alloc(j, 1, sizeof *dict);
    if (dict == NULL) return VB_E_MEMORY;
    dict->cap = cap;
    if (cap > 0) dict->pairs = vb_j_alloc(j, cap, sizeof *dict->pairs);
    if (cap > 0 && dict->pairs == NULL) return VB_E_MEMORY;
    *out = (vb_jval){.type = type, .u.dict = dict};
    return VB_OK;
}

vb_status vb_j_dict_find(vb_jinja *j, const vb_jdict *dict, const vb_jval *key, vb_jval **found)
{
    *found = NULL;
    VB_TRY(vb_j_step(j, 1 + dict->n / 8));
    for (size_t i = 0; i < dict->n; i++) {
        const vb_jval *k = &dict->pairs[i].key;
        int same = 0;
        if (k->type == VB_J_STR && key->type == VB_J_STR && k->len == key->len) VB_TRY(vb_j_step(j, k->len / 64));
        if (k->type == VB_J_STR && key->type == VB_J_STR)
            same = k->len == key->len && memcmp(k->u.s, key->u.s, k->len) == 0;
        else
            VB_TRY(vb_j_equal(j, k, key, &same));
        if (!same) continue;
        *found = &dict->pairs[i].value;
        return VB_OK;
    }
    return VB_OK;
}

static vb_status check_key(vb_jinja *j, const vb_jval *key)
{
    if (key->type == VB_J_UNDEF) return vb_j_undefined(j, key);
    if (key->type == VB_J_LIST || key->type == VB_J_DICT)
        VB_J_BAD(j, "expected a text or number as key, found a %s", vb_j_type_name(key));
    return VB_OK;
}

vb_status vb_j_dict_set(vb_jinja *j, vb_jdict *dict, const vb_jval *key, const vb_jval *value)
{
    vb_jval *found;
    VB_TRY(check_key(j, key));
    VB_TRY(vb_j_dict_find(j, dict, key, &found));
    if (found != NULL) {
        *found = *value;
        return VB_OK;
    }
    if (dict->n == dict->cap) {
        size_t cap = dict->cap < 4 ? 4 : dict->cap * 2;
        vb_jpair *pairs = vb_j_alloc(j, cap, sizeof *pairs);
        if (pairs == NULL) return VB_E_MEMORY;
        if (dict->n > 0) memcpy(pairs, dict->pairs, dict->n * sizeof *pairs);
        dict->pairs = pairs;
        dict->cap = cap;
    }
    dict->pairs[dict->n++] = (vb_jpair){*key, *value};
    return VB_OK;
}

/* --- asking values ------------------------------------------------------------------------------------- */

int vb_j_is_str(const vb_jval *v, const char *text)
{
    return v->type == VB_J_STR && strlen(text) == v->len && memcmp(text, v->u.s, v->len) == 0;
}

int vb_j_is_number(const vb_jval *v)
{
    return v->type == VB_J_BOOL || v->type == VB_J_INT || v->type == VB_J_FLOAT;
}

int vb_j_is_listlike(const vb_jval *v)
{
    return v->type >= VB_J_LIST && v->type <= VB_J_GEN;
}

double vb_j_number(const vb_jval *v)
{
    return v->type == VB_J_FLOAT ? v->u.f : (double)v->u.i;
}

int vb_j_truth(const vb_jval *v)
{
    switch (v->type) {
    case VB_J_UNDEF:
    case VB_J_NONE: return 0;
    case VB_J_BOOL:
    case VB_J_INT: return v->u.i != 0;
    case VB_J_FLOAT: return v->u.f < 0 || v->u.f > 0 || v->u.f != v->u.f;
    case VB_J_STR: return v->len > 0;
    case VB_J_LIST:
    case VB_J_TUPLE:
    case VB_J_VIEW: return v->u.list->n > 0;
    case VB_J_DICT: return v->u.dict->n > 0;
    default: return 1;
    }
}

int vb_j_is_data(const vb_jval *str)
{
    return str->mark != NULL && memchr(str->mark, 1, str->len) != NULL;
}

static vb_status equal_lists(vb_jinja *j, const vb_jlist *a, const vb_jlist *b, int *out)
{
    *out = a->n == b->n;
    for (size_t i = 0; i < a->n && *out; i++) VB_TRY(vb_j_equal(j, &a->items[i], &b->items[i], out));
    return VB_OK;
}

static vb_status equal_dicts(vb_jinja *j, const vb_jdict *a, const vb_jdict *b, int *out)
{
    *out = a->n == b->n;
    for (size_t i = 0; i < a->n && *out; i++) {
        vb_jval *other;
        VB_TRY(vb_j_dict_find(j, b, &a->pairs[i].key, &other));
        *out = other != NULL;
        if (other != NULL) VB_TRY(vb_j_equal(j, &a->pairs[i].value, other, out));
    }
    return VB_OK;
}

static int equal_numbers(const vb_jval *a, const vb_jval *b)
{
    if (a->type == VB_J_FLOAT || b->type == VB_J_FLOAT) {
        double x = vb_j_number(a), y = vb_j_number(b);
        return x <= y && x >= y;
    }
    return a->u.i == b->u.i;
}

vb_status vb_j_equal(vb_jinja *j, const vb_jval *a, const vb_jval *b, int *out)
{
    vb_status status = VB_OK;
    *out = 0;
    VB_TRY(vb_j_step(j, 1));
    if (vb_j_is_number(a) && vb_j_is_number(b)) {
        *out = equal_numbers(a, b);
        return VB_OK;
    }
    if (a->type != b->type) return VB_OK;
    VB_TRY(vb_j_enter(j));
    switch (a->type) {
    case VB_J_UNDEF:
    case VB_J_NONE: *out = 1; break;
    case VB_J_STR:
        status = vb_j_step(j, a->len / 64);
        *out = a->len == b->len && memcmp(a->u.s, b->u.s, a->len) == 0;
        break;
    case VB_J_LIST:
    case VB_J_TUPLE: status = equal_lists(j, a->u.list, b->u.list, out); break;
    case VB_J_DICT: status = equal_dicts(j, a->u.dict, b->u.dict, out); break;
    default: *out = a->u.s == b->u.s; break; /* the same object */
    }
    j->depth--;
    return status;
}

static int order_texts(const vb_jval *a, const vb_jval *b)
{
    size_t n = a->len < b->len ? a->len : b->len;
    int cmp = memcmp(a->u.s, b->u.s, n); /* UTF-8 bytes sort like code points */
    if (cmp != 0) return cmp;
    return (a->len > b->len) - (a->len < b->len);
}

static vb_status order_lists(vb_jinja *j, const vb_jlist *a, const vb_jlist *b, int *out)
{
    size_t n = a->n < b->n ? a->n : b->n;
    for (size_t i = 0; i < n; i++) {
        int same;
        VB_TRY(vb_j_equal(j, &a->items[i], &b->items[i], &same));
        if (!same) return vb_j_order(j, &a->items[i], &b->items[i], out);
    }
    *out = (a->n > b->n) - (a->n < b->n);
    return VB_OK;
}

vb_status vb_j_order(vb_jinja *j, const vb_jval *a, const vb_jval *b, int *out)
{
    if (a->type == VB_J_UNDEF) return vb_j_undefined(j, a);
    if (b->type == VB_J_UNDEF) return vb_j_undefined(j, b);
    VB_TRY(vb_j_step(j, 1));
    if (vb_j_is_number(a) && vb_j_is_number(b)) {
        double x = vb_j_number(a), y = vb_j_number(b);
        *out = (x > y) - (x < y);
        if (a->type != VB_J_FLOAT && b->type != VB_J_FLOAT) *out = (a->u.i > b->u.i) - (a->u.i < b->u.i);
        return VB_OK;
    }
    if (a->type == VB_J_STR && b->type == VB_J_STR) {
        *out = order_texts(a, b);
        return vb_j_step(j, a->len / 64);
    }
    if (a->type == b->type && (a->type == VB_J_LIST || a->type == VB_J_TUPLE)) {
        VB_TRY(vb_j_enter(j));
        vb_status status = order_lists(j, a->u.list, b->u.list, out);
        j->depth--;
        return status;
    }
    VB_J_BAD(j, "expected two values that can be ordered, found %s and %s", vb_j_type_name(a), vb_j_type_name(b));
}

vb_status vb_j_contains(vb_jinja *j, const vb_jval *in, const vb_jval *what, int *out)
{
    vb_jval list, *found;
    *out = 0;
    if (in->type == VB_J_STR) {
        VB_TRY(vb_j_need_str(j, what, "a text to look for in a text"));
        VB_TRY(vb_j_step(j, 1 + in->len / 64));
        *out = vb_j_search(in->u.s, in->len, 0, what->u.s, what->len) != (size_t)-1;
        return VB_OK;
    }
    if (in->type == VB_J_DICT) {
        if (what->type != VB_J_UNDEF) VB_TRY(check_key(j, what));
        VB_TRY(vb_j_dict_find(j, in->u.dict, what, &found));
        *out = found != NULL;
        return VB_OK;
    }
    VB_TRY(vb_j_items(j, in, &list));
    for (size_t i = 0; i < list.u.list->n && !*out; i++) VB_TRY(vb_j_equal(j, &list.u.list->items[i], what, out));
    return VB_OK;
}

static vb_status characters(vb_jinja *j, const vb_jval *str, vb_jval *list)
{
    for (size_t i = 0, n; i < str->len; i += n) {
        uint32_t code;
        n = vb_j_char(str->u.s + i, str->len - i, &code);
        vb_jval one = vb_j_cut(str, i, n);
        VB_TRY(vb_j_list_add(j, list, &one));
    }
    return VB_OK;
}

vb_status vb_j_items(vb_jinja *j, const vb_jval *v, vb_jval *list)
{
    if (v->type == VB_J_LIST || v->type == VB_J_TUPLE || v->type == VB_J_VIEW) {
        *list = *v;
        return VB_OK;
    }
    VB_TRY(vb_j_list_new(j, VB_J_LIST, 0, list));
    switch (v->type) {
    case VB_J_UNDEF: return VB_OK;
    case VB_J_STR: return characters(j, v, list);
    case VB_J_GEN: /* used up from now on */
        *list->u.list = *v->u.list;
        v->u.list->n = 0;
        v->u.list->cap = 0;
        return VB_OK;
    case VB_J_DICT:
        for (size_t i = 0; i < v->u.dict->n; i++) VB_TRY(vb_j_list_add(j, list, &v->u.dict->pairs[i].key));
        return VB_OK;
    default: VB_J_BAD(j, "expected something to iterate over, found a %s", vb_j_type_name(v));
    }
}

vb_status vb_j_length(vb_jinja *j, const vb_jval *v, int64_t *out)
{
    switch (v->type) {
    case VB_J_UNDEF: *out = 0; return VB_OK;
    case VB_J_STR: *out = (int64_t)vb_j_count(v->u.s, v->len); return vb_j_step(j, v->len / 64);
    case VB_J_LIST:
    case VB_J_TUPLE:
    case VB_J_VIEW: *out = (int64_t)v->u.list->n; return VB_OK;
    case VB_J_DICT: *out = (int64_t)v->u.dict->n; return VB_OK;
    default: VB_J_BAD(j, "expected something that has a length, found a %s", vb_j_type_name(v));
    }
}

vb_status vb_j_need_int(vb_jinja *j, const vb_jval *v, const char *what, int64_t *out)
{
    if (v->type == VB_J_UNDEF) return vb_j_undefined(j, v);
    if (v->type != VB_J_INT && v->type != VB_J_BOOL)
        VB_J_BAD(j, "expected an integer as %s, found a %s", what, vb_j_type_name(v));
    *out = v->u.i;
    return VB_OK;
}

vb_status vb_j_need_str(vb_jinja *j, const vb_jval *v, const char *what)
{
    if (v->type == VB_J_UNDEF) return vb_j_undefined(j, v);
    if (v->type != VB_J_STR) VB_J_BAD(j, "expected %s, found a %s", what, vb_j_type_name(v));
    return VB_OK;
}
