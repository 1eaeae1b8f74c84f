/* jinja_lex.c - source to tokens, with the white space rules of trim_blocks and lstrip_blocks.
 *
 *   text between tags          {%- {{- {#-  drop white space before      -%} -}} -#}  drop it behind
 *   before {% and {#           blanks from the line's start go, unless {%+
 *   behind %} and #}           one newline goes, unless +%}
 *
 * The source has "\n" newlines only and has lost its last one (jinja.c sees to that).
 */
#include "text/jinja_tree.h"

#include <string.h>

static vb_status lex_fail(vb_jlex *lex, size_t at, const char *what)
{
    lex->j->at = at;
    VB_J_BAD(lex->j, "%s", what);
}

static const char *rest(const vb_jlex *lex)
{
    return lex->j->source + lex->pos;
}

static size_t left(const vb_jlex *lex)
{
    return lex->j->source_len - lex->pos;
}

static int ahead(const vb_jlex *lex, size_t skip, const char *text)
{
    size_t n = strlen(text);
    return skip <= left(lex) && left(lex) - skip >= n && memcmp(rest(lex) + skip, text, n) == 0;
}

static void skip_space(vb_jlex *lex)
{
    size_t n;
    while ((n = vb_j_space(rest(lex), left(lex))) > 0) lex->pos += n;
}

static void skip_newline(vb_jlex *lex)
{
    if (ahead(lex, 0, "\n")) lex->pos++;
}

/* Offset of the next {{, {% or {#, or the end. */
static size_t find_tag(const vb_jlex *lex)
{
    const char *s = lex->j->source;
    size_t n = lex->j->source_len;
    for (size_t i = lex->pos; i + 1 < n; i++) {
        const char *hit = memchr(s + i, '{', n - 1 - i);
        if (hit == NULL) return n;
        i = (size_t)(hit - s);
        if (s[i + 1] == '{' || s[i + 1] == '%' || s[i + 1] == '#') return i;
    }
    return n;
}

/* The text from `from` to `to` as it is printed in front of a tag with this sign ('-', '+' or 0). */
static vb_jtoken text_before(const vb_jlex *lex, size_t from, size_t to, char sign, int is_var)
{
    const char *s = lex->j->source;
    size_t end = to, n;
    if (sign == '-')
        while ((n = vb_j_space_before(s + from, end - from)) > 0) end -= n;
    else if (sign != '+' && !is_var) {
        size_t line = to;
        while (line > from && (n = vb_j_space_before(s + from, line - from)) > 0 && s[line - 1] != '\n') line -= n;
        if (line == 0 || s[line - 1] == '\n') end = line;
    }
    return (vb_jtoken){VB_J_T_TEXT, from, s + from, end - from};
}

static char sign_at(const vb_jlex *lex, size_t skip)
{
    if (ahead(lex, skip, "-")) return '-';
    return ahead(lex, skip, "+") ? '+' : 0;
}

/* Length of `{% raw %}` or `{% endraw %}` at pos, with white space its end takes; 0 if something else is there. */
static size_t raw_tag(const vb_jlex *lex, const char *word, int trim)
{
    vb_jlex at = *lex;
    at.pos += 2;
    if (sign_at(&at, 0)) at.pos++;
    skip_space(&at);
    if (!ahead(&at, 0, word)) return 0;
    at.pos += strlen(word);
    skip_space(&at);
    char sign = sign_at(&at, 0);
    if (sign == '+' && !trim) return 0;
    if (sign) at.pos++;
    if (!ahead(&at, 0, "%}")) return 0;
    at.pos += 2;
    if (sign == '-') skip_space(&at);
    if (sign == 0 && trim) skip_newline(&at);
    return at.pos - lex->pos;
}

static vb_status lex_raw(vb_jlex *lex, size_t begin, vb_jtoken *out)
{
    size_t from = lex->pos;
    for (;; lex->pos++) {
        const char *hit = memmem(rest(lex), left(lex), "{%", 2);
        if (hit == NULL) return lex_fail(lex, begin, "expected an `endraw` for this `raw`, found the end");
        lex->pos = (size_t)(hit - lex->j->source);
        size_t n = raw_tag(lex, "endraw", 1);
        if (n == 0) continue;
        *out = text_before(lex, from, lex->pos, sign_at(lex, 2), 0);
        lex->pos += n;
        return VB_OK;
    }
}

static vb_status skip_comment(vb_jlex *lex)
{
    size_t begin = lex->pos;
    lex->pos += sign_at(lex, 2) ? 3 : 2;
    size_t from = lex->pos;
    const char *hit = memmem(rest(lex), left(lex), "#}", 2);
    if (hit == NULL) return lex_fail(lex, begin, "expected `#}` for this comment, found the end");
    lex->pos = (size_t)(hit - lex->j->source) + 2;
    char before = hit > lex->j->source + from ? hit[-1] : 0;
    if (before == '-')
        skip_space(lex);
    else if (before != '+')
        skip_newline(lex);
    return VB_OK;
}

