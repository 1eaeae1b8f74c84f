/* pattern.c - see pattern.h.
 *
 *   choice    sequence ("|" sequence)*
 *   sequence  (atom ("*" | "+" | "?" | "{m}" | "{m,}" | "{m,n}") "?"?)*
 *   atom      "." | [class] | "(" choice ")" | "(?:" choice ")" | escape | character
 */
#include "grammar/pattern.h"

#include <string.h>

typedef struct {
    vb_jg_rules *j;
    const char *pattern, *at;
    int depth;
    vb_err *err;
} reader;

typedef struct {
    vb_range ranges[VB_RANGES_MOST];
    int n;
} set;

static vb_status wrong(const reader *r, vb_status status, const char *expected)
{
    return vb_fail(r->err, status, "schema: pattern '%.100s': expected %s, found '%.20s'", r->pattern, expected, r->at);
}

static int skip_if(reader *r, const char *what)
{
    size_t n = strlen(what);
    if (strncmp(r->at, what, n) != 0) return 0;
    r->at += n;
    return 1;
}

static uint32_t point(reader *r)
{
    unsigned char c = (unsigned char)*r->at++;
    int n = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    uint32_t value = n == 0 ? c : c & (0x3fu >> n);
    for (; n > 0 && *r->at != 0; n--) value = value << 6 | ((unsigned char)*r->at++ & 0x3fu);
    return value;
}

/* --- classes -------------------------------------------------------------------------------------------------- */

static vb_status add(const reader *r, set *s, const vb_range *ranges, int n)
{
    if (s->n + n > VB_RANGES_MOST - 8) return wrong(r, VB_E_UNSUPPORTED, "fewer ranges in a class");
    memcpy(s->ranges + s->n, ranges, (size_t)n * sizeof *ranges);
    s->n += n;
    return VB_OK;
}

/* \d \w \s and their opposites; 0: the letter means something else. */
static int shorthand(char letter, set *s)
{
    static const vb_range digits[] = {{'0', '9'}}, words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}},
                          spaces[] = {{9, 13}, {' ', ' '}, {0xa0, 0xa0}, {0x2028, 0x2029}};
    const vb_range *ranges = strchr("dD", letter)   ? digits
                             : strchr("wW", letter) ? words
                             : strchr("sS", letter) ? spaces
                                                    : NULL;
    int n = ranges == digits ? 1 : 4, inverted = letter < 'a';
    if (ranges == NULL || letter == 0) return 0;
    s->n = vb_ranges_settle(s->ranges, ranges, n, inverted);
    return 1;
}

static vb_status hex(reader *r, int n, uint32_t *out)
{
    *out = 0;
    for (; n > 0; n--, r->at++) {
        char c = *r->at;
        int value = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (value < 0) return wrong(r, VB_E_FORMAT, "a hexadecimal digit");
        *out = *out << 4 | (uint32_t)value;
    }
    if (*out >= 0xd800 && *out <= 0xdfff) return wrong(r, VB_E_UNSUPPORTED, "a character in front, no half of one");
    return VB_OK;
}

/* Behind a backslash: a character or a set of them. */
static vb_status escape(reader *r, set *s)
{
    static const char letters[] = "tnrfv0", meant[] = "\t\n\r\f\v\0";
    uint32_t value;
    char c = *r->at;
    const char *found = c == 0 ? NULL : strchr(letters, c);
    if (shorthand(c, s)) {
        r->at++;
        return VB_OK;
    }
    if (skip_if(r, "x")) VB_TRY(hex(r, 2, &value));
    else if (skip_if(r, "u")) VB_TRY(hex(r, 4, &value));
    else if (found != NULL) {
        value = (uint32_t)meant[found - letters];
        r->at++;
    } else if (c == 0 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '1' && c <= '9')) {
        return wrong(r, VB_E_UNSUPPORTED, "an escape that stands for characters");
    } else value = point(r);
    s->ranges[0] = (vb_range){value, value};
    s->n = 1;
    return VB_OK;
}

