/* jinja_format.c - Python's two ways to fill a text with values: "%s" % x and "{}".format(x).
 *
 *   %  [(name)] [flags] [width] [.precision] type        flags: - + blank 0 #
 *   {  [name or index] [.attribute or [key]] [!r or !s] [: spec]  }
 *      spec: [[fill]align] [sign] [#] [0] [width] [,] [.precision] [type]
 */
#include "text/jinja_eval.h"

#include <inttypes.h>
#include <string.h>

typedef struct {
    vb_jval fill;   /* one character */
    char align;     /* '<', '>', '^', '=' (between sign and digits), 0: by type */
    char sign;      /* '+', ' ' or 0 */
    int alternative, comma, zero;
    int width, precision; /* -1: none */
    char type;
} spec;
enum { LARGEST_FIELD = 400 };

static spec no_spec(void)
{
    return (spec){.fill = {.type = VB_J_STR, .len = 1, .u.s = " "}, .width = -1, .precision = -1};
}

/* A text that is read from left to right. */
typedef struct {
    const vb_jval *text;
    size_t at;
} reader;

static char peek(const reader *r)
{
    return r->at < r->text->len ? r->text->u.s[r->at] : 0;
}

static int take(reader *r, char c)
{
    if (r->at >= r->text->len || peek(r) != c) return 0;
    r->at++;
    return 1;
}

static vb_status read_number(vb_jinja *j, reader *r, int *out)
{
    if (peek(r) < '0' || peek(r) > '9') return VB_OK;
    for (*out = 0; peek(r) >= '0' && peek(r) <= '9'; r->at++) {
        *out = *out * 10 + (peek(r) - '0');
        if (*out > LARGEST_FIELD)
            VB_J_BAD(j, "expected fields of at most %d characters, found a wider one", LARGEST_FIELD);
    }
    return VB_OK;
}

/* Copies digits with a comma before every three of the integer part. */
static void group_digits(const char *digits, char *out)
{
    size_t whole = strspn(digits, "0123456789");
    for (size_t i = 0; i < whole; i++) {
        if (i > 0 && (whole - i) % 3 == 0) *out++ = ',';
        *out++ = digits[i];
    }
    strcpy(out, digits + whole);
}

static void float_digits(double value, const spec *s, char *out, size_t cap)
{
    const char format[] = {'%', s->alternative ? '#' : '.', s->alternative ? '.' : '*', s->alternative ? '*' : s->type,
                           s->alternative ? s->type : 0, 0};
    int precision = s->precision < 0 ? 6 : s->precision;
    if (value != value)
        snprintf(out, cap, "nan");
    else if (value > 1e300)
        snprintf(out, cap, __builtin_isinf(value) ? "inf" : "%.6e", value);
    else
        snprintf(out, cap, format, precision, value);
}

static vb_status int_digits(vb_jinja *j, uint64_t value, const spec *s, char *out, size_t cap)
{
    const char *prefix = s->type == 'x' ? "0x" : s->type == 'X' ? "0X" : s->type == 'o' ? "0o" : "";
    if (!s->alternative) prefix = "";
    if (s->type == 'x')
        snprintf(out, cap, "%s%" PRIx64, prefix, value);
    else if (s->type == 'X')
        snprintf(out, cap, "%s%" PRIX64, prefix, value);
    else if (s->type == 'o')
        snprintf(out, cap, "%s%" PRIo64, prefix, value);
    else if (strchr("diu", s->type) != NULL)
        snprintf(out, cap, "%0*" PRIu64, s->precision > 60 ? 60 : s->precision < 0 ? 1 : s->precision, value);
    else
        VB_J_BAD(j, "expected a known type of field, found '%c'", s->type);
    return VB_OK;
}

/* |value| without sign; *negative says whether there was one. */
static vb_status digits_of(vb_jinja *j, const vb_jval *v, spec *s, char *out, size_t cap, int *negative)
{
    if (strchr("fFeEgG%", s->type) != NULL) {
        double value = vb_j_number(v);
        *negative = __builtin_signbit(value) != 0;
        if (value < 0) value = -value;
        spec plain = *s;
        if (s->type == '%') plain.type = 'f';
        float_digits(s->type == '%' ? value * 100 : value, &plain, out, cap - 1);
        if (s->type == '%') strcat(out, "%");
        return VB_OK;
    }
    int64_t value = v->u.i;
    if (v->type == VB_J_FLOAT) {
        if (strchr("diu", s->type) == NULL || !(v->u.f > -9.2e18 && v->u.f < 9.2e18))
            VB_J_BAD(j, "expected an integer to format, found a float");
        value = (int64_t)v->u.f;
    }
    *negative = value < 0;
    return int_digits(j, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, s, out, cap);
}

