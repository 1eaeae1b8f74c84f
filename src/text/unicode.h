/* unicode.h - code points: reading and writing UTF-8, and the classes that word splitters ask for.
 *
 * One Unicode version is pinned (src/text/unicode_*.inc), so that the same text is split the same way everywhere.
 */
#ifndef VB_TEXT_UNICODE_H
#define VB_TEXT_UNICODE_H
#include <stddef.h>
#include <stdint.h>

typedef enum { VB_CP_OTHER, VB_CP_LETTER, VB_CP_NUMBER, VB_CP_PUNCTUATION, VB_CP_SYMBOL, VB_CP_MARK } vb_cp_class;

vb_cp_class vb_cp_class_of(uint32_t cp);
int vb_cp_is_space(uint32_t cp); /* what \s matches */

uint32_t vb_cp_lower(uint32_t cp); /* the first code point of its lower case */
uint32_t vb_cp_base(uint32_t cp);  /* the first code point of its canonical decomposition; not for Hangul syllables */
int vb_cp_case_of(uint32_t cp);    /* 1: capital or title-case letter, 2: small letter, 0: neither */
int vb_cp_is_hidden(uint32_t cp);  /* control, format, private and surrogate characters */

/* The code point at text[0] and its length, len > 0. As lenient as the tokenizers that GGUF vocabularies were made for:
 * overlong forms and surrogates are read; a byte that starts nothing whole is U+FFFD, length 1. The result can be
 * above U+10FFFF. */
size_t vb_utf8_read(const char *text, size_t len, uint32_t *cp);
/* Up to 4 bytes; cp <= U+10FFFF. Returns the length. */
size_t vb_utf8_write(char *out, uint32_t cp);

#endif
