/* taps_diff.c - two recordings of the inside: the first element that differs, and how far each named value drifts.
 *
 *   a   token 0  taps  token 1  taps  token 2 ...
 *   b   token 0  taps  token 1  taps  token 7 ...       positions 0 and 1 are compared, 2 saw another token
 *
 * Values are matched by name and layer, the second of a name with the second, so recordings of all values and of the
 * layers' outputs, or of models with other steps, can be compared as far as they have the same.
 */
#include "traces/diff.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A recording at one position. */
typedef struct {
    vb_trace_reader *reader;
    vb_trace_record next; /* what follows the taps */
    int more;
    int32_t id;
    vb_trace_tap *taps;
    int n, cap;
} side;

static vb_status add_tap(side *s, vb_err *err)
{
    if (s->n == s->cap) {
        int cap = s->cap == 0 ? 64 : 2 * s->cap;
        vb_trace_tap *more = realloc(s->taps, (size_t)cap * sizeof *more);
        if (more == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", s->reader->name);
        s->taps = more;
        s->cap = cap;
    }
    s->taps[s->n++] = s->next.as.tap;
    return VB_OK;
}

/* The next token with its taps; *more is 0 when there is none. */
static vb_status advance(side *s, int *more, vb_err *err)
{
    s->n = 0;
    *more = s->more && (s->next.type == VB_TRACE_GIVEN || s->next.type == VB_TRACE_CHOSEN);
    if (!*more) return VB_OK;
    s->id = s->next.as.token.id;
    VB_TRY(vb_trace_next_any(s->reader, &s->next, &s->more, err));
    while (s->more && s->next.type == VB_TRACE_TAP) {
        VB_TRY(add_tap(s, err));
        VB_TRY(vb_trace_next_any(s->reader, &s->next, &s->more, err));
    }
    return VB_OK;
}

static int same_value(const vb_trace_tap *a, const vb_trace_tap *b)
{
    return a->layer == b->layer && a->name.len == b->name.len && memcmp(a->name.data, b->name.data, a->name.len) == 0;
}

/* The tap of `s` that stands for t, which is the `nth` of its name; NULL: there is none. */
static const vb_trace_tap *find(const side *s, const vb_trace_tap *t, int nth)
{
    for (int i = 0; i < s->n; i++)
        if (same_value(&s->taps[i], t) && nth-- == 0) return &s->taps[i];
    return NULL;
}

static int earlier_of_its_name(const side *s, int i)
{
    int n = 0;
    for (int k = 0; k < i; k++) n += same_value(&s->taps[k], &s->taps[i]);
    return n;
}

static void name_of(char *buf, size_t cap, const vb_trace_tap *t)
{
    snprintf(buf, cap, "%.*s", (int)t->name.len, (const char *)t->name.data);
}

/* The row of a value; NULL: out of memory. Two values of one name and layer share it. */
static vb_drift *row_of(vb_contrast *out, const vb_trace_tap *t)
{
    char name[sizeof out->drift->name];
    name_of(name, sizeof name, t);
    for (int i = 0; i < out->n_drift; i++)
        if (out->drift[i].layer == t->layer && strcmp(out->drift[i].name, name) == 0) return &out->drift[i];
    vb_drift *more = realloc(out->drift, (size_t)(out->n_drift + 1) * sizeof *more);
    if (more == NULL) return NULL;
    out->drift = more;
    vb_drift *d = &more[out->n_drift++];
    *d = (vb_drift){.layer = t->layer};
    memcpy(d->name, name, sizeof name);
    return d;
}

static void note_first(vb_contrast *out, const vb_trace_tap *t, int element, uint32_t a, uint32_t b)
{
    out->first = (vb_tap_diff){.layer = t->layer, .position = t->position, .element = element, .a = a, .b = b};
    name_of(out->first.name, sizeof out->first.name, t);
}

/* `rms` of a row is the sum of squares until all are in. */
static void compare_values(vb_contrast *out, vb_drift *row, const vb_trace_tap *a, const vb_trace_tap *b)
{
    int differs = 0;
    for (int i = 0; i < a->width; i++) {
        uint32_t bits[2];
        float x[2];
        memcpy(&bits[0], a->values + 4 * (size_t)i, 4);
        memcpy(&bits[1], b->values + 4 * (size_t)i, 4);
        if (bits[0] == bits[1]) continue;
        memcpy(x, bits, sizeof x);
        double apart = fabs((double)x[0] - (double)x[1]);
        if (!differs && out->differing == 0) note_first(out, a, i, bits[0], bits[1]);
        differs = 1;
        row->differing++;
        row->max = apart > row->max ? apart : row->max;
        row->rms += apart * apart;
    }
    row->elements += a->width;
    out->compared++;
    out->differing += differs;
}

static vb_status compare_position(vb_contrast *out, const side *a, const side *b, vb_err *err)
{
    int64_t before = out->compared;
    for (int i = 0; i < a->n; i++) {
        const vb_trace_tap *t = &a->taps[i], *u = find(b, t, earlier_of_its_name(a, i));
        if (u == NULL || u->width != t->width) {
            out->unmatched++;
            continue;
        }
        vb_drift *row = row_of(out, t);
        if (row == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", a->reader->name);
        compare_values(out, row, t, u);
    }
    for (int i = 0; i < b->n; i++) out->unmatched += find(a, &b->taps[i], earlier_of_its_name(b, i)) == NULL;
    out->positions += out->compared > before;
    return VB_OK;
}

static vb_status walk(vb_contrast *out, side *a, side *b, vb_err *err)
{
    int more_a, more_b;
    VB_TRY(vb_trace_next_any(a->reader, &a->next, &a->more, err));
    VB_TRY(vb_trace_next_any(b->reader, &b->next, &b->more, err));
    for (;;) {
        VB_TRY(advance(a, &more_a, err));
        VB_TRY(advance(b, &more_b, err));
        if (!more_a || !more_b || a->id != b->id) return VB_OK;
        VB_TRY(compare_position(out, a, b, err));
    }
}

static vb_status has_taps(const vb_trace_reader *r, vb_err *err)
{
    if (r->header.taps != VB_TAPS_NONE) return VB_OK;
    VB_FAIL(err, VB_E_NOT_FOUND, "%s: expected a trace with taps (run --taps layers|all), found none", r->name);
}

vb_status vb_taps_diff(vb_trace_reader a, vb_trace_reader b, vb_contrast *out, vb_err *err)
{
    side sa = {.reader = &a}, sb = {.reader = &b};
    VB_TRY(has_taps(&a, err));
    VB_TRY(has_taps(&b, err));
    vb_status s = walk(out, &sa, &sb, err);
    for (int i = 0; i < out->n_drift; i++)
        if (out->drift[i].elements > 0) out->drift[i].rms = sqrt(out->drift[i].rms / (double)out->drift[i].elements);
    free(sa.taps);
    free(sb.taps);
    return s;
}
