#version 450
/* route.comp - a token's experts (docs/ARITHMETIC.md J4.1 to J4.4): a work group a row.
 *
 *   terms     at first keys: logits as integers of the same order
 *   chosen    1: the expert is one of them; then the weights, by place
 *   numbers   of the chosen ones, increasing
 *
 * c[2]: experts, at most MOST  c[3]: used. w: a factor for each expert, if FACTORS. HOW: a vb_routing.
 *
 * Whatever the logits are, c[3] different experts are chosen. Exponentials and shares are normal or 0, and at most 1: with
 * a subnormal factor they are guarded away.
 */
#include "step.glsl"
#define TILE 1024u
#include "lanes.glsl"
layout(constant_id = 0) const uint HOW = 0u;
layout(constant_id = 1) const uint FACTORS = 0u;
const uint MOST = TILE;
shared uint chosen[MOST];
shared uint numbers[MOST];

uint logit(uint e)
{
    return a_at(gl_WorkGroupID.y * stride(c[2]) + e);
}

uint key(uint x)
{
    return (x & 0x80000000u) != 0u ? ~x : x | 0x80000000u;
}

void choose()
{
    for (uint e = gl_LocalInvocationID.x; e < c[2]; e += THREADS) terms[e] = key(logit(e));
    barrier();
    for (uint e = gl_LocalInvocationID.x; e < c[2]; e += THREADS) {
        uint before = 0u;
        for (uint i = 0u; i < c[2]; i++) before += terms[i] > terms[e] || (terms[i] == terms[e] && i < e) ? 1u : 0u;
        chosen[e] = before < c[3] ? 1u : 0u;
        if (before == 0u) lanes[0] = logit(e);
    }
    barrier();
    for (uint e = gl_LocalInvocationID.x; e < c[2]; e += THREADS) {
        uint place = 0u;
        for (uint i = 0u; i < e; i++) place += chosen[i];
        if (chosen[e] != 0u) numbers[place] = e;
    }
    barrier();
}

uint exponential(uint e, uint most)
{
    F32 x = asf(logit(e)) - asf(most);
    F32 y = c_exp(x);
    return asu(y);
}

/* E1 over the first n terms. */
uint sum_of_terms(uint n)
{
    clear_lanes();
    add_terms(n, false);
    return sum_lanes(false);
}

/* RN(1 / x), made by one thread for all. */
uint inverse(uint x)
{
    barrier();
    if (gl_LocalInvocationID.x == 0u) {
        F32 y = c_div_exact(asf(0x3f800000u), asf(x));
        lanes[0] = asu(y);
    }
    barrier();
    return lanes[0];
}

/* Of the softmax over all experts, or over the chosen ones. */
void weigh(uint most)
{
    uint n = HOW == 2u ? c[3] : c[2];
    for (uint i = gl_LocalInvocationID.x; i < filled(n); i += THREADS)
        terms[i] = i < n ? exponential(HOW == 2u ? numbers[i] : i, most) : 0u;
    F32 by = asf(inverse(sum_of_terms(n)));
    for (uint i = gl_LocalInvocationID.x; i < c[3]; i += THREADS) {
        F32 w = asf(exponential(numbers[i], most)) * by;
        chosen[i] = asu(w);
    }
    barrier();
}

void normalise()
{
    for (uint i = gl_LocalInvocationID.x; i < filled(c[3]); i += THREADS) terms[i] = i < c[3] ? chosen[i] : 0u;
    F32 by = asf(inverse(max(sum_of_terms(c[3]), 0x38800000u))); /* 2^-14 */
    for (uint i = gl_LocalInvocationID.x; i < c[3]; i += THREADS) {
        F32 w = asf(chosen[i]) * by;
        chosen[i] = asu(w);
    }
    barrier();
}

void main()
{
    uint row = gl_WorkGroupID.y, to = row * stride(2u * c[3]);
    if (row >= row_count()) return;
    choose();
    uint most = lanes[0];
    weigh(most);
    if (HOW == 1u) normalise();
    for (uint i = gl_LocalInvocationID.x; i < c[3]; i += THREADS) {
        F32 number = I2F(U2I(numbers[i]));
        F32 w = asf(chosen[i]) * asf(FACTORS != 0u ? w_at(numbers[i]) : 0x3f800000u);
        store(to + i, number, row);
        store(to + c[3] + i, w, row);
    }
}
