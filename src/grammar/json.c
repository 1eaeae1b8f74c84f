/* json.c - see json.h. */
#include "grammar/json.h"

#include <stdlib.h>
#include <string.h>

void vb_jg_start(vb_jg_rules *j, vb_rules *r)
{
    *j = (vb_jg_rules){r, -1, -1, -1, -1, -1, -1, -1, -1};
}

static int text(vb_jg_rules *j, const char *what)
{
    return vb_expr_text(j->r, what);
}

static int then(vb_jg_rules *j, int a, int b)
{
    return vb_expr_then(j->r, a, b);
}

static int of(vb_jg_rules *j, uint32_t lo, uint32_t hi)
{
    vb_range range = {lo, hi};
    return vb_expr_class(j->r, &range, 1, 0);
}

/* Opens the rule on first use; 1: its expression is still to be set. */
static int is_new(vb_jg_rules *j, int *rule)
{
    if (*rule >= 0) return 0;
    *rule = vb_rule_new(j->r);
    return 1;
}

int vb_jg_space(vb_jg_rules *j)
{
    if (is_new(j, &j->space)) {
        static const vb_range blanks[] = {{' ', ' '}, {'\t', '\t'}};
        int lines = vb_expr_repeat(j->r, text(j, "\n"), 1, 2);
        lines = then(j, lines, vb_expr_repeat(j->r, vb_expr_class(j->r, blanks, 2, 0), 0, 20));
        vb_rule_set(j->r, j->space, vb_expr_or(j->r, vb_expr_or(j->r, VB_EXPR_EMPTY, text(j, " ")), lines));
    }
    return vb_expr_rule(j->r, j->space);
}

/* --- strings -------------------------------------------------------------------------------------------------- */

static int hex(vb_jg_rules *j, int n)
{
    static const vb_range digits[] = {{'0', '9'}, {'a', 'f'}, {'A', 'F'}};
    return vb_expr_repeat(j->r, vb_expr_class(j->r, digits, 3, 0), n, n);
}

/* \uHHHH that is no half of a pair: the second digit of those that begin with d is below 8. */
static int escaped_point(vb_jg_rules *j)
{
    static const vb_range but_d[] = {{'0', '9'}, {'a', 'c'}, {'e', 'f'}, {'A', 'C'}, {'E', 'F'}},
                          d[] = {{'d', 'd'}, {'D', 'D'}};
    int single = then(j, vb_expr_class(j->r, but_d, 5, 0), hex(j, 3));
    int after_d = then(j, then(j, vb_expr_class(j->r, d, 2, 0), of(j, '0', '7')), hex(j, 2));
    return then(j, text(j, "\\u"), vb_expr_or(j->r, single, after_d));
}

static int escaped_pair(vb_jg_rules *j)
{
    static const vb_range d[] = {{'d', 'd'}, {'D', 'D'}}, high[] = {{'8', '9'}, {'a', 'b'}, {'A', 'B'}},
                          low[] = {{'c', 'f'}, {'C', 'F'}};
    int pair = then(j, text(j, "\\u"), vb_expr_class(j->r, d, 2, 0));
    pair = then(j, then(j, pair, vb_expr_class(j->r, high, 3, 0)), hex(j, 2));
    pair = then(j, then(j, pair, text(j, "\\u")), vb_expr_class(j->r, d, 2, 0));
    return then(j, then(j, pair, vb_expr_class(j->r, low, 2, 0)), hex(j, 2));
}

static const vb_range not_raw[] = {{0, 0x1f}, {'"', '"'}, {'\\', '\\'}};

int vb_jg_char(vb_jg_rules *j)
{
    if (is_new(j, &j->character)) {
        static const vb_range letters[] = {{'"', '"'}, {'\\', '\\'}, {'/', '/'}, {'b', 'b'},
                                           {'f', 'f'}, {'n', 'n'},   {'r', 'r'}, {'t', 't'}};
        int any = vb_expr_class(j->r, not_raw, 3, 1);
        any = vb_expr_or(j->r, any, then(j, text(j, "\\"), vb_expr_class(j->r, letters, 8, 0)));
        any = vb_expr_or(j->r, any, escaped_point(j));
        vb_rule_set(j->r, j->character, vb_expr_or(j->r, any, escaped_pair(j)));
    }
    return vb_expr_rule(j->r, j->character);
}

int vb_jg_string(vb_jg_rules *j)
{
    if (is_new(j, &j->string)) {
        int any = vb_expr_repeat(j->r, vb_jg_char(j), 0, VB_GRAMMAR_UNBOUNDED);
        vb_rule_set(j->r, j->string, then(j, then(j, text(j, "\""), any), text(j, "\"")));
    }
    return vb_expr_rule(j->r, j->string);
}

