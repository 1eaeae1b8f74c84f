/* dot_avx512.h - integers inside weight blocks with AVX-512 VNNI: four products of unsigned weights and signed
 * activations a 32-bit lane, which never saturate. A bias that makes weights unsigned is subtracted as bias * sum(q).
 *
 *   blocks of 32     sixteen at a time; a register holds 16 bytes of the blocks v, v + 4, v + 8, v + 12 (vb_act pairs)
 *                    and the four registers' sums are the sixteen of the blocks, in order
 *   blocks of 256    64 weights a register
 *
 * Eight blocks of 32, for the end of a row and for Q8_0, are those of dot_avx2.h.
 */
#include "simd/dot_avx2.h"

/* 16 bytes of four places, `apart` bytes between them. */
VB_INLINE __m512i four(const uint8_t *p, int apart)
{
    __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(LOAD16(p)), LOAD16(p + apart), 1);
    __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(LOAD16(p + 2 * apart)), LOAD16(p + 3 * apart), 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* Sums of each 128-bit quarter of four registers: (a0 b0 c0 d0 | a1 b1 c1 d1 | ...). */
VB_INLINE __m512i sums_of_quarters(const __m512i r[4])
{
    __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(r[0], r[1]), _mm512_unpackhi_epi32(r[0], r[1]));
    __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(r[2], r[3]), _mm512_unpackhi_epi32(r[2], r[3]));
    return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

VB_INLINE __m512i low_nibbles64(__m512i q)
{
    return _mm512_and_si512(q, _mm512_set1_epi8(15));
}

VB_INLINE __m512i high_nibbles64(__m512i q)
{
    return _mm512_and_si512(_mm512_srli_epi16(q, 4), _mm512_set1_epi8(15));
}

VB_INLINE __m512i products64(__m512i sum, __m512i q, const int8_t *x)
{
    return _mm512_dpbusd_epi32(sum, q, LOAD64(x));
}

/* --- blocks of 32 ------------------------------------------------------------------------------------------ */

VB_INLINE vi nibbles16(const uint8_t *w, int bytes, const int8_t *x)
{
    __m512i r[4];
    VB_UNROLL
    for (int v = 0; v < 4; v++) {
        __m512i q = four(w + bytes * v, 4 * bytes);
        r[v] = products64(_mm512_setzero_si512(), low_nibbles64(q), x + PAIRS * v);
        r[v] = products64(r[v], high_nibbles64(q), x + PAIRS * v + PAIRS / 2);
    }
    return sums_of_quarters(r);
}

VB_INLINE vi dot16_q4_0(const uint8_t *w, const vb_act *a, int b)
{
    vi sum = nibbles16(w + 2, Q4_0_BYTES, pairs_at(a, b));
    return _mm512_sub_epi32(sum, _mm512_slli_epi32(LOAD64(a->sum + b), 3));
}

VB_INLINE vi dot16_q4_1(const uint8_t *w, const vb_act *a, int b)
{
    return nibbles16(w + 4, Q4_1_BYTES, pairs_at(a, b));
}

/* book: an unsigned byte for each nibble, in each quarter. */
VB_INLINE vi codes16(const uint8_t *w, int bytes, const int8_t *x, __m512i book)
{
    __m512i r[4];
    VB_UNROLL
    for (int v = 0; v < 4; v++) {
        __m512i q = four(w + bytes * v, 4 * bytes);
        r[v] = products64(_mm512_setzero_si512(), _mm512_shuffle_epi8(book, low_nibbles64(q)), x + PAIRS * v);
        r[v] = products64(r[v], _mm512_shuffle_epi8(book, high_nibbles64(q)), x + PAIRS * v + PAIRS / 2);
    }
    return sums_of_quarters(r);
}

VB_INLINE __m512i book_plus(const int8_t book[16], int bias)
{
    return _mm512_add_epi8(_mm512_broadcast_i32x4(LOAD16(book)), _mm512_set1_epi8((char)bias));
}

VB_INLINE vi dot16_iq4_nl(const uint8_t *w, const vb_act *a, int b)
{
    vi sum = codes16(w + 2, IQ4_NL_BYTES, pairs_at(a, b), book_plus(UNEVEN, 128));
    return _mm512_sub_epi32(sum, _mm512_slli_epi32(LOAD64(a->sum + b), 7));
}

