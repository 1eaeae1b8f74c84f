/* starts.h - a filter of all beginnings of a vocabulary's texts: how far it is worth looking for a token.
 *
 *   tokens "the" "them"     state after   t   th   the       them      thes
 *                           next answers  GO  GO   GO|WHOLE  GO|WHOLE  0      no token begins with "thes"
 *
 * Two bits a beginning, at a place computed from its bytes one after the other. An answer may say more than is true
 * (two beginnings at one place), never less: what it lets through is looked up in the vocabulary.
 */
#ifndef VB_TEXT_STARTS_H
#define VB_TEXT_STARTS_H
#include "base/arena.h"
#include "text/vocab.h"

enum { VB_STARTS_GO = 1, VB_STARTS_WHOLE = 2 };
#define VB_STARTS_EMPTY 0x243f6a8885a308d3u /* the state before the first byte */

typedef struct {
    uint8_t *bits; /* [4 << shift bits]: GO and WHOLE of four beginnings a byte */
    int shift;
} vb_starts;

/* Of tokens 0..n-1. 0: no memory. */
int vb_starts_open(vb_starts *s, const vb_vocab *vocab, size_t n, vb_arena *arena);

static inline uint64_t vb_starts_step(uint64_t state, uint8_t byte)
{
    return (state ^ byte) * 0x9e3779b97f4a7c15u ^ state >> 29;
}

/* Moves on by one byte; 0: no token begins so. */
static inline int vb_starts_next(const vb_starts *s, uint64_t *state, uint8_t byte)
{
    *state = vb_starts_step(*state, byte);
    uint64_t place = *state >> s->shift;
    return s->bits[place / 4] >> place % 4 * 2 & 3;
}

#endif