static const struct {
    uint32_t point;
    const char *escape;
} short_escapes[] = {{'"', "\\\""}, {'\\', "\\\\"}, {'\b', "\\b"}, {'\f', "\\f"},
                     {'\n', "\\n"}, {'\r', "\\r"},  {'\t', "\\t"}};
enum { SHORT_ESCAPES = sizeof short_escapes / sizeof short_escapes[0] };

int vb_jg_class(vb_jg_rules *j, const vb_range *ranges, int n, int inverted)
{
    vb_range all[VB_RANGES_MOST + 1], out[VB_RANGES_MOST + 8];
    if (n + 4 > VB_RANGES_MOST) {
        j->r->failed = j->r->failed == VB_OK ? VB_E_ARGUMENT : j->r->failed;
        return VB_EXPR_EMPTY;
    }
    int m = vb_ranges_settle(all, ranges, n, inverted);
    int k = vb_ranges_settle(out, all, m, 1); /* all that is not wanted, and what cannot stand as itself */
    memcpy(out + k, not_raw, sizeof not_raw);
    int any = vb_expr_class(j->r, out, k + 3, 1);
    for (int i = 0; i < m; i++)
        for (int e = 0; e < SHORT_ESCAPES; e++)
            if (short_escapes[e].point >= all[i].lo && short_escapes[e].point <= all[i].hi)
                any = vb_expr_or(j->r, any, text(j, short_escapes[e].escape));
    return any;
}

int vb_jg_literal(vb_jg_rules *j, const char *what, size_t len)
{
    json_t *string = json_stringn(what, len);
    char *written = string == NULL ? NULL : json_dumps(string, JSON_ENCODE_ANY);
    int expr = VB_EXPR_EMPTY;
    if (written != NULL) expr = text(j, written);
    else if (j->r->failed == VB_OK) j->r->failed = VB_E_MEMORY;
    free(written);
    json_decref(string);
    return expr;
}

/* --- numbers and values --------------------------------------------------------------------------------------- */

int vb_jg_integer(vb_jg_rules *j)
{
    if (is_new(j, &j->integer)) {
        int large = then(j, of(j, '1', '9'), vb_expr_repeat(j->r, of(j, '0', '9'), 0, 15));
        int sign = vb_expr_repeat(j->r, text(j, "-"), 0, 1);
        vb_rule_set(j->r, j->integer, then(j, sign, vb_expr_or(j->r, text(j, "0"), large)));
    }
    return vb_expr_rule(j->r, j->integer);
}

/* Exponents up to 289, so that no number is beyond what a double holds. */
static int exponent(vb_jg_rules *j)
{
    static const vb_range e[] = {{'e', 'e'}, {'E', 'E'}}, signs[] = {{'+', '+'}, {'-', '-'}};
    int up_to_199 = then(j, vb_expr_repeat(j->r, text(j, "1"), 0, 1), vb_expr_repeat(j->r, of(j, '0', '9'), 1, 2));
    int up_to_289 = then(j, then(j, text(j, "2"), of(j, '0', '8')), of(j, '0', '9'));
    int sign = vb_expr_repeat(j->r, vb_expr_class(j->r, signs, 2, 0), 0, 1);
    return then(j, then(j, vb_expr_class(j->r, e, 2, 0), sign), vb_expr_or(j->r, up_to_199, up_to_289));
}

int vb_jg_number(vb_jg_rules *j)
{
    if (is_new(j, &j->number)) {
        int fraction = then(j, text(j, "."), vb_expr_repeat(j->r, of(j, '0', '9'), 1, 16));
        int number = then(j, vb_jg_integer(j), vb_expr_repeat(j->r, fraction, 0, 1));
        vb_rule_set(j->r, j->number, then(j, number, vb_expr_repeat(j->r, exponent(j), 0, 1)));
    }
    return vb_expr_rule(j->r, j->number);
}

/* open (space item ("," space item)*)? space close, where `item` is made twice. */
static int list(vb_jg_rules *j, const char *open, int first, int second, const char *close)
{
    int more = then(j, then(j, text(j, ","), vb_jg_space(j)), second);
    int items = then(j, then(j, vb_jg_space(j), first), vb_expr_repeat(j->r, more, 0, VB_GRAMMAR_UNBOUNDED));
    items = vb_expr_repeat(j->r, items, 0, 1);
    return then(j, then(j, then(j, text(j, open), items), vb_jg_space(j)), text(j, close));
}

static int member(vb_jg_rules *j)
{
    int key = then(j, vb_jg_string(j), text(j, ":"));
    return then(j, then(j, key, vb_jg_space(j)), vb_jg_value(j));
}

int vb_jg_object(vb_jg_rules *j)
{
    if (is_new(j, &j->object)) vb_rule_set(j->r, j->object, list(j, "{", member(j), member(j), "}"));
    return vb_expr_rule(j->r, j->object);
}

