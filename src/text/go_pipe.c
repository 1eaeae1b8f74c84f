/* go_pipe.c - pipelines: what they set, commands, operands and literals.
 *
 *   $x := slice .Messages 1 | len        a variable, two commands; the first's value is the second's last operand
 *   (index .Messages 0).Content          a pipeline as operand, and a name behind it
 */
#include "text/go_eval.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- literals ------------------------------------------------------------------------------------------ */

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 99;
}

/* `n` digits of a base from *s on; 0: there are not so many. */
static int digits(const char **s, const char *end, int n, int base, uint32_t *out)
{
    *out = 0;
    for (; n > 0; n--, (*s)++) {
        if (*s == end || digit(**s) >= base) return 0;
        *out = *out * (uint32_t)base + (uint32_t)digit(**s);
    }
    return 1;
}

/* Behind a backslash. *byte is 1 if the code stands for a byte, not for a character. */
static int escape(const char **s, const char *end, char quote, uint32_t *code, int *byte)
{
    static const char from[] = "abfnrtv\\", to[] = "\a\b\f\n\r\t\v\\";
    if (*s == end) return 0;
    char c = *(*s)++;
    const char *known = c != 0 ? strchr(from, c) : NULL;
    *byte = c == 'x' || (c >= '0' && c <= '7');
    if (known != NULL) *code = (unsigned char)to[known - from];
    else if (c == quote) *code = (unsigned char)quote;
    else if (c == 'x') return digits(s, end, 2, 16, code);
    else if (c == 'u' || c == 'U')
        return digits(s, end, c == 'u' ? 4 : 8, 16, code) && *code <= 0x10ffff && *code >> 11 != 27;
    else if (*byte) return (*s)--, digits(s, end, 3, 8, code) && *code < 256;
    else return 0;
    return 1;
}

static vb_status unescape(vb_gparser *p, const vb_gtoken *t, vb_jbuf *buf)
{
    const char *s = t->s + 1, *end = t->s + t->len - 1;
    while (s < end) {
        uint32_t code;
        int byte = 1;
        if (*s != '\\') {
            VB_TRY(vb_j_add(p->j, buf, s++, NULL, 1));
            continue;
        }
        s++;
        if (!escape(&s, end, t->s[0], &code, &byte))
            VB_J_BAD(p->j, "expected an escape that is known, found another one");
        char c = (char)code;
        VB_TRY(byte ? vb_j_add(p->j, buf, &c, NULL, 1) : vb_j_add_char(p->j, buf, code, 0));
    }
    return VB_OK;
}

/* What stands between `...`: all but carriage returns. */
static vb_status unquote_raw(vb_gparser *p, const vb_gtoken *t, vb_jbuf *buf)
{
    for (size_t i = 1; i + 1 < t->len; i++)
        if (t->s[i] != '\r') VB_TRY(vb_j_add(p->j, buf, t->s + i, NULL, 1));
    return VB_OK;
}

vb_status vb_g_unquote(vb_gparser *p, const vb_gtoken *token, vb_jval *out)
{
    vb_jbuf buf = {0};
    p->j->at = token->at;
    VB_TRY(token->type == VB_G_T_RAW ? unquote_raw(p, token, &buf) : unescape(p, token, &buf));
    *out = vb_j_done(&buf);
    return VB_OK;
}

/* 'c' is the number of a character. */
static vb_status character(vb_gparser *p, const vb_gtoken *t, vb_jval *out)
{
    vb_jval text;
    uint32_t code = 0;
    VB_TRY(vb_g_unquote(p, t, &text));
    size_t n = text.len > 0 ? vb_j_char(text.u.s, text.len, &code) : 0;
    if (n == 0 || n != text.len) VB_J_BAD(p->j, "expected one character between quotes, found %zu bytes", text.len);
    *out = vb_j_int(code);
    return VB_OK;
}

/* Go's prefixes: 0x, 0o, 0b, and 0 alone for octal. */
static int whole_number(const char *text, int64_t *out, int *too_large)
{
    const char *s = text + (*text == '+' || *text == '-');
    int base = 10;
    if (s[0] == '0' && s[1] != 0) base = (s[1] | 32) == 'x' ? 16 : (s[1] | 32) == 'o' ? 8 : (s[1] | 32) == 'b' ? 2 : -8;
    s += base == 10 ? 0 : base < 0 ? 1 : 2;
    base = abs(base);
    uint64_t value = 0;
    if (*s == 0) return 0;
    for (; *s != 0; s++) {
        if (digit(*s) >= base) return 0;
        if (__builtin_mul_overflow(value, (uint64_t)base, &value)) *too_large = 1;
        if (__builtin_add_overflow(value, (uint64_t)digit(*s), &value)) *too_large = 1;
    }
    *too_large |= value > INT64_MAX;
    *out = *text == '-' ? -(int64_t)(value & INT64_MAX) : (int64_t)(value & INT64_MAX);
    return 1;
}

