/* go_json.c - values to JSON as Go's encoding/json writes it: no spaces, <, > and & escaped, whole numbers without a
 * point. Data stays data: quotes and commas are the template's.
 */
#include "text/go_eval.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static vb_status add_escape(vb_jinja *j, vb_jbuf *buf, uint32_t code, int data)
{
    static const uint8_t ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
    char text[8];
    const char *known = code > 0 && code < 128 ? strchr(from, (int)code) : NULL;
    if (known != NULL) snprintf(text, sizeof text, "\\%c", to[known - from]);
    else snprintf(text, sizeof text, "\\u%04x", code & 0xffff);
    return vb_j_add(j, buf, text, data ? ones : NULL, strlen(text));
}

static int is_plain(size_t n, uint32_t code)
{
    if (code < 128) return code >= 32 && strchr("\"\\<>&", (int)code) == NULL;
    return n > 1 && code != 0x2028 && code != 0x2029;
}

static vb_status add_string(vb_jinja *j, vb_jbuf *buf, const vb_jval *str)
{
    size_t plain = 0, n; /* plain: start of what can be copied as it is */
    VB_TRY(vb_j_add_text(j, buf, "\""));
    for (size_t i = 0; i < str->len; i += n) {
        uint32_t code;
        n = vb_j_char(str->u.s + i, str->len - i, &code);
        if (is_plain(n, code)) continue;
        vb_jval part = vb_j_cut(str, plain, i - plain);
        VB_TRY(vb_j_add_str(j, buf, &part));
        if (n == 1 && code >= 128) code = 0xfffd; /* half of a character */
        VB_TRY(add_escape(j, buf, code, str->mark != NULL && str->mark[i]));
        plain = i + n;
    }
    vb_jval rest = vb_j_cut(str, plain, str->len - plain);
    VB_TRY(vb_j_add_str(j, buf, &rest));
    return vb_j_add_text(j, buf, "\"");
}

/* digits with the point where the exponent wants it. */
static void place_point(const char *digits, int n, int exponent, char *out)
{
    if (exponent < 0) {
        out += sprintf(out, "0.%.*s", -exponent - 1, "00000");
        strcpy(out, digits);
        return;
    }
    for (int i = 0; i <= exponent || i < n; i++) {
        if (i == exponent + 1) *out++ = '.';
        *out++ = i < n ? digits[i] : '0';
    }
    *out = 0;
}

void vb_g_float_text(double value, int json, char out[48])
{
    char digits[20];
    int exponent, n = vb_j_digits(fabs(value), digits, &exponent);
    if (__builtin_signbit(value)) *out++ = '-';
    if (!(value < 0 || value > 0)) strcpy(out, "0");
    else if (exponent >= (json ? -6 : -4) && exponent < (json ? 21 : 6)) place_point(digits, n, exponent, out);
    else
        sprintf(out, json ? "%c%s%se%c%d" : "%c%s%se%c%02d", digits[0], n > 1 ? "." : "", digits + 1,
                exponent < 0 ? '-' : '+', abs(exponent));
}

static vb_status add_scalar(vb_jinja *j, vb_jbuf *buf, const vb_jval *v)
{
    char text[48];
    if (v->type == VB_J_NONE) return vb_j_add_text(j, buf, "null");
    if (v->type == VB_J_BOOL) return vb_j_add_text(j, buf, v->u.i ? "true" : "false");
    if (v->type == VB_J_FLOAT) vb_g_float_text(v->u.f, 1, text);
    else snprintf(text, sizeof text, "%" PRId64, v->u.i);
    return vb_j_add_text(j, buf, text);
}

static vb_status add_list(vb_go *g, vb_jbuf *buf, const vb_jval *v)
{
    if (v->u.list == NULL) return vb_j_add_text(g->j, buf, "null");
    if (v->owner == VB_G_TYPES && v->u.list->n == 1) return add_string(g->j, buf, &v->u.list->items[0]);
    VB_TRY(vb_j_add_text(g->j, buf, "["));
    for (size_t i = 0; i < v->u.list->n; i++) {
        if (i > 0) VB_TRY(vb_j_add_text(g->j, buf, ","));
        VB_TRY(vb_g_add_json(g, buf, &v->u.list->items[i]));
    }
    return vb_j_add_text(g->j, buf, "]");
}

/* A field that is left out when it is empty. Properties inside of a property are behind a pointer: empty is none. */
static int is_left_out(const vb_jval *v)
{
    if (v->type == VB_J_LIST) return vb_g_count(v) == 0;
    if (v->type == VB_J_DICT) return v->u.dict == NULL;
    return v->type == VB_J_NONE || (v->type == VB_J_STR && v->len == 0);
}

static vb_status add_pairs(vb_go *g, vb_jbuf *buf, const vb_jval *v)
{
    int written = 0, omit = 0, is_struct = vb_g_is_struct(v);
    VB_TRY(vb_j_add_text(g->j, buf, "{"));
    for (size_t i = 0; i < v->u.dict->n; i++) {
        vb_jval key = v->u.dict->pairs[i].key;
        const vb_jval *value = &v->u.dict->pairs[i].value;
        if (is_struct) key = vb_j_text(vb_g_json_name(v, i, &omit));
        if (omit && is_left_out(value)) continue;
        if (written++ > 0) VB_TRY(vb_j_add_text(g->j, buf, ","));
        VB_TRY(add_string(g->j, buf, &key));
        VB_TRY(vb_j_add_text(g->j, buf, ":"));
        VB_TRY(vb_g_add_json(g, buf, value));
    }
    return vb_j_add_text(g->j, buf, "}");
}

static vb_status add_nested(vb_go *g, vb_jbuf *buf, const vb_jval *v)
{
    if (v->type == VB_J_STR) return add_string(g->j, buf, v);
    if (v->type == VB_J_LIST) return add_list(g, buf, v);
    if (v->type != VB_J_DICT) return add_scalar(g->j, buf, v);
    return v->u.dict == NULL ? vb_j_add_text(g->j, buf, "null") : add_pairs(g, buf, v);
}

vb_status vb_g_add_json(vb_go *g, vb_jbuf *buf, const vb_jval *v)
{
    VB_TRY(vb_j_enter(g->j));
    vb_status status = add_nested(g, buf, v);
    g->j->depth--;
    return status;
}
