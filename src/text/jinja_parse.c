/* jinja_parse.c - expressions, by precedence as in Jinja, loosest first:
 *
 *   a if b else c    or    and    not    == != < <= > >= in    + -    ~    * / // %    **    sign    | is . [] ()
 *
 * Binary operators of one level are read in a loop (a row of them leans left), so only brackets, signs, `not` and
 * else-branches nest the parser; vb_j_deeper limits them.
 */
#include "text/jinja_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

vb_status vb_j_next(vb_jparser *p)
{
    p->now = p->ahead;
    p->j->at = p->now.at;
    if (p->now.type == VB_J_T_END) return VB_OK;
    VB_TRY(vb_j_lex(&p->lex, &p->ahead));
    p->j->at = p->now.at;
    return VB_OK;
}

int vb_j_at_op(const vb_jparser *p, const char *op)
{
    return p->now.type == VB_J_T_OP && p->now.len == strlen(op) && memcmp(p->now.s, op, p->now.len) == 0;
}

int vb_j_at_name(const vb_jparser *p, const char *name)
{
    return p->now.type == VB_J_T_NAME && p->now.len == strlen(name) && memcmp(p->now.s, name, p->now.len) == 0;
}

vb_status vb_j_unexpected(vb_jparser *p, const char *expected)
{
    static const char *const what[] = {"the end of the template", "text", "the start of a tag", "the end of a tag",
                                       "the start of a tag", "the end of a tag"};
    p->j->at = p->now.at;
    if (p->now.type < VB_J_T_NAME) VB_J_BAD(p->j, "expected %s, found %s", expected, what[p->now.type]);
    VB_J_BAD(p->j, "expected %s, found '%.*s'", expected, (int)(p->now.len > 60 ? 60 : p->now.len), p->now.s);
}

vb_status vb_j_expect_op(vb_jparser *p, const char *op)
{
    char text[16];
    snprintf(text, sizeof text, "'%s'", op);
    if (!vb_j_at_op(p, op)) return vb_j_unexpected(p, text);
    return vb_j_next(p);
}

vb_status vb_j_expect_name(vb_jparser *p, vb_jtoken *out)
{
    if (p->now.type != VB_J_T_NAME) return vb_j_unexpected(p, "a name");
    *out = p->now;
    return vb_j_next(p);
}

vb_status vb_j_expect_word(vb_jparser *p, const char *word)
{
    char text[32];
    snprintf(text, sizeof text, "'%s'", word);
    if (!vb_j_at_name(p, word)) return vb_j_unexpected(p, text);
    return vb_j_next(p);
}

vb_status vb_j_deeper(vb_jparser *p)
{
    if (p->depth >= VB_JINJA_MAX_NESTING)
        VB_J_BAD(p->j, "expected nesting of at most %d, found a deeper one", VB_JINJA_MAX_NESTING);
    p->depth++;
    return VB_OK;
}

vb_status vb_j_node(vb_jparser *p, vb_jkind kind, vb_jnode **out)
{
    vb_jnode *node = vb_j_alloc(p->j, 1, sizeof *node);
    if (node == NULL) return VB_E_MEMORY;
    node->kind = kind;
    node->at = p->now.at;
    *out = node;
    return VB_OK;
}

/* --- atoms --------------------------------------------------------------------------------------------- */

/* The digits of a number without their underscores. */
static vb_status plain_digits(vb_jparser *p, char *buf, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < p->now.len; i++) {
        if (p->now.s[i] == '_') continue;
        if (n + 1 >= cap) return vb_j_unexpected(p, "a number of fewer digits");
        buf[n++] = p->now.s[i];
    }
    buf[n] = 0;
    return VB_OK;
}

static vb_status number(vb_jparser *p, vb_jnode *node)
{
    char buf[64], *end, *digits = buf;
    int base = 10;
    VB_TRY(plain_digits(p, buf, sizeof buf));
    if (p->now.type == VB_J_T_FLOAT) {
        node->value = vb_j_float(strtod(buf, &end));
    } else {
        if (buf[0] == '0' && buf[1] != 0) {
            char c = (char)(buf[1] | 32);
            base = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 10;
            if (base != 10) digits += 2;
        }
        errno = 0;
        node->value = vb_j_int(strtoll(digits, &end, base));
        if (errno != 0) return vb_j_unexpected(p, "an integer of 64 bits");
    }
    if (*end != 0 || end == digits) return vb_j_unexpected(p, "a number");
    return vb_j_next(p);
}

