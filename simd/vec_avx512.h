/* vec_avx512.h - vectors of AVX-512 (F, BW, VL, DQ): vf, vi of 16 lanes in one register; v8 and v4 are those of
 * vec_x86.h.
 *
 * Every float function is one rounded operation a lane (ARITHMETIC A2), or an ordered sum that says its order.
 */
#include "simd/vec_x86.h"

typedef __m512 vf;
typedef __m512i vi;
#define VF_REGISTERS 32
#define PAIRS 128

#define LOAD64(p) _mm512_loadu_si512((const void *)(p))

/* --- 16 floats --------------------------------------------------------------------------------------------- */
VB_INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
VB_INLINE vf vf_all(float x) { return _mm512_set1_ps(x); }
VB_INLINE vf vf_add(vf x, vf y) { return _mm512_add_ps(x, y); }
VB_INLINE vf vf_sub(vf x, vf y) { return _mm512_sub_ps(x, y); }
VB_INLINE vf vf_mul(vf x, vf y) { return _mm512_mul_ps(x, y); }
VB_INLINE vf vf_max(vf x, vf y) { return _mm512_max_ps(x, y); }

#define VF_TIMES
/* x * *p. The product's own load spreads *p: a load that spreads takes the place of an addition on Zen 4. */
VB_INLINE vf vf_times(vf x, const float *p)
{
    vf y;
    __asm__("vmulps %2%{1to16%}, %1, %0" : "=v"(y) : "v"(x), "m"(*p));
    return y;
}

/* The nearest integer, of two the even one; and x * 2^n for such an n. */
#define VF_POWERS
VB_INLINE vf vf_integer(vf x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
VB_INLINE vf vf_power(vf x, vf n) { return _mm512_scalef_ps(x, n); }

VB_INLINE vi vf_bits(vf x) { return _mm512_castps_si512(x); }
VB_INLINE vi vf_round(vf x) { return _mm512_cvtps_epi32(x); } /* B4 */
VB_INLINE void vf_store(float *p, vf x) { _mm512_storeu_ps(p, x); }

/* (x1, x0, x3, x2, ...) */
VB_INLINE vf vf_swap_pairs(vf x) { return _mm512_permute_ps(x, 0xb1); }

/* (p0, p0, p1, p1, ...) of 8 floats */
VB_INLINE vf vf_load_twice(const float *p)
{
    const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    return _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(_mm256_loadu_ps(p)));
}

/* --- 16 integers ------------------------------------------------------------------------------------------- */
VB_INLINE vi vi_all(int32_t x) { return _mm512_set1_epi32(x); }
VB_INLINE vi vi_add(vi x, vi y) { return _mm512_add_epi32(x, y); }
VB_INLINE vi vi_sub(vi x, vi y) { return _mm512_sub_epi32(x, y); }
VB_INLINE vi vi_and(vi x, vi y) { return _mm512_and_si512(x, y); }
VB_INLINE vi vi_or(vi x, vi y) { return _mm512_or_si512(x, y); }
VB_INLINE vi vi_xor(vi x, vi y) { return _mm512_xor_si512(x, y); }
VB_INLINE vi vi_max(vi x, vi y) { return _mm512_max_epi32(x, y); }
VB_INLINE vi vi_shift23(vi x) { return _mm512_slli_epi32(x, 23); }
VB_INLINE vf vi_float(vi x) { return _mm512_castsi512_ps(x); } /* the bits */

/* Masks: a bit a lane. */
#define VM_BITS
typedef __mmask16 vm;
VB_INLINE vm vi_over(vi x, vi y) { return _mm512_cmpgt_epi32_mask(x, y); }
VB_INLINE vm vm_or(vm m, vm n) { return _mm512_kor(m, n); }
VB_INLINE uint32_t vm_any(vm m) { return m != 0; }
VB_INLINE vi vi_without(vi x, vm m) { return _mm512_mask_mov_epi32(x, m, _mm512_setzero_si512()); }
VB_INLINE vf vm_pick(vm m, vf x, vf y) { return _mm512_mask_blend_ps(m, x, y); }

/* --- other types in memory --------------------------------------------------------------------------------- */
VB_INLINE vf vf_load_f16(const uint8_t *p) { return _mm512_cvtph_ps(LOAD32(p)); }
VB_INLINE vf vf_half(const uint8_t *p) { return _mm512_cvtph_ps(_mm256_set1_epi16((short)half_at(p))); }
VB_INLINE vf vf_load_i8(const int8_t *p) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(LOAD16(p))); }

VB_INLINE vf vf_load_bf16(const uint8_t *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(LOAD32(p)), 16));
}

VB_INLINE void vf_store_f16(uint8_t *p, vf x)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

/* 64 integers of 8 bits, and their sums over each 16: packing leaves four of each vector in each quarter. */
VB_INLINE void vi_store_i8(int8_t p[64], int32_t sums[4], const vi x[4])
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    vi bytes = _mm512_packs_epi16(_mm512_packs_epi32(x[0], x[1]), _mm512_packs_epi32(x[2], x[3]));
    vi fours = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), bytes);
    __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(fours), _mm512_extracti64x4_epi64(fours, 1));
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    _mm_storeu_si128((__m128i *)(void *)sums, sum);
    _mm512_storeu_si512(p, _mm512_permutexvar_epi32(order, bytes));
}

