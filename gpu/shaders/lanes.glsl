/* lanes.glsl - E1 by a work group: what many threads made, added by 16 of them in the one order there is.
 *
 *   terms    a tile of the row's terms, one a word, made by all threads
 *   lanes    lane k adds terms k, k + 16, k + 32, ... of all tiles; then the halving tree
 *
 * All threads of a work group call these functions together.
 */
#include "small.glsl"
const uint THREADS = 128u, TILE = 1024u;
layout(local_size_x = 128) in;
shared uint terms[TILE];
shared uint lanes[16];

void clear_lanes()
{
    barrier();
    if (gl_LocalInvocationID.x < 16u) lanes[gl_LocalInvocationID.x] = 0u;
}

/* E1 goes on with the first n of terms; small: its numbers may be subnormal. */
void add_terms(uint n, bool small)
{
    uint lane = gl_LocalInvocationID.x;
    barrier();
    if (lane < 16u) {
        uint sum = lanes[lane];
        for (uint i = lane; i < n; i += 16u) {
            F32 y = asf(sum) + asf(terms[i]);
            sum = small ? small_sum(sum, terms[i]) : asu(y);
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
