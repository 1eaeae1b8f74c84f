#version 450
/* attend_join.comp - the sums of a head's chunks, which attend.comp left in parts (a), in increasing order (G2); then
 * the output, as attend.comp makes it where it does all. A work group is one head (x) of one row (y).
 */
#include "step.glsl"
#include "attend.glsl"

partial part_of(uint row, uint chunk)
{
    uint at = part_at(row, chunk);
    for (uint e = 0u; e < EACH; e++) {
        uint i = gl_LocalInvocationIndex + 64u * e;
        if (i >= PAIRS) break;
        o_chunk[2u * e] = a_at(at + 2u + 2u * i);
        o_chunk[2u * e + 1u] = a_at(at + 3u + 2u * i);
    }
    return partial(asf(a_at(at)), asf(a_at(at + 1u)));
}

void main()
{
    uint row = gl_WorkGroupID.y;
    if (row >= row_count()) return;
    uint token = token_of(row), chunks = (row_last(token) >> 6) - (first_seen(token) >> 6) + 1u;
    partial all = take_first(part_of(row, 0u));
    for (uint n = 1u; n < chunks; n++) all = combine(all, part_of(row, n));
    put_out(row, all);
}
