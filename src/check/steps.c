/* steps.c - checks of the kernels of all other steps. */
#include "check/check.h"

#include <string.h>

enum { Y, A, B, EXPECTED, KEYS, VALUES, PART, TABLE, SUMS, TILES };

static const int lengths[] = {1, 2, 3, 8, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 100, 255, 576, 1000};
enum { LENGTHS = sizeof lengths / sizeof lengths[0] };

static float *output(vb_check *c, int n)
{
    return vb_check_buffer(c, Y, (size_t)n * sizeof(float));
}

static void judge(vb_check *c, const float *expected, const float *y, int n, uint32_t bad)
{
    vb_check_compare(c, expected, y, n, bad);
    if (!vb_check_intact(c, Y, (size_t)n * sizeof *y)) vb_check_fail(c, "wrote before its output");
}

static void element_once(vb_check *c, int which, int n, vb_fill fill)
{
    const float *a = vb_check_float_buffer(c, A, n, fill), *b = vb_check_float_buffer(c, B, n, fill);
    float *y = output(c, n), *expected = vb_check_buffer(c, EXPECTED, (size_t)n * sizeof *expected), by = 0.0f;
    uint32_t bad = 0;
    while (!(by > 0.0f)) vb_check_floats(c, &by, 1, VB_FILL_PLAIN);
    if (vb_check_random(c, 2)) by = 0.125f;
    switch (which) {
    case VB_ELEMENT_ADD:
        bad = c->k->add(y, a, b, n);
        vb_oracle_add(expected, a, b, n);
        break;
    case VB_ELEMENT_SCALE:
        bad = c->k->scale(y, a, by, n);
        vb_oracle_scale(expected, a, by, n);
        break;
    case VB_ELEMENT_SILU:
        bad = c->k->glu_silu(y, a, b, n);
        vb_oracle_glu(expected, a, b, n, VB_GLU_SILU);
        break;
    case VB_ELEMENT_GELU_TANH:
        bad = c->k->glu_gelu_tanh(y, a, b, n);
        vb_oracle_glu(expected, a, b, n, VB_GLU_GELU_TANH);
        break;
    case VB_ELEMENT_SIGMOID:
        bad = c->k->glu_sigmoid(y, a, b, n);
        vb_oracle_glu(expected, a, b, n, VB_GLU_SIGMOID);
        break;
    case VB_ELEMENT_CLAMPED:
        bad = c->k->glu_clamped(y, a, b, n);
        vb_oracle_glu(expected, a, b, n, VB_GLU_CLAMPED);
        break;
    default:
        bad = c->k->softcap(y, a, by * 8.0f, n);
        vb_oracle_softcap(expected, a, by * 8.0f, n);
    }
    judge(c, expected, y, n, bad);
}

void vb_check_element(vb_check *c, int which)
{
    for (int i = 0; i < LENGTHS; i++)
        for (int again = 0; again < 8; again++)
            for (vb_fill fill = 0; fill < VB_FILLS; fill++) element_once(c, which, lengths[i], fill);
}

/* With a bias it is an addition, without one the guard alone: adding +0 says the same. */
void vb_check_settle(vb_check *c, int which)
{
    (void)which;
    for (int i = 0; i < LENGTHS; i++)
        for (int with_bias = 0; with_bias < 2; with_bias++)
            for (vb_fill fill = 0; fill < VB_FILLS; fill++) {
                int n = lengths[i];
                size_t bytes = (size_t)n * sizeof(float);
                const float *x = vb_check_float_buffer(c, A, n, fill);
                float *bias = vb_check_float_buffer(c, B, n, fill), *y = output(c, n);
                float *expected = vb_check_buffer(c, EXPECTED, bytes);
                if (!with_bias) memset(bias, 0, bytes);
                memcpy(y, x, bytes);
                vb_oracle_add(expected, x, bias, n);
                judge(c, expected, y, n, c->k->settle(y, with_bias ? bias : NULL, n));
            }
}

void vb_check_norm(vb_check *c, int which)
{
    (void)which;
    for (int i = 0; i < LENGTHS; i++)
        for (int again = 0; again < 8; again++)
            for (vb_fill fill = 0; fill < VB_FILLS; fill++) {
                int n = lengths[i];
                vb_oracle_norm how = {n, n, again % 2 == 0 ? 1e-5f : 1e-6f};
                const float *x = vb_check_float_buffer(c, A, n, fill), *w = vb_check_float_buffer(c, B, n, fill);
                float *y = output(c, n), *expected = vb_check_buffer(c, EXPECTED, (size_t)n * sizeof *expected);
                if (again % 4 == 3) w = NULL;
                uint32_t bad = c->k->norm_rms(y, x, w, n, how.eps);
                vb_oracle_norm_rms(expected, x, w, &how);
                judge(c, expected, y, n, bad);
            }
}