VB_INLINE vi dot16_mxfp4(const uint8_t *w, const vb_act *a, int b)
{
    vi sum = codes16(w + 1, MXFP4_BYTES, pairs_at(a, b), book_plus(E2M1, 16));
    return _mm512_sub_epi32(sum, _mm512_slli_epi32(LOAD64(a->sum + b), 4));
}

/* Bytes of 16 where a fifth bit is set. bits: the 32 of a block at the start of each quarter; from: which 16. */
VB_INLINE __m512i fifths64(__m512i bits, int from)
{
    const __m128i spread = _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
    const __m512i bit = _mm512_set1_epi64((long long)0x8040201008040201);
    __m512i places = _mm512_broadcast_i32x4(_mm_add_epi8(spread, _mm_set1_epi8((char)(from / 8))));
    __mmask64 set = _mm512_test_epi8_mask(_mm512_shuffle_epi8(bits, places), bit);
    return _mm512_maskz_mov_epi8(set, _mm512_set1_epi8(16));
}

/* w: fifth bits, then nibbles. */
VB_INLINE vi fifths16(const uint8_t *w, int bytes, const int8_t *x)
{
    __m512i r[4];
    VB_UNROLL
    for (int v = 0; v < 4; v++) {
        __m512i q = four(w + 4 + bytes * v, 4 * bytes), bits = four(w + bytes * v, 4 * bytes);
        __m512i low = _mm512_or_si512(low_nibbles64(q), fifths64(bits, 0));
        __m512i high = _mm512_or_si512(high_nibbles64(q), fifths64(bits, 16));
        r[v] = products64(_mm512_setzero_si512(), low, x + PAIRS * v);
        r[v] = products64(r[v], high, x + PAIRS * v + PAIRS / 2);
    }
    return sums_of_quarters(r);
}

VB_INLINE vi dot16_q5_0(const uint8_t *w, const vb_act *a, int b)
{
    vi sum = fifths16(w + 2, Q5_0_BYTES, pairs_at(a, b));
    return _mm512_sub_epi32(sum, _mm512_slli_epi32(LOAD64(a->sum + b), 4));
}

VB_INLINE vi dot16_q5_1(const uint8_t *w, const vb_act *a, int b)
{
    return fifths16(w + 4, Q5_1_BYTES, pairs_at(a, b));
}

/* --- blocks of 256 ----------------------------------------------------------------------------------------- */

VB_INLINE v4i fold64(__m512i x)
{
    return fold(_mm256_add_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1)));
}

/* Words of x: the lower four of quarter i are number q_i, the upper four the one `apart` behind it. */
VB_INLINE __m512i words64(__m512i x, int q0, int q1, int q2, int q3, int apart)
{
    const long long all = 0x0001000100010001;
    __m512i places = _mm512_setr_epi64(all * q0, all * (q0 + apart), all * q1, all * (q1 + apart), all * q2,
                                       all * (q2 + apart), all * q3, all * (q3 + apart));
    return _mm512_permutexvar_epi16(places, x);
}

/* Adds the products of p and q with 64 activations each, times 16-bit scales, in each quarter first those of p. Four
 * products are added first: at most 4 * 63 * 127, less than 2^15. */
VB_INLINE __m512i scaled128(__m512i sum, __m512i p, __m512i q, __m512i x, __m512i y, __m512i scales)
{
    const __m512i zero = _mm512_setzero_si512();
    __m512i fours = _mm512_packs_epi32(_mm512_dpbusd_epi32(zero, p, x), _mm512_dpbusd_epi32(zero, q, y));
    return _mm512_dpwssd_epi32(sum, fours, scales);
}

/* 32 bytes in both halves. */
VB_INLINE __m512i twice(const uint8_t *p)
{
    return _mm512_broadcast_i64x4(LOAD32(p));
}

/* Bytes of `bit` where x has one of the bits `low` (lower half) or `high` (upper half). */
VB_INLINE __m512i bytes_where(__m512i x, int low, int high, int bit)
{
    __m256i l = _mm256_set1_epi8((char)low), h = _mm256_set1_epi8((char)high);
    __mmask64 set = _mm512_test_epi8_mask(x, _mm512_inserti64x4(_mm512_castsi256_si512(l), h, 1));
    return _mm512_maskz_mov_epi8(set, _mm512_set1_epi8((char)bit));
}

