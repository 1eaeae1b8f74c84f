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

/* Ranges in order. */
static int in_ranges(uint32_t c, const uint32_t (*range)[2], size_t n)
{
    size_t low = 0;
    while (low < n) {
        size_t mid = (low + n) / 2;
        if (c < range[mid][0])
            n = mid;
        else if (c > range[mid][1])
            low = mid + 1;
        else
            return 1;
    }
    return 0;
}

/* Numbers that stand alone already (a piece that ends with one is nothing else), in threes from the right:
 * N{1,3}(?=(?:N{3})*$) */
static size_t threes(const vb_codepoints *t, size_t at)
{
    if (!in(t, at, N) || !in(t, t->n - 1, N)) return 0;
    return (t->n - at) % 3 == 0 ? 3 : (t->n - at) % 3;
}

/* N+(?![L M N _]) */
static size_t bounded_number(const vb_codepoints *t, size_t at)
{
    size_t n = run_of(t, at, N);
    return in(t, at + n, L | M) || cp_at(t, at + n) == '_' ? 0 : n;
}

/* White space without a line end, which stands alone already, in halving parts: \s{512}|\s{256}|..|\s{4}|\s{1,2} */
static size_t powers_of_two(const vb_codepoints *t, size_t at)
{
    if (!in(t, at, SPACE) || !in(t, t->n - 1, SPACE) || is_newline(t->cp[t->n - 1])) return 0;
    size_t n = 512;
    while (n > t->n - at) n /= 2;
    return n;
}

