/* text.c - growing text and JSON in it.
 *
 * Whether a comma is due is told by the last byte alone: none behind an opening bracket, a colon or at the beginning.
 */
#include "serve/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void vb_out_free(vb_out *out)
{
    free(out->data);
    memset(out, 0, sizeof *out);
}

static int reserve(vb_out *out, size_t more)
{
    if (out->failed) return 0;
    if (out->len + more + 1 <= out->cap) return 1;
    size_t cap = out->cap > 0 ? out->cap : 256;
    while (cap < out->len + more + 1) cap *= 2;
    char *data = realloc(out->data, cap);
    out->failed = data == NULL;
    if (out->failed) return 0;
    out->data = data;
    out->cap = cap;
    return 1;
}

void vb_out_bytes(vb_out *out, const char *data, size_t len)
{
    if (!reserve(out, len)) return;
    if (len > 0) memcpy(out->data + out->len, data, len);
    out->len += len;
    out->data[out->len] = '\0';
}

void vb_out_text(vb_out *out, const char *text)
{
    vb_out_bytes(out, text, strlen(text));
}

void vb_out_format(vb_out *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || !reserve(out, (size_t)n)) return;
    va_start(args, format);
    vsnprintf(out->data + out->len, (size_t)n + 1, format, args);
    va_end(args);
    out->len += (size_t)n;
}

/* --- JSON ------------------------------------------------------------------------------------------------ */

static void comma(vb_out *out)
{
    char last = out->len > 0 ? out->data[out->len - 1] : '[';
    if (last != '[' && last != '{' && last != ':' && last != '\n' && last != ' ') vb_out_bytes(out, ",", 1);
}

void vb_js_open(vb_out *out, char bracket)
{
    comma(out);
    vb_out_bytes(out, &bracket, 1);
}

void vb_js_close(vb_out *out, char bracket)
{
    vb_out_bytes(out, &bracket, 1);
}

void vb_js_key(vb_out *out, const char *key)
{
    comma(out);
    vb_out_format(out, "\"%s\":", key);
}

/* Length of the UTF-8 character at s; 0: none. */
static size_t character(const unsigned char *s, size_t len)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
    if (n == 0 || n > len) return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return 0;
    if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) return 0;
    return n;
}

static void escape(vb_out *out, unsigned char c)
{
    static const char short_names[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    for (const char *s = short_names; *s != '\0'; s += 2)
        if ((unsigned char)*s == c) {
            vb_out_format(out, "\\%c", s[1]);
            return;
        }
    vb_out_format(out, "\\u%04x", c);
}

void vb_js_string(vb_out *out, const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    comma(out);
    vb_out_bytes(out, "\"", 1);
    for (size_t i = 0; i < len;) {
        size_t n = character(s + i, len - i);
        if (n == 0) vb_out_bytes(out, "\xef\xbf\xbd", 3);
        else if (n == 1 && (s[i] < 0x20 || s[i] == '"' || s[i] == '\\')) escape(out, s[i]);
        else vb_out_bytes(out, text + i, n);
        i += n > 0 ? n : 1;
    }
    vb_out_bytes(out, "\"", 1);
}

void vb_js_int(vb_out *out, int64_t value)
{
    comma(out);
    vb_out_format(out, "%lld", (long long)value);
}

void vb_js_uint(vb_out *out, uint64_t value)
{
    comma(out);
    vb_out_format(out, "%llu", (unsigned long long)value);
}

/* JSON has no infinities: the largest number stands for them, null for what is no number. */
void vb_js_double(vb_out *out, double value)
{
    char digits[32];
    comma(out);
    if (isnan(value)) {
        vb_out_text(out, "null");
        return;
    }
    if (isinf(value)) value = value > 0 ? 1e308 : -1e308;
    for (int n = 15; n <= 17; n++) {
        snprintf(digits, sizeof digits, "%.*g", n, value);
        if (strtod(digits, NULL) == value) break;
    }
    vb_out_text(out, digits);
}

void vb_js_float(vb_out *out, float value)
{
    char digits[32];
    if (isnan(value) || isinf(value)) {
        vb_js_double(out, (double)value);
        return;
    }
    comma(out);
    for (int n = 6; n <= 9; n++) {
        snprintf(digits, sizeof digits, "%.*g", n, (double)value);
        if (strtof(digits, NULL) == value) break;
    }
    vb_out_text(out, digits);
}

void vb_js_bool(vb_out *out, int value)
{
    comma(out);
    vb_out_text(out, value ? "true" : "false");
}

void vb_js_null(vb_out *out)
{
    comma(out);
    vb_out_text(out, "null");
}

void vb_js_raw(vb_out *out, const char *json, size_t len)
{
    comma(out);
    vb_out_bytes(out, json, len);
}

void vb_js_put_string(vb_out *out, const char *key, const char *text)
{
    vb_js_key(out, key);
    if (text == NULL) vb_js_null(out);
    else vb_js_string(out, text, strlen(text));
}

void vb_js_put_int(vb_out *out, const char *key, int64_t value)
{
    vb_js_key(out, key);
    vb_js_int(out, value);
}

void vb_js_put_bool(vb_out *out, const char *key, int value)
{
    vb_js_key(out, key);
    vb_js_bool(out, value);
}
