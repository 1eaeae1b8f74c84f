/* attend.glsl - sums of attention over chunks and how they become one (docs/ARITHMETIC.md G): work item t of 64 has the
 * elements 2t, 2t+1 of an output, those 128 behind them, and so on.
 *
 * c[2] heads, c[3] of keys and values, c[4] c[5] words of a key's and a value's row, c[6] window or 0, c[7] scale,
 * c[8] softcap or 0, c[9] its reciprocal, c[10] 1: with sinks (w2), c[11] chunks of a head in `parts`.
 *
 *   parts   row | head | chunk, the first one that is seen is 0: m, l, o
 */
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint DIM_K = 64u;
layout(constant_id = 1) const uint DIM_V = 64u;
const uint PAIRS = DIM_V / 2u;
const uint EACH = (PAIRS + 63u) / 64u; /* pairs of a work item */
const uint MOST = 8u;                  /* elements: heads have at most 512 */

/* Sums over positions; o is not yet divided by l. */
struct partial {
    F32 m, l;
};
uint o[MOST], o_chunk[MOST]; /* bits of floats: the compiler forgets of arrays that they are precise */

/* Orders finite numbers as integers (A6). */
uint key_of(uint bits) { return (bits >> 31) != 0u ? ~bits : bits | 0x80000000u; }
uint bits_of(uint key) { return (key >> 31) != 0u ? key & 0x7fffffffu : ~key; }

uint token_of(uint row) { return c[1] == 0u ? row : wanted_row(row); }
uint first_seen(uint token)
{
    uint position = row_position(token);
    return c[6] > 0u && position >= c[6] ? position - c[6] + 1u : 0u;
}
uint part_at(uint row, uint chunk)
{
    return ((row * c[2] + gl_WorkGroupID.x) * c[11] + chunk) * (DIM_V + 2u);
}

/* G2 */
partial combine(partial all, partial next)
{
    bool keep = key_of(asu(next.m)) <= key_of(asu(all.m));
    F32 d = keep ? next.m - all.m : all.m - next.m;
    F32 f = c_exp(d);
    F32 g = keep ? next.l : all.l;
    g = g * f;
    all.l = g + (keep ? all.l : next.l);
    for (uint e = 0u; e < 2u * EACH; e++) {
        F32 x = asf(keep ? o_chunk[e] : o[e]);
        x = x * f;
        x = x + asf(keep ? o[e] : o_chunk[e]);
        o[e] = asu(x);
    }
    if (!keep) all.m = next.m;
    return all;
}

partial take_first(partial next)
{
    for (uint e = 0u; e < 2u * EACH; e++) o[e] = o_chunk[e];
    return next;
}

/* G4 */
partial join_sink(partial all, uint row)
{
    uint sink = w2_at(gl_WorkGroupID.x);
    note(row, sink);
    for (uint e = 0u; e < 2u * EACH; e++) o_chunk[e] = 0u;
    partial one = partial(asf(sink), asf(0x3f800000u));
    return combine(all, one);
}

/* F5 */
void put_out(uint row, partial all)
{
    if (c[10] != 0u) all = join_sink(all, row);
    F32 inverse = c_div_exact(asf(0x3f800000u), all.l);
    uint to = row * stride(c[2] * DIM_V) + gl_WorkGroupID.x * DIM_V;
    for (uint e = 0u; e < EACH; e++) {
        uint i = gl_LocalInvocationIndex + 64u * e;
        if (i >= PAIRS) break;
        F32 x = asf(o[2u * e]) * inverse;
        F32 y = asf(o[2u * e + 1u]) * inverse;
        store(to + 2u * i, x, row);
        store(to + 2u * i + 1u, y, row);
    }
}
