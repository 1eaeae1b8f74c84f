/* mkvocab.c - a vocabulary that any text can be written in: 256 bytes, pairs of small letters, and room.
 *
 *   0    256 bytes, in the characters GPT-2 uses for them         256  pairs: "th", "he", ...   932  " a", " b", ...
 *   958  <fill_958> and so on, never used by a text               n-2  <|begin_of_text|>        n-1  <|end_of_text|>
 */
#include "tools/mkvocab.h"

#include <string.h>

enum { BYTES = 256, LETTERS = 26, PAIRS = LETTERS * LETTERS, MERGES = PAIRS + LETTERS, CONTROLS = 2 };
enum { NORMAL = 1, CONTROL = 3, UNUSED = 5 };
_Static_assert(BYTES + MERGES + CONTROLS == VB_VOCAB_LEAST, "every token has a place");

static const char space[] = "\xc4\xa0"; /* U+0120, GPT-2's character for a space */

/* The character of a byte: itself where it prints, else one from U+0100 on. */
static void byte_text(int byte, char to[4])
{
    int code = byte, unprinted = 0;
    for (int i = 0; i <= byte; i++) {
        int prints = (i > 32 && i < 127) || (i > 160 && i != 173);
        code = prints ? i : 256 + unprinted++;
    }
    to[0] = (char)(code < 128 ? code : 0xc0 | code >> 6);
    to[1] = (char)(code < 128 ? 0 : 0x80 | (code & 63));
    to[2] = 0;
}

static void merge_text(int i, const char *between, char to[16])
{
    if (i < PAIRS)
        snprintf(to, 16, "%c%s%c", 'a' + i / LETTERS, between, 'a' + i % LETTERS);
    else
        snprintf(to, 16, "%s%s%c", space, between, 'a' + i - PAIRS);
}

static void token_text(int id, int n, char to[32])
{
    char piece[16];
    if (id >= n - CONTROLS) {
        snprintf(to, 32, "<|%s_of_text|>", id == n - 1 ? "end" : "begin");
    } else if (id < BYTES) {
        byte_text(id, to);
    } else if (id < BYTES + MERGES) {
        merge_text(id - BYTES, "", piece);
        snprintf(to, 32, "%s", piece);
    } else {
        snprintf(to, 32, "<fill_%d>", id);
    }
}

void vb_vocab_invent(vb_gguf_writer *w, int n)
{
    char text[32];
    vb_gguf_put_text(w, "tokenizer.ggml.model", "gpt2");
    vb_gguf_put_text(w, "tokenizer.ggml.pre", "llama-bpe");
    vb_gguf_put_array(w, "tokenizer.ggml.tokens", VB_GGUF_STRING, (uint64_t)n);
    for (int i = 0; i < n; i++) {
        token_text(i, n, text);
        vb_gguf_put_item_text(w, text);
    }
    vb_gguf_put_array(w, "tokenizer.ggml.token_type", VB_GGUF_I32, (uint64_t)n);
    for (int i = 0; i < n; i++) {
        int32_t type = i >= n - CONTROLS ? CONTROL : i < BYTES + MERGES ? NORMAL : UNUSED;
        vb_gguf_put_item(w, &type, sizeof type);
    }
    vb_gguf_put_array(w, "tokenizer.ggml.merges", VB_GGUF_STRING, MERGES);
    for (int i = 0; i < MERGES; i++) {
        merge_text(i, " ", text);
        vb_gguf_put_item_text(w, text);
    }
    vb_gguf_put_u32(w, "tokenizer.ggml.bos_token_id", (uint32_t)n - 2);
    vb_gguf_put_u32(w, "tokenizer.ggml.eos_token_id", (uint32_t)n - 1);
    vb_gguf_put_bool(w, "tokenizer.ggml.add_bos_token", 1);
}

vb_status vb_vocab_copy(vb_gguf_writer *w, const vb_gguf *from, int *n, vb_err *err)
{
    static const char prefix[] = "tokenizer.";
    const vb_gguf_entry *tokens;
    VB_TRY(vb_gguf_array(from, "tokenizer.ggml.tokens", VB_GGUF_STRINGS, &tokens, err));
    if (tokens->n < 1 || tokens->n > 1 << 24)
        VB_FAIL(err, VB_E_FORMAT, "%s: key tokenizer.ggml.tokens: expected 1 to %d tokens, found %llu",
                vb_gguf_path(from), 1 << 24, (unsigned long long)tokens->n);
    for (int64_t i = 0; i < vb_gguf_n_entries(from); i++) {
        const vb_gguf_entry *e = vb_gguf_entry_at(from, i);
        if (e->key.len > sizeof prefix - 1 && memcmp(e->key.ptr, prefix, sizeof prefix - 1) == 0)
            vb_gguf_put_entry(w, e, e->n);
    }
    *n = (int)tokens->n;
    return VB_OK;
}
