/* vec_x86.h - what every vec_<isa>.h of x86-64 has in common: v8 of 8 lanes and v4 of 4, in the registers of AVX2.
 *
 * Every float function is one rounded operation a lane (ARITHMETIC A2), or an ordered sum that says its order.
 */
#include "simd/block.h"

#include <immintrin.h>

typedef __m256 v8f;
typedef __m256i v8i;
typedef __m128 v4f;
typedef __m128i v4i;

#define LOAD16(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define LOAD32(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))

/* Halving tree 4, 2, 1 over 8 lanes: D1's ((0+4)+(2+6)) + ((1+5)+(3+7)), and the end of E1. */
VB_INLINE float v8f_tree(v8f x)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

VB_INLINE v8f v8f_zero(void) { return _mm256_setzero_ps(); }
VB_INLINE v8f v8f_load(const float *p) { return _mm256_loadu_ps(p); }
VB_INLINE v8f v8f_add(v8f x, v8f y) { return _mm256_add_ps(x, y); }
VB_INLINE v8f v8f_mul(v8f x, v8f y) { return _mm256_mul_ps(x, y); }
VB_INLINE v8f v8f_of(v8i x) { return _mm256_cvtepi32_ps(x); }
VB_INLINE v8i v8i_load(const int32_t *p) { return LOAD32(p); }

/* Eight halves, `stride` bytes apart. */
VB_INLINE v8f v8f_halves(const uint8_t *p, int stride)
{
    __m128i h = _mm_cvtsi32_si128(half_at(p));
    h = _mm_insert_epi16(h, half_at(p + stride), 1);
    h = _mm_insert_epi16(h, half_at(p + 2 * stride), 2);
    h = _mm_insert_epi16(h, half_at(p + 3 * stride), 3);
    h = _mm_insert_epi16(h, half_at(p + 4 * stride), 4);
    h = _mm_insert_epi16(h, half_at(p + 5 * stride), 5);
    h = _mm_insert_epi16(h, half_at(p + 6 * stride), 6);
    h = _mm_insert_epi16(h, half_at(p + 7 * stride), 7);
    return _mm256_cvtph_ps(h);
}

/* Powers of two from eight bytes, `stride` bytes apart; those below 2^-60 are 0 (A5). */
#define v8f_exponents v8f_exponents
VB_INLINE v8f v8f_exponents(const uint8_t *p, int stride)
{
    __m128i x = _mm_cvtsi32_si128(p[0]);
    x = _mm_insert_epi8(x, p[stride], 1);
    x = _mm_insert_epi8(x, p[2 * stride], 2);
    x = _mm_insert_epi8(x, p[3 * stride], 3);
    x = _mm_insert_epi8(x, p[4 * stride], 4);
    x = _mm_insert_epi8(x, p[5 * stride], 5);
    x = _mm_insert_epi8(x, p[6 * stride], 6);
    x = _mm_insert_epi8(x, p[7 * stride], 7);
    __m256i e = _mm256_cvtepu8_epi32(x), enough = _mm256_cmpgt_epi32(e, _mm256_set1_epi32(67));
    e = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
    return _mm256_castsi256_ps(_mm256_and_si256(e, enough));
}

VB_INLINE v4f v4f_all(float x) { return _mm_set1_ps(x); }
VB_INLINE v4f v4f_load(const float *p) { return _mm_loadu_ps(p); }
VB_INLINE v4f v4f_add(v4f x, v4f y) { return _mm_add_ps(x, y); }
VB_INLINE v4f v4f_sub(v4f x, v4f y) { return _mm_sub_ps(x, y); }
VB_INLINE v4f v4f_mul(v4f x, v4f y) { return _mm_mul_ps(x, y); }
VB_INLINE v4f v4f_of(v4i x) { return _mm_cvtepi32_ps(x); }
VB_INLINE v4f v4f_load_f16(const uint8_t *p)
{
    int64_t halves;
    memcpy(&halves, p, sizeof halves);
    return _mm_cvtph_ps(_mm_cvtsi64_si128(halves));
}
VB_INLINE void v4f_store(float *p, v4f x) { _mm_storeu_ps(p, x); }

VB_INLINE v4f v4f_halves(const uint8_t *const p[4], int at)
{
    __m128i h = _mm_cvtsi32_si128(half_at(p[0] + at));
    h = _mm_insert_epi16(h, half_at(p[1] + at), 1);
    h = _mm_insert_epi16(h, half_at(p[2] + at), 2);
    h = _mm_insert_epi16(h, half_at(p[3] + at), 3);
    return _mm_cvtph_ps(h);
}

/* The four sums of four vectors. */
VB_INLINE v4i v4i_sums(const v4i x[4])
{
    __m128i ab = _mm_add_epi32(_mm_unpacklo_epi32(x[0], x[1]), _mm_unpackhi_epi32(x[0], x[1]));
    __m128i cd = _mm_add_epi32(_mm_unpacklo_epi32(x[2], x[3]), _mm_unpackhi_epi32(x[2], x[3]));
    return _mm_add_epi32(_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd));
}
