/* special.h - tokens that are found in the raw text before anything is split: control and user-defined ones.
 *
 *   text     a  <s>  b  \n\n\n  c        longer texts win over shorter ones, wherever they stand; among equally long
 *   hits        ^^^      ^^^^^^          ones the lower id, and of one token the leftmost occurrence
 *
 * Some tokens swallow the white space next to them; it belongs to the hit.
 */
#ifndef VB_TEXT_SPECIAL_H
#define VB_TEXT_SPECIAL_H
#include "base/arena.h"
#include "base/err.h"
#include "text/vocab.h"

/* What a token is; several may hold. */
enum {
    VB_IS_NORMAL = 1,
    VB_IS_UNKNOWN = 2,
    VB_IS_CONTROL = 4,
    VB_IS_USER_DEFINED = 8,
    VB_IS_UNUSED = 16,
    VB_IS_BYTE = 32,
    VB_IS_END = 64,        /* ends a generation */
    VB_STRIPS_LEFT = 128,  /* swallows white space */
    VB_STRIPS_RIGHT = 256,
};

typedef struct {
    const vb_vocab *vocab;
    const uint16_t *is; /* [tokens] */
    int parse;          /* 1: control and unknown tokens too */
    uint32_t first[257]; /* lengths[first[b]] .. are those of tokens that start with byte b, longest first */
    uint8_t starts[256][32]; /* bit: some token starts with these two bytes */
    uint32_t *lengths;
    uint32_t *all; /* every length once, longest first */
    size_t n_all;
} vb_special;

typedef struct {
    size_t from, to; /* with swallowed white space */
    int32_t id;
} vb_special_hit;

/* Tokens are 0..n-1; `is` and what the arena holds must stay. */
int vb_special_open(vb_special *s, const vb_vocab *vocab, const uint16_t *is, size_t n, int parse, vb_arena *arena);
/* Hits in order of place, free() them; NULL if there are none. */
vb_status vb_special_find(const vb_special *s, const char *text, size_t len, vb_special_hit **hits, size_t *n,
                          vb_err *err);

#endif
