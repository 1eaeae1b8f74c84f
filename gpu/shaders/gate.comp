#version 450
/* gate.comp - sigmoid(gate) * x (docs/ARITHMETIC.md H): a is one value a token, b is x. c[2]: width. */
#include "step.glsl"
layout(local_size_x = 64) in;

void main()
{
    uint i = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y, k = row * stride(c[2]) + i;
    if (i >= c[2] || row >= row_count()) return;
    F32 s = c_sigmoid(asf(a_at(row * stride(1u))));
    F32 y = s * asf(b_at(k));
    store(k, y, row);
}
