/* tokenizer.c - encoding: special tokens are cut out of the text first, the algorithm gets what lies between them. */
#include "text/tokenizer_parts.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* --- encoding --------------------------------------------------------------------------------------------------- */

static vb_status encode_between(const vb_tokenizer *t, const char *text, size_t len, int after_special, vb_ids *out,
                                vb_err *err)
{
    if (len == 0) return VB_OK;
    if (t->model == VB_TOKENIZER_BPE) return vb_bpe_encode(&t->bpe, text, len, out, err);
    if (t->model == VB_TOKENIZER_WORDPIECE) return vb_wordpiece_encode(&t->wordpiece, text, len, out, err);
    if (t->model == VB_TOKENIZER_UNIGRAM) return vb_unigram_encode(&t->unigram, text, len, t->space_prefix, out, err);
    return vb_spm_encode(&t->spm, text, len, t->space_prefix && after_special, out, err);
}

static vb_status encode_text(const vb_tokenizer *t, const char *text, size_t len, int parse, vb_ids *out, vb_err *err)
{
    vb_special_hit *hits;
    size_t n, at = 0;
    vb_status s = vb_special_find(&t->special[parse], text, len, &hits, &n, err);
    for (size_t i = 0; i < n && s >= 0; i++) {
        s = encode_between(t, text + at, hits[i].from - at, 1, out, err);
        vb_ids_push(out, hits[i].id);
        at = hits[i].to;
    }
    if (s >= 0) s = encode_between(t, text + at, len - at, 1, out, err);
    free(hits);
    return s;
}

static vb_status push_role(const vb_tokenizer *t, vb_token id, const char *name, vb_ids *out, vb_err *err)
{
    if (id < 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: tokenizer.ggml.%s_token_id: expected the token that texts %s with, found none",
                vb_gguf_path(t->g), name, name[0] == 'b' ? "begin" : "end");
    vb_ids_push(out, id);
    return VB_OK;
}

/* No token stands for more bytes than the longest of the vocabulary has; where one may stand for a whole unknown word, or
 * a text is changed before it is cut, nothing is known. */
size_t vb_tokenizer_longest(const vb_tokenizer *t)
{
    int known = t->model == VB_TOKENIZER_BPE || t->model == VB_TOKENIZER_SPM;
    return known && t->vocab.longest > 0 ? t->vocab.longest : SIZE_MAX;
}

int64_t vb_tokenizer_encode(const vb_tokenizer *t, const char *text, size_t len, int flags, vb_token *ids, size_t cap,
                            vb_err *err)
{
    vb_ids out = {ids, ids == NULL ? 0 : cap, 0, (flags & VB_STOP_WHEN_FULL) != 0};
    int add = (flags & VB_ADD_SPECIAL) != 0;
    if (add && t->add_bos) VB_TRY(push_role(t, t->bos, "bos", &out, err));
    vb_status s = encode_text(t, text, len, (flags & VB_PARSE_SPECIAL) != 0, &out, err);
    if (s == VB_E_STOPPED) return (int64_t)out.n;
    VB_TRY(s);
    if (add && t->sep >= 0) vb_ids_push(&out, t->sep);
    if (add && t->add_eos) VB_TRY(push_role(t, t->eos, "eos", &out, err));
    return (int64_t)out.n;
}

/* --- questions about tokens --------------------------------------------------------------------------------------- */

int vb_tokenizer_size(const vb_tokenizer *t)
{
    return (int)t->n_tokens;
}

vb_token vb_tokenizer_bos(const vb_tokenizer *t)
{
    return t->bos;
}

vb_token vb_tokenizer_eos(const vb_tokenizer *t)
{
    return t->eos;
}

vb_token vb_tokenizer_find(const vb_tokenizer *t, const char *text, size_t len)
{
    int32_t id = vb_vocab_find(&t->vocab, text, len);
    return (size_t)id < t->n_tokens ? id : -1;
}

static uint16_t is_of(const vb_tokenizer *t, vb_token id)
{
    return id >= 0 && (size_t)id < t->n_tokens ? t->is[id] : 0;
}

