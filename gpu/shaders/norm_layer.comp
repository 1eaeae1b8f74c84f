#version 450
/* norm_layer.comp - layer norm (docs/ARITHMETIC.md J1): a work group a row.
 *
 * c[2]: width  c[3]: RN(1 / c[2])  c[4]: eps, at least 2^-100. w: weights, each below 2^24; w2: what is added.
 *
 * A row's sum is a multiple of 2^-83 and its mean is normal or 0, as is x - mean, at least 2^-114: squares of that may be
 * subnormal. A product with r or a weight that is subnormal is below 2^-102 when it meets w2, or should have been so: it is
 * nothing beside a number above 2^-77, and with one below that the sum is guarded away.
 */
#include "step.glsl"
#include "lanes.glsl"

uint row_start()
{
    return gl_WorkGroupID.y * stride(c[2]);
}

uint centred(uint i, uint mean)
{
    F32 y = asf(a_at(row_start() + i)) - asf(mean);
    return asu(y);
}

uint mean_of_row()
{
    clear_lanes();
    for (uint from = 0u; from < c[2]; from += TILE) {
        uint n = min(TILE, c[2] - from);
        for (uint i = gl_LocalInvocationID.x; i < filled(n); i += THREADS)
            terms[i] = i < n ? a_at(row_start() + from + i) : 0u;
        add_terms(n, false);
    }
    F32 mean = asf(sum_lanes(false)) * asf(c[3]);
    return asu(mean);
}

uint mean_of_squares(uint mean)
{
    clear_lanes();
    for (uint from = 0u; from < c[2]; from += TILE) {
        uint n = min(TILE, c[2] - from);
        for (uint i = gl_LocalInvocationID.x; i < filled(n); i += THREADS)
            terms[i] = i < n ? small_square(centred(from + i, mean)) : 0u;
        add_terms(n, true);
    }
    F32 variance = asf(sum_lanes(true)) * asf(c[3]);
    return asu(variance);
}

void main()
{
    uint row = gl_WorkGroupID.y;
    if (row >= row_count()) return;
    uint mean = mean_of_row();
    F32 r = asf(inverse_root(mean_of_squares(mean), c[4]));
    for (uint i = gl_LocalInvocationID.x; i < c[2]; i += THREADS) {
        F32 y = asf(centred(i, mean)) * r;
        F32 z = y * asf(w_at(i));
        z = z + asf(w2_at(i));
        store(row_start() + i, z, row);
    }
}
