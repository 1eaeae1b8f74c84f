/* jinja_char.c - characters inside UTF-8: Python counts, cuts and trims by code point, the interpreter stores bytes.
 *
 * Input comes through a JSON parser that accepts valid UTF-8 only; a template need not be valid, so a byte that
 * starts no character counts as one of its own and nothing here reads beyond `len`.
 */
#include "text/jinja_value.h"

#include <string.h>
#include <utf8proc.h>

size_t vb_j_char(const char *s, size_t len, uint32_t *code)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)(len > 4 ? 4 : len), &c);
    if (n <= 0) {
        *code = (unsigned char)*s;
        return 1;
    }
    *code = (uint32_t)c;
    return (size_t)n;
}

/* Python's str.isspace. */
static int is_space(uint32_t c)
{
    if (c < 128) return (c >= 9 && c <= 13) || (c >= 28 && c <= 32);
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

size_t vb_j_space(const char *s, size_t len)
{
    uint32_t code;
    if (len == 0) return 0;
    size_t n = vb_j_char(s, len, &code);
    if (n == 1 && (unsigned char)*s >= 128) return 0; /* a stray byte */
    return is_space(code) ? n : 0;
}

/* Bytes of the character that ends at s + len. */
static size_t char_before(const char *s, size_t len)
{
    size_t n = 1;
    uint32_t code;
    while (n < 4 && n < len && ((unsigned char)s[len - n] & 0xc0) == 0x80) n++;
    return vb_j_char(s + len - n, n, &code) == n ? n : 1;
}

size_t vb_j_space_before(const char *s, size_t len)
{
    if (len == 0) return 0;
    size_t n = char_before(s, len);
    return vb_j_space(s + len - n, n);
}

size_t vb_j_count(const char *s, size_t len)
{
    size_t count = 0;
    uint32_t code;
    for (size_t i = 0; i < len; i += vb_j_char(s + i, len - i, &code)) count++;
    return count;
}

size_t vb_j_offset(const char *s, size_t len, size_t chars)
{
    size_t at = 0;
    uint32_t code;
    while (at < len && chars-- > 0) at += vb_j_char(s + at, len - at, &code);
    return at;
}

int vb_j_printable(uint32_t code)
{
    if (code == ' ') return 1;
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS: return 0;
    default: return 1;
    }
}

static size_t trim_width(const char *s, size_t n, const vb_jval *chars)
{
    if (chars == NULL) return vb_j_space(s, n);
    return vb_j_search(chars->u.s, chars->len, 0, s, n) == (size_t)-1 ? 0 : n;
}

vb_jval vb_j_trim(const vb_jval *str, const vb_jval *chars, int sides)
{
    const char *s = str->u.s;
    size_t from = 0, to = str->len;
    uint32_t code;
    while ((sides & VB_J_TRIM_LEFT) && from < to) {
        size_t n = vb_j_char(s + from, to - from, &code);
        if (trim_width(s + from, n, chars) == 0) break;
        from += n;
    }
    while ((sides & VB_J_TRIM_RIGHT) && from < to) {
        size_t n = char_before(s + from, to - from);
        if (trim_width(s + to - n, n, chars) == 0) break;
        to -= n;
    }
    return vb_j_cut(str, from, to - from);
}

size_t vb_j_search(const char *text, size_t len, size_t from, const char *what, size_t n)
{
    if (from > len || n > len - from) return (size_t)-1;
    if (n == 0) return from;
    const char *hit = memmem(text + from, len - from, what, n);
    return hit == NULL ? (size_t)-1 : (size_t)(hit - text);
}
