/* experts.c - mixtures of experts (docs/ARITHMETIC.md J4): each chosen expert's rows, read once a batch.
 *
 *   route    numbers and weights of each token          token 0: 2 5    token 1: 0 5    token 2: 2 5
 *   sorted   what the experts meet, expert by expert    0: 1.0 | 2: 0.0 2.0 | 5: 0.1 1.1 2.1   (token.place)
 *   tiles    rows of an expert against what it meets    0: rows 0.., 64.. | 2: ... | 5: ...
 *
 * A meeting is a token at one of its experts: an input, an output, a place in the sorted lists. An expert that no
 * token chose is in no list, so its rows are never read.
 */
#include "run/cpu.h"

#include "base/canon.h"

#include <string.h>

/* The lists of a batch in scratch. */
typedef struct {
    vb_act *acts;  /* [meetings] */
    float **y;     /* [meetings] */
    int *row;      /* [meetings] whose token it is */
    size_t *first; /* [experts + 1] the expert's first meeting */
    int *busy;     /* [experts] those that are met, in increasing number */
    int *by_panels; /* [experts] of each of those */
    int *strip;     /* [experts + 1] of each of those: its first strip */
    uint8_t *strips;
} lists;

typedef struct {
    vb_job job; /* first: tiles get a pointer to it */
    lists l;
    int n_busy, tile_rows, tiles_each;
} work;

/* --- scratch ----------------------------------------------------------------------------------------------------- */

typedef struct {
    size_t acts, y, row, first, busy, by_panels, strip, strips, total;
} places;

/* Of strips of any kind for so many meetings, some of which begin a strip. */
static size_t strips_bytes(const vb_cpu *p, size_t meetings, size_t begin)
{
    size_t most = 0;
    for (int k = 0; k <= VB_ACT_Q256; k++) {
        size_t bytes = (vb_cpu_strips(p, (vb_act_kind)k, meetings) + begin) * p->expert_strip_bytes[k];
        if (bytes > most) most = bytes;
    }
    return most;
}

static places lay_out(const vb_cpu *p, size_t tokens)
{
    places at = {0};
    size_t meetings = tokens * (size_t)p->most_used, experts = (size_t)p->most_experts;
    size_t begun = meetings < experts ? meetings : experts;
    at.acts = vb_cpu_take(&at.total, meetings, sizeof(vb_act));
    at.y = vb_cpu_take(&at.total, meetings, sizeof(float *));
    at.row = vb_cpu_take(&at.total, meetings, sizeof(int));
    at.first = vb_cpu_take(&at.total, experts + 1, sizeof(size_t));
    at.busy = vb_cpu_take(&at.total, experts, sizeof(int));
    at.by_panels = vb_cpu_take(&at.total, experts, sizeof(int));
    at.strip = vb_cpu_take(&at.total, experts + 1, sizeof(int));
    at.strips = vb_cpu_take(&at.total, strips_bytes(p, meetings, begun), 1);
    return at;
}

size_t vb_cpu_expert_bytes(const vb_cpu *p, size_t tokens)
{
    return p->most_experts == 0 ? 0 : lay_out(p, tokens).total;
}

static lists place(const vb_cpu *p)
{
    places at = lay_out(p, (size_t)p->tokens);
    uint8_t *memory = p->scratch + p->at.experts;
    return (lists){.acts = (vb_act *)(void *)(memory + at.acts),
                   .y = (float **)(void *)(memory + at.y),
                   .row = (int *)(void *)(memory + at.row),
                   .first = (size_t *)(void *)(memory + at.first),
                   .busy = (int *)(void *)(memory + at.busy),
                   .by_panels = (int *)(void *)(memory + at.by_panels),
                   .strip = (int *)(void *)(memory + at.strip),
                   .strips = memory + at.strips};
}

/* --- route ------------------------------------------------------------------------------------------------------- */

/* E1 over n numbers. */
static float total(const float *x, int n)
{
    float lane[16] = {0};
    for (int i = 0; i < n; i++) lane[i & 15] += x[i];
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++) lane[i] += lane[i + half];
    return lane[0];
}

/* The numbers of the largest logits into y, in increasing order: the smallest chosen one leaves for a larger one,
 * of equals the one with the higher number. */
static void choose(float *y, const float *logits, int experts, int used)
{
    int n = 0;
    for (int e = 0; e < experts; e++) {
        int least = 0;
        if (n == used) {
            for (int i = 1; i < used; i++)
                if (logits[(int)y[i]] <= logits[(int)y[least]]) least = i;
            if (logits[e] <= logits[(int)y[least]]) continue;
            memmove(y + least, y + least + 1, (size_t)(used - 1 - least) * sizeof *y);
            n--;
        }
        y[n++] = (float)e;
    }
}

