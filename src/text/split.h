/* split.h - cutting text into words before byte-level BPE, by hand-written matchers of the published patterns.
 *
 * `tokenizer.ggml.pre` names a list of matchers. The first cuts the text into its matches and the gaps between them,
 * the next cuts each of those, and so on; a matcher never looks over the edge of its piece.
 */
#ifndef VB_TEXT_SPLIT_H
#define VB_TEXT_SPLIT_H
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const uint32_t *cp;
    const uint8_t *class; /* vb_cp_class, or VB_CP_SPACE */
    size_t n;
} vb_codepoints;
enum { VB_CP_SPACE = 15 };

typedef struct vb_split vb_split;
const vb_split *vb_split_find(const char *pre, size_t len); /* NULL: unknown name */
int vb_split_whole_words(const vb_split *s); /* 1: a word that is a token is not merged from its parts */
int vb_split_adds_bos(const vb_split *s);    /* what a file that does not say means */
const char *vb_split_names(void);            /* for errors */

/* Calls `word` for each piece [from, to) in order; stops at a negative status and returns it. */
typedef int (*vb_word_fn)(void *ud, size_t from, size_t to);
int vb_split_run(const vb_split *s, const vb_codepoints *text, vb_word_fn word, void *ud);

#endif
