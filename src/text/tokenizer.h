/* tokenizer.h - text to ids and ids to bytes, exactly as the vocabulary's makers did it.
 *
 * A tokenizer keeps pointers into the GGUF file, which must stay open longer. It is read-only after opening (the digest
 * is computed once, guarded), so threads may share it.
 */
#ifndef VB_TEXT_TOKENIZER_H
#define VB_TEXT_TOKENIZER_H
#include "file/gguf.h"

typedef struct vb_tokenizer vb_tokenizer;

typedef enum {
    VB_TOKEN_NORMAL,
    VB_TOKEN_UNKNOWN,
    VB_TOKEN_CONTROL,
    VB_TOKEN_USER_DEFINED,
    VB_TOKEN_UNUSED,
    VB_TOKEN_BYTE,
} vb_token_kind;

/* Needs the tokenizer.* keys only; other metadata and tensors may be missing. */
vb_status vb_tokenizer_open(vb_tokenizer **out, const vb_gguf *g, vb_err *err);
void vb_tokenizer_close(vb_tokenizer *t);

/* flags: VB_ADD_SPECIAL, VB_PARSE_SPECIAL, VB_STOP_WHEN_FULL. Returns the count, also when it is more than `cap`. User-defined tokens are
 * found in the text with any flags, control tokens with VB_PARSE_SPECIAL only. */
int64_t vb_tokenizer_encode(const vb_tokenizer *t, const char *text, size_t len, int flags, vb_token *ids, size_t cap,
                            vb_err *err);
/* Bytes, also when they are more than `cap`; control tokens are left out unless `special`. */
int64_t vb_tokenizer_decode(const vb_tokenizer *t, const vb_token *ids, size_t n, int special, char *buf, size_t cap,
                            vb_err *err);
/* What one token adds in the middle of a text; control tokens written out. VB_E_ARGUMENT: no such token. */
int64_t vb_tokenizer_piece(const vb_tokenizer *t, vb_token id, char *buf, size_t cap);

size_t vb_tokenizer_longest(const vb_tokenizer *t); /* bytes of text that one token can stand for; SIZE_MAX: any */
int vb_tokenizer_size(const vb_tokenizer *t);
vb_token vb_tokenizer_bos(const vb_tokenizer *t); /* -1: none */
vb_token vb_tokenizer_eos(const vb_tokenizer *t);
vb_token vb_tokenizer_find(const vb_tokenizer *t, const char *text, size_t len); /* exact text; -1: none */
int vb_tokenizer_kind_of(const vb_tokenizer *t, vb_token id); /* a vb_token_kind; VB_TOKEN_UNUSED: no such token */
int vb_tokenizer_ends(const vb_tokenizer *t, vb_token id);    /* 1: ends a generation */
/* SHA-256 over everything that decides what the functions above answer. */
void vb_tokenizer_digest(const vb_tokenizer *t, uint8_t out[32]);

#endif
