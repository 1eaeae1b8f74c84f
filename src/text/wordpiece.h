/* wordpiece.h - WordPiece, the vocabulary of BERT: each word is cut greedily into the longest tokens.
 *
 *   "Héllo, worlds"  ->  hello | , | worlds  ->  U+2581 hello   U+2581 ,   U+2581 world   s
 *
 * Text is cleaned first: control characters go, letters lose their accents and their capitals (each if the file says
 * so), white space, punctuation and Chinese characters separate words. GGUF files write U+2581 before a token that
 * starts a word. A word that cannot be cut into tokens is the unknown token as a whole.
 */
#ifndef VB_TEXT_WORDPIECE_H
#define VB_TEXT_WORDPIECE_H
#include "base/err.h"
#include "text/ids.h"
#include "text/starts.h"

typedef struct {
    const vb_vocab *vocab;
    vb_starts starts;
    vb_token unknown;
    int lower, strip; /* capitals, accents */
} vb_wordpiece;

int vb_wordpiece_open(vb_wordpiece *w, const vb_vocab *vocab, vb_arena *arena); /* 0: no memory */
vb_status vb_wordpiece_encode(const vb_wordpiece *w, const char *text, size_t len, vb_ids *out, vb_err *err);

#endif
