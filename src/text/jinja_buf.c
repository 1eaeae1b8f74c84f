/* jinja_buf.c - texts under construction, with the marks that say which bytes are data.
 *
 * Bytes beyond `len` of a buffer are nobody's yet, so a string that ends where its buffer ends can be continued in
 * place: its own length does not change. That makes `text = text + piece` in a loop linear.
 *
 *   tail: [ a a a a a b b b | free ]     a + b + c: continued here instead of copied
 */
#include "text/jinja_value.h"

#include <string.h>
#include <utf8proc.h>

static vb_status too_long(vb_jinja *j)
{
    return vb_j_fail(j, VB_E_UNSUPPORTED, "expected texts of at most %d bytes, found a longer one",
                     VB_JINJA_MAX_OUTPUT);
}

static vb_status grow(vb_jinja *j, vb_jbuf *buf, size_t need)
{
    size_t cap = buf->cap < 64 ? 64 : buf->cap * 2;
    if (cap < need) cap = need;
    char *s = vb_j_alloc(j, cap, 1);
    uint8_t *mark = buf->mark == NULL ? NULL : vb_j_alloc(j, cap, 1);
    if (s == NULL || (mark == NULL && buf->mark != NULL)) return VB_E_MEMORY;
    if (buf->len > 0) memcpy(s, buf->s, buf->len);
    if (mark != NULL) memcpy(mark, buf->mark, buf->len);
    VB_TRY(vb_j_step(j, buf->len / 64));
    buf->s = s;
    buf->mark = mark;
    buf->cap = cap;
    return VB_OK;
}

vb_status vb_j_add(vb_jinja *j, vb_jbuf *buf, const char *s, const uint8_t *mark, size_t len)
{
    if (len == 0) return VB_OK;
    if (len > VB_JINJA_MAX_OUTPUT - buf->len)
        return too_long(j);
    VB_TRY(vb_j_step(j, 1 + len / 64));
    if (len > buf->cap - buf->len) VB_TRY(grow(j, buf, buf->len + len));
    if (mark != NULL && buf->mark == NULL) {
        buf->mark = vb_j_alloc(j, buf->cap, 1);
        if (buf->mark == NULL) return VB_E_MEMORY;
    }
    memcpy(buf->s + buf->len, s, len);
    if (mark != NULL) memcpy(buf->mark + buf->len, mark, len);
    buf->len += len;
    return VB_OK;
}

vb_status vb_j_add_text(vb_jinja *j, vb_jbuf *buf, const char *text)
{
    return vb_j_add(j, buf, text, NULL, strlen(text));
}

vb_status vb_j_add_str(vb_jinja *j, vb_jbuf *buf, const vb_jval *str)
{
    return vb_j_add(j, buf, str->u.s, str->mark, str->len);
}

vb_status vb_j_add_char(vb_jinja *j, vb_jbuf *buf, uint32_t code, int data)
{
    static const uint8_t marks[4] = {1, 1, 1, 1};
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t n = utf8proc_encode_char((utf8proc_int32_t)code, bytes);
    return vb_j_add(j, buf, (const char *)bytes, data ? marks : NULL, (size_t)n);
}

vb_status vb_j_add_fill(vb_jinja *j, vb_jbuf *buf, const vb_jval *str, int64_t times)
{
    size_t bytes;
    if (times <= 0 || str->len == 0) return VB_OK;
    if (__builtin_mul_overflow(str->len, (size_t)times, &bytes) || bytes > VB_JINJA_MAX_OUTPUT - buf->len)
        return too_long(j);
    if (bytes > buf->cap - buf->len) VB_TRY(grow(j, buf, buf->len + bytes));
    while (times-- > 0) VB_TRY(vb_j_add_str(j, buf, str));
    return VB_OK;
}

vb_jval vb_j_done(const vb_jbuf *buf)
{
    return (vb_jval){.type = VB_J_STR, .len = buf->len, .u.s = buf->len > 0 ? buf->s : "", .mark = buf->mark};
}

/* Does the string end where the tail ends, and start inside it? */
static int is_tail(const vb_jbuf *tail, const vb_jval *str)
{
    uintptr_t start = (uintptr_t)tail->s, at = (uintptr_t)str->u.s;
    return tail->s != NULL && str->len > 0 && at >= start && at + str->len == start + tail->len;
}

vb_status vb_j_concat(vb_jinja *j, const vb_jval *a, const vb_jval *b, vb_jval *out)
{
    vb_jval left = *a, right = *b;
    if (left.len == 0 || right.len == 0) {
        *out = left.len == 0 ? right : left;
        return VB_OK;
    }
    if (!is_tail(&j->tail, &left)) {
        j->tail = (vb_jbuf){0};
        VB_TRY(vb_j_add_str(j, &j->tail, &left));
    }
    size_t from = j->tail.len - left.len;
    VB_TRY(vb_j_add_str(j, &j->tail, &right));
    vb_jval whole = vb_j_done(&j->tail);
    *out = vb_j_cut(&whole, from, left.len + right.len);
    return VB_OK;
}