/* \s+$ */
static size_t last_spaces(const vb_codepoints *t, size_t at)
{
    size_t n = run_of(t, at, SPACE);
    return at + n == t->n ? n : 0;
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

static size_t run_in(const vb_codepoints *t, size_t at, const uint32_t (*range)[2], size_t n)
{
    size_t end = at;
    while (end < t->n && in_ranges(t->cp[end], range, n)) end++;
    return end - at;
}

/* \s?set+ ; the white space may itself be in the set */
static size_t spaced(const vb_codepoints *t, size_t at, const uint32_t (*range)[2], size_t n)
{
    size_t skip = up_to(t, at, SPACE, 1), run = run_in(t, at + skip, range, n);
    return run > 0 ? skip + run : run_in(t, at, range, n);
}

/* \s?cased+ : scripts with capitals, as one model's makers listed them */
static size_t listed_letters(const vb_codepoints *t, size_t at)
{
    static const uint32_t listed[][2] = {
        {0x41, 0x5A}, {0x61, 0x7A}, {0xB5, 0xB5}, {0xC0, 0xD6}, {0xD8, 0xF6}, {0xF8, 0x1BA},
        {0x1BC, 0x1BF}, {0x1C4, 0x293}, {0x295, 0x2AF}, {0x370, 0x373}, {0x376, 0x376}, {0x377, 0x377},
        {0x37B, 0x37D}, {0x37F, 0x37F}, {0x386, 0x386}, {0x388, 0x38A}, {0x38C, 0x38C}, {0x38E, 0x3A1},
        {0x3A3, 0x3F5}, {0x3F7, 0x481}, {0x48A, 0x52F}, {0x531, 0x556}, {0x10A0, 0x10C5}, {0x13A0, 0x13F5},
        {0x13F8, 0x13FD}, {0x1C90, 0x1CBA}, {0x1CBD, 0x1CBF}, {0x1D00, 0x1D2B}, {0x1D6B, 0x1D77}, {0x1D79, 0x1D9A},
        {0x1E00, 0x1F15}, {0x1F18, 0x1F1D}, {0x1F20, 0x1F45}, {0x1F48, 0x1F4D}, {0x1F50, 0x1F57}, {0x1F59, 0x1F59},
        {0x1F5B, 0x1F5B}, {0x1F5D, 0x1F5D}, {0x1F5F, 0x1F7D}, {0x1F80, 0x1FB4}, {0x1FB6, 0x1FBC}, {0x1FBE, 0x1FBE},
        {0x1FC2, 0x1FC4}, {0x1FC6, 0x1FCC}, {0x1FD0, 0x1FD3}, {0x1FD6, 0x1FDB}, {0x1FE0, 0x1FEC}, {0x1FF2, 0x1FF4},
        {0x1FF6, 0x1FFC}, {0x2102, 0x2102}, {0x2107, 0x2107}, {0x210A, 0x2113}, {0x2115, 0x2115}, {0x2119, 0x211D},
        {0x2124, 0x2124}, {0x2126, 0x2126}, {0x2128, 0x2128}, {0x212A, 0x212D}, {0x212F, 0x2134}, {0x2139, 0x2139},
        {0x213C, 0x213F}, {0x2145, 0x2149}, {0x214E, 0x214E}, {0x2183, 0x2183}, {0x2184, 0x2184}, {0x2C00, 0x2C7B},
        {0x2C7E, 0x2CE4}, {0x2CEB, 0x2CEE}, {0x2CF2, 0x2CF2}, {0x2CF3, 0x2CF3}, {0xA640, 0xA66D}, {0xA680, 0xA69B},
        {0xA722, 0xA76F}, {0xA771, 0xA787}, {0xA78B, 0xA78E}, {0xAB70, 0xABBF}, {0xFB00, 0xFB06}, {0xFB13, 0xFB17},
        {0xFF21, 0xFF3A}, {0xFF41, 0xFF5A}, {0x10400, 0x1044F}, {0x104B0, 0x104D3}, {0x104D8, 0x104FB}, {0x10C80, 0x10CB2},
        {0x10CC0, 0x10CF2}, {0x118A0, 0x118DF}, {0x1E900, 0x1E943},};
    return spaced(t, at, listed, sizeof listed / sizeof listed[0]);
}

/* \s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+ */
static size_t listed_marks(const vb_codepoints *t, size_t at)
{
    static const uint32_t listed[][2] = {{'!', '/'},       {':', '~'},       {0x2018, 0x201f},
                                         {0x3000, 0x3002}, {0xff01, 0xff0f}, {0xff1a, 0xff5e}};
    return spaced(t, at, listed, sizeof listed / sizeof listed[0]);
}

/* Scripts of East and South-East Asia: [\u4e00-\u9fff\u3400-\u4dbf ...]+ */
static size_t eastern(const vb_codepoints *t, size_t at)
{
    static const uint32_t listed[][2] = {
        {0xe40, 0xe7f},   {0xe80, 0xeff},   {0x1000, 0x109f}, {0x1100, 0x11ff}, {0x1780, 0x17ff},
        {0x2f00, 0x2fdf}, {0x3040, 0x309f}, {0x30a0, 0x30ff}, {0x3400, 0x4dbf}, {0x4e00, 0x9fff},
        {0xa9e0, 0xa9ff}, {0xaa60, 0xaa7f}, {0xac00, 0xd7af}, {0xf900, 0xfaff}, {0xff65, 0xff9f}};
    return run_in(t, at, listed, sizeof listed / sizeof listed[0]);
}

/* [\uac00-\ud7a3\u3131-\u318e]+|[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f
 * \ufe30-\ufe4f]+|[\u3105-\u312f]+|[\u4e00-\u9fa5\u3040-\u30ff]+ : runs of one of four sets */
static size_t youtu_scripts(const vb_codepoints *t, size_t at)
{
    static const struct {
        uint32_t range[10][2];
        size_t n;
    } set[] = {
        {{{0x3131, 0x318e}, {0xac00, 0xd7a3}}, 2},
        {{{0x2014, 0x2014}, {0x2018, 0x2019}, {0x201c, 0x201d}, {0x2026, 0x2026}, {0x3001, 0x303f}, {0xfe30, 0xfe4f},
          {0xff01, 0xff01}, {0xff0c, 0xff0c}, {0xff1a, 0xff1b}}, 9},
        {{{0x3105, 0x312f}}, 1},
        {{{0x3040, 0x30ff}, {0x4e00, 0x9fa5}}, 2},
    };
    size_t n = 0;
    for (size_t i = 0; i < sizeof set / sizeof set[0] && n == 0; i++) n = run_in(t, at, set[i].range, set[i].n);
    return n;
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

/* N{1,most}| ?[^\s word N]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t no_word(const vb_codepoints *t, size_t at, int word, size_t most, int tail)
{
    size_t n;
    if ((n = up_to(t, at, N, most)) > 0) return n;
    if ((n = after_space(t, at, ANY & ~(SPACE | word | N))) > 0) return tail ? n + newlines(t, at + n, tail == '/') : n;
    return lines_or_spaces(t, at, 1);
}

/* What the newer patterns share, word = L or [L M]: [^\r\n L N]?word+| and then the rest */
static size_t newer(const vb_codepoints *t, size_t at, int word, size_t most, int tail)
{
    size_t n = after_one(t, at, L | N, word);
    return n > 0 ? n : no_word(t, at, word, most, tail);
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

/* Capitals U and small letters D of a pattern; many characters are both. */
typedef enum {
    ASCII_CASE,       /* U = L without [a-z], D = L without [A-Z] */
    ASCII_CASE_MARKS, /* the same of [L M] */
    TRUE_CASE,        /* U = [Lu Lt Lm Lo M], D = [Ll Lm Lo M] */
    TRUE_CASE_NO_HAN, /* the same without Han */
} casing;

static int is_han(uint32_t c)
{
    static const uint32_t han[][2] = {
        {0x2e80, 0x2e99},   {0x2e9b, 0x2ef3},   {0x2f00, 0x2fd5},   {0x3005, 0x3005},   {0x3007, 0x3007},
        {0x3021, 0x3029},   {0x3038, 0x303b},   {0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xf900, 0xfa6d},
        {0xfa70, 0xfad9},   {0x16fe2, 0x16fe3}, {0x16ff0, 0x16ff1}, {0x20000, 0x2a6df}, {0x2a700, 0x2b739},
        {0x2b740, 0x2b81d}, {0x2b820, 0x2cea1}, {0x2ceb0, 0x2ebe0}, {0x2ebf0, 0x2ee5d}, {0x2f800, 0x2fa1d},
        {0x30000, 0x3134a}, {0x31350, 0x323af}};
    return in_ranges(c, han, sizeof han / sizeof han[0]);
}

static int is_of_word(const vb_codepoints *t, size_t at, casing k)
{
    if (!in(t, at, k == ASCII_CASE ? L : L | M)) return 0;
    return k != TRUE_CASE_NO_HAN || !is_han(t->cp[at]);
}

static int is_upper(const vb_codepoints *t, size_t at, casing k)
{
    if (!is_of_word(t, at, k)) return 0;
    return k <= ASCII_CASE_MARKS ? !between(t->cp[at], 'a', 'z') : vb_cp_case_of(t->cp[at]) != 2;
}

static int is_lower(const vb_codepoints *t, size_t at, casing k)
{
    if (!is_of_word(t, at, k)) return 0;
    return k <= ASCII_CASE_MARKS ? !between(t->cp[at], 'A', 'Z') : vb_cp_case_of(t->cp[at]) != 1;
}

/* U*D+ : U* first takes its whole run; if no D follows, it gives back up to the last character that is one. *run: the
 * length of the run of U. */
static size_t lower_word(const vb_codepoints *t, size_t at, casing k, size_t *run)
{
    size_t end = at, both = SIZE_MAX;
    for (; is_upper(t, end, k); end++)
        if (is_lower(t, end, k)) both = end;
    *run = end - at;
    if (!is_lower(t, end, k)) return both != SIZE_MAX ? both + 1 - at : 0;
    while (is_lower(t, end, k)) end++;
    return end - at;
}

/* [^\r\n L N]?U*D+|[^\r\n L N]?U+D* ; where U+ is tried, no D follows its run */
static size_t cased_word(const vb_codepoints *t, size_t at, casing k)
{
    size_t skip = !is_newline(t->cp[at]) && !in(t, at, L | N), run, run_here = 0;
    size_t n = lower_word(t, at + skip, k, &run);
    if (n > 0) return skip + n;
    if (skip > 0 && (n = lower_word(t, at, k, &run_here)) > 0) return n;
    return run > 0 ? skip + run : run_here;
}

/* cased words, then the contraction if `contracts`, else no_word with `tail` */
static size_t cased(const vb_codepoints *t, size_t at, casing k, size_t most, int contracts)
{
    size_t n = cased_word(t, at, k);
    if (n > 0) return n + (contracts ? contraction(t, at + n, 1) : 0);
    return no_word(t, at, L, most, k == TRUE_CASE_NO_HAN ? '\n' : '/');
}

static size_t gpt4o(const vb_codepoints *t, size_t at)
{
    return cased(t, at, ASCII_CASE, 3, 1);
}

static size_t tekken(const vb_codepoints *t, size_t at)
{
    return cased(t, at, ASCII_CASE, 1, 0);
}

static size_t granite_multi(const vb_codepoints *t, size_t at)
{
    return cased(t, at, ASCII_CASE_MARKS, 3, 1);
}

static size_t tiny_aya(const vb_codepoints *t, size_t at)
{
    return cased(t, at, TRUE_CASE, 3, 1);
}

static size_t youtu(const vb_codepoints *t, size_t at)
{
    return cased(t, at, TRUE_CASE, 1, 1);
}

/* Han+| and then cased words without Han, contractions, no_word with [\r\n]* */
static size_t kimi_k2(const vb_codepoints *t, size_t at)
{
    size_t n = 0;
    while (at + n < t->n && is_han(t->cp[at + n])) n++;
    return n > 0 ? n : cased(t, at, TRUE_CASE_NO_HAN, 3, 1);
}

/* contraction|[^\r\n L N]?(?:L M*(?: L M*)*)+|N| ?[^\s L N]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+ */
static size_t exaone_moe(const vb_codepoints *t, size_t at)
{
    size_t n = contraction(t, at, 1);
    if (n > 0) return n;
    size_t end = at + (!is_newline(t->cp[at]) && !in(t, at, L | N));
    if (in(t, end, L)) {
        while (in(t, end, L | M) || (cp_at(t, end) == ' ' && in(t, end + 1, L))) end++;
        return end - at;
    }
    if ((n = up_to(t, at, N, 1)) > 0) return n;
    n = after_space(t, at, ANY & ~(SPACE | L | N));
    if (n == 0) return lines_or_spaces(t, at, 1);
    uint32_t next = cp_at(t, at + n);
    return n + (is_newline(next) || next == '/');
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

/* the first two of deepseek3, then ` ?[P S]+|[\r\n]|\s+(?!\S)|\s+` */
static size_t spark(const vb_codepoints *t, size_t at)
{
    size_t n = is_ascii_mark(t->cp[at]) ? 1 : 0;
    while (n > 0 && is_ascii_letter(cp_at(t, at + n))) n++;
    if (n > 1) return n;
    if ((n = after_one(t, at, L | P | S, L | M)) > 0) return n;
    if ((n = after_space(t, at, P | S)) > 0) return n;
    return is_newline(t->cp[at]) ? 1 : lines_or_spaces(t, at, 0);
}

static int starts_with(const vb_codepoints *t, size_t at, const char *text)
{
    size_t n = 0;
    while (text[n] != 0 && cp_at(t, at + n) == (uint32_t)text[n]) n++;
    return text[n] == 0;
}

/* <sentinel:[0-9]+> */
static size_t sentinel(const vb_codepoints *t, size_t at)
{
    size_t from = at + 10, end = from;
    if (!starts_with(t, at, "<sentinel:")) return 0;
    while (between(cp_at(t, end), '0', '9')) end++;
    return end > from && cp_at(t, end) == '>' ? end + 1 - at : 0;
}

/* IMGIMG[A-I]{1,4}Z */
static size_t image(const vb_codepoints *t, size_t at)
{
    size_t n = 6;
    if (!starts_with(t, at, "IMGIMG")) return 0;
    while (n < 10 && between(cp_at(t, at + n), 'A', 'I')) n++;
    return n > 6 && cp_at(t, at + n) == 'Z' ? n + 1 : 0;
}

/* [\t\n]|four spaces|two spaces */
static size_t indent(const vb_codepoints *t, size_t at)
{
    if (t->cp[at] == '\t' || t->cp[at] == '\n') return 1;
    return starts_with(t, at, "    ") ? 4 : starts_with(t, at, "  ") ? 2 : 0;
}

/* [P!-/:-@\[-`{-~] */
static size_t one_mark(const vb_codepoints *t, size_t at)
{
    return in(t, at, P) || is_ascii_mark(t->cp[at]) ? 1 : 0;
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
    SIGNS = VB_SPLIT_SIGNS,
    MOST = 6,
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
    {"gemma4", SIGNS | BOS | NO_BOS | VB_SPLIT_WHOLE_LINES, {line}},
    {"granite-embed-multi-311m", SIGNS | VB_SPLIT_WHOLE_LINES, {line}},
    {"sarvam-moe", SIGNS | KEEP, {line}},
    {"gpt-4o", KEEP, {gpt4o}},
    {"llama4", KEEP, {gpt4o}},
    {"kanana2", KEEP, {gpt4o}},
    {"talkie", KEEP, {gpt4o}},
    {"minimax-m2", KEEP, {gpt4o}},
    {"tekken", KEEP | WHOLE | BOS, {tekken}},
    {"deepseek-coder", KEEP, {newline, letters, punctuation, asian, digit}},
    {"deepseek-v3", KEEP, {one_to_three, han_or_kana, deepseek3}},
    {"deepseek-llm", KEEP, {newline, listed_letters, listed_marks, last_spaces, asian, number}},
    {"spark2_5", KEEP, {one_to_three, han_or_kana, spark, digit}},
    {"afmoe", KEEP, {number, threes, eastern, deepseek3}},
    {"superbpe", KEEP, {number, threes}},
    {"tiny_aya", KEEP, {bounded_number, threes, tiny_aya}},
    {"cohere2moe", KEEP, {bounded_number, threes, tiny_aya}},
    {"youtu", KEEP | WHOLE, {youtu_scripts, youtu}},
    {"kimi-k2", KEEP, {kimi_k2}},
    {"exaone-moe", 0, {exaone_moe}},
    {"jais-2", 0, {llama3, powers_of_two}},
    {"chameleon", KEEP | BOS, {sentinel, image, indent, digit, one_mark, gpt2}},
    {"granite-embed-multi-97m", KEEP | WHOLE, {granite_multi}},
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
