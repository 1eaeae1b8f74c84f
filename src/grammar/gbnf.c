/* gbnf.c - see gbnf.h.
 *
 *   rule      name "::=" choice newline
 *   choice    sequence ("|" sequence)*           a line may break behind "|" and inside parentheses
 *   sequence  (item ("*" | "+" | "?" | "{m}" | "{m,}" | "{m,n}")?)*
 *   item      "text" | [class] | [^class] | "." | name | "(" choice ")" | "%json" schema
 *
 * Escapes in texts and classes: \n \r \t \\ \" \[ \] \- \xHH \uHHHH \UHHHHHHHH. A comment goes from # to the end of its
 * line.
 */
#include "grammar/gbnf.h"

#include "grammar/schema.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MOST = 128, CLASS_MOST = 256 };

typedef struct {
    const char *text; /* of the name; points into the grammar */
    size_t len;
    int line; /* where it was first seen */
    int rule;
} name;

typedef struct {
    vb_rules *rules;
    const char *at, *end;
    int line, depth;
    name *names;
    int n_names;
    int *slots;  /* name + 1 by its hash; 0: free */
    int n_slots; /* a power of two, at least twice as many as names */
    vb_err *err;
} reader;

#define WRONG(r, expected) return wrong(r, expected)

static vb_status wrong(reader *r, const char *expected)
{
    if (r->at >= r->end)
        return vb_fail(r->err, VB_E_FORMAT, "grammar: line %d: expected %s, found the end", r->line, expected);
    unsigned char c = (unsigned char)*r->at;
    if (c < 0x20 || c >= 0x7f)
        return vb_fail(r->err, VB_E_FORMAT, "grammar: line %d: expected %s, found byte 0x%02x", r->line, expected, c);
    return vb_fail(r->err, VB_E_FORMAT, "grammar: line %d: expected %s, found '%c'", r->line, expected, c);
}

static int peek(const reader *r)
{
    return r->at < r->end ? (unsigned char)*r->at : -1;
}

static int skip_if(reader *r, char c)
{
    if (peek(r) != c) return 0;
    r->at++;
    return 1;
}

/* Blanks and comments; also line ends if `lines`. */
static void blanks(reader *r, int lines)
{
    for (;; r->at++) {
        int c = peek(r);
        if (c == '#') {
            while (peek(r) >= 0 && *r->at != '\n' && *r->at != '\r') r->at++;
            c = peek(r);
        }
        if (c == '\n' && lines) r->line++;
        if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) continue;
        break;
    }
}

/* --- characters ----------------------------------------------------------------------------------------------- */

static vb_status hex(reader *r, int digits, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++, r->at++) {
        int c = peek(r);
        int value = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (value < 0) WRONG(r, "a hexadecimal digit");
        *out = *out << 4 | (uint32_t)value;
    }
    if (*out > 0x10ffff || (*out >= 0xd800 && *out <= 0xdfff)) WRONG(r, "a Unicode character in front of this");
    return VB_OK;
}

static vb_status escaped(reader *r, uint32_t *out)
{
    static const char plain[] = "\\\"[]-^.", named[] = "nrt", meant[] = "\n\r\t";
    int c = peek(r);
    r->at += c >= 0;
    if (c == 'x') return hex(r, 2, out);
    if (c == 'u') return hex(r, 4, out);
    if (c == 'U') return hex(r, 8, out);
    const char *found = c > 0 ? strchr(named, c) : NULL;
    *out = found != NULL ? (uint32_t)meant[found - named] : (uint32_t)c;
    if (found != NULL || (c > 0 && strchr(plain, c) != NULL)) return VB_OK;
    r->at -= c >= 0;
    WRONG(r, "an escape that is known");
}