/* --- ordered sums ------------------------------------------------------------------------------------------ */
VB_INLINE v8f low_lanes(vf x) { return _mm512_castps512_ps256(x); }
VB_INLINE v8f high_lanes(vf x) { return _mm512_extractf32x8_ps(x, 1); }
VB_INLINE float vf_tree(vf x) { return v8f_tree(_mm256_add_ps(low_lanes(x), high_lanes(x))); } /* E1: 8, 4, 2, 1 */
VB_INLINE float vf_most(vf x) { return _mm512_reduce_max_ps(x); }

/* 16 vectors turned: lane j of vector i goes to lane i of vector j. Pairs of lanes, fours, quarters. */
VB_INLINE void vf_turn(vf x[16])
{
    vf a[16];
    VB_UNROLL
    for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_ps(x[i], x[i + 1]);
        a[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
    }
    VB_UNROLL
    for (int i = 0; i < 8; i++) {
        int from = i / 2 * 4 + i % 2;
        __m512d low = _mm512_castps_pd(a[from]), high = _mm512_castps_pd(a[from + 2]);
        x[i / 2 * 4 + i % 2 * 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
        x[i / 2 * 4 + i % 2 * 2 + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
    VB_UNROLL
    for (int i = 0; i < 4; i++) {
        vf even0 = _mm512_shuffle_f32x4(x[i], x[4 + i], 0x88), odd0 = _mm512_shuffle_f32x4(x[i], x[4 + i], 0xdd);
        vf even1 = _mm512_shuffle_f32x4(x[8 + i], x[12 + i], 0x88), odd1 = _mm512_shuffle_f32x4(x[8 + i], x[12 + i], 0xdd);
        x[i] = _mm512_shuffle_f32x4(even0, even1, 0x88);
        x[4 + i] = _mm512_shuffle_f32x4(odd0, odd1, 0x88);
        x[8 + i] = _mm512_shuffle_f32x4(even0, even1, 0xdd);
        x[12 + i] = _mm512_shuffle_f32x4(odd0, odd1, 0xdd);
    }
}

/* --- 16 lanes: terms of blocks ------------------------------------------------------------------------------- */
VB_INLINE vf vf_of(vi x) { return _mm512_cvtepi32_ps(x); }
VB_INLINE vi vi_load(const int32_t *p) { return LOAD64(p); }

/* Words of eight blocks, four in each load of 64 bytes: block i's at word (bytes * i + at) / 2 of its load. */
VB_INLINE __m128i words8(const uint8_t *p, int bytes, int at)
{
#define WORD(i) (short)(((i) / 4 * 64 + (i) % 4 * bytes + at) / 2)
    const __m128i places = _mm_setr_epi16(WORD(0), WORD(1), WORD(2), WORD(3), WORD(4), WORD(5), WORD(6), WORD(7));
#undef WORD
    __m512i words = _mm512_permutex2var_epi16(LOAD64(p), _mm512_castsi128_si512(places), LOAD64(p + 4 * bytes));
    return _mm512_castsi512_si128(words);
}

/* The same of four blocks longer than 20 bytes, two in each load. */
VB_INLINE __m128i words4(const uint8_t *p, int bytes, int at)
{
    const short first = (short)(at / 2), second = (short)((bytes + at) / 2);
    if (bytes > 30) {
        __m128i places = _mm_setr_epi16(first, second, 32 | first, 32 | second, 0, 0, 0, 0);
        __m512i words = _mm512_permutex2var_epi16(LOAD64(p), _mm512_castsi128_si512(places), LOAD64(p + 2 * bytes));
        return _mm512_castsi512_si128(words);
    }
    __m128i places = _mm_setr_epi16(first, second, 16 | first, 16 | second, 0, 0, 0, 0);
    __m256i words = _mm256_permutex2var_epi16(LOAD32(p), _mm256_castsi128_si256(places), LOAD32(p + 2 * bytes));
    return _mm256_castsi256_si128(words);
}

/* The words at place `at` of sixteen blocks. */
VB_INLINE __m256i words16(const uint8_t *p, int bytes, int at)
{
    __m128i low, high;
    if (bytes <= 20) {
        low = words8(p, bytes, at);
        high = words8(p + 8 * bytes, bytes, at);
    } else {
        low = _mm_unpacklo_epi64(words4(p, bytes, at), words4(p + 4 * bytes, bytes, at));
        high = _mm_unpacklo_epi64(words4(p + 8 * bytes, bytes, at), words4(p + 12 * bytes, bytes, at));
    }
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

VB_INLINE vf vf_halves(const uint8_t *p, int bytes, int at) { return _mm512_cvtph_ps(words16(p, bytes, at)); }

/* Powers of two from the first bytes of blocks of 17 bytes: a byte at an odd place is the upper one of its word. */
VB_INLINE vf vf_exponents(const uint8_t *p)
{
    const __m512i odd = _mm512_setr_epi32(0, 8, 0, 8, 0, 8, 0, 8, 0, 8, 0, 8, 0, 8, 0, 8);
    __m512i e = _mm512_cvtepu16_epi32(words16(p, MXFP4_BYTES, 0));
    e = _mm512_and_si512(_mm512_srlv_epi32(e, odd), _mm512_set1_epi32(255));
    __mmask16 enough = _mm512_cmpgt_epi32_mask(e, _mm512_set1_epi32(67));
    return _mm512_castsi512_ps(_mm512_maskz_slli_epi32(enough, _mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23));
}
