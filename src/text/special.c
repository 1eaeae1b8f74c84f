/* special.c - special tokens in a text, found before it is split into words.
 *
 * The result is what searching for each token in turn gives, the longest token first: its occurrences are taken from
 * the left, and shorter tokens find only what is left over. Done in few passes instead: one pass notes at which places
 * any token starts, then each length that occurs is tried at those places, the longest first. Tokens are sorted by
 * text, so all that start at a place are found by narrowing a range byte by byte.
 */
#include "text/vocab.h"

#include <stdlib.h>
#include <string.h>

static int by_text(const vb_text *a, const vb_text *b)
{
    size_t n = a->len < b->len ? a->len : b->len;
    int c = memcmp(a->ptr, b->ptr, n);
    return c != 0 ? c : (a->len > b->len) - (a->len < b->len);
}

/* Heap sort: the comparison needs the tokenizer, which qsort cannot pass on. */
static void sift(const vb_tokenizer *t, vb_token *ids, int at, int n)
{
    for (int child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && by_text(&t->tokens[ids[child]], &t->tokens[ids[child + 1]]) < 0) child++;
        if (by_text(&t->tokens[ids[at]], &t->tokens[ids[child]]) >= 0) return;
        vb_token swap = ids[at];
        ids[at] = ids[child];
        ids[child] = swap;
    }
}

static int is_special(const vb_tokenizer *t, int id)
{
    int kind = t->kinds[id];
    return t->tokens[id].len > 0 &&
           (kind == VB_TOKEN_CONTROL || kind == VB_TOKEN_USER_DEFINED || kind == VB_TOKEN_UNKNOWN);
}

vb_status vb_special_sort(vb_tokenizer *t, vb_err *err)
{
    int n = 0;
    for (int id = 0; id < t->n; id++) n += is_special(t, id);
    t->special = vb_arena_array(&t->arena, (size_t)n, sizeof *t->special);
    if (t->special == NULL) VB_FAIL(err, VB_E_MEMORY, "vocabulary: out of memory for %d special tokens", n);
    for (int id = 0; id < t->n; id++) {
        if (!is_special(t, id)) continue;
        t->special[t->n_special++] = id;
        if ((int)t->tokens[id].len > t->longest_special) t->longest_special = (int)t->tokens[id].len;
    }
    for (int i = n / 2; i-- > 0;) sift(t, t->special, i, n);
    for (int end = n; end-- > 1;) {
        vb_token swap = t->special[0];
        t->special[0] = t->special[end];
        t->special[end] = swap;
        sift(t, t->special, 0, end);
    }
    return VB_OK;
}

/* The first position in [low, high) whose text has a byte >= c at depth. All have equal bytes before depth. */
static int first_from(const vb_tokenizer *t, int low, int high, size_t depth, int c)
{
    while (low < high) {
        int mid = (low + high) / 2;
        const vb_text *text = &t->tokens[t->special[mid]];
        if (depth >= text->len || (unsigned char)text->ptr[depth] < c)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Calls the tokens that stand at `text` one by one, shorter ones first: *longest is the longest one's length, and the
 * id of exactly `want` bytes is returned (-1: none; want 0: only *longest is asked for). */
static vb_token at_place(const vb_tokenizer *t, const char *text, size_t len, int control, size_t want, size_t *longest)
{
    int low = 0, high = t->n_special;
    vb_token found = -1;
    *longest = 0;
    for (size_t depth = 0; depth < len && low < high; depth++) {
        int c = (unsigned char)text[depth];
        low = first_from(t, low, high, depth, c);
        high = first_from(t, low, high, depth, c + 1);
        for (int i = low; i < high && t->tokens[t->special[i]].len == depth + 1; i++) {
            vb_token id = t->special[i];
            if (!control && t->kinds[id] != VB_TOKEN_USER_DEFINED) continue;
            *longest = depth + 1;
            if (want == depth + 1) found = id;
        }
    }
    return found;
}

typedef struct {
    const vb_tokenizer *t;
    const char *text;
    size_t len;
    int control;
    size_t *places; /* where a token starts, ascending */
    size_t n_places;
    uint8_t *taken; /* [len] */
    vb_special_hit *hits;
    size_t n_hits;
} search;

static vb_status note_places(search *s, size_t *longest, vb_err *err)
{
    size_t cap = 0, here;
    *longest = 0;
    for (size_t at = 0; at < s->len; at++) {
        at_place(s->t, s->text + at, s->len - at, s->control, 0, &here);
        if (here == 0) continue;
        if (here > *longest) *longest = here;
        if (s->n_places == cap) {
            cap = cap == 0 ? 64 : cap * 2;
            size_t *more = realloc(s->places, cap * sizeof *more);
            if (more == NULL) VB_FAIL(err, VB_E_MEMORY, "tokenizer: out of memory for %zu special tokens", cap);
            s->places = more;
        }
        s->places[s->n_places++] = at;
    }
    return VB_OK;
}

static int free_between(const search *s, size_t at, size_t len)
{
    return !s->taken[at] && !s->taken[at + len - 1];
}

/* Tokens of one length, from the left; places that are taken afterwards are forgotten. Returns the longest length
 * below `len` that may still be found. */
static size_t take_length(search *s, size_t len)
{
    size_t kept = 0, next = 0, here;
    for (size_t i = 0; i < s->n_places; i++) {
        size_t at = s->places[i];
        if (s->taken[at]) continue;
        vb_token id = -1;
        size_t room = s->len - at;
        if (room >= len && free_between(s, at, len)) id = at_place(s->t, s->text + at, len, s->control, len, &here);
        if (id >= 0) {
            memset(s->taken + at, 1, len);
            s->hits[s->n_hits++] = (vb_special_hit){at, len, id};
            continue;
        }
        at_place(s->t, s->text + at, room < len - 1 ? room : len - 1, s->control, 0, &here);
        if (here > next) next = here;
        if (here > 0) s->places[kept++] = at;
    }
    s->n_places = kept;
    return next;
}

static int by_place(const void *a, const void *b)
{
    const vb_special_hit *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

vb_status vb_special_find(const vb_tokenizer *t, const char *text, size_t len, int control, vb_special_hit **hits,
                          size_t *n, vb_err *err)
{
    search s = {.t = t, .text = text, .len = len, .control = control};
    size_t longest;
    *hits = NULL;
    *n = 0;
    vb_status status = note_places(&s, &longest, err);
    if (status == VB_OK && s.n_places > 0) {
        s.taken = calloc(len, 1);
        s.hits = malloc(s.n_places * sizeof *s.hits);
        if (s.taken == NULL || s.hits == NULL)
            status = vb_fail(err, VB_E_MEMORY, "tokenizer: out of memory for %zu special tokens", s.n_places);
        while (status == VB_OK && longest > 0) longest = take_length(&s, longest);
    }
    free(s.taken);
    free(s.places);
    if (s.n_hits > 0) qsort(s.hits, s.n_hits, sizeof *s.hits, by_place);
    *hits = s.hits;
    *n = s.n_hits;
    return status;
}
