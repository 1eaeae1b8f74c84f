#version 450
/* embed.comp - the table's row of a token's id or position, or row 0, dequantised (docs/ARITHMETIC.md C6, H).
 *
 * c[2]: columns, c[3]: 0 by id, 1 by position, 2 row 0, c[4]: first row of the window, c[5]: its rows,
 * c[6]: bytes of a row.
 */
#include "step.glsl"
#include "block.glsl"
layout(local_size_x = 64) in;

void main()
{
    uint i = gl_GlobalInvocationID.x * 4u, row = gl_WorkGroupID.y;
    if (i >= c[2] || row >= row_count()) return;
    uint of = c[3] == 0u ? row_id(row) : c[3] == 1u ? row_position(row) : 0u;
    if (of - c[4] >= c[5]) return;
    F32 y[4];
    four((of - c[4]) * c[6], i, y);
    for (uint k = 0u; k < min(4u, c[2] - i); k++) store(row * stride(c[2]) + i + k, y[k], row);
}