/* Rows of several experts, further apart than they are long; numbers of experts do not matter to the sum. */
static void mix_once(vb_check *c, int used, int n, vb_fill fill)
{
    int stride = n + (int)vb_check_random(c, 3);
    const float *x = vb_check_float_buffer(c, A, stride * (used - 1) + n, fill);
    const float *route = vb_check_float_buffer(c, B, 2 * used, VB_FILL_PLAIN);
    float *rows = vb_check_buffer(c, TABLE, (size_t)(used * n) * sizeof *rows), *y = output(c, n);
    float *expected = vb_check_buffer(c, EXPECTED, (size_t)n * sizeof *expected);
    for (int i = 0; i < used; i++) memcpy(rows + i * n, x + i * stride, (size_t)n * sizeof *rows);
    uint32_t bad = c->k->mix(y, x, (size_t)stride, route + used, used, n);
    vb_oracle_mix(expected, rows, route, used, n);
    judge(c, expected, y, n, bad);
}

void vb_check_mix(vb_check *c, int which)
{
    static const int used[] = {1, 2, 3, 4, 8, 10};
    (void)which;
    for (int i = 0; i < LENGTHS; i++)
        for (int k = 0; k < 6; k++)
            for (vb_fill fill = 0; fill < VB_FILLS; fill++) mix_once(c, used[k], lengths[i], fill);
}

/* Rows far from zero too, where the mean matters. */
void vb_check_norm_layer(vb_check *c, int which)
{
    (void)which;
    for (int i = 0; i < LENGTHS; i++)
        for (int again = 0; again < 8; again++)
            for (vb_fill fill = 0; fill < VB_FILLS; fill++) {
                int n = lengths[i];
                float *x = vb_check_float_buffer(c, A, n, fill), *w = vb_check_float_buffer(c, B, n, fill);
                float *b = vb_check_float_buffer(c, TABLE, n, fill), *y = output(c, n);
                float *expected = vb_check_buffer(c, EXPECTED, (size_t)n * sizeof *expected);
                for (int k = 0; again >= 4 && k < n; k++) x[k] += 3.0f;
                vb_tensor weight = {.data = w}, bias = {.data = b};
                vb_step s = {.weight = &weight, .bias = &bias, .u.norm.eps = again % 2 == 0 ? 1e-5f : 1e-12f};
                vb_layer_norm how = {w, b, n, s.u.norm.eps};
                uint32_t bad = c->k->norm_layer(y, x, &how);
                vb_oracle_norm_layer(expected, x, &s, n);
                judge(c, expected, y, n, bad);
            }
}

void vb_check_act(vb_check *c, int curve)
{
    for (int i = 0; i < LENGTHS; i++)
        for (int again = 0; again < 8; again++)
            for (vb_fill fill = 0; fill < VB_FILLS; fill++) {
                uint32_t (*const kernels[])(float *, const float *, int) = {c->k->act_silu, c->k->act_gelu_tanh,
                                                                            c->k->act_gelu_erf};
                int n = lengths[i];
                const float *x = vb_check_float_buffer(c, A, n, fill);
                float *y = output(c, n), *expected = vb_check_buffer(c, EXPECTED, (size_t)n * sizeof *expected);
                uint32_t bad = kernels[curve](y, x, n);
                vb_oracle_act(expected, x, n, (vb_curve)curve);
                judge(c, expected, y, n, bad);
            }
}

static void rope_once(vb_check *c, int pairing, int n_rot, int head_dim)
{
    vb_rope rope = {.n_rot = n_rot, .pairing = (vb_pairing)pairing, .base = 10000.0, .factor = 1.0, .attn_factor = 1.0};
    vb_oracle_turn how = {head_dim, head_dim, n_rot, (vb_pairing)pairing};
    for (vb_fill fill = 0; fill < VB_FILLS; fill++) {
        const float *x = vb_check_float_buffer(c, A, head_dim, fill);
        float *y = output(c, head_dim), *expected = vb_check_buffer(c, EXPECTED, (size_t)head_dim * sizeof *expected);
        float *cos = vb_check_buffer(c, B, (size_t)n_rot / 2 * sizeof *cos);
        float *sin = vb_check_buffer(c, TABLE, (size_t)n_rot / 2 * sizeof *sin);
        vb_turn turn = {cos, sin, n_rot, head_dim};
        vb_oracle_rope_table(cos, sin, &rope, (int)vb_check_random(c, 100000));
        uint32_t bad = (pairing == VB_PAIR_NORM ? c->k->rope_norm : c->k->rope_neox)(y, x, &turn);
        vb_oracle_rope(expected, x, cos, sin, &how);
        judge(c, expected, y, head_dim, bad);
    }
}

