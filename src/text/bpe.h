/* bpe.h - BPE by a list of merges: letters become words by merges in order of rank.
 *
 * Most vocabularies are byte-level: every byte is a letter. They write bytes as printable characters: '!'..'~', U+00A1..U+00AC and U+00AE..U+00FF are themselves, the
 * other 68 bytes are U+0100 and up in order (space is U+0120, newline U+010A).
 *
 * Others (VB_SPLIT_SIGNS) have characters as letters and write a space U+2581, as SentencePiece does; what ends up as
 * no token becomes the tokens of its bytes, `<0x00>` to `<0xFF>`.
 */
#ifndef VB_TEXT_BPE_H
#define VB_TEXT_BPE_H
#include "base/arena.h"
#include "file/gguf.h"
#include "text/ids.h"
#include "text/split.h"
#include "text/vocab.h"

typedef struct {
    uint64_t key; /* left id << 32 | right id; UINT64_MAX: free */
    uint32_t rank;
    int32_t result;
} vb_merge_slot;

typedef struct {
    const vb_vocab *vocab;
    int32_t n_tokens;    /* ids from here on are texts that merges name and the vocabulary lacks */
    const vb_split *split;
    vb_merge_slot *slots; /* [mask + 1] */
    size_t mask;
    int32_t letter[256];  /* the id of a byte's character; -1: none */
    vb_token raw[256];    /* the token whose text is this one byte, unmapped (or `<0x41>`, with signs); -1: none */
    int signs;
    uint8_t crosses[256]; /* with signs; as vb_spm has it */
} vb_bpe;

/* Reads tokenizer.ggml.merges; texts that are no tokens are interned into `vocab` behind the tokens. Whatever the
 * result, release it with vb_bpe_close. */
vb_status vb_bpe_open(vb_bpe *b, vb_vocab *vocab, vb_arena *arena, const vb_gguf *g, vb_err *err);
void vb_bpe_close(vb_bpe *b);
vb_status vb_bpe_encode(const vb_bpe *b, const char *text, size_t len, vb_ids *out, vb_err *err);

uint32_t vb_bpe_character(uint8_t byte);
int vb_bpe_byte(uint32_t character); /* -1: stands for no byte */

#endif
