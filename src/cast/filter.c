/* filter.c - banned words and phrases (see filter.h).
 *
 *      "You OLD  Goat's-beard!"  ->  you old goat s beard
 *
 * A word is a run of letters, digits and their marks, after the boundaries of Unicode: an ideograph, or a letter of a script
 * that writes no spaces, is a word by itself. Words are compared in their folded, compatible form, code point by code
 * point. Between the words of a phrase there may be nothing but white space, hyphens and apostrophes. So "class" is no
 * "ass", and "ass's" is one.
 */
#include "cast/filter.h"

#include "cast/letters.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { LONGEST_WORD = 64, LONGEST_PHRASE = 16, MOST_BANNED = 100000, MOST_BYTES = 1 << 20 };

typedef struct {
    int n;
    uint32_t cp[LONGEST_WORD];
} word; /* folded; n -1: longer than any that is banned */

typedef struct {
    const char *given;
    size_t from; /* its words in filter->words: their number, then each one's length and code points */
} phrase;

struct vb_filter {
    phrase *phrases; /* sorted by their words */
    uint32_t *words;
    char *text;
    int n;
    size_t used, bytes;
};

/* --- words --------------------------------------------------------------------------------------------- */

/* Of scripts that write no spaces. */
static int stands_alone(uint32_t c)
{
    return (c >= 0xE00 && c <= 0xEFF) || (c >= 0x1000 && c <= 0x109F) || (c >= 0x1780 && c <= 0x17FF) ||
           (c >= 0x3041 && c <= 0x309F) || (c >= 0x3400 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) ||
           (c >= 0x20000 && c <= 0x3FFFF);
}

static int is_mark(uint32_t c)
{
    if (c < 0x300 || c > 0x10FFFF) return 0;
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC || k == UTF8PROC_CATEGORY_ME;
}

/* Joins what stands on both sides, and is no letter. */
static int joins(uint32_t c)
{
    return c == '_' || c == 0x200C || c == 0x200D || c == 0xAD;
}

/* Between the words of a phrase. */
static int between(uint32_t c)
{
    return vb_is_space(c) || c == '-' || (c >= 0x2010 && c <= 0x2015) || c == '\'' || c == 0x2019;
}

static void fold(word *w, uint32_t c)
{
    utf8proc_int32_t to[32];
    int bound = 0;
    const utf8proc_option_t how = UTF8PROC_CASEFOLD | UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE | UTF8PROC_IGNORE;
    if (w->n < 0 || c == VB_NO_LETTER) {
        w->n = -1;
        return;
    }
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, to, 32, how, &bound);
    if (n < 0 || n > 32 || w->n + (int)n > LONGEST_WORD) {
        w->n = -1;
        return;
    }
    for (utf8proc_ssize_t i = 0; i < n; i++) w->cp[w->n++] = (uint32_t)to[i];
}

/* The word that begins at `at`; returns the place behind it, 0 if it may go on. */
static size_t read_word(const vb_reading *r, size_t at, word *w)
{
    size_t len;
    uint32_t c = vb_read(r, at, &len), first = c;
    w->n = 0;
    for (int i = 0; vb_is_word(c) || (i > 0 && joins(c)); i++) {
        if (i > 0 && !is_mark(c) && !joins(c) && (stands_alone(first) || stands_alone(c))) break;
        fold(w, c);
        at += len;
        c = vb_read(r, at, &len);
    }
    return c == VB_NOT_KNOWN ? 0 : at;
}

/* Behind what separates words, from `at` on; *near: a phrase may go on there. */
static size_t skip(const vb_reading *r, size_t at, int *near)
{
    size_t len;
    uint32_t c;
    *near = 1;
    for (c = vb_read(r, at, &len); len > 0 && !vb_is_word(c); c = vb_read(r, at, &len)) {
        *near &= between(c);
        at += len;
    }
    return at;
}

/* --- opening ------------------------------------------------------------------------------------------- */

static vb_status add_phrase(vb_filter *f, phrase *p, vb_err *err)
{
    vb_reading r = vb_reading_of(p->given, strlen(p->given), 1);
    uint32_t *count = f->words + f->used;
    int near;
    word w;
    p->from = f->used++;
    *count = 0;
    for (size_t at = skip(&r, 0, &near); at < r.len; at = skip(&r, at, &near)) {
        if (*count > 0 && !near) VB_FAIL(err, VB_E_ARGUMENT, "banned: \"%.40s\": expected words with spaces between them", p->given);
        at = read_word(&r, at, &w);
        if (w.n < 1 || ++*count > LONGEST_PHRASE)
            VB_FAIL(err, VB_E_ARGUMENT, "banned: \"%.40s\": expected at most %d words of at most %d letters", p->given,
                    LONGEST_PHRASE, LONGEST_WORD);
        f->words[f->used++] = (uint32_t)w.n;
        memcpy(f->words + f->used, w.cp, (size_t)w.n * sizeof *w.cp);
        f->used += (size_t)w.n;
    }
    if (*count == 0) VB_FAIL(err, VB_E_ARGUMENT, "banned: expected a word, found \"%.40s\"", p->given);
    return VB_OK;
}

static int compare_words(const uint32_t *a, int a_n, const uint32_t *b, int b_n)
{
    for (int i = 0; i < a_n && i < b_n; i++)
        if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
    return (a_n > b_n) - (a_n < b_n);
}

static const uint32_t *first_word(const vb_filter *f, int i)
{
    return f->words + f->phrases[i].from + 1;
}

