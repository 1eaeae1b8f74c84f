/* panel_avx512.h - panels of 32 rows for t_matmul.inc with AVX-512 VNNI: two registers of sixteen rows, six tokens.
 * Weights are unsigned; dpbusd adds four products to 32 bits and does not saturate.
 */
#ifndef VB_SIMD_PANEL_AVX512_H
#define VB_SIMD_PANEL_AVX512_H
#include "simd/panel.h"

enum { PANEL_LANES = 16, PANEL_ROWS = 32, PANEL_VECTORS = 2, PANEL_TOKENS = 6, STRIP_LINE = 4 * PANEL_TOKENS,
       FLOAT_TOKENS = 8 };
/* From so many tokens on panels are faster than few rows (kernelcheck --bench --filter crossover). */
enum { FROM_F32 = 7, FROM_Q32 = VB_FEW + 1, FROM_Q256 = 2 * VB_FEW + 1 };
enum { PANEL_SIGNED_8 = 0, PANEL_SIGNS = 0 };
#define PANEL_WORDS 0

typedef __m512i pi;
typedef __m512 pf;

VB_INLINE pi pi_load(const void *p) { return LOAD64(p); }
VB_INLINE pi pi_all(int32_t x) { return _mm512_set1_epi32(x); }
VB_INLINE pi pi_sub(pi x, pi y) { return _mm512_sub_epi32(x, y); }
VB_INLINE pi pi_times(pi x, int by) { return _mm512_mullo_epi32(x, _mm512_set1_epi32(by)); }
VB_INLINE pf pf_zero(void) { return _mm512_setzero_ps(); }
VB_INLINE pf pf_all(float x) { return _mm512_set1_ps(x); }
VB_INLINE pf pf_load(const void *p) { return _mm512_loadu_ps(p); }
VB_INLINE pf pf_of(pi x) { return _mm512_cvtepi32_ps(x); }
VB_INLINE pf pf_add(pf x, pf y) { return _mm512_add_ps(x, y); }
VB_INLINE pf pf_sub(pf x, pf y) { return _mm512_sub_ps(x, y); }
VB_INLINE pf pf_mul(pf x, pf y) { return _mm512_mul_ps(x, y); }
VB_INLINE pf pf_times(pf x, const float *p) { return vf_times(x, p); }
VB_INLINE void pf_store(float *p, pf x) { _mm512_storeu_ps(p, x); }

/* Four bytes, or two words, everywhere. */
VB_INLINE pi pi_spread(const void *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return _mm512_set1_epi32(x);
}

/* sum + the products of 16-bit pairs */
VB_INLINE pi pi_pairs(pi sum, pi x, pi y)
{
    return _mm512_dpwssd_epi32(sum, x, y);
}

/* 32 bytes of rows i and i + 8. */
VB_INLINE __m512i two_rows(const int8_t *rows, int stride, int i)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(LOAD32(rows + i * stride)), LOAD32(rows + (i + 8) * stride), 1);
}

