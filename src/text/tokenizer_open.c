/* tokenizer_open.c - a tokenizer out of the tokenizer.* keys.
 *
 *   tokenizer.ggml.model   gpt2 (byte-level BPE), gemma4 (BPE of characters), llama (SentencePiece's BPE), t5
 *                          (its unigrams), bert (WordPiece); others are refused by name
 *   .tokens  .token_type  .scores  .merges  .pre
 *   .add_bos_token  .add_eos_token  .add_space_prefix  .*_token_id
 *
 * An empty token text is read as [EMPTY_n]; a text ends at its first NUL byte. Two tokens of the same text would make
 * encoding ambiguous and are refused.
 */
#include "text/tokenizer_parts.h"

#include "base/log.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- tokens --------------------------------------------------------------------------------------------------- */

static vb_text named_if_empty(vb_tokenizer *t, vb_text text, size_t id)
{
    char name[32];
    text.len = strnlen(text.ptr, text.len);
    if (text.len > 0) return text;
    int n = snprintf(name, sizeof name, "[EMPTY_%zu]", id);
    return (vb_text){vb_arena_text(&t->arena, name, (size_t)n), (size_t)n};
}

static vb_status read_texts(vb_tokenizer *t, vb_err *err)
{
    static const char key[] = "tokenizer.ggml.tokens";
    const vb_gguf_entry *tokens;
    VB_TRY(vb_gguf_array(t->g, key, VB_GGUF_STRINGS, &tokens, err));
    if (tokens->n == 0 || tokens->n > VB_VOCAB_MOST)
        VB_FAIL(err, VB_E_FORMAT, "%s: %s: expected 1 to %d tokens, found %llu", vb_gguf_path(t->g), key, VB_VOCAB_MOST,
                (unsigned long long)tokens->n);
    t->n_tokens = (size_t)tokens->n;
    t->is = vb_arena_array(&t->arena, t->n_tokens, sizeof *t->is);
    if (t->is == NULL || !vb_vocab_reserve(&t->vocab, t->n_tokens)) goto no_memory;
    const uint8_t *cursor = tokens->data;
    for (size_t id = 0; id < t->n_tokens; id++) {
        vb_text text = named_if_empty(t, vb_gguf_next_string(&cursor), id);
        if (text.ptr == NULL) goto no_memory;
        if (text.len > UINT32_MAX)
            VB_FAIL(err, VB_E_FORMAT, "%s: %s: token %zu: expected less than 4 GiB, found %zu bytes",
                    vb_gguf_path(t->g), key, id, text.len);
        t->vocab.pieces[id] = (vb_piece){text.ptr, (uint32_t)text.len, 0};
    }
    size_t id = vb_vocab_index(&t->vocab, t->n_tokens);
    if (id == t->n_tokens) return VB_OK;
    VB_FAIL(err, VB_E_FORMAT, "%s: %s: token %zu: expected a text of its own, found that of token %d",
            vb_gguf_path(t->g), key, id, vb_vocab_find(&t->vocab, t->vocab.pieces[id].text, t->vocab.pieces[id].len));
no_memory:
    VB_FAIL(err, VB_E_MEMORY, "%s: %s: no memory for %zu tokens", vb_gguf_path(t->g), key, t->n_tokens);
}

/* The array at `key` with at least one item a token; *out NULL: absent. */
static vb_status per_token(const vb_tokenizer *t, const char *key, vb_gguf_kind kind, const vb_gguf_entry **out,
                           vb_err *err)
{
    *out = NULL;
    if (vb_gguf_find(t->g, key) == NULL) return VB_OK;
    VB_TRY(vb_gguf_array(t->g, key, kind, out, err));
    if ((*out)->n < t->n_tokens)
        VB_FAIL(err, VB_E_FORMAT, "%s: %s: expected %zu items, found %llu", vb_gguf_path(t->g), key, t->n_tokens,
                (unsigned long long)(*out)->n);
    return VB_OK;
}

static vb_status read_kinds(vb_tokenizer *t, vb_err *err)
{
    static const uint16_t is[] = {0, VB_IS_NORMAL, VB_IS_UNKNOWN, VB_IS_CONTROL, VB_IS_USER_DEFINED, VB_IS_UNUSED,
                                  VB_IS_BYTE};
    const vb_gguf_entry *kinds;
    VB_TRY(per_token(t, "tokenizer.ggml.token_type", VB_GGUF_INTS, &kinds, err));
    for (size_t id = 0; id < t->n_tokens; id++) {
        int64_t kind = kinds == NULL ? 1 : vb_gguf_item_int(kinds, id);
        t->is[id] = kind >= 0 && kind < (int64_t)(sizeof is / sizeof is[0]) ? is[kind] : 0;
    }
    return VB_OK;
}

