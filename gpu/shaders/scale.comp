#version 450
/* scale.comp - x * constant (docs/ARITHMETIC.md H). c[2]: width  c[3]: the constant, 0 or normal. */
#include "step.glsl"
layout(local_size_x = 64) in;

void main()
{
    uint i = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y, k = row * stride(c[2]) + i;
    if (i >= c[2] || row >= row_count()) return;
    F32 y = asf(a_at(k)) * asf(c[3]);
    store(k, y, row);
}
