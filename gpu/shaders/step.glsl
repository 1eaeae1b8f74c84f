/* step.glsl - what every shader of a step sees: nine ranges of words, and numbers.
 *
 *   memory   32-bit words everywhere; floats exist in registers only, by asf() and asu()
 *   at[b]    word at which range b begins in its binding (bindings are aligned as the device wants them)
 *   c[0]     the step's place in `notes`   c[1]  0: rows are all tokens, 1: the wanted ones   c[2]..  the shader's own
 *   rows     [0] tokens  [1] wanted  [2] word of the list of wanted rows  [3] word of the page tables; from word 4 on
 *            8 words a token: id, position, last position seen, word of its page table (relative to [3]), 4 free
 *
 * A value's row r of a width begins at word stride(width) * r: a width is rounded up to 16. gl_WorkGroupID.y is a row,
 * unless a shader says otherwise; rows beyond row_count() do nothing, because a dispatch is as large as its bucket.
 */
#extension GL_GOOGLE_include_directive : enable
#define asu floatBitsToUint
#define asf uintBitsToFloat
#define F32 precise float
#define U32 uint
#define I32 int
#define I2F(i) float(i)
#define U2I(u) int(u)
#define I2U(i) uint(i)
#define FN
#include "../../src/base/canon.inc"
#include "../../src/base/exact.inc"

layout(std430, set = 0, binding = 0) readonly buffer BufferA { uint a_words[]; };
layout(std430, set = 0, binding = 1) readonly buffer BufferB { uint b_words[]; };
layout(std430, set = 0, binding = 2) buffer BufferOut { uint out_words[]; };
layout(std430, set = 0, binding = 3) readonly buffer BufferRows { uint row_words[]; };
layout(std430, set = 0, binding = 4) readonly buffer BufferW { uint w_words[]; };
layout(std430, set = 0, binding = 5) readonly buffer BufferW2 { uint w2_words[]; };
layout(std430, set = 0, binding = 6) buffer BufferK { uint k_words[]; };
layout(std430, set = 0, binding = 7) buffer BufferV { uint v_words[]; };
layout(std430, set = 0, binding = 8) buffer BufferNotes { uint note_words[]; };
layout(push_constant) uniform Numbers { uint at[9]; uint c[23]; };

uint a_at(uint i) { return a_words[at[0] + i]; }
uint b_at(uint i) { return b_words[at[1] + i]; }
uint w_at(uint i) { return w_words[at[4] + i]; }
uint w2_at(uint i) { return w2_words[at[5] + i]; }
uint row_count() { return row_words[at[3] + c[1]]; }
uint row_id(uint r) { return row_words[at[3] + 4u + 8u * r]; }
uint row_position(uint r) { return row_words[at[3] + 5u + 8u * r]; }
uint row_last(uint r) { return row_words[at[3] + 6u + 8u * r]; }
uint wanted_row(uint i) { return row_words[at[3] + row_words[at[3] + 2u] + i]; }
uint stride(uint width) { return (width + 15u) & ~15u; }

/* A3: remembers the first row that is not finite. */
void note(uint row, uint bits)
{
    if ((bits & 0x7f800000u) == 0x7f800000u) atomicMin(note_words[at[8] + c[0]], row);
}

/* What a step stores (A3, A5). */
void store(uint i, float x, uint row)
{
    uint bits = asu(x);
    note(row, bits);
    out_words[at[2] + i] = (bits & 0x7fffffffu) < 0x21800000u ? 0u : bits;
}
