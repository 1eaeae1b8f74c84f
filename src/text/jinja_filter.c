/* jinja_filter.c - filters of texts and numbers.
 *
 * Case is mapped character by character (one to one): no language rules.
 */
#include "text/jinja_eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* --- case ---------------------------------------------------------------------------------------------- */

static int is_cased(uint32_t code)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)code);
    return c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL || c == UTF8PROC_CATEGORY_LT;
}

static int ends_word(const char *s, size_t len, uint32_t code)
{
    return vb_j_space(s, len) > 0 || (code > 0 && code < 128 && strchr("-({[<", (int)code) != NULL);
}

vb_status vb_j_case(vb_jinja *j, const vb_jval *text, int how, vb_jval *out)
{
    vb_jbuf buf = {0};
    int start = 1, capital = how != VB_J_LOWER && how != VB_J_SWAP; /* start: of what begins with a capital */
    for (size_t i = 0, n; i < text->len; i += n) {
        uint32_t code;
        n = vb_j_char(text->u.s + i, text->len - i, &code);
        utf8proc_int32_t c = (utf8proc_int32_t)code, lower = utf8proc_tolower(c);
        int up = how == VB_J_UPPER || (capital && start) || (how == VB_J_SWAP && lower == c);
        int data = text->mark != NULL && text->mark[i];
        VB_TRY(vb_j_add_char(j, &buf, (uint32_t)(up ? utf8proc_toupper(c) : lower), data));
        start = how == VB_J_TITLE ? ends_word(text->u.s + i, n, code) : how == VB_J_WORDS && !is_cased(code);
    }
    vb_jval result = vb_j_done(&buf);
    result.owner = text->owner;
    *out = result;
    return VB_OK;
}

static vb_status cased(vb_jinja *j, const vb_jcall *c, int how, vb_jval *out)
{
    vb_jval text;
    VB_TRY(vb_j_str(j, &c->self, &text));
    return vb_j_case(j, &text, how, out);
}

static vb_status upper(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return cased(j, c, VB_J_UPPER, out);
}

static vb_status lower(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return cased(j, c, VB_J_LOWER, out);
}

static vb_status capitalize(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return cased(j, c, VB_J_CAPITALIZE, out);
}

static vb_status title(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return cased(j, c, VB_J_TITLE, out);
}

/* --- cutting, filling, replacing ----------------------------------------------------------------------- */

static vb_status trim(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval text;
    const vb_jval *chars = c->arg[0] != NULL && c->arg[0]->type != VB_J_NONE ? c->arg[0] : NULL;
    VB_TRY(vb_j_str(j, &c->self, &text));
    if (chars != NULL) VB_TRY(vb_j_need_str(j, chars, "characters to trim"));
    VB_TRY(vb_j_step(j, (text.len / 64 + 1) * (chars != NULL ? chars->len + 1 : 1)));
    *out = vb_j_trim(&text, chars, VB_J_TRIM_LEFT | VB_J_TRIM_RIGHT);
    return VB_OK;
}

/* An empty `from` stands before every character and at the end. */
vb_status vb_j_replace(vb_jinja *j, const vb_jval *text, const vb_jval *from, const vb_jval *to, int64_t most,
                       vb_jval *out)
{
    vb_jbuf buf = {0};
    size_t at = 0, hit;
    uint32_t code;
    for (; most != 0; most--) {
        hit = vb_j_search(text->u.s, text->len, at, from->u.s, from->len);
        if (hit == (size_t)-1) break;
        VB_TRY(vb_j_add(j, &buf, text->u.s + at, text->mark == NULL ? NULL : text->mark + at, hit - at));
        VB_TRY(vb_j_add_str(j, &buf, to));
        at = hit + from->len;
        if (from->len > 0) continue;
        if (at == text->len) break;
        size_t n = vb_j_char(text->u.s + at, text->len - at, &code);
        VB_TRY(vb_j_add(j, &buf, text->u.s + at, text->mark == NULL ? NULL : text->mark + at, n));
        at += n;
    }
    VB_TRY(vb_j_add(j, &buf, text->u.s + at, text->mark == NULL ? NULL : text->mark + at, text->len - at));
    *out = vb_j_done(&buf);
    return VB_OK;
}

static vb_status replace(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval text, from, to;
    int64_t most = -1;
    VB_TRY(vb_j_str(j, &c->self, &text));
    VB_TRY(vb_j_str(j, c->arg[0], &from));
    VB_TRY(vb_j_str(j, c->arg[1], &to));
    if (c->arg[2] != NULL && c->arg[2]->type != VB_J_NONE) VB_TRY(vb_j_need_int(j, c->arg[2], "count", &most));
    return vb_j_replace(j, &text, &from, &to, most, out);
}