/* Text up to the next tag, then whatever that tag is. Empty texts give no token. */
static vb_status lex_text(vb_jlex *lex, vb_jtoken *out)
{
    while (lex->pos < lex->j->source_len) {
        size_t from = lex->pos, tag = find_tag(lex);
        lex->pos = tag;
        if (tag == lex->j->source_len) {
            *out = (vb_jtoken){VB_J_T_TEXT, from, lex->j->source + from, tag - from};
            return VB_OK;
        }
        char kind = rest(lex)[1], sign = sign_at(lex, 2);
        if (tag > from) {
            *out = text_before(lex, from, tag, sign, kind == '{');
            if (out->len > 0) return VB_OK;
        }
        size_t raw = kind == '%' ? raw_tag(lex, "raw", 0) : 0;
        if (kind == '#') {
            VB_TRY(skip_comment(lex));
        } else if (raw > 0) {
            lex->pos += raw;
            VB_TRY(lex_raw(lex, tag, out));
            if (out->len > 0) return VB_OK;
        } else {
            *out = (vb_jtoken){kind == '{' ? VB_J_T_VAR_BEGIN : VB_J_T_BLOCK_BEGIN, tag, rest(lex), 2};
            lex->mode = kind == '{' ? VB_J_IN_VAR : VB_J_IN_BLOCK;
            lex->pos += sign ? 3 : 2;
            return VB_OK;
        }
    }
    *out = (vb_jtoken){VB_J_T_END, lex->pos, "", 0};
    return VB_OK;
}

/* The end of a tag at pos: 1 if there is one. */
static int lex_tag_end(vb_jlex *lex, vb_jtoken *out)
{
    const char *close = lex->mode == VB_J_IN_VAR ? "}}" : "%}";
    char sign = sign_at(lex, 0);
    if (lex->brackets > 0 || !ahead(lex, sign ? 1 : 0, close)) return 0;
    if (sign == '+' && lex->mode == VB_J_IN_VAR) return 0;
    *out = (vb_jtoken){lex->mode == VB_J_IN_VAR ? VB_J_T_VAR_END : VB_J_T_BLOCK_END, lex->pos, rest(lex), 2};
    lex->pos += sign ? 3 : 2;
    if (sign == '-')
        skip_space(lex);
    else if (sign == 0 && lex->mode == VB_J_IN_BLOCK)
        skip_newline(lex);
    lex->mode = VB_J_IN_TEXT;
    return 1;
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int is_name(char c)
{
    return c == '_' || is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 128;
}

/* Digits with single underscores between them, from s[i] on; returns where they end. */
static size_t digits(const char *s, size_t i, size_t n)
{
    while (i < n && (is_digit(s[i]) || (s[i] == '_' && i + 1 < n && is_digit(s[i + 1])))) i++;
    return i;
}

static void lex_number(vb_jlex *lex, vb_jtoken *out)
{
    const char *s = rest(lex);
    size_t n = left(lex), end = digits(s, 0, n);
    vb_jtoken_type type = VB_J_T_INT;
    int after_dot = lex->pos > 0 && s[-1] == '.';
    if (s[0] == '0' && n > 2 && s[1] != 0 && strchr("xXoObB", s[1]) != NULL && is_name(s[2])) {
        for (end = 2; end < n && is_name(s[end]);) end++;
    } else if (!after_dot) {
        if (end + 1 < n && s[end] == '.' && is_digit(s[end + 1])) {
            end = digits(s, end + 1, n);
            type = VB_J_T_FLOAT;
        }
        size_t e = end < n && (s[end] == 'e' || s[end] == 'E') ? end + 1 : n;
        if (e < n && (s[e] == '+' || s[e] == '-')) e++;
        if (e < n && is_digit(s[e])) {
            end = digits(s, e, n);
            type = VB_J_T_FLOAT;
        }
    }
    *out = (vb_jtoken){type, lex->pos, s, end};
    lex->pos += end;
}

static vb_status lex_operator(vb_jlex *lex, vb_jtoken *out)
{
    static const char *const two[] = {"//", "**", "==", "!=", ">=", "<="};
    const char *s = rest(lex);
    size_t len = 1;
    for (size_t i = 0; i < sizeof two / sizeof *two; i++)
        if (ahead(lex, 0, two[i])) len = 2;
    if (len == 1 && (*s == 0 || strchr("+-/*%~[](){}=><.:|,;", *s) == NULL))
        return lex_fail(lex, lex->pos, "expected an expression, found a character that has no meaning here");
    if (strchr("([{", *s) != NULL) {
        if (lex->brackets == VB_JINJA_MAX_NESTING)
            return lex_fail(lex, lex->pos, "expected fewer brackets inside each other");
        lex->open[lex->brackets++] = *s;
    } else if (strchr(")]}", *s) != NULL) {
        char open = *s == ')' ? '(' : *s == ']' ? '[' : '{';
        if (lex->brackets == 0 || lex->open[lex->brackets - 1] != open)
            return lex_fail(lex, lex->pos, "expected no closing bracket or another one here");
        lex->brackets--;
    }
    *out = (vb_jtoken){VB_J_T_OP, lex->pos, s, len};
    lex->pos += len;
    return VB_OK;
}

static int hex_value(const char *s, size_t n, uint32_t *out)
{
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        const char *set = "0123456789abcdefABCDEF", *hit = s[i] ? strchr(set, s[i]) : NULL;
        if (hit == NULL) return 0;
        size_t v = (size_t)(hit - set);
        *out = *out * 16 + (uint32_t)(v < 16 ? v : v - 6);
    }
    return *out <= 0x10ffff;
}

