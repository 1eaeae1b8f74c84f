/* tokenizer_parts.h - what a tokenizer consists of; shared by opening, encoding and decoding.
 *
 *   vocab       texts, scores and the way from text to id; behind the tokens, texts that only merges know
 *   is          what each token is (special.h), as corrected by roles.c
 *   bpe | ...   the algorithm
 *   special[p]  tokens that are found in raw text; p: control tokens too
 */
#ifndef VB_TEXT_TOKENIZER_PARTS_H
#define VB_TEXT_TOKENIZER_PARTS_H
#include "text/bpe.h"
#include "text/special.h"
#include "text/spm.h"
#include "text/tokenizer.h"
#include "text/unigram.h"
#include "text/wordpiece.h"

#include <pthread.h>

typedef enum { VB_TOKENIZER_BPE, VB_TOKENIZER_SPM, VB_TOKENIZER_WORDPIECE, VB_TOKENIZER_UNIGRAM } vb_tokenizer_model;

typedef struct {
    pthread_mutex_t lock;
    int known;
    uint8_t bytes[32];
} vb_tokenizer_digest_cache;

struct vb_tokenizer {
    const vb_gguf *g;
    vb_arena arena;
    vb_tokenizer_model model;
    vb_vocab vocab;
    size_t n_tokens;
    uint16_t *is; /* [n_tokens] */
    vb_bpe bpe;
    vb_spm spm;
    vb_wordpiece wordpiece;
    vb_unigram unigram;
    vb_special special[2];
    vb_token bos, eos, sep; /* sep: ends a text where a vocabulary has one, otherwise -1 */
    int add_bos, add_eos;
    int space_prefix; /* text is encoded as if a space stood before it */
    int clean_spaces; /* decoded text loses spaces before punctuation */
    vb_tokenizer_digest_cache *digest;
};

/* roles.c: bos, eos and which tokens end a generation, by keys and by well-known texts; corrects `is`. */
vb_status vb_tokenizer_find_roles(vb_tokenizer *t, vb_err *err);
/* piece.c: bytes of a token with special ones written out; at most `cap` are stored. */
size_t vb_tokenizer_put_piece(const vb_tokenizer *t, vb_token id, char *buf, size_t cap);

#endif
