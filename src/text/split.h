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
const char *vb_split_name(const vb_split *s);
const vb_split *vb_split_at(size_t i); /* all of them, one after the other; NULL: no more */

/* What else a name says about its vocabularies. */
enum {
    VB_SPLIT_WHOLE_WORDS = 1,  /* a word that is a token is not merged from its parts */
    VB_SPLIT_ADDS_BOS = 2,     /* unless the file says otherwise */
    VB_SPLIT_WITHOUT_BOS = 4,  /* a file that names no BOS token has none */
    VB_SPLIT_KEEPS_SPACES = 8, /* decoded text is not closed up before punctuation */
    VB_SPLIT_SIGNS = 16,       /* characters are letters, not bytes; spaces are written U+2581 */
    VB_SPLIT_WHOLE_LINES = 32, /* a word of line ends that is a token is not merged from its parts */
};
int vb_split_is(const vb_split *s, int what);

/* Calls `word` for each piece [from, to) in order; stops at a negative status and returns it. */
typedef int (*vb_word_fn)(void *ud, size_t from, size_t to);
int vb_split_run(const vb_split *s, const vb_codepoints *text, vb_word_fn word, void *ud);

#endif