vb_status vb_j_pad(vb_jinja *j, const vb_jval *text, int64_t width, const vb_jval *fill, int align, vb_jval *out)
{
    int64_t n;
    vb_jbuf buf = {0};
    VB_TRY(vb_j_length(j, text, &n));
    int64_t pad = width > n ? width - n : 0;
    int64_t left = align == VB_J_LEFT ? 0 : align == VB_J_RIGHT ? pad : pad / 2 + (pad & width & 1);
    VB_TRY(vb_j_add_fill(j, &buf, fill, left));
    VB_TRY(vb_j_add_str(j, &buf, text));
    VB_TRY(vb_j_add_fill(j, &buf, fill, pad - left));
    vb_jval result = vb_j_done(&buf);
    result.owner = text->owner;
    *out = result;
    return VB_OK;
}

static vb_status center(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval text, blank = vb_j_text(" ");
    int64_t width = 80;
    VB_TRY(vb_j_str(j, &c->self, &text));
    if (c->arg[0] != NULL) VB_TRY(vb_j_need_int(j, c->arg[0], "width", &width));
    return vb_j_pad(j, &text, width, &blank, VB_J_CENTER, out);
}

/* Bytes of the line end at s, 0 if there is none: what Python's splitlines takes for one. */
static size_t line_end(const char *s, size_t len)
{
    uint32_t code;
    if (len >= 2 && s[0] == '\r' && s[1] == '\n') return 2;
    size_t n = vb_j_char(s, len, &code);
    int ends = (code >= 10 && code <= 13) || (code >= 28 && code <= 30) || code == 0x85 || code == 0x2028 ||
               code == 0x2029;
    return ends ? n : 0;
}

vb_status vb_j_lines(vb_jinja *j, const vb_jval *text, int keep_ends, vb_jval *out)
{
    size_t from = 0;
    VB_TRY(vb_j_list_new(j, VB_J_LIST, 0, out));
    VB_TRY(vb_j_step(j, text->len / 16));
    for (size_t i = 0; i < text->len;) {
        size_t n = line_end(text->u.s + i, text->len - i);
        uint32_t code;
        if (n == 0) {
            i += vb_j_char(text->u.s + i, text->len - i, &code);
            continue;
        }
        vb_jval line = vb_j_cut(text, from, i + (keep_ends ? n : 0) - from);
        VB_TRY(vb_j_list_add(j, out, &line));
        i += n;
        from = i;
    }
    if (from == text->len) return VB_OK;
    vb_jval line = vb_j_cut(text, from, text->len - from);
    return vb_j_list_add(j, out, &line);
}

static vb_status indent(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval text, lines, newline = vb_j_text("\n"), with = vb_j_text("    ");
    int first = c->arg[1] != NULL && vb_j_truth(c->arg[1]), blank = c->arg[2] != NULL && vb_j_truth(c->arg[2]);
    vb_jbuf buf = {0}, pad = {0};
    VB_TRY(vb_j_need_str(j, &c->self, "a text to indent"));
    if (c->arg[0] != NULL && c->arg[0]->type == VB_J_STR) {
        with = *c->arg[0];
    } else if (c->arg[0] != NULL) {
        int64_t width;
        vb_jval one = vb_j_text(" ");
        VB_TRY(vb_j_need_int(j, c->arg[0], "width", &width));
        VB_TRY(vb_j_add_fill(j, &pad, &one, width));
        with = vb_j_done(&pad);
    }
    VB_TRY(vb_j_concat(j, &c->self, &newline, &text));
    VB_TRY(vb_j_lines(j, &text, 0, &lines));
    for (size_t i = 0; i < lines.u.list->n; i++) {
        const vb_jval *line = &lines.u.list->items[i];
        if (i > 0) VB_TRY(vb_j_add_str(j, &buf, &newline));
        if (i == 0 ? first : blank || line->len > 0) VB_TRY(vb_j_add_str(j, &buf, &with));
        VB_TRY(vb_j_add_str(j, &buf, line));
    }
    *out = vb_j_done(&buf);
    return VB_OK;
}

