#version 450
/* softcap.comp - c * tanh(x / c) (docs/ARITHMETIC.md F3). c[2]: width  c[3]: cap, 2^-40 to 2^40  c[4]: RN(1 / cap). */
#include "step.glsl"
layout(local_size_x = 64) in;

void main()
{
    uint i = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y, k = row * stride(c[2]) + i;
    if (i >= c[2] || row >= row_count()) return;
    F32 y = c_softcap(asf(a_at(k)), asf(c[3]), asf(c[4]));
    store(k, y, row);
}
