/* split.c - the matchers, and which vocabulary uses which.
 *
 * A matcher gives the length of its pattern's match at a place, 0 if there is none. The comment above each is the
 * pattern it stands for, in the usual notation: L letters, N numbers, P punctuation, S symbols, M marks, \s white
 * space. Alternatives are tried from left to right, repetitions take all they can. Every matcher looks at a run of
 * characters a bounded number of times only, so that splitting is linear in the text whatever it consists of.
 */
#include "text/split.h"

#include "text/unicode.h"

#include <string.h>

typedef size_t matcher(const vb_codepoints *t, size_t at);

/* Sets of classes, and the longest run of one. */
enum {
    L = 1 << VB_CP_LETTER,
    N = 1 << VB_CP_NUMBER,
    P = 1 << VB_CP_PUNCTUATION,
    S = 1 << VB_CP_SYMBOL,
    M = 1 << VB_CP_MARK,
    SPACE = 1 << VB_CP_SPACE,
    ANY = L | N | P | S | M | SPACE | 1 << VB_CP_OTHER,
};

static int in(const vb_codepoints *t, size_t at, int set)
{
    return at < t->n && (set >> t->class[at] & 1);
}

static size_t run_of(const vb_codepoints *t, size_t at, int set)
{
    size_t end = at;
    while (in(t, end, set)) end++;
    return end - at;
}

static size_t up_to(const vb_codepoints *t, size_t at, int set, size_t most)
{
    size_t n = 0;
    while (n < most && in(t, at + n, set)) n++;
    return n;
}

static uint32_t cp_at(const vb_codepoints *t, size_t at)
{
    return at < t->n ? t->cp[at] : UINT32_MAX;
}

static int is_newline(uint32_t cp)
{
    return cp == '\r' || cp == '\n';
}

/* [\r\n]*, or [\r\n/]* with slash */
static size_t newlines(const vb_codepoints *t, size_t at, int slash)
{
    size_t end = at;
    while (end < t->n && (is_newline(t->cp[end]) || (slash && t->cp[end] == '/'))) end++;
    return end - at;
}

/* --- parts of patterns ------------------------------------------------------------------------------------------ */

