#version 450
/* wanted.comp - a copy of the rows whose outputs are asked for (docs/ARITHMETIC.md H). c[2]: width. */
#include "step.glsl"
layout(local_size_x = 64) in;

void main()
{
    uint i = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y;
    if (i >= c[2] || row >= row_count()) return;
    F32 y = asf(a_at(wanted_row(row) * stride(c[2]) + i));
    store(row * stride(c[2]) + i, y, row);
}
