/* jinja_json.c - values to JSON as Python's json.dumps writes it, and JSON to values through jansson.
 *
 * Key order is that of the text. Data stays data: quotes and commas are the template's, what stands between is marked
 * as its string was.
 */
#include "text/jinja_value.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static vb_status add_escape(vb_jinja *j, vb_jbuf *buf, uint32_t code, int data)
{
    static const uint8_t ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
    char text[16];
    const char *known = code > 0 && code < 128 ? strchr(from, (int)code) : NULL;
    if (known != NULL)
        snprintf(text, sizeof text, "\\%c", to[known - from]);
    else if (code < 0x10000)
        snprintf(text, sizeof text, "\\u%04x", code);
    else
        snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xd7c0 + (code >> 10), 0xdc00 + (code & 0x3ff));
    return vb_j_add(j, buf, text, data ? ones : NULL, strlen(text));
}

static vb_status add_string(vb_jinja *j, vb_jbuf *buf, const vb_jval *str, int ascii)
{
    size_t plain = 0, n; /* plain: start of what can be copied as it is */
    VB_TRY(vb_j_add_text(j, buf, "\""));
    for (size_t i = 0; i < str->len; i += n) {
        uint32_t code;
        n = vb_j_char(str->u.s + i, str->len - i, &code);
        if (code >= 32 && code != '"' && code != '\\' && (!ascii || code < 127)) continue;
        vb_jval part = vb_j_cut(str, plain, i - plain);
        VB_TRY(vb_j_add_str(j, buf, &part));
        VB_TRY(add_escape(j, buf, code, str->mark != NULL && str->mark[i]));
        plain = i + n;
    }
    vb_jval rest = vb_j_cut(str, plain, str->len - plain);
    VB_TRY(vb_j_add_str(j, buf, &rest));
    return vb_j_add_text(j, buf, "\"");
}

static vb_status add_scalar(vb_jinja *j, vb_jbuf *buf, const vb_jval *v)
{
    char text[40];
    if (v->type == VB_J_NONE) return vb_j_add_text(j, buf, "null");
    if (v->type == VB_J_BOOL) return vb_j_add_text(j, buf, v->u.i ? "true" : "false");
    if (v->type == VB_J_INT)
        snprintf(text, sizeof text, "%" PRId64, v->u.i);
    else if (__builtin_isfinite(v->u.f))
        vb_j_float_text(v->u.f, text);
    else
        snprintf(text, sizeof text, "%s", v->u.f != v->u.f ? "NaN" : v->u.f > 0 ? "Infinity" : "-Infinity");
    return vb_j_add_text(j, buf, text);
}

static vb_status new_line(vb_jinja *j, vb_jbuf *buf, const vb_jjson *how, int level)
{
    if (how->indent == NULL) return VB_OK;
    VB_TRY(vb_j_add_text(j, buf, "\n"));
    return vb_j_add_fill(j, buf, how->indent, level);
}

static vb_status add_value(vb_jinja *j, vb_jbuf *buf, const vb_jval *v, const vb_jjson *how, int level);

static vb_status add_array(vb_jinja *j, vb_jbuf *buf, const vb_jlist *list, const vb_jjson *how, int level)
{
    if (list->n == 0) return vb_j_add_text(j, buf, "[]");
    VB_TRY(vb_j_add_text(j, buf, "["));
    for (size_t i = 0; i < list->n; i++) {
        if (i > 0) VB_TRY(vb_j_add_str(j, buf, &how->comma));
        VB_TRY(new_line(j, buf, how, level + 1));
        VB_TRY(add_value(j, buf, &list->items[i], how, level + 1));
    }
    VB_TRY(new_line(j, buf, how, level));
    return vb_j_add_text(j, buf, "]");
}

static vb_status add_key(vb_jinja *j, vb_jbuf *buf, const vb_jval *key, const vb_jjson *how)
{
    if (key->type == VB_J_STR) return add_string(j, buf, key, how->ascii);
    if (key->type != VB_J_NONE && !vb_j_is_number(key))
        VB_J_BAD(j, "expected a text as JSON key, found a %s", vb_j_type_name(key));
    VB_TRY(vb_j_add_text(j, buf, "\""));
    VB_TRY(add_scalar(j, buf, key));
    return vb_j_add_text(j, buf, "\"");
}

/* Pairs in the order they are written: insertion, or by key. Insertion sort: objects are small, steps are counted. */
static vb_status sorted(vb_jinja *j, const vb_jdict *dict, const vb_jpair **order)
{
    for (size_t i = 0; i < dict->n; i++) {
        size_t at = i;
        for (int less = 1; at > 0; at--) {
            VB_TRY(vb_j_order(j, &dict->pairs[i].key, &order[at - 1]->key, &less));
            if (less >= 0) break;
            order[at] = order[at - 1];
        }
        order[at] = &dict->pairs[i];
    }
    return VB_OK;
}

