/* linear.glsl - which row of a matrix meets what: one input row each token, or (EXPERTS) one each token and expert.
 *
 *   a   what meets the weights: activations, or floats     b   what route chose, for experts
 *   w   a window of the weight's rows                      w2  bias
 *
 *   c[2]  columns             c[3]  bytes of a weight row   c[4]  first of the output's rows that is computed here
 *   c[5]  how many            c[6]  row of the window that is the first of them, or (EXPERTS) the window's first row
 *   c[7]  1: there is a bias  c[8]  floats of an output row c[9]  words of an input row
 *   EXPERTS: c[10] rows of the window  c[11] used  c[12] rows of an expert's output  c[13] rows of an expert in all
 *            c[14] where its rows begin there  c[15] words from one expert's input to the next's
 *            c[16] words of a row of `b`  c[17] experts
 *
 * TOKENS inputs meet a row at once, so that it is unpacked once for them; with EXPERTS it is one. DEEP rows meet an
 * input at once, where there are many. A lane asks for what it needs for AHEAD turns of its loop before it uses it,
 * without a branch: behind the row's end it takes the last piece once more, and adds +0 (A4).
 */
#extension GL_EXT_control_flow_attributes : enable
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint TOKENS = 1u;
layout(constant_id = 1) const uint EXPERTS = 0u;
layout(constant_id = 2) const uint AHEAD = 1u;
layout(constant_id = 3) const uint DEEP = 1u;

uint inputs() { return row_count() * (EXPERTS != 0u ? c[11] : 1u); }
uint token_of(uint k) { return EXPERTS != 0u ? k / c[11] : k; }

/* Word of `a` at which input k begins. */
uint input_at(uint k) { return EXPERTS != 0u ? k / c[11] * c[9] + k % c[11] * c[15] : k * c[9]; }

/* The weight's row, counted from its first. */
uint expert_row(uint k, uint row)
{
    F32 number = asf(b_at(k / c[11] * c[16] + k % c[11]));
    return min(uint(c_rint(number)), c[17] - 1u) * c[13] + c[14] + row; /* min: an earlier step may have failed (A3) */
}

/* EXPERTS: whether none of the expert's rows is in this window; the same for a whole work group. */
bool is_elsewhere(uint k)
{
    uint row = EXPERTS != 0u ? expert_row(k, c[4]) : 0u;
    return EXPERTS != 0u && (row + c[5] <= c[6] || row >= c[6] + c[10]);
}

/* H: bias, guard, and where it belongs. bias: its row. */
void finish(F32 sum, uint k, uint row, uint bias)
{
    F32 y = sum;
    if (c[7] != 0u) y = y + asf(w2_at(bias));
    uint token = token_of(k), at = stride(c[8]) * token + row;
    if (EXPERTS != 0u) at += k % c[11] * c[12];
    store(at, y, token);
}

/* The i-th row that is computed here, for input k: of the output, of the window and of the bias. False: it is none of
 * them, or (EXPERTS) stands in another window; then the places are those of some row. */
bool place(uint i, uint k, out uint out_row, out uint at_row, out uint bias)
{
    uint here = min(i, c[5] - 1u);
    out_row = c[4] + here;
    at_row = c[6] + here;
    bias = out_row;
    if (EXPERTS == 0u) return i < c[5];
    bias = expert_row(k, out_row);
    at_row = min(bias - c[6], c[10] - 1u);
    return i < c[5] && bias - c[6] < c[10];
}
