/* lanes.glsl - E1 by a work group: what many threads made, added by 16 of them in the one order there is.
 *
 *   terms    a tile of the row's terms, one a word, made by all threads; zeros up to a multiple of STRIDE, which change
 *            nothing (A4)
 *   lanes    lane k adds terms k, k + 16, k + 32, ... of all tiles; then the halving tree
 *
 * A lane's sums wait for each other, so its terms are fetched before: STRIDE / 16 at a time. All threads of a work group
 * call these functions together.
 */
#include "small.glsl"
#ifndef TILE
#define TILE 2048u
#endif
const uint THREADS = 128u, STRIDE = 128u;
layout(local_size_x = 128) in;
shared uint terms[TILE];
shared uint lanes[16];

void clear_lanes()
{
    barrier();
    if (gl_LocalInvocationID.x < 16u) lanes[gl_LocalInvocationID.x] = 0u;
}

uint filled(uint n)
{
    return (n + STRIDE - 1u) & ~(STRIDE - 1u);
}

/* E1 goes on with the first n of terms; small: its numbers may be subnormal. */
void add_terms(uint n, bool small)
{
    uint lane = gl_LocalInvocationID.x, next[STRIDE / 16u];
    barrier();
    if (lane < 16u) {
        uint sum = lanes[lane];
        for (uint from = lane; from < n; from += STRIDE) {
            for (uint i = 0u; i < STRIDE / 16u; i++) next[i] = terms[from + 16u * i];
            for (uint i = 0u; i < STRIDE / 16u; i++) {
                F32 y = asf(sum) + asf(next[i]);
                sum = small ? small_sum(sum, next[i]) : asu(y);
            }
        }
        lanes[lane] = sum;
    }
    barrier();
}

/* The tree that ends E1. */
uint sum_lanes(bool small)
{
    uint lane = gl_LocalInvocationID.x;
    for (uint width = 8u; width > 0u; width >>= 1) {
        barrier();
        if (lane < width) {
            F32 y = asf(lanes[lane]) + asf(lanes[lane + width]);
            lanes[lane] = small ? small_sum(lanes[lane], lanes[lane + width]) : asu(y);
        }
    }
    barrier();
    return lanes[0];
}

/* RN(1 / RN(sqrt(mean + eps))), made by one thread for all. */
uint inverse_root(uint mean, uint eps)
{
    barrier();
    if (gl_LocalInvocationID.x == 0u) {
        F32 sum = asf(mean) + asf(eps);
        F32 root = c_sqrt_exact(sum);
        F32 inverse = c_div_exact(asf(0x3f800000u), root);
        lanes[0] = asu(inverse);
    }
    barrier();
    return lanes[0];
}
