/* vocabulary.h - a small vocabulary for grammars that are fuzzed: every byte, a few longer texts, an end. */
#ifndef VB_FUZZ_VOCABULARY_H
#define VB_FUZZ_VOCABULARY_H
#include "grammar/grammar.h"

#include <stdlib.h>
#include <string.h>

enum { FUZZ_END = 264, FUZZ_VOCAB = 265 };

static int64_t fuzz_text(void *ud, vb_token id, char *buf, size_t cap)
{
    static const char *const longer[] = {"{\"", "\":", "ab", "abc", "\xc3\xa9", "a\xe2\x82", "tru", "12"};
    (void)ud;
    (void)cap;
    if (id == FUZZ_END) return -1;
    buf[0] = (char)id;
    if (id < 256) return 1;
    memcpy(buf, longer[id - 256], strlen(longer[id - 256]));
    return (int64_t)strlen(longer[id - 256]);
}

/* Up to 24 steps, each to a token of the mask that the steps before decide; what the mask says must be so. */
static inline void fuzz_walk(vb_grammar *g, uint32_t seed)
{
    uint8_t mask[(FUZZ_VOCAB + 7) / 8];
    for (int step = 0; step < 24; step++) {
        vb_token allowed[FUZZ_VOCAB];
        uint32_t n = 0;
        vb_err err = {0};
        if (vb_grammar_mask(g, mask, sizeof mask, &err) != VB_OK) {
            if (err.code != VB_E_UNSUPPORTED) abort();
            return;
        }
        for (vb_token id = 0; id < FUZZ_VOCAB; id++)
            if (vb_mask_has(mask, id)) allowed[n++] = id;
        if (n == 0) return;
        seed = seed * 1664525u + 1013904223u;
        if (vb_grammar_accept(g, allowed[(seed >> 8) % n], &err) != VB_OK) abort();
    }
}

static inline const vb_trie *fuzz_trie(void)
{
    static vb_trie trie;
    if (trie.n_vocab == 0 && vb_trie_make(&trie, FUZZ_VOCAB, fuzz_text, NULL, NULL) != VB_OK) abort();
    return &trie;
}

typedef vb_status (*fuzz_read)(vb_rules *rules, int *root, const char *text, size_t len, vb_err *err);

/* A text read as a grammar is refused with one line, or gives masks that can be followed. */
static inline void fuzz_grammar(fuzz_read read, const uint8_t *data, size_t size)
{
    vb_rules rules;
    vb_grammar *g = NULL;
    vb_err err = {0};
    int root = 0;
    vb_rules_start(&rules);
    vb_status s = read(&rules, &root, (const char *)data, size, &err);
    if (s == VB_OK) s = vb_grammar_make(&g, &rules, root, fuzz_trie(), &err);
    vb_rules_free(&rules);
    if (s == VB_OK) fuzz_walk(g, (uint32_t)size);
    else if (err.text[0] == 0 || err.code != s || g != NULL) abort();
    vb_grammar_close(g);
}

#endif