/* One escape at s (behind the backslash) to `buf`; *used bytes are taken. An unknown one stays as written. */
static vb_status add_escape(vb_jlex *lex, vb_jbuf *buf, const char *s, size_t n, size_t *used)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    const char *known = *s ? strchr(from, *s) : NULL;
    uint32_t code = 0;
    *used = 1;
    if (*s == '\n') return VB_OK;
    if (known != NULL) return vb_j_add(lex->j, buf, to + (known - from), NULL, 1);
    if (*s >= '0' && *s <= '7') {
        for (*used = 0; *used < 3 && *used < n && s[*used] >= '0' && s[*used] <= '7'; (*used)++)
            code = code * 8 + (uint32_t)(s[*used] - '0');
        return vb_j_add_char(lex->j, buf, code, 0);
    }
    size_t digits_wanted = *s == 'x' ? 2 : *s == 'u' ? 4 : *s == 'U' ? 8 : 0;
    if (digits_wanted == 0) {
        *used = 0;
        return vb_j_add(lex->j, buf, "\\", NULL, 1);
    }
    if (n <= digits_wanted || !hex_value(s + 1, digits_wanted, &code) || (code >= 0xd800 && code < 0xe000))
        return lex_fail(lex, lex->pos, "expected hexadecimal digits of a character behind the backslash");
    *used = 1 + digits_wanted;
    return vb_j_add_char(lex->j, buf, code, 0);
}

static vb_status unescape(vb_jlex *lex, const char *s, size_t n, vb_jtoken *out)
{
    vb_jbuf buf = {0};
    size_t i = 0;
    while (i < n) {
        const char *hit = memchr(s + i, '\\', n - i);
        size_t plain = hit == NULL ? n - i : (size_t)(hit - s) - i, used;
        VB_TRY(vb_j_add(lex->j, &buf, s + i, NULL, plain));
        i += plain;
        if (hit == NULL) break;
        VB_TRY(add_escape(lex, &buf, s + i + 1, n - i - 1, &used));
        i += 1 + used;
    }
    vb_jval text = vb_j_done(&buf);
    out->s = text.u.s;
    out->len = text.len;
    return VB_OK;
}

static vb_status lex_string(vb_jlex *lex, vb_jtoken *out)
{
    const char *s = rest(lex);
    size_t n = left(lex), i = 1;
    int escapes = 0;
    for (; i < n && s[i] != s[0]; i++)
        if (s[i] == '\\') {
            escapes = 1;
            i++;
        }
    if (i >= n) return lex_fail(lex, lex->pos, "expected a closing quote for this text, found the end");
    *out = (vb_jtoken){VB_J_T_STRING, lex->pos, s + 1, i - 1};
    if (escapes) VB_TRY(unescape(lex, s + 1, i - 1, out));
    lex->pos += i + 1;
    return VB_OK;
}

vb_status vb_j_lex(vb_jlex *lex, vb_jtoken *out)
{
    VB_TRY(vb_j_step(lex->j, 1));
    if (lex->mode == VB_J_IN_TEXT) return lex_text(lex, out);
    skip_space(lex);
    if (lex->pos == lex->j->source_len) return lex_fail(lex, lex->pos, "expected the end of a tag, found the end");
    if (lex_tag_end(lex, out)) return VB_OK;
    char c = *rest(lex);
    if (c == '"' || c == '\'') return lex_string(lex, out);
    if (is_digit(c)) {
        lex_number(lex, out);
        return VB_OK;
    }
    if (!is_name(c)) return lex_operator(lex, out);
    size_t n = 0;
    while (n < left(lex) && is_name(rest(lex)[n])) n++;
    *out = (vb_jtoken){VB_J_T_NAME, lex->pos, rest(lex), n};
    lex->pos += n;
    return VB_OK;
}