static vb_status add_padded(vb_jinja *j, vb_jbuf *buf, const vb_jval *text, const spec *s, char align)
{
    vb_jval padded;
    int how = align == '<' ? VB_J_LEFT : align == '^' ? VB_J_CENTER : VB_J_RIGHT;
    VB_TRY(vb_j_pad(j, text, s->width, &s->fill, how, &padded));
    return vb_j_add_str(j, buf, &padded);
}

static vb_status add_number(vb_jinja *j, vb_jbuf *buf, const vb_jval *v, spec *s)
{
    char digits[1024], grouped[1400], whole[1500];
    int negative = 0;
    VB_TRY(digits_of(j, v, s, digits, 512, &negative));
    if (s->comma)
        group_digits(digits, grouped);
    else
        snprintf(grouped, sizeof grouped, "%s", digits);
    const char sign[2] = {negative ? '-' : s->sign, 0};
    int zeros = 0, used = (int)(strlen(sign) + strlen(grouped));
    if ((s->zero && s->align == 0) || s->align == '=') zeros = s->width > used ? s->width - used : 0;
    char zero = s->align == '=' && !s->zero ? *s->fill.u.s : '0';
    size_t at = (size_t)snprintf(whole, sizeof whole, "%s", sign);
    size_t prefix = strncmp(grouped, "0x", 2) == 0 || strncmp(grouped, "0X", 2) == 0 ? 2 : 0;
    at += (size_t)snprintf(whole + at, sizeof whole - at, "%.*s", (int)prefix, grouped);
    memset(whole + at, zero, (size_t)zeros);
    snprintf(whole + at + (size_t)zeros, sizeof whole - at - (size_t)zeros, "%s", grouped + prefix);
    vb_jval text = {.type = VB_J_STR, .len = strlen(whole), .u.s = whole};
    return add_padded(j, buf, &text, s, s->align != 0 ? s->align : '>');
}

static vb_status add_text(vb_jinja *j, vb_jbuf *buf, const vb_jval *v, const spec *s, char align)
{
    vb_jval text = *v;
    if (s->precision >= 0) text = vb_j_cut(&text, 0, vb_j_offset(text.u.s, text.len, (size_t)s->precision));
    return add_padded(j, buf, &text, s, align);
}

/* --- percent ------------------------------------------------------------------------------------------- */

static vb_status read_percent(vb_jinja *j, reader *r, spec *s)
{
    *s = no_spec();
    for (;; r->at++) {
        char c = peek(r);
        if (c == '-')
            s->align = '<';
        else if (c == '+')
            s->sign = '+';
        else if (c == ' ')
            s->sign = s->sign == 0 ? ' ' : s->sign;
        else if (c == '0')
            s->zero = 1;
        else if (c == '#')
            s->alternative = 1;
        else
            break;
    }
    VB_TRY(read_number(j, r, &s->width));
    if (take(r, '.')) {
        s->precision = 0;
        VB_TRY(read_number(j, r, &s->precision));
    }
    while (peek(r) == 'l' || peek(r) == 'h' || peek(r) == 'L') r->at++;
    s->type = peek(r);
    r->at++;
    return VB_OK;
}

static vb_status add_percent(vb_jinja *j, vb_jbuf *buf, const vb_jval *v, spec *s)
{
    vb_jval text;
    vb_jbuf repr = {0};
    char align = s->align ? s->align : '>';
    if (s->type == 's') {
        VB_TRY(vb_j_str(j, v, &text));
        return add_text(j, buf, &text, s, align);
    }
    if (s->type == 'r' || s->type == 'a') {
        VB_TRY(vb_j_add_repr(j, &repr, v));
        text = vb_j_done(&repr);
        return add_text(j, buf, &text, s, align);
    }
    if (v->type == VB_J_UNDEF) return vb_j_undefined(j, v);
    if (s->type == 'c' && v->type == VB_J_STR) return add_text(j, buf, v, s, align);
    if (s->type == 0 || strchr("diuxXofFeEgG", s->type) == NULL)
        VB_J_BAD(j, "expected a known type of field behind '%%'");
    if (!vb_j_is_number(v)) VB_J_BAD(j, "expected a number to format, found a %s", vb_j_type_name(v));
    return add_number(j, buf, v, s);
}

