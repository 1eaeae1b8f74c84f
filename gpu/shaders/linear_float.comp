#version 450
/* linear_float.comp - rows of weights, dequantised exactly (docs/ARITHMETIC.md C6), against floats in E1's order.
 *
 * A work group has 16 rows x 4 lanes; lane l has the accumulators 4l to 4l + 3 of a row and so takes elements i to
 * i + 3 where i mod 16 = 4l. In shared memory an input's accumulators stand as the rows and lanes do.
 */
#include "step.glsl"
#include "block.glsl"
#include "linear.glsl"

const uint LANES = 4u;
shared uint accumulators[256u * TOKENS];

/* Products of the elements from i on, as far as there are some, and an input's. */
void add_four(F32 w[4], uint input_word, uint i, inout F32 acc[4])
{
    for (uint k = 0u; k < 4u; k++) {
        F32 product = asf(a_at(input_word + min(i + k, c[2] - 1u))) * w[k];
        acc[k] = acc[k] + asf(i + k < c[2] ? asu(product) : 0u);
    }
}

void add_products(uint from, uint lane, uint first)
{
    F32 acc[TOKENS][4];
    uint input_of[TOKENS];
    for (uint t = 0u; t < TOKENS; t++) {
        for (uint k = 0u; k < 4u; k++) acc[t][k] = asf(0u);
        input_of[t] = input_at(min(first + t, inputs() - 1u));
    }
    for (uint turn = lane * 4u; turn < c[2]; turn += 16u * AHEAD) {
        F32 w[AHEAD][4];
        [[unroll]] for (uint n = 0u; n < AHEAD; n++) four(from, min(turn + 16u * n, c[2] - 1u & ~3u), w[n]);
        [[unroll]] for (uint n = 0u; n < AHEAD; n++)
            for (uint t = 0u; t < TOKENS; t++) add_four(w[n], input_of[t], turn + 16u * n, acc[t]);
    }
    for (uint t = 0u; t < TOKENS; t++)
        for (uint k = 0u; k < 4u; k++) accumulators[(t * 64u + gl_LocalInvocationID.x) * 4u + k] = asu(acc[t][k]);
}

/* E1's halving tree for one row and input. */
F32 tree(uint row, uint t)
{
    F32 s[16];
    for (uint l = 0u; l < 16u; l++) s[l] = asf(accumulators[(t * 64u + row * LANES) * 4u + l]);
    for (uint half_of = 8u; half_of > 0u; half_of /= 2u)
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
    for (uint t = lane; is_here && t < TOKENS && first + t < inputs(); t += LANES) {
        F32 sum = tree(row, t);
        finish(sum, first + t, out_row, bias);
    }
}
