/* attend.c - first all new keys and values, if the step has any, then groups of queries that share a KV head.
 *
 *   whole     tile: a head x a block of tokens; all chunks in order join the sums of each query (G2)
 *   in parts  where that gives too few tiles, one block of tokens after the other, in waves of chunks:
 *
 *             chunks    0 1 2 3 | 4 5 6 7 | 8 ...        tile: a head x some chunks; each chunk's sums stay by
 *             query 0   . . . .   . . . .   .            themselves, as parts[chunk][query]
 *             query 1   . . . .   . . . .   .            tile: a query; its parts join in increasing order (G2)
 *
 * Waves bound the room for parts and keep it in cache. Both ways are G to the letter: a part is one chunk, never two.
 */
#include "run/cpu.h"
#include "run/hard.h"

#include "base/canon.h"
#include "base/kv.h"

#include <limits.h>
#include <math.h>
#include <string.h>

enum {
    LONG = 2 * VB_CHUNK, /* positions from which parts may pay */
    MOST_PIECE = 8,      /* chunks a tile */
    LEAST_WAVE = 32, MOST_WAVE = 512, PART_FLOATS = 1 << 20,
};

typedef struct {
    vb_job job; /* first: tiles get a pointer to it */
    int rows, heads, kv_heads, shared, sums; /* shared: query heads of a key and value head; sums: floats */
    int block, blocks;                       /* tokens */
    /* in parts: rows first..end-1 of one session, chunks start..last, in waves of at most `wave` chunks; this one has
     * `chunks` of them, from `from` on, in tiles of `piece` */
    int first, end, start, last, wave, from, chunks, piece;
} work;

/* Some queries of one session and one key and value head. */
typedef struct {
    vb_query queries[VB_GROUP];
    int row[VB_GROUP], head[VB_GROUP], n;
} group;

static const vb_row *row_of(const work *w, int r)
{
    return &w->job.p->rows[vb_cpu_row_of(w->job.p, w->job.s->out, r)];
}

static int first_seen(const work *w, int r)
{
    int window = w->job.s->u.attend.window, position = row_of(w, r)->position;
    return window > 0 && position >= window ? position - window + 1 : 0;
}

static float *worker_room(const work *w, int worker)
{
    const vb_cpu *p = w->job.p;
    return (float *)(void *)(p->scratch + p->at.workers) + (size_t)worker * (size_t)p->worker_floats;
}

int vb_cpu_attend_floats(const vb_step *s)
{
    return VB_GROUP * vb_sums_floats(s->u.attend.dim_v) + vb_group_floats(VB_GROUP, s->u.attend.dim_k);
}

int64_t vb_cpu_part_floats(const vb_step *s)
{
    int64_t least = (int64_t)(LEAST_WAVE + 1) * s->u.attend.heads * vb_sums_floats(s->u.attend.dim_v);
    return least > PART_FLOATS ? least : PART_FLOATS;
}

/* --- shapes ---------------------------------------------------------------------------------------------------------- */

/* Rows of q8_0 are longer than four elements. */
static int is_fours(const work *w)
{
    const vb_step *s = w->job.s;
    return s->u.attend.dim_k == 4 && s->u.attend.dim_v == 4 && w->shared == 1 && w->heads % 4 == 0 && w->heads <= 1024 &&
           s->weight == NULL && s->u.attend.softcap == 0.0f;
}

/* --- keys and values ------------------------------------------------------------------------------------------- */

static size_t head_bytes(const vb_state *state, const vb_head_rows *head)
{
    return head->key_stride * state->places;
}

/* Rows of four elements are converted as one; each is as many bytes of it. */
static uint32_t store_fours(const work *w, const vb_row *row, const float *x, int is_value, uint8_t *room)
{
    vb_kv kv = row->state->kv;
    vb_head_rows to = vb_state_head(row->state, w->job.s->u.attend.slot, 0);
    size_t bytes = to.key_stride, apart = head_bytes(row->state, &to);
    uint32_t bad = w->job.p->k->kv_write[kv](room, x, 4 * w->kv_heads);
    for (int h = 0; h < w->kv_heads; h++, to.keys += apart, to.values += apart, room += bytes) {
        uint8_t *value = to.values + (size_t)row->position * bytes;
        if (!is_value) vb_keys_put(to.keys, row->position, 1, room, bytes, bytes, kv);
        else if (bytes == 8) memcpy(value, room, 8);
        else memcpy(value, room, 16);
    }
    return bad;
}

