/* jinja_ops.c - operators, attributes, indexes and slices, with Python's rules.
 *
 * Integers have 64 bits; a result beyond is an error, never a wrong number. Attributes are methods and entries of data
 * and nothing else: there is no way from a value to the program that runs the template.
 */
#include "text/jinja_eval.h"

#include <math.h>
#include <string.h>

static vb_status cannot(vb_jinja *j, int op, const vb_jval *a, const vb_jval *b)
{
    const char *text = op == 'f' ? "//" : op == 'p' ? "**" : (const char[]){(char)op, 0};
    if (a->type == VB_J_UNDEF) return vb_j_undefined(j, a);
    if (b->type == VB_J_UNDEF) return vb_j_undefined(j, b);
    VB_J_BAD(j, "expected values that `%s` can join, found %s and %s", text, vb_j_type_name(a), vb_j_type_name(b));
}

static vb_status too_large(vb_jinja *j)
{
    VB_J_BAD(j, "expected an integer of 64 bits, found a larger one");
}

static vb_status divided_by_zero(vb_jinja *j)
{
    VB_J_BAD(j, "expected a divisor other than 0");
}

/* Python rounds quotients down, not towards zero. */
static vb_status int_divide(vb_jinja *j, int op, int64_t a, int64_t b, vb_jval *out)
{
    if (b == 0) return divided_by_zero(j);
    if (b == -1) {
        int64_t quotient = 0;
        if (op == 'f' && __builtin_sub_overflow((int64_t)0, a, &quotient)) return too_large(j);
        *out = vb_j_int(quotient);
        return VB_OK;
    }
    int64_t quotient = a / b, rest = a % b;
    int down = rest != 0 && (rest < 0) != (b < 0);
    *out = vb_j_int(op == 'f' ? quotient - down : rest + (down ? b : 0));
    return VB_OK;
}

static vb_status int_power(vb_jinja *j, int64_t a, int64_t b, vb_jval *out)
{
    int64_t result = 1;
    for (; b > 0 && a != 1 && a != 0; b--) {
        if (a == -1 && b > 2) b = 2 + b % 2;
        if (__builtin_mul_overflow(result, a, &result)) return too_large(j);
    }
    *out = vb_j_int(b > 0 ? a : result);
    return VB_OK;
}

static vb_status int_binary(vb_jinja *j, int op, int64_t a, int64_t b, vb_jval *out)
{
    int64_t result = 0;
    int over;
    if (op == 'f' || op == '%') return int_divide(j, op, a, b, out);
    if (op == 'p') return int_power(j, a, b, out);
    if (op == '+')
        over = __builtin_add_overflow(a, b, &result);
    else if (op == '-')
        over = __builtin_sub_overflow(a, b, &result);
    else
        over = __builtin_mul_overflow(a, b, &result);
    *out = vb_j_int(result);
    return over ? too_large(j) : VB_OK;
}

static vb_status float_binary(vb_jinja *j, int op, double a, double b, vb_jval *out)
{
    double result = 0;
    if (strchr("/f%", op) != NULL && b <= 0 && b >= 0) return divided_by_zero(j);
    switch (op) {
    case '+': result = a + b; break;
    case '-': result = a - b; break;
    case '*': result = a * b; break;
    case '/': result = a / b; break;
    case 'p': result = pow(a, b); break;
    default:
        result = fmod(a, b);
        if ((result < 0 || result > 0) && (result < 0) != (b < 0)) result += b;
        if (op == 'f') result = floor((a - result) / b + 0.5);
        break;
    }
    *out = vb_j_float(result);
    return VB_OK;
}

static vb_status numbers(vb_jinja *j, int op, const vb_jval *a, const vb_jval *b, vb_jval *out)
{
    int ints = a->type != VB_J_FLOAT && b->type != VB_J_FLOAT;
    if (ints && op != '/' && !(op == 'p' && b->u.i < 0)) return int_binary(j, op, a->u.i, b->u.i, out);
    return float_binary(j, op, vb_j_number(a), vb_j_number(b), out);
}

static vb_status join_lists(vb_jinja *j, const vb_jval *a, const vb_jval *b, vb_jval *out)
{
    VB_TRY(vb_j_list_new(j, a->type, a->u.list->n + b->u.list->n, out));
    for (size_t i = 0; i < a->u.list->n; i++) VB_TRY(vb_j_list_add(j, out, &a->u.list->items[i]));
    for (size_t i = 0; i < b->u.list->n; i++) VB_TRY(vb_j_list_add(j, out, &b->u.list->items[i]));
    return VB_OK;
}

static vb_status repeat(vb_jinja *j, const vb_jval *what, int64_t times, vb_jval *out)
{
    vb_jbuf buf = {0};
    if (what->type == VB_J_STR) {
        VB_TRY(vb_j_add_fill(j, &buf, what, times));
        *out = vb_j_done(&buf);
        out->owner = what->owner;
        return VB_OK;
    }
    VB_TRY(vb_j_list_new(j, what->type, 0, out));
    if (what->u.list->n == 0) return VB_OK;
    for (; times > 0; times--)
        for (size_t i = 0; i < what->u.list->n; i++) VB_TRY(vb_j_list_add(j, out, &what->u.list->items[i]));
    return VB_OK;
}

