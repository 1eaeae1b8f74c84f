/* go_lex.c - a template's source as tokens, all at once.
 *
 *   text {{- .Name | f "x" -}} text      "{{- " takes the white space before it away, " -}}" that behind it
 *   a comment in {{ and }}                  is no token at all
 *
 * Spaces inside an action are tokens, since they separate operands.
 */
#include "text/go_tree.h"

#include <string.h>
#include <utf8proc.h>

typedef struct {
    vb_jinja *j;
    const char *s;
    size_t len, pos;
    vb_gtoken *tokens;
    size_t n, cap;
    int parens;
} lexer;

static vb_status push(lexer *l, vb_gtoken_type type, size_t from, size_t to)
{
    VB_TRY(vb_j_step(l->j, 1));
    if (l->n == l->cap) {
        size_t cap = l->cap < 64 ? 64 : l->cap * 2;
        vb_gtoken *tokens = vb_j_alloc(l->j, cap, sizeof *tokens);
        if (tokens == NULL) return VB_E_MEMORY;
        if (l->n > 0) memcpy(tokens, l->tokens, l->n * sizeof *tokens);
        l->tokens = tokens;
        l->cap = cap;
    }
    l->tokens[l->n++] = (vb_gtoken){type, from, l->s + from, to - from};
    return VB_OK;
}

static int is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int at(const lexer *l, size_t pos, const char *text)
{
    size_t n = strlen(text);
    return pos <= l->len && n <= l->len - pos && memcmp(l->s + pos, text, n) == 0;
}

/* Where `text` is from `pos` on; l->len: nowhere. */
static size_t find(const lexer *l, size_t pos, const char *text)
{
    size_t found = vb_j_search(l->s, l->len, pos, text, strlen(text));
    return found == (size_t)-1 ? l->len : found;
}

static void skip_space(lexer *l)
{
    while (l->pos < l->len && is_space(l->s[l->pos])) l->pos++;
}

/* Letters, digits and _; *n gets the bytes of the character. */
static int is_word(const lexer *l, size_t pos, size_t *n)
{
    uint32_t code;
    if (pos >= l->len) return 0;
    *n = vb_j_char(l->s + pos, l->len - pos, &code);
    if (code < 128) return code == '_' || (code >= '0' && code <= '9') || ((code | 32) >= 'a' && (code | 32) <= 'z');
    if (*n == 1) return 0;
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
    return category == UTF8PROC_CATEGORY_ND || (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO);
}

static void skip_word(lexer *l)
{
    size_t n;
    while (is_word(l, l->pos, &n)) l->pos += n;
}

/* --- text and comments --------------------------------------------------------------------------------- */

static int trims_behind_open(const lexer *l, size_t pos)
{
    return at(l, pos, "{{-") && pos + 3 < l->len && is_space(l->s[pos + 3]);
}

/* Bytes of the }} or " -}}" at pos; 0: there is none. */
static size_t closing(const lexer *l, size_t pos, int *trims)
{
    *trims = pos < l->len && is_space(l->s[pos]) && at(l, pos + 1, "-}}");
    if (*trims) return 4;
    return at(l, pos, "}}") ? 2 : 0;
}

static vb_status lex_text(lexer *l)
{
    size_t end = find(l, l->pos, "{{"), stop = end;
    VB_TRY(vb_j_step(l->j, (end - l->pos) / 64));
    if (end < l->len && trims_behind_open(l, end))
        while (stop > l->pos && is_space(l->s[stop - 1])) stop--;
    if (stop > l->pos) VB_TRY(push(l, VB_G_T_TEXT, l->pos, stop));
    l->pos = end;
    return VB_OK;
}

static vb_status skip_comment(lexer *l)
{
    int trims;
    l->j->at = l->pos;
    size_t end = find(l, l->pos + 2, "*/");
    if (end == l->len) VB_J_BAD(l->j, "expected the end of a comment, found none");
    size_t close = closing(l, end + 2, &trims);
    if (close == 0) VB_J_BAD(l->j, "expected }} behind a comment, found something else");
    l->pos = end + 2 + close;
    if (trims) skip_space(l);
    return VB_OK;
}

/* --- inside an action ---------------------------------------------------------------------------------- */

/* A run of spaces, without the one that belongs to " -}}". */
static vb_status lex_space(lexer *l)
{
    size_t from = l->pos;
    skip_space(l);
    if (at(l, l->pos, "-}}")) l->pos--;
    return l->pos > from ? push(l, VB_G_T_SPACE, from, l->pos) : VB_OK;
}

/* What may stand behind a name. */
static int at_end_of_name(const lexer *l)
{
    if (l->pos >= l->len || is_space(l->s[l->pos]) || at(l, l->pos, "}}")) return 1;
    return strchr(".,|:()", l->s[l->pos]) != NULL && l->s[l->pos] != 0;
}

static vb_status lex_name(lexer *l, vb_gtoken_type type, size_t from)
{
    skip_word(l);
    l->j->at = l->pos;
    if (!at_end_of_name(l)) VB_J_BAD(l->j, "expected the end of a name, found '%c'", l->s[l->pos]);
    return push(l, type, from, l->pos);
}