static void note_use(vb_jparser *p)
{
    if (vb_j_at_name(p, "caller")) p->uses |= VB_J_USES_CALLER;
    if (vb_j_at_name(p, "varargs")) p->uses |= VB_J_USES_VARARGS;
    if (vb_j_at_name(p, "kwargs")) p->uses |= VB_J_USES_KWARGS;
}

static vb_status name(vb_jparser *p, vb_jnode *node)
{
    if (vb_j_at_name(p, "true") || vb_j_at_name(p, "True")) {
        node->value = vb_j_bool(1);
    } else if (vb_j_at_name(p, "false") || vb_j_at_name(p, "False")) {
        node->value = vb_j_bool(0);
    } else if (vb_j_at_name(p, "none") || vb_j_at_name(p, "None")) {
        node->value = vb_j_none;
    } else {
        node->kind = VB_J_N_NAME;
        node->s = p->now.s;
        node->len = p->now.len;
        note_use(p);
    }
    return vb_j_next(p);
}

/* Adjacent string literals are one. */
static vb_status strings(vb_jparser *p, vb_jnode *node)
{
    vb_jbuf buf = {0};
    node->value = (vb_jval){.type = VB_J_STR, .len = p->now.len, .u.s = p->now.s};
    VB_TRY(vb_j_next(p));
    if (p->now.type != VB_J_T_STRING) return VB_OK;
    VB_TRY(vb_j_add_str(p->j, &buf, &node->value));
    while (p->now.type == VB_J_T_STRING) {
        VB_TRY(vb_j_add(p->j, &buf, p->now.s, NULL, p->now.len));
        VB_TRY(vb_j_next(p));
    }
    node->value = vb_j_done(&buf);
    return VB_OK;
}

/* Items up to `close`, with commas; of a dict keys and values in turn. */
static vb_status items(vb_jparser *p, vb_jnode *node, const char *close)
{
    vb_jnode **last = &node->a;
    VB_TRY(vb_j_next(p));
    while (!vb_j_at_op(p, close)) {
        VB_TRY(vb_j_expression(p, last));
        last = &(*last)->next;
        if (node->kind == VB_J_N_DICT) {
            VB_TRY(vb_j_expect_op(p, ":"));
            VB_TRY(vb_j_expression(p, last));
            last = &(*last)->next;
        }
        if (!vb_j_at_op(p, close)) VB_TRY(vb_j_expect_op(p, ","));
    }
    return vb_j_next(p);
}

static vb_status parentheses(vb_jparser *p, vb_jnode **out)
{
    VB_TRY(vb_j_next(p));
    if (vb_j_at_op(p, ")"))
        VB_TRY(vb_j_node(p, VB_J_N_TUPLE, out));
    else
        VB_TRY(vb_j_tuple(p, 1, out));
    return vb_j_expect_op(p, ")");
}

vb_status vb_j_primary(vb_jparser *p, vb_jnode **out)
{
    if (vb_j_at_op(p, "(")) return parentheses(p, out);
    VB_TRY(vb_j_node(p, VB_J_N_CONST, out));
    if (p->now.type == VB_J_T_NAME) return name(p, *out);
    if (p->now.type == VB_J_T_STRING) return strings(p, *out);
    if (p->now.type == VB_J_T_INT || p->now.type == VB_J_T_FLOAT) return number(p, *out);
    if (vb_j_at_op(p, "[")) {
        (*out)->kind = VB_J_N_LIST;
        return items(p, *out, "]");
    }
    if (vb_j_at_op(p, "{")) {
        (*out)->kind = VB_J_N_DICT;
        return items(p, *out, "}");
    }
    return vb_j_unexpected(p, "an expression");
}

/* --- what follows an atom ------------------------------------------------------------------------------ */

/* Puts *node below a new node of `kind` that begins at the current token. */
static vb_status wrap(vb_jparser *p, vb_jkind kind, vb_jnode **node)
{
    vb_jnode *outer;
    VB_TRY(vb_j_node(p, kind, &outer));
    outer->a = *node;
    *node = outer;
    return VB_OK;
}

