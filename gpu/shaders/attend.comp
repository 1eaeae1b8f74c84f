#version 450
/* attend.comp - attention of a query over the positions it sees (docs/ARITHMETIC.md G). A work group is one head (x) of
 * one row (y); it goes through the chunks in increasing order.
 *
 *   scores   8 work items a position, two of E1's accumulators each; then one work item a position
 *   sums     work item t: elements 2t, 2t+1, then those 128 behind them, and so on
 *
 *   a   queries     out   weighted values     w2   sinks
 *
 * c[2] heads, c[3] of keys and values, c[4] c[5] words of a key's and a value's row, c[6] window or 0, c[7] scale,
 * c[8] softcap or 0, c[9] its reciprocal, c[10] 1: with sinks.
 */
#include "step.glsl"
#include "kv.glsl"
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint DIM_K = 64u;
layout(constant_id = 1) const uint DIM_V = 64u;
const uint PAIRS = DIM_V / 2u;
const uint EACH = (PAIRS + 63u) / 64u; /* pairs of a work item */

shared uint query[DIM_K];
shared uint lanes[64 * 17]; /* of each position; 17: so that neighbours are in different banks */
shared uint weights[64];
shared uint sums[16];
shared uint most;

/* Sums over positions; o is not yet divided by l. */
struct partial {
    F32 m, l;
};
const uint MOST = 8u; /* heads have at most 512 elements */
float o[MOST], o_chunk[MOST];

/* Orders finite numbers as integers (A6). */
uint key_of(uint bits) { return (bits >> 31) != 0u ? ~bits : bits | 0x80000000u; }
uint bits_of(uint key) { return (key >> 31) != 0u ? key & 0x7fffffffu : ~key; }

/* E1's tree over 16 words. */
#define TREE(from)                                                                                                     \
    F32 s0 = asf(from(0u)) + asf(from(8u)), s1 = asf(from(1u)) + asf(from(9u)), s2 = asf(from(2u)) + asf(from(10u));   \
    F32 s3 = asf(from(3u)) + asf(from(11u)), s4 = asf(from(4u)) + asf(from(12u)), s5 = asf(from(5u)) + asf(from(13u)); \
    F32 s6 = asf(from(6u)) + asf(from(14u)), s7 = asf(from(7u)) + asf(from(15u));                                      \
    s0 = s0 + s4;                                                                                                      \
    s1 = s1 + s5;                                                                                                      \
    s2 = s2 + s6;                                                                                                      \
    s3 = s3 + s7;                                                                                                      \
    s0 = s0 + s2;                                                                                                      \
    s1 = s1 + s3;                                                                                                      \
    s0 = s0 + s1;
#define LANE(i) lanes[gl_LocalInvocationIndex * 17u + (i)]
#define SUM(i) sums[i]

/* Products of the query with the keys lo..hi of a page, E1's accumulators apart. */
void multiply(uint keys, uint lo, uint hi)
{
    uint t = gl_LocalInvocationIndex & 7u;
    for (uint j = gl_LocalInvocationIndex >> 3; j < 64u; j += 8u) {
        F32 a = asf(0u);
        F32 b = asf(0u);
        uint row = keys + j * c[4];
        for (uint i = t; i < DIM_K / 2u && j >= lo && j <= hi; i += 8u) {
            PAIR(k_word, row, i, x, y)
            x = asf(query[2u * i]) * x;
            y = asf(query[2u * i + 1u]) * y;
            a = a + x;
            b = b + y;
        }
        lanes[j * 17u + 2u * t] = asu(a);
        lanes[j * 17u + 2u * t + 1u] = asu(b);
    }
}

/* The score of this work item's position. */
F32 score(uint row, bool seen)
{
    TREE(LANE)
    F32 s = s0 * asf(c[7]);
    if (seen) note(row, asu(s));
    if (c[8] == 0u) return s;
    F32 y = c_softcap(s, asf(c[8]), asf(c[9]));
    return y;
}

