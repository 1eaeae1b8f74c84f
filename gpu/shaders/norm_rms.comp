#version 450
/* norm_rms.comp - root mean square norm (docs/ARITHMETIC.md E4): a work group for each group of a row.
 *
 * c[2]: width  c[3]: elements of a group  c[4]: RN(1 / c[3])  c[5]: eps, at least 2^-100. w: of a group, if WEIGHTED.
 *
 * Squares of guarded numbers are normal; a mean that is not is nothing beside eps; x * r is at most the square root of a
 * group's size, so that its product with a subnormal weight is guarded away, whatever it is.
 */
#include "step.glsl"
#include "lanes.glsl"
layout(constant_id = 0) const uint WEIGHTED = 0u;

uint group_start()
{
    return gl_WorkGroupID.y * stride(c[2]) + gl_WorkGroupID.x * c[3];
}

uint squares()
{
    clear_lanes();
    for (uint from = 0u; from < c[3]; from += TILE) {
        uint n = min(TILE, c[3] - from);
        for (uint i = gl_LocalInvocationID.x; i < filled(n); i += THREADS) {
            F32 x = asf(i < n ? a_at(group_start() + from + i) : 0u);
            F32 y = x * x;
            terms[i] = asu(y);
        }
        add_terms(n, false);
    }
    return sum_lanes(false);
}

void main()
{
    uint row = gl_WorkGroupID.y;
    if (row >= row_count()) return;
    F32 mean = asf(squares()) * asf(c[4]);
    F32 r = asf(inverse_root(asu(mean), c[5]));
    for (uint i = gl_LocalInvocationID.x; i < c[3]; i += THREADS) {
        F32 y = asf(a_at(group_start() + i)) * r;
        F32 z = y * asf(WEIGHTED != 0u ? w_at(i) : 0x3f800000u);
        store(group_start() + i, z, row);
    }
}
