/* linear_int8.glsl - rows of quantised weights against quantised activations (docs/ARITHMETIC.md C, D).
 *
 *   a work group   DEEP times 8 rows x 8 lanes, TOKENS inputs (1, 2, 4 or 8)
 *   blocks of 32   lane l takes block b where b mod 8 = l, as D1 has eight accumulators; then D1's tree
 *   blocks of 256  a lane takes an eighth of a block; integers may be added in any order. UNITS of blocks and inputs
 *                  meet in shared memory, there lane l makes the term of unit l, and these are added in D2's order:
 *
 *                  TOKENS 1: | b0 b1 b2 b3 b4 b5 b6 b7 |     TOKENS 4: | b0 for input 0, 1, 2, 3 | b1 for input 0 ... |
 *
 * An input's words (quantize.comp): cols/4 of four integers each, cols/32 of two sums over 16, cols/BLOCK scales.
 */
#include "step.glsl"
#include "block.glsl"
#include "linear.glsl"

#ifdef INTEGER_DOT
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int dot_packed(uint x, uint y, spirv_literal int format);
int dot4(uint x, uint y) { return dot_packed(x, y, 0); }
#else
int dot4(uint x, uint y)
{
    int sum = 0;
    for (int k = 0; k < 32; k += 8) sum += bitfieldExtract(int(x), k, 8) * bitfieldExtract(int(y), k, 8);
    return sum;
}
#endif

int low_sum(uint pair) { return bitfieldExtract(int(pair), 0, 16); }
int high_sum(uint pair) { return int(pair) >> 16; }

/* C1 to C4. */
F32 term(uvec2 scales, uint activation, int sum, int mins)
{
    F32 y = c_h2f(scales.x) * asf(activation);
    y = y * float(sum);
#if defined MINS
    F32 z = c_h2f(scales.y) * asf(activation);
    z = z * float(mins);
#if BLOCK == 256
    y = y - z;
#else
    y = y + z;
#endif
#endif
    return y;
}

const uint LANES = 8u, ROWS = 64u / LANES;
uint blocks() { return c[2] / uint(BLOCK); }
uint sums_at() { return c[2] / 4u; }
uint scales_at() { return c[2] / 4u + c[2] / 32u; }

#if BLOCK == 32
shared uint accumulators[64u * TOKENS * DEEP];

/* An input's block: integers, sums, scale. */
void load_input(uint input_word, uint b, out uint x[8], out uint pair, out uint scale)
{
    for (uint k = 0u; k < 8u; k++) x[k] = a_at(input_word + b * 8u + k);
    pair = 0u;
#if defined MINS || OFFSET != 0
    pair = a_at(input_word + sums_at() + b);
#endif
    scale = a_at(input_word + scales_at() + b);
}

/* With the term of a block, if it is one, against an input's. */
F32 add_term(F32 acc, uint q[8], uvec2 scales, uint x[8], uvec2 input_scales, bool is_there)
{
    int sum = 0, mins = low_sum(input_scales.x) + high_sum(input_scales.x);
    for (uint k = 0u; k < 8u; k++) sum += dot4(q[k], x[k]);
    sum -= OFFSET * mins;
    F32 y = term(scales, input_scales.y, sum, mins);
    y = acc + asf(is_there ? asu(y) : 0u);
    return y;
}

/* This lane's accumulators, one for each row and input. from: bytes at which the rows begin. */
void add_blocks(uint from[DEEP], uint lane, uint first)
{
    F32 acc[DEEP][TOKENS];
    uint input_of[TOKENS];
    for (uint t = 0u; t < TOKENS; t++) {
        for (uint r = 0u; r < DEEP; r++) acc[r][t] = asf(0u);
        input_of[t] = input_at(min(first + t, inputs() - 1u));
    }
    for (uint turn = lane; turn < blocks(); turn += LANES * AHEAD) {
        uint q[AHEAD][DEEP][8];
        uvec2 scales[AHEAD][DEEP];
        [[unroll]] for (uint n = 0u; n < AHEAD; n++)
            [[unroll]] for (uint r = 0u; r < DEEP; r++)
                unpack(from[r] + min(turn + LANES * n, blocks() - 1u) * BYTES, q[n][r], scales[n][r].x, scales[n][r].y);
        [[unroll]] for (uint n = 0u; n < AHEAD; n++)
            for (uint t = 0u; t < TOKENS; t++) {
                uint x[8], b = turn + LANES * n;
                uvec2 s;
                load_input(input_of[t], min(b, blocks() - 1u), x, s.x, s.y);
                [[unroll]] for (uint r = 0u; r < DEEP; r++)
                    acc[r][t] = add_term(acc[r][t], q[n][r], scales[n][r], x, s, b < blocks());
            }
    }
    for (uint r = 0u; r < DEEP; r++)
        for (uint t = 0u; t < TOKENS; t++)
            accumulators[(r * 64u + gl_LocalInvocationID.x) * TOKENS + t] = asu(acc[r][t]);
}

F32 lane_of(uint row, uint l, uint t) { return asf(accumulators[(row * LANES + l) * TOKENS + t]); }

