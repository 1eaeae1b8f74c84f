/* dot_avx2.h - integers inside weight blocks with AVX2: products of unsigned weights and signed activations by
 * maddubs, two neighbours a 16-bit sum, or by what mac_<isa>.h has that is better. Nothing may saturate, so at most 8
 * (4-bit), 4 (5-bit), 2 (6-bit) or 1 (8-bit) results of maddubs are added in 16 bits. A bias of the weights is
 * subtracted as bias * sum(q); codes of both signs give theirs to the activations (|w| times x with the sign of w).
 */
#include "simd/dot.h"

/* Where the eight blocks from b on begin in their group of pairs (vb_act). */
VB_INLINE const int8_t *pairs_at(const vb_act *a, int b)
{
    enum { GROUP = PAIRS / 8 };
    return a->pairs + 32 * (b / GROUP * GROUP) + b % GROUP / 8 * 32;
}

/* Halves of 16 bytes from p and from p + apart, so that blocks v and v + 4 fill one register. */
VB_INLINE __m256i two(const void *p, int apart)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(LOAD16(p)), LOAD16((const uint8_t *)p + apart), 1);
}

/* Sums of each 128-bit half of four registers: (a0 b0 c0 d0 | a1 b1 c1 d1). */
VB_INLINE __m256i sums_of_halves(const __m256i r[4])
{
    __m256i ab = _mm256_add_epi32(_mm256_unpacklo_epi32(r[0], r[1]), _mm256_unpackhi_epi32(r[0], r[1]));
    __m256i cd = _mm256_add_epi32(_mm256_unpacklo_epi32(r[2], r[3]), _mm256_unpackhi_epi32(r[2], r[3]));
    return _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
}

VB_INLINE __m256i low_nibbles(__m256i q)
{
    return _mm256_and_si256(q, _mm256_set1_epi8(15));
}

VB_INLINE __m256i high_nibbles(__m256i q)
{
    return _mm256_and_si256(_mm256_srli_epi16(q, 4), _mm256_set1_epi8(15));
}

/* x: pairs of blocks (vb_act). */
VB_INLINE v8i nibbles8(const uint8_t *w, int bytes, const int8_t *x)
{
    __m256i r[4];
    VB_UNROLL
    for (int v = 0; v < 4; v++) {
        __m256i q = two(w + bytes * v, 4 * bytes), x0 = LOAD32(x + PAIRS * v), x1 = LOAD32(x + PAIRS * v + PAIRS / 2);
        r[v] = products_of_two(low_nibbles(q), x0, high_nibbles(q), x1);
    }
    return sums_of_halves(r);
}

VB_INLINE v8i dot8_q4_0(const uint8_t *w, const vb_act *a, int b)
{
    v8i sum = nibbles8(w + 2, Q4_0_BYTES, pairs_at(a, b));
    return _mm256_sub_epi32(sum, _mm256_slli_epi32(LOAD32(a->sum + b), 3));
}

VB_INLINE v8i dot8_q4_1(const uint8_t *w, const vb_act *a, int b)
{
    return nibbles8(w + 4, Q4_1_BYTES, pairs_at(a, b));
}

/* Of weights that may be negative. */
VB_INLINE __m256i signed_products(__m256i sum, __m256i q, __m256i x)
{
    return products(sum, _mm256_abs_epi8(q), _mm256_sign_epi8(x, q));
}

VB_INLINE v8i dot8_iq4_nl(const uint8_t *w, const vb_act *a, int b)
{
    const __m256i book = _mm256_broadcastsi128_si256(LOAD16(UNEVEN));
    const int8_t *x = pairs_at(a, b);
    __m256i r[4];
    VB_UNROLL
    for (int v = 0; v < 4; v++) {
        __m256i q = two(w + 2 + IQ4_NL_BYTES * v, 4 * IQ4_NL_BYTES);
        __m256i low = _mm256_shuffle_epi8(book, low_nibbles(q)), high = _mm256_shuffle_epi8(book, high_nibbles(q));
        r[v] = signed_products(_mm256_setzero_si256(), low, LOAD32(x + PAIRS * v));
        r[v] = signed_products(r[v], high, LOAD32(x + PAIRS * v + PAIRS / 2));
    }
    return sums_of_halves(r);
}