/* One UTF-8 character, or an escape. */
static vb_status character(reader *r, uint32_t *out)
{
    int c = peek(r), n = c < 0x80                ? 0
                         : c >= 0xc2 && c < 0xe0 ? 1
                         : c >= 0xe0 && c < 0xf0 ? 2
                         : c >= 0xf0 && c < 0xf5 ? 3
                                                 : -1;
    if (c < 0 || n < 0) WRONG(r, "a character");
    if (skip_if(r, '\\')) return escaped(r, out);
    uint32_t point = n == 0 ? (uint32_t)c : (uint32_t)c & (0x3fu >> n);
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (r->end - r->at <= n) WRONG(r, "a whole UTF-8 character");
    for (int i = 1; i <= n; i++) {
        if (((unsigned char)r->at[i] & 0xc0) != 0x80) WRONG(r, "a whole UTF-8 character");
        point = point << 6 | ((unsigned char)r->at[i] & 0x3fu);
    }
    if (point < least[n] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) WRONG(r, "a UTF-8 character");
    if (c == '\n') r->line++;
    r->at += n + 1;
    *out = point;
    return VB_OK;
}

static size_t utf8(char *out, uint32_t point)
{
    int n = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    static const uint8_t mark[] = {0, 0xc0, 0xe0, 0xf0};
    for (int i = n; i > 0; i--, point >>= 6) out[i] = (char)(0x80 | (point & 0x3f));
    out[0] = (char)(mark[n] | point);
    return (size_t)n + 1;
}

static vb_status literal(reader *r, int *out)
{
    size_t cap = (size_t)(r->end - r->at) + 4, n = 0;
    char *text = malloc(cap); /* no escape is shorter than what it stands for */
    vb_status s = text == NULL ? vb_fail(r->err, VB_E_MEMORY, "grammar: out of memory") : VB_OK;
    while (s == VB_OK && !skip_if(r, '"')) {
        uint32_t point = 0;
        s = peek(r) < 0 ? wrong(r, "\"") : character(r, &point);
        if (s == VB_OK) n += utf8(text + n, point);
    }
    if (s == VB_OK) *out = vb_expr_literal(r->rules, text, n);
    free(text);
    return s;
}

static vb_status class_of(reader *r, int *out)
{
    vb_range ranges[CLASS_MOST];
    int n = 0, inverted = skip_if(r, '^');
    while (!skip_if(r, ']')) {
        vb_range range;
        if (n == CLASS_MOST) WRONG(r, "at most 256 ranges in a class");
        if (peek(r) < 0) WRONG(r, "]");
        VB_TRY(character(r, &range.lo));
        range.hi = range.lo;
        if (r->end - r->at > 1 && r->at[0] == '-' && r->at[1] != ']') {
            r->at++;
            VB_TRY(character(r, &range.hi));
        }
        if (range.hi < range.lo) WRONG(r, "a range from a lower to a higher character in front of this");
        ranges[n++] = range;
    }
    *out = vb_expr_class(r->rules, ranges, n, inverted);
    return VB_OK;
}

/* --- names ---------------------------------------------------------------------------------------------------- */

static int in_name(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static uint32_t hash(const name *n)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n->len; i++) h = (h ^ (unsigned char)n->text[i]) * 16777619u;
    return h ^ h >> 15;
}

static vb_status room_for_name(reader *r)
{
    int n = r->n_names;
    if (n * 2 < r->n_slots) return VB_OK;
    int wanted = n * 4 + 64;
    while (wanted & (wanted - 1)) wanted &= wanted - 1;
    name *names = realloc(r->names, (size_t)wanted * sizeof *names);
    if (names != NULL) r->names = names;
    int *slots = calloc((size_t)wanted, sizeof *slots);
    if (names == NULL || slots == NULL) {
        free(slots);
        VB_FAIL(r->err, VB_E_MEMORY, "grammar: out of memory");
    }
    for (int i = 0; i < n; i++) {
        uint32_t at = hash(&names[i]);
        while (slots[at & (uint32_t)(wanted - 1)] != 0) at++;
        slots[at & (uint32_t)(wanted - 1)] = i + 1;
    }
    free(r->slots);
    r->slots = slots;
    r->n_slots = wanted;
    return VB_OK;
}

