/* block.glsl - what the bytes of a weight block mean: docs/ARITHMETIC.md C and C6, layouts as in oracle/decode.c.
 *
 *   four(from, i)   elements i to i + 3 of the row at byte `from`, by C6; i is a multiple of 4
 *   unpack(...)     blocks of 32: eight words of four small integers each, in order of elements, and the scales
 *   part(...)       blocks of 256: an eighth of it, 16 elements and 16 others; eight lanes take one block
 *
 * Integers are left as they are stored, not negative: `OFFSET` is what is subtracted from each, and the sums of the
 * activations tell how much that is for many. A block begins at a multiple of 2 bytes or more, and only words that hold
 * bytes of it are read.
 */
uint half_at(uint o) { return w_at(o >> 2) >> ((o & 2u) * 8u) & 0xffffu; }
uint byte_at(uint o) { return w_at(o >> 2) >> ((o & 3u) * 8u) & 0xffu; }
int signed_byte(uint x) { return bitfieldExtract(int(x), 0, 8); }

/* Four bytes at a multiple of 2. */
uint word_at(uint o)
{
    uint low = w_at(o >> 2);
    return (o & 2u) == 0u ? low : low >> 16 | w_at((o >> 2) + 1u) << 16;
}

/* Bits 0 to 3 as bit 4 of each byte. */
uint fifth_bits(uint x) { return ((x & 15u) * 0x00204081u & 0x01010101u) << 4; }

/* --- floats ------------------------------------------------------------------------------------------------------ */

#if defined FORMAT_f32
#define BLOCK 1
#define BYTES 4u
/* Of a row of c[2]; behind its end stands the last one again. */
void four(uint from, uint i, out F32 y[4])
{
    for (uint k = 0u; k < 4u; k++) y[k] = asf(w_at((from >> 2) + min(i + k, c[2] - 1u)));
}
#elif defined FORMAT_f16 || defined FORMAT_bf16
#define BLOCK 1
#define BYTES 2u

F32 one(uint x)
{
#if defined FORMAT_f16
    F32 y = c_h2f(x);
#else
    F32 y = asf(x << 16);
#endif
    return y;
}

/* Of a row of c[2]; behind its end stands the last one again. */
void four(uint from, uint i, out F32 y[4])
{
    uint o = from + 2u * i;
    uvec2 v;
    if (i + 4u <= c[2]) {
        v = uvec2(word_at(o), word_at(o + 4u));
    } else {
        uvec4 at = from + 2u * min(uvec4(i, i + 1u, i + 2u, i + 3u), uvec4(c[2] - 1u));
        v = uvec2(half_at(at.x) | half_at(at.y) << 16, half_at(at.z) | half_at(at.w) << 16);
    }
    y[0] = one(v.x & 0xffffu);
    y[1] = one(v.x >> 16);
    y[2] = one(v.y & 0xffffu);
    y[3] = one(v.y >> 16);
}

/* --- blocks of 32 ------------------------------------------------------------------------------------------------ */

#elif defined FORMAT_q4_0 || defined FORMAT_q5_0 || defined FORMAT_q8_0
#define BLOCK 32
#if defined FORMAT_q4_0
#define BYTES 18u
#define WORDS 4u
#define OFFSET 8
#elif defined FORMAT_q5_0
#define BYTES 22u
#define WORDS 5u
#define OFFSET 16
#else
#define BYTES 34u
#define WORDS 8u
#define OFFSET 0
#endif

/* d and the words behind it. */
void load(uint o, out uint d, out uint v[WORDS])
{
    uint i = o >> 2, shift = (o & 2u) * 8u, low = w_at(i);
    d = low >> shift & 0xffffu;
    for (uint k = 0u; k < WORDS; k++) {
        uint high = w_at(i + 1u + k);
        v[k] = shift != 0u ? high : low >> 16 | high << 16;
        low = high;
    }
}

