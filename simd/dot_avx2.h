/* dot_avx2.h - integers inside weight blocks with AVX2: products of unsigned weights and signed activations by
 * maddubs, two neighbours a 16-bit sum. Nothing may saturate, so at most 8 (4-bit), 4 (5-bit), 2 (6-bit) or 1 (8-bit)
 * of its results are added in 16 bits. A bias of the weights is subtracted as bias * sum(q).
 */

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
    const __m256i one = _mm256_set1_epi16(1);
    __m256i r[4];
    for (int v = 0; v < 4; v++) {
        __m256i q = two(w + bytes * v, 4 * bytes);
        __m256i low = _mm256_maddubs_epi16(low_nibbles(q), LOAD32(x + 64 * v));
        __m256i high = _mm256_maddubs_epi16(high_nibbles(q), LOAD32(x + 64 * v + 32));
        r[v] = _mm256_madd_epi16(_mm256_add_epi16(low, high), one);
    }
    return sums_of_halves(r);
}

VB_INLINE v8i dot8_q4_0(const uint8_t *w, const vb_act *a, int b)
{
    v8i sum = nibbles8(w + 2, Q4_0_BYTES, a->pairs + 32 * b);
    return _mm256_sub_epi32(sum, _mm256_slli_epi32(LOAD32(a->sum + b), 3));
}

VB_INLINE v8i dot8_q4_1(const uint8_t *w, const vb_act *a, int b)
{
    return nibbles8(w + 4, Q4_1_BYTES, a->pairs + 32 * b);
}

/* 32 bits to 32 bytes of 0 or 16. */
VB_INLINE __m256i fifth_bits(const uint8_t *p)
{
    const __m256i spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    uint32_t bits;
    memcpy(&bits, p, sizeof bits);
    __m256i x = _mm256_shuffle_epi8(_mm256_set1_epi32((int)bits), spread);
    x = _mm256_cmpeq_epi8(_mm256_and_si256(x, bit), bit);
    return _mm256_and_si256(x, _mm256_set1_epi8(16));
}

VB_INLINE __m256i block_q5_0(const uint8_t *w, const int8_t *x)
{
    __m128i n = LOAD16(w + 6);
    __m256i q = _mm256_inserti128_si256(_mm256_castsi128_si256(n), _mm_srli_epi16(n, 4), 1);
    q = _mm256_or_si256(low_nibbles(q), fifth_bits(w + 2));
    return _mm256_madd_epi16(_mm256_maddubs_epi16(q, LOAD32(x)), _mm256_set1_epi16(1));
}

VB_INLINE __m256i block_q8_0(const uint8_t *w, const int8_t *x)
{
    __m256i q = LOAD32(w + 2); /* -128 becomes 128 as an unsigned weight */
    __m256i p = _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(LOAD32(x), q));
    return _mm256_madd_epi16(p, _mm256_set1_epi16(1));
}

/* Eight registers to their eight sums. */
VB_INLINE v8i sums8(const __m256i r[8])
{
    __m256i low = sums_of_halves(r), high = sums_of_halves(r + 4);
    return _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31));
}

VB_INLINE v8i dot8_q5_0(const uint8_t *w, const vb_act *a, int b)
{
    __m256i r[8];
    for (int i = 0; i < 8; i++) r[i] = block_q5_0(w + Q5_0_BYTES * i, a->q + 32 * (b + i));
    return _mm256_sub_epi32(sums8(r), _mm256_slli_epi32(LOAD32(a->sum + b), 4));
}

VB_INLINE v8i dot8_q8_0(const uint8_t *w, const vb_act *a, int b)
{
    __m256i r[8];
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
    for (int g = 0; g < 4; g++) {
        __m256i q = LOAD32(w + Q4_K_NIBBLES + 32 * g);
        __m256i low = _mm256_maddubs_epi16(low_nibbles(q), LOAD32(x + 64 * g));
        __m256i high = _mm256_maddubs_epi16(high_nibbles(q), LOAD32(x + 64 * g + 32));
        s = _mm256_add_epi32(s, _mm256_madd_epi16(low, lane16(scales, 2 * g)));
        t = _mm256_add_epi32(t, _mm256_madd_epi16(high, lane16(scales, 2 * g + 1)));
    }
    v4i m = _mm_madd_epi16(_mm256_extracti128_si256(packed, 1), LOAD16(a->sum32 + 8 * b));
    return (dot_parts){fold(_mm256_add_epi32(s, t)), m};
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
    for (int half = 0; half < 2; half++) {
        __m256i high = LOAD32(w + Q6_K_HIGH + 32 * half);
        for (int k = 0; k < 4; k++) {
            __m256i q = quarter_q6_k(LOAD32(w + 64 * half + 32 * (k & 1)), high, k);
            __m256i p = _mm256_maddubs_epi16(q, LOAD32(x + 128 * half + 32 * k));
            p = _mm256_madd_epi16(p, pair_q6_k(scales, 8 * half + 2 * k));
            if ((k & 1) == 0)
                s = _mm256_add_epi32(s, p);
            else
                t = _mm256_add_epi32(t, p);
        }
    }
    return (dot_parts){fold(_mm256_add_epi32(s, t)), _mm_setzero_si128()};
}

/* What is better here than in plain C (dot_portable.h). */
#define dot8_q4_0 dot8_q4_0
#define dot8_q4_1 dot8_q4_1
#define dot8_q5_0 dot8_q5_0
#define dot8_q8_0 dot8_q8_0
#define dot1_q4_k dot1_q4_k
#define dot1_q6_k dot1_q6_k
#include "simd/dot_portable.h"