void vb_check_rope(vb_check *c, int pairing)
{
    static const int shapes[][2] = {{2, 2},   {4, 5},   {16, 16}, {20, 32},  {30, 33},   {32, 32},  {32, 80},
                                    {34, 50}, {64, 64}, {64, 96}, {96, 128}, {128, 128}, {256, 256}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) rope_once(c, pairing, shapes[i][0], shapes[i][1]);
}

/* Some numbers too large for a half, in one of four tries. */
static void too_large(vb_check *c, float *x, int n)
{
    if (vb_check_random(c, 4) == 0) x[vb_check_random(c, (uint32_t)n)] = vb_check_random(c, 2) ? 65520.0f : -1e9f;
}

void vb_check_kv_write(vb_check *c, int kv)
{
    for (int i = 0; i < LENGTHS; i++)
        for (int again = 0; again < 8; again++)
            for (vb_fill fill = 0; fill < VB_FILLS; fill++) {
                int n = kv == VB_KV_Q8_0 ? (lengths[i] + 31) / 32 * 32 : lengths[i];
                size_t bytes = vb_oracle_kv_size((vb_kv)kv, n);
                float *x = vb_check_float_buffer(c, A, n, fill);
                uint8_t *found = vb_check_buffer(c, Y, bytes), *expected = vb_check_buffer(c, EXPECTED, bytes);
                too_large(c, x, n);
                uint32_t bad = c->k->kv_write[kv](found, x, n);
                vb_status s = vb_oracle_kv_write((vb_kv)kv, expected, x, n);
                vb_check_bytes(c, expected, found, bytes);
                if ((s < 0) != (bad != 0)) vb_check_fail(c, "%d numbers that do not fit: expected %d", n, s < 0);
                if (!vb_check_intact(c, Y, bytes)) vb_check_fail(c, "wrote before its output");
            }
}

/* Rows before the window are forbidden memory for the kernel's eyes: it gets NaN there. */
static void spoil(void *rows, size_t stride, int n)
{
    memset(rows, 0xff, stride * (size_t)n);
}

/* --- attention ------------------------------------------------------------------------------------------------- */

/* Some heads of some tokens, their positions rising, that share one key and value head. The oracle has keys as rows. */
typedef struct {
    vb_kv kv;
    vb_heads shape; /* one head */
    int positions, n, apart; /* stored; queries; chunks are computed by themselves and joined */
    vb_oracle_cache cache;
    vb_query queries[VB_GROUP];
} attention;

/* What does not fit the type never gets into a cache (J5). */
static void put_row(vb_kv kv, void *to, const float *x, int n)
{
    if (vb_oracle_kv_write(kv, to, x, n) != VB_OK) memset(to, 0, vb_oracle_kv_size(kv, n));
}

static void fill_cache(vb_check *c, attention *a, vb_fill fill)
{
    int dim_k = a->shape.dim_k, dim_v = a->shape.dim_v;
    size_t k = vb_oracle_kv_size(a->kv, dim_k), v = vb_oracle_kv_size(a->kv, dim_v), n = (size_t)a->positions;
    float *row = vb_check_buffer(c, TABLE, (size_t)(dim_k + dim_v) * sizeof *row);
    a->cache = (vb_oracle_cache){a->kv, vb_check_buffer(c, KEYS, k * n), vb_check_buffer(c, VALUES, v * n)};
    for (size_t p = 0; p < n; p++) {
        vb_check_floats(c, row, dim_k + dim_v, fill);
        for (int i = 0; fill == VB_FILL_WILD && i < dim_k + dim_v; i++) row[i] *= 0x1p-12f;
        put_row(a->kv, (uint8_t *)a->cache.keys + p * k, row, dim_k);
        put_row(a->kv, (uint8_t *)a->cache.values + p * v, row + dim_k, dim_v);
    }
}

static size_t tiles_bytes(size_t row, int positions)
{
    return vb_key_places(positions) * row;
}

/* Rows as tiles; what fills up the last one are no numbers. */
static void lay_keys(uint8_t *tiles, const uint8_t *rows, size_t row, int positions, vb_kv kv)
{
    memset(tiles, 0xff, tiles_bytes(row, positions));
    vb_keys_put(tiles, 0, positions, rows, row, row, kv);
}