static vb_status truncate_text(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval end = c->arg[2] != NULL ? *c->arg[2] : vb_j_text("...");
    int64_t length = 255, leeway = 5, n, tail;
    VB_TRY(vb_j_need_str(j, &c->self, "a text to shorten"));
    VB_TRY(vb_j_need_str(j, &end, "a text as end"));
    if (c->arg[0] != NULL) VB_TRY(vb_j_need_int(j, c->arg[0], "length", &length));
    if (c->arg[3] != NULL && c->arg[3]->type != VB_J_NONE) VB_TRY(vb_j_need_int(j, c->arg[3], "leeway", &leeway));
    VB_TRY(vb_j_length(j, &c->self, &n));
    VB_TRY(vb_j_length(j, &end, &tail));
    if (length < tail || leeway < 0) VB_J_BAD(j, "expected a length of at least %lld", (long long)tail);
    *out = c->self;
    if (n - length <= leeway) return VB_OK;
    size_t keep = vb_j_offset(c->self.u.s, c->self.len, (size_t)(length - tail)), word = keep;
    while (word > 0 && c->self.u.s[word - 1] != ' ') word--;
    if ((c->arg[1] == NULL || !vb_j_truth(c->arg[1])) && word > 0) keep = word - 1;
    vb_jval start = vb_j_cut(&c->self, 0, keep);
    return vb_j_concat(j, &start, &end, out);
}

vb_status vb_j_escape(vb_jinja *j, const vb_jval *text, vb_jval *out)
{
    static const char from[] = "&<>\"'";
    static const char *const to[] = {"&amp;", "&lt;", "&gt;", "&#34;", "&#39;"};
    static const uint8_t ones[] = {1, 1, 1, 1, 1, 1};
    vb_jbuf buf = {0};
    vb_jval safe = *text;
    for (size_t i = 0; i < text->len && !text->owner; i++) {
        const uint8_t *mark = text->mark == NULL || !text->mark[i] ? NULL : ones;
        const char *known = text->u.s[i] ? strchr(from, text->u.s[i]) : NULL;
        if (known == NULL)
            VB_TRY(vb_j_add(j, &buf, text->u.s + i, mark, 1));
        else
            VB_TRY(vb_j_add(j, &buf, to[known - from], mark, strlen(to[known - from])));
    }
    if (!text->owner) safe = vb_j_done(&buf);
    safe.owner = VB_J_SAFE;
    *out = safe;
    return VB_OK;
}

static vb_status escape(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval text;
    VB_TRY(vb_j_str(j, &c->self, &text));
    return vb_j_escape(j, &text, out);
}

static vb_status forceescape(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval text;
    VB_TRY(vb_j_str(j, &c->self, &text));
    text.owner = 0;
    return vb_j_escape(j, &text, out);
}

static vb_status safe_text(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    VB_TRY(vb_j_str(j, &c->self, out));
    out->owner = VB_J_SAFE;
    return VB_OK;
}

static vb_status urlencode(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~/";
    static const uint8_t ones[] = {1, 1, 1};
    vb_jval text;
    vb_jbuf buf = {0};
    char code[4];
    if (vb_j_is_listlike(&c->self) || c->self.type == VB_J_DICT)
        VB_J_BAD(j, "expected a text to encode, found a %s", vb_j_type_name(&c->self));
    VB_TRY(vb_j_str(j, &c->self, &text));
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t *mark = text.mark == NULL || !text.mark[i] ? NULL : ones;
        int keep = text.u.s[i] && strchr(plain, text.u.s[i]) != NULL;
        snprintf(code, sizeof code, "%%%02X", (unsigned char)text.u.s[i]);
        VB_TRY(vb_j_add(j, &buf, keep ? text.u.s + i : code, mark, keep ? 1 : 3));
    }
    *out = vb_j_done(&buf);
    return VB_OK;
}

static vb_status wordcount(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval text;
    int64_t words = 0;
    int inside = 0;
    VB_TRY(vb_j_str(j, &c->self, &text));
    VB_TRY(vb_j_step(j, text.len / 8));
    for (size_t i = 0; i < text.len;) {
        uint32_t code;
        i += vb_j_char(text.u.s + i, text.len - i, &code);
        utf8proc_category_t kind = utf8proc_category((utf8proc_int32_t)code);
        int is_word = (kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO) ||
                      (kind >= UTF8PROC_CATEGORY_ND && kind <= UTF8PROC_CATEGORY_NO) || code == '_';
        words += is_word && !inside;
        inside = is_word;
    }
    *out = vb_j_int(words);
    return VB_OK;
}

static vb_status string(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return vb_j_str(j, &c->self, out);
}

