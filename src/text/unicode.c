/* unicode.c - a binary search over ranges of classes, and UTF-8 by its bit patterns. */
#include "text/unicode.h"

static const struct {
    uint32_t first;
    uint8_t class;
} ranges[] = {
#include "text/unicode_data.inc"
};
enum { RANGES = sizeof ranges / sizeof ranges[0] };

typedef struct {
    uint32_t from, to;
} vb_cp_pair;
static const vb_cp_pair base[] = {
#include "text/unicode_base.inc"
};
static const vb_cp_pair small[] = {
#include "text/unicode_lower.inc"
};
static const vb_cp_pair cases[] = {
#include "text/unicode_case.inc"
};
static const vb_cp_pair hidden[] = {
#include "text/unicode_hidden.inc"
};

vb_cp_class vb_cp_class_of(uint32_t cp)
{
    size_t low = 0, high = RANGES;
    while (high - low > 1) {
        size_t mid = (low + high) / 2;
        if (ranges[mid].first <= cp)
            low = mid;
        else
            high = mid;
    }
    return cp > 0x10ffff ? VB_CP_OTHER : (vb_cp_class)ranges[low].class;
}

int vb_cp_is_space(uint32_t cp)
{
    if (cp < 0x80) return cp == 0x20 || (cp >= 0x09 && cp <= 0x0d);
    return cp == 0x85 || cp == 0xa0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 ||
           cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

/* The last pair that starts at cp or before it; NULL: none. */
static const vb_cp_pair *find_pair(const vb_cp_pair *pair, size_t n, uint32_t cp)
{
    size_t low = 0;
    while (n > low) {
        size_t mid = (low + n) / 2;
        if (pair[mid].from <= cp)
            low = mid + 1;
        else
            n = mid;
    }
    return low > 0 ? &pair[low - 1] : NULL;
}

static uint32_t mapped(const vb_cp_pair *pair, size_t n, uint32_t cp)
{
    const vb_cp_pair *p = find_pair(pair, n, cp);
    return p != NULL && p->from == cp ? p->to : cp;
}

uint32_t vb_cp_lower(uint32_t cp)
{
    if (cp < 0x80) return cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
    return mapped(small, sizeof small / sizeof small[0], cp);
}

uint32_t vb_cp_base(uint32_t cp)
{
    return cp < 0xc0 ? cp : mapped(base, sizeof base / sizeof base[0], cp);
}

int vb_cp_case_of(uint32_t cp)
{
    const vb_cp_pair *p = find_pair(cases, sizeof cases / sizeof cases[0], cp);
    return p == NULL ? 0 : (int)p->to;
}

int vb_cp_is_hidden(uint32_t cp)
{
    const vb_cp_pair *p = find_pair(hidden, sizeof hidden / sizeof hidden[0], cp);
    return p != NULL && cp <= p->to;
}

size_t vb_utf8_read(const char *text, size_t len, uint32_t *cp)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf8 ? 4 : 0;
    uint32_t value = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (i >= len || (p[i] & 0xc0) != 0x80) n = 0;
        if (n > 0) value = value << 6 | (p[i] & 0x3f);
    }
    *cp = n > 0 ? value : 0xfffd;
    return n > 0 ? n : 1;
}

size_t vb_utf8_write(char *out, uint32_t cp)
{
    size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; cp >>= 6) out[i] = (char)(0x80 | (cp & 0x3f));
    out[0] = (char)(lead[n] | cp);
    return n;
}
