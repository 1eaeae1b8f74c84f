/* wordpiece.c - one pass cleans the text and finds the words, each of which is cut as soon as it ends.
 *
 * A token's longest match ends where the filter of beginnings says so, and a word that fails is left at once, so time
 * is the text's length times the longest token's at worst.
 */
#include "text/wordpiece.h"

#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

#define SIGN "\xe2\x96\x81"
enum { SIGN_LEN = 3 };

int vb_wordpiece_open(vb_wordpiece *w, const vb_vocab *vocab, vb_arena *arena)
{
    w->vocab = vocab;
    w->unknown = -1;
    w->lower = w->strip = 1;
    return vb_starts_open(&w->starts, vocab, vocab->n, arena);
}

/* --- cutting a word ----------------------------------------------------------------------------------------------- */

typedef struct {
    const vb_wordpiece *w;
    char *word; /* SIGN and the word's bytes so far */
    size_t len, cap;
    vb_ids *out;
    vb_err *err;
} job;

/* The longest token that text starts with; -1: none. */
static vb_token longest(const vb_wordpiece *w, const char *text, size_t len, size_t *used)
{
    uint64_t state = VB_STARTS_EMPTY;
    vb_token best = -1;
    size_t whole[256], n = 0;
    for (size_t i = 0; i < len && i < w->vocab->longest; i++) {
        int may = vb_starts_next(&w->starts, &state, (uint8_t)text[i]);
        if (may == 0) break;
        if (may & VB_STARTS_WHOLE) whole[n++ % 256] = i + 1;
    }
    for (size_t tries = n < 256 ? n : 256; tries > 0 && best < 0; tries--) {
        *used = whole[--n % 256];
        best = vb_vocab_find(w->vocab, text, *used);
    }
    return best;
}

static vb_status end_word(job *j)
{
    size_t before = j->out->n, used = 0;
    if (j->len == SIGN_LEN) return VB_OK;
    for (size_t at = 0; at < j->len; at += used) {
        vb_token id = longest(j->w, j->word + at, j->len - at, &used);
        if (id >= 0) {
            vb_ids_push(j->out, id);
            continue;
        }
        if (j->w->unknown < 0) VB_FAIL(j->err, VB_E_FORMAT, "vocabulary: expected a token for unknown words, found none");
        j->out->n = before;
        vb_ids_push(j->out, j->w->unknown);
        break;
    }
    j->len = SIGN_LEN;
    return vb_ids_too_many(j->out);
}

/* --- cleaning the text -------------------------------------------------------------------------------------------- */

static vb_status add(job *j, uint32_t c)
{
    if (j->cap - j->len < 4) {
        size_t cap = 2 * j->cap + 64;
        char *grown = realloc(j->word, cap);
        if (grown == NULL) VB_FAIL(j->err, VB_E_MEMORY, "text: no memory for a word of %zu bytes", j->len);
        j->word = grown;
        j->cap = cap;
    }
    j->len += vb_utf8_write(j->word + j->len, j->w->lower ? vb_cp_lower(c) : c);
    return VB_OK;
}

static int is_chinese(uint32_t c)
{
    static const uint32_t range[][2] = {{0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xf900, 0xfaff},   {0x20000, 0x2a6df},
                                        {0x2a700, 0x2b73f}, {0x2b740, 0x2b81f}, {0x2b920, 0x2ceaf}, {0x2f800, 0x2fa1f}};
    for (size_t i = 0; c >= 0x3400 && i < sizeof range / sizeof range[0]; i++)
        if (c >= range[i][0] && c <= range[i][1]) return 1;
    return 0;
}

static vb_status clean(job *j, uint32_t c)
{
    vb_cp_class class = vb_cp_class_of(c);
    if (vb_cp_is_space(c)) return end_word(j);
    if (c == 0xfffd || vb_cp_is_hidden(c)) return VB_OK;
    if (j->w->strip && class == VB_CP_MARK) return VB_OK;
    if (class != VB_CP_PUNCTUATION && !(class == VB_CP_SYMBOL && c < 0x7f) && !is_chinese(c)) return add(j, c);
    VB_TRY(end_word(j));
    VB_TRY(add(j, c));
    return end_word(j);
}

/* Hangul syllables fall apart into two or three letters, everything else keeps its first part: the others are marks. */
static vb_status strip(job *j, uint32_t c)
{
    enum { FIRST = 0xac00, LAST = 0xd7a3, LEAD = 0x1100, VOWEL = 0x1161, TAIL = 0x11a7, VOWELS = 21, TAILS = 28 };
    if (c < FIRST || c > LAST) return clean(j, vb_cp_base(c));
    uint32_t i = c - FIRST;
    VB_TRY(clean(j, LEAD + i / TAILS / VOWELS));
    VB_TRY(clean(j, VOWEL + i / TAILS % VOWELS));
    return i % TAILS == 0 ? VB_OK : clean(j, TAIL + i % TAILS);
}

static vb_status encode(job *j, const char *text, size_t len)
{
    for (size_t i = 0; i < SIGN_LEN; i++) VB_TRY(add(j, 'x'));
    memcpy(j->word, SIGN, SIGN_LEN);
    for (size_t at = 0; at < len;) {
        uint32_t c;
        size_t used = vb_utf8_read(text + at, len - at, &c);
        if (c > 0x10ffff)
            VB_FAIL(j->err, VB_E_FORMAT, "text: byte %zu: expected a code point up to U+10FFFF, found U+%X", at, c);
        VB_TRY(j->w->strip ? strip(j, c) : clean(j, c));
        at += used;
    }
    return end_word(j);
}

vb_status vb_wordpiece_encode(const vb_wordpiece *w, const char *text, size_t len, vb_ids *out, vb_err *err)
{
    job j = {.w = w, .out = out, .err = err};
    vb_status s = encode(&j, text, len);
    free(j.word);
    return s;
}
