#version 450
/* slice.comp - the same part of every group (docs/ARITHMETIC.md H).
 *
 * c[2]: width of the part's row  c[3]: of a's  c[4]: elements of a group  c[5]: first of the part  c[6]: how many
 */
#include "step.glsl"
layout(local_size_x = 64) in;

void main()
{
    uint i = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y;
    if (i >= c[2] || row >= row_count()) return;
    F32 y = asf(a_at(row * stride(c[3]) + i / c[6] * c[4] + c[5] + i % c[6]));
    store(row * stride(c[2]) + i, y, row);
}
