/* filter.h - words that no line may have. */
#ifndef VB_CAST_FILTER_H
#define VB_CAST_FILTER_H
#include "base/err.h"
#include "verbatim_dialogue.h"

typedef struct vb_filter vb_filter; /* read-only after opening */
/* Words or phrases, in any case. A word without a letter or digit is refused, and so is one that no UTF-8 is. */
vb_status vb_filter_open(vb_filter **out, const char *const *banned, int n, vb_err *err);
void vb_filter_close(vb_filter *filter); /* accepts NULL, as the others do */
uint64_t vb_filter_bytes(const vb_filter *filter);
/* The first banned word or phrase that is certain to be in the text, as it was given; NULL: none. `more` 1: the text
 * grows, its last word may go on. `clean` (may be NULL) holds 0 for a new text and keeps up to where nothing will be found,
 * for the next call on the same text. Allocates nothing. */
const char *vb_filter_find(const vb_filter *filter, const char *text, size_t len, int more, size_t *clean);

#endif
