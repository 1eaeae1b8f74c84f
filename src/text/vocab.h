/* vocab.h - the texts of a vocabulary and the way back from a text to its id.
 *
 * Texts stay where they are (in the mapped file, or in the owner's arena); the vocabulary holds one entry and one hash
 * slot for each, in two blocks of memory, so that a quarter of a million tokens open in milliseconds. No two entries
 * have the same text.
 */
#ifndef VB_TEXT_VOCAB_H
#define VB_TEXT_VOCAB_H
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *text;
    uint32_t len;
    float score;
} vb_piece;

typedef struct {
    uint32_t hash;
    int32_t id; /* -1: free */
} vb_vocab_slot;

typedef struct {
    vb_piece *pieces;
    vb_vocab_slot *slots; /* [mask + 1] */
    size_t n, cap, mask;
    size_t longest; /* bytes of the longest text */
} vb_vocab;

enum { VB_VOCAB_MOST = 1 << 30 };

int vb_vocab_reserve(vb_vocab *v, size_t n); /* 0: no memory */
void vb_vocab_free(vb_vocab *v);
/* Makes pieces[0..n) findable, whose texts the caller has stored in reserved room. Returns n, or the lowest id whose
 * text an earlier one has too. */
size_t vb_vocab_index(vb_vocab *v, size_t n);
int32_t vb_vocab_find(const vb_vocab *v, const char *text, size_t len); /* -1: none */
/* The id of a text that is new (v->n before the call) or already there; -1: no memory. */
int32_t vb_vocab_intern(vb_vocab *v, const char *text, size_t len);

#endif