void unpack(uint o, out uint q[8], out uint d, out uint m)
{
    uint v[WORDS];
    load(o, d, v);
    m = 0u;
#if defined FORMAT_q8_0
    for (uint k = 0u; k < 8u; k++) q[k] = v[k];
#elif defined FORMAT_q4_0
    for (uint k = 0u; k < 4u; k++) {
        q[k] = v[k] & 0x0f0f0f0fu;
        q[k + 4u] = v[k] >> 4 & 0x0f0f0f0fu;
    }
#else
    for (uint k = 0u; k < 4u; k++) {
        q[k] = v[k + 1u] & 0x0f0f0f0fu | fifth_bits(v[0] >> (4u * k));
        q[k + 4u] = v[k + 1u] >> 4 & 0x0f0f0f0fu | fifth_bits(v[0] >> (4u * k + 16u));
    }
#endif
}

void four(uint from, uint i, out F32 y[4])
{
    uint o = from + i / 32u * BYTES, j = i % 32u;
    F32 d = c_h2f(half_at(o));
#if defined FORMAT_q8_0
    uint q = word_at(o + 2u + j);
#elif defined FORMAT_q4_0
    uint q = word_at(o + 2u + (j & 15u)) >> (j >> 4) * 4u & 0x0f0f0f0fu;
#else
    uint q = word_at(o + 6u + (j & 15u)) >> (j >> 4) * 4u & 0x0f0f0f0fu | fifth_bits(word_at(o + 2u) >> j);
#endif
    for (uint k = 0u; k < 4u; k++) y[k] = d * float(signed_byte(q >> 8u * k) - OFFSET);
}
#elif defined FORMAT_q4_1
#define BLOCK 32
#define BYTES 20u
#define OFFSET 0
#define MINS 1

void unpack(uint o, out uint q[8], out uint d, out uint m)
{
    uint i = o >> 2, scales = w_at(i);
    d = scales & 0xffffu;
    m = scales >> 16;
    for (uint k = 0u; k < 4u; k++) {
        uint v = w_at(i + 1u + k);
        q[k] = v & 0x0f0f0f0fu;
        q[k + 4u] = v >> 4 & 0x0f0f0f0fu;
    }
}

void four(uint from, uint i, out F32 y[4])
{
    uint o = from + i / 32u * BYTES, j = i % 32u;
    F32 d = c_h2f(half_at(o)), m = c_h2f(half_at(o + 2u));
    uint q = w_at((o + 4u + (j & 15u)) >> 2) >> (j >> 4) * 4u & 0x0f0f0f0fu;
    for (uint k = 0u; k < 4u; k++) {
        y[k] = d * float(signed_byte(q >> 8u * k));
        y[k] = y[k] + m;
    }
}

/* --- blocks of 256 ----------------------------------------------------------------------------------------------- */

#elif defined FORMAT_q4_k || defined FORMAT_q5_k
#define BLOCK 256
#define OFFSET 0
#define MINS 1
#define SCALE_AT 0u
#define MIN_AT 2u
#if defined FORMAT_q4_k
#define BYTES 144u
#define NIBBLES 16u
#else
#define BYTES 176u
#define NIBBLES 48u
#endif

/* Scale or min (1) of sub-block s: the first four lie whole in their word, of the others the low four bits are in the
 * third word and the high two on top of the first four. */
int packed(uint o, uint s, uint min)
{
    uint first = w_at((o >> 2) + 1u + min), third = w_at((o >> 2) + 3u), shift = (s & 3u) * 8u;
    uint late = third >> (shift + 4u * min) & 15u | (first >> (shift + 6u) & 3u) << 4;
    return int(s < 4u ? first >> shift & 63u : late);
}

/* Words 0 to 3: elements from `at` on, words 4 to 7: those 32 later. Lane i: a half of the nibbles of two sub-blocks,
 * and the min of sub-block i. */