/* a ~ b: both as text, whatever they are. */
static vb_status join_texts(vb_jinja *j, const vb_jval *a, const vb_jval *b, vb_jval *out)
{
    vb_jval left, right;
    VB_TRY(vb_j_str(j, a, &left));
    VB_TRY(vb_j_str(j, b, &right));
    VB_TRY(vb_j_concat(j, &left, &right, out));
    out->owner = 0;
    return VB_OK;
}

/* a + b of texts: once one of them is safe, the other is made safe and so is the whole. */
static vb_status add_texts(vb_jinja *j, const vb_jval *a, const vb_jval *b, vb_jval *out)
{
    vb_jval left = *a, right = *b;
    int safe = a->owner | b->owner;
    if (safe) VB_TRY(vb_j_escape(j, a, &left));
    if (safe) VB_TRY(vb_j_escape(j, b, &right));
    VB_TRY(vb_j_concat(j, &left, &right, out));
    out->owner = safe;
    return VB_OK;
}

static int is_row(const vb_jval *v)
{
    return v->type == VB_J_STR || v->type == VB_J_LIST || v->type == VB_J_TUPLE;
}

static int is_int(const vb_jval *v)
{
    return v->type == VB_J_INT || v->type == VB_J_BOOL;
}

vb_status vb_j_binary(vb_jinja *j, int op, const vb_jval *a, const vb_jval *b, vb_jval *out)
{
    if (op == '~') return join_texts(j, a, b, out);
    if (vb_j_is_number(a) && vb_j_is_number(b)) return numbers(j, op, a, b, out);
    if (op == '+' && a->type == b->type && is_row(a))
        return a->type == VB_J_STR ? add_texts(j, a, b, out) : join_lists(j, a, b, out);
    if (op == '*' && is_row(a) && is_int(b)) return repeat(j, a, b->u.i, out);
    if (op == '*' && is_int(a) && is_row(b)) return repeat(j, b, a->u.i, out);
    if (op == '%' && a->type == VB_J_STR) return vb_j_format(j, a, b, out);
    return cannot(j, op, a, b);
}

/* --- attributes and indexes ---------------------------------------------------------------------------- */

static int is(const char *name, size_t len, const char *text)
{
    return len == strlen(text) && memcmp(name, text, len) == 0;
}

static vb_jval loop_attr(const vb_jloop *loop, const char *name, size_t len)
{
    int64_t i = (int64_t)loop->index, n = (int64_t)loop->items->n;
    if (is(name, len, "index")) return vb_j_int(i + 1);
    if (is(name, len, "index0")) return vb_j_int(i);
    if (is(name, len, "first")) return vb_j_bool(i == 0);
    if (is(name, len, "last")) return vb_j_bool(i == n - 1);
    if (is(name, len, "length")) return vb_j_int(n);
    if (is(name, len, "revindex")) return vb_j_int(n - i);
    if (is(name, len, "revindex0")) return vb_j_int(n - i - 1);
    if (is(name, len, "depth")) return vb_j_int(loop->depth + 1);
    if (is(name, len, "depth0")) return vb_j_int(loop->depth);
    if (is(name, len, "previtem") && i > 0) return loop->items->items[i - 1];
    if (is(name, len, "nextitem") && i + 1 < n) return loop->items->items[i + 1];
    return vb_j_undef(name, len, VB_J_LOOP);
}

/* What a value has under a name besides methods and entries of data. */
static vb_jval own_attr(const vb_jval *v, const char *name, size_t len)
{
    if (v->type == VB_J_LOOP) return loop_attr(v->u.loop, name, len);
    if (v->type == VB_J_MACRO && is(name, len, "name"))
        return (vb_jval){.type = VB_J_STR, .len = v->u.macro->node->len, .u.s = v->u.macro->node->s};
    if (v->type == VB_J_CYCLER && is(name, len, "current")) return v->u.list->items[v->u.list->pos];
    if (v->type == VB_J_TUPLE && is(v->u.list->name, strlen(v->u.list->name), "group")) { /* of groupby */
        if (is(name, len, "grouper")) return v->u.list->items[0];
        if (is(name, len, "list")) return v->u.list->items[1];
    }
    return vb_j_undef(name, len, vb_j_is_unsafe(v->type, name, len) ? VB_J_OWNER_UNSAFE : (int)v->type);
}

static vb_status bind(vb_jinja *j, const vb_jval *self, const vb_jfunc *func, vb_jval *out)
{
    struct vb_jbound *bound = vb_j_alloc(j, 1, sizeof *bound);
    if (bound == NULL) return VB_E_MEMORY;
    bound->func = func;
    bound->self = *self;
    *out = (vb_jval){.type = VB_J_METHOD, .u.bound = bound};
    return VB_OK;
}