/* Shares of the chosen experts in a softmax over all of `logits`; `most` is the largest of them. */
static void shares_of_all(float *w, const float *numbers, const float *logits, const vb_step *s)
{
    float lane[16] = {0}, most = logits[(int)numbers[0]];
    for (int i = 1; i < s->u.route.used; i++)
        if (logits[(int)numbers[i]] > most) most = logits[(int)numbers[i]];
    for (int e = 0; e < s->u.route.experts; e++) lane[e & 15] += c_exp(logits[e] - most);
    float inverse = 1.0f / total(lane, 16);
    for (int i = 0; i < s->u.route.used; i++) w[i] = c_exp(logits[(int)numbers[i]] - most) * inverse;
}

static void shares_of_chosen(float *w, const float *numbers, const float *logits, int used)
{
    float most = logits[(int)numbers[0]];
    for (int i = 1; i < used; i++)
        if (logits[(int)numbers[i]] > most) most = logits[(int)numbers[i]];
    for (int i = 0; i < used; i++) w[i] = c_exp(logits[(int)numbers[i]] - most);
    float inverse = 1.0f / total(w, used);
    for (int i = 0; i < used; i++) w[i] *= inverse;
}

static void normalise(float *w, int used)
{
    float sum = total(w, used), inverse = 1.0f / (sum > 0x1p-14f ? sum : 0x1p-14f);
    for (int i = 0; i < used; i++) w[i] *= inverse;
}

void vb_cpu_route_row(vb_cpu *p, const vb_step *s, int r)
{
    int used = s->u.route.used;
    const float *logits = vb_cpu_value(p, s->in[0], r), *factors = s->weight != NULL ? s->weight->data : NULL;
    float *numbers = vb_cpu_value(p, s->out, r), *w = numbers + used;
    choose(numbers, logits, s->u.route.experts, used);
    if (s->u.route.how == VB_ROUTE_CHOSEN)
        shares_of_chosen(w, numbers, logits, used);
    else
        shares_of_all(w, numbers, logits, s);
    if (s->u.route.how == VB_ROUTE_NORMALISED) normalise(w, used);
    for (int i = 0; factors != NULL && i < used; i++) w[i] *= factors[(int)numbers[i]];
    vb_cpu_note(p, r, p->k->settle(w, NULL, used));
}

/* --- who meets whom ---------------------------------------------------------------------------------------------- */

static int own_rows(const vb_cpu *p, const vb_step *s)
{
    return p->plan->values[s->in[0]].parts > 1;
}

static void meet(const vb_cpu *p, const vb_step *s, const lists *l, int r, int i)
{
    int used = s->u.experts.used, own = own_rows(p, s);
    size_t at = l->first[(int)vb_cpu_value(p, s->in[1], r)[i]]++;
    l->acts[at] = p->acts[vb_cpu_act_kind(p, s)][own ? (size_t)r * (size_t)used + (size_t)i : (size_t)r];
    l->y[at] = vb_cpu_value(p, s->out, r) + (size_t)i * (size_t)s->u.experts.rows;
    l->row[at] = r;
}

/* Counts, then places: first[e] runs from the expert's first meeting to the next expert's, and is moved back. */
static void sort(const vb_cpu *p, const vb_step *s, const lists *l)
{
    int experts = s->u.experts.experts, used = s->u.experts.used, rows = vb_cpu_rows(p, s->out);
    memset(l->first, 0, ((size_t)experts + 1) * sizeof *l->first);
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < used; i++) l->first[(int)vb_cpu_value(p, s->in[1], r)[i] + 1]++;
    for (int e = 0; e < experts; e++) l->first[e + 1] += l->first[e];
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < used; i++) meet(p, s, l, r, i);
    for (int e = experts; e > 0; e--) l->first[e] = l->first[e - 1];
    l->first[0] = 0;
}

static int meetings_of(const lists *l, int e)
{
    return (int)(l->first[e + 1] - l->first[e]);
}

/* The experts that are met, and how: by panels where many tokens meet one. */
static void list_busy(work *w)
{
    const vb_step *s = w->job.s;
    vb_cpu *p = w->job.p;
    for (int e = 0; e < s->u.experts.experts; e++) {
        if (meetings_of(&w->l, e) == 0) continue;
        w->l.busy[w->n_busy] = e;
        w->l.by_panels[w->n_busy++] = vb_cpu_by_panels(p, s, meetings_of(&w->l, e));
    }
}