/* The last tokens of those stored, up to three heads each. */
static void place_queries(vb_check *c, attention *a, vb_fill fill)
{
    int floats = vb_sums_floats(a->shape.dim_v), heads = a->n < 3 ? a->n : 3;
    float *q = vb_check_float_buffer(c, A, a->n * a->shape.dim_k, fill);
    float *sums = vb_check_buffer(c, SUMS, (size_t)(a->n * floats) * sizeof *sums);
    int tokens = (a->n + heads - 1) / heads;
    for (int i = 0; i < a->n; i++) {
        int last = a->positions - tokens + i / heads;
        if (last < 0) last = 0;
        int first = a->shape.window > 0 && last >= a->shape.window ? last - a->shape.window + 1 : 0;
        a->queries[i] = (vb_query){q + i * a->shape.dim_k, first, last, sums + i * floats};
        vb_sums_clear(sums + i * floats, a->shape.dim_v);
    }
}

static vb_group group_of(vb_check *c, const attention *a)
{
    size_t k = vb_oracle_kv_size(a->kv, a->shape.dim_k), v = vb_oracle_kv_size(a->kv, a->shape.dim_v);
    int work = vb_group_floats(a->n, a->shape.dim_k);
    uint8_t *keys = vb_check_buffer(c, TILES, tiles_bytes(k, a->positions));
    lay_keys(keys, a->cache.keys, k, a->positions, a->kv);
    vb_group g = {.queries = a->queries, .n = a->n, .keys = keys, .values = a->cache.values, .key_stride = k,
                  .value_stride = v, .dim_k = a->shape.dim_k, .dim_v = a->shape.dim_v, .scale = a->shape.scale,
                  .softcap = a->shape.softcap,
                  .from = a->queries[0].first, .to = a->queries[a->n - 1].last};
    g.work = vb_check_buffer(c, PART, (size_t)work * sizeof(float));
    return g;
}

/* Each chunk by itself, then joined: to each query those of which it sees anything. */
static uint64_t attend_apart(vb_check *c, attention *a, vb_group *g)
{
    int floats = vb_sums_floats(g->dim_v), start = g->from / VB_CHUNK, chunks = g->to / VB_CHUNK - start + 1;
    float *parts = vb_check_buffer(c, Y, (size_t)(chunks * a->n * floats) * sizeof *parts);
    vb_query queries[VB_GROUP];
    memcpy(queries, a->queries, sizeof queries);
    for (int i = 0; i < a->n; i++) queries[i].sums = parts + i * floats;
    g->queries = queries;
    g->apart = (size_t)(a->n * floats);
    uint64_t bad = c->k->attend[a->kv](g);
    for (int i = 0; i < a->n; i++) {
        int from = queries[i].first / VB_CHUNK - start, to = queries[i].last / VB_CHUNK - start;
        c->k->attend_join(a->queries[i].sums, queries[i].sums + g->apart * (size_t)from, g->apart, to - from + 1, g->dim_v);
    }
    return bad;
}

static void judge_query(vb_check *c, const attention *a, const float *expected, int i, vb_status s, uint32_t bad)
{
    const float *sums = a->queries[i].sums;
    if (s == VB_OK) {
        float *y = output(c, a->shape.dim_v);
        uint32_t overflow = c->k->scale(y, sums + VB_SUMS_O, 1.0f / sums[VB_SUMS_L], a->shape.dim_v);
        judge(c, expected, y, a->shape.dim_v, bad | overflow);
        return;
    }
    c->counts->made++;
    if (bad == 0) vb_check_fail(c, "query %d: expected an infinite score", i);
}

static void attend_once(vb_check *c, attention *a)
{
    size_t k = vb_oracle_kv_size(a->kv, a->shape.dim_k), v = vb_oracle_kv_size(a->kv, a->shape.dim_v);
    vb_fill fill = vb_check_random(c, 4) == 0 ? VB_FILL_WILD : VB_FILL_PLAIN;
    int dim = a->shape.dim_v;
    vb_status s[VB_GROUP];
    fill_cache(c, a, fill);
    place_queries(c, a, fill);
    float *expected = vb_check_buffer(c, EXPECTED, (size_t)(a->n * dim) * sizeof *expected);
    for (int i = 0; i < a->n; i++)
        s[i] = vb_oracle_attend(expected + i * dim, a->queries[i].q, &a->cache, &a->shape, NULL, a->queries[i].last);
    spoil(a->cache.keys, k, a->queries[0].first);
    spoil(a->cache.values, v, a->queries[0].first);
    vb_group g = group_of(c, a);
    uint64_t bad = a->apart ? attend_apart(c, a, &g) : c->k->attend[a->kv](&g);
    for (int i = 0; i < a->n; i++) judge_query(c, a, expected + i * dim, i, s[i], bad >> i & 1);
}