vb_status vb_j_attr(vb_jinja *j, const vb_jval *v, const char *name, size_t len, vb_jval *out)
{
    if (v->type == VB_J_UNDEF) return vb_j_undefined(j, v);
    const vb_jfunc *method = vb_j_method(v->type, name, len);
    if (method != NULL) return bind(j, v, method, out);
    *out = own_attr(v, name, len);
    if (v->type != VB_J_DICT && v->type != VB_J_SPACE) return VB_OK;
    if (out->owner == VB_J_OWNER_UNSAFE) return VB_OK;
    vb_jval key = {.type = VB_J_STR, .len = len, .u.s = name}, *found;
    VB_TRY(vb_j_dict_find(j, v->u.dict, &key, &found));
    if (found != NULL) *out = *found;
    return VB_OK;
}

static vb_status index_row(vb_jinja *j, const vb_jval *v, int64_t i, vb_jval *out)
{
    int64_t n;
    VB_TRY(vb_j_length(j, v, &n));
    if (i < 0) i += n;
    if (i < 0 || i >= n) {
        *out = vb_j_undef("that index", 10, (int)v->type);
        return VB_OK;
    }
    if (v->type != VB_J_STR) {
        *out = v->u.list->items[i];
        return VB_OK;
    }
    size_t at = vb_j_offset(v->u.s, v->len, (size_t)i);
    *out = vb_j_cut(v, at, vb_j_offset(v->u.s + at, v->len - at, 1));
    return VB_OK;
}

vb_status vb_j_item(vb_jinja *j, const vb_jval *v, const vb_jval *key, vb_jval *out)
{
    if (v->type == VB_J_UNDEF) return vb_j_undefined(j, v);
    if (v->type == VB_J_DICT) {
        vb_jval *found;
        VB_TRY(vb_j_dict_find(j, v->u.dict, key, &found));
        if (found != NULL) {
            *out = *found;
            return VB_OK;
        }
    }
    if (is_row(v) && is_int(key)) return index_row(j, v, key->u.i, out);
    if (key->type == VB_J_STR) return vb_j_attr(j, v, key->u.s, key->len, out);
    *out = vb_j_undef("that key", 8, (int)v->type);
    return VB_OK;
}

/* Python's slice.indices: start, stop and step inside a row of n. */
static vb_status slice_bounds(vb_jinja *j, const vb_jval part[3], int64_t n, int64_t bound[3])
{
    int64_t step = 1;
    if (part[2].type != VB_J_NONE) VB_TRY(vb_j_need_int(j, &part[2], "step of a slice", &step));
    if (step == 0) VB_J_BAD(j, "expected a step other than 0 in a slice");
    if (step < -n - 1) step = -n - 1;
    if (step > n + 1) step = n + 1;
    bound[0] = step > 0 ? 0 : n - 1;
    bound[1] = step > 0 ? n : -1;
    bound[2] = step;
    for (int k = 0; k < 2; k++) {
        if (part[k].type == VB_J_NONE) continue;
        int64_t low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1, at;
        VB_TRY(vb_j_need_int(j, &part[k], "bound of a slice", &at));
        if (at < 0) at = at < -n ? -1 - n : at + n;
        bound[k] = at < low ? low : at > high ? high : at;
    }
    return VB_OK;
}

static vb_status slice_row(vb_jinja *j, const vb_jval *row, const int64_t bound[3], vb_jval *out)
{
    VB_TRY(vb_j_list_new(j, row->type == VB_J_TUPLE ? VB_J_TUPLE : VB_J_LIST, 0, out));
    for (int64_t i = bound[0]; bound[2] > 0 ? i < bound[1] : i > bound[1]; i += bound[2])
        VB_TRY(vb_j_list_add(j, out, &row->u.list->items[i]));
    return VB_OK;
}

static vb_status slice_text(vb_jinja *j, const vb_jval *text, const int64_t bound[3], vb_jval *out)
{
    vb_jval chars, picked;
    vb_jbuf buf = {0};
    if (bound[2] == 1) {
        size_t from = vb_j_offset(text->u.s, text->len, (size_t)bound[0]);
        size_t chars_wanted = bound[1] > bound[0] ? (size_t)(bound[1] - bound[0]) : 0;
        *out = vb_j_cut(text, from, vb_j_offset(text->u.s + from, text->len - from, chars_wanted));
        return vb_j_step(j, text->len / 64);
    }
    VB_TRY(vb_j_items(j, text, &chars));
    VB_TRY(slice_row(j, &chars, bound, &picked));
    for (size_t i = 0; i < picked.u.list->n; i++) VB_TRY(vb_j_add_str(j, &buf, &picked.u.list->items[i]));
    *out = vb_j_done(&buf);
    return VB_OK;
}

vb_status vb_j_slice(vb_jinja *j, const vb_jval *v, const vb_jval part[3], vb_jval *out)
{
    int64_t n, bound[3];
    if (v->type == VB_J_UNDEF) return vb_j_undefined(j, v);
    if (!is_row(v)) VB_J_BAD(j, "expected a text or list to slice, found a %s", vb_j_type_name(v));
    VB_TRY(vb_j_length(j, v, &n));
    VB_TRY(slice_bounds(j, part, n, bound));
    return v->type == VB_J_STR ? slice_text(j, v, bound, out) : slice_row(j, v, bound, out);
}