static vb_status read_scores(vb_tokenizer *t, vb_err *err)
{
    static const char key[] = "tokenizer.ggml.scores";
    const vb_gguf_entry *e = vb_gguf_find(t->g, key), *scores;
    int whole = e != NULL && e->item != VB_GGUF_F32 && e->item != VB_GGUF_F64;
    VB_TRY(per_token(t, key, whole ? VB_GGUF_INTS : VB_GGUF_FLOATS, &scores, err));
    for (size_t id = 0; scores != NULL && id < t->n_tokens; id++) {
        float score = whole ? (float)vb_gguf_item_int(scores, id) : (float)vb_gguf_item_float(scores, id);
        if (isnan(score))
            VB_FAIL(err, VB_E_FORMAT, "%s: %s: token %zu: expected a number, found NaN", vb_gguf_path(t->g), key, id);
        t->vocab.pieces[id].score = score;
    }
    return VB_OK;
}

static vb_status read_flag(const vb_tokenizer *t, const char *key, int *flag, vb_err *err)
{
    return vb_gguf_find(t->g, key) == NULL ? VB_OK : vb_gguf_bool(t->g, key, flag, err);
}

/* --- the algorithm --------------------------------------------------------------------------------------------- */

/* `pre`: how words are split; empty where the file is to say it. */
static vb_status open_bpe(vb_tokenizer *t, vb_text pre, vb_err *err)
{
    static const char key[] = "tokenizer.ggml.pre";
    if (pre.len == 0 && vb_gguf_find(t->g, key) != NULL) VB_TRY(vb_gguf_string(t->g, key, &pre, err));
    if (pre.len == 0) {
        vb_log(VB_LOG_WARNING, "%s: %s is missing; words are split in the default way", vb_gguf_path(t->g), key);
        pre = (vb_text){"default", 7};
    }
    const vb_split *split = vb_split_find(pre.ptr, pre.len);
    if (split == NULL)
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s: %s: expected a known way to split words, found \"%.*s\"",
                vb_gguf_path(t->g), key, (int)(pre.len < 64 ? pre.len : 64), pre.ptr);
    t->model = VB_TOKENIZER_BPE;
    t->bos = vb_split_is(split, VB_SPLIT_WITHOUT_BOS) ? -1 : 11;
    t->eos = vb_split_is(split, VB_SPLIT_SIGNS) ? -1 : 11;
    t->add_bos = vb_split_is(split, VB_SPLIT_ADDS_BOS);
    t->clean_spaces = !vb_split_is(split, VB_SPLIT_KEEPS_SPACES);
    t->bpe.split = split;
    return vb_bpe_open(&t->bpe, &t->vocab, &t->arena, t->g, err);
}

static vb_status open_spm(vb_tokenizer *t)
{
    t->model = VB_TOKENIZER_SPM;
    t->bos = 1;
    t->eos = 2;
    t->add_bos = t->space_prefix = 1;
    vb_spm_open(&t->spm, &t->vocab);
    return VB_OK;
}

/* BOS and the separator always stand around a text; what the keys add_bos_token and add_sep_token say makes no
 * difference for these vocabularies. */
static vb_status open_wordpiece(vb_tokenizer *t, vb_err *err)
{
    t->model = VB_TOKENIZER_WORDPIECE;
    t->bos = 101;
    t->eos = -1;
    t->sep = 102;
    t->add_bos = t->clean_spaces = 1;
    if (!vb_wordpiece_open(&t->wordpiece, &t->vocab, &t->arena))
        VB_FAIL(err, VB_E_MEMORY, "%s: no memory for a tokenizer of %zu tokens", vb_gguf_path(t->g), t->n_tokens);
    t->wordpiece.unknown = 100;
    VB_TRY(read_flag(t, "tokenizer.ggml.normalizer.lowercase", &t->wordpiece.lower, err));
    t->wordpiece.strip = t->wordpiece.lower;
    return read_flag(t, "tokenizer.ggml.normalizer.strip_accents", &t->wordpiece.strip, err);
}

static vb_status open_unigram(vb_tokenizer *t, vb_err *err)
{
    t->model = VB_TOKENIZER_UNIGRAM;
    t->bos = -1;
    t->eos = 1;
    t->add_eos = 1;
    VB_TRY(vb_unigram_open(&t->unigram, &t->vocab, t->is, &t->arena, t->g, err));
    t->unigram.unknown = 2;
    return read_flag(t, "tokenizer.ggml.remove_extra_whitespaces", &t->unigram.merge_spaces, err);
}

static int is_text(vb_text text, const char *literal)
{
    return text.len == strlen(literal) && memcmp(text.ptr, literal, text.len) == 0;
}

static vb_status open_model(vb_tokenizer *t, vb_err *err)
{
    static const char key[] = "tokenizer.ggml.model";
    vb_text model;
    VB_TRY(vb_gguf_string(t->g, key, &model, err));
    int bpe = is_text(model, "gpt2"), gemma4 = is_text(model, "gemma4"), spm = is_text(model, "llama");
    int unigram = is_text(model, "t5");
    if (!bpe && !gemma4 && !spm && !unigram && !is_text(model, "bert"))
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s: %s: expected gpt2, gemma4, llama, t5 or bert, found \"%.*s\"",
                vb_gguf_path(t->g), key, (int)(model.len < 64 ? model.len : 64), model.ptr);
    VB_TRY(read_texts(t, err));
    VB_TRY(read_kinds(t, err));
    VB_TRY(read_scores(t, err));
    if (bpe || gemma4) return open_bpe(t, gemma4 ? model : (vb_text){"", 0}, err);
    if (unigram) return open_unigram(t, err);
    return spm ? open_spm(t) : open_wordpiece(t, err);
}