/* The codes plus 12 are unsigned and small. */
VB_INLINE v8i dot8_mxfp4(const uint8_t *w, const vb_act *a, int b)
{
    const __m256i book = _mm256_add_epi8(_mm256_broadcastsi128_si256(LOAD16(E2M1)), _mm256_set1_epi8(12));
    const int8_t *x = pairs_at(a, b);
    __m256i r[4], sum = LOAD32(a->sum + b);
    VB_UNROLL
    for (int v = 0; v < 4; v++) {
        __m256i q = two(w + 1 + MXFP4_BYTES * v, 4 * MXFP4_BYTES);
        __m256i low = _mm256_shuffle_epi8(book, low_nibbles(q)), high = _mm256_shuffle_epi8(book, high_nibbles(q));
        r[v] = products_of_two(low, LOAD32(x + PAIRS * v), high, LOAD32(x + PAIRS * v + PAIRS / 2));
    }
    sum = _mm256_add_epi32(_mm256_slli_epi32(sum, 3), _mm256_slli_epi32(sum, 2));
    return _mm256_sub_epi32(sums_of_halves(r), sum);
}

/* The fifth bits of 16 elements of two blocks as bytes of 0 or 16. bits: the 32 bits of one block, many times, then of
 * the other; from: which two bytes of them. */
VB_INLINE __m256i fifth_bits(__m256i bits, int from)
{
    const __m256i spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0, 0x0101010101010101);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    __m256i x = _mm256_shuffle_epi8(bits, _mm256_add_epi8(spread, _mm256_set1_epi8((char)from)));
    x = _mm256_cmpeq_epi8(_mm256_and_si256(x, bit), bit);
    return _mm256_and_si256(x, _mm256_set1_epi8(16));
}

VB_INLINE __m256i same32(const uint8_t *p, int apart)
{
    uint32_t first, second;
    memcpy(&first, p, sizeof first);
    memcpy(&second, p + apart, sizeof second);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_set1_epi32((int)first)), _mm_set1_epi32((int)second), 1);
}

/* w: fifth bits, then nibbles; x: pairs of blocks. */
VB_INLINE v8i fifths8(const uint8_t *w, int bytes, const int8_t *x)
{
    __m256i r[4];
    VB_UNROLL
    for (int v = 0; v < 4; v++) {
        __m256i q = two(w + 4 + bytes * v, 4 * bytes), bits = same32(w + bytes * v, 4 * bytes);
        __m256i low = _mm256_or_si256(low_nibbles(q), fifth_bits(bits, 0));
        __m256i high = _mm256_or_si256(high_nibbles(q), fifth_bits(bits, 2));
        r[v] = products_of_two(low, LOAD32(x + PAIRS * v), high, LOAD32(x + PAIRS * v + PAIRS / 2));
    }
    return sums_of_halves(r);
}

VB_INLINE v8i dot8_q5_0(const uint8_t *w, const vb_act *a, int b)
{
    v8i sum = fifths8(w + 2, Q5_0_BYTES, pairs_at(a, b));
    return _mm256_sub_epi32(sum, _mm256_slli_epi32(LOAD32(a->sum + b), 4));
}

VB_INLINE v8i dot8_q5_1(const uint8_t *w, const vb_act *a, int b)
{
    return fifths8(w + 4, Q5_1_BYTES, pairs_at(a, b));
}

VB_INLINE __m256i block_q8_0(const uint8_t *w, const int8_t *x)
{
    __m256i q = LOAD32(w + 2); /* -128 becomes 128 as an unsigned weight */
    return signed_products(_mm256_setzero_si256(), q, LOAD32(x));
}

/* Eight registers to their eight sums. */
VB_INLINE v8i sums8(const __m256i r[8])
{
    __m256i low = sums_of_halves(r), high = sums_of_halves(r + 4);
    return _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31));
}

VB_INLINE v8i dot8_q8_0(const uint8_t *w, const vb_act *a, int b)
{
    __m256i r[8];
    VB_UNROLL
    for (int i = 0; i < 8; i++) r[i] = block_q8_0(w + Q8_0_BYTES * i, a->q + 32 * (b + i));
    return sums8(r);
}

VB_INLINE v4i fold(__m256i x)
{
    return _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
}

/* Eight scales, then eight mins, as 16-bit integers. The first 16 bytes of the block are d, m and the 12 packed bytes:
 * words 1 and 2 hold six bits each and the upper bits of the rest, word 3 the low nibbles of the rest. */
