#version 450
/* probe.comp - one operation on many words (qualify.c): c[2], which is of the part PART. a, b, w: its operands. A
 * multiple of 64 words. */
#include "step.glsl"
#include "probes.inc"
#ifdef FORMAT_dot
#extension GL_EXT_spirv_intrinsics : enable
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int dot_packed(uint x, uint y, spirv_literal int format);
#endif
layout(constant_id = 0) const uint PART = 0u;
layout(local_size_x = 64) in;
shared uint words[64];

void main()
{
    uint i = gl_GlobalInvocationID.x, l = gl_LocalInvocationID.x, x = a_at(i), y = b_at(i), z = w_at(i), r;
#ifdef FORMAT_dot
    r = uint(dot_packed(x, y, 0));
#else
    words[l] = x;
    barrier();
    if (c[2] == PROBE_LEAST) note(i, x);
    r = PART == 3u ? words[(l * 7u + 3u) & 63u] : probe(PART, c[2], x, y, z);
#endif
    out_words[at[2] + i] = r;
}