static vb_status percent_value(vb_jinja *j, reader *r, const vb_jval *value, size_t *used, vb_jval *out)
{
    size_t n = value->type == VB_J_TUPLE ? value->u.list->n : 1;
    if (take(r, '(')) {
        size_t close = vb_j_search(r->text->u.s, r->text->len, r->at, ")", 1);
        if (close == (size_t)-1 || value->type != VB_J_DICT)
            VB_J_BAD(j, "expected a dict for the named fields of a format");
        vb_jval key = vb_j_cut(r->text, r->at, close - r->at), *found;
        VB_TRY(vb_j_dict_find(j, value->u.dict, &key, &found));
        if (found == NULL) VB_J_BAD(j, "expected a value for every field of the format, found one without");
        *out = *found;
        *used = n;
        r->at = close + 1;
        return VB_OK;
    }
    *out = vb_j_none;
    if (peek(r) == '%') return VB_OK;
    if (*used >= n) VB_J_BAD(j, "expected a value for every field of the format, found %zu", n);
    *out = value->type == VB_J_TUPLE ? value->u.list->items[*used] : *value;
    (*used)++;
    return VB_OK;
}

vb_status vb_j_format(vb_jinja *j, const vb_jval *format, const vb_jval *value, vb_jval *out)
{
    vb_jbuf buf = {0};
    reader r = {format, 0};
    size_t used = 0;
    while (r.at < format->len) {
        size_t hit = vb_j_search(format->u.s, format->len, r.at, "%", 1);
        vb_jval plain = vb_j_cut(format, r.at, (hit == (size_t)-1 ? format->len : hit) - r.at), field;
        VB_TRY(vb_j_add_str(j, &buf, &plain));
        if (hit == (size_t)-1) break;
        r.at = hit + 1;
        spec s;
        VB_TRY(percent_value(j, &r, value, &used, &field));
        VB_TRY(read_percent(j, &r, &s));
        if (s.type == '%')
            VB_TRY(vb_j_add_text(j, &buf, "%"));
        else
            VB_TRY(add_percent(j, &buf, &field, &s));
    }
    int optional = value->type == VB_J_DICT || value->type == VB_J_LIST || value->type == VB_J_UNDEF;
    size_t must = value->type == VB_J_TUPLE ? value->u.list->n : !optional;
    if (used < must)
        VB_J_BAD(j, "expected a field of the format for every value, found more values");
    *out = vb_j_done(&buf);
    return VB_OK;
}

/* --- braces -------------------------------------------------------------------------------------------- */

static int is_align(char c)
{
    return c == '<' || c == '>' || c == '^' || c == '=';
}

static vb_status read_spec(vb_jinja *j, reader *r, spec *s)
{
    uint32_t code;
    *s = no_spec();
    size_t n = r->at < r->text->len ? vb_j_char(r->text->u.s + r->at, r->text->len - r->at, &code) : 0;
    if (n > 0 && r->at + n < r->text->len && is_align(r->text->u.s[r->at + n])) {
        s->fill = vb_j_cut(r->text, r->at, n);
        r->at += n;
    }
    if (is_align(peek(r))) s->align = r->text->u.s[r->at++];
    if (peek(r) == '+' || peek(r) == ' ')
        s->sign = r->text->u.s[r->at++];
    else
        take(r, '-');
    s->alternative = take(r, '#');
    s->zero = take(r, '0');
    VB_TRY(read_number(j, r, &s->width));
    s->comma = take(r, ',');
    if (take(r, '.')) VB_TRY(read_number(j, r, &s->precision));
    if (r->at < r->text->len) s->type = r->text->u.s[r->at++];
    if (r->at < r->text->len || (s->align == '=' && s->fill.len > 1)) VB_J_BAD(j, "expected a format that is known");
    return VB_OK;
}

static vb_status add_brace(vb_jinja *j, vb_jbuf *buf, const vb_jval *v, const vb_jval *format)
{
    spec s;
    vb_jval text;
    reader r = {format, 0};
    VB_TRY(read_spec(j, &r, &s));
    if (vb_j_is_number(v) && !(v->type == VB_J_BOOL && s.type == 0)) {
        int plain_float = v->type == VB_J_FLOAT && s.type == 0;
        if (s.type == 0) s.type = plain_float ? 'g' : 'd';
        if (!plain_float || s.precision >= 0) return add_number(j, buf, v, &s);
    }
    VB_TRY(vb_j_str(j, v, &text));
    if (s.type != 0 && s.type != 's' && s.type != 'g')
        VB_J_BAD(j, "expected a number to format, found a %s", vb_j_type_name(v));
    return add_text(j, buf, &text, &s, s.align ? s.align : vb_j_is_number(v) ? '>' : '<');
}