/* E3 over lo..hi; the lanes of l (positions modulo 16). */
void add_values(uint values, uint lo, uint hi)
{
    uint t = gl_LocalInvocationIndex;
    if (t < 16u) {
        F32 s = asf(weights[t]) + asf(weights[t + 16u]);
        s = s + asf(weights[t + 32u]);
        s = s + asf(weights[t + 48u]);
        sums[t] = asu(s);
    }
    for (uint e = 0u; e < 2u * EACH; e++) o_chunk[e] = asf(0u);
    for (uint j = lo; j <= hi; j++) {
        F32 p = asf(weights[j]);
        uint row = values + j * c[5];
        for (uint e = 0u; e < EACH; e++) {
            uint i = t + 64u * e;
            if (i >= PAIRS) break;
            PAIR(v_word, row, i, x, y)
            x = p * x;
            y = p * y;
            o_chunk[2u * e] = o_chunk[2u * e] + x;
            o_chunk[2u * e + 1u] = o_chunk[2u * e + 1u] + y;
        }
    }
}

/* G1: the positions lo..hi of chunk n. */
partial chunk(uint row, uint token, uint n, uint lo, uint hi)
{
    uint j = gl_LocalInvocationIndex, page = page_of(token, n) * c[3] + gl_WorkGroupID.x / (c[2] / c[3]);
    bool seen = j >= lo && j <= hi;
    if (j == 0u) most = 0u;
    multiply(page * 64u * c[4], lo, hi);
    barrier();
    F32 s = score(row, seen);
    if (seen) atomicMax(most, key_of(asu(s)));
    barrier();
    partial part;
    part.m = asf(bits_of(most));
    F32 d = s - part.m;
    weights[j] = seen ? asu(c_exp(d)) : 0u;
    barrier();
    add_values(page * 64u * c[5], lo, hi);
    barrier();
    TREE(SUM)
    part.l = s0;
    return part;
}

/* G2 */
partial combine(partial all, partial next)
{
    F32 d = next.m - all.m;
    bool keep = (key_of(asu(next.m)) <= key_of(asu(all.m)));
    if (!keep) d = all.m - next.m;
    F32 f = c_exp(d);
    F32 g = keep ? next.l : all.l;
    g = g * f;
    all.l = g + (keep ? all.l : next.l);
    for (uint e = 0u; e < 2u * EACH; e++) {
        F32 x = keep ? o_chunk[e] : o[e];
        x = x * f;
        o[e] = x + (keep ? o[e] : o_chunk[e]);
    }
    if (!keep) all.m = next.m;
    return all;
}

/* F5 */
void put_out(uint row, F32 l)
{
    F32 inverse = c_div_exact(asf(0x3f800000u), l);
    uint to = row * stride(c[2] * DIM_V) + gl_WorkGroupID.x * DIM_V;
    for (uint e = 0u; e < EACH; e++) {
        uint i = gl_LocalInvocationIndex + 64u * e;
        if (i >= PAIRS) break;
        F32 x = o[2u * e] * inverse;
        F32 y = o[2u * e + 1u] * inverse;
        store(to + 2u * i, x, row);
        store(to + 2u * i + 1u, y, row);
    }
}

void main()
{
    uint row = gl_WorkGroupID.y, head = gl_WorkGroupID.x;
    if (row >= row_count()) return;
    uint token = c[1] == 0u ? row : wanted_row(row), last = row_last(token), position = row_position(token);
    uint first = c[6] > 0u && position >= c[6] ? position - c[6] + 1u : 0u;
    for (uint i = gl_LocalInvocationIndex; i < DIM_K; i += 64u)
        query[i] = a_at(row * stride(c[2] * DIM_K) + head * DIM_K + i);
    barrier();
    partial all;
    for (uint n = first >> 6; n <= last >> 6; n++) {
        uint lo = n == first >> 6 ? first & 63u : 0u, hi = n == last >> 6 ? last & 63u : 63u;
        partial next = chunk(row, token, n, lo, hi);
        if (n == first >> 6) {
            all = next;
            for (uint e = 0u; e < 2u * EACH; e++) o[e] = o_chunk[e];
        } else all = combine(all, next);
    }
    if (c[10] != 0u) { /* G4 */
        uint sink = w2_at(head);
        note(row, sink);
        for (uint e = 0u; e < 2u * EACH; e++) o_chunk[e] = asf(0u);
        partial one = partial(asf(sink), asf(0x3f800000u));
        all = combine(all, one);
    }
    put_out(row, all.l);
}