int vb_tokenizer_kind_of(const vb_tokenizer *t, vb_token id)
{
    uint16_t is = is_of(t, id);
    if (is & VB_IS_CONTROL) return VB_TOKEN_CONTROL;
    if (is & VB_IS_UNKNOWN) return VB_TOKEN_UNKNOWN;
    if (is & VB_IS_USER_DEFINED) return VB_TOKEN_USER_DEFINED;
    if (is & VB_IS_BYTE) return VB_TOKEN_BYTE;
    return is & VB_IS_NORMAL ? VB_TOKEN_NORMAL : VB_TOKEN_UNUSED;
}

int vb_tokenizer_ends(const vb_tokenizer *t, vb_token id)
{
    return (is_of(t, id) & VB_IS_END) != 0;
}

/* --- the digest --------------------------------------------------------------------------------------------------- */

/* The bytes of a string array as they stand in the file: length u64 and text, one after the other. */
static void add_strings(vb_sha256 *hash, const vb_gguf *g, const char *key)
{
    const vb_gguf_entry *e = vb_gguf_find(g, key);
    const uint8_t *cursor = e == NULL ? NULL : e->data;
    for (uint64_t i = 0; e != NULL && i < e->n; i++) vb_gguf_next_string(&cursor);
    vb_sha256_add_u64(hash, e == NULL ? 0 : e->n);
    if (e != NULL) vb_sha256_add(hash, e->data, (size_t)(cursor - e->data));
}

/* What each token is and its score, six bytes a token. */
static void add_tokens(vb_sha256 *hash, const vb_tokenizer *t)
{
    uint8_t block[6 * 512];
    size_t n = 0;
    for (size_t id = 0; id < t->n_tokens; id++) {
        uint32_t score;
        memcpy(&score, &t->vocab.pieces[id].score, sizeof score);
        block[n++] = (uint8_t)t->is[id];
        block[n++] = (uint8_t)(t->is[id] >> 8);
        for (int i = 0; i < 4; i++) block[n++] = (uint8_t)(score >> 8 * i);
        if (n < sizeof block && id + 1 < t->n_tokens) continue;
        vb_sha256_add(hash, block, n);
        n = 0;
    }
}

static void add_wordpiece(vb_sha256 *hash, const vb_tokenizer *t)
{
    const vb_wordpiece *w = &t->wordpiece;
    const int settings[] = {t->sep, w->unknown, w->lower, w->strip};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) vb_sha256_add_u32(hash, (uint32_t)settings[i]);
}

static void add_unigram(vb_sha256 *hash, const vb_tokenizer *t)
{
    const vb_unigram *u = &t->unigram;
    vb_sha256_add_u32(hash, (uint32_t)u->unknown);
    vb_sha256_add_u32(hash, (uint32_t)u->merge_spaces);
    vb_sha256_add_u64(hash, u->n_units);
    vb_sha256_add(hash, u->units, 4 * u->n_units);
    vb_sha256_add(hash, u->texts, u->texts_len);
}

static void compute_digest(const vb_tokenizer *t, uint8_t out[32])
{
    static const char domain[] = "verbatim tokenizer 1";
    vb_sha256 *hash = vb_sha256_new();
    memset(out, 0, 32);
    if (hash == NULL) return;
    const char *split = t->model == VB_TOKENIZER_BPE ? vb_split_name(t->bpe.split) : "";
    const int settings[] = {(int)t->model, t->add_bos, t->add_eos, t->space_prefix, t->clean_spaces, t->bos, t->eos};
    vb_sha256_add_text(hash, domain, sizeof domain - 1);
    vb_sha256_add_text(hash, split, strlen(split));
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) vb_sha256_add_u32(hash, (uint32_t)settings[i]);
    add_strings(hash, t->g, "tokenizer.ggml.tokens");
    add_tokens(hash, t);
    if (t->model == VB_TOKENIZER_BPE) add_strings(hash, t->g, "tokenizer.ggml.merges");
    if (t->model == VB_TOKENIZER_WORDPIECE) add_wordpiece(hash, t);
    if (t->model == VB_TOKENIZER_UNIGRAM) add_unigram(hash, t);
    vb_sha256_end(hash, out);
}

void vb_tokenizer_digest(const vb_tokenizer *t, uint8_t out[32])
{
    vb_tokenizer_digest_cache *cache = t->digest;
    pthread_mutex_lock(&cache->lock);
    if (!cache->known) compute_digest(t, cache->bytes);
    cache->known = 1;
    memcpy(out, cache->bytes, 32);
    pthread_mutex_unlock(&cache->lock);
}