/* D1 */
F32 tree(uint row, uint t)
{
    F32 s04 = lane_of(row, 0u, t) + lane_of(row, 4u, t);
    F32 s26 = lane_of(row, 2u, t) + lane_of(row, 6u, t);
    F32 s15 = lane_of(row, 1u, t) + lane_of(row, 5u, t);
    F32 s37 = lane_of(row, 3u, t) + lane_of(row, 7u, t);
    F32 even = s04 + s26;
    F32 odd = s15 + s37;
    F32 y = even + odd;
    return y;
}

/* Of each row against input `first` + lane, if it is one. */
void multiply(uint from[DEEP], uint row, uint lane, uint first, out F32 y[DEEP])
{
    add_blocks(from, lane, first);
    barrier();
    for (uint r = 0u; r < DEEP; r++) y[r] = lane < TOKENS ? tree(r * ROWS + row, lane) : asf(0u);
}
#else
const uint UNITS = 8u;
shared ivec2 parts[UNITS * 64u];
shared uint terms[64];

/* An eighth of the block at byte o against one input, whose integers for the block begin at word `at`. */
ivec2 meet(uint q[8], ivec2 scale, int least, uint lane, uint input_word, uint b)
{
    uint at = input_word + b * 64u + part_at(lane) / 4u, sums = input_word + sums_at() + b * 8u;
    ivec2 sum = ivec2(0);
    for (uint k = 0u; k < 4u; k++) {
        sum.x += dot4(q[k], a_at(at + k));
        sum.y += dot4(q[k + 4u], a_at(at + PART_APART / 4u + k));
    }
#if OFFSET != 0
    uint x = a_at(sums + part_at(lane) / 32u), y = a_at(sums + (part_at(lane) + PART_APART) / 32u);
    uint shift = (lane & 1u) * 16u;
    sum -= OFFSET * ivec2(low_sum(x >> shift), low_sum(y >> shift));
#endif
    ivec2 both = ivec2(scale.x * sum.x + scale.y * sum.y, 0);
#if defined MINS
    uint pair = a_at(sums + lane);
    both.y = least * (low_sum(pair) + high_sum(pair));
#endif
    return both;
}

/* This lane's eighths of the UNITS that begin with block b. */
void take_parts(uint from, uint lane, uint first, uint b)
{
    for (uint u = 0u; u < UNITS && b + u / TOKENS < blocks(); u += TOKENS) {
        uint q[8], block = b + u / TOKENS;
        ivec2 scale;
        int least;
        part(from + block * BYTES, lane, q, scale, least);
        for (uint t = 0u; t < TOKENS; t++) {
            uint input_word = input_at(min(first + t, inputs() - 1u));
            parts[(u + t) * 64u + gl_LocalInvocationID.x] = meet(q, scale, least, lane, input_word, block);
        }
    }
}

/* The term of unit `lane`. */
void make_term(uint from, uint row, uint lane, uint first, uint b)
{
    uint block = b + lane / TOKENS, input_word = input_at(min(first + lane % TOKENS, inputs() - 1u));
    if (block >= blocks()) return;
    ivec2 sum = ivec2(0);
    for (uint l = 0u; l < LANES; l++) sum += parts[lane * 64u + row * LANES + l];
    uint o = from + block * BYTES;
    uvec2 scales = uvec2(half_at(o + SCALE_AT), 0u);
#if defined MINS
    scales.y = half_at(o + MIN_AT);
#endif
    F32 y = term(scales, a_at(input_word + scales_at() + block), sum.x, sum.y);
    terms[row * LANES + lane] = asu(y);
}

F32 multiply_one(uint from, uint row, uint lane, uint first)
{
    F32 acc = asf(0u);
    for (uint b = 0u; b < blocks(); b += UNITS / TOKENS) {
        take_parts(from, lane, first, b);
        barrier();
        make_term(from, row, lane, first, b);
        barrier();
        for (uint u = lane; lane < TOKENS && u < UNITS && b + u / TOKENS < blocks(); u += TOKENS)
            acc = acc + asf(terms[row * LANES + u]);
    }
    return acc;
}

/* Of each row against input `first` + lane, if it is one. */
void multiply(uint from[DEEP], uint row, uint lane, uint first, out F32 y[DEEP])
{
    for (uint r = 0u; r < DEEP; r++) y[r] = multiply_one(from[r], row, lane, first);
}
#endif

void main()
{
    uint row = gl_LocalInvocationID.x / LANES, lane = gl_LocalInvocationID.x % LANES;
    uint first = gl_WorkGroupID.y * TOKENS, from[DEEP], out_row[DEEP], bias[DEEP];
    bool is_here[DEEP];
    F32 y[DEEP];
    if (first >= inputs() || is_elsewhere(first)) return;
    for (uint r = 0u; r < DEEP; r++) {
        uint at_row;
        is_here[r] = place((gl_WorkGroupID.x * DEEP + r) * ROWS + row, first, out_row[r], at_row, bias[r]);
        from[r] = at_row * c[3];
    }
    multiply(from, row, lane, first, y);
    if (lane >= TOKENS || first + lane >= inputs()) return;
    for (uint r = 0u; r < DEEP; r++)
        if (is_here[r]) finish(y[r], first + lane, out_row[r], bias[r]);
}
