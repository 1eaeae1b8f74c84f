/* jinja_test.c - tests: `x is defined`, `x is divisibleby 3`. */
#include "text/jinja_eval.h"

#include <string.h>
#include <utf8proc.h>

#define TEST(name, truth)                                                    \
    static vb_status name(vb_jinja *j, const vb_jcall *c, vb_jval *out)      \
    {                                                                        \
        (void)j;                                                             \
        *out = vb_j_bool(truth);                                             \
        return VB_OK;                                                        \
    }

TEST(is_defined, c->self.type != VB_J_UNDEF)
TEST(is_undefined, c->self.type == VB_J_UNDEF)
TEST(is_none, c->self.type == VB_J_NONE)
TEST(is_boolean, c->self.type == VB_J_BOOL)
TEST(is_true, c->self.type == VB_J_BOOL && c->self.u.i)
TEST(is_false, c->self.type == VB_J_BOOL && !c->self.u.i)
TEST(is_integer, c->self.type == VB_J_INT)
TEST(is_float, c->self.type == VB_J_FLOAT)
TEST(is_number, vb_j_is_number(&c->self))
TEST(is_string, c->self.type == VB_J_STR)
TEST(is_mapping, c->self.type == VB_J_DICT)
TEST(is_sequence, c->self.type == VB_J_STR || c->self.type == VB_J_LIST || c->self.type == VB_J_TUPLE ||
                      c->self.type == VB_J_DICT || c->self.type == VB_J_UNDEF)
TEST(is_iterable, c->self.type == VB_J_STR || vb_j_is_listlike(&c->self) || c->self.type == VB_J_DICT ||
                      c->self.type == VB_J_UNDEF || c->self.type == VB_J_LOOP)
TEST(is_callable, c->self.type == VB_J_MACRO || c->self.type == VB_J_FUNC || c->self.type == VB_J_METHOD ||
                      c->self.type == VB_J_LOOP || c->self.type == VB_J_JOINER || c->self.type == VB_J_UNDEF)
TEST(is_escaped, c->self.type == VB_J_STR && c->self.owner == VB_J_SAFE)
TEST(is_sameas, c->self.type == c->arg[0]->type && c->self.u.i == c->arg[0]->u.i &&
                    (c->self.type != VB_J_STR || c->self.len == c->arg[0]->len))

static vb_status is_known_filter(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    VB_TRY(vb_j_need_str(j, &c->self, "the name of a filter"));
    *out = vb_j_bool(vb_j_find(vb_j_filters_text, c->self.u.s, c->self.len) != NULL ||
                     vb_j_find(vb_j_filters_list, c->self.u.s, c->self.len) != NULL ||
                     vb_j_find(vb_j_filters_pick, c->self.u.s, c->self.len) != NULL);
    return VB_OK;
}

static vb_status is_known_test(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    VB_TRY(vb_j_need_str(j, &c->self, "the name of a test"));
    *out = vb_j_bool(vb_j_find(vb_j_tests, c->self.u.s, c->self.len) != NULL);
    return VB_OK;
}

static vb_status remainder_of(vb_jinja *j, const vb_jcall *c, int64_t divisor, int64_t wanted, vb_jval *out)
{
    vb_jval by = vb_j_int(divisor), rest;
    VB_TRY(vb_j_binary(j, '%', &c->self, &by, &rest));
    *out = vb_j_bool(vb_j_is_number(&rest) && !(vb_j_number(&rest) < (double)wanted) &&
                     !(vb_j_number(&rest) > (double)wanted));
    return VB_OK;
}

static vb_status is_even(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return remainder_of(j, c, 2, 0, out);
}

static vb_status is_odd(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return remainder_of(j, c, 2, 1, out);
}

static vb_status is_divisible(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    int64_t by;
    VB_TRY(vb_j_need_int(j, c->arg[0], "divisor", &by));
    return remainder_of(j, c, by, 0, out);
}

