/* unigram.h - SentencePiece's unigram vocabularies: of all ways to write a text in tokens, the most likely one.
 *
 *   U+2581 un + related   -3.1 + -7.9 = -11.0        scores are logarithms; the highest sum wins,
 *   U+2581 unre + lated   -9.4 + -9.9 = -19.3        of equal sums the one found first (shorter token last)
 *
 * Text is normalised first, by a table of replacements in the file (NFKC, usually), and its spaces are written U+2581,
 * runs of them as one if the file says so. A character without a token is unknown; neighbours that are unknown share
 * one token.
 */
#ifndef VB_TEXT_UNIGRAM_H
#define VB_TEXT_UNIGRAM_H
#include "base/err.h"
#include "file/gguf.h"
#include "text/ids.h"
#include "text/starts.h"

typedef struct {
    const vb_vocab *vocab;
    const uint16_t *is; /* [tokens] */
    vb_starts starts;
    uint8_t crosses[256]; /* as vb_spm has it */
    double unknown_score;
    vb_token unknown;
    int merge_spaces;
    const uint8_t *units; /* the table's double array, little-endian words */
    size_t n_units;
    const char *texts; /* the replacements, each with a NUL behind it */
    size_t texts_len;
} vb_unigram;

/* Reads the table of replacements, if there is one. */
vb_status vb_unigram_open(vb_unigram *u, const vb_vocab *vocab, const uint16_t *is, vb_arena *arena, const vb_gguf *g,
                          vb_err *err);
/* With `prefix` a space stands before the text. */
vb_status vb_unigram_encode(const vb_unigram *u, const char *text, size_t len, int prefix, vb_ids *out, vb_err *err);

#endif