/* "text", `text` or 'c', with the quotes. */
static vb_status lex_quoted(lexer *l, vb_gtoken_type type)
{
    size_t from = l->pos++;
    char quote = l->s[from];
    for (; l->pos < l->len && l->s[l->pos] != quote; l->pos++) {
        if (type == VB_G_T_RAW) continue;
        if (l->s[l->pos] == '\\' && l->pos + 1 < l->len) l->pos++;
        if (l->s[l->pos] == '\n') break;
    }
    l->j->at = from;
    if (l->pos >= l->len || l->s[l->pos] != quote) VB_J_BAD(l->j, "expected the end of a text, found none");
    l->pos++;
    return push(l, type, from, l->pos);
}

static vb_status lex_number(lexer *l)
{
    size_t from = l->pos, n;
    if (l->s[l->pos] == '+' || l->s[l->pos] == '-') l->pos++;
    int hex = at(l, l->pos, "0x") || at(l, l->pos, "0X");
    while (is_word(l, l->pos, &n) || (l->pos < l->len && l->s[l->pos] == '.')) {
        int exponent = (l->s[l->pos] | 32) == (hex ? 'p' : 'e');
        l->pos += l->s[l->pos] == '.' ? 1 : n;
        if (exponent && l->pos < l->len && (l->s[l->pos] == '+' || l->s[l->pos] == '-')) l->pos++;
    }
    return push(l, VB_G_T_NUMBER, from, l->pos);
}

static vb_status lex_sign(lexer *l, vb_gtoken_type type, size_t len)
{
    l->pos += len;
    return push(l, type, l->pos - len, l->pos);
}

static vb_status lex_paren(lexer *l)
{
    l->parens += l->s[l->pos] == '(' ? 1 : -1;
    if (l->parens < 0) VB_J_BAD(l->j, "expected an open bracket before ')', found none");
    return lex_sign(l, l->s[l->pos] == '(' ? VB_G_T_LEFT : VB_G_T_RIGHT, 1);
}

static vb_status lex_dot(lexer *l)
{
    size_t n;
    if (l->pos + 1 < l->len && l->s[l->pos + 1] >= '0' && l->s[l->pos + 1] <= '9') return lex_number(l);
    l->pos++;
    if (is_word(l, l->pos, &n)) return lex_name(l, VB_G_T_FIELD, l->pos);
    l->j->at = l->pos;
    if (!at_end_of_name(l)) VB_J_BAD(l->j, "expected a name behind the dot, found '%c'", l->s[l->pos]);
    return push(l, VB_G_T_DOT, l->pos - 1, l->pos);
}

static vb_status lex_one(lexer *l)
{
    size_t n;
    char c = l->s[l->pos];
    l->j->at = l->pos;
    if (is_space(c)) return lex_space(l);
    if (at(l, l->pos, ":=")) return lex_sign(l, VB_G_T_DECLARE, 2);
    if (is_word(l, l->pos, &n) && !(c >= '0' && c <= '9')) return lex_name(l, VB_G_T_WORD, l->pos);
    switch (c) {
    case '=': return lex_sign(l, VB_G_T_ASSIGN, 1);
    case '|': return lex_sign(l, VB_G_T_PIPE, 1);
    case ',': return lex_sign(l, VB_G_T_COMMA, 1);
    case '(':
    case ')': return lex_paren(l);
    case '"': return lex_quoted(l, VB_G_T_STRING);
    case '`': return lex_quoted(l, VB_G_T_RAW);
    case '\'': return lex_quoted(l, VB_G_T_CHAR);
    case '$': return lex_name(l, VB_G_T_VARIABLE, l->pos++);
    case '.': return lex_dot(l);
    default: break;
    }
    if (c == '+' || c == '-' || (c >= '0' && c <= '9')) return lex_number(l);
    VB_J_BAD(l->j, "expected a name, text, number or sign, found '%c'", c);
}

static vb_status lex_action(lexer *l)
{
    int trims = trims_behind_open(l, l->pos);
    size_t open = l->pos, close;
    l->pos += trims ? 4 : 2;
    if (at(l, l->pos, "/*")) return skip_comment(l);
    VB_TRY(push(l, VB_G_T_OPEN, open, l->pos));
    l->parens = 0;
    while ((close = closing(l, l->pos, &trims)) == 0) {
        l->j->at = open;
        if (l->pos >= l->len) VB_J_BAD(l->j, "expected the end of an action, found none");
        VB_TRY(lex_one(l));
    }
    l->j->at = l->pos;
    if (l->parens > 0) VB_J_BAD(l->j, "expected ')', found the end of the action");
    VB_TRY(push(l, VB_G_T_CLOSE, l->pos, l->pos + close));
    l->pos += close;
    if (trims) skip_space(l);
    return VB_OK;
}

vb_status vb_g_lex(vb_jinja *j, vb_gtoken **out)
{
    lexer l = {.j = j, .s = j->source, .len = j->source_len};
    while (l.pos < l.len) {
        VB_TRY(lex_text(&l));
        if (l.pos < l.len) VB_TRY(lex_action(&l));
    }
    VB_TRY(push(&l, VB_G_T_END, l.len, l.len));
    *out = l.tokens;
    return VB_OK;
}
