/* vec_avx2.h - vectors of AVX2 and F16C: vf, vi of 16 lanes in two registers; v8 and v4 are those of vec_x86.h.
 *
 * Every float function is one rounded operation a lane (ARITHMETIC A2), or an ordered sum that says its order.
 */
#include "simd/vec_x86.h"

typedef struct {
    __m256 a, b; /* lanes 0-7, 8-15 */
} vf;
typedef struct {
    __m256i a, b;
} vi;
typedef vi vm; /* all ones or zeros in each lane */
#define VF_REGISTERS 8
#define PAIRS 64

/* --- 16 floats --------------------------------------------------------------------------------------------- */
VB_INLINE vf vf_load(const float *p) { return (vf){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
VB_INLINE vf vf_all(float x) { return (vf){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
VB_INLINE vf vf_add(vf x, vf y) { return (vf){_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
VB_INLINE vf vf_sub(vf x, vf y) { return (vf){_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
VB_INLINE vf vf_mul(vf x, vf y) { return (vf){_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
VB_INLINE vf vf_max(vf x, vf y) { return (vf){_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
VB_INLINE vi vf_bits(vf x) { return (vi){_mm256_castps_si256(x.a), _mm256_castps_si256(x.b)}; }
VB_INLINE vi vf_round(vf x) { return (vi){_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)}; } /* B4 */

VB_INLINE void vf_store(float *p, vf x)
{
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}

/* (x1, x0, x3, x2, ...) */
VB_INLINE vf vf_swap_pairs(vf x) { return (vf){_mm256_permute_ps(x.a, 0xb1), _mm256_permute_ps(x.b, 0xb1)}; }

/* (p0, p0, p1, p1, ...) of 8 floats */
VB_INLINE vf vf_load_twice(const float *p)
{
    __m256 x = _mm256_loadu_ps(p);
    __m256 low = _mm256_unpacklo_ps(x, x), high = _mm256_unpackhi_ps(x, x);
    return (vf){_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31)};
}

/* --- 16 integers ------------------------------------------------------------------------------------------- */
VB_INLINE vi vi_all(int32_t x) { return (vi){_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
VB_INLINE vi vi_add(vi x, vi y) { return (vi){_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
VB_INLINE vi vi_sub(vi x, vi y) { return (vi){_mm256_sub_epi32(x.a, y.a), _mm256_sub_epi32(x.b, y.b)}; }
VB_INLINE vi vi_and(vi x, vi y) { return (vi){_mm256_and_si256(x.a, y.a), _mm256_and_si256(x.b, y.b)}; }
VB_INLINE vi vi_or(vi x, vi y) { return (vi){_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)}; }
VB_INLINE vi vi_max(vi x, vi y) { return (vi){_mm256_max_epi32(x.a, y.a), _mm256_max_epi32(x.b, y.b)}; }
VB_INLINE vi vi_xor(vi x, vi y) { return (vi){_mm256_xor_si256(x.a, y.a), _mm256_xor_si256(x.b, y.b)}; }
VB_INLINE vm vi_over(vi x, vi y) { return (vi){_mm256_cmpgt_epi32(x.a, y.a), _mm256_cmpgt_epi32(x.b, y.b)}; }
VB_INLINE vi vi_shift23(vi x) { return (vi){_mm256_slli_epi32(x.a, 23), _mm256_slli_epi32(x.b, 23)}; }
VB_INLINE vf vi_float(vi x) { return (vf){_mm256_castsi256_ps(x.a), _mm256_castsi256_ps(x.b)}; } /* the bits */
VB_INLINE vi vi_without(vi x, vm mask)
{
    return (vi){_mm256_andnot_si256(mask.a, x.a), _mm256_andnot_si256(mask.b, x.b)};
}
VB_INLINE uint32_t vm_any(vm mask)
{
    __m256i both = _mm256_or_si256(mask.a, mask.b);
    return !_mm256_testz_si256(both, both);
}

/* --- other types in memory --------------------------------------------------------------------------------- */
VB_INLINE vf vf_load_f16(const uint8_t *p)
{
    return (vf){_mm256_cvtph_ps(LOAD16(p)), _mm256_cvtph_ps(LOAD16(p + 16))};
}

VB_INLINE vf vf_half(const uint8_t *p)
{
    __m256 x = _mm256_cvtph_ps(_mm_set1_epi16((short)half_at(p)));
    return (vf){x, x};
}

VB_INLINE vf vf_load_bf16(const uint8_t *p)
{
    __m256i low = _mm256_cvtepu16_epi32(LOAD16(p)), high = _mm256_cvtepu16_epi32(LOAD16(p + 16));
    return (vf){_mm256_castsi256_ps(_mm256_slli_epi32(low, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(high, 16))};
}

VB_INLINE vf vf_load_i8(const int8_t *p)
{
    __m128i q = LOAD16(p);
    return (vf){_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q)),
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(q, 8)))};
}

VB_INLINE void vf_store_f16(uint8_t *p, vf x)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128((__m128i *)(void *)(p + 16), _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT));
}

/* 64 integers of 8 bits, and their sums over each 16: packing leaves four of each half of a vector in each quarter. */
VB_INLINE void vi_store_i8(int8_t p[64], int32_t sums[4], const vi x[4])
{
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7), one = _mm256_set1_epi8(1);
    __m256i y[2];
    VB_UNROLL
    for (int i = 0; i < 2; i++) {
        const vi *two = x + 2 * i;
        __m256i low = _mm256_packs_epi32(two[0].a, two[0].b), high = _mm256_packs_epi32(two[1].a, two[1].b);
        __m256i bytes = _mm256_packs_epi16(low, high);
        y[i] = _mm256_madd_epi16(_mm256_maddubs_epi16(one, bytes), _mm256_set1_epi16(1));
        _mm256_storeu_si256((__m256i *)(void *)(p + 32 * i), _mm256_permutevar8x32_epi32(bytes, order));
    }
    __m256i pairs = _mm256_hadd_epi32(y[0], y[1]);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
    _mm_storeu_si128((__m128i *)(void *)sums, sum);
}

/* --- ordered sums ------------------------------------------------------------------------------------------ */
VB_INLINE float vf_tree(vf x) { return v8f_tree(_mm256_add_ps(x.a, x.b)); } /* E1: 8, 4, 2, 1 */

VB_INLINE float vf_most(vf x)
{
    __m256 y = _mm256_max_ps(x.a, x.b);
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

/* Four vectors: lane j of vector i goes to lane i of vector j in each of both halves of a register. */
VB_INLINE void turn4(__m256 x[4])
{
    __m256d a = _mm256_castps_pd(_mm256_unpacklo_ps(x[0], x[1])), b = _mm256_castps_pd(_mm256_unpackhi_ps(x[0], x[1]));
    __m256d c = _mm256_castps_pd(_mm256_unpacklo_ps(x[2], x[3])), d = _mm256_castps_pd(_mm256_unpackhi_ps(x[2], x[3]));
    x[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, c));
    x[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, c));
    x[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(b, d));
    x[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(b, d));
}

/* 16 vectors turned: lane j of vector i goes to lane i of vector j. */
VB_INLINE void vf_turn(vf x[16])
{
    __m256 y[2][16]; /* lanes 0-7 of all, then lanes 8-15 */
    for (int i = 0; i < 16; i++) {
        y[0][i] = x[i].a;
        y[1][i] = x[i].b;
    }
    for (int i = 0; i < 16; i += 4) {
        turn4(y[0] + i);
        turn4(y[1] + i);
    }
    for (int i = 0; i < 8; i++) {
        __m256 *z = y[i / 4] + i % 4;
        x[i / 4 * 8 + i % 4].a = _mm256_permute2f128_ps(z[0], z[4], 0x20);
        x[i / 4 * 8 + i % 4].b = _mm256_permute2f128_ps(z[8], z[12], 0x20);
        x[i / 4 * 8 + i % 4 + 4].a = _mm256_permute2f128_ps(z[0], z[4], 0x31);
        x[i / 4 * 8 + i % 4 + 4].b = _mm256_permute2f128_ps(z[8], z[12], 0x31);
    }
}
