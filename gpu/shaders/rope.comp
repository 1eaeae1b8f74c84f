#version 450
/* rope.comp - rotary positions (docs/ARITHMETIC.md J2.6): an element a thread.
 *
 * c[2]: width  c[3]: elements of a head  c[4]: of them turned  c[5]: floats of a token in b  c[6]: the rope's in them,
 * half of c[4] cosines and as many sines. Variant 0: 0: pairs (2i, 2i + 1), 1: (i, i + c[4] / 2).
 *
 * Products of guarded numbers are normal; the one sum of them is guarded.
 */
#include "step.glsl"
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint NEOX = 0u;

/* Element i of a head, which begins at word `head`. */
float turned(uint head, uint i, uint row)
{
    uint pairs = c[4] / 2u;
    uint pair = NEOX != 0u ? i % pairs : i / 2u, second = NEOX != 0u ? i / pairs : i % 2u;
    uint at_first = head + (NEOX != 0u ? pair : 2u * pair), at_second = at_first + (NEOX != 0u ? pairs : 1u);
    uint table = (c[1] != 0u ? wanted_row(row) : row) * c[5] + c[6];
    F32 x0 = asf(a_at(at_first)), x1 = asf(a_at(at_second));
    F32 cosine = asf(b_at(table + pair)), sine = asf(b_at(table + pairs + pair));
    F32 s = x0 * (second != 0u ? sine : cosine);
    F32 t = x1 * (second != 0u ? cosine : sine);
    F32 plus = s + t, minus = s - t;
    return second != 0u ? plus : minus;
}

void main()
{
    uint i = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y, k = row * stride(c[2]) + i, within = i % c[3];
    if (i >= c[2] || row >= row_count()) return;
    F32 y = within < c[4] ? turned(k - within, within, row) : asf(a_at(k));
    store(k, y, row);
}