static vb_status format(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval text, values;
    VB_TRY(vb_j_str(j, &c->self, &text));
    if (c->all->named.n > 0) {
        VB_TRY(vb_j_dict_new(j, VB_J_DICT, 0, &values));
        *values.u.dict = c->all->named;
    } else {
        VB_TRY(vb_j_list_new(j, VB_J_TUPLE, 0, &values));
        for (size_t i = 0; i < c->all->pos.n; i++) VB_TRY(vb_j_list_add(j, &values, &c->all->pos.items[i]));
    }
    return vb_j_format(j, &text, &values, out);
}

/* --- JSON ---------------------------------------------------------------------------------------------- */

static vb_status json_separators(vb_jinja *j, const vb_jval *given, vb_jjson *how)
{
    vb_jval pair;
    VB_TRY(vb_j_items(j, given, &pair));
    if (pair.u.list->n != 2) VB_J_BAD(j, "expected two separators for tojson, found another number");
    how->comma = pair.u.list->items[0];
    how->colon = pair.u.list->items[1];
    VB_TRY(vb_j_need_str(j, &how->comma, "a text as separator"));
    return vb_j_need_str(j, &how->colon, "a text as separator");
}

static vb_status tojson(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jbuf buf = {0}, pad = {0};
    vb_jval indent_by, blank = vb_j_text(" ");
    vb_jjson how = {.colon = vb_j_text(": ")};
    how.ascii = c->arg[0] != NULL && vb_j_truth(c->arg[0]);
    how.sort = c->arg[3] != NULL && vb_j_truth(c->arg[3]);
    if (c->arg[1] != NULL && c->arg[1]->type != VB_J_NONE) {
        int64_t width = 0;
        if (c->arg[1]->type != VB_J_STR) VB_TRY(vb_j_need_int(j, c->arg[1], "indent of tojson", &width));
        VB_TRY(vb_j_add_fill(j, &pad, &blank, width));
        indent_by = c->arg[1]->type == VB_J_STR ? *c->arg[1] : vb_j_done(&pad);
        how.indent = &indent_by;
    }
    how.comma = vb_j_text(how.indent != NULL ? "," : ", ");
    if (c->arg[2] != NULL && c->arg[2]->type != VB_J_NONE) VB_TRY(json_separators(j, c->arg[2], &how));
    VB_TRY(vb_j_add_json(j, &buf, &c->self, &how));
    *out = vb_j_done(&buf);
    return VB_OK;
}

static vb_status from_json(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    VB_TRY(vb_j_need_str(j, &c->self, "a text that holds JSON"));
    return vb_j_from_json(j, c->self.u.s, c->self.len, vb_j_is_data(&c->self), out);
}

/* --- numbers ------------------------------------------------------------------------------------------- */

/* A text as Python's int() or float() reads it; 0 if it does not. */
static int read_number(const vb_jval *v, int base, vb_jval *out)
{
    char buf[64], *end;
    size_t n = 0;
    vb_jval text = vb_j_trim(v, NULL, VB_J_TRIM_LEFT | VB_J_TRIM_RIGHT);
    if (text.len == 0 || text.len >= sizeof buf) return 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.u.s[i], letter = (char)(c | 32);
        if (c == '_' && n > 0) continue;
        if (c == 0 || (base == 0 && (letter == 'p' || letter == 'x'))) return 0; /* C's hexadecimal floats */
        buf[n++] = c;
    }
    buf[n] = 0;
    if (base == 0)
        *out = vb_j_float(strtod(buf, &end));
    else
        *out = vb_j_int(strtoll(buf, &end, base));
    return *end == 0 && end != buf;
}

static vb_status to_int(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval number = c->self;
    int64_t base = 10;
    if (c->arg[1] != NULL) VB_TRY(vb_j_need_int(j, c->arg[1], "base", &base));
    if (number.type == VB_J_UNDEF) return vb_j_undefined(j, &number);
    if (base < 2 || base > 36) VB_J_BAD(j, "expected a base of 2 to 36");
    *out = c->arg[0] != NULL ? *c->arg[0] : vb_j_int(0);
    if (number.type == VB_J_STR && !read_number(&c->self, (int)base, &number) && !read_number(&c->self, 0, &number))
        return VB_OK;
    if (number.type == VB_J_INT || number.type == VB_J_BOOL) *out = vb_j_int(number.u.i);
    if (number.type == VB_J_FLOAT && number.u.f > -9.2e18 && number.u.f < 9.2e18) *out = vb_j_int((int64_t)number.u.f);
    return VB_OK;
}

