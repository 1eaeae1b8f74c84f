/* go_print.c - values as Go's fmt package prints them: %v, and printf with the verbs v s q d t x X f e g c.
 *
 *   [a b c]   map[k:v]   {a b c}   <nil>   %!d(string=x)     lists, maps, structs, nothing, a verb that does not fit
 *
 * A verb for a list or map is one for each of its items. A character that stands for data is data.
 */
#include "text/go_eval.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char verb;
    int minus, plus, zero, sharp, space;
    int width, precision; /* -1: not given */
} spec;

enum { WIDEST = 1 << 16 };

static vb_status add_as(vb_go *g, vb_jbuf *buf, const vb_jval *v, const spec *s);

/* --- parts --------------------------------------------------------------------------------------------- */

/* A text filled up to the width that is wanted. */
static vb_status pad(vb_go *g, vb_jbuf *buf, const vb_jval *text, const spec *s)
{
    int64_t missing = s->width - (int64_t)vb_j_count(text->u.s, text->len);
    vb_jval fill = vb_j_text(s->zero && !s->minus ? "0" : " ");
    if (!s->minus) VB_TRY(vb_j_add_fill(g->j, buf, &fill, missing));
    VB_TRY(vb_j_add_str(g->j, buf, text));
    return s->minus ? vb_j_add_fill(g->j, buf, &fill, missing) : VB_OK;
}

/* The same for a number: zeros go behind its sign. */
static vb_status pad_number(vb_go *g, vb_jbuf *buf, const char *text, const spec *s)
{
    spec plain = *s;
    if (s->zero && !s->minus && (*text == '-' || *text == '+') && plain.width > 0) {
        VB_TRY(vb_j_add(g->j, buf, text++, NULL, 1));
        plain.width--;
    }
    vb_jval value = vb_j_text(text);
    vb_jbuf copy = {0};
    VB_TRY(vb_j_add_str(g->j, &copy, &value));
    value = vb_j_done(&copy);
    return pad(g, buf, &value, &plain);
}

static vb_status wrong_verb(vb_go *g, vb_jbuf *buf, const vb_jval *v, const spec *s)
{
    static const spec plain = {.verb = 'v', .width = -1, .precision = -1};
    char text[8];
    snprintf(text, sizeof text, "%%!%c(", s->verb);
    VB_TRY(vb_j_add_text(g->j, buf, text));
    if (v->type != VB_J_NONE) {
        VB_TRY(vb_j_add_text(g->j, buf, vb_g_type_name(v)));
        VB_TRY(vb_j_add_text(g->j, buf, "="));
    }
    VB_TRY(add_as(g, buf, v, &plain));
    return vb_j_add_text(g->j, buf, ")");
}

/* --- texts --------------------------------------------------------------------------------------------- */

static vb_status add_quoted(vb_go *g, vb_jbuf *buf, const vb_jval *str)
{
    static const uint8_t ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    static const char from[] = "\a\b\f\n\r\t\v\\\"", to[] = "abfnrtv\\\"";
    VB_TRY(vb_j_add_text(g->j, buf, "\""));
    for (size_t i = 0, n; i < str->len; i += n) {
        uint32_t code;
        char text[16] = "";
        n = vb_j_char(str->u.s + i, str->len - i, &code);
        const uint8_t *mark = str->mark != NULL && str->mark[i] ? ones : NULL;
        const char *known = code > 0 && code < 128 ? strchr(from, (int)code) : NULL;
        if (known != NULL) snprintf(text, sizeof text, "\\%c", to[known - from]);
        else if ((n == 1 && code >= 128) || code < 32 || code == 127) snprintf(text, sizeof text, "\\x%02x", code);
        else if (!vb_j_printable(code)) snprintf(text, sizeof text, code < 0x10000 ? "\\u%04x" : "\\U%08x", code);
        if (text[0] != 0) VB_TRY(vb_j_add(g->j, buf, text, mark, strlen(text)));
        else VB_TRY(vb_j_add(g->j, buf, str->u.s + i, mark, n));
    }
    return vb_j_add_text(g->j, buf, "\"");
}

static vb_status add_hex(vb_go *g, vb_jbuf *buf, const vb_jval *str, char verb)
{
    for (size_t i = 0; i < str->len; i++) {
        char text[4];
        snprintf(text, sizeof text, verb == 'x' ? "%02x" : "%02X", (unsigned char)str->u.s[i]);
        VB_TRY(vb_j_add_text(g->j, buf, text));
    }
    return VB_OK;
}

