/* split.c - the matchers, and which vocabulary uses which.
 *
 * A matcher gives the length of its pattern's match at a place, 0 if there is none. The comment above each is the
 * pattern it stands for, in the usual notation: L letters, N numbers, P punctuation, s white space.
 */
#include "text/split.h"

#include "text/unicode.h"

#include <string.h>

typedef size_t matcher(const vb_codepoints *t, size_t at);

static size_t run_of(const vb_codepoints *t, size_t at, uint8_t class)
{
    size_t end = at;
    while (end < t->n && t->class[end] == class) end++;
    return end - at;
}

/* [^\s L N]+ */
static size_t run_of_others(const vb_codepoints *t, size_t at)
{
    size_t end = at;
    while (end < t->n && t->class[end] != VB_CP_SPACE && t->class[end] != VB_CP_LETTER && t->class[end] != VB_CP_NUMBER)
        end++;
    return end - at;
}

static uint32_t lower(uint32_t c, int any_case)
{
    return any_case && c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* 's|'t|'re|'ve|'m|'ll|'d, in lower case or in any */
static size_t contraction(const vb_codepoints *t, size_t at, int any_case)
{
    if (t->cp[at] != '\'' || at + 1 >= t->n) return 0;
    uint32_t a = lower(t->cp[at + 1], any_case), b = at + 2 < t->n ? lower(t->cp[at + 2], any_case) : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* \s+(?!\S)|\s+ : a run of spaces leaves its last one to the word behind it */
static size_t spaces(const vb_codepoints *t, size_t at)
{
    size_t n = run_of(t, at, VB_CP_SPACE);
    return n > 1 && at + n < t->n ? n - 1 : n;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?L+| ?N+| ?[^\s L N]+|\s+(?!\S)|\s+ */
static size_t gpt2(const vb_codepoints *t, size_t at)
{
    size_t n = contraction(t, at, 0), skip = t->cp[at] == ' ' && at + 1 < t->n;
    if (n > 0) return n;
    if ((n = run_of(t, at + skip, VB_CP_LETTER)) > 0) return skip + n;
    if ((n = run_of(t, at + skip, VB_CP_NUMBER)) > 0) return skip + n;
    if ((n = run_of_others(t, at + skip)) > 0) return skip + n;
    return spaces(t, at);
}

static int is_newline(uint32_t cp)
{
    return cp == '\r' || cp == '\n';
}

/* \s*[\r\n]+ : up to the last line end of a run of spaces */
static size_t lines(const vb_codepoints *t, size_t at)
{
    size_t n = run_of(t, at, VB_CP_SPACE);
    while (n > 0 && !is_newline(t->cp[at + n - 1])) n--;
    return n;
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n L N]?L+|N{1,most}| ?[^\s L N]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t newer(const vb_codepoints *t, size_t at, size_t most)
{
    size_t n = contraction(t, at, 1);
    uint8_t class = t->class[at];
    size_t skip = class != VB_CP_LETTER && class != VB_CP_NUMBER && !is_newline(t->cp[at]) && at + 1 < t->n;
    if (n > 0) return n;
    if ((n = run_of(t, at + skip, VB_CP_LETTER)) > 0) return skip + n;
    if ((n = run_of(t, at, VB_CP_NUMBER)) > 0) return n < most ? n : most;
    skip = t->cp[at] == ' ' && at + 1 < t->n;
    if ((n = run_of_others(t, at + skip)) > 0) {
        n += skip;
        while (at + n < t->n && is_newline(t->cp[at + n])) n++;
        return n;
    }
    if ((n = lines(t, at)) > 0) return n;
    return spaces(t, at);
}

static size_t llama3(const vb_codepoints *t, size_t at)
{
    return newer(t, at, 3);
}

static size_t qwen2(const vb_codepoints *t, size_t at)
{
    return newer(t, at, 1);
}

/* N */
static size_t digit(const vb_codepoints *t, size_t at)
{
    return t->class[at] == VB_CP_NUMBER;
}

/* N+ */
static size_t number(const vb_codepoints *t, size_t at)
{
    return run_of(t, at, VB_CP_NUMBER);
}

/* [0-9][0-9][0-9] */
static size_t three_digits(const vb_codepoints *t, size_t at)
{
    size_t n = 0;
    while (n < 3 && at + n < t->n && t->cp[at + n] >= '0' && t->cp[at + n] <= '9') n++;
    return n == 3 ? 3 : 0;
}

/* [P$+<=>^~|]+ */
static size_t marks(const vb_codepoints *t, size_t at)
{
    size_t n = 0;
    for (; at + n < t->n; n++) {
        uint32_t c = t->cp[at + n];
        if (t->class[at + n] != VB_CP_PUNCTUATION && (c == 0 || c > 0x7f || strchr("$+<=>^~|", (int)c) == NULL)) break;
    }
    return n;
}

/* --- which vocabulary uses which ------------------------------------------------------------------------ */

enum { MOST = 4 };
struct vb_split {
    const char *pre;
    int whole_words, adds_bos;
    matcher *chain[MOST + 1];
};

static const vb_split table[] = {
    {"default", 0, 0, {marks, gpt2, number, three_digits}},
    {"gpt-2", 0, 0, {gpt2}},
    {"mpt", 0, 0, {gpt2}},
    {"olmo", 0, 0, {gpt2}},
    {"jais", 0, 0, {gpt2}},
    {"phi-2", 0, 0, {gpt2}},
    {"smollm", 0, 0, {digit, gpt2}},
    {"starcoder", 0, 0, {digit, gpt2}},
    {"refact", 0, 0, {digit, gpt2}},
    {"command-r", 0, 0, {digit, gpt2}},
    {"codeshell", 0, 0, {digit, gpt2}},
    {"llama-bpe", 1, 1, {llama3}},
    {"llama3", 1, 1, {llama3}},
    {"llama-v3", 1, 1, {llama3}},
    {"qwen2", 0, 0, {qwen2}},
    {"deepseek-r1-qwen", 0, 0, {qwen2}},
    {"stablelm2", 0, 0, {qwen2}},
};

const vb_split *vb_split_find(const char *pre, size_t len)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strlen(table[i].pre) == len && memcmp(table[i].pre, pre, len) == 0) return &table[i];
    return NULL;
}

const char *vb_split_names(void)
{
    return "default, gpt-2, mpt, olmo, jais, phi-2, smollm, starcoder, refact, command-r, codeshell, llama-bpe, qwen2, "
           "deepseek-r1-qwen, stablelm2";
}

int vb_split_whole_words(const vb_split *s)
{
    return s->whole_words;
}

int vb_split_adds_bos(const vb_split *s)
{
    return s->adds_bos;
}

/* --- running the chain ------------------------------------------------------------------------------------ */

typedef struct {
    matcher *const *chain; /* NULL at its end */
    const vb_codepoints *text;
    vb_word_fn word;
    void *ud;
} run;

/* The piece [from, to) through the rest of the chain. The depth is the chain's length. */
static int cut(const run *r, matcher *const *chain, size_t from, size_t to)
{
    if (*chain == NULL) return r->word(r->ud, from, to);
    vb_codepoints piece = {r->text->cp + from, r->text->class + from, to - from};
    size_t gap = 0, at = 0;
    while (at < piece.n) {
        size_t n = (*chain)(&piece, at);
        if (n == 0) {
            at++;
            continue;
        }
        int s = gap < at ? cut(r, chain + 1, from + gap, from + at) : 0;
        if (s >= 0) s = cut(r, chain + 1, from + at, from + at + n);
        if (s < 0) return s;
        gap = at += n;
    }
    return gap < piece.n ? cut(r, chain + 1, from + gap, to) : 0;
}

int vb_split_run(const vb_split *s, const vb_codepoints *text, vb_word_fn word, void *ud)
{
    run r = {s->chain, text, word, ud};
    return text->n > 0 ? cut(&r, s->chain, 0, text->n) : 0;
}
