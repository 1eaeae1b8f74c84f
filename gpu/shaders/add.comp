#version 450
/* add.comp - x + y (docs/ARITHMETIC.md H). c[2]: width. */
#include "step.glsl"
layout(local_size_x = 64) in;

void main()
{
    uint i = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y, k = row * stride(c[2]) + i;
    if (i >= c[2] || row >= row_count()) return;
    F32 y = asf(a_at(k)) + asf(b_at(k));
    store(k, y, row);
}