/* One head's key and value. */
static uint32_t store_head(const vb_cpu *p, const vb_row *row, const vb_head_rows *to, const float *k, const float *v,
                           const vb_slot *slot, uint8_t *room)
{
    vb_kv kv = row->state->kv;
    uint32_t bad = p->k->kv_write[kv](room, k, slot->dim_k);
    vb_keys_put(to->keys, row->position, 1, room, to->key_stride, to->key_stride, kv);
    return bad | p->k->kv_write[kv](to->values + (size_t)row->position * to->value_stride, v, slot->dim_v);
}

/* A key goes to as many lines as a tile has: all are on their way before the first is written. */
static void ask_tile(const vb_head_rows *to, int position)
{
    size_t bytes = VB_KEYS * to->key_stride;
    const uint8_t *tile = to->keys + (size_t)(position / VB_KEYS) * bytes;
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(tile + i, 1);
}

static void store_tile(void *ctx, int r, int worker)
{
    const vb_job *j = ctx;
    vb_cpu *p = j->p;
    const vb_slot *slot = &p->plan->slots[j->s->u.attend.slot];
    const vb_row *row = &p->rows[vb_cpu_row_of(p, j->s->out, r)];
    const float *k = vb_cpu_value(p, j->s->in[1], r), *v = vb_cpu_value(p, j->s->in[2], r);
    uint8_t *room = (uint8_t *)worker_room(ctx, worker);
    uint32_t bad = 0;
    if (is_fours(ctx)) {
        vb_cpu_note(p, r, store_fours(ctx, row, k, 0, room) | store_fours(ctx, row, v, 1, room));
        return;
    }
    for (int h = 0; h < slot->kv_heads; h++) {
        vb_head_rows to = vb_state_head(row->state, j->s->u.attend.slot, h);
        ask_tile(&to, row->position);
    }
    for (int h = 0; h < slot->kv_heads; h++) {
        vb_head_rows to = vb_state_head(row->state, j->s->u.attend.slot, h);
        bad |= store_head(p, row, &to, k + h * slot->dim_k, v + h * slot->dim_v, slot, room);
    }
    vb_cpu_note(p, r, bad);
}

/* --- groups ------------------------------------------------------------------------------------------------------ */

/* The next queries of rows *r.. below end, from the shared head *h on, token after token so that what they see only
 * moves forward. Returns 0 when none is left. */
static int gather(group *g, const work *w, int kv_head, int end, int *r, int *h)
{
    const vb_step *s = w->job.s;
    const vb_state *state = *r < end ? row_of(w, *r)->state : NULL;
    for (g->n = 0; *r < end && row_of(w, *r)->state == state && g->n < VB_GROUP; g->n++) {
        int head = kv_head * w->shared + *h;
        g->row[g->n] = *r;
        g->head[g->n] = head;
        g->queries[g->n] = (vb_query){.q = vb_cpu_value(w->job.p, s->in[0], *r) + head * s->u.attend.dim_k,
                                      .first = first_seen(w, *r), .last = row_of(w, *r)->last};
        *h = (*h + 1) % w->shared;
        *r += *h == 0;
    }
    return g->n;
}

static vb_group look_at(const group *g, const work *w, int kv_head, float *room)
{
    const vb_step *s = w->job.s;
    vb_head_rows kv = vb_state_head(row_of(w, g->row[0])->state, s->u.attend.slot, kv_head);
    return (vb_group){.queries = g->queries, .n = g->n, .keys = kv.keys, .values = kv.values,
                      .key_stride = kv.key_stride, .value_stride = kv.value_stride, .dim_k = s->u.attend.dim_k,
                      .dim_v = s->u.attend.dim_v, .from = g->queries[0].first, .to = g->queries[g->n - 1].last,
                      .scale = s->u.attend.scale, .softcap = s->u.attend.softcap, .work = room};
}

static void compute(const group *g, const work *w, const vb_group *look)
{
    const vb_cpu *p = w->job.p;
    uint64_t bad = p->k->attend[row_of(w, g->row[0])->state->kv](look);
    for (int i = 0; bad != 0 && i < g->n; i++) vb_cpu_note(w->job.p, g->row[i], bad >> i & 1);
}

/* G4 */
static void join_sink(float *sums, float sink, int dim)
{
    float m = sums[VB_SUMS_M], f = c_exp(sink > m ? m - sink : sink - m);
    sums[VB_SUMS_L] = sink > m ? sums[VB_SUMS_L] * f + 1.0f : sums[VB_SUMS_L] + f;
    for (int d = 0; sink > m && d < dim; d++) sums[VB_SUMS_O + d] *= f;
}

