#version 450
/* mix.comp - the sum of weight * row over a token's experts (docs/ARITHMETIC.md J4.6): a holds the rows of a token one
 * behind the other, b numbers and then weights. c[2]: width of a row  c[3]: how many.
 *
 * Products of guarded numbers are normal, sums of them need not be.
 */
#include "step.glsl"
#include "small.glsl"
layout(local_size_x = 64) in;

void main()
{
    uint i = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y, sum = 0u;
    if (i >= c[2] || row >= row_count()) return;
    uint rows = row * stride(c[2] * c[3]) + i, weights = row * stride(2u * c[3]) + c[3];
    for (uint e = 0u; e < c[3]; e++) {
        F32 y = asf(b_at(weights + e)) * asf(a_at(rows + e * c[2]));
        sum = small_sum(sum, asu(y));
    }
    store(row * stride(c[2]) + i, asf(sum), row);
}