/* --- strips ------------------------------------------------------------------------------------------------------ */

static uint8_t *strip_at(const work *w, int strip)
{
    const vb_cpu *p = w->job.p;
    vb_act_kind kind = vb_cpu_act_kind(p, w->job.s);
    return w->l.strips + vb_strip_bytes(kind, (int)w->job.s->weight->cols) * (size_t)p->k->strip[kind] * (size_t)strip;
}

static void strip_tile(void *ctx, int tile, int worker)
{
    const work *w = ctx;
    const vb_cpu *p = w->job.p;
    int i = 0;
    while (tile >= w->l.strip[i + 1]) i++;
    vb_act_kind kind = vb_cpu_act_kind(p, w->job.s);
    int each = p->k->strip[kind], e = w->l.busy[i];
    int at = (tile - w->l.strip[i]) * each, left = meetings_of(&w->l, e) - at;
    (void)worker;
    p->k->lay[kind](strip_at(w, tile), w->l.acts + w->l.first[e] + at, left < each ? left : each);
}

/* Of what is met by panels. */
static void lay_strips(work *w)
{
    vb_cpu *p = w->job.p;
    const vb_step *s = w->job.s;
    vb_act_kind kind = vb_cpu_act_kind(p, s);
    if (p->k->lay[kind] == NULL) return;
    w->l.strip[0] = 0;
    for (int i = 0; i < w->n_busy; i++) {
        int n = w->l.by_panels[i] ? meetings_of(&w->l, w->l.busy[i]) : 0;
        w->l.strip[i + 1] = w->l.strip[i] + (int)vb_cpu_strips(p, kind, (size_t)n);
    }
    w->job.tiles = w->l.strip[w->n_busy];
    vb_job_run(&w->job, strip_tile, (int64_t)w->job.tiles * p->k->strip[kind] * s->weight->cols / 2);
}

/* --- tiles ------------------------------------------------------------------------------------------------------- */

static void expert_rows(const work *w, int i, int from, int rows, int worker)
{
    const vb_step *s = w->job.s;
    const vb_tensor *t = s->weight;
    int e = w->l.busy[i], n = meetings_of(&w->l, e);
    size_t first = w->l.first[e], row = (size_t)e * (size_t)s->u.experts.total + (size_t)(s->u.experts.from + from);
    vb_rows rows_of = {(const uint8_t *)t->data + row * t->row_bytes, t->row_bytes, rows};
    vb_product q = {.w = &rows_of, .a = w->l.acts + first, .tokens = n, .from = from, .y = w->l.y + first,
                    .strips = w->l.by_panels[i] ? strip_at(w, w->l.strip[i]) : NULL,
                    .bias = s->bias != NULL ? (const float *)s->bias->data + row : NULL};
    if (vb_cpu_multiply(w->job.p, s, &q, w->l.by_panels[i], worker) == 0) return;
    for (int m = 0; m < n; m++)
        vb_cpu_note(w->job.p, w->l.row[first + (size_t)m],
                    w->job.p->k->settle(w->l.y[first + (size_t)m] + from, NULL, rows));
}

static void expert_tile(void *ctx, int tile, int worker)
{
    const work *w = ctx;
    int from = tile % w->tiles_each * w->tile_rows, left = w->job.s->u.experts.rows - from;
    expert_rows(w, tile / w->tiles_each, from, left < w->tile_rows ? left : w->tile_rows, worker);
}

static void cut_tiles(work *w)
{
    const vb_step *s = w->job.s;
    int panels = 0, rows = s->u.experts.rows;
    for (int i = 0; i < w->n_busy; i++) panels |= w->l.by_panels[i];
    w->tile_rows = vb_cpu_cut_rows(w->job.p, s, rows, w->n_busy, panels);
    w->tiles_each = (rows + w->tile_rows - 1) / w->tile_rows;
    w->job.tiles = w->n_busy * w->tiles_each;
}

void vb_cpu_experts(vb_cpu *p, const vb_step *s)
{
    work w = {.job = {.p = p, .s = s}, .l = place(p)};
    int64_t meetings = (int64_t)vb_cpu_rows(p, s->out) * s->u.experts.used;
    vb_cpu_quantize(p, s, own_rows(p, s) ? s->u.experts.used : 1);
    sort(p, s, &w.l);
    list_busy(&w);
    lay_strips(&w);
    cut_tiles(&w);
    vb_job_run(&w.job, expert_tile, meetings * s->u.experts.rows * s->weight->cols / 16);
}