/* F5 */
static void put_out(const work *w, int r, int head, float *sums)
{
    vb_cpu *p = w->job.p;
    const vb_step *s = w->job.s;
    float *out = vb_cpu_value(p, s->out, r) + head * s->u.attend.dim_v;
    if (s->weight != NULL) {
        float sink = ((const float *)s->weight->data)[head];
        if (!isfinite(sink)) vb_cpu_note(p, r, 1);
        join_sink(sums, sink, s->u.attend.dim_v);
    }
    vb_cpu_note(p, r, p->k->scale(out, sums + VB_SUMS_O, 1.0f / sums[VB_SUMS_L], s->u.attend.dim_v));
}

/* --- whole ------------------------------------------------------------------------------------------------------- */

static void whole_tile(void *ctx, int tile, int worker)
{
    const work *w = ctx;
    int kv_head = tile / w->blocks, r = tile % w->blocks * w->block, h = 0;
    int end = r + w->block < w->rows ? r + w->block : w->rows;
    float *sums = worker_room(w, worker), *room = sums + VB_GROUP * w->sums;
    group g;
    while (gather(&g, w, kv_head, end, &r, &h) > 0) {
        vb_group look = look_at(&g, w, kv_head, room);
        for (int i = 0; i < g.n; i++) {
            g.queries[i].sums = sums + i * w->sums;
            vb_sums_clear(g.queries[i].sums, look.dim_v);
        }
        compute(&g, w, &look);
        for (int i = 0; i < g.n; i++) put_out(w, g.row[i], g.head[i], g.queries[i].sums);
    }
}

/* --- in parts ---------------------------------------------------------------------------------------------------- */

/* From the sums of a chunk to those of the next one. */
static size_t apart(const work *w)
{
    return (size_t)(w->end - w->first) * (size_t)w->heads * (size_t)w->sums;
}

/* The sums of one query over one chunk of the wave; at chunk `wave` those of all chunks so far. */
static float *part_of(const work *w, int chunk, int r, int head)
{
    const vb_cpu *p = w->job.p;
    size_t query = (size_t)(r - w->first) * (size_t)w->heads + (size_t)head;
    return (float *)(void *)(p->scratch + p->at.parts) + (size_t)chunk * apart(w) + query * (size_t)w->sums;
}

static void part_tile(void *ctx, int tile, int worker)
{
    const work *w = ctx;
    int pieces = (w->chunks + w->piece - 1) / w->piece, from = tile % pieces * w->piece, r = w->first, h = 0;
    int end = from + w->piece < w->chunks ? from + w->piece : w->chunks;
    group g;
    while (gather(&g, w, tile / pieces, w->end, &r, &h) > 0) {
        vb_group look = look_at(&g, w, tile / pieces, worker_room(w, worker));
        int first = (w->from + from) * VB_CHUNK, last = (w->from + end) * VB_CHUNK - 1;
        look.from = first;
        look.to = last < look.to ? last : look.to;
        look.apart = apart(w);
        for (int i = 0; i < g.n; i++) g.queries[i].sums = part_of(w, from, g.row[i], g.head[i]);
        compute(&g, w, &look);
    }
}

/* Begins with no chunk before the first wave and stores the result behind the last. */
static void join_tile(void *ctx, int tile, int worker)
{
    const work *w = ctx;
    int r = w->first + tile / w->heads, head = tile % w->heads, dim = w->job.s->u.attend.dim_v;
    int from = first_seen(w, r) / VB_CHUNK - w->from, to = row_of(w, r)->last / VB_CHUNK - w->from;
    float *sums = part_of(w, w->wave, r, head);
    (void)worker;
    if (w->from == w->start) vb_sums_clear(sums, dim);
    if (from < 0) from = 0;
    if (to >= w->chunks) to = w->chunks - 1;
    w->job.p->k->attend_join(sums, part_of(w, from, r, head), apart(w), to - from + 1, dim);
    if (w->from + w->chunks > w->last) put_out(w, r, head, sums);
}

/* Some tiles for each thread, so that all end at about the same time. */
static int piece(const work *w)
{
    int n = w->chunks * w->kv_heads / (4 * vb_pool_threads(w->job.p->pool));
    return n < 1 ? 1 : n < MOST_PIECE ? n : MOST_PIECE;
}