VB_INLINE __m256i scales_q4_k(const uint8_t *w)
{
    __m128i head = LOAD16(w);
    __m128i low = _mm_srlv_epi32(_mm_shuffle_epi32(head, _MM_SHUFFLE(3, 2, 3, 1)), _mm_set_epi32(4, 0, 0, 0));
    __m128i high = _mm_srli_epi32(_mm_shuffle_epi32(head, _MM_SHUFFLE(2, 2, 1, 1)), 2);
    low = _mm_and_si128(low, _mm_set_epi32(0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f));
    high = _mm_and_si128(high, _mm_set_epi32(0x30303030, 0, 0x30303030, 0));
    return _mm256_cvtepu8_epi16(_mm_or_si128(low, high));
}

/* 16-bit lane k of a register that holds the same eight in both halves, everywhere. */
VB_INLINE __m256i lane16(__m256i x, int k)
{
    return _mm256_shuffle_epi8(x, _mm256_set1_epi16((short)((2 * k + 1) << 8 | 2 * k)));
}

VB_INLINE dot_parts dot1_q4_k(const uint8_t *w, const vb_act *a, int b)
{
    const int8_t *x = a->q + 256 * b;
    __m256i packed = scales_q4_k(w);
    __m256i scales = _mm256_broadcastsi128_si256(_mm256_castsi256_si128(packed));
    __m256i s = _mm256_setzero_si256(), t = s;
    VB_UNROLL
    for (int g = 0; g < 4; g++) {
        __m256i q = LOAD32(w + Q4_K_NIBBLES + 32 * g);
        __m256i low = _mm256_maddubs_epi16(low_nibbles(q), LOAD32(x + 64 * g));
        __m256i high = _mm256_maddubs_epi16(high_nibbles(q), LOAD32(x + 64 * g + 32));
        s = scaled(s, low, lane16(scales, 2 * g));
        t = scaled(t, high, lane16(scales, 2 * g + 1));
    }
    v4i m = _mm_madd_epi16(_mm256_extracti128_si256(packed, 1), LOAD16(a->sum32 + 8 * b));
    return (dot_parts){fold(_mm256_add_epi32(s, t)), m};
}

/* Bit i of each byte at bit `to`. i and `to` are constants. */
VB_INLINE __m256i bit_at(__m256i x, int i, int to)
{
    __m256i moved = i < to ? _mm256_slli_epi16(x, to - i) : _mm256_srli_epi16(x, i - to);
    return _mm256_and_si256(moved, _mm256_set1_epi8((char)(1 << to)));
}

VB_INLINE dot_parts dot1_q5_k(const uint8_t *w, const vb_act *a, int b)
{
    const int8_t *x = a->q + 256 * b;
    __m256i packed = scales_q4_k(w), fifths = LOAD32(w + Q5_K_FIFTHS);
    __m256i scales = _mm256_broadcastsi128_si256(_mm256_castsi256_si128(packed));
    __m256i s = _mm256_setzero_si256(), t = s;
    VB_UNROLL
    for (int g = 0; g < 4; g++) {
        __m256i q = LOAD32(w + Q5_K_NIBBLES + 32 * g);
        __m256i low = _mm256_or_si256(low_nibbles(q), bit_at(fifths, 2 * g, 4));
        __m256i high = _mm256_or_si256(high_nibbles(q), bit_at(fifths, 2 * g + 1, 4));
        low = _mm256_maddubs_epi16(low, LOAD32(x + 64 * g));
        high = _mm256_maddubs_epi16(high, LOAD32(x + 64 * g + 32));
        s = scaled(s, low, lane16(scales, 2 * g));
        t = scaled(t, high, lane16(scales, 2 * g + 1));
    }
    v4i m = _mm_madd_epi16(_mm256_extracti128_si256(packed, 1), LOAD16(a->sum32 + 8 * b));
    return (dot_parts){fold(_mm256_add_epi32(s, t)), m};
}

/* Sixteen bytes as 16-bit integers, those of even places in the lower half: lane16 k then spreads 2k and 2k + 1. */
VB_INLINE __m256i even_odd(__m128i x)
{
    const __m128i order = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    return _mm256_cvtepi8_epi16(_mm_shuffle_epi8(x, order));
}

/* Elements 32k to 32k + 31 of a half block. */
VB_INLINE __m256i pair_of_bits(__m256i q, int k)
{
    return _mm256_and_si256(_mm256_srli_epi16(q, 2 * k), _mm256_set1_epi8(3));
}