/* 32 bytes of each of 32 rows, `stride` bytes apart, to 8 quads of 32 rows; `bias` is added to every byte. */
VB_INLINE void panel_turn(uint8_t *to, const int8_t *rows, int stride, int bias)
{
    const __m512i even = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
    const __m512i odd = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    for (int half = 0; half < 2; half++) {
        __m512i r[8], s[8];
        VB_UNROLL
        for (int i = 0; i < 8; i++)
            r[i] = _mm512_add_epi8(two_rows(rows, stride, 16 * half + i), _mm512_set1_epi8((char)bias));
        VB_UNROLL
        for (int i = 0; i < 4; i++) {
            s[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
            s[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
        }
        VB_UNROLL
        for (int i = 0; i < 4; i++) { /* quads i and i + 4: rows 0 to 3 and 8 to 11, then 4 to 7 and 12 to 15 */
            int k = i / 2;
            __m512i a = s[k], b = s[2 + k], c = s[4 + k], d = s[6 + k];
            r[i] = i % 2 == 0 ? _mm512_unpacklo_epi64(a, b) : _mm512_unpackhi_epi64(a, b);
            r[4 + i] = i % 2 == 0 ? _mm512_unpacklo_epi64(c, d) : _mm512_unpackhi_epi64(c, d);
        }
        VB_UNROLL
        for (int i = 0; i < 4; i++) {
            uint8_t *p = to + 128 * i + 64 * half;
            _mm512_storeu_si512(p, _mm512_permutex2var_epi64(r[i], even, r[4 + i]));
            _mm512_storeu_si512(p + 512, _mm512_permutex2var_epi64(r[i], odd, r[4 + i]));
        }
    }
}

#define PANEL_LAYS
/* 32 bytes of each of six activations as eight lines: 48 words of three registers to three others. */
VB_INLINE void lay_quads(uint8_t *to, const int8_t *const q[PANEL_TOKENS])
{
#define LINE(J) J, 8 + J, 16 + J, 24 + J, 0, 0
#define ENDS(J) 6 * J % 16, (6 * J + 1) % 16, (6 * J + 2) % 16, (6 * J + 3) % 16, 16 + J, 24 + J
    static const int32_t four[48] = {LINE(0), LINE(1), LINE(2), LINE(3), LINE(4), LINE(5), LINE(6), LINE(7)};
    static const int32_t six[48] = {ENDS(0), ENDS(1), ENDS(2), ENDS(3), ENDS(4), ENDS(5), ENDS(6), ENDS(7)};
#undef LINE
#undef ENDS
    __m512i two[3];
    VB_UNROLL
    for (int i = 0; i < 3; i++)
        two[i] = _mm512_inserti64x4(_mm512_castsi256_si512(LOAD32(q[2 * i])), LOAD32(q[2 * i + 1]), 1);
    VB_UNROLL
    for (int i = 0; i < 3; i++) {
        __m512i lines = _mm512_permutex2var_epi32(two[0], LOAD64(four + 16 * i), two[1]);
        _mm512_storeu_si512(to + 64 * i, _mm512_permutex2var_epi32(lines, LOAD64(six + 16 * i), two[2]));
    }
}

/* Formats whose bytes are turned before they are unpacked, which is the same work for sixteen rows at once. */
#define PANEL_TURNS_FIRST

/* 16 bytes of each of 16 rows as four quads. */
VB_INLINE void turn16(pi q[4], const uint8_t *const row[], size_t at)
{
    pi r[4];
    VB_UNROLL
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_inserti32x4(_mm512_castsi128_si512(LOAD16(row[i] + at)), LOAD16(row[i + 4] + at), 1);
        r[i] = _mm512_inserti32x4(r[i], LOAD16(row[i + 8] + at), 2);
        r[i] = _mm512_inserti32x4(r[i], LOAD16(row[i + 12] + at), 3);
    }
    pi s0 = _mm512_unpacklo_epi32(r[0], r[1]), s1 = _mm512_unpackhi_epi32(r[0], r[1]);
    pi s2 = _mm512_unpacklo_epi32(r[2], r[3]), s3 = _mm512_unpackhi_epi32(r[2], r[3]);
    q[0] = _mm512_unpacklo_epi64(s0, s2);
    q[1] = _mm512_unpackhi_epi64(s0, s2);
    q[2] = _mm512_unpacklo_epi64(s1, s3);
    q[3] = _mm512_unpackhi_epi64(s1, s3);
}

VB_INLINE pi bytes_low(pi x) { return _mm512_and_si512(x, _mm512_set1_epi8(15)); }
VB_INLINE pi bytes_high(pi x) { return bytes_low(_mm512_srli_epi16(x, 4)); }
VB_INLINE pi bytes_plus(pi x, int more) { return _mm512_add_epi8(x, _mm512_set1_epi8((char)more)); }
VB_INLINE pi bytes_of_book(pi x, const int8_t book[16])
{
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(LOAD16(book)), x);
}

/* Adds 16 to the bytes of quad i whose bits, 4 * i to 4 * i + 3 of each row's word, are set. */
VB_INLINE pi bytes_fifth(pi x, pi words, int i)
{
    const pi word = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c));
    pi spread = _mm512_shuffle_epi8(words, bytes_plus(word, i / 2));
    pi bit = _mm512_set1_epi32(i % 2 == 0 ? 0x08040201 : (int)0x80402010);
    return _mm512_or_si512(x, _mm512_maskz_set1_epi8(_mm512_test_epi8_mask(spread, bit), 16));
}

VB_INLINE pi put_8(uint8_t *to, pi w, pi back)
{
    memcpy(to, &w, sizeof w);
    return back;
}

/* c[2t + v] += scale[v] * (weights . activation t) over some quads of a strip; no scales: 1. */
VB_INLINE void panel_products(pi c[], const uint8_t *w, const uint8_t *x, int tokens, panel_part k)
{
    pi e[2 * PANEL_TOKENS];
    const uint8_t *scales = k.scales;
    VB_UNROLL
    for (int t = 0; t < tokens; t++) {
        e[2 * t] = scales == NULL ? c[2 * t] : _mm512_setzero_si512();
        e[2 * t + 1] = scales == NULL ? c[2 * t + 1] : _mm512_setzero_si512();
    }
    VB_UNROLL
    for (int j = 0; j < k.quads; j++) {
        pi w0 = LOAD64(w + 128 * j), w1 = LOAD64(w + 128 * j + 64);
        VB_UNROLL
        for (int t = 0; t < tokens; t++) {
            pi y = pi_spread(x + STRIP_LINE * j + 4 * t);
            e[2 * t] = _mm512_dpbusd_epi32(e[2 * t], w0, y);
            e[2 * t + 1] = _mm512_dpbusd_epi32(e[2 * t + 1], w1, y);
        }
    }
    VB_UNROLL
    for (int t = 0; t < tokens; t++) {
        if (scales == NULL) {
            c[2 * t] = e[2 * t];
            c[2 * t + 1] = e[2 * t + 1];
            continue;
        }
        c[2 * t] = _mm512_add_epi32(c[2 * t], _mm512_mullo_epi32(e[2 * t], LOAD64(scales)));
        c[2 * t + 1] = _mm512_add_epi32(c[2 * t + 1], _mm512_mullo_epi32(e[2 * t + 1], LOAD64(scales + 64)));
    }
}

#endif
