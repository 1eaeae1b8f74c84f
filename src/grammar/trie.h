/* trie.h - the texts of a vocabulary as one tree of bytes, in the order of a walk through it.
 *
 *   node   byte, depth, `skip`: where the walk goes on when this byte may not stand here
 *          ids [first, first + n) of `order` are the tokens that end with this byte
 *
 * It is read-only once made.
 */
#ifndef VB_GRAMMAR_TRIE_H
#define VB_GRAMMAR_TRIE_H
#include "base/err.h"

enum { VB_TRIE_TEXT_MOST = 1024 }; /* a longer token is never allowed */

typedef struct {
    int skip;
    int first;
    uint16_t n, depth; /* depth of the first byte: 0 */
    uint8_t byte;
} vb_trie_node;

typedef struct {
    vb_trie_node *nodes;
    vb_token *order;
    int n_nodes, n_tokens, n_vocab, depth;
    vb_token *ends; /* tokens that end a text */
    int n_ends;
    char *texts;    /* of all tokens, token i from at[i] to at[i + 1] */
    uint32_t *at;   /* [vocab + 1] */
} vb_trie;

/* The bytes that token `id` writes, up to `cap` of them, and their number; 0 for tokens that write nothing, -1 for
 * those that end the text. */
typedef int64_t (*vb_trie_text_fn)(void *ud, vb_token id, char *buf, size_t cap);

vb_status vb_trie_make(vb_trie *t, int n_vocab, vb_trie_text_fn text, void *ud, vb_err *err);
void vb_trie_free(vb_trie *t);

#endif
