#version 450
/* linear_float.comp - rows of weights, dequantised exactly (docs/ARITHMETIC.md C6), against floats in E1's order.
 *
 * A work group has 4 rows x 16 lanes; lane l takes elements i where i mod 16 = l.
 */
#include "step.glsl"
#include "block.glsl"
#include "linear.glsl"

const uint LANES = 16u;
shared uint accumulators[64u * TOKENS];

void add_products(uint from, uint lane, uint first)
{
    F32 acc[TOKENS];
    uint input_of[TOKENS];
    for (uint t = 0u; t < TOKENS; t++) {
        acc[t] = asf(0u);
        input_of[t] = input_at(min(first + t, inputs() - 1u));
    }
    for (uint i = lane; i < c[2]; i += LANES) {
        F32 w = element(from + i / uint(BLOCK) * BYTES, i % uint(BLOCK));
        for (uint t = 0u; t < TOKENS; t++) {
            F32 product = asf(a_at(input_of[t] + i)) * w;
            acc[t] = acc[t] + product;
        }
    }
    for (uint t = 0u; t < TOKENS; t++) accumulators[gl_LocalInvocationID.x * TOKENS + t] = asu(acc[t]);
}

/* E1's halving tree for one row and input. */
F32 tree(uint row, uint t)
{
    F32 s[LANES];
    for (uint l = 0u; l < LANES; l++) s[l] = asf(accumulators[(row * LANES + l) * TOKENS + t]);
    for (uint half_of = LANES / 2u; half_of > 0u; half_of /= 2u)
        for (uint l = 0u; l < half_of; l++) s[l] = s[l] + s[l + half_of];
    F32 y = s[0];
    return y;
}

void main()
{
    uint row = gl_LocalInvocationID.x / LANES, lane = gl_LocalInvocationID.x % LANES;
    uint i = gl_WorkGroupID.x * (64u / LANES) + row, first = gl_WorkGroupID.y * TOKENS;
    if (first >= inputs() || is_elsewhere(first)) return;
    uint out_row, at_row, bias;
    bool is_here = place(i, first, out_row, at_row, bias);
    add_products(at_row * c[3], lane, first);
    barrier();
    if (!is_here || lane >= TOKENS || first + lane >= inputs()) return;
    F32 sum = tree(row, lane);
    finish(sum, first + lane, out_row, bias);
}
