/* unigram.c - normalising, then Viterbi over each word.
 *
 * best[i] is the best way to write the first i bytes of a word: its score, its last token, where that token starts.
 * A word ends where no token of the vocabulary reaches over (spm.c says why), so the best way of a text is that of its
 * words one after the other.
 *
 * The table of replacements is a trie as a double array of 32-bit units: the child by byte c of a node with base b is
 * unit b ^ c, if its label is c; a node that ends an entry has its value at its own base.
 *
 *   unit   bits 31..10 base (bit 9: shifted by 8)   bit 8 ends an entry   bits 7..0 label    value: bits 30..0
 */
#include "text/unigram.h"

#include "text/merge.h"
#include "text/special.h"
#include "text/spm.h"
#include "text/unicode.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

/* --- opening ------------------------------------------------------------------------------------------------------ */

static uint32_t word_at(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static vb_status read_table(vb_unigram *u, const vb_gguf *g, vb_err *err)
{
    static const char key[] = "tokenizer.ggml.precompiled_charsmap";
    const vb_gguf_entry *e;
    if (vb_gguf_find(g, key) == NULL) return VB_OK;
    VB_TRY(vb_gguf_array(g, key, VB_GGUF_INTS, &e, err));
    if (e->n == 0) return VB_OK;
    if (e->item != VB_GGUF_U8 && e->item != VB_GGUF_I8)
        VB_FAIL(err, VB_E_FORMAT, "%s: %s: expected bytes, found %s", vb_gguf_path(g), key, vb_gguf_type_name(e->item));
    size_t bytes = e->n < 4 ? SIZE_MAX : word_at(e->data);
    if (bytes > e->n - 4 || bytes % 4 != 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: %s: expected units and texts in %llu bytes, found another size of units",
                vb_gguf_path(g), key, (unsigned long long)e->n);
    u->units = e->data + 4;
    u->n_units = bytes / 4;
    u->texts = (const char *)e->data + 4 + bytes;
    u->texts_len = (size_t)e->n - 4 - bytes;
    return VB_OK;
}

vb_status vb_unigram_open(vb_unigram *u, const vb_vocab *vocab, const uint16_t *is, vb_arena *arena, const vb_gguf *g,
                          vb_err *err)
{
    float lowest = FLT_MAX;
    u->vocab = vocab;
    u->is = is;
    u->unknown = -1;
    if (!vb_starts_open(&u->starts, vocab, vocab->n, arena))
        VB_FAIL(err, VB_E_MEMORY, "%s: no memory for a tokenizer of %zu tokens", vb_gguf_path(g), vocab->n);
    vb_spm_find_crosses(u->crosses, vocab);
    for (size_t id = 0; id < vocab->n; id++)
        if (is[id] & VB_IS_NORMAL && vocab->pieces[id].score < lowest) lowest = vocab->pieces[id].score;
    u->unknown_score = (double)(lowest - 10.0f);
    return read_table(u, g, err);
}

/* --- normalising -------------------------------------------------------------------------------------------------- */

typedef struct {
    const vb_unigram *u;
    char *signs; /* the text with U+2581 for spaces */
    size_t len, cap;
    int prefix, in_word;
    vb_err *err;
} normalizer;

static size_t base_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & 0x200) >> 6);
}

/* The longest entry of the table that text starts with; 0: none. *value: the place of its replacement. */
static size_t entry_at(const vb_unigram *u, const char *text, size_t len, size_t *value)
{
    size_t node = u->n_units > 0 ? base_of(word_at(u->units)) : 0, found = 0;
    for (size_t i = 0; i < len && text[i] != 0; i++) {
        uint8_t c = (uint8_t)text[i];
        node ^= c;
        uint32_t unit = node < u->n_units ? word_at(u->units + 4 * node) : 0;
        if ((unit & 0x800000ffu) != c) break;
        node ^= base_of(unit);
        if (!(unit & 0x100) || node >= u->n_units) continue;
        found = i + 1;
        *value = word_at(u->units + 4 * node) & 0x7fffffffu;
    }
    return found;
}

static vb_status put(normalizer *z, const char *text, size_t len)
{
    if (z->cap - z->len < len) {
        size_t cap = 2 * z->cap + len + 64;
        char *grown = realloc(z->signs, cap);
        if (grown == NULL) VB_FAIL(z->err, VB_E_MEMORY, "text: no memory for %zu bytes", cap);
        z->signs = grown;
        z->cap = cap;
    }
    memcpy(z->signs + z->len, text, len);
    z->len += len;
    return VB_OK;
}

/* Merged spaces are written when the next word starts; a prefix stands before the first word. */
static vb_status put_normal(normalizer *z, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == ' ') {
            z->in_word = 0;
            if (!z->u->merge_spaces) VB_TRY(put(z, VB_SPM_SPACE, VB_SPM_SPACE_LEN));
            continue;
        }
        if (!z->in_word && (z->prefix || z->u->merge_spaces)) VB_TRY(put(z, VB_SPM_SPACE, VB_SPM_SPACE_LEN));
        if (!z->in_word) z->prefix = 0;
        z->in_word = 1;
        VB_TRY(put(z, text + i, 1));
    }
    return VB_OK;
}

