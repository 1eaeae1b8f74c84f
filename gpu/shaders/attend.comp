#version 450
/* attend.comp - attention of a query over the positions it sees (docs/ARITHMETIC.md G). A work group is one head (x) of
 * one row (y), and goes through the chunks in increasing order; or, with PARTS, c[12] of them (z) share the chunks of a
 * head and leave their sums to attend_join.comp.
 *
 *   a   queries     out   weighted values, or parts     w2   sinks
 *
 *   scores   8 work items a position, two of E1's accumulators each; then one work item a position
 *   sums     work item t: elements 2t, 2t+1, ...
 *
 * What lies in a page behind the positions that are seen is read as well, so that many reads are under way at once, and
 * no result is made of it.
 */
#include "step.glsl"
#include "kv.glsl"
#include "attend.glsl"
layout(constant_id = 2) const uint PARTS = 0u;

shared uint query[DIM_K];
shared uint lanes[64 * 17]; /* of each position; 17: so that neighbours are in different banks */
shared uint weights[64];
shared uint sums[16];
shared uint most;

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

/* Products of the query with all keys of a page, E1's accumulators apart. */
void multiply(uint keys)
{
    uint t = gl_LocalInvocationIndex & 7u, j = gl_LocalInvocationIndex >> 3;
    uint a[8], b[8];
    for (uint k = 0u; k < 8u; k++) a[k] = b[k] = 0u;
    for (uint i = t; i < DIM_K / 2u; i += 8u) {
        RAW raw[8];
        for (uint k = 0u; k < 8u; k++) raw[k] = k_raw(keys + (j + 8u * k) * c[4], i);
        for (uint k = 0u; k < 8u; k++) {
            F32 x = asf(query[2u * i]) * lower(raw[k]);
            F32 y = asf(query[2u * i + 1u]) * upper(raw[k]);
            x = asf(a[k]) + x;
            y = asf(b[k]) + y;
            a[k] = asu(x);
            b[k] = asu(y);
        }
    }
    for (uint k = 0u; k < 8u; k++) {
        lanes[(j + 8u * k) * 17u + 2u * t] = a[k];
        lanes[(j + 8u * k) * 17u + 2u * t + 1u] = b[k];
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

/* The lanes of l: positions modulo 16. Those that are not seen have no weight (A4). */
void add_weights()
{
    uint t = gl_LocalInvocationIndex;
    if (t >= 16u) return;
    F32 s = asf(weights[t]) + asf(weights[t + 16u]);
    s = s + asf(weights[t + 32u]);
    s = s + asf(weights[t + 48u]);
    sums[t] = asu(s);
}

/* E3 over lo..hi: a sum of +0 for the others changes nothing (A4), whatever their values are. */
void add_values(uint values, uint lo, uint hi)
{
    for (uint e = 0u; e < EACH; e++) {
        uint i = gl_LocalInvocationIndex + 64u * e;
        F32 x = asf(0u);
        F32 y = asf(0u);
        for (uint from = 0u; from < 64u && i < PAIRS; from += 16u) {
            RAW raw[16];
            for (uint k = 0u; k < 16u; k++) raw[k] = v_raw(values + (from + k) * c[5], i);
            for (uint k = 0u; k < 16u; k++) {
                bool seen = from + k >= lo && from + k <= hi;
                F32 p = asf(weights[from + k]);
                F32 v = p * lower(raw[k]);
                F32 w = p * upper(raw[k]);
                x = x + asf(seen ? asu(v) : 0u);
                y = y + asf(seen ? asu(w) : 0u);
            }
        }
        o_chunk[2u * e] = asu(x);
        o_chunk[2u * e + 1u] = asu(y);
    }
}

/* G1: the positions lo..hi of chunk n. */
partial chunk(uint row, uint n, uint lo, uint hi)
{
    uint j = gl_LocalInvocationIndex, page = page_of(token_of(row), n) * c[3] + gl_WorkGroupID.x / (c[2] / c[3]);
    bool seen = j >= lo && j <= hi;
    if (j == 0u) most = 0u;
    multiply(page * 64u * c[4]);
    barrier();
    F32 s = score(row, seen);
    if (seen) atomicMax(most, key_of(asu(s)));
    barrier();
    partial part;
    part.m = asf(bits_of(most));
    F32 d = s - part.m;
    weights[j] = seen ? asu(c_exp(d)) : 0u;
    barrier();
    add_weights();
    add_values(page * 64u * c[5], lo, hi);
    barrier();
    TREE(SUM)
    part.l = s0;
    return part;
}

void put_part(uint row, uint chunk, partial part)
{
    uint to = at[2] + part_at(row, chunk);
    if (gl_LocalInvocationIndex == 0u) {
        out_words[to] = asu(part.m);
        out_words[to + 1u] = asu(part.l);
    }
    for (uint e = 0u; e < EACH; e++) {
        uint i = gl_LocalInvocationIndex + 64u * e;
        if (i >= PAIRS) break;
        out_words[to + 2u + 2u * i] = o_chunk[2u * e];
        out_words[to + 3u + 2u * i] = o_chunk[2u * e + 1u];
    }
}

void main()
{
    uint row = gl_WorkGroupID.y;
    if (row >= row_count()) return;
    uint last = row_last(token_of(row)), first = first_seen(token_of(row)), start = first >> 6;
    for (uint i = gl_LocalInvocationIndex; i < DIM_K; i += 64u)
        query[i] = a_at(row * stride(c[2] * DIM_K) + gl_WorkGroupID.x * DIM_K + i);
    barrier();
    partial all;
    for (uint n = start + gl_WorkGroupID.z; n <= last >> 6; n += PARTS > 0u ? c[12] : 1u) {
        uint lo = n == start ? first & 63u : 0u, hi = n == last >> 6 ? last & 63u : 63u;
        partial next = chunk(row, n, lo, hi);
        if (PARTS > 0u) put_part(row, n - start, next);
        else if (n == start) all = take_first(next);
        else all = combine(all, next);
    }
    if (PARTS == 0u) put_out(row, all);
}
