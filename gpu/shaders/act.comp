#version 450
/* act.comp - a curve of each element (docs/ARITHMETIC.md F3). c[2]: width. Variant 0: a vb_curve. */
#include "step.glsl"
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint CURVE = 0u;

float gelu_erf(float x)
{
    F32 half_x = asf(0x3f000000u) * x;
    F32 t = x * asf(0x3f3504f3u); /* sqrt(1/2) */
    t = asf(0x3f800000u) + c_erf(t);
    F32 y = half_x * t;
    return y;
}

float curve(float x)
{
    if (CURVE == 0u) return c_silu(x);
    return CURVE == 1u ? c_gelu_tanh(x) : gelu_erf(x);
}

void main()
{
    uint i = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y, k = row * stride(c[2]) + i;
    if (i >= c[2] || row >= row_count()) return;
    F32 y = curve(asf(a_at(k)));
    store(k, y, row);
}
