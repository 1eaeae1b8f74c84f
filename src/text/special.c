/* special.c - one pass for the places where a special token starts, then one over these places for each length.
 *
 * Time is the text's length times the number of distinct lengths at worst, and independent of how many special tokens
 * there are: a token is looked up by its text.
 */
#include "text/special.h"

#include <stdlib.h>
#include <string.h>

/* --- the index ---------------------------------------------------------------------------------------------- */

static int is_special(const vb_special *s, size_t id)
{
    int hidden = VB_IS_CONTROL | VB_IS_UNKNOWN;
    if (!s->parse && (s->is[id] & hidden)) return 0;
    return (s->is[id] & (hidden | VB_IS_USER_DEFINED)) != 0;
}

static int by_length(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Keeps the first of equal elements. */
static size_t unique(uint64_t *key, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || key[i] != key[i - 1]) key[kept++] = key[i];
    return kept;
}

/* key: first byte << 32 | ~length, so that sorting puts the longest first. */
static int store_lengths(vb_special *s, uint64_t *key, size_t n, vb_arena *arena)
{
    qsort(key, n, sizeof *key, by_length);
    n = unique(key, n);
    s->lengths = vb_arena_array(arena, n, sizeof *s->lengths);
    s->all = vb_arena_array(arena, n, sizeof *s->all);
    if (s->lengths == NULL || s->all == NULL) return 0;
    for (size_t i = 0; i < n; i++) {
        s->lengths[i] = ~(uint32_t)key[i];
        s->first[(key[i] >> 32) + 1]++;
        key[i] = (uint32_t)key[i];
    }
    for (int b = 0; b < 256; b++) s->first[b + 1] += s->first[b];
    qsort(key, n, sizeof *key, by_length);
    s->n_all = unique(key, n);
    for (size_t i = 0; i < s->n_all; i++) s->all[i] = ~(uint32_t)key[i];
    return 1;
}

int vb_special_open(vb_special *s, const vb_vocab *vocab, const uint16_t *is, size_t n, int parse, vb_arena *arena)
{
    size_t count = 0, k = 0;
    *s = (vb_special){.vocab = vocab, .is = is, .parse = parse};
    for (size_t id = 0; id < n; id++) count += (size_t)is_special(s, id);
    if (count == 0) return 1;
    uint64_t *key = malloc(count * sizeof *key);
    if (key == NULL) return 0;
    for (size_t id = 0; id < n; id++) {
        const vb_piece *p = &vocab->pieces[id];
        if (!is_special(s, id)) continue;
        key[k++] = (uint64_t)(uint8_t)p->text[0] << 32 | (uint32_t)~p->len;
        if (p->len > 1) s->starts[(uint8_t)p->text[0]][(uint8_t)p->text[1] / 8] |= (uint8_t)(1 << (p->text[1] & 7));
    }
    int ok = store_lengths(s, key, count, arena);
    free(key);
    return ok;
}

/* --- finding ------------------------------------------------------------------------------------------------ */

typedef struct {
    const vb_special *s;
    const char *text;
    size_t len;
    struct place {
        size_t at;
        uint32_t longest; /* special token here */
    } * places;
    size_t n_places, places_cap;
    uint8_t *taken; /* [len] */
    vb_special_hit *hits;
    size_t n_hits, hits_cap;
} search;

/* The special token text[at, at + len); -1: none. */
static int32_t token_at(const search *f, size_t at, size_t len)
{
    int32_t id = len <= f->len - at ? vb_vocab_find(f->s->vocab, f->text + at, len) : -1;
    return id >= 0 && is_special(f->s, (size_t)id) ? id : -1;
}

static int add_place(search *f, size_t at, uint32_t longest)
{
    if (f->n_places == f->places_cap) {
        size_t cap = 2 * f->places_cap + 16;
        struct place *grown = realloc(f->places, cap * sizeof *grown);
        if (grown == NULL) return 0;
        f->places = grown;
        f->places_cap = cap;
    }
    f->places[f->n_places++] = (struct place){at, longest};
    return 1;
}