/* The value of a field named `name`: "", "0", "key", each with ".attr" or "[key]" behind. */
static vb_status field_value(vb_jinja *j, const vb_jval *name, const vb_jargs *args, size_t *next, vb_jval *out)
{
    size_t n = 0, index = 0, digits = 0;
    while (n < name->len && name->u.s[n] != '.' && name->u.s[n] != '[') n++;
    for (; digits < n && digits < 6 && name->u.s[digits] >= '0' && name->u.s[digits] <= '9'; digits++)
        index = index * 10 + (size_t)(name->u.s[digits] - '0');
    if (digits == n) {
        if (n == 0) index = (*next)++;
        if (index >= args->pos.n)
            VB_J_BAD(j, "expected a value for field %zu of the format, found %zu values", index, args->pos.n);
        *out = args->pos.items[index];
    } else {
        vb_jval key = vb_j_cut(name, 0, n), *found;
        VB_TRY(vb_j_dict_find(j, &args->named, &key, &found));
        if (found == NULL) VB_J_BAD(j, "expected a value for every field of the format, found one without");
        *out = *found;
    }
    while (n < name->len) {
        char kind = name->u.s[n++];
        size_t from = n;
        while (n < name->len && (kind == '[' ? name->u.s[n] != ']' : name->u.s[n] != '.' && name->u.s[n] != '[')) n++;
        vb_jval part = vb_j_cut(name, from, n - from), object = *out;
        VB_TRY(kind == '[' ? vb_j_item(j, &object, &part, out) : vb_j_attr(j, &object, part.u.s, part.len, out));
        n += kind == '[' && n < name->len;
    }
    return VB_OK;
}

static vb_status add_field(vb_jinja *j, vb_jbuf *buf, const vb_jval *field, const vb_jargs *args, size_t *next)
{
    size_t colon = vb_j_search(field->u.s, field->len, 0, ":", 1), end = colon == (size_t)-1 ? field->len : colon;
    size_t behind = end < field->len ? end + 1 : end;
    vb_jval format = vb_j_cut(field, behind, field->len - behind);
    vb_jval value, text;
    vb_jbuf repr = {0};
    char conversion = end >= 2 && field->u.s[end - 2] == '!' ? field->u.s[end - 1] : 0;
    vb_jval name = vb_j_cut(field, 0, conversion ? end - 2 : end);
    VB_TRY(field_value(j, &name, args, next, &value));
    if (conversion == 'r') {
        VB_TRY(vb_j_add_repr(j, &repr, &value));
        value = vb_j_done(&repr);
    } else if (conversion == 's') {
        VB_TRY(vb_j_str(j, &value, &text));
        value = text;
    } else if (conversion != 0) {
        VB_J_BAD(j, "expected a conversion !r or !s, found '!%c'", conversion);
    }
    return add_brace(j, buf, &value, &format);
}

vb_status vb_j_format_braces(vb_jinja *j, const vb_jval *format, const vb_jargs *args, vb_jval *out)
{
    vb_jbuf buf = {0};
    size_t next = 0, i = 0, from;
    while (i < format->len) {
        for (from = i; i < format->len && format->u.s[i] != '{' && format->u.s[i] != '}';) i++;
        vb_jval plain = vb_j_cut(format, from, i - from);
        VB_TRY(vb_j_add_str(j, &buf, &plain));
        if (i == format->len) break;
        if (i + 1 < format->len && format->u.s[i + 1] == format->u.s[i]) {
            plain = vb_j_cut(format, i, 1);
            VB_TRY(vb_j_add_str(j, &buf, &plain));
            i += 2;
            continue;
        }
        size_t close = vb_j_search(format->u.s, format->len, i, "}", 1);
        if (format->u.s[i] == '}' || close == (size_t)-1) VB_J_BAD(j, "expected braces in pairs in a format");
        vb_jval field = vb_j_cut(format, i + 1, close - i - 1);
        VB_TRY(add_field(j, &buf, &field, args, &next));
        i = close + 1;
    }
    *out = vb_j_done(&buf);
    return VB_OK;
}
