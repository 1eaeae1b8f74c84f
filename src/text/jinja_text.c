/* jinja_text.c - values as Python prints them: str() and repr(). A character that stands for data is data. */
#include "text/jinja_value.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int vb_j_digits(double value, char digits[20], int *exponent)
{
    char text[40];
    int n = 0;
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, value);
        double back = strtod(text, NULL);
        if (back <= value && back >= value) break;
    }
    const char *e = strchr(text, 'e');
    for (const char *p = text; p < e && n < 18; p++)
        if (*p >= '0' && *p <= '9') digits[n++] = *p;
    digits[n] = 0;
    *exponent = (int)strtol(e + 1, NULL, 10);
    return n;
}

void vb_j_float_text(double value, char out[40])
{
    char digits[20];
    int exponent;
    const char *sign = __builtin_signbit(value) ? "-" : "";
    if (!__builtin_isfinite(value)) {
        snprintf(out, 40, "%s", value != value ? "nan" : value > 0 ? "inf" : "-inf");
        return;
    }
    int n = vb_j_digits(value < 0 ? -value : value, digits, &exponent);
    if (exponent < -4 || exponent > 15)
        snprintf(out, 40, "%s%c%s%se%c%02d", sign, digits[0], n > 1 ? "." : "", digits + 1, exponent < 0 ? '-' : '+',
                 abs(exponent));
    else if (exponent < 0)
        snprintf(out, 40, "%s0.%.*s%s", sign, -exponent - 1, "0000", digits);
    else if (n <= exponent + 1)
        snprintf(out, 40, "%s%s%.*s.0", sign, digits, exponent + 1 - n, "0000000000000000");
    else
        snprintf(out, 40, "%s%.*s.%s", sign, exponent + 1, digits, digits + exponent + 1);
}

static vb_status add_escaped(vb_jinja *j, vb_jbuf *buf, uint32_t code, char quote, int data)
{
    static const uint8_t ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    char text[16];
    if (code == '\n' || code == '\r' || code == '\t')
        snprintf(text, sizeof text, "\\%c", code == '\n' ? 'n' : code == '\r' ? 'r' : 't');
    else if (code == '\\' || code == (unsigned char)quote)
        snprintf(text, sizeof text, "\\%c", (char)code);
    else if (vb_j_printable(code))
        return vb_j_add_char(j, buf, code, data);
    else
        snprintf(text, sizeof text, code < 0x100 ? "\\x%02x" : code < 0x10000 ? "\\u%04x" : "\\U%08x", code);
    return vb_j_add(j, buf, text, data ? ones : NULL, strlen(text));
}

static vb_status add_quoted(vb_jinja *j, vb_jbuf *buf, const vb_jval *str)
{
    int single = memchr(str->u.s, '\'', str->len) != NULL, twice = memchr(str->u.s, '"', str->len) != NULL;
    char quote[2] = {single && !twice ? '"' : '\'', 0};
    VB_TRY(vb_j_add_text(j, buf, quote));
    for (size_t i = 0, n; i < str->len; i += n) {
        uint32_t code;
        n = vb_j_char(str->u.s + i, str->len - i, &code);
        VB_TRY(add_escaped(j, buf, code, quote[0], str->mark != NULL && str->mark[i]));
    }
    return vb_j_add_text(j, buf, quote);
}

static vb_status add_items(vb_jinja *j, vb_jbuf *buf, const vb_jlist *list, const char *open, const char *close)
{
    VB_TRY(vb_j_add_text(j, buf, open));
    for (size_t i = 0; i < list->n; i++) {
        if (i > 0) VB_TRY(vb_j_add_text(j, buf, ", "));
        VB_TRY(vb_j_add_repr(j, buf, &list->items[i]));
    }
    return vb_j_add_text(j, buf, close);
}

static vb_status add_pairs(vb_jinja *j, vb_jbuf *buf, const vb_jdict *dict)
{
    VB_TRY(vb_j_add_text(j, buf, "{"));
    for (size_t i = 0; i < dict->n; i++) {
        if (i > 0) VB_TRY(vb_j_add_text(j, buf, ", "));
        VB_TRY(vb_j_add_repr(j, buf, &dict->pairs[i].key));
        VB_TRY(vb_j_add_text(j, buf, ": "));
        VB_TRY(vb_j_add_repr(j, buf, &dict->pairs[i].value));
    }
    return vb_j_add_text(j, buf, "}");
}

static vb_status add_view(vb_jinja *j, vb_jbuf *buf, const vb_jlist *list)
{
    VB_TRY(vb_j_add_text(j, buf, list->name));
    return add_items(j, buf, list, "([", "])");
}

static vb_status add_space(vb_jinja *j, vb_jbuf *buf, const vb_jdict *dict)
{
    VB_TRY(vb_j_add_text(j, buf, "<Namespace "));
    VB_TRY(add_pairs(j, buf, dict));
    return vb_j_add_text(j, buf, ">");
}

static vb_status add_number(vb_jinja *j, vb_jbuf *buf, const vb_jval *v)
{
    char text[40];
    if (v->type == VB_J_FLOAT)
        vb_j_float_text(v->u.f, text);
    else
        snprintf(text, sizeof text, "%" PRId64, v->u.i);
    return vb_j_add_text(j, buf, text);
}

static vb_status add_nested(vb_jinja *j, vb_jbuf *buf, const vb_jval *v)
{
    switch (v->type) {
    case VB_J_UNDEF: return vb_j_add_text(j, buf, "Undefined");
    case VB_J_NONE: return vb_j_add_text(j, buf, "None");
    case VB_J_BOOL: return vb_j_add_text(j, buf, v->u.i ? "True" : "False");
    case VB_J_INT:
    case VB_J_FLOAT: return add_number(j, buf, v);
    case VB_J_STR: return add_quoted(j, buf, v);
    case VB_J_LIST: return add_items(j, buf, v->u.list, "[", "]");
    case VB_J_TUPLE: return add_items(j, buf, v->u.list, "(", v->u.list->n == 1 ? ",)" : ")");
    case VB_J_VIEW: return add_view(j, buf, v->u.list);
    case VB_J_DICT: return add_pairs(j, buf, v->u.dict);
    case VB_J_SPACE: return add_space(j, buf, v->u.dict);
    default: VB_J_BAD(j, "expected something that can be printed, found a %s", vb_j_type_name(v));
    }
}

vb_status vb_j_add_repr(vb_jinja *j, vb_jbuf *buf, const vb_jval *v)
{
    VB_TRY(vb_j_enter(j));
    vb_status status = add_nested(j, buf, v);
    j->depth--;
    return status;
}

vb_status vb_j_str(vb_jinja *j, const vb_jval *v, vb_jval *out)
{
    vb_jbuf buf = {0};
    if (v->type == VB_J_STR) {
        *out = *v;
        return VB_OK;
    }
    if (v->type != VB_J_UNDEF) VB_TRY(vb_j_add_repr(j, &buf, v));
    *out = vb_j_done(&buf);
    return VB_OK;
}
