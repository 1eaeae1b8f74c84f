#version 450
/* attend_join.comp - the sums of a head's chunks, which attend.comp left in parts (a), in increasing order (G2); then
 * the output, as attend.comp makes it where it does all. A work group is one head (x) of one row (y).
 */
#include "step.glsl"
#include "attend.glsl"

const uint AHEAD = 8u;
uint found[AHEAD * (MOST + 2u)]; /* of some chunks: m, l, o */

/* Chunks from.. up to last; there may be fewer, but all reads are under way at once. */
void fetch(uint row, uint from, uint last)
{
    for (uint k = 0u; k < AHEAD; k++) {
        uint at = part_at(row, min(from + k, last)), to = k * (MOST + 2u);
        found[to] = a_at(at);
        found[to + 1u] = a_at(at + 1u);
        for (uint e = 0u; e < EACH; e++) {
            uint i = min(gl_LocalInvocationIndex + 64u * e, PAIRS - 1u);
            found[to + 2u + 2u * e] = a_at(at + 2u + 2u * i);
            found[to + 3u + 2u * e] = a_at(at + 3u + 2u * i);
        }
    }
}

partial take(uint k)
{
    uint from = k * (MOST + 2u);
    for (uint e = 0u; e < 2u * EACH; e++) o_chunk[e] = found[from + 2u + e];
    return partial(asf(found[from]), asf(found[from + 1u]));
}

void main()
{
    uint row = gl_WorkGroupID.y;
    if (row >= row_count()) return;
    uint token = token_of(row), last = (row_last(token) >> 6) - (first_seen(token) >> 6);
    partial all;
    for (uint from = 0u; from <= last; from += AHEAD) {
        fetch(row, from, last);
        for (uint k = 0u; k < AHEAD; k++) {
            if (from + k > last) break;
            partial next = take(k);
            if (from + k == 0u) all = take_first(next);
            else all = combine(all, next);
        }
    }
    put_out(row, all);
}