/* The length of the longest special token here; 0: none. */
static uint32_t longest_at(const search *f, size_t at)
{
    uint8_t a = (uint8_t)f->text[at], b = at + 1 < f->len ? (uint8_t)f->text[at + 1] : 0;
    uint32_t from = f->s->first[a], to = f->s->first[a + 1];
    if (from == to) return 0;
    if (!(f->s->starts[a][b / 8] >> (b & 7) & 1)) from = to - 1; /* where a length of 1 would stand */
    for (uint32_t i = from; i < to; i++)
        if (token_at(f, at, f->s->lengths[i]) >= 0) return f->s->lengths[i];
    return 0;
}

static int find_places(search *f)
{
    for (size_t at = 0; at < f->len; at++) {
        uint32_t longest = longest_at(f, at);
        if (longest > 0 && !add_place(f, at, longest)) return 0;
    }
    return 1;
}

static int add_hit(search *f, size_t from, size_t to, int32_t id)
{
    if (f->n_hits == f->hits_cap) {
        size_t cap = 2 * f->hits_cap + 16;
        vb_special_hit *grown = realloc(f->hits, cap * sizeof *grown);
        if (grown == NULL) return 0;
        f->hits = grown;
        f->hits_cap = cap;
    }
    f->hits[f->n_hits++] = (vb_special_hit){from, to, id};
    return 1;
}

/* Candidates of one length stand behind the hits so far, in order of place; the lower id goes first. */
static int by_id(const void *a, const void *b)
{
    const vb_special_hit *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->from > y->from) - (x->from < y->from);
}

static int by_place(const void *a, const void *b)
{
    const vb_special_hit *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

static int is_white(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Marks a candidate's bytes, and the white space it swallows, unless some are taken already. */
static int take(search *f, vb_special_hit *hit)
{
    uint16_t is = f->s->is[hit->id];
    if (memchr(f->taken + hit->from, 1, hit->to - hit->from) != NULL) return 0;
    if (is & VB_STRIPS_LEFT)
        while (hit->from > 0 && !f->taken[hit->from - 1] && is_white(f->text[hit->from - 1])) hit->from--;
    if (is & VB_STRIPS_RIGHT)
        while (hit->to < f->len && !f->taken[hit->to] && is_white(f->text[hit->to])) hit->to++;
    memset(f->taken + hit->from, 1, hit->to - hit->from);
    return 1;
}

static int take_length(search *f, uint32_t len)
{
    size_t before = f->n_hits, kept = 0, mixed = 0;
    for (size_t i = 0; i < f->n_places; i++) {
        struct place p = f->places[i];
        if (f->taken[p.at]) continue;
        f->places[kept++] = p;
        int32_t id = p.longest < len ? -1 : token_at(f, p.at, len);
        if (id < 0) continue;
        if (!add_hit(f, p.at, p.at + len, id)) return 0;
        mixed |= id != f->hits[before].id;
    }
    f->n_places = kept;
    if (mixed) qsort(f->hits + before, f->n_hits - before, sizeof *f->hits, by_id);
    size_t end = f->n_hits;
    f->n_hits = before;
    for (size_t i = before; i < end; i++)
        if (take(f, &f->hits[i])) f->hits[f->n_hits++] = f->hits[i];
    return 1;
}

static int search_all(search *f)
{
    if (!find_places(f)) return 0;
    if (f->n_places == 0) return 1;
    f->taken = calloc(f->len, 1);
    if (f->taken == NULL) return 0;
    for (size_t i = 0; i < f->s->n_all; i++)
        if (!take_length(f, f->s->all[i])) return 0;
    if (f->n_hits > 0) qsort(f->hits, f->n_hits, sizeof *f->hits, by_place);
    return 1;
}

vb_status vb_special_find(const vb_special *s, const char *text, size_t len, vb_special_hit **hits, size_t *n,
                          vb_err *err)
{
    search f = {.s = s, .text = text, .len = len};
    int ok = s->n_all == 0 || search_all(&f);
    free(f.places);
    free(f.taken);
    *hits = f.hits;
    *n = f.n_hits;
    if (ok) return VB_OK;
    free(f.hits);
    *hits = NULL;
    VB_FAIL(err, VB_E_MEMORY, "text: no memory for %zu bytes", len);
}
