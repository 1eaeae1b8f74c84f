/* tokenizer.c - opening a vocabulary, and its public face: encode, decode, pieces, ends.
 *
 * Everything a file says is checked here, once: kinds and scores have as many entries as tokens, ids lie inside the
 * vocabulary. Texts stay where the file was mapped.
 */
#include "text/vocab.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_TOKENS = 1 << 24 };

/* --- opening ------------------------------------------------------------------------------------------------- */

static vb_status take_texts(vb_tokenizer *t, const vb_gguf *g, const char *key, vb_text **out, size_t *n, vb_err *err)
{
    const vb_gguf_entry *array;
    VB_TRY(vb_gguf_array(g, key, VB_GGUF_STRINGS, &array, err));
    if (array->n > MOST_TOKENS)
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s: key %s: expected at most %d texts, found %llu", t->path, key, MOST_TOKENS,
                (unsigned long long)array->n);
    *n = (size_t)array->n;
    *out = vb_arena_array(&t->arena, *n, sizeof **out);
    if (*out == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: key %s: out of memory for %zu texts", t->path, key, *n);
    const uint8_t *cursor = array->data;
    for (size_t i = 0; i < *n; i++) (*out)[i] = vb_gguf_next_string(&cursor);
    return VB_OK;
}

/* One value a token, or none at all. */
static vb_status per_token(const vb_tokenizer *t, const vb_gguf *g, const char *key, vb_gguf_kind kind,
                           const vb_gguf_entry **out, vb_err *err)
{
    *out = NULL;
    if (vb_gguf_find(g, key) == NULL) return VB_OK;
    VB_TRY(vb_gguf_array(g, key, kind, out, err));
    if ((*out)->n != (uint64_t)t->n)
        VB_FAIL(err, VB_E_FORMAT, "%s: key %s: expected %d values, one a token, found %llu", t->path, key, t->n,
                (unsigned long long)(*out)->n);
    return VB_OK;
}