static vb_status to_float(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval number = c->self;
    if (number.type == VB_J_UNDEF) return vb_j_undefined(j, &number);
    *out = c->arg[0] != NULL ? *c->arg[0] : vb_j_float(0);
    if (number.type == VB_J_STR && !read_number(&c->self, 0, &number)) return VB_OK;
    if (vb_j_is_number(&number)) *out = vb_j_float(vb_j_number(&number));
    return VB_OK;
}

static vb_status need_number(vb_jinja *j, const vb_jval *v)
{
    if (v->type == VB_J_UNDEF) return vb_j_undefined(j, v);
    if (!vb_j_is_number(v)) VB_J_BAD(j, "expected a number, found a %s", vb_j_type_name(v));
    return VB_OK;
}

static vb_status absolute(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    VB_TRY(need_number(j, &c->self));
    if (c->self.type == VB_J_FLOAT) {
        *out = vb_j_float(fabs(c->self.u.f));
        return VB_OK;
    }
    if (c->self.u.i == INT64_MIN) VB_J_BAD(j, "expected an integer of 64 bits, found a larger one");
    *out = vb_j_int(c->self.u.i < 0 ? -c->self.u.i : c->self.u.i);
    return VB_OK;
}

/* "common" rounds the exact decimal value to even, as printf does; an integer stays one. */
static vb_status round_number(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    char text[400];
    int64_t digits = 0;
    VB_TRY(need_number(j, &c->self));
    if (c->arg[0] != NULL) VB_TRY(vb_j_need_int(j, c->arg[0], "precision", &digits));
    if (digits < 0 || digits > 15) VB_J_BAD(j, "expected a precision of 0 to 15, found %lld", (long long)digits);
    double value = vb_j_number(&c->self), scale = pow(10, (double)digits);
    if (c->arg[1] == NULL || vb_j_is_str(c->arg[1], "common")) {
        snprintf(text, sizeof text, "%.*f", (int)digits, value);
        *out = c->self.type == VB_J_FLOAT ? vb_j_float(strtod(text, NULL)) : vb_j_int(c->self.u.i);
        return VB_OK;
    }
    if (!vb_j_is_str(c->arg[1], "ceil") && !vb_j_is_str(c->arg[1], "floor"))
        VB_J_BAD(j, "expected 'common', 'ceil' or 'floor' as way to round");
    *out = vb_j_float((vb_j_is_str(c->arg[1], "ceil") ? ceil(value * scale) : floor(value * scale)) / scale);
    return VB_OK;
}

static vb_status or_default(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    int also_false = c->arg[1] != NULL && vb_j_truth(c->arg[1]);
    (void)j;
    *out = c->self;
    if (c->self.type == VB_J_UNDEF || (also_false && !vb_j_truth(&c->self)))
        *out = c->arg[0] != NULL ? *c->arg[0] : vb_j_text("");
    return VB_OK;
}

static vb_status attribute(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    VB_TRY(vb_j_need_str(j, c->arg[0], "a text as name of an attribute"));
    return vb_j_attr(j, &c->self, c->arg[0]->u.s, c->arg[0]->len, out);
}

const vb_jfunc vb_j_filters_text[] = {
    {"upper", "", 0, upper},
    {"lower", "", 0, lower},
    {"capitalize", "", 0, capitalize},
    {"title", "", 0, title},
    {"trim", "chars", 0, trim},
    {"replace", "old new count", 2, replace},
    {"center", "width", 0, center},
    {"indent", "width first blank", 0, indent},
    {"truncate", "length killwords end leeway", 0, truncate_text},
    {"escape", "", 0, escape},
    {"e", "", 0, escape},
    {"forceescape", "", 0, forceescape},
    {"safe", "", 0, safe_text},
    {"string", "", 0, string},
    {"urlencode", "", 0, urlencode},
    {"wordcount", "", 0, wordcount},
    {"format", "*", 0, format},
    {"tojson", "ensure_ascii indent separators sort_keys", 0, tojson},
    {"from_json", "", 0, from_json},
    {"int", "default base", 0, to_int},
    {"float", "default", 0, to_float},
    {"abs", "", 0, absolute},
    {"round", "precision method", 0, round_number},
    {"default", "default_value boolean", 0, or_default},
    {"d", "default_value boolean", 0, or_default},
    {"attr", "name", 1, attribute},
    {NULL, NULL, 0, NULL},
};