static vb_status argument(vb_jparser *p, vb_jnode **out)
{
    VB_TRY(vb_j_node(p, VB_J_N_ARG, out));
    if (vb_j_at_op(p, "*") || vb_j_at_op(p, "**")) {
        (*out)->op = p->now.len == 1 ? '*' : 'd';
        VB_TRY(vb_j_next(p));
    } else if (p->now.type == VB_J_T_NAME && p->ahead.type == VB_J_T_OP && p->ahead.len == 1 && *p->ahead.s == '=') {
        (*out)->s = p->now.s;
        (*out)->len = p->now.len;
        VB_TRY(vb_j_next(p));
        VB_TRY(vb_j_next(p));
    }
    return vb_j_expression(p, &(*out)->a);
}

static vb_status arguments(vb_jparser *p, vb_jnode **out)
{
    int named = 0;
    VB_TRY(vb_j_expect_op(p, "("));
    while (!vb_j_at_op(p, ")")) {
        size_t at = p->now.at;
        VB_TRY(argument(p, out));
        if (named && (*out)->s == NULL && (*out)->op == 0) {
            p->j->at = at;
            VB_J_BAD(p->j, "expected arguments without a name before those with one");
        }
        named = (*out)->s != NULL || (*out)->op != 0;
        out = &(*out)->next;
        if (!vb_j_at_op(p, ")")) VB_TRY(vb_j_expect_op(p, ","));
    }
    return vb_j_next(p);
}

static vb_status slice_part(vb_jparser *p, vb_jnode **out)
{
    if (vb_j_at_op(p, ":") || vb_j_at_op(p, "]")) return VB_OK;
    return vb_j_expression(p, out);
}

static vb_status index_or_slice(vb_jparser *p, vb_jnode **out)
{
    vb_jnode *first = NULL;
    VB_TRY(slice_part(p, &first));
    if (!vb_j_at_op(p, ":")) {
        *out = first;
        return first == NULL ? vb_j_unexpected(p, "an index") : VB_OK;
    }
    VB_TRY(vb_j_node(p, VB_J_N_SLICE, out));
    (*out)->a = first;
    VB_TRY(vb_j_next(p));
    VB_TRY(slice_part(p, &(*out)->b));
    if (!vb_j_at_op(p, ":")) return VB_OK;
    VB_TRY(vb_j_next(p));
    return slice_part(p, &(*out)->c);
}

static vb_status subscript(vb_jparser *p, vb_jnode **node)
{
    int dot = vb_j_at_op(p, ".");
    VB_TRY(wrap(p, dot && p->ahead.type == VB_J_T_NAME ? VB_J_N_ATTR : VB_J_N_ITEM, node));
    VB_TRY(vb_j_next(p));
    if (!dot) {
        VB_TRY(index_or_slice(p, &(*node)->b));
        return vb_j_expect_op(p, "]");
    }
    if (p->now.type == VB_J_T_INT) {
        VB_TRY(vb_j_node(p, VB_J_N_CONST, &(*node)->b));
        return number(p, (*node)->b);
    }
    (*node)->s = p->now.s;
    (*node)->len = p->now.len;
    vb_jtoken token = {0};
    return vb_j_expect_name(p, &token);
}

static vb_status postfix(vb_jparser *p, vb_jnode **node)
{
    for (;;) {
        if (vb_j_at_op(p, ".") || vb_j_at_op(p, "[")) {
            VB_TRY(subscript(p, node));
        } else if (vb_j_at_op(p, "(")) {
            VB_TRY(wrap(p, VB_J_N_CALL, node));
            VB_TRY(arguments(p, &(*node)->b));
        } else {
            return VB_OK;
        }
    }
}

vb_status vb_j_filter(vb_jparser *p, vb_jnode **node)
{
    vb_jtoken token = {0};
    VB_TRY(wrap(p, VB_J_N_FILTER, node));
    VB_TRY(vb_j_expect_name(p, &token));
    (*node)->s = token.s;
    (*node)->len = token.len;
    if (vb_j_at_op(p, "(")) VB_TRY(arguments(p, &(*node)->b));
    return VB_OK;
}

vb_status vb_j_filters(vb_jparser *p, vb_jnode **node)
{
    while (vb_j_at_op(p, "|")) {
        VB_TRY(vb_j_next(p));
        VB_TRY(vb_j_filter(p, node));
    }
    return VB_OK;
}