static vb_status normalize(normalizer *z, const char *text, size_t len)
{
    for (size_t at = 0, used; at < len; at += used) {
        uint32_t c;
        size_t value = 0;
        used = entry_at(z->u, text + at, len - at, &value);
        if (used > 0) {
            size_t room = value < z->u->texts_len ? z->u->texts_len - value : 0;
            VB_TRY(put_normal(z, z->u->texts + value, room > 0 ? strnlen(z->u->texts + value, room) : 0));
            continue;
        }
        used = vb_utf8_read(text + at, len - at, &c);
        int broken = used == 1 && (uint8_t)text[at] >= 0x80;
        VB_TRY(broken ? put_normal(z, "\xef\xbf\xbd", 3) : put_normal(z, text + at, used));
    }
    return VB_OK;
}

/* --- the best way ------------------------------------------------------------------------------------------------- */

typedef struct {
    double score;
    vb_token last;
    uint32_t from;
} way;

typedef struct {
    const vb_unigram *u;
    way *best;
    vb_token *found; /* tokens of a word, last first */
    size_t cap;
    vb_token before; /* the token before the word */
    vb_ids *out;
    vb_err *err;
} job;

/* Bytes of the character that starts here, by its first byte alone. */
static size_t character(const char *p, size_t len)
{
    uint8_t lead = (uint8_t)*p;
    size_t n = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    return n < len ? n : len;
}

static void improve(way *best, double score, vb_token last, size_t from)
{
    if (score > best->score) *best = (way){score, last, (uint32_t)from};
}

/* All tokens that start at `at`. */
static void extend(const job *j, const char *word, size_t len, size_t at, size_t one)
{
    const vb_unigram *u = j->u;
    uint64_t state = VB_STARTS_EMPTY;
    int single = 0;
    for (size_t end = at + 1; end <= len; end++) {
        int may = vb_starts_next(&u->starts, &state, (uint8_t)word[end - 1]);
        if (may == 0) break;
        vb_token id = may & VB_STARTS_WHOLE ? vb_vocab_find(u->vocab, word + at, end - at) : -1;
        if (id < 0 || !(u->is[id] & (VB_IS_NORMAL | VB_IS_USER_DEFINED | VB_IS_UNUSED))) continue;
        double score = u->is[id] & VB_IS_USER_DEFINED ? 0 : (double)u->vocab->pieces[id].score;
        improve(&j->best[end], j->best[at].score + score, id, at);
        single |= end - at == one;
    }
    if (!single) improve(&j->best[at + one], j->best[at].score + u->unknown_score, u->unknown, at);
}

static int reserve(job *j, size_t len)
{
    if (len < j->cap) return 1;
    free(j->best);
    free(j->found);
    j->cap = 2 * len + 64;
    j->best = malloc(j->cap * sizeof *j->best);
    j->found = malloc(j->cap * sizeof *j->found);
    return j->best != NULL && j->found != NULL;
}

static vb_status encode_word(job *j, const char *word, size_t len)
{
    size_t n = 0;
    if (len > VB_WORD_MOST)
        VB_FAIL(j->err, VB_E_UNSUPPORTED, "text: expected words of at most %d bytes, found a longer one", VB_WORD_MOST);
    if (!reserve(j, len)) VB_FAIL(j->err, VB_E_MEMORY, "text: no memory for a word of %zu bytes", len);
    for (size_t i = 0; i <= len; i++) j->best[i] = (way){i == 0 ? 0 : -DBL_MAX, j->u->unknown, 0};
    for (size_t at = 0, one; at < len; at += one) {
        one = character(word + at, len - at);
        extend(j, word, len, at, one);
    }
    for (size_t at = len; at > 0; at = j->best[at].from) j->found[n++] = j->best[at].last;
    while (n > 0) {
        vb_token id = j->found[--n];
        if (id < 0) VB_FAIL(j->err, VB_E_FORMAT, "vocabulary: expected a token for unknown characters, found none");
        if (id != j->u->unknown || id != j->before) vb_ids_push(j->out, id);
        j->before = id;
    }
    return vb_ids_too_many(j->out);
}

static vb_status encode_signs(job *j, const char *text, size_t len)
{
    size_t from = 0;
    for (size_t at = 1; at + VB_SPM_SPACE_LEN <= len; at++) {
        if (text[at] != VB_SPM_SPACE[0] || j->u->crosses[(uint8_t)text[at - 1]]) continue;
        if (memcmp(text + at, VB_SPM_SPACE, VB_SPM_SPACE_LEN) != 0) continue;
        VB_TRY(encode_word(j, text + from, at - from));
        from = at;
    }
    return len > from ? encode_word(j, text + from, len - from) : VB_OK;
}

vb_status vb_unigram_encode(const vb_unigram *u, const char *text, size_t len, int prefix, vb_ids *out, vb_err *err)
{
    normalizer z = {.u = u, .prefix = prefix, .err = err};
    job j = {.u = u, .before = -1, .out = out, .err = err};
    vb_status s = normalize(&z, text, len);
    if (s >= 0) s = encode_signs(&j, z.signs, z.len);
    free(z.signs);
    free(j.best);
    free(j.found);
    return s;
}