int vb_jg_array(vb_jg_rules *j)
{
    if (is_new(j, &j->array)) vb_rule_set(j->r, j->array, list(j, "[", vb_jg_value(j), vb_jg_value(j), "]"));
    return vb_expr_rule(j->r, j->array);
}

int vb_jg_value(vb_jg_rules *j)
{
    if (is_new(j, &j->value)) {
        int any = vb_expr_or(j->r, vb_jg_object(j), vb_jg_array(j));
        any = vb_expr_or(j->r, vb_expr_or(j->r, any, vb_jg_string(j)), vb_jg_number(j));
        any = vb_expr_or(j->r, vb_expr_or(j->r, any, text(j, "true")), text(j, "false"));
        vb_rule_set(j->r, j->value, vb_expr_or(j->r, any, text(j, "null")));
    }
    return vb_expr_rule(j->r, j->value);
}

static int exactly_list(vb_jg_rules *j, const json_t *value)
{
    int is_object = json_is_object(value), expr = text(j, is_object ? "{" : "[");
    size_t n = is_object ? json_object_size(value) : json_array_size(value);
    void *at = is_object ? json_object_iter((json_t *)value) : NULL;
    for (size_t i = 0; i < n; i++) {
        if (i > 0) expr = then(j, expr, text(j, ","));
        expr = then(j, expr, vb_jg_space(j));
        if (is_object) {
            const char *key = json_object_iter_key(at);
            expr = then(j, then(j, expr, vb_jg_literal(j, key, strlen(key))), text(j, ":"));
            expr = then(j, expr, vb_jg_space(j));
            expr = then(j, expr, vb_jg_exactly(j, json_object_iter_value(at)));
            at = json_object_iter_next((json_t *)value, at);
        } else expr = then(j, expr, vb_jg_exactly(j, json_array_get(value, i)));
    }
    return then(j, then(j, expr, vb_jg_space(j)), text(j, is_object ? "}" : "]"));
}

int vb_jg_exactly(vb_jg_rules *j, const json_t *value)
{
    if (json_is_object(value) || json_is_array(value)) return exactly_list(j, value);
    if (json_is_string(value)) return vb_jg_literal(j, json_string_value(value), json_string_length(value));
    char *written = json_dumps(value, JSON_ENCODE_ANY);
    int expr = VB_EXPR_EMPTY;
    if (written != NULL) expr = text(j, written);
    else if (j->r->failed == VB_OK) j->r->failed = VB_E_MEMORY;
    free(written);
    return expr;
}

/* --- other keys ----------------------------------------------------------------------------------------------- */

/* The code point at the beginning of valid UTF-8, and its length. */
static uint32_t point_at(const char *key, size_t *len)
{
    unsigned char c = (unsigned char)*key;
    int n = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    uint32_t point = n == 0 ? c : c & (0x3fu >> n);
    for (int i = 1; i <= n; i++) point = point << 6 | ((unsigned char)key[i] & 0x3fu);
    *len = (size_t)n + 1;
    return point;
}

/* What may follow after `at` bytes that all the keys share: not the rest of one of them. Up to where it has become
 * another text nothing is written as an escape, as an escape could spell a key. */
static int differs(vb_jg_rules *j, const char *const *keys, int n, size_t at, int depth)
{
    vb_range first[VB_RANGES_MOST];
    int k = 0, expr = VB_EXPR_NEVER, ended = n > 0 && keys[0][at] == 0;
    memcpy(first, not_raw, sizeof not_raw);
    k = 3;
    if (!ended) expr = text(j, "\"");
    for (int i = ended, end; i < n && k < VB_RANGES_MOST && depth < 1000; i = end) {
        size_t len, other;
        uint32_t point = point_at(keys[i] + at, &len);
        for (end = i + 1; end < n && point_at(keys[end] + at, &other) == point;) end++;
        first[k++] = (vb_range){point, point};
        if (point < 0x20 || point == '"' || point == '\\') continue;
        int rest = differs(j, keys + i, end - i, at + len, depth + 1);
        expr = vb_expr_or(j->r, expr, then(j, vb_expr_literal(j->r, keys[i] + at, len), rest));
    }
    if (k == VB_RANGES_MOST) return expr; /* whatever begins like none of those that fit in is left out, too */
    int any = vb_expr_repeat(j->r, vb_jg_char(j), 0, VB_GRAMMAR_UNBOUNDED);
    return vb_expr_or(j->r, expr, then(j, then(j, vb_expr_class(j->r, first, k, 1), any), text(j, "\"")));
}

int vb_jg_other_key(vb_jg_rules *j, const char *const *keys, int n)
{
    if (n == 0) return vb_jg_string(j);
    return then(j, text(j, "\""), differs(j, keys, n, 0, 0));
}