static vb_status add_string(vb_go *g, vb_jbuf *buf, const vb_jval *str, const spec *s)
{
    vb_jval text = *str;
    vb_jbuf changed = {0};
    if (s->precision >= 0) text = vb_j_cut(&text, 0, vb_j_offset(text.u.s, text.len, (size_t)s->precision));
    if (strchr("vs", s->verb) == NULL) {
        if (s->verb == 'q') VB_TRY(add_quoted(g, &changed, &text));
        else if (s->verb == 'x' || s->verb == 'X') VB_TRY(add_hex(g, &changed, &text, s->verb));
        else return wrong_verb(g, buf, str, s);
        text = vb_j_done(&changed);
    }
    return pad(g, buf, &text, s);
}

/* --- numbers ------------------------------------------------------------------------------------------- */

static vb_status add_int(vb_go *g, vb_jbuf *buf, const vb_jval *v, const spec *s)
{
    char text[80];
    uint64_t size = v->u.i < 0 ? 0 - (uint64_t)v->u.i : (uint64_t)v->u.i;
    const char *sign = v->u.i < 0 ? "-" : s->plus ? "+" : s->space ? " " : "";
    if (s->verb == 'v' || s->verb == 'd') snprintf(text, sizeof text, "%s%" PRIu64, sign, size);
    else if (s->verb == 'x') snprintf(text, sizeof text, "%s%s%" PRIx64, sign, s->sharp ? "0x" : "", size);
    else if (s->verb == 'X') snprintf(text, sizeof text, "%s%s%" PRIX64, sign, s->sharp ? "0X" : "", size);
    else if (s->verb == 'c') {
        vb_jbuf one = {0};
        VB_TRY(vb_j_add_char(g->j, &one, size > 0x10ffff || size >> 11 == 27 ? 0xfffd : (uint32_t)size, 0));
        vb_jval value = vb_j_done(&one);
        return pad(g, buf, &value, s);
    } else return wrong_verb(g, buf, v, s);
    return pad_number(g, buf, text, s);
}

static vb_status add_float(vb_go *g, vb_jbuf *buf, const vb_jval *v, const spec *s)
{
    char text[512];
    int precision = s->precision < 0 ? 6 : s->precision > 100 ? 100 : s->precision;
    double value = v->u.f;
    if (s->verb == 'f' || s->verb == 'F') snprintf(text, sizeof text, "%.*f", precision, value);
    else if (s->verb == 'e') snprintf(text, sizeof text, "%.*e", precision, value);
    else if (s->verb != 'v' && s->verb != 'g') return wrong_verb(g, buf, v, s);
    else if (s->precision >= 0) snprintf(text, sizeof text, "%.*g", precision, value);
    else vb_g_float_text(value, 0, text);
    if (s->plus && text[0] != '-') {
        memmove(text + 1, text, strlen(text) + 1);
        text[0] = '+';
    }
    return pad_number(g, buf, text, s);
}

/* --- values -------------------------------------------------------------------------------------------- */

static vb_status add_list(vb_go *g, vb_jbuf *buf, const vb_jval *v, const spec *s)
{
    VB_TRY(vb_j_add_text(g->j, buf, "["));
    for (size_t i = 0; i < vb_g_count(v); i++) {
        if (i > 0) VB_TRY(vb_j_add_text(g->j, buf, " "));
        VB_TRY(add_as(g, buf, &v->u.list->items[i], s));
    }
    return vb_j_add_text(g->j, buf, "]");
}

static vb_status add_pairs(vb_go *g, vb_jbuf *buf, const vb_jval *v, const spec *s)
{
    int is_struct = vb_g_is_struct(v);
    VB_TRY(vb_j_add_text(g->j, buf, is_struct ? "{" : "map["));
    for (size_t i = 0; i < vb_g_count(v); i++) {
        const vb_jpair *pair = &v->u.dict->pairs[i];
        if (i > 0) VB_TRY(vb_j_add_text(g->j, buf, " "));
        if (!is_struct) {
            VB_TRY(add_as(g, buf, &pair->key, s));
            VB_TRY(vb_j_add_text(g->j, buf, ":"));
        }
        VB_TRY(add_as(g, buf, &pair->value, s));
    }
    return vb_j_add_text(g->j, buf, is_struct ? "}" : "]");
}

static vb_status add_plain(vb_go *g, vb_jbuf *buf, const vb_jval *v, const spec *s)
{
    vb_jval text;
    switch (v->type) {
    case VB_J_STR: return add_string(g, buf, v, s);
    case VB_J_INT: return add_int(g, buf, v, s);
    case VB_J_FLOAT: return add_float(g, buf, v, s);
    case VB_J_LIST: return add_list(g, buf, v, s);
    case VB_J_DICT: return add_pairs(g, buf, v, s);
    case VB_J_BOOL: text = vb_j_text(v->u.i ? "true" : "false"); break;
    default: text = vb_j_text("<nil>"); break;
    }
    if (s->verb != 'v' && !(s->verb == 't' && v->type == VB_J_BOOL)) {
        if (v->type == VB_J_BOOL) return wrong_verb(g, buf, v, s);
        vb_jval none = vb_j_none;
        return wrong_verb(g, buf, &none, s);
    }
    return pad(g, buf, &text, s);
}

