/* abbreviations.h - words that a full stop may follow inside a sentence. */
#ifndef VB_CAST_ABBREVIATIONS_H
#define VB_CAST_ABBREVIATIONS_H
#include <stddef.h>

typedef enum {
    VB_ABBR_NONE,
    VB_ABBR_INSIDE,  /* never ends a sentence: "Mr." */
    VB_ABBR_NUMBER,  /* not if a number follows: "No. 5" */
    VB_ABBR_OPEN,    /* only if an upper-case letter or nothing follows: "etc." */
    VB_ABBR_INITIALS /* only if a word follows with which many sentences begin, or nothing: "J.", "U.S." */
} vb_abbr;

/* Of the word before a full stop, dots inside included: "e.g". */
vb_abbr vb_abbr_of(const char *word, size_t len);
int vb_abbr_starts(const char *word, size_t len); /* 1: many sentences begin with it, and few names */
int vb_abbr_month(const char *word, size_t len);  /* 1: what follows "3." in a date */

#endif
