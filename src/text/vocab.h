/* vocab.h - what the parts of the tokenizer share: the vocabulary's tables, and where ids go.
 *
 *   tokens   texts in the map, by id            index    text -> id, open addressing
 *   kinds    a byte a token                      merges   "left right" -> rank, for BPE
 *   special  ids of tokens that are cut out of a text before anything else, sorted by text
 */
#ifndef VB_TEXT_VOCAB_H
#define VB_TEXT_VOCAB_H
#include "base/arena.h"
#include "text/split.h"
#include "text/tokenizer.h"

/* Texts to positions. Equal texts: the later position wins. */
typedef struct {
    const vb_text *texts;
    uint32_t *slots; /* position + 1; 0: free */
    uint32_t mask;
} vb_text_index;
vb_status vb_text_index_make(vb_text_index *index, vb_arena *arena, const vb_text *texts, size_t n, vb_err *err);
int32_t vb_text_index_find(const vb_text_index *index, const char *text, size_t len); /* -1: none */
/* The position of `left`, a space, `right`. Texts of more than 511 bytes together are not found. */
int32_t vb_text_index_find_pair(const vb_text_index *index, vb_text left, vb_text right);

struct vb_tokenizer {
    vb_arena arena;
    const char *path;
    int spm; /* 1: SentencePiece, 0: byte-level BPE */
    int n;
    vb_text *tokens;
    uint8_t *kinds;
    float *scores; /* SentencePiece only */
    vb_text_index index, merges;
    vb_text *merge_texts;
    uint32_t n_merges;
    const vb_split *split;
    vb_text pre;
    int add_bos, add_eos, add_space;
    vb_token bos, eos, unknown;
    vb_token byte_token[256]; /* SentencePiece: <0xNN>, -1: none */
    vb_token *special;
    int n_special, longest_special;
    uint8_t *ends; /* a bit a token: it ends a generation */
    uint8_t digest[32];
};

typedef struct {
    const vb_tokenizer *t;
    vb_token *ids;
    size_t cap, n;
    vb_err *err;
} vb_id_sink;

static inline void vb_id_push(vb_id_sink *s, vb_token id)
{
    if (s->n < s->cap) s->ids[s->n] = id;
    s->n++;
}

/* A run of text without special tokens in it. */
vb_status vb_bpe_encode(vb_id_sink *s, const char *text, size_t len);
vb_status vb_spm_encode(vb_id_sink *s, const char *text, size_t len, int prefix_space);
/* Byte-level texts: each byte is written as a code point of its own. out holds 2 * len bytes. */
size_t vb_byte_level_write(char *out, const char *bytes, size_t len);
/* The bytes a byte-level text stands for; characters that stand for none are copied. out holds len bytes. */
size_t vb_byte_level_read(char *out, const char *text, size_t len);

/* Special tokens in a text: longest first, then leftmost, as if each were searched in turn. */
typedef struct {
    size_t at, len;
    vb_token id;
} vb_special_hit;
/* Hits in order of place, malloc'd; control tokens only if `control`. */
vb_status vb_special_find(const vb_tokenizer *t, const char *text, size_t len, int control, vb_special_hit **hits,
                          size_t *n, vb_err *err);
vb_status vb_special_sort(vb_tokenizer *t, vb_err *err);

#endif