static vb_status number(vb_gparser *p, const vb_gtoken *t, vb_jval *out)
{
    char text[64], *end;
    size_t n = 0;
    int64_t whole;
    int too_large = 0;
    p->j->at = t->at;
    for (size_t i = 0; i < t->len && n < sizeof text - 1; i++)
        if (t->s[i] != '_') text[n++] = t->s[i];
    text[n] = 0;
    if (whole_number(text, &whole, &too_large)) {
        if (too_large) VB_J_BAD(p->j, "expected a number of 64 bits, found %s", text);
        *out = vb_j_int(whole);
        return VB_OK;
    }
    errno = 0;
    double value = strtod(text, &end);
    int starts = digit(text[text[0] == '-' || text[0] == '+']) < 10 || text[text[0] == '-' || text[0] == '+'] == '.';
    if (!starts || *end != 0 || errno != 0 || t->len >= sizeof text)
        VB_J_BAD(p->j, "expected a number, found '%.40s'", text);
    if (strpbrk(text, ".eEpP") == NULL) VB_J_BAD(p->j, "expected octal digits, found '%.40s'", text);
    *out = vb_j_float(value);
    return VB_OK;
}

/* --- operands ------------------------------------------------------------------------------------------ */

static vb_status use_variable(vb_gparser *p, vb_gnode *node)
{
    node->s = p->now->s;
    node->len = p->now->len;
    for (size_t i = p->n_vars; i > p->base; i--)
        if (p->vars[i - 1].len == node->len && memcmp(p->vars[i - 1].s, node->s, node->len) == 0)
            return vb_j_step(p->j, 1 + (p->n_vars - i) / 8);
    p->j->at = node->at;
    int len = (int)(node->len > 60 ? 60 : node->len);
    VB_J_BAD(p->j, "expected a variable that has been set, found '%.*s'", len, node->s);
}

static vb_status use_word(vb_gparser *p, vb_gnode *node)
{
    int yes = vb_g_at_word(p, "true");
    if (yes || vb_g_at_word(p, "false")) {
        node->value = vb_j_bool(yes);
        return VB_OK;
    }
    node->kind = vb_g_at_word(p, "nil") ? VB_G_N_NIL : VB_G_N_CALL;
    if (node->kind == VB_G_N_NIL) return VB_OK;
    node->func = vb_g_function(p->now->s, p->now->len);
    p->j->at = p->now->at;
    if (node->func == NULL)
        VB_J_BAD(p->j, "expected a function that is known, found '%.*s'", (int)(p->now->len > 60 ? 60 : p->now->len),
                 p->now->s);
    return VB_OK;
}

static int is_keyword(const vb_gparser *p)
{
    static const char *const keywords[] = {"if", "else", "end", "range", "with", "template", "define", "block", "break",
                                           "continue"};
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (vb_g_at_word(p, keywords[i])) return 1;
    return 0;
}

static vb_status in_brackets(vb_gparser *p, vb_gnode **out)
{
    p->j->at = p->now->at;
    if (p->depth == VB_JINJA_MAX_NESTING)
        return vb_j_fail(p->j, VB_E_UNSUPPORTED, "expected nesting of at most %d, found a deeper one",
                         VB_JINJA_MAX_NESTING);
    p->depth++;
    p->now++;
    vb_status status = vb_g_pipeline(p, "brackets", VB_G_T_RIGHT, out);
    p->depth--;
    return status;
}

/* *out stays NULL if no operand begins here. */
static vb_status term(vb_gparser *p, vb_gnode **out)
{
    *out = NULL;
    vb_gtoken_type type = p->now->type;
    if (type == VB_G_T_LEFT) return in_brackets(p, out);
    if (type < VB_G_T_WORD || type > VB_G_T_NUMBER || is_keyword(p)) return VB_OK;
    VB_TRY(vb_g_node(p, VB_G_N_CONST, out));
    if (type == VB_G_T_WORD) VB_TRY(use_word(p, *out));
    else if (type == VB_G_T_VARIABLE) VB_TRY(use_variable(p, *out));
    else if (type == VB_G_T_CHAR) VB_TRY(character(p, p->now, &(*out)->value));
    else if (type == VB_G_T_NUMBER) VB_TRY(number(p, p->now, &(*out)->value));
    else if (type == VB_G_T_STRING || type == VB_G_T_RAW) VB_TRY(vb_g_unquote(p, p->now, &(*out)->value));
    if (type == VB_G_T_VARIABLE) (*out)->kind = VB_G_N_VARIABLE;
    if (type == VB_G_T_DOT) (*out)->kind = VB_G_N_DOT;
    if (type == VB_G_T_FIELD) (*out)->kind = VB_G_N_FIELD;
    if (type != VB_G_T_FIELD) p->now++; /* a field's names are read together */
    return VB_OK;
}

