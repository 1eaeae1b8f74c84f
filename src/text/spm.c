/* spm.c - score-driven merges over a text cut where no token can cross.
 *
 *   "the cat"  ->  the U+2581 cat  ->  the | U+2581 cat       if no token has U+2581 behind an "e"
 *
 * Joins make tokens only, so a place that no token of the vocabulary crosses never joins; the parts between such
 * places are merged each on its own, with the same result as the whole and queues that stay small.
 */
#include "text/spm.h"

#include "text/merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `<0x41>` or else the byte itself. */
static vb_token byte_token(const vb_vocab *v, int byte)
{
    char text[8], raw = (char)byte;
    int n = snprintf(text, sizeof text, "<0x%02X>", (unsigned)byte);
    int32_t id = vb_vocab_find(v, text, (size_t)n);
    return id >= 0 ? id : vb_vocab_find(v, &raw, 1);
}

static int is_space_sign(const char *p)
{
    return memcmp(p, VB_SPM_SPACE, VB_SPM_SPACE_LEN) == 0;
}

void vb_spm_find_crosses(uint8_t crosses[256], const vb_vocab *vocab)
{
    memset(crosses, 0, 256);
    for (size_t id = 0; id < vocab->n; id++) {
        const char *text = vocab->pieces[id].text, *end = text + vocab->pieces[id].len;
        for (const char *p = text + 1; end - p >= VB_SPM_SPACE_LEN; p++) {
            p = memchr(p, VB_SPM_SPACE[0], (size_t)(end - p) - VB_SPM_SPACE_LEN + 1);
            if (p == NULL) break;
            if (is_space_sign(p)) crosses[(uint8_t)p[-1]] = 1;
        }
    }
}

void vb_spm_open(vb_spm *s, const vb_vocab *vocab)
{
    s->vocab = vocab;
    for (int byte = 0; byte < 256; byte++) s->byte[byte] = byte_token(vocab, byte);
    vb_spm_find_crosses(s->crosses, vocab);
}

/* --- encoding ---------------------------------------------------------------------------------------------- */

typedef struct {
    const vb_spm *s;
    const char *word; /* of the merger's symbols */
    vb_merger merger;
    vb_ids *out;
    vb_err *err;
} job;

/* Floats in descending order are these numbers in ascending order; both zeros are one. */
static uint32_t rank_of(float score)
{
    uint32_t bits;
    score += 0.0f;
    memcpy(&bits, &score, sizeof bits);
    return bits >> 31 ? bits : ~(bits | 0x80000000u);
}

static int join(const void *ud, const vb_symbol *left, const vb_symbol *right, uint32_t *rank, int32_t *id)
{
    const job *j = ud;
    *id = vb_vocab_find(j->s->vocab, j->word + left->at, (size_t)left->len + right->len);
    if (*id < 0) return 0;
    *rank = rank_of(j->s->vocab->pieces[*id].score);
    return 1;
}

static vb_status push_symbol(const job *j, const vb_symbol *symbol)
{
    const char *text = j->word + symbol->at;
    vb_token id = symbol->id >= 0 ? symbol->id : vb_vocab_find(j->s->vocab, text, symbol->len);
    if (id >= 0) {
        vb_ids_push(j->out, id);
        return VB_OK;
    }
    for (uint32_t i = 0; i < symbol->len; i++) {
        id = j->s->byte[(uint8_t)text[i]];
        if (id < 0)
            VB_FAIL(j->err, VB_E_FORMAT, "vocabulary: expected a token for byte 0x%02X, found none", (uint8_t)text[i]);
        vb_ids_push(j->out, id);
    }
    return VB_OK;
}

static vb_status finish_word(job *j)
{
    vb_merger *m = &j->merger;
    if (m->n == 0) return VB_OK;
    if (!vb_merge_run(m)) VB_FAIL(j->err, VB_E_MEMORY, "text: no memory for a word of %zu characters", m->n);
    for (uint32_t i = 0; i != VB_NO_SYMBOL; i = m->symbols[i].next) VB_TRY(push_symbol(j, &m->symbols[i]));
    vb_merge_start(m);
    return vb_ids_too_many(j->out);
}

/* Bytes of the character that starts here, by its first byte alone. */
static size_t character(const char *p, size_t len)
{
    uint8_t lead = (uint8_t)*p;
    size_t n = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    return n < len ? n : len;
}

static vb_status encode_signs(job *j, const char *text, size_t len)
{
    j->word = text;
    for (size_t at = 0, n; at < len; at += n) {
        const char *p = text + at;
        n = character(p, len - at);
        if (p > j->word && n == VB_SPM_SPACE_LEN && is_space_sign(p) && !j->s->crosses[(uint8_t)p[-1]]) {
            VB_TRY(finish_word(j));
            j->word = p;
        }
        if (p - j->word > VB_WORD_MOST)
            VB_FAIL(j->err, VB_E_UNSUPPORTED, "text: expected words of at most %d bytes, found a longer one",
                    VB_WORD_MOST);
        if (!vb_merge_add(&j->merger, (uint32_t)n, -1))
            VB_FAIL(j->err, VB_E_MEMORY, "text: no memory for a word of %zu characters", j->merger.n);
    }
    return finish_word(j);
}

static size_t put_sign(char *out)
{
    memcpy(out, VB_SPM_SPACE, VB_SPM_SPACE_LEN);
    return VB_SPM_SPACE_LEN;
}

vb_status vb_spm_encode(const vb_spm *s, const char *text, size_t len, int prefix, vb_ids *out, vb_err *err)
{
    size_t bytes = prefix ? VB_SPM_SPACE_LEN : 0, n = 0;
    for (size_t i = 0; i < len; i++) bytes += text[i] == ' ' ? VB_SPM_SPACE_LEN : 1;
    char *signs = malloc(bytes);
    if (signs == NULL) VB_FAIL(err, VB_E_MEMORY, "text: no memory for %zu bytes", bytes);
    if (prefix) n += put_sign(signs);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == ' ')
            n += put_sign(signs + n);
        else
            signs[n++] = text[i];
    }
    job j = {.s = s, .out = out, .err = err};
    j.merger.join = join;
    j.merger.ud = &j;
    vb_status status = encode_signs(&j, signs, n);
    vb_merge_free(&j.merger);
    free(signs);
    return status;
}