static void play_waves(work *w)
{
    int rows = w->end - w->first;
    int64_t width = vb_cpu_width(w->job.p, w->job.s->in[0]);
    w->start = first_seen(w, w->first) / VB_CHUNK;
    w->last = row_of(w, w->end - 1)->last / VB_CHUNK;
    w->wave = (int)(w->job.p->part_floats / ((int64_t)rows * w->heads * w->sums)) - 1;
    if (w->wave > MOST_WAVE) w->wave = MOST_WAVE;
    for (w->from = w->start; w->from <= w->last; w->from += w->wave) {
        w->chunks = w->last - w->from < w->wave ? w->last - w->from + 1 : w->wave;
        w->piece = piece(w);
        w->job.tiles = w->kv_heads * ((w->chunks + w->piece - 1) / w->piece);
        vb_job_run(&w->job, part_tile, rows * width * w->chunks * VB_CHUNK / 4);
        w->job.tiles = rows * w->heads;
        vb_job_run(&w->job, join_tile, (int64_t)rows * w->heads * w->chunks * w->sums / 4);
    }
}

static void in_parts(work *w)
{
    int64_t fit = w->job.p->part_floats / ((int64_t)(LEAST_WAVE + 1) * w->heads * w->sums);
    int most = fit < w->block ? (int)fit : w->block;
    for (w->first = 0; w->first < w->rows; w->first = w->end) {
        const vb_state *state = row_of(w, w->first)->state;
        w->end = w->first + 1;
        while (w->end < w->rows && w->end - w->first < most && row_of(w, w->end)->state == state) w->end++;
        play_waves(w);
    }
}

/* --- the step ---------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t all, least, most;
} extent;

/* Positions seen by all rows, and by the row that sees least and most. */
static extent measure(const work *w)
{
    extent e = {0, INT64_MAX, 0};
    for (int r = 0; r < w->rows; r++) {
        int64_t n = row_of(w, r)->last - first_seen(w, r) + 1;
        e.all += n;
        if (n < e.least) e.least = n;
        if (n > e.most) e.most = n;
    }
    return e;
}

/* Whether whole heads give all threads about the same to do. */
static int spreads(const work *w, const extent *e)
{
    int threads = vb_pool_threads(w->job.p->pool), tiles = w->blocks * w->kv_heads;
    if (threads == 1 || tiles >= 4 * threads) return 1;
    return tiles % threads == 0 && w->rows % w->block == 0 && e->most - e->least < e->most / 8;
}

static void cut_blocks(work *w, int tokens)
{
    w->block = tokens > 1 ? tokens : 1;
    w->blocks = (w->rows + w->block - 1) / w->block;
}

static void attend(work *w)
{
    extent e = measure(w);
    vb_cpu *p = w->job.p;
    int threads = vb_pool_threads(p->pool);
    cut_blocks(w, VB_GROUP / w->shared);
    int even = spreads(w, &e), parts = !even && e.most >= LONG;
    if (p->part_floats > 0 && vb_hard_choice(p->hard, parts)) {
        in_parts(w);
        return;
    }
    if (!even) cut_blocks(w, w->rows * w->kv_heads / (4 * threads));
    w->job.tiles = w->blocks * w->kv_heads;
    vb_job_run(&w->job, whole_tile, e.all * vb_cpu_width(p, w->job.s->in[0]) / 4);
}

/* --- heads of four ------------------------------------------------------------------------------------------------ */

static void fours_tile(void *ctx, int r, int worker)
{
    const work *w = ctx;
    vb_cpu *p = w->job.p;
    const vb_step *s = w->job.s;
    const vb_row *row = row_of(w, r);
    vb_head_rows kv = vb_state_head(row->state, s->u.attend.slot, 0);
    vb_fours g = {.q = vb_cpu_value(p, s->in[0], r), .y = vb_cpu_value(p, s->out, r), .keys = kv.keys, .values = kv.values,
                  .head_bytes = head_bytes(row->state, &kv), .heads = w->heads, .first = first_seen(w, r),
                  .last = row->last, .scale = s->u.attend.scale};
    (void)worker;
    vb_cpu_note(p, r, p->k->attend_fours[row->state->kv](&g));
}

void vb_cpu_attend(vb_cpu *p, const vb_step *s)
{
    work w = {.job = {.p = p, .s = s}, .rows = vb_cpu_rows(p, s->out), .heads = s->u.attend.heads,
              .kv_heads = s->u.attend.kv_heads, .shared = s->u.attend.heads / s->u.attend.kv_heads,
              .sums = vb_sums_floats(s->u.attend.dim_v)};
    w.job.tiles = w.rows;
    if (s->op == VB_OP_ATTEND)
        vb_job_run(&w.job, store_tile, (int64_t)w.rows * (vb_cpu_width(p, s->in[1]) + vb_cpu_width(p, s->in[2])));
    if (atomic_load(&p->bad[0]) != INT_MAX || w.rows == 0) return;
    if (is_fours(&w)) vb_job_run(&w.job, fours_tile, measure(&w).all * vb_cpu_width(p, s->in[0]) / 4);
    else attend(&w);
}