static vb_status names(vb_gparser *p, vb_gnode **last)
{
    for (; p->now->type == VB_G_T_FIELD; p->now++, last = &(*last)->next) {
        VB_TRY(vb_g_node(p, VB_G_N_NAME, last));
        (*last)->s = p->now->s;
        (*last)->len = p->now->len;
    }
    return VB_OK;
}

static vb_status operand(vb_gparser *p, vb_gnode **out)
{
    vb_gnode *node;
    VB_TRY(term(p, out));
    if (*out == NULL || p->now->type != VB_G_T_FIELD) return VB_OK;
    switch ((*out)->kind) {
    case VB_G_N_FIELD:
    case VB_G_N_VARIABLE: return names(p, &(*out)->a);
    case VB_G_N_CONST:
    case VB_G_N_NIL:
    case VB_G_N_DOT: return vb_g_unexpected(p, "an operand");
    default: break;
    }
    VB_TRY(vb_g_node(p, VB_G_N_CHAIN, &node));
    node->b = *out;
    *out = node;
    return names(p, &node->a);
}

/* --- commands and pipelines ---------------------------------------------------------------------------- */

/* Operands up to a |, which is passed, or to the end of the pipeline, which is not. */
static vb_status command(vb_gparser *p, vb_gnode **out)
{
    VB_TRY(vb_g_node(p, VB_G_N_COMMAND, out));
    vb_gnode **last = &(*out)->a;
    do {
        vb_g_skip(p);
        VB_TRY(operand(p, last));
        if (*last != NULL) last = &(*last)->next;
    } while (p->now->type == VB_G_T_SPACE);
    if (p->now->type == VB_G_T_PIPE) p->now++;
    else if (p->now->type != VB_G_T_CLOSE && p->now->type != VB_G_T_RIGHT) return vb_g_unexpected(p, "an operand");
    p->j->at = p->now->at;
    if ((*out)->a == NULL) VB_J_BAD(p->j, "expected a command, found none");
    return VB_OK;
}

static vb_status declare(vb_gparser *p, const vb_gtoken *name, vb_gnode ***last)
{
    const vb_gtoken *now = p->now;
    p->now = name;
    vb_status status = vb_g_node(p, VB_G_N_VARIABLE, *last);
    p->now = now;
    if (status < 0) return status;
    (**last)->s = name->s;
    (**last)->len = name->len;
    *last = &(**last)->next;
    return vb_g_know(p, name->s, name->len);
}

/* `$x :=`, `$x =`, `$i, $x :=`, or nothing of that. */
static vb_status declarations(vb_gparser *p, const char *where, vb_gnode *pipe)
{
    vb_gnode **last = &pipe->b;
    for (int n = 1;; n++) {
        const vb_gtoken *name = p->now;
        if (name->type != VB_G_T_VARIABLE) return VB_OK;
        p->now++;
        vb_g_skip(p);
        vb_gtoken_type type = p->now->type;
        if (type != VB_G_T_COMMA && type != VB_G_T_ASSIGN && type != VB_G_T_DECLARE) {
            p->now = name;
            return VB_OK;
        }
        p->j->at = p->now->at;
        if (type == VB_G_T_COMMA && (n > 1 || strcmp(where, "range") != 0))
            VB_J_BAD(p->j, "expected no more variables in %s, found another one", where);
        p->now++;
        vb_g_skip(p);
        VB_TRY(declare(p, name, &last));
        pipe->flag = type == VB_G_T_ASSIGN;
        if (type != VB_G_T_COMMA) return VB_OK;
    }
}

/* Only the first command may be something that takes no operand. */
static vb_status check_commands(vb_gparser *p, const char *where, const vb_gnode *pipe)
{
    if (pipe->a == NULL) VB_J_BAD(p->j, "expected a value in %s, found none", where);
    for (const vb_gnode *c = pipe->a->next; c != NULL; c = c->next) {
        p->j->at = c->at;
        if (c->a->kind == VB_G_N_CONST || c->a->kind == VB_G_N_DOT || c->a->kind == VB_G_N_NIL)
            VB_J_BAD(p->j, "expected something to call behind |, found a value");
    }
    return VB_OK;
}

vb_status vb_g_pipeline(vb_gparser *p, const char *where, vb_gtoken_type end, vb_gnode **out)
{
    vb_g_skip(p);
    VB_TRY(vb_g_node(p, VB_G_N_PIPE, out));
    VB_TRY(declarations(p, where, *out));
    vb_gnode **last = &(*out)->a;
    for (vb_g_skip(p); p->now->type != end; vb_g_skip(p)) {
        int operand_type = p->now->type >= VB_G_T_WORD && p->now->type <= VB_G_T_NUMBER;
        if (p->now->type != VB_G_T_LEFT && (!operand_type || is_keyword(p))) return vb_g_unexpected(p, where);
        VB_TRY(command(p, last));
        last = &(*last)->next;
    }
    p->j->at = p->now->at;
    VB_TRY(check_commands(p, where, *out));
    p->now++;
    return VB_OK;
}