static vb_status read_name(reader *r, int *rule)
{
    name found = {r->at, 0, r->line, 0};
    while (in_name(peek(r))) r->at++;
    found.len = (size_t)(r->at - found.text);
    if (found.len == 0) WRONG(r, "a rule's name");
    if (found.len > NAME_MOST) WRONG(r, "a shorter name in front of this");
    VB_TRY(room_for_name(r));
    uint32_t at = hash(&found), mask = (uint32_t)r->n_slots - 1;
    for (; r->slots[at & mask] != 0; at++) {
        const name *known = &r->names[r->slots[at & mask] - 1];
        if (known->len != found.len || memcmp(known->text, found.text, found.len) != 0) continue;
        *rule = known->rule;
        return VB_OK;
    }
    *rule = found.rule = vb_rule_new(r->rules);
    VB_TRY(vb_rules_check(r->rules, r->err));
    r->names[r->n_names++] = found;
    r->slots[at & mask] = r->n_names;
    return VB_OK;
}

/* --- expressions ---------------------------------------------------------------------------------------------- */

static vb_status choice(reader *r, int nested, int *out);

/* Length of the JSON object or array at the reader's place; 0: there is none. */
static size_t json_length(const reader *r)
{
    int depth = 0, quoted = 0;
    for (const char *p = r->at; p < r->end; p++) {
        if (quoted && *p == '\\') p++;
        else if (*p == '"') quoted = !quoted;
        else if (!quoted && (*p == '{' || *p == '[')) depth++;
        else if (!quoted && (*p == '}' || *p == ']')) depth--;
        if (depth <= 0) return !quoted && p > r->at ? (size_t)(p - r->at) + 1 : 0;
    }
    return 0;
}

static vb_status schema(reader *r, int *out)
{
    int root;
    blanks(r, 1);
    size_t len = json_length(r);
    if (len == 0) WRONG(r, "a JSON Schema, an object");
    VB_TRY(vb_schema_read(r->rules, &root, r->at, len, r->err));
    for (; len > 0; len--) r->line += *r->at++ == '\n';
    *out = vb_expr_rule(r->rules, root);
    return VB_OK;
}

static vb_status item(reader *r, int *out)
{
    static const vb_range none = {0, 0};
    int rule;
    if (skip_if(r, '"')) return literal(r, out);
    if (skip_if(r, '[')) return class_of(r, out);
    if (skip_if(r, '.')) {
        *out = vb_expr_class(r->rules, &none, 0, 1);
        return VB_OK;
    }
    if (r->end - r->at > 5 && memcmp(r->at, "%json", 5) == 0) {
        r->at += 5;
        return schema(r, out);
    }
    if (skip_if(r, '(')) {
        if (++r->depth > VB_GRAMMAR_DEPTH_MOST) WRONG(r, "at most 64 nested parentheses");
        VB_TRY(choice(r, 1, out));
        r->depth--;
        if (!skip_if(r, ')')) WRONG(r, ")");
        return VB_OK;
    }
    VB_TRY(read_name(r, &rule));
    *out = vb_expr_rule(r->rules, rule);
    return VB_OK;
}

static vb_status number(reader *r, int *out)
{
    if (peek(r) < '0' || peek(r) > '9') WRONG(r, "a number");
    for (*out = 0; peek(r) >= '0' && peek(r) <= '9'; r->at++) {
        *out = *out * 10 + (*r->at - '0');
        if (*out > VB_GRAMMAR_REPEAT_MOST) WRONG(r, "at most 2000 repetitions");
    }
    blanks(r, 1);
    return VB_OK;
}