static vb_status one_of_class(reader *r, set *s)
{
    if (*r->at == 0) return wrong(r, VB_E_FORMAT, "]");
    if (skip_if(r, "\\b")) {
        s->ranges[0] = (vb_range){'\b', '\b'};
        s->n = 1;
        return VB_OK;
    }
    if (skip_if(r, "\\")) return escape(r, s);
    uint32_t value = point(r);
    s->ranges[0] = (vb_range){value, value};
    s->n = 1;
    return VB_OK;
}

static vb_status class_of(reader *r, int *out)
{
    set all = {.n = 0};
    int inverted = skip_if(r, "^");
    while (!skip_if(r, "]")) {
        set one = {.n = 0}, end = {.n = 0};
        VB_TRY(one_of_class(r, &one));
        if (r->at[0] == '-' && r->at[1] != ']' && r->at[1] != 0 && one.n == 1) {
            r->at++;
            VB_TRY(one_of_class(r, &end));
            if (end.n != 1 || end.ranges[0].lo < one.ranges[0].lo)
                return wrong(r, VB_E_FORMAT, "a range from low to high in front");
            one.ranges[0].hi = end.ranges[0].hi;
        }
        VB_TRY(add(r, &all, one.ranges, one.n));
    }
    *out = vb_jg_class(r->j, all.ranges, all.n, inverted);
    return VB_OK;
}

/* --- expressions ---------------------------------------------------------------------------------------------- */

static vb_status choice(reader *r, int *out);

static vb_status atom(reader *r, int *out)
{
    static const vb_range line_ends[] = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};
    set one = {.n = 0};
    if (skip_if(r, "[")) return class_of(r, out);
    if (skip_if(r, ".")) {
        *out = vb_jg_class(r->j, line_ends, 3, 1);
        return VB_OK;
    }
    if (skip_if(r, "(")) {
        if (!skip_if(r, "?:") && *r->at == '?')
            return wrong(r, VB_E_UNSUPPORTED, "a group without an assertion or a name");
        if (++r->depth > VB_GRAMMAR_DEPTH_MOST) return wrong(r, VB_E_ARGUMENT, "at most 64 nested groups");
        VB_TRY(choice(r, out));
        r->depth--;
        return skip_if(r, ")") ? VB_OK : wrong(r, VB_E_FORMAT, ")");
    }
    if (*r->at == '^' || *r->at == '$') return wrong(r, VB_E_UNSUPPORTED, "^ and $ only at the ends of the pattern");
    if (strchr("*+?{", *r->at) != NULL) return wrong(r, VB_E_FORMAT, "something to repeat");
    if (skip_if(r, "\\")) {
        VB_TRY(escape(r, &one));
    } else {
        uint32_t value = point(r);
        one.ranges[0] = (vb_range){value, value};
        one.n = 1;
    }
    *out = vb_jg_class(r->j, one.ranges, one.n, 0);
    return VB_OK;
}

static vb_status number(reader *r, int *out)
{
    if (*r->at < '0' || *r->at > '9') return wrong(r, VB_E_FORMAT, "a number");
    for (*out = 0; *r->at >= '0' && *r->at <= '9'; r->at++) {
        *out = *out * 10 + (*r->at - '0');
        if (*out > VB_GRAMMAR_REPEAT_MOST) return wrong(r, VB_E_ARGUMENT, "at most 2000 repetitions");
    }
    return VB_OK;
}

static vb_status repeated(reader *r, int *expr)
{
    int least = 0, most = VB_GRAMMAR_UNBOUNDED;
    if (skip_if(r, "*")) least = 0;
    else if (skip_if(r, "+")) least = 1;
    else if (skip_if(r, "?")) most = 1;
    else if (skip_if(r, "{")) {
        VB_TRY(number(r, &least));
        most = least;
        if (skip_if(r, ",")) {
            most = VB_GRAMMAR_UNBOUNDED;
            if (*r->at != '}') VB_TRY(number(r, &most));
        }
        if (most != VB_GRAMMAR_UNBOUNDED && most < least)
            return wrong(r, VB_E_FORMAT, "numbers from low to high in front");
        if (!skip_if(r, "}")) return wrong(r, VB_E_FORMAT, "}");
    } else return VB_OK;
    skip_if(r, "?");
    if (*r->at != 0 && strchr("*+?{", *r->at) != NULL) return wrong(r, VB_E_FORMAT, "one repetition at a time");
    *expr = vb_expr_repeat(r->j->r, *expr, least, most);
    return VB_OK;
}

