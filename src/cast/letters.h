/* letters.h - a text read character by character, when its end may not be there yet.
 *
 * What stands at a place is a character, the end of the text, or not known yet. All classes that decide where a line ends
 * are tables of this room or general categories, which never change for a letter: the same on every machine.
 */
#ifndef VB_CAST_LETTERS_H
#define VB_CAST_LETTERS_H
#include <stddef.h>
#include <stdint.h>

/* Instead of a character. */
#define VB_AT_END 0xFFFFFFFFu     /* the text is over */
#define VB_NOT_KNOWN 0xFFFFFFFEu  /* it may go on */
#define VB_NO_LETTER 0x0010FFFFu  /* a byte that belongs to no character; no text has this one */

typedef struct {
    const char *text;
    size_t len; /* whole characters; a begun one at the end of a growing text is left out */
    int over;   /* 1: nothing follows */
} vb_reading;

vb_reading vb_reading_of(const char *text, size_t len, int over);
/* The character at `at`; *len gets its bytes, 0 at the end. */
uint32_t vb_read(const vb_reading *r, size_t at, size_t *len);
/* Its beginning, for the character that ends before `at` > 0. */
size_t vb_read_back(const vb_reading *r, size_t at);

int vb_is_space(uint32_t c);
int vb_is_break(uint32_t c); /* of a line */
int vb_is_word(uint32_t c);  /* letter, digit or mark; bytes that are no character too */
int vb_is_digit(uint32_t c);
int vb_is_lower(uint32_t c);
int vb_is_upper(uint32_t c);
int vb_is_bracket(uint32_t c, int closing);
int vb_is_dot(uint32_t c);  /* a full stop that does other things too */
int vb_is_term(uint32_t c); /* ends a sentence wherever it stands */

#endif
