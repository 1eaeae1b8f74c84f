/* letters.c - characters and their classes (see letters.h). */
#include "cast/letters.h"

#include <utf8proc.h>

static const uint16_t lows[4] = {0, 0x80, 0x800, 0};

/* Bytes of the character that this one begins; 0: it begins none. */
static size_t length_of(unsigned char lead)
{
    if (lead < 0x80) return 1;
    if (lead < 0xC2 || lead > 0xF4) return 0;
    return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

static uint32_t decode(const unsigned char *s, size_t have, size_t *len)
{
    size_t n = length_of(s[0]);
    *len = 1;
    if (n == 1) return s[0];
    if (n == 0 || n > have) return VB_NO_LETTER;
    uint32_t c = s[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80) return VB_NO_LETTER;
        c = c << 6 | (s[i] & 0x3F);
    }
    if (c < lows[n - 1] || (n == 4 && c < 0x10000) || c >= VB_NO_LETTER || (c >= 0xD800 && c < 0xE000)) return VB_NO_LETTER;
    *len = n;
    return c;
}

/* How many bytes at the end are the beginning of a character. */
static size_t begun(const unsigned char *s, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char c = s[len - back];
        if ((c & 0xC0) == 0x80) continue;
        return length_of(c) > back ? back : 0;
    }
    return 0;
}

vb_reading vb_reading_of(const char *text, size_t len, int over)
{
    if (!over) len -= begun((const unsigned char *)text, len);
    return (vb_reading){text, len, over};
}

uint32_t vb_read(const vb_reading *r, size_t at, size_t *len)
{
    *len = 0;
    if (at >= r->len) return r->over ? VB_AT_END : VB_NOT_KNOWN;
    return decode((const unsigned char *)r->text + at, r->len - at, len);
}

size_t vb_read_back(const vb_reading *r, size_t at)
{
    for (size_t back = 2; back <= 4 && back <= at; back++) {
        size_t len;
        decode((const unsigned char *)r->text + at - back, back, &len);
        if (len == back) return at - back;
    }
    return at - 1;
}

/* --- classes ------------------------------------------------------------------------------------------- */

static utf8proc_category_t category(uint32_t c)
{
    return c <= 0x10FFFF ? utf8proc_category((utf8proc_int32_t)c) : UTF8PROC_CATEGORY_CN;
}

int vb_is_break(uint32_t c)
{
    return (c >= 0x0A && c <= 0x0D) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

int vb_is_space(uint32_t c)
{
    if (c < 0x80) return c == ' ' || (c >= 0x09 && c <= 0x0D);
    return vb_is_break(c) || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x202F || c == 0x205F ||
           c == 0x3000;
}

int vb_is_digit(uint32_t c)
{
    if (c < 0x80) return c >= '0' && c <= '9';
    return category(c) == UTF8PROC_CATEGORY_ND;
}

int vb_is_word(uint32_t c)
{
    if (c < 0x80) return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    if (c == VB_NO_LETTER) return 1;
    utf8proc_category_t k = category(c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NO);
}

/* Georgian letters count as lower case, and sentences begin with them. */
int vb_is_lower(uint32_t c)
{
    if (c < 0x80) return c >= 'a' && c <= 'z';
    return category(c) == UTF8PROC_CATEGORY_LL && !(c >= 0x10D0 && c <= 0x10FF);
}

int vb_is_upper(uint32_t c)
{
    if (c < 0x80) return c >= 'A' && c <= 'Z';
    return category(c) == UTF8PROC_CATEGORY_LU || category(c) == UTF8PROC_CATEGORY_LT;
}

int vb_is_bracket(uint32_t c, int closing)
{
    if (c < 0x80) return closing ? c == ')' || c == ']' || c == '}' : c == '(' || c == '[' || c == '{';
    return category(c) == (closing ? UTF8PROC_CATEGORY_PE : UTF8PROC_CATEGORY_PS);
}

int vb_is_dot(uint32_t c)
{
    return c == '.' || c == 0x2024 || c == 0xFE52 || c == 0xFF0E;
}

/* Unicode's STerm without the full stops, with the Greek question mark and the Georgian paragraph separator. */
static const uint32_t terms[][2] = {
    {'!', '!'}, {'?', '?'}, {0x37E, 0x37E}, {0x589, 0x589}, {0x61D, 0x61F}, {0x6D4, 0x6D4}, {0x700, 0x702},
    {0x7F9, 0x7F9}, {0x837, 0x837}, {0x839, 0x839}, {0x83D, 0x83E}, {0x964, 0x965}, {0x104A, 0x104B}, {0x10FB, 0x10FB},
    {0x1362, 0x1362}, {0x1367, 0x1368}, {0x166E, 0x166E}, {0x1735, 0x1736}, {0x1803, 0x1803}, {0x1809, 0x1809},
    {0x1944, 0x1945}, {0x1AA8, 0x1AAB}, {0x1B5A, 0x1B5B}, {0x1B5E, 0x1B5F}, {0x1B7D, 0x1B7E}, {0x1C3B, 0x1C3C},
    {0x1C7E, 0x1C7F}, {0x203C, 0x203D}, {0x2047, 0x2049}, {0x2E2E, 0x2E2E}, {0x2E3C, 0x2E3C}, {0x2E53, 0x2E54},
    {0x3002, 0x3002}, {0xA4FF, 0xA4FF}, {0xA60E, 0xA60F}, {0xA6F3, 0xA6F3}, {0xA6F7, 0xA6F7}, {0xA876, 0xA877},
    {0xA8CE, 0xA8CF}, {0xA92F, 0xA92F}, {0xA9C8, 0xA9C9}, {0xAA5D, 0xAA5F}, {0xAAF0, 0xAAF1}, {0xABEB, 0xABEB},
    {0xFE56, 0xFE57}, {0xFF01, 0xFF01}, {0xFF1F, 0xFF1F}, {0xFF61, 0xFF61}, {0x10A56, 0x10A57}, {0x10F55, 0x10F59},
    {0x10F86, 0x10F89}, {0x11047, 0x11048}, {0x110BE, 0x110C1}, {0x11141, 0x11143}, {0x111C5, 0x111C6},
    {0x111CD, 0x111CD}, {0x111DE, 0x111DF}, {0x11238, 0x11239}, {0x1123B, 0x1123C}, {0x112A9, 0x112A9},
    {0x1144B, 0x1144C}, {0x115C2, 0x115C3}, {0x115C9, 0x115D7}, {0x11641, 0x11642}, {0x1173C, 0x1173E},
    {0x11944, 0x11944}, {0x11946, 0x11946}, {0x11A42, 0x11A43}, {0x11A9B, 0x11A9C}, {0x11C41, 0x11C42},
    {0x11EF7, 0x11EF8}, {0x16A6E, 0x16A6F}, {0x16AF5, 0x16AF5}, {0x16B37, 0x16B38}, {0x16B44, 0x16B44},
    {0x16E98, 0x16E98}, {0x1BC9F, 0x1BC9F}, {0x1DA88, 0x1DA88},
};

int vb_is_term(uint32_t c)
{
    size_t low = 0, high = sizeof terms / sizeof *terms;
    if (c < 0x80) return c == '!' || c == '?';
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c > terms[middle][1]) low = middle + 1;
        else high = middle;
    }
    return low < sizeof terms / sizeof *terms && c >= terms[low][0];
}
