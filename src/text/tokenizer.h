/* tokenizer.h - text to ids and back, as a GGUF's vocabulary says.
 *
 *   text --special.c--> runs between special tokens --bpe.c | spm.c--> ids
 *
 * Two kinds of vocabulary (`tokenizer.ggml.model`): "gpt2", byte-level BPE by merge ranks over words that split.c cuts;
 * "llama", SentencePiece BPE by scores with byte fallback. Ids and bytes are those of llama.cpp on the same file. A
 * tokenizer keeps pointers into the file's map; it is read-only once opened and may be shared by threads.
 */
#ifndef VB_TEXT_TOKENIZER_H
#define VB_TEXT_TOKENIZER_H
#include "file/gguf.h"

typedef struct vb_tokenizer vb_tokenizer;

/* `tokenizer.ggml.token_type` */
enum {
    VB_TOKEN_NORMAL = 1,
    VB_TOKEN_UNKNOWN,
    VB_TOKEN_CONTROL,
    VB_TOKEN_USER_DEFINED,
    VB_TOKEN_UNUSED,
    VB_TOKEN_BYTE
};

vb_status vb_tokenizer_open(vb_tokenizer **out, const vb_gguf *g, vb_err *err);
void vb_tokenizer_close(vb_tokenizer *t);

/* Flags VB_ADD_SPECIAL, VB_PARSE_SPECIAL. The count of ids, also when more than `cap`, or a negative status. */
int64_t vb_tokenizer_encode(const vb_tokenizer *t, const char *text, size_t len, int flags, vb_token *ids, size_t cap,
                            vb_err *err);
/* The count of bytes, also when more than `cap`; control tokens are written out if `special`, else left out. */
int64_t vb_tokenizer_decode(const vb_tokenizer *t, const vb_token *ids, size_t n, int special, char *buf, size_t cap,
                            vb_err *err);
/* The bytes of one token inside a text, control tokens written out. VB_E_ARGUMENT if there is no such id. */
int64_t vb_tokenizer_piece(const vb_tokenizer *t, vb_token id, char *buf, size_t cap);

int vb_tokenizer_size(const vb_tokenizer *t);
vb_token vb_tokenizer_bos(const vb_tokenizer *t); /* -1: none */
vb_token vb_tokenizer_eos(const vb_tokenizer *t);
int vb_tokenizer_ends(const vb_tokenizer *t, vb_token id); /* EOS, end of turn and their usual names */
int vb_tokenizer_kind_of(const vb_tokenizer *t, vb_token id);
vb_token vb_tokenizer_find(const vb_tokenizer *t, const char *text, size_t len); /* exact text; -1: none */
/* SHA-256 over everything that decides tokenization. */
void vb_tokenizer_digest(const vb_tokenizer *t, uint8_t out[32]);

#endif