/* Can the current token start the argument of a test without parentheses, as in `x is divisibleby 3`? */
static int starts_argument(const vb_jparser *p)
{
    if (vb_j_at_name(p, "else") || vb_j_at_name(p, "or") || vb_j_at_name(p, "and")) return 0;
    if (p->now.type == VB_J_T_OP) return vb_j_at_op(p, "[") || vb_j_at_op(p, "{");
    return p->now.type >= VB_J_T_NAME;
}

static vb_status test(vb_jparser *p, vb_jnode **node)
{
    vb_jtoken token = {0};
    VB_TRY(vb_j_next(p));
    int negated = vb_j_at_name(p, "not");
    if (negated) VB_TRY(vb_j_next(p));
    VB_TRY(wrap(p, VB_J_N_TEST, node));
    VB_TRY(vb_j_expect_name(p, &token));
    vb_jnode *is = *node;
    is->s = token.s;
    is->len = token.len;
    if (vb_j_at_op(p, "(")) {
        VB_TRY(arguments(p, &is->b));
    } else if (starts_argument(p)) {
        if (vb_j_at_name(p, "is")) return vb_j_unexpected(p, "one test at a time");
        VB_TRY(vb_j_node(p, VB_J_N_ARG, &is->b));
        VB_TRY(vb_j_primary(p, &is->b->a));
        VB_TRY(postfix(p, &is->b->a));
    }
    return negated ? wrap(p, VB_J_N_NOT, node) : VB_OK;
}

static vb_status filters_and_tests(vb_jparser *p, vb_jnode **node)
{
    for (;;) {
        if (vb_j_at_op(p, "|")) {
            VB_TRY(vb_j_filters(p, node));
        } else if (vb_j_at_name(p, "is")) {
            VB_TRY(test(p, node));
        } else if (vb_j_at_op(p, "(")) {
            VB_TRY(wrap(p, VB_J_N_CALL, node));
            VB_TRY(arguments(p, &(*node)->b));
        } else {
            return VB_OK;
        }
    }
}

/* A sign binds more loosely than what follows its operand directly, but filters and tests apply to the whole. */
static vb_status unary(vb_jparser *p, int with_filters, vb_jnode **out)
{
    VB_TRY(vb_j_deeper(p));
    if (vb_j_at_op(p, "-") || vb_j_at_op(p, "+")) {
        VB_TRY(vb_j_node(p, vb_j_at_op(p, "-") ? VB_J_N_NEG : VB_J_N_POS, out));
        VB_TRY(vb_j_next(p));
        VB_TRY(unary(p, 0, &(*out)->a));
    } else {
        VB_TRY(vb_j_primary(p, out));
    }
    VB_TRY(postfix(p, out));
    if (with_filters) VB_TRY(filters_and_tests(p, out));
    p->depth--;
    return VB_OK;
}

/* --- operators ----------------------------------------------------------------------------------------- */

typedef struct {
    const char *text;
    int op, level;
} binary_op;
enum { LEVEL_SUM, LEVEL_JOIN, LEVEL_PRODUCT, LEVEL_POWER, LEVELS };

static const binary_op binary_ops[] = {
    {"+", '+', LEVEL_SUM}, {"-", '-', LEVEL_SUM},      {"~", '~', LEVEL_JOIN},    {"*", '*', LEVEL_PRODUCT},
    {"/", '/', LEVEL_PRODUCT}, {"//", 'f', LEVEL_PRODUCT}, {"%", '%', LEVEL_PRODUCT}, {"**", 'p', LEVEL_POWER},
};

static const binary_op *binary_at(const vb_jparser *p, int level)
{
    for (size_t i = 0; i < sizeof binary_ops / sizeof *binary_ops; i++)
        if (binary_ops[i].level == level && vb_j_at_op(p, binary_ops[i].text)) return &binary_ops[i];
    return NULL;
}

/* All levels lean left, also `**`, as Jinja has it. */
static vb_status binary(vb_jparser *p, int level, vb_jnode **out)
{
    if (level == LEVELS) return unary(p, 1, out);
    VB_TRY(binary(p, level + 1, out));
    for (const binary_op *op; (op = binary_at(p, level)) != NULL;) {
        VB_TRY(wrap(p, VB_J_N_BINARY, out));
        (*out)->op = op->op;
        VB_TRY(vb_j_next(p));
        VB_TRY(binary(p, level + 1, &(*out)->b));
    }
    return VB_OK;
}