/* The sum of a block's products; scales: eight from word `at` on. */
VB_INLINE __m512i products_q4_k(const uint8_t *w, const vb_act *a, int b, __m512i scales, int at)
{
    const int8_t *x = a->pairs + 256 * b;
    __m512i s[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    VB_UNROLL
    for (int g = 0; g < 2; g++) {
        __m512i q = LOAD64(w + Q4_K_NIBBLES + 64 * g);
        int i = at + 4 * g;
        s[g] = scaled128(s[g], low_nibbles64(q), high_nibbles64(q), LOAD64(x + 128 * g), LOAD64(x + 128 * g + 64),
                         words64(scales, i, i, i + 2, i + 2, 1));
    }
    return _mm512_add_epi32(s[0], s[1]);
}

VB_INLINE __m512i products_q5_k(const uint8_t *w, const vb_act *a, int b, __m512i scales, int at)
{
    const int8_t *x = a->q + 256 * b;
    __m512i s[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()}, fifths = twice(w + Q5_K_FIFTHS);
    VB_UNROLL
    for (int g = 0; g < 2; g++) {
        __m512i q = LOAD64(w + Q5_K_NIBBLES + 64 * g), low = low_nibbles64(q), high = high_nibbles64(q);
        __m512i even = _mm512_shuffle_i64x2(low, high, 0x44), odd = _mm512_shuffle_i64x2(low, high, 0xee);
        int i = at + 4 * g;
        even = _mm512_or_si512(even, bytes_where(fifths, 1 << 4 * g, 2 << 4 * g, 16));
        odd = _mm512_or_si512(odd, bytes_where(fifths, 4 << 4 * g, 8 << 4 * g, 16));
        s[g] = scaled128(s[g], even, odd, LOAD64(x + 128 * g), LOAD64(x + 128 * g + 64),
                         words64(scales, i, i, i + 1, i + 1, 2));
    }
    return _mm512_add_epi32(s[0], s[1]);
}

VB_INLINE __m512i products_k(const uint8_t *w, const vb_act *a, int b, __m512i scales, int at, int bytes)
{
    return bytes == Q4_K_BYTES ? products_q4_k(w, a, b, scales, at) : products_q5_k(w, a, b, scales, at);
}

VB_INLINE dot_parts dot1w_q45_k(const uint8_t *w, const vb_act *a, int b, int bytes)
{
    __m256i packed = scales_q4_k(w);
    v4i m = _mm_madd_epi16(_mm256_extracti128_si256(packed, 1), LOAD16(a->sum32 + 8 * b));
    return (dot_parts){fold64(products_k(w, a, b, _mm512_castsi256_si512(packed), 0, bytes)), m};
}

VB_INLINE dot_parts dot1w_q4_k(const uint8_t *w, const vb_act *a, int b)
{
    return dot1w_q45_k(w, a, b, Q4_K_BYTES);
}

VB_INLINE dot_parts dot1w_q5_k(const uint8_t *w, const vb_act *a, int b)
{
    return dot1w_q45_k(w, a, b, Q5_K_BYTES);
}

/* The first 32-bit lane of each quarter. */
VB_INLINE __m128i first_lanes(__m512i x)
{
    return _mm512_castsi512_si128(_mm512_permutexvar_epi32(_mm512_castsi128_si512(_mm_setr_epi32(0, 4, 8, 12)), x));
}

/* scales_q4_k of four blocks, whose first 16 bytes are the quarters of `head`: bytes, eight scales, eight mins each. */
VB_INLINE __m512i scales4_q4_k(__m512i head)
{
    const __m512i down = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0, 0, 4));
    const __m512i low_bits = _mm512_broadcast_i32x4(_mm_setr_epi32(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f));
    const __m512i high_bits = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x30303030, 0, 0x30303030));
    __m512i low = _mm512_srlv_epi32(_mm512_shuffle_epi32(head, _MM_PERM_DCDB), down);
    __m512i high = _mm512_srli_epi32(_mm512_shuffle_epi32(head, _MM_PERM_CCBB), 2);
    return _mm512_or_si512(_mm512_and_si512(low, low_bits), _mm512_and_si512(high, high_bits));
}