/* Lengths around the edges of chunks, windows, one query to many: most often one, as many are slow to prove. */
static void attend_shape(vb_check *c, vb_kv kv, const int dim[2])
{
    static const int positions[] = {1, 2, 3, 16, 17, 63, 64, 65, 66, 128, 129, 201, 301};
    static const int windows[] = {0, 1, 5, 64, 100};
    static const int queries[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 48, 64};
    for (size_t p = 0; p < sizeof positions / sizeof positions[0]; p++)
        for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++)
            for (int again = 0; again < 2; again++) {
                if (vb_check_leaves_out(c)) continue;
                attention a = {.kv = kv, .positions = positions[p], .apart = (int)vb_check_random(c, 2)};
                a.n = again == 0 ? 1 : queries[vb_check_random(c, sizeof queries / sizeof queries[0])];
                if ((a.n + 2) / 3 > a.positions) a.n = 3 * a.positions;
                float cap = vb_check_random(c, 3) == 0 ? 2.0f : 0.0f;
                a.shape = (vb_heads){1, 1, dim[0], dim[1], windows[w], 0.125f, cap, 0};
                attend_once(c, &a);
            }
}

void vb_check_attend(vb_check *c, int kv)
{
    static const int dims[][2] = {{16, 16}, {64, 64}, {128, 128}, {80, 96}, {256, 64}, {20, 33}, {1, 1}, {7, 130}};
    static const int full[][2] = {{32, 32}, {64, 64}, {128, 128}, {96, 160}};
    int n = kv == VB_KV_Q8_0 ? 4 : 8;
    for (int d = 0; d < n; d++) attend_shape(c, (vb_kv)kv, kv == VB_KV_Q8_0 ? full[d] : dims[d]);
}

/* --- heads of four --------------------------------------------------------------------------------------------- */

enum { FOURS = 8 }; /* heads */

/* One token's heads, each with rows of its own; rows that it does not see are no numbers. */
static void fours_once(vb_check *c, attention *a)
{
    size_t row = vb_oracle_kv_size(a->kv, 4), head = row * (size_t)a->positions, own = tiles_bytes(row, a->positions);
    vb_fill fill = vb_check_random(c, 4) == 0 ? VB_FILL_WILD : VB_FILL_PLAIN;
    int positions = a->positions, last = positions - 1, bad = 0;
    int first = a->shape.window > 0 && last >= a->shape.window ? last - a->shape.window + 1 : 0;
    a->positions = FOURS * positions;
    fill_cache(c, a, fill);
    a->positions = positions;
    float *q = vb_check_float_buffer(c, A, 4 * FOURS, fill), *y = output(c, 4 * FOURS);
    float *expected = vb_check_buffer(c, EXPECTED, 4 * FOURS * sizeof *expected);
    uint8_t *tiles = vb_check_buffer(c, TILES, FOURS * own), *places = vb_check_buffer(c, PART, FOURS * own);
    for (size_t h = 0; h < FOURS; h++) {
        uint8_t *keys = (uint8_t *)(uintptr_t)a->cache.keys + h * head;
        uint8_t *values = (uint8_t *)(uintptr_t)a->cache.values + h * head;
        vb_oracle_cache cache = {a->kv, keys, values};
        bad |= vb_oracle_attend(expected + 4 * h, q + 4 * h, &cache, &a->shape, NULL, last) != VB_OK;
        spoil(keys, row, first);
        spoil(values, row, first);
        lay_keys(tiles + h * own, keys, row, positions, a->kv);
        memcpy(places + h * own, values, head);
    }
    vb_fours g = {.q = q, .y = y, .keys = tiles, .values = places, .head_bytes = own, .heads = FOURS, .first = first,
                  .last = last, .scale = a->shape.scale};
    uint32_t found = c->k->attend_fours[a->kv](&g);
    if (!bad) judge(c, expected, y, 4 * FOURS, found);
    else if (found == 0) vb_check_fail(c, "expected an infinite score, found %d", 0);
    c->counts->made += bad;
}

void vb_check_attend_fours(vb_check *c, int kv)
{
    static const int windows[] = {0, 1, 5, 16, 64, 100};
    for (int positions = 1; positions <= 201; positions += positions < 20 ? 1 : 15)
        for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++) {
            if (vb_check_leaves_out(c)) continue;
            attention a = {.kv = (vb_kv)kv, .positions = positions};
            a.shape = (vb_heads){1, 1, 4, 4, windows[w], 1.0f, 0.0f, 0};
            fours_once(c, &a);
        }
}