/* The comparison at the current token, 0 if there is none; *words is how many tokens it has. */
static int comparison_at(const vb_jparser *p, int *words)
{
    static const struct {
        const char *text;
        int op;
    } ops[] = {{"==", '='}, {"!=", '!'}, {"<=", 'l'}, {">=", 'g'}, {"<", '<'}, {">", '>'}};
    *words = 1;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (vb_j_at_op(p, ops[i].text)) return ops[i].op;
    if (vb_j_at_name(p, "in")) return 'i';
    *words = 2;
    int not_in = vb_j_at_name(p, "not") && p->ahead.type == VB_J_T_NAME && p->ahead.len == 2 &&
                 memcmp(p->ahead.s, "in", 2) == 0;
    return not_in ? 'n' : 0;
}

static vb_status comparison(vb_jparser *p, vb_jnode **out)
{
    int words, op;
    VB_TRY(binary(p, LEVEL_SUM, out));
    if (comparison_at(p, &words) == 0) return VB_OK;
    VB_TRY(wrap(p, VB_J_N_COMPARE, out));
    vb_jnode **last = &(*out)->b;
    while ((op = comparison_at(p, &words)) != 0) {
        VB_TRY(vb_j_node(p, VB_J_N_CMP, last));
        (*last)->op = op;
        while (words-- > 0) VB_TRY(vb_j_next(p));
        VB_TRY(binary(p, LEVEL_SUM, &(*last)->a));
        last = &(*last)->next;
    }
    return VB_OK;
}

static vb_status negation(vb_jparser *p, vb_jnode **out)
{
    if (!vb_j_at_name(p, "not")) return comparison(p, out);
    VB_TRY(vb_j_deeper(p));
    VB_TRY(vb_j_node(p, VB_J_N_NOT, out));
    VB_TRY(vb_j_next(p));
    VB_TRY(negation(p, &(*out)->a));
    p->depth--;
    return VB_OK;
}

static vb_status conjunction(vb_jparser *p, vb_jnode **out)
{
    VB_TRY(negation(p, out));
    while (vb_j_at_name(p, "and")) {
        VB_TRY(wrap(p, VB_J_N_AND, out));
        VB_TRY(vb_j_next(p));
        VB_TRY(negation(p, &(*out)->b));
    }
    return VB_OK;
}

vb_status vb_j_or(vb_jparser *p, vb_jnode **out)
{
    VB_TRY(conjunction(p, out));
    while (vb_j_at_name(p, "or")) {
        VB_TRY(wrap(p, VB_J_N_OR, out));
        VB_TRY(vb_j_next(p));
        VB_TRY(conjunction(p, &(*out)->b));
    }
    return VB_OK;
}

vb_status vb_j_expression(vb_jparser *p, vb_jnode **out)
{
    VB_TRY(vb_j_deeper(p));
    VB_TRY(vb_j_or(p, out));
    while (vb_j_at_name(p, "if")) {
        VB_TRY(wrap(p, VB_J_N_COND, out));
        VB_TRY(vb_j_next(p));
        VB_TRY(vb_j_or(p, &(*out)->b));
        if (!vb_j_at_name(p, "else")) continue;
        VB_TRY(vb_j_next(p));
        VB_TRY(vb_j_expression(p, &(*out)->c));
    }
    p->depth--;
    return VB_OK;
}

/* Does a tuple without parentheses end here, behind a comma? */
static int tuple_ends(const vb_jparser *p)
{
    return p->now.type == VB_J_T_VAR_END || p->now.type == VB_J_T_BLOCK_END || vb_j_at_op(p, ")") ||
           vb_j_at_name(p, "recursive");
}

vb_status vb_j_tuple(vb_jparser *p, int cond, vb_jnode **out)
{
    VB_TRY(cond ? vb_j_expression(p, out) : vb_j_or(p, out));
    if (!vb_j_at_op(p, ",")) return VB_OK;
    VB_TRY(wrap(p, VB_J_N_TUPLE, out));
    vb_jnode **last = &(*out)->a->next;
    while (vb_j_at_op(p, ",")) {
        VB_TRY(vb_j_next(p));
        if (tuple_ends(p)) break;
        VB_TRY(cond ? vb_j_expression(p, last) : vb_j_or(p, last));
        last = &(*last)->next;
    }
    return VB_OK;
}