/* Blocks b to b + 3 of a row of Q4_K or Q5_K, whose heads are the same. */
VB_INLINE dot_four dot4w_q45_k(const uint8_t *w, const vb_act *a, int b, int bytes)
{
    __m512i head = four(w, bytes), packed = scales4_q4_k(head), zero = _mm512_setzero_si512(), r[4];
    __m512i scales = _mm512_unpacklo_epi8(packed, zero), mins = _mm512_unpackhi_epi8(packed, zero);
    VB_UNROLL
    for (int i = 0; i < 4; i++) r[i] = products_k(w + bytes * i, a, b + i, scales, 8 * i, bytes);
    __m512i m = _mm512_madd_epi16(mins, LOAD64(a->sum32 + 8 * b));
    m = _mm512_add_epi32(m, _mm512_shuffle_epi32(m, _MM_PERM_BADC));
    m = _mm512_add_epi32(m, _mm512_shuffle_epi32(m, _MM_PERM_CDAB));
    __m256 halves = _mm256_cvtph_ps(first_lanes(head));
    __m128 low = _mm256_castps256_ps128(halves), high = _mm256_extractf128_ps(halves, 1);
    return (dot_four){fold64(sums_of_quarters(r)), first_lanes(m), _mm_shuffle_ps(low, high, 0x88),
                      _mm_shuffle_ps(low, high, 0xdd)};
}

/* Minus 2^shift times the sum of scales times sums of activations, in the lower half. */
VB_INLINE __m512i bias16(__m256i scales, const int16_t *sum16, int shift)
{
    __m256i bias = _mm256_slli_epi32(_mm256_madd_epi16(scales, LOAD32(sum16)), shift);
    return _mm512_zextsi256_si512(_mm256_sub_epi32(_mm256_setzero_si256(), bias));
}

VB_INLINE dot_parts dot1w_q6_k(const uint8_t *w, const vb_act *a, int b)
{
    const __m512i top = _mm512_set1_epi8(0x30);
    const __m512i left = _mm512_setr_epi64(4, 4, 4, 4, 2, 2, 2, 2), right = _mm512_setr_epi64(0, 0, 0, 0, 2, 2, 2, 2);
    const int8_t *x = a->q + 256 * b;
    __m256i scales = _mm256_cvtepi8_epi16(LOAD16(w + Q6_K_SCALES));
    __m512i s[2] = {bias16(scales, a->sum16 + 16 * b, 5), _mm512_setzero_si512()};
    VB_UNROLL
    for (int half = 0; half < 2; half++) {
        __m512i q = LOAD64(w + 64 * half), bits = twice(w + Q6_K_HIGH + 32 * half);
        __m512i low = _mm512_and_si512(_mm512_sllv_epi64(bits, left), top);
        __m512i high = _mm512_and_si512(_mm512_srlv_epi64(bits, right), top);
        low = _mm512_or_si512(low_nibbles64(q), low);
        high = _mm512_or_si512(high_nibbles64(q), high);
        int k = 8 * half;
        s[half] = scaled128(s[half], low, high, LOAD64(x + 128 * half), LOAD64(x + 128 * half + 64),
                            words64(_mm512_castsi256_si512(scales), k, k + 1, k + 2, k + 3, 4));
    }
    return (dot_parts){fold64(_mm512_add_epi32(s[0], s[1])), _mm_setzero_si128()};
}

/* Elements 32k to 32k + 31 of both halves of a block of 256. */
VB_INLINE __m512i both_halves(const int8_t *x, int k)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(LOAD32(x + 32 * k)), LOAD32(x + 128 + 32 * k), 1);
}

VB_INLINE __m512i pair_of_bits64(__m512i q, int k)
{
    return _mm512_and_si512(_mm512_srlv_epi16(q, _mm512_set1_epi16((short)(2 * k))), _mm512_set1_epi8(3));
}

/* p and q are 32k to 32k + 63 of both halves of a block. */
VB_INLINE __m512i scaled_halves(__m512i sum, __m512i p, __m512i q, const int8_t *x, int k, __m256i scales)
{
    __m512i words = words64(_mm512_castsi256_si512(scales), 2 * k, 2 * k + 1, 2 * k + 8, 2 * k + 9, 2);
    return scaled128(sum, p, q, both_halves(x, k), both_halves(x, k + 1), words);
}

