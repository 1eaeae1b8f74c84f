/* text.c - bytes of any kind to what a browser may show.
 *
 * Invariant: what is written is valid UTF-8 without control characters, without those that turn the direction of
 * writing around, and without any character that could begin markup, a reference or the end of a script.
 */
#include "page/parts.h"

#include <math.h>
#include <string.h>
#include <utf8proc.h>

enum { GLYPH = 24 };

static int is_hidden(utf8proc_int32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x200b || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x2069) || c == 0xfeff || (c & 0xfffe) == 0xfffe;
}

/* One character of the text as a person should see it, NUL-terminated; returns the bytes it took. */
static size_t next_glyph(const char *text, size_t len, char out[GLYPH])
{
    utf8proc_int32_t c;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)len, &c);
    if (n <= 0) {
        snprintf(out, GLYPH, "\\x%02x", (unsigned char)*text);
        return 1;
    }
    if (c == '\n') strcpy(out, "\u21b5");
    else if (c == '\t') strcpy(out, "\u21e5");
    else if (c < 0x80 && is_hidden(c)) snprintf(out, GLYPH, "\\x%02x", (unsigned)c);
    else if (is_hidden(c)) snprintf(out, GLYPH, "\u27e8U+%04X\u27e9", (unsigned)c);
    else {
        memcpy(out, text, (size_t)n);
        out[n] = '\0';
    }
    return (size_t)n;
}

static void put_html(FILE *to, const char *glyph)
{
    switch (*glyph) {
    case '<': fputs("&lt;", to); break;
    case '>': fputs("&gt;", to); break;
    case '&': fputs("&amp;", to); break;
    case '"': fputs("&quot;", to); break;
    case '\'': fputs("&#39;", to); break;
    default: fputs(glyph, to);
    }
}

void vb_page_html(FILE *to, const char *text, size_t len)
{
    char glyph[GLYPH];
    for (size_t i = 0; i < len;) {
        i += next_glyph(text + i, len - i, glyph);
        put_html(to, glyph);
    }
}

void vb_page_words(FILE *to, const char *text)
{
    if (text != NULL) vb_page_html(to, text, strlen(text));
}

static void put_json(FILE *to, const char *glyph)
{
    if (strchr("<>&'", *glyph) != NULL) fprintf(to, "\\u%04x", (unsigned)*glyph);
    else if (*glyph == '"') fputs("\\\"", to);
    else if (*glyph != '\\') fputs(glyph, to);
    else fprintf(to, "\\\\%s", glyph + 1);
}

void vb_page_json(FILE *to, const char *text, size_t len)
{
    char glyph[GLYPH];
    fputc('"', to);
    for (size_t i = 0; i < len;) {
        i += next_glyph(text + i, len - i, glyph);
        put_json(to, glyph);
    }
    fputc('"', to);
}

void vb_page_number(FILE *to, double value)
{
    if (isfinite(value)) fprintf(to, "%.6g", value);
    else fputs("null", to);
}

void vb_page_chip(FILE *to, const char *verdict, vb_page_tone tone)
{
    static const char *const tones[] = {"neutral", "good", "explained", "bad"};
    if (verdict == NULL) return;
    fprintf(to, "<span class=\"chip %s\">", tones[tone <= VB_PAGE_BAD ? tone : VB_PAGE_BAD]);
    vb_page_words(to, verdict);
    fputs("</span>", to);
}