static int compare_phrases(const void *a, const void *b, void *filter)
{
    const vb_filter *f = filter;
    const phrase *x = a, *y = b;
    const uint32_t *p = f->words + x->from + 1, *q = f->words + y->from + 1;
    int order = compare_words(p + 1, (int)*p, q + 1, (int)*q);
    return order != 0 ? order : (x->from > y->from) - (x->from < y->from);
}

static vb_status take_room(vb_filter *f, const char *const *banned, vb_err *err)
{
    size_t bytes = 0, at = 0;
    for (int i = 0; i < f->n; i++) {
        if (banned[i] == NULL) VB_FAIL(err, VB_E_ARGUMENT, "banned: word %d: expected a text, found NULL", i);
        bytes += strlen(banned[i]) + 1;
    }
    if (bytes > MOST_BYTES) VB_FAIL(err, VB_E_ARGUMENT, "banned: expected at most %d bytes, found %zu", MOST_BYTES, bytes);
    size_t units = 20 * bytes + (size_t)f->n; /* a code point folds to at most 18 */
    f->phrases = calloc((size_t)f->n, sizeof *f->phrases);
    f->words = malloc(units * sizeof *f->words);
    f->text = malloc(bytes);
    f->bytes += bytes + (size_t)f->n * sizeof *f->phrases;
    if (f->phrases == NULL || f->words == NULL || f->text == NULL) VB_FAIL(err, VB_E_MEMORY, "banned: out of memory");
    for (int i = 0; i < f->n; i++) {
        f->phrases[i].given = strcpy(f->text + at, banned[i]);
        at += strlen(banned[i]) + 1;
    }
    return VB_OK;
}

vb_status vb_filter_open(vb_filter **out, const char *const *banned, int n, vb_err *err)
{
    vb_status status = VB_OK;
    *out = NULL;
    if (n < 0 || n > MOST_BANNED) VB_FAIL(err, VB_E_ARGUMENT, "banned: expected up to %d words, found %d", MOST_BANNED, n);
    vb_filter *f = calloc(1, sizeof *f);
    if (f == NULL) VB_FAIL(err, VB_E_MEMORY, "banned: out of memory");
    f->n = n;
    f->bytes = sizeof *f;
    if (n > 0) VB_TRY_OUT(status, take_room(f, banned, err));
    for (int i = 0; i < n; i++) VB_TRY_OUT(status, add_phrase(f, &f->phrases[i], err));
    uint32_t *fits = n > 0 ? realloc(f->words, f->used * sizeof *f->words) : NULL;
    if (fits != NULL) f->words = fits;
    f->bytes += f->used * sizeof *f->words;
    if (n > 0) qsort_r(f->phrases, (size_t)n, sizeof *f->phrases, compare_phrases, f);
    *out = f;
    f = NULL;
out:
    vb_filter_close(f);
    return status;
}

void vb_filter_close(vb_filter *filter)
{
    if (filter == NULL) return;
    free(filter->phrases);
    free(filter->words);
    free(filter->text);
    free(filter);
}

uint64_t vb_filter_bytes(const vb_filter *filter)
{
    return filter == NULL ? 0 : filter->bytes;
}

/* --- finding ------------------------------------------------------------------------------------------- */

/* The first phrase that begins with this word or one behind it in the order. */
static int lower_bound(const vb_filter *f, const word *w)
{
    int low = 0, high = f->n;
    while (low < high) {
        int middle = low + (high - low) / 2;
        const uint32_t *p = first_word(f, middle);
        if (compare_words(p + 1, (int)*p, w->cp, w->n) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

typedef enum { DIFFERS, IS_THERE, NOT_KNOWN } answer;

/* Whether the phrase's other words follow at `at`. */
static answer follows(const vb_filter *f, int i, const vb_reading *r, size_t at)
{
    const uint32_t *p = first_word(f, i);
    word w;
    int near;
    for (uint32_t left = f->words[f->phrases[i].from] - 1; left > 0; left--) {
        p += 1 + *p;
        at = skip(r, at, &near);
        if (!near) return DIFFERS;
        if (at == r->len) return r->over ? DIFFERS : NOT_KNOWN;
        at = read_word(r, at, &w);
        if (at == 0) return NOT_KNOWN;
        if (w.n < 0 || compare_words(p + 1, (int)*p, w.cp, w.n) != 0) return DIFFERS;
    }
    return IS_THERE;
}

/* The first given of the phrases that begin with this word, which ends at `at`; *open: one may still turn out to. */
static const char *look(const vb_filter *f, const word *w, const vb_reading *r, size_t at, int *open)
{
    int best = -1;
    for (int i = w->n < 1 ? f->n : lower_bound(f, w); i < f->n; i++) {
        const uint32_t *p = first_word(f, i);
        if (compare_words(p + 1, (int)*p, w->cp, w->n) != 0) break;
        answer a = follows(f, i, r, at);
        *open |= a == NOT_KNOWN;
        if (a == IS_THERE && (best < 0 || f->phrases[i].from < f->phrases[best].from)) best = i;
    }
    return best < 0 ? NULL : f->phrases[best].given;
}

const char *vb_filter_find(const vb_filter *filter, const char *text, size_t len, int more, size_t *clean)
{
    size_t at = clean != NULL ? *clean : 0, end;
    vb_reading r = vb_reading_of(text, len, !more);
    int held = 0, near;
    if (filter == NULL || filter->n == 0) return NULL;
    for (at = skip(&r, at, &near); at < r.len; at = skip(&r, end, &near)) {
        word w;
        int open = 0;
        if (!held && clean != NULL) *clean = at;
        end = read_word(&r, at, &w);
        if (end == 0) return NULL;
        const char *found = look(filter, &w, &r, end, &open);
        if (found != NULL) return found;
        held |= open;
    }
    if (!held && clean != NULL) *clean = at;
    return NULL;
}