static uint32_t lower(uint32_t c, int any_case)
{
    return any_case && c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* 's|'t|'re|'ve|'m|'ll|'d, in lower case or in any */
static size_t contraction(const vb_codepoints *t, size_t at, int any_case)
{
    if (cp_at(t, at) != '\'') return 0;
    uint32_t a = lower(cp_at(t, at + 1), any_case), b = lower(cp_at(t, at + 2), any_case);
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* ` ?set+` */
static size_t after_space(const vb_codepoints *t, size_t at, int set)
{
    size_t skip = t->cp[at] == ' ', n = run_of(t, at + skip, set);
    return n > 0 ? skip + n : 0;
}

/* [^\r\n not]?set+ ; `set` may hold classes that the optional character may have, too */
static size_t after_one(const vb_codepoints *t, size_t at, int not, int set)
{
    size_t skip = !is_newline(t->cp[at]) && !in(t, at, not), n = run_of(t, at + skip, set);
    return n > 0 ? skip + n : run_of(t, at, set);
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ : up to the last line end of a run of spaces; without one, the run leaves its last space to
 * the word behind it */
static size_t lines_or_spaces(const vb_codepoints *t, size_t at, int lines)
{
    size_t run = run_of(t, at, SPACE), n = lines ? run : 0;
    while (n > 0 && !is_newline(t->cp[at + n - 1])) n--;
    if (n > 0) return n;
    return run > 1 && at + run < t->n ? run - 1 : run;
}

/* --- single classes --------------------------------------------------------------------------------------------- */

/* N */
static size_t digit(const vb_codepoints *t, size_t at)
{
    return up_to(t, at, N, 1);
}

/* N{1,3} */
static size_t one_to_three(const vb_codepoints *t, size_t at)
{
    return up_to(t, at, N, 3);
}

/* N+ */
static size_t number(const vb_codepoints *t, size_t at)
{
    return run_of(t, at, N);
}

/* [0-9][0-9][0-9] */
static size_t three_digits(const vb_codepoints *t, size_t at)
{
    size_t n = 0;
    while (n < 3 && cp_at(t, at + n) >= '0' && cp_at(t, at + n) <= '9') n++;
    return n == 3 ? 3 : 0;
}

static size_t punctuation_or(const vb_codepoints *t, size_t at, const char *others)
{
    size_t n = 0;
    while (at + n < t->n) {
        uint32_t c = t->cp[at + n];
        if (!in(t, at + n, P) && (c == 0 || c > 0x7f || strchr(others, (int)c) == NULL)) break;
        n++;
    }
    return n;
}

/* [P$+<=>^~|]+ */
static size_t marks(const vb_codepoints *t, size_t at)
{
    return punctuation_or(t, at, "$+<=>^~|");
}

/* [P$+<=>^~|`]+ */
static size_t falcon_marks(const vb_codepoints *t, size_t at)
{
    return punctuation_or(t, at, "$+<=>^~|`");
}

/* [\r\n] */
static size_t newline(const vb_codepoints *t, size_t at)
{
    return is_newline(t->cp[at]) ? 1 : 0;
}

/* [^\n]+|[\n]+ */
static size_t line(const vb_codepoints *t, size_t at)
{
    size_t end = at + 1;
    while (end < t->n && (t->cp[end] == '\n') == (t->cp[at] == '\n')) end++;
    return end - at;
}

static int between(uint32_t c, uint32_t low, uint32_t high)
{
    return c >= low && c <= high;
}

/* Han and Kana: [\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+ */
static size_t han_or_kana(const vb_codepoints *t, size_t at)
{
    size_t n = 0;
    while (at + n < t->n && (between(t->cp[at + n], 0x4e00, 0x9fa5) || between(t->cp[at + n], 0x3040, 0x30ff))) n++;
    return n;
}

/* [\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+ */
static size_t asian(const vb_codepoints *t, size_t at)
{
    size_t n = 0;
    while (at + n < t->n && (between(t->cp[at + n], 0x800, 0x9fa5) || between(t->cp[at + n], 0xac00, 0xd7ff))) n++;
    return n;
}

static size_t after_any_space(const vb_codepoints *t, size_t at, int set)
{
    size_t skip = up_to(t, at, SPACE, 1), n = run_of(t, at + skip, set);
    return n > 0 ? skip + n : 0;
}

/* \s?L+ */
static size_t letters(const vb_codepoints *t, size_t at)
{
    return after_any_space(t, at, L);
}

/* \s?P+ */
static size_t punctuation(const vb_codepoints *t, size_t at)
{
    return after_any_space(t, at, P);
}

/* --- whole patterns --------------------------------------------------------------------------------------------- */

/* 's|'t|'re|'ve|'m|'ll|'d| ?L+| ?N+| ?[^\s L N]+|\s+(?!\S)|\s+ */
static size_t gpt2(const vb_codepoints *t, size_t at)
{
    size_t n = contraction(t, at, 0);
    if (n > 0) return n;
    if ((n = after_space(t, at, L)) > 0) return n;
    if ((n = after_space(t, at, N)) > 0) return n;
    if ((n = after_space(t, at, ANY & ~(SPACE | L | N))) > 0) return n;
    return lines_or_spaces(t, at, 0);
}

/* What the newer patterns share, word = L or [L M]:
 * [^\r\n L N]?word+|N{1,most}| ?[^\s word N]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t newer(const vb_codepoints *t, size_t at, int word, size_t most, int tail)
{
    size_t n = after_one(t, at, L | N, word);
    if (n > 0) return n;
    if ((n = up_to(t, at, N, most)) > 0) return n;
    if ((n = after_space(t, at, ANY & ~(SPACE | word | N))) > 0) return tail ? n + newlines(t, at + n, tail == '/') : n;
    return lines_or_spaces(t, at, 1);
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)| and then what the newer ones share, most 3 */
static size_t llama3(const vb_codepoints *t, size_t at)
{
    size_t n = contraction(t, at, 1);
    return n > 0 ? n : newer(t, at, L, 3, '\n');
}

/* the same, most 1 */
static size_t qwen2(const vb_codepoints *t, size_t at)
{
    size_t n = contraction(t, at, 1);
    return n > 0 ? n : newer(t, at, L, 1, '\n');
}

/* the same, most 1, words of [L M] */
static size_t qwen35(const vb_codepoints *t, size_t at)
{
    size_t n = contraction(t, at, 1);
    return n > 0 ? n : newer(t, at, L | M, 1, '\n');
}

/* the same with N+ */
static size_t minicpm5(const vb_codepoints *t, size_t at)
{
    size_t n = contraction(t, at, 1);
    return n > 0 ? n : newer(t, at, L, SIZE_MAX, '\n');
}

/* the same, most 1, no line ends behind [^\s L N]+ */
static size_t seed_coder(const vb_codepoints *t, size_t at)
{
    size_t n = contraction(t, at, 1);
    return n > 0 ? n : newer(t, at, L, 1, 0);
}

/* what the newer ones share, most 1, no contractions */
static size_t ufakzeka(const vb_codepoints *t, size_t at)
{
    return newer(t, at, L, 1, '\n');
}

static int is_upper(const vb_codepoints *t, size_t at)
{
    return in(t, at, L) && !between(t->cp[at], 'a', 'z');
}

static int is_lower(const vb_codepoints *t, size_t at)
{
    return in(t, at, L) && !between(t->cp[at], 'A', 'Z');
}

/* U*D+|U+D*, U = L without [a-z], D = L without [A-Z]; letters outside ASCII are both. U* first takes its whole
 * run; if no D follows, it gives back up to the last character that is one. */
static size_t cased_word(const vb_codepoints *t, size_t at)
{
    size_t end = at, both = SIZE_MAX;
    for (; is_upper(t, end); end++)
        if (is_lower(t, end)) both = end;
    if (!is_lower(t, end)) return (both != SIZE_MAX ? both + 1 : end) - at;
    while (is_lower(t, end)) end++;
    return end - at;
}

/* [^\r\n L N]?(U*D+|U+D*), then the contraction if `contracts`, else what the newer ones share with [\r\n/]* */
static size_t cased(const vb_codepoints *t, size_t at, size_t most, int contracts)
{
    size_t skip = !is_newline(t->cp[at]) && !in(t, at, L | N), n = cased_word(t, at + skip);
    if (n > 0) return skip + n + (contracts ? contraction(t, at + skip + n, 1) : 0);
    return newer(t, at, L, most, '/');
}

static size_t gpt4o(const vb_codepoints *t, size_t at)
{
    return cased(t, at, 3, 1);
}

static size_t tekken(const vb_codepoints *t, size_t at)
{
    return cased(t, at, 1, 0);
}

static int is_ascii_letter(uint32_t c)
{
    return between(lower(c, 1), 'a', 'z');
}

static int is_ascii_mark(uint32_t c)
{
    return between(c, 0x21, 0x7e) && !is_ascii_letter(c) && !between(c, '0', '9');
}

/* [!-/:-@\[-`{-~][A-Za-z]+|[^\r\n L P S]?[L M]+| ?[P S]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t deepseek3(const vb_codepoints *t, size_t at)
{
    size_t n = is_ascii_mark(t->cp[at]) ? 1 : 0;
    while (n > 0 && is_ascii_letter(cp_at(t, at + n))) n++;
    if (n > 1) return n;
    if ((n = after_one(t, at, L | P | S, L | M)) > 0) return n;
    if ((n = after_space(t, at, P | S)) > 0) return n + newlines(t, at + n, 0);
    return lines_or_spaces(t, at, 1);
}

/* ` ?[^(\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+` */
static size_t bloom(const vb_codepoints *t, size_t at)
{
    static const uint32_t stops[] = {'(',    '|',    '.',    ',',    '!',   '?',   ')',
                                     0x2026, 0x3002, 0xff0c, 0x3001, 0x964, 0x6d4, 0x60c};
    size_t skip = t->cp[at] == ' ', end = at + skip;
    for (; end < t->n && !in(t, end, SPACE); end++)
        for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++)
            if (t->cp[end] == stops[i]) return end > at + skip ? end - at : 0;
    return end > at + skip ? end - at : 0;
}

/* --- which vocabulary uses which ---------------------------------------------------------------------------------- */

enum {
    WHOLE = VB_SPLIT_WHOLE_WORDS,
    BOS = VB_SPLIT_ADDS_BOS,
    NO_BOS = VB_SPLIT_WITHOUT_BOS,
    KEEP = VB_SPLIT_KEEPS_SPACES,
    MOST = 5,
};
struct vb_split {
    const char *pre;
    int is;
    matcher *chain[MOST + 1];
};

static const vb_split table[] = {
    {"default", 0, {marks, gpt2, number, three_digits}},
    {"gpt-2", 0, {gpt2}},
    {"phi-2", 0, {gpt2}},
    {"jina-es", 0, {gpt2}},
    {"jina-de", 0, {gpt2}},
    {"jina-v2-es", 0, {gpt2}},
    {"jina-v2-de", 0, {gpt2}},
    {"jina-v1-en", 0, {gpt2}},
    {"jina-v2-code", 0, {gpt2}},
    {"roberta-bpe", 0, {gpt2}},
    {"gigachat", 0, {gpt2}},
    {"a.x-4.0", 0, {gpt2}},
    {"mellum", 0, {gpt2}},
    {"modern-bert", 0, {gpt2}},
    {"exaone4", 0, {gpt2}},
    {"mpt", 0, {gpt2}},
    {"olmo", 0, {gpt2}},
    {"jais", 0, {gpt2}},
    {"trillion", KEEP, {gpt2}},
    {"granite-docling", KEEP, {gpt2}},
    {"smollm", KEEP, {digit, gpt2}},
    {"starcoder", 0, {digit, gpt2}},
    {"refact", 0, {digit, gpt2}},
    {"command-r", KEEP, {digit, gpt2}},
    {"codeshell", 0, {digit, gpt2}},
    {"exaone", 0, {digit, gpt2}},
    {"minerva-7b", 0, {digit, gpt2}},
    {"mellum2", 0, {digit, gpt2}},
    {"falcon", 0, {falcon_marks, gpt2, three_digits}},
    {"bloom", 0, {bloom}},
    {"gpt3-finnish", 0, {bloom}},
    {"poro-chat", KEEP, {bloom}},
    {"viking", KEEP, {bloom, digit}},
    {"llama-bpe", WHOLE | BOS, {llama3}},
    {"llama3", WHOLE | BOS, {llama3}},
    {"llama-v3", WHOLE | BOS, {llama3}},
    {"falcon3", WHOLE | BOS, {llama3}},
    {"falcon-h1", WHOLE | BOS, {llama3}},
    {"pixtral", WHOLE | BOS, {llama3}},
    {"midm-2.0", WHOLE | BOS, {llama3}},
    {"lfm2", WHOLE | BOS, {llama3}},
    {"jina-v5-nano", WHOLE | BOS, {llama3}},
    {"dbrx", 0, {llama3}},
    {"smaug-bpe", 0, {llama3}},
    {"chatglm-bpe", NO_BOS, {llama3}},
    {"glm4", NO_BOS | WHOLE, {llama3}},
    {"glm5", NO_BOS | WHOLE, {llama3}},
    {"minicpm5", WHOLE, {one_to_three, minicpm5}},
    {"qwen2", KEEP, {qwen2}},
    {"deepseek-r1-qwen", KEEP, {qwen2}},
    {"kormo", KEEP, {qwen2}},
    {"f2llmv2", KEEP, {qwen2}},
    {"stablelm2", 0, {qwen2}},
    {"megrez", 0, {qwen2}},
    {"hunyuan", KEEP, {qwen2}},
    {"solar-open", KEEP, {qwen2}},
    {"grok-2", KEEP, {qwen2}},
    {"bailingmoe", KEEP, {qwen2}},
    {"bailingmoe2", KEEP, {qwen2}},
    {"llada-moe", KEEP, {qwen2}},
    {"laguna", KEEP, {line, qwen2}},
    {"qwen35", KEEP, {qwen35}},
    {"seed-coder", KEEP, {seed_coder}},
    {"ufakzeka", KEEP, {ufakzeka}},
    {"gpt-4o", KEEP, {gpt4o}},
    {"llama4", KEEP, {gpt4o}},
    {"kanana2", KEEP, {gpt4o}},
    {"talkie", KEEP, {gpt4o}},
    {"minimax-m2", KEEP, {gpt4o}},
    {"tekken", KEEP | WHOLE | BOS, {tekken}},
    {"deepseek-coder", KEEP, {newline, letters, punctuation, asian, digit}},
    {"deepseek-v3", KEEP, {one_to_three, han_or_kana, deepseek3}},
    {"hunyuan-dense", KEEP, {one_to_three, han_or_kana, deepseek3}},
    {"joyai-llm", KEEP, {one_to_three, han_or_kana, deepseek3}},
    {"hy_v4", KEEP, {one_to_three, han_or_kana, deepseek3}},
};

const vb_split *vb_split_at(size_t i)
{
    return i < sizeof table / sizeof table[0] ? &table[i] : NULL;
}

const vb_split *vb_split_find(const char *pre, size_t len)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strlen(table[i].pre) == len && memcmp(table[i].pre, pre, len) == 0) return &table[i];
    return NULL;
}

const char *vb_split_name(const vb_split *s)
{
    return s->pre;
}

int vb_split_is(const vb_split *s, int what)
{
    return (s->is & what) != 0;
}

/* --- running the chain -------------------------------------------------------------------------------------------- */

typedef struct {
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
    run r = {text, word, ud};
    return text->n > 0 ? cut(&r, s->chain, 0, text->n) : 0;
}