/* Types that know how to print themselves do so where a text would do. */
static vb_status add_value(vb_go *g, vb_jbuf *buf, const vb_jval *v, const spec *s)
{
    vb_jbuf own = {0};
    int has = 0;
    if (strchr("vsqxX", s->verb) != NULL) VB_TRY(vb_g_own_text(g, &own, v, &has));
    if (!has) return add_plain(g, buf, v, s);
    vb_jval text = vb_j_done(&own);
    return add_string(g, buf, &text, s);
}

static vb_status add_as(vb_go *g, vb_jbuf *buf, const vb_jval *v, const spec *s)
{
    VB_TRY(vb_j_enter(g->j));
    vb_status status = add_value(g, buf, v, s);
    g->j->depth--;
    return status;
}

vb_status vb_g_add_value(vb_go *g, vb_jbuf *buf, const vb_jval *v)
{
    static const spec plain = {.verb = 'v', .width = -1, .precision = -1};
    return add_as(g, buf, v, &plain);
}

/* --- printf -------------------------------------------------------------------------------------------- */

static int number(const char **s, const char *end)
{
    int value = 0;
    for (; *s < end && **s >= '0' && **s <= '9'; (*s)++)
        if (value < WIDEST) value = value * 10 + (**s - '0');
    return value < WIDEST ? value : WIDEST;
}

/* Behind a percent sign: flags, width, precision, verb. 0: there is no verb. */
static int read_spec(const char **s, const char *end, spec *out)
{
    *out = (spec){.width = -1, .precision = -1};
    for (; *s < end && strchr("-+0# ", **s) != NULL && **s != 0; (*s)++) {
        out->minus |= **s == '-';
        out->plus |= **s == '+';
        out->zero |= **s == '0';
        out->sharp |= **s == '#';
        out->space |= **s == ' ';
    }
    if (*s < end && **s >= '1' && **s <= '9') out->width = number(s, end);
    if (*s < end && **s == '.') {
        (*s)++;
        out->precision = number(s, end);
    }
    if (*s == end) return 0;
    out->verb = *(*s)++;
    return (unsigned char)out->verb > 32 && (unsigned char)out->verb < 127;
}

static vb_status add_extra(vb_go *g, const vb_jval *args, size_t n, vb_jbuf *buf)
{
    VB_TRY(vb_j_add_text(g->j, buf, "%!(EXTRA "));
    for (size_t i = 0; i < n; i++) {
        if (i > 0) VB_TRY(vb_j_add_text(g->j, buf, ", "));
        VB_TRY(vb_j_add_text(g->j, buf, args[i].type == VB_J_NONE ? "" : vb_g_type_name(&args[i])));
        if (args[i].type != VB_J_NONE) VB_TRY(vb_j_add_text(g->j, buf, "="));
        VB_TRY(vb_g_add_value(g, buf, &args[i]));
    }
    return vb_j_add_text(g->j, buf, ")");
}

static vb_status add_verb(vb_go *g, const spec *s, const vb_jval *args, size_t n, size_t *used, vb_jbuf *buf)
{
    char missing[16];
    if (s->verb == '%') return vb_j_add_text(g->j, buf, "%");
    if (*used < n) return add_as(g, buf, &args[(*used)++], s);
    snprintf(missing, sizeof missing, "%%!%c(MISSING)", s->verb);
    return vb_j_add_text(g->j, buf, missing);
}

vb_status vb_g_format(vb_go *g, const vb_jval *format, const vb_jval *args, size_t n, vb_jbuf *buf)
{
    const char *s = format->u.s, *end = s + format->len;
    size_t used = 0;
    while (s < end) {
        const char *percent = memchr(s, '%', (size_t)(end - s)), *stop = percent != NULL ? percent : end;
        vb_jval plain = vb_j_cut(format, (size_t)(s - format->u.s), (size_t)(stop - s));
        spec how;
        VB_TRY(vb_j_add_str(g->j, buf, &plain));
        s = stop;
        if (s == end) break;
        s++;
        if (!read_spec(&s, end, &how)) return vb_j_add_text(g->j, buf, "%!(NOVERB)");
        VB_TRY(add_verb(g, &how, args, n, &used, buf));
    }
    return used < n ? add_extra(g, args + used, n - used, buf) : VB_OK;
}