static vb_status is_equal(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    int same;
    VB_TRY(vb_j_equal(j, &c->self, c->arg[0], &same));
    *out = vb_j_bool(same);
    return VB_OK;
}

static vb_status is_different(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    int same;
    VB_TRY(vb_j_equal(j, &c->self, c->arg[0], &same));
    *out = vb_j_bool(!same);
    return VB_OK;
}

static vb_status is_in(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    int inside;
    VB_TRY(vb_j_contains(j, c->arg[0], &c->self, &inside));
    *out = vb_j_bool(inside);
    return VB_OK;
}

static vb_status ordered(vb_jinja *j, const vb_jcall *c, int less, int same, int more, vb_jval *out)
{
    int order;
    VB_TRY(vb_j_order(j, &c->self, c->arg[0], &order));
    *out = vb_j_bool(order < 0 ? less : order > 0 ? more : same);
    return VB_OK;
}

static vb_status is_less(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return ordered(j, c, 1, 0, 0, out);
}

static vb_status is_at_most(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return ordered(j, c, 1, 1, 0, out);
}

static vb_status is_greater(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return ordered(j, c, 0, 0, 1, out);
}

static vb_status is_at_least(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return ordered(j, c, 0, 1, 1, out);
}

/* Python's islower and isupper: cased letters, and all of them of that case. */
static vb_status has_case(vb_jinja *j, const vb_jcall *c, utf8proc_category_t other, vb_jval *out)
{
    vb_jval text;
    int cased = 0;
    VB_TRY(vb_j_str(j, &c->self, &text));
    VB_TRY(vb_j_step(j, text.len / 8));
    *out = vb_j_bool(0);
    for (size_t i = 0; i < text.len;) {
        uint32_t code;
        i += vb_j_char(text.u.s + i, text.len - i, &code);
        utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
        if (category == other || category == UTF8PROC_CATEGORY_LT) return VB_OK;
        cased |= category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL;
    }
    *out = vb_j_bool(cased);
    return VB_OK;
}

static vb_status is_lower(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return has_case(j, c, UTF8PROC_CATEGORY_LU, out);
}

static vb_status is_upper(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return has_case(j, c, UTF8PROC_CATEGORY_LL, out);
}

const vb_jfunc vb_j_tests[] = {
    {"defined", "", 0, is_defined},     {"undefined", "", 0, is_undefined}, {"none", "", 0, is_none},
    {"boolean", "", 0, is_boolean},     {"true", "", 0, is_true},           {"false", "", 0, is_false},
    {"integer", "", 0, is_integer},     {"float", "", 0, is_float},         {"number", "", 0, is_number},
    {"string", "", 0, is_string},       {"mapping", "", 0, is_mapping},     {"sequence", "", 0, is_sequence},
    {"iterable", "", 0, is_iterable},   {"callable", "", 0, is_callable},
    {"escaped", "", 0, is_escaped},
    {"sameas", "other", 1, is_sameas},  {"even", "", 0, is_even},           {"odd", "", 0, is_odd},
    {"divisibleby", "num", 1, is_divisible}, {"lower", "", 0, is_lower},    {"upper", "", 0, is_upper},
    {"filter", "", 0, is_known_filter}, {"test", "", 0, is_known_test},
    {"in", "seq", 1, is_in},
    {"eq", "b", 1, is_equal},           {"equalto", "b", 1, is_equal},      {"==", "b", 1, is_equal},
    {"ne", "b", 1, is_different},       {"!=", "b", 1, is_different},
    {"lt", "b", 1, is_less},            {"lessthan", "b", 1, is_less},      {"<", "b", 1, is_less},
    {"le", "b", 1, is_at_most},         {"<=", "b", 1, is_at_most},
    {"gt", "b", 1, is_greater},         {"greaterthan", "b", 1, is_greater}, {">", "b", 1, is_greater},
    {"ge", "b", 1, is_at_least},        {">=", "b", 1, is_at_least},
    {NULL, NULL, 0, NULL},
};