static vb_status bounds(reader *r, int *least, int *most)
{
    blanks(r, 1);
    VB_TRY(number(r, least));
    *most = *least;
    if (skip_if(r, ',')) {
        blanks(r, 1);
        *most = VB_GRAMMAR_UNBOUNDED;
        if (peek(r) != '}') VB_TRY(number(r, most));
    }
    if (*most != VB_GRAMMAR_UNBOUNDED && *most < *least)
        WRONG(r, "a second number that is not below the first in front of this");
    if (!skip_if(r, '}')) WRONG(r, "}");
    return VB_OK;
}

/* A repetition of a repetition is one of a rule, so that nesting stays in sight of the depth limit. */
static vb_status repeated(reader *r, int *expr)
{
    for (int times = 0;; times++) {
        int least = 0, most = VB_GRAMMAR_UNBOUNDED;
        blanks(r, r->depth > 0);
        if (skip_if(r, '*')) least = 0;
        else if (skip_if(r, '+')) least = 1;
        else if (skip_if(r, '?')) most = 1;
        else if (skip_if(r, '{')) VB_TRY(bounds(r, &least, &most));
        else return VB_OK;
        if (times == 4) WRONG(r, "at most four repetitions of one another");
        *expr = vb_expr_repeat(r->rules, *expr, least, most);
    }
}

static int begins_item(int c)
{
    return c == '"' || c == '[' || c == '.' || c == '(' || c == '%' || in_name(c);
}

static vb_status sequence(reader *r, int *out)
{
    *out = VB_EXPR_EMPTY;
    while (begins_item(peek(r))) {
        int next = VB_EXPR_EMPTY;
        VB_TRY(item(r, &next));
        VB_TRY(repeated(r, &next));
        VB_TRY(vb_rules_check(r->rules, r->err));
        *out = vb_expr_then(r->rules, *out, next);
    }
    return VB_OK;
}

static vb_status choice(reader *r, int nested, int *out)
{
    int expr;
    *out = VB_EXPR_NEVER;
    do {
        blanks(r, 1);
        VB_TRY(sequence(r, &expr));
        *out = vb_expr_or(r->rules, *out, expr);
        blanks(r, nested);
    } while (skip_if(r, '|'));
    return VB_OK;
}

static vb_status rule(reader *r)
{
    int which, expr;
    VB_TRY(read_name(r, &which));
    blanks(r, 0);
    if (r->end - r->at < 3 || memcmp(r->at, "::=", 3) != 0) WRONG(r, "::=");
    if (r->rules->rules[which] >= 0) WRONG(r, "a rule that is not defined yet in front of this");
    r->at += 3;
    VB_TRY(choice(r, 0, &expr));
    if (peek(r) >= 0 && peek(r) != '\n' && peek(r) != '\r') WRONG(r, "the end of the rule");
    vb_rule_set(r->rules, which, expr);
    return VB_OK;
}

static vb_status rules(reader *r, int *root)
{
    blanks(r, 1);
    *root = -1;
    while (r->at < r->end) {
        VB_TRY(rule(r));
        blanks(r, 1);
    }
    for (int i = 0; i < r->n_names; i++) {
        const name *n = &r->names[i];
        if (r->rules->rules[n->rule] < 0)
            VB_FAIL(r->err, VB_E_FORMAT, "grammar: line %d: expected a definition of rule '%.*s', found none", n->line,
                    (int)n->len, n->text);
        if (n->len == 4 && memcmp(n->text, "root", 4) == 0) *root = n->rule;
    }
    if (*root < 0) VB_FAIL(r->err, VB_E_FORMAT, "grammar: expected a rule named root, found none");
    return VB_OK;
}

vb_status vb_gbnf_read(vb_rules *to, int *root, const char *text, size_t len, vb_err *err)
{
    reader r = {.rules = to, .at = text, .end = text + len, .line = 1, .err = err};
    if (len > VB_GRAMMAR_BYTES_MOST)
        VB_FAIL(err, VB_E_ARGUMENT, "grammar: expected at most %d bytes, found %zu", VB_GRAMMAR_BYTES_MOST, len);
    vb_status s = rules(&r, root);
    free(r.names);
    free(r.slots);
    return s;
}