static vb_status take_kinds(vb_tokenizer *t, const vb_gguf *g, vb_err *err)
{
    const vb_gguf_entry *array;
    VB_TRY(per_token(t, g, "tokenizer.ggml.token_type", VB_GGUF_INTS, &array, err));
    t->kinds = vb_arena_alloc(&t->arena, (size_t)t->n);
    if (t->kinds == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory for %d tokens", t->path, t->n);
    for (int i = 0; i < t->n; i++) {
        int64_t kind = array != NULL ? vb_gguf_item_int(array, (uint64_t)i) : VB_TOKEN_NORMAL;
        t->kinds[i] = kind >= VB_TOKEN_NORMAL && kind <= VB_TOKEN_BYTE ? (uint8_t)kind : VB_TOKEN_NORMAL;
    }
    return VB_OK;
}

static vb_status take_scores(vb_tokenizer *t, const vb_gguf *g, vb_err *err)
{
    const vb_gguf_entry *array;
    VB_TRY(per_token(t, g, "tokenizer.ggml.scores", VB_GGUF_FLOATS, &array, err));
    t->scores = vb_arena_array(&t->arena, (size_t)t->n, sizeof *t->scores);
    if (t->scores == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory for %d scores", t->path, t->n);
    for (int i = 0; i < t->n; i++) {
        float score = array != NULL ? (float)vb_gguf_item_float(array, (uint64_t)i) : 0.0f;
        t->scores[i] = score == score ? score : 0.0f; /* a NaN has no place in an order */
    }
    for (int b = 0; b < 256; b++) {
        char text[8], one = (char)b;
        snprintf(text, sizeof text, "<0x%02X>", (unsigned)b);
        t->byte_token[b] = vb_text_index_find(&t->index, text, 6);
        if (t->byte_token[b] < 0) t->byte_token[b] = vb_text_index_find(&t->index, &one, 1);
    }
    return VB_OK;
}

static vb_status take_merges(vb_tokenizer *t, const vb_gguf *g, vb_err *err)
{
    size_t n;
    t->pre = (vb_text){"default", 7};
    if (vb_gguf_find(g, "tokenizer.ggml.pre") != NULL) VB_TRY(vb_gguf_string(g, "tokenizer.ggml.pre", &t->pre, err));
    t->split = vb_split_find(t->pre.ptr, t->pre.len);
    if (t->split == NULL)
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s: key tokenizer.ggml.pre: expected one of %s, found \"%.*s\"", t->path,
                vb_split_names(), (int)(t->pre.len < 40 ? t->pre.len : 40), t->pre.ptr);
    VB_TRY(take_texts(t, g, "tokenizer.ggml.merges", &t->merge_texts, &n, err));
    t->n_merges = (uint32_t)n;
    return vb_text_index_make(&t->merges, &t->arena, t->merge_texts, n, err);
}

/* An optional id; -1 if the file has none. */
static vb_status take_id(const vb_tokenizer *t, const vb_gguf *g, const char *key, vb_token *out, vb_err *err)
{
    int64_t id = -1;
    *out = -1;
    if (vb_gguf_find(g, key) == NULL) return VB_OK;
    VB_TRY(vb_gguf_int(g, key, INT32_MIN, UINT32_MAX, &id, err));
    if (id == -1 || id == UINT32_MAX) return VB_OK; /* how some files say "none" */
    if (id < 0 || id >= t->n)
        VB_FAIL(err, VB_E_FORMAT, "%s: key %s: expected an id from 0 to %d, found %lld", t->path, key, t->n - 1,
                (long long)id);
    *out = (vb_token)id;
    return VB_OK;
}

static vb_status take_flag(const vb_gguf *g, const char *key, int *flag, vb_err *err)
{
    return vb_gguf_find(g, key) == NULL ? VB_OK : vb_gguf_bool(g, key, flag, err);
}

static vb_status take_specials(vb_tokenizer *t, const vb_gguf *g, vb_err *err)
{
    VB_TRY(take_id(t, g, "tokenizer.ggml.bos_token_id", &t->bos, err));
    VB_TRY(take_id(t, g, "tokenizer.ggml.eos_token_id", &t->eos, err));
    VB_TRY(take_id(t, g, "tokenizer.ggml.unknown_token_id", &t->unknown, err));
    t->add_bos = t->spm || vb_split_adds_bos(t->split);
    t->add_space = t->spm;
    VB_TRY(take_flag(g, "tokenizer.ggml.add_bos_token", &t->add_bos, err));
    VB_TRY(take_flag(g, "tokenizer.ggml.add_eos_token", &t->add_eos, err));
    return take_flag(g, "tokenizer.ggml.add_space_prefix", &t->add_space, err);
}

static void mark_end(vb_tokenizer *t, vb_token id)
{
    if (id >= 0) t->ends[id / 8] |= (uint8_t)(1 << id % 8);
}

/* Files name one end token, but models end their turns with others too. These texts mean an end wherever they are
 * tokens, and are control tokens whatever the file calls them. */
static void mark_usual_ends(vb_tokenizer *t)
{
    static const char *const texts[] = {
        "<|eot_id|>",    "<|im_end|>",    "<|end|>",     "<|return|>",         "<|call|>", "<|flush|>",
        "<|calls|>",     "<end_of_turn>", "<turn|>",     "<|endoftext|>",      "</s>",     "<|eom_id|>",
        "<EOT>",         "_<EOT>",        "[EOT]",       "[EOS]",              "<eos>",    "<|end_of_text|>",
        "[e~[",          "<end_of_utterance>", "<|tool_response>", "<｜end▁of▁sentence｜>"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        vb_token id = vb_text_index_find(&t->index, texts[i], strlen(texts[i]));
        mark_end(t, id);
        if (id >= 0) t->kinds[id] = VB_TOKEN_CONTROL;
    }
}

static vb_status take_ends(vb_tokenizer *t, const vb_gguf *g, vb_err *err)
{
    vb_token id;
    t->ends = vb_arena_alloc(&t->arena, (size_t)t->n / 8 + 1);
    if (t->ends == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory for %d tokens", t->path, t->n);
    mark_end(t, t->eos);
    VB_TRY(take_id(t, g, "tokenizer.ggml.eot_token_id", &id, err));
    mark_end(t, id);
    VB_TRY(take_id(t, g, "tokenizer.ggml.eom_token_id", &id, err));
    mark_end(t, id);
    mark_usual_ends(t);
    return VB_OK;
}

static void add_texts(vb_sha256 *h, const vb_text *texts, size_t n)
{
    vb_sha256_add_u64(h, n);
    for (size_t i = 0; i < n; i++) vb_sha256_add_text(h, texts[i].ptr, texts[i].len);
}

static vb_status take_digest(vb_tokenizer *t, vb_err *err)
{
    vb_sha256 *h = vb_sha256_new();
    if (h == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory for a digest", t->path);
    vb_sha256_add_text(h, "verbatim tokenizer 1", 20);
    vb_sha256_add_text(h, t->pre.ptr, t->pre.len);
    int settings[] = {t->spm, t->add_bos, t->add_eos, t->add_space, t->bos, t->eos, t->unknown};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) vb_sha256_add_u32(h, (uint32_t)settings[i]);
    add_texts(h, t->tokens, (size_t)t->n);
    vb_sha256_add(h, t->kinds, (size_t)t->n);
    if (t->spm)
        vb_sha256_add(h, t->scores, (size_t)t->n * sizeof *t->scores);
    else
        add_texts(h, t->merge_texts, t->n_merges);
    vb_sha256_end(h, t->digest);
    return VB_OK;
}

static vb_status open_all(vb_tokenizer *t, const vb_gguf *g, vb_err *err)
{
    vb_text model;
    size_t n;
    VB_TRY(vb_gguf_string(g, "tokenizer.ggml.model", &model, err));
    t->spm = model.len == 5 && memcmp(model.ptr, "llama", 5) == 0;
    if (!t->spm && !(model.len == 4 && memcmp(model.ptr, "gpt2", 4) == 0))
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s: key tokenizer.ggml.model: expected gpt2 or llama, found \"%.*s\"", t->path,
                (int)(model.len < 40 ? model.len : 40), model.ptr);
    VB_TRY(take_texts(t, g, "tokenizer.ggml.tokens", &t->tokens, &n, err));
    t->n = (int)n;
    if (n == 0) VB_FAIL(err, VB_E_FORMAT, "%s: key tokenizer.ggml.tokens: expected tokens, found none", t->path);
    VB_TRY(vb_text_index_make(&t->index, &t->arena, t->tokens, n, err));
    VB_TRY(take_kinds(t, g, err));
    VB_TRY(t->spm ? take_scores(t, g, err) : take_merges(t, g, err));
    VB_TRY(take_specials(t, g, err));
    VB_TRY(take_ends(t, g, err));
    VB_TRY(vb_special_sort(t, err));
    return take_digest(t, err);
}

vb_status vb_tokenizer_open(vb_tokenizer **out, const vb_gguf *g, vb_err *err)
{
    vb_tokenizer *t = calloc(1, sizeof *t);
    *out = NULL;
    if (t == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory for a tokenizer", vb_gguf_path(g));
    t->path = vb_gguf_path(g);
    vb_status s = open_all(t, g, err);
    if (s < 0) {
        vb_tokenizer_close(t);
        return s;
    }
    *out = t;
    return VB_OK;
}

void vb_tokenizer_close(vb_tokenizer *t)
{
    if (t == NULL) return;
    vb_arena_free(&t->arena);
    free(t);
}

/* --- text to ids ------------------------------------------------------------------------------------------------ */

/* Every run starts the text or follows a special token, so a prefix space goes in front of each. */
static vb_status encode_run(vb_id_sink *s, const char *text, size_t len)
{
    if (len == 0) return VB_OK;
    return s->t->spm ? vb_spm_encode(s, text, len, s->t->add_space) : vb_bpe_encode(s, text, len);
}

int64_t vb_tokenizer_encode(const vb_tokenizer *t, const char *text, size_t len, int flags, vb_token *ids, size_t cap,
                            vb_err *err)
{
    vb_id_sink s = {t, ids, ids == NULL ? 0 : cap, 0, err};
    vb_special_hit *hits;
    size_t n, at = 0;
    if ((flags & VB_ADD_SPECIAL) && t->add_bos && t->bos >= 0) vb_id_push(&s, t->bos);
    VB_TRY(vb_special_find(t, text, len, (flags & VB_PARSE_SPECIAL) != 0, &hits, &n, err));
    vb_status status = VB_OK;
    for (size_t i = 0; i < n && status == VB_OK; i++) {
        status = encode_run(&s, text + at, hits[i].at - at);
        vb_id_push(&s, hits[i].id);
        at = hits[i].at + hits[i].len;
    }
    free(hits);
    if (status == VB_OK) status = encode_run(&s, text + at, len - at);
    if (status < 0) return status;
    if ((flags & VB_ADD_SPECIAL) && t->add_eos && t->eos >= 0) vb_id_push(&s, t->eos);
    return (int64_t)s.n;
}

/* --- ids to text ------------------------------------------------------------------------------------------------ */

static size_t read_spm(char *out, vb_text text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (i + 3 <= text.len && memcmp(text.ptr + i, "\xe2\x96\x81", 3) == 0) {
            out[n++] = ' ';
            i += 2;
        } else {
            out[n++] = text.ptr[i];
        }
    }
    return n;
}

/* out holds as many bytes as the token's text. */
static size_t read_piece(const vb_tokenizer *t, vb_token id, char *out)
{
    vb_text text = t->tokens[id];
    switch (t->kinds[id]) {
    case VB_TOKEN_NORMAL:
        return t->spm ? read_spm(out, text) : vb_byte_level_read(out, text.ptr, text.len);
    case VB_TOKEN_BYTE:
        if (!t->spm || text.len != 6) return 0;
        return (size_t)vb_unhex((uint8_t *)out, text.ptr + 3, 1);
    case VB_TOKEN_UNUSED:
        return 0;
    default:
        memcpy(out, text.ptr, text.len);
        return text.len;
    }
}

static int64_t piece(const vb_tokenizer *t, vb_token id, char *buf, size_t cap, int skip_space)
{
    char few[256], *out = few;
    if (id < 0 || id >= t->n) return VB_E_ARGUMENT;
    if (t->tokens[id].len > sizeof few) out = malloc(t->tokens[id].len);
    if (out == NULL) return VB_E_MEMORY;
    size_t n = read_piece(t, id, out), from = skip_space && n > 0 && out[0] == ' ';
    size_t copied = n - from < cap ? n - from : cap;
    if (buf != NULL && copied > 0) memcpy(buf, out + from, copied);
    if (out != few) free(out);
    return (int64_t)(n - from);
}

int64_t vb_tokenizer_piece(const vb_tokenizer *t, vb_token id, char *buf, size_t cap)
{
    return piece(t, id, buf, cap, 0);
}

int64_t vb_tokenizer_decode(const vb_tokenizer *t, const vb_token *ids, size_t n, int special, char *buf, size_t cap,
                            vb_err *err)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= t->n)
            VB_FAIL(err, VB_E_ARGUMENT, "token %zu: expected an id from 0 to %d, found %d", i, t->n - 1, ids[i]);
        int kind = t->kinds[ids[i]];
        if (!special && (kind == VB_TOKEN_CONTROL || kind == VB_TOKEN_UNKNOWN)) continue;
        size_t room = buf != NULL && len < cap ? cap - len : 0;
        int64_t more = piece(t, ids[i], room > 0 ? buf + len : NULL, room, i == 0 && t->add_space);
        if (more < 0) VB_FAIL(err, (vb_status)more, "token %zu: out of memory", i);
        len += (size_t)more;
    }
    return (int64_t)len;
}

/* --- questions ---------------------------------------------------------------------------------------------------- */

int vb_tokenizer_size(const vb_tokenizer *t)
{
    return t->n;
}

vb_token vb_tokenizer_bos(const vb_tokenizer *t)
{
    return t->bos;
}

vb_token vb_tokenizer_eos(const vb_tokenizer *t)
{
    return t->eos;
}

int vb_tokenizer_ends(const vb_tokenizer *t, vb_token id)
{
    return id >= 0 && id < t->n && (t->ends[id / 8] >> id % 8 & 1);
}

int vb_tokenizer_kind_of(const vb_tokenizer *t, vb_token id)
{
    return id >= 0 && id < t->n ? t->kinds[id] : VB_TOKEN_UNUSED;
}

vb_token vb_tokenizer_find(const vb_tokenizer *t, const char *text, size_t len)
{
    return vb_text_index_find(&t->index, text, len);
}

void vb_tokenizer_digest(const vb_tokenizer *t, uint8_t out[32])
{
    memcpy(out, t->digest, sizeof t->digest);
}