static vb_status read_flags(vb_tokenizer *t, vb_err *err)
{
    if (t->model == VB_TOKENIZER_WORDPIECE) return VB_OK;
    VB_TRY(read_flag(t, "tokenizer.ggml.add_bos_token", &t->add_bos, err));
    if (t->model == VB_TOKENIZER_BPE && strcmp(vb_split_name(t->bpe.split), "gemma4") == 0) t->add_bos = 1;
    VB_TRY(read_flag(t, "tokenizer.ggml.add_eos_token", &t->add_eos, err));
    return read_flag(t, "tokenizer.ggml.add_space_prefix", &t->space_prefix, err);
}

/* --- white space next to special tokens -------------------------------------------------------------------------- */

/* Whether the text at `key`, in lower case, contains `part`. */
static int key_contains(const vb_tokenizer *t, const char *key, const char *part)
{
    vb_text text;
    size_t len = strlen(part);
    if (vb_gguf_find(t->g, key) == NULL || vb_gguf_string(t->g, key, &text, NULL) < 0) return 0;
    for (size_t at = 0; at + len <= text.len; at++) {
        size_t i = 0;
        while (i < len && tolower((unsigned char)text.ptr[at + i]) == part[i]) i++;
        if (i == len) return 1;
    }
    return 0;
}

static void mark(vb_tokenizer *t, const char *text, uint16_t strips)
{
    vb_token id = vb_tokenizer_find(t, text, strlen(text));
    if (id >= 0) t->is[id] = (uint16_t)((t->is[id] & ~(VB_STRIPS_LEFT | VB_STRIPS_RIGHT)) | strips);
}

/* Files do not say which tokens swallow white space; it is a property of a few families. */
static void find_strips(vb_tokenizer *t)
{
    static const char name[] = "general.name", pre[] = "tokenizer.ggml.pre", arch[] = "general.architecture";
    if (key_contains(t, pre, "jina-v2-de") || key_contains(t, pre, "jina-v2-es") ||
        key_contains(t, pre, "jina-v2-code") || key_contains(t, arch, "nomic-bert-moe") ||
        key_contains(t, arch, "jina-bert-v3")) {
        mark(t, "<mask>", VB_STRIPS_LEFT);
    } else if (key_contains(t, name, "phi-3") || key_contains(t, name, "phi3")) {
        for (size_t id = 0; id < t->n_tokens; id++)
            if (t->is[id] & (VB_IS_CONTROL | VB_IS_USER_DEFINED | VB_IS_UNKNOWN)) t->is[id] |= VB_STRIPS_RIGHT;
        mark(t, "</s>", VB_STRIPS_RIGHT);
        mark(t, "<unk>", 0);
        mark(t, "<s>", 0);
        mark(t, "<|endoftext|>", 0);
    } else if (key_contains(t, name, "modern-bert")) {
        mark(t, "[MASK]", VB_STRIPS_LEFT);
    }
}

/* --- opening and closing ---------------------------------------------------------------------------------------- */

static vb_status open_rest(vb_tokenizer *t, vb_err *err)
{
    find_strips(t);
    for (int parse = 0; parse < 2; parse++)
        if (!vb_special_open(&t->special[parse], &t->vocab, t->is, t->n_tokens, parse, &t->arena)) goto no_memory;
    t->digest = vb_arena_alloc(&t->arena, sizeof *t->digest);
    if (t->digest == NULL) goto no_memory;
    pthread_mutex_init(&t->digest->lock, NULL);
    return VB_OK;
no_memory:
    VB_FAIL(err, VB_E_MEMORY, "%s: no memory for a tokenizer of %zu tokens", vb_gguf_path(t->g), t->n_tokens);
}

vb_status vb_tokenizer_open(vb_tokenizer **out, const vb_gguf *g, vb_err *err)
{
    vb_status s;
    vb_tokenizer *t = calloc(1, sizeof *t);
    *out = NULL;
    if (t == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: no memory for a tokenizer", vb_gguf_path(g));
    t->g = g;
    t->sep = -1;
    VB_TRY_OUT(s, open_model(t, err));
    VB_TRY_OUT(s, read_flags(t, err));
    VB_TRY_OUT(s, vb_tokenizer_find_roles(t, err));
    VB_TRY_OUT(s, open_rest(t, err));
    *out = t;
    return VB_OK;
out:
    vb_tokenizer_close(t);
    return s;
}

void vb_tokenizer_close(vb_tokenizer *t)
{
    if (t == NULL) return;
    if (t->digest != NULL) pthread_mutex_destroy(&t->digest->lock);
    vb_bpe_close(&t->bpe);
    vb_vocab_free(&t->vocab);
    vb_arena_free(&t->arena);
    free(t);
}
