/* utf8.h - where a character ends. */
#ifndef VB_BASE_UTF8_H
#define VB_BASE_UTF8_H
#include <stddef.h>

/* Length of the UTF-8 character at text[0], 0 if it is unfinished, -1 if the byte cannot start or continue one. */
static inline int vb_utf8_character(const char *text, size_t len)
{
    unsigned char c = (unsigned char)text[0];
    int n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : -1;
    for (int i = 1; i < n; i++) {
        if ((size_t)i == len) return 0;
        unsigned char next = (unsigned char)text[i];
        int low = i == 1 && c == 0xe0 ? 0xa0 : i == 1 && c == 0xf0 ? 0x90 : 0x80;
        int high = i == 1 && c == 0xed ? 0x9f : i == 1 && c == 0xf4 ? 0x8f : 0xbf;
        if (next < low || next > high) return -1;
    }
    return n;
}

#endif
