/* grammar.h - a vb_grammar from rules and a vocabulary. What it does is said in verbatim.h. */
#ifndef VB_GRAMMAR_GRAMMAR_H
#define VB_GRAMMAR_GRAMMAR_H
#include "grammar/expr.h"
#include "grammar/trie.h"

/* The trie must live longer. */
vb_status vb_grammar_make(vb_grammar **out, const vb_rules *rules, int root, const vb_trie *trie, vb_err *err);
/* Keeps what it was made from; `kind` stays with the caller. */
vb_status vb_grammar_remember(vb_grammar *grammar, const char *kind, const char *text, size_t len, vb_err *err);
/* A mask has one bit a token, the lowest bit of the first byte is token 0. */
static inline int vb_mask_has(const uint8_t *mask, vb_token id)
{
    return mask[id >> 3] >> (id & 7) & 1;
}
static inline size_t vb_mask_bytes(int n_vocab)
{
    return ((size_t)n_vocab + 7) / 8;
}

#endif