VB_INLINE dot_parts dot1_q2_k(const uint8_t *w, const vb_act *a, int b)
{
    const int8_t *x = a->q + 256 * b;
    const __m128i nibble = _mm_set1_epi8(15);
    __m128i packed = LOAD16(w), mins = _mm_and_si128(_mm_srli_epi16(packed, 4), nibble);
    __m256i scales = even_odd(_mm_and_si128(packed, nibble));
    __m256i s = _mm256_setzero_si256(), t = s;
    VB_UNROLL
    for (int half = 0; half < 2; half++) {
        __m256i q = LOAD32(w + Q2_K_PAIRS + 32 * half);
        VB_UNROLL
        for (int k = 0; k < 4; k++) {
            __m256i p = _mm256_maddubs_epi16(pair_of_bits(q, k), LOAD32(x + 128 * half + 32 * k));
            if ((k & 1) == 0)
                s = scaled(s, p, lane16(scales, 4 * half + k));
            else
                t = scaled(t, p, lane16(scales, 4 * half + k));
        }
    }
    __m256i m = _mm256_madd_epi16(_mm256_cvtepi8_epi16(mins), LOAD32(a->sum16 + 16 * b));
    return (dot_parts){fold(_mm256_add_epi32(s, t)), fold(m)};
}

/* Sixteen scales as bytes: low nibbles in the first 8 bytes; every four of them share 4 bytes with two bits each. */
VB_INLINE __m128i scales_q3_k(const uint8_t *w)
{
    uint32_t bits;
    memcpy(&bits, w + Q3_K_SCALES + 8, sizeof bits);
    __m128i nibbles = _mm_loadl_epi64((const __m128i *)(const void *)(w + Q3_K_SCALES));
    __m128i low = _mm_unpacklo_epi64(nibbles, _mm_srli_epi16(nibbles, 4));
    __m128i high = _mm_srlv_epi32(_mm_set1_epi32((int)bits), _mm_setr_epi32(0, 2, 4, 6));
    low = _mm_and_si128(low, _mm_set1_epi8(15));
    high = _mm_slli_epi16(_mm_and_si128(high, _mm_set1_epi8(3)), 4);
    return _mm_sub_epi8(_mm_or_si128(low, high), _mm_set1_epi8(32));
}

VB_INLINE dot_parts dot1_q3_k(const uint8_t *w, const vb_act *a, int b)
{
    const int8_t *x = a->q + 256 * b;
    __m128i packed = scales_q3_k(w);
    __m256i scales = even_odd(packed), thirds = LOAD32(w);
    __m256i bias = _mm256_madd_epi16(_mm256_cvtepi8_epi16(packed), LOAD32(a->sum16 + 16 * b));
    __m256i s = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_slli_epi32(bias, 2)), t = _mm256_setzero_si256();
    VB_UNROLL
    for (int half = 0; half < 2; half++) {
        __m256i pairs = LOAD32(w + Q3_K_PAIRS + 32 * half);
        VB_UNROLL
        for (int k = 0; k < 4; k++) {
            __m256i q = _mm256_or_si256(pair_of_bits(pairs, k), bit_at(thirds, 4 * half + k, 2));
            __m256i p = _mm256_maddubs_epi16(q, LOAD32(x + 128 * half + 32 * k));
            if ((k & 1) == 0)
                s = scaled(s, p, lane16(scales, 4 * half + k));
            else
                t = scaled(t, p, lane16(scales, 4 * half + k));
        }
    }
    return (dot_parts){fold(_mm256_add_epi32(s, t)), _mm_setzero_si128()};
}

/* Eight scales, those of even sub-blocks four times in the lower half, those of odd ones in the upper. Low nibbles in
 * 4 bytes, the high two bits of all in a word. */
VB_INLINE __m256i scales_iq4_xs(const uint8_t *w)
{
    const __m256i places = _mm256_setr_epi32(0, 4, 8, 12, 2, 6, 10, 14);
    uint32_t nibbles;
    memcpy(&nibbles, w + 4, sizeof nibbles);
    __m128i even = _mm_cvtsi32_si128((int)nibbles);
    __m128i low = _mm_and_si128(_mm_unpacklo_epi32(even, _mm_srli_epi16(even, 4)), _mm_set1_epi8(15));
    __m256i high = _mm256_srlv_epi32(_mm256_set1_epi32(half_at(w + 2)), places);
    high = _mm256_slli_epi32(_mm256_and_si256(high, _mm256_set1_epi32(3)), 4);
    return _mm256_sub_epi32(_mm256_or_si256(_mm256_cvtepu8_epi32(low), high), _mm256_set1_epi32(32));
}

