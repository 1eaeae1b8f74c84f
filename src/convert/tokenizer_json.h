/* tokenizer_json.h - a tokenizer.json as checked tables: pieces by id, merges, added tokens, and the parts that say how
 * text is cut.
 *
 *   "model": {"type": "BPE", "vocab": {"a": 0, ...}, "merges": ["a b", ...] or [["a", "b"], ...]}
 *            {"type": "Unigram", "vocab": [["a", -1.5], ...], "unk_id": 0}
 *            {"type": "WordPiece", "vocab": {"a": 0, ...}}
 *   "added_tokens": [{"id": 3, "content": "<x>", "special": true, "normalized": false, ...}, ...]
 *
 * Invariant: every id below `n` has a text of its own; ids that nobody names are [PAD<id>], and there are fewer of
 * them than of the others. Both halves of a merge and what it makes are pieces. Texts stay in the tree, which is kept.
 */
#ifndef VB_CONVERT_TOKENIZER_JSON_H
#define VB_CONVERT_TOKENIZER_JSON_H
#include "base/arena.h"
#include "convert/json.h"
#include "file/gguf.h"
#include "text/vocab.h"

enum { VB_TOKENIZER_JSON_MOST = 1 << 22 }; /* pieces */

typedef enum { VB_JSON_BPE, VB_JSON_UNIGRAM, VB_JSON_WORDPIECE } vb_tokenizer_json_kind;

enum {
    VB_PIECE_NONE, /* nobody names this id */
    VB_PIECE_BASE,
    VB_PIECE_ADDED,   /* found in the text as it is */
    VB_PIECE_SPECIAL, /* the same, and not part of it */
};

typedef struct {
    vb_text left, right;
} vb_merge;

typedef struct {
    json_t *root;
    const char *name; /* of the file, the caller's */
    vb_arena arena;
    vb_tokenizer_json_kind kind;
    int byte_fallback, ignore_merges;
    int64_t unk;    /* -1: none */
    uint64_t n, cap;
    vb_vocab vocab; /* scores of unigrams */
    uint8_t *is;    /* [n] of VB_PIECE_* */
    uint64_t n_base; /* pieces of the model itself */
    vb_merge *merges;
    uint64_t n_merges;
} vb_tokenizer_json;

/* Takes `root` over, also if it fails; vb_tokenizer_json_free in either case. */
vb_status vb_tokenizer_json_read(vb_tokenizer_json *t, json_t *root, const char *name, vb_err *err);
void vb_tokenizer_json_free(vb_tokenizer_json *t);

/* A token joins that stands beside the file: in tokenizer_config.json or added_tokens.json; the text stays the
 * caller's. An id that is taken by another text is an error. `is`: VB_PIECE_ADDED or _SPECIAL. What joined is found
 * by its text once vb_tokenizer_json_index has been called. */
vb_status vb_tokenizer_json_add(vb_tokenizer_json *t, vb_text text, uint64_t id, int is, vb_err *err);
vb_status vb_tokenizer_json_index(vb_tokenizer_json *t, vb_err *err);

/* The same table out of vocab.json and merges.txt, or of vocab.txt. */
vb_status vb_tokenizer_json_of_gpt2(vb_tokenizer_json *t, json_t *vocab, const char *merges, size_t len,
                                    const char *name, vb_err *err);
vb_status vb_tokenizer_json_of_words(vb_tokenizer_json *t, const char *lines, size_t len, const char *name,
                                     vb_err *err);

#endif