static vb_status add_object(vb_jinja *j, vb_jbuf *buf, const vb_jdict *dict, const vb_jjson *how, int level)
{
    const vb_jpair **order = NULL;
    if (dict->n == 0) return vb_j_add_text(j, buf, "{}");
    if (how->sort) {
        order = vb_j_alloc(j, dict->n, sizeof *order);
        if (order == NULL) return VB_E_MEMORY;
        VB_TRY(sorted(j, dict, order));
    }
    VB_TRY(vb_j_add_text(j, buf, "{"));
    for (size_t i = 0; i < dict->n; i++) {
        const vb_jpair *pair = order == NULL ? &dict->pairs[i] : order[i];
        if (i > 0) VB_TRY(vb_j_add_str(j, buf, &how->comma));
        VB_TRY(new_line(j, buf, how, level + 1));
        VB_TRY(add_key(j, buf, &pair->key, how));
        VB_TRY(vb_j_add_str(j, buf, &how->colon));
        VB_TRY(add_value(j, buf, &pair->value, how, level + 1));
    }
    VB_TRY(new_line(j, buf, how, level));
    return vb_j_add_text(j, buf, "}");
}

static vb_status add_value(vb_jinja *j, vb_jbuf *buf, const vb_jval *v, const vb_jjson *how, int level)
{
    vb_status status;
    if (v->type == VB_J_STR) return add_string(j, buf, v, how->ascii);
    if (v->type == VB_J_NONE || vb_j_is_number(v)) return add_scalar(j, buf, v);
    VB_TRY(vb_j_enter(j));
    if (v->type == VB_J_LIST || v->type == VB_J_TUPLE)
        status = add_array(j, buf, v->u.list, how, level);
    else if (v->type == VB_J_DICT)
        status = add_object(j, buf, v->u.dict, how, level);
    else if (v->type == VB_J_UNDEF)
        status = vb_j_undefined(j, v);
    else
        status = vb_j_fail(j, VB_E_FORMAT, "expected something that JSON can hold, found a %s", vb_j_type_name(v));
    j->depth--;
    return status;
}

vb_status vb_j_add_json(vb_jinja *j, vb_jbuf *buf, const vb_jval *v, const vb_jjson *how)
{
    return add_value(j, buf, v, how, 0);
}

/* --- reading ------------------------------------------------------------------------------------------- */

static vb_status convert(vb_jinja *j, json_t *json, int data, vb_jval *out);

/* Marks for len bytes of data. Only from_json of a text that the template has put together can need more than there
 * are for the input. */
static const uint8_t *marks(vb_jinja *j, size_t len)
{
    if (len <= j->n_ones) return j->ones;
    uint8_t *ones = vb_j_alloc(j, len, 1);
    if (ones == NULL) return NULL;
    memset(ones, 1, len);
    j->ones = ones;
    j->n_ones = len;
    return ones;
}

static vb_status convert_text(vb_jinja *j, const char *text, size_t len, int data, vb_jval *out)
{
    const uint8_t *mark = data && len > 0 ? marks(j, len) : NULL;
    if (data && len > 0 && mark == NULL) return VB_E_MEMORY;
    char *copy = vb_j_alloc(j, len + 1, 1);
    if (copy == NULL) return VB_E_MEMORY;
    memcpy(copy, text, len);
    *out = (vb_jval){.type = VB_J_STR, .len = len, .u.s = copy, .mark = mark};
    return VB_OK;
}

static vb_status convert_array(vb_jinja *j, json_t *json, int data, vb_jval *out)
{
    size_t n = json_array_size(json);
    VB_TRY(vb_j_list_new(j, VB_J_LIST, n, out));
    for (size_t i = 0; i < n; i++) {
        vb_jval item;
        VB_TRY(convert(j, json_array_get(json, i), data, &item));
        VB_TRY(vb_j_list_add(j, out, &item));
    }
    return VB_OK;
}

/* Keys are unique already, so pairs are appended without a search. */
static vb_status convert_object(vb_jinja *j, json_t *json, int data, vb_jval *out)
{
    const char *key;
    json_t *value;
    VB_TRY(vb_j_dict_new(j, VB_J_DICT, json_object_size(json), out));
    vb_jdict *dict = out->u.dict;
    json_object_foreach(json, key, value)
    {
        vb_jpair *pair = &dict->pairs[dict->n];
        VB_TRY(vb_j_step(j, 1));
        VB_TRY(convert_text(j, key, strlen(key), data, &pair->key));
        VB_TRY(convert(j, value, data, &pair->value));
        dict->n++;
    }
    return VB_OK;
}

static vb_status convert(vb_jinja *j, json_t *json, int data, vb_jval *out)
{
    vb_status status = VB_OK;
    VB_TRY(vb_j_enter(j));
    switch (json_typeof(json)) {
    case JSON_OBJECT: status = convert_object(j, json, data, out); break;
    case JSON_ARRAY: status = convert_array(j, json, data, out); break;
    case JSON_STRING: status = convert_text(j, json_string_value(json), json_string_length(json), data, out); break;
    case JSON_INTEGER: *out = vb_j_int(json_integer_value(json)); break;
    case JSON_REAL: *out = vb_j_float(json_real_value(json)); break;
    case JSON_TRUE:
    case JSON_FALSE: *out = vb_j_bool(json_is_true(json)); break;
    default: *out = vb_j_none; break;
    }
    j->depth--;
    return status;
}

vb_status vb_j_from_json(vb_jinja *j, const char *text, size_t len, int data, vb_jval *out)
{
    json_error_t error;
    VB_TRY(vb_j_step(j, len / 8));
    json_t *json = json_loadb(text, len, JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    if (json == NULL)
        return vb_j_fail(j, VB_E_FORMAT, "expected JSON, found an error in its line %d, column %d: %s", error.line,
                         error.column, error.text);
    vb_status status = convert(j, json, data, out);
    json_decref(json);
    return status;
}