/* Products of two neighbours, which fill 16 bits. */
VB_INLINE __m256i signed_pairs(__m256i q, __m256i x)
{
    return _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(x, q));
}

VB_INLINE dot_parts dot1_iq4_xs(const uint8_t *w, const vb_act *a, int b)
{
    const __m256i book = _mm256_broadcastsi128_si256(LOAD16(UNEVEN));
    const int8_t *x = a->q + 256 * b;
    __m256i scales = scales_iq4_xs(w), s = _mm256_setzero_si256(), t = s;
    VB_UNROLL
    for (int g = 0; g < 4; g++) {
        __m256i q = LOAD32(w + IQ4_XS_NIBBLES + 32 * g), scale = lane16(scales, 2 * g);
        __m256i low = signed_pairs(_mm256_shuffle_epi8(book, low_nibbles(q)), two(x + 64 * g, 32));
        __m256i high = signed_pairs(_mm256_shuffle_epi8(book, high_nibbles(q)), two(x + 64 * g + 16, 32));
        s = scaled(s, low, scale);
        t = scaled(t, high, scale);
    }
    return (dot_parts){fold(_mm256_add_epi32(s, t)), _mm_setzero_si128()};
}

/* Scales of sub-blocks j and j + 1 as 16-bit integers, eight times each. */
VB_INLINE __m256i pair_q6_k(__m128i scales, int j)
{
    const __m128i spread = _mm_set_epi64x(0x0101010101010101, 0);
    return _mm256_cvtepi8_epi16(_mm_shuffle_epi8(scales, _mm_add_epi8(spread, _mm_set1_epi8((char)j))));
}

/* Elements 32k to 32k + 31 of a half block, 0 to 63. */
VB_INLINE __m256i quarter_q6_k(__m256i low, __m256i high, int k)
{
    const __m256i mask = _mm256_set1_epi8(0x30);
    __m256i nibbles = k < 2 ? low_nibbles(low) : high_nibbles(low);
    __m256i bits = k == 0 ? _mm256_slli_epi16(high, 4) : k == 1 ? _mm256_slli_epi16(high, 2)
                 : k == 2 ? high : _mm256_srli_epi16(high, 2);
    return _mm256_or_si256(nibbles, _mm256_and_si256(bits, mask));
}

VB_INLINE dot_parts dot1_q6_k(const uint8_t *w, const vb_act *a, int b)
{
    const int8_t *x = a->q + 256 * b;
    __m128i scales = LOAD16(w + Q6_K_SCALES);
    __m256i bias = _mm256_madd_epi16(_mm256_cvtepi8_epi16(scales), LOAD32(a->sum16 + 16 * b));
    __m256i s = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_slli_epi32(bias, 5)), t = _mm256_setzero_si256();
    VB_UNROLL
    for (int half = 0; half < 2; half++) {
        __m256i high = LOAD32(w + Q6_K_HIGH + 32 * half);
        VB_UNROLL
        for (int k = 0; k < 4; k++) {
            __m256i q = quarter_q6_k(LOAD32(w + 64 * half + 32 * (k & 1)), high, k);
            __m256i p = _mm256_maddubs_epi16(q, LOAD32(x + 128 * half + 32 * k));
            if ((k & 1) == 0)
                s = scaled(s, p, pair_q6_k(scales, 8 * half + 2 * k));
            else
                t = scaled(t, p, pair_q6_k(scales, 8 * half + 2 * k));
        }
    }
    return (dot_parts){fold(_mm256_add_epi32(s, t)), _mm_setzero_si128()};
}

/* What is better here than in plain C (dot_portable.h). */
#define dot8_q4_0 dot8_q4_0
#define dot8_q4_1 dot8_q4_1
#define dot8_q5_0 dot8_q5_0
#define dot8_q5_1 dot8_q5_1
#define dot8_q8_0 dot8_q8_0
#define dot8_iq4_nl dot8_iq4_nl
#define dot8_mxfp4 dot8_mxfp4
#define dot1_q2_k dot1_q2_k
#define dot1_q3_k dot1_q3_k
#define dot1_q4_k dot1_q4_k
#define dot1_q5_k dot1_q5_k
#define dot1_q6_k dot1_q6_k
#define dot1_iq4_xs dot1_iq4_xs
#include "simd/dot_portable.h"