VB_INLINE dot_parts dot1w_q2_k(const uint8_t *w, const vb_act *a, int b)
{
    const __m128i nibble = _mm_set1_epi8(15);
    __m128i packed = LOAD16(w), mins = _mm_and_si128(_mm_srli_epi16(packed, 4), nibble);
    __m256i scales = _mm256_cvtepi8_epi16(_mm_and_si128(packed, nibble));
    __m512i q = LOAD64(w + Q2_K_PAIRS), s[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    VB_UNROLL
    for (int k = 0; k < 4; k += 2)
        s[k / 2] = scaled_halves(s[k / 2], pair_of_bits64(q, k), pair_of_bits64(q, k + 1), a->q + 256 * b, k, scales);
    __m256i m = _mm256_madd_epi16(_mm256_cvtepi8_epi16(mins), LOAD32(a->sum16 + 16 * b));
    return (dot_parts){fold64(_mm512_add_epi32(s[0], s[1])), fold(m)};
}

VB_INLINE dot_parts dot1w_q3_k(const uint8_t *w, const vb_act *a, int b)
{
    __m256i scales = _mm256_cvtepi8_epi16(scales_q3_k(w));
    __m512i pairs = LOAD64(w + Q3_K_PAIRS), thirds = twice(w);
    __m512i s[2] = {bias16(scales, a->sum16 + 16 * b, 2), _mm512_setzero_si512()};
    VB_UNROLL
    for (int k = 0; k < 4; k += 2) {
        __m512i p = _mm512_or_si512(pair_of_bits64(pairs, k), bytes_where(thirds, 1 << k, 16 << k, 4));
        __m512i q = _mm512_or_si512(pair_of_bits64(pairs, k + 1), bytes_where(thirds, 2 << k, 32 << k, 4));
        s[k / 2] = scaled_halves(s[k / 2], p, q, a->q + 256 * b, k, scales);
    }
    return (dot_parts){fold64(_mm512_add_epi32(s[0], s[1])), _mm_setzero_si128()};
}

/* The sum of 32 products of codes is too large for 16 bits: here scales are 32-bit integers. */
VB_INLINE dot_parts dot1w_iq4_xs(const uint8_t *w, const vb_act *a, int b)
{
    const __m512i book = book_plus(UNEVEN, 128);
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    const int8_t *x = a->q + 256 * b;
    __m256i scales = _mm256_permutevar8x32_epi32(scales_iq4_xs(w), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    __m256i bias = _mm256_mullo_epi32(scales, _mm256_cvtepi16_epi32(LOAD16(a->sum32 + 8 * b)));
    __m512i s = _mm512_zextsi256_si512(_mm256_sub_epi32(_mm256_setzero_si256(), _mm256_slli_epi32(bias, 7)));
    __m512i places = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
    VB_UNROLL
    for (int i = 0; i < 4; i++) {
        __m512i q = LOAD64(w + IQ4_XS_NIBBLES + 64 * (i / 2)), low = low_nibbles64(q), high = high_nibbles64(q);
        __m512i scale = _mm512_permutexvar_epi32(places, _mm512_castsi256_si512(scales));
        q = _mm512_shuffle_epi8(book, _mm512_permutex2var_epi64(low, i % 2 == 0 ? first : second, high));
        s = _mm512_add_epi32(s, _mm512_mullo_epi32(products64(_mm512_setzero_si512(), q, x + 64 * i), scale));
        places = _mm512_add_epi32(places, _mm512_set1_epi32(2));
    }
    return (dot_parts){fold64(s), _mm_setzero_si128()};
}

/* What is better here than with AVX2, and sixteen blocks of 32 (t_wide.inc). */
#define VB_WIDE
#undef dot1_q2_k
#undef dot1_q3_k
#undef dot1_q4_k
#undef dot1_q5_k
#undef dot1_q6_k
#undef dot1_iq4_xs
#define dot1_q2_k dot1w_q2_k
#define dot1_q3_k dot1w_q3_k
#define dot1_q4_k dot1w_q4_k
#define dot1_q5_k dot1w_q5_k
#define dot1_q6_k dot1w_q6_k
#define dot1_iq4_xs dot1w_iq4_xs