void part(uint o, uint lane, out uint q[8], out ivec2 scale, out int min)
{
    uint pair = lane >> 1, word = (lane & 1u) * 4u, i = (o + NIBBLES >> 2) + pair * 8u + word;
    scale = ivec2(packed(o, 2u * pair, 0u), packed(o, 2u * pair + 1u, 0u));
    min = packed(o, lane, 1u);
    for (uint k = 0u; k < 4u; k++) {
        uint v = w_at(i + k);
        q[k] = v & 0x0f0f0f0fu;
        q[k + 4u] = v >> 4 & 0x0f0f0f0fu;
#if defined FORMAT_q5_k
        uint fifth = w_at((o >> 2) + 4u + word + k) >> (2u * pair);
        q[k] |= (fifth & 0x01010101u) << 4;
        q[k + 4u] |= (fifth >> 1 & 0x01010101u) << 4;
#endif
    }
}
uint part_at(uint lane) { return (lane >> 1) * 64u + (lane & 1u) * 16u; }
#define PART_APART 32u

void four(uint from, uint i, out F32 y[4])
{
    uint o = from + i / 256u * BYTES, j = i % 256u, s = j >> 5;
    F32 d = c_h2f(half_at(o)), m = c_h2f(half_at(o + 2u));
    d = d * float(packed(o, s, 0u));
    m = m * float(packed(o, s, 1u));
    uint q = w_at((o + NIBBLES + (j >> 6) * 32u + (j & 31u)) >> 2) >> (s & 1u) * 4u & 0x0f0f0f0fu;
#if defined FORMAT_q5_k
    q |= (w_at((o + 16u + (j & 31u)) >> 2) >> s & 0x01010101u) << 4;
#endif
    for (uint k = 0u; k < 4u; k++) {
        y[k] = d * float(signed_byte(q >> 8u * k));
        y[k] = y[k] - m;
    }
}
#elif defined FORMAT_q6_k
#define BLOCK 256
#define BYTES 210u
#define OFFSET 32
#define SCALE_AT 208u

/* Four words at a multiple of 2 bytes; the word behind them still belongs to the block. */
uvec4 four_words(uint o)
{
    uint i = o >> 2;
    uvec4 low = uvec4(w_at(i), w_at(i + 1u), w_at(i + 2u), w_at(i + 3u));
    uvec4 high = uvec4(low.yzw, w_at(i + 4u));
    return (o & 2u) == 0u ? low : low >> 16 | high << 16;
}

/* Words 0 to 3: elements from `at` on, words 4 to 7: those 64 later. */
void part(uint o, uint lane, out uint q[8], out ivec2 scale, out int min)
{
    uint side = lane >> 2, quarter = lane >> 1 & 1u, odd = lane & 1u;
    uvec4 low = four_words(o + lane * 16u), high = four_words(o + 128u + side * 32u + odd * 16u) >> (2u * quarter);
    uint s = o + 192u + side * 8u + quarter * 2u + odd;
    scale = ivec2(signed_byte(byte_at(s)), signed_byte(byte_at(s + 4u)));
    min = 0;
    for (uint k = 0u; k < 4u; k++) {
        q[k] = low[k] & 0x0f0f0f0fu | (high[k] & 0x03030303u) << 4;
        q[k + 4u] = low[k] >> 4 & 0x0f0f0f0fu | high[k] & 0x30303030u;
    }
}
uint part_at(uint lane) { return (lane >> 2) * 128u + (lane & 3u) * 16u; }
#define PART_APART 64u

void four(uint from, uint i, out F32 y[4])
{
    uint o = from + i / 256u * BYTES, j = i % 256u, side = j >> 7, quarter = j >> 5 & 3u;
    F32 d = c_h2f(half_at(o + 208u));
    d = d * float(signed_byte(byte_at(o + 192u + (j >> 4))));
    uint low = word_at(o + side * 64u + (quarter & 1u) * 32u + (j & 31u)) >> (quarter >> 1) * 4u & 0x0f0f0f0fu;
    uint high = word_at(o + 128u + side * 32u + (j & 31u)) >> quarter * 2u & 0x03030303u;
    uint q = low | high << 4;
    for (uint k = 0u; k < 4u; k++) y[k] = d * float(signed_byte(q >> 8u * k) - OFFSET);
}
#endif