static vb_status sequence(reader *r, int *out)
{
    *out = VB_EXPR_EMPTY;
    while (*r->at != 0 && *r->at != '|' && *r->at != ')' && !(r->depth == 0 && *r->at == '$')) {
        int next = VB_EXPR_EMPTY;
        VB_TRY(atom(r, &next));
        VB_TRY(repeated(r, &next));
        VB_TRY(vb_rules_check(r->j->r, r->err));
        *out = vb_expr_then(r->j->r, *out, next);
    }
    return VB_OK;
}

static vb_status choice(reader *r, int *out)
{
    int expr;
    *out = VB_EXPR_NEVER;
    do {
        VB_TRY(sequence(r, &expr));
        *out = vb_expr_or(r->j->r, *out, expr);
    } while (skip_if(r, "|"));
    return VB_OK;
}

static int anything(reader *r)
{
    return vb_expr_repeat(r->j->r, vb_jg_char(r->j), 0, VB_GRAMMAR_UNBOUNDED);
}

vb_status vb_pattern_read(int *out, vb_jg_rules *j, const char *pattern, vb_err *err)
{
    reader r = {.j = j, .pattern = pattern, .at = pattern, .err = err};
    *out = VB_EXPR_NEVER;
    do {
        int expr, tied = skip_if(&r, "^");
        VB_TRY(sequence(&r, &expr));
        if (!tied) expr = vb_expr_then(j->r, anything(&r), expr);
        if (!skip_if(&r, "$")) expr = vb_expr_then(j->r, expr, anything(&r));
        *out = vb_expr_or(j->r, *out, expr);
    } while (skip_if(&r, "|"));
    return *r.at == 0 ? VB_OK : wrong(&r, VB_E_FORMAT, "the end");
}

/* --- formats -------------------------------------------------------------------------------------------------- */

#define LEAP "([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)"
#define DATE                                                                                                             \
    "([1-9][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))" \
    "|" LEAP "-02-29)"
#define TIME "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define BYTE "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define HEX "[0-9a-fA-F]"
#define LABEL "[a-zA-Z0-9]([a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?"
#define H4 HEX "{1,4}"

const char *vb_pattern_of_format(const char *format)
{
    static const struct {
        const char *name, *pattern;
    } formats[] = {
        {"date", "^" DATE "$"},
        {"time", "^" TIME "$"},
        {"date-time", "^" DATE "T" TIME "$"},
        {"duration",
         "^P([0-9]{1,4}W|([0-9]{1,4}D)?T[0-9]{1,4}(H([0-9]{1,4}M([0-9]{1,4}S)?)?|M([0-9]{1,4}S)?|S)|[0-9]{1,4}D)$"},
        {"uuid", "^" HEX "{8}-" HEX "{4}-" HEX "{4}-" HEX "{4}-" HEX "{12}$"},
        {"email", "^[a-zA-Z0-9_+-]{1,30}(\\.[a-zA-Z0-9_+-]{1,30}){0,3}@(" LABEL "\\.){1,3}[a-zA-Z]{2,10}$"},
        {"hostname", "^(" LABEL "\\.){0,4}" LABEL "$"},
        {"ipv4", "^" BYTE "(\\." BYTE "){3}$"},
        {"ipv6",
         "^((" H4 ":){7}" H4 "|::(" H4 "(:" H4 "){0,6})?|" H4 "::(" H4 "(:" H4 "){0,5})?|(" H4 ":){1}" H4 "::(" H4
         "(:" H4 "){0,4})?|(" H4 ":){2}" H4 "::(" H4 "(:" H4 "){0,3})?|(" H4 ":){3}" H4 "::(" H4 "(:" H4 "){0,2})?)$"},
        {"uri",
         "^[a-z][a-z0-9+.-]{0,10}://" LABEL "(\\." LABEL "){0,4}(:[1-9][0-9]{0,3})?(/[a-zA-Z0-9._~-]{0,60}){0,10}"
         "(\\?[a-zA-Z0-9._~=&-]{0,100})?(#[a-zA-Z0-9._~-]{0,60})?$"},
    };
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(formats[i].name, format) == 0) return formats[i].pattern;
    return NULL;
}
