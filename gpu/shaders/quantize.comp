#version 450
/* quantize.comp - floats as integers of 8 bits with a scale a block (docs/ARITHMETIC.md B).
 *
 *   out   a row: cols/4 words of four integers, cols/32 of two sums over 16 (16 bits each), cols/block scales
 *   c[2]  columns, multiples of 32    c[3]  block: 32 or 256    c[4]  words of a row of `a`
 *   c[5]  rows of `out` each token    c[6]  words of a row of `out`
 *
 * A work group makes 256 integers, four a lane.
 */
#include "step.glsl"
layout(local_size_x = 64) in;
shared uint most[64];
shared int sums[64];

/* Largest magnitude of the lane's block; bits of positive floats are in the order of their values. */
uint amax(uint lane)
{
    uint lanes = c[3] / 4u, from = lane / lanes * lanes, top = 0u;
    for (uint l = 0u; l < lanes; l++) top = max(top, most[from + l]);
    return top;
}

void main()
{
    uint lane = gl_LocalInvocationID.x, word = gl_WorkGroupID.x * 64u + lane, row = gl_WorkGroupID.y;
    uint words = c[2] / 4u, from = row / c[5] * c[4] + row % c[5] * c[2] + word * 4u, to = at[2] + row * c[6];
    if (row / c[5] >= row_count()) return;
    uint x[4];
    for (uint k = 0u; k < 4u; k++) x[k] = word < words ? a_at(from + k) : 0u;
    most[lane] = max(max(x[0] & 0x7fffffffu, x[1] & 0x7fffffffu), max(x[2] & 0x7fffffffu, x[3] & 0x7fffffffu));
    barrier();
    uint top = amax(lane);
    bool is_zero = top < 0x21800000u;
    F32 largest = asf(is_zero ? 0x3f800000u : top);
    F32 d = largest * asf(0x3c010204u);
    F32 inverse = c_div_exact(asf(0x42fe0000u), largest);
    uint q = 0u;
    int sum = 0;
    for (uint k = 0u; k < 4u; k++) {
        F32 scaled = asf(x[k]) * inverse;
        int i = is_zero ? 0 : c_rint(scaled);
        q |= (uint(i) & 0xffu) << (8u * k);
        sum += i;
    }
    sums[lane] = sum;
    barrier();
    if (word >= words) return;
    out_words[to + word] = q;
    if (lane % 8u == 0u) {
        int low = sums[lane] + sums[lane + 1u] + sums[lane + 2u] + sums[lane + 3u];
        int high = sums[lane + 4u] + sums[lane + 5u] + sums[lane + 6u] + sums[lane + 7u];
        out_words[to + words + word / 8u] = uint(low) & 0xffffu | uint(high) << 16;
    }
    if (word % (c[3] / 4u) == 0u) out_words[to + words + words / 8u + word * 4u / c[3]] = is_zero ? 0u : asu(d);
}
