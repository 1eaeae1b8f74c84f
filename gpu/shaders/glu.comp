#version 450
/* glu.comp - activation(gate) * up (docs/ARITHMETIC.md H): a is the gate, b is up. c[2]: width. Variant 0: a vb_glu. */
#include "step.glsl"
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint ACT = 0u;

/* x, at most 7, and if `both` at least -7. */
float limited(uint x, bool both)
{
    uint sign = x & 0x80000000u;
    bool beyond = (x & 0x7fffffffu) > 0x40e00000u && (sign == 0u || both);
    return asf(beyond ? sign | 0x40e00000u : x);
}

float clamped(uint gate, uint up)
{
    F32 g = limited(gate, false);
    F32 u = limited(up, true) + asf(0x3f800000u);
    F32 t = asf(0x3fd9db23u) * g; /* 1.702 */
    F32 a = g * c_sigmoid(t);
    F32 y = u * asf(asu(g) > 0xc2700000u ? 0u : asu(a)); /* g < -60 */
    return y;
}

float gated(uint gate, uint up)
{
    if (ACT == 2u) return clamped(gate, up);
    F32 a = ACT == 0u ? c_silu(asf(gate)) : ACT == 1u ? c_gelu_tanh(asf(gate)) : c_sigmoid(asf(gate));
    F32 y = a * asf(up);
    return y;
}

void main()
{
    uint i = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y, k = row * stride(c[2]) + i;
    if (i >= c[2] || row >= row_count()) return;
    F32 y = gated(a_at(k), b_at(k));
    store(k, y, row);
}
