/* quotes.h - which quotation mark opens, and which one closes what. */
#ifndef VB_CAST_QUOTES_H
#define VB_CAST_QUOTES_H
#include "cast/letters.h"

typedef enum {
    VB_QUOTE_OPENS,
    VB_QUOTE_CLOSES, /* one that is open */
    VB_QUOTE_STRAY,  /* it closes one that stands before the text, if any */
    VB_QUOTE_UNKNOWN /* what follows decides */
} vb_quote_role;

enum { VB_QUOTES_DEEP = 8 }; /* those that are opened deeper down are not counted */
typedef struct {
    struct {
        uint32_t mark;
        size_t at;
    } open[VB_QUOTES_DEEP];
    int n;
} vb_quotes;

int vb_is_quote(uint32_t c);       /* apostrophes are none: they mean too many other things */
int vb_is_apostrophe(uint32_t c);
/* `left` and `right` are its neighbours; left VB_AT_END: it is the first. */
vb_quote_role vb_quote_role_of(const vb_quotes *q, uint32_t mark, uint32_t left, uint32_t right);
/* Takes note of it. Of one that closes *opened (may be NULL) gets the place of its opposite. */
void vb_quote_pass(vb_quotes *q, uint32_t mark, vb_quote_role role, size_t at, size_t *opened);

#endif
