/* panel_avx2.h - panels of 16 rows for t_matmul.inc with AVX2: two registers of eight rows, four tokens. Products are
 * those of maddubs, or dpbusd where the machine has it (AVX-VNNI).
 *
 *   16 bits     maddubs adds two neighbours, which must fit: 2 * (2^bits - 1) * 127 < 2^15. A sum of its results only
 *               has to fit at its end, where madd makes 32 bits of it; before that additions may wrap. Of unsigned
 *               weights n quads fit if 2 * n * (2^bits - 1) * 127 < 2^15. A bias is subtracted here, by a strip's line
 *               of words; then it is 2 * n * 2^(bits - 1) * 127, and 8 quads of 5 bits fit, or 4 of 6
 *   8-bit       weights are magnitudes u = |w| up to 128 and signs m, which are 0 or -1: where w is negative,
 *               u * (x ^ -1) = u * (-x - 1) = w * x - u, so that u * (x ^ m) lacks the sum of those u, whatever x is:
 *               the panel keeps it as `back`. x lies in [-127, 127] and x ^ m in [-128, 127]; two products are at least
 *               2 * 128 * -128 = -2^15 and at most 2 * 127 * 127: nothing saturates. An exclusive or goes to any of a
 *               core's pipes, a sign instruction to few, one of them a multiplier's.
 */
#ifndef VB_SIMD_PANEL_AVX2_H
#define VB_SIMD_PANEL_AVX2_H
#include "simd/panel.h"

enum { PANEL_LANES = 8, PANEL_ROWS = 16, PANEL_VECTORS = 2, PANEL_TOKENS = 4, STRIP_LINE = 4 * PANEL_TOKENS,
       FLOAT_TOKENS = 6 };
/* From so many tokens on panels are faster than matvec and matvec4 (kernelcheck --bench --filter crossover). */
enum { FROM_F32 = 10, FROM_Q32 = 12, FROM_Q256 = 10 };
#ifdef DPBUSD
enum { PANEL_SIGNED_8 = 0, PANEL_SIGNS = 0 };
#define PANEL_WORDS 0
#else
enum { PANEL_SIGNED_8 = 1, PANEL_SIGNS = 1 };
#define PANEL_WORDS 1
#endif

typedef __m256i pi;
typedef __m256 pf;

VB_INLINE pi pi_load(const void *p) { return LOAD32(p); }
VB_INLINE pi pi_all(int32_t x) { return _mm256_set1_epi32(x); }
VB_INLINE pi pi_sub(pi x, pi y) { return _mm256_sub_epi32(x, y); }
VB_INLINE pi pi_times(pi x, int by) { return _mm256_mullo_epi32(x, _mm256_set1_epi32(by)); }
VB_INLINE pf pf_zero(void) { return _mm256_setzero_ps(); }
VB_INLINE pf pf_all(float x) { return _mm256_set1_ps(x); }
VB_INLINE pf pf_load(const void *p) { return _mm256_loadu_ps(p); }
VB_INLINE pf pf_of(pi x) { return _mm256_cvtepi32_ps(x); }
VB_INLINE pf pf_add(pf x, pf y) { return _mm256_add_ps(x, y); }
VB_INLINE pf pf_sub(pf x, pf y) { return _mm256_sub_ps(x, y); }
VB_INLINE pf pf_mul(pf x, pf y) { return _mm256_mul_ps(x, y); }
VB_INLINE pf pf_times(pf x, const float *p) { return _mm256_mul_ps(x, _mm256_broadcast_ss(p)); }
VB_INLINE void pf_store(float *p, pf x) { _mm256_storeu_ps(p, x); }

/* Four bytes, or two words, everywhere. */
VB_INLINE pi pi_spread(const void *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return _mm256_set1_epi32(x);
}

/* sum + the products of 16-bit pairs */
VB_INLINE pi pi_pairs(pi sum, pi x, pi y)
{
    return scaled(sum, x, y);
}

/* 32 bytes of each of 16 rows, `stride` bytes apart, to 8 quads of 16 rows; `bias` is added to every byte. */
VB_INLINE void panel_turn(uint8_t *to, const int8_t *rows, int stride, int bias)
{
    for (int half = 0; half < 2; half++) {
        __m256i r[8], s[8];
        VB_UNROLL
        for (int i = 0; i < 8; i++) {
            r[i] = LOAD32(rows + (8 * half + i) * stride);
            r[i] = _mm256_add_epi8(r[i], _mm256_set1_epi8((char)bias));
        }
        VB_UNROLL
        for (int i = 0; i < 4; i++) {
            s[2 * i] = _mm256_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
            s[2 * i + 1] = _mm256_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
        }
        VB_UNROLL
        for (int i = 0; i < 4; i++) { /* quads i and i + 4: rows 0 to 3, then 4 to 7 */
            int k = i / 2;
            __m256i a = s[k], b = s[2 + k], c = s[4 + k], d = s[6 + k];
            r[i] = i % 2 == 0 ? _mm256_unpacklo_epi64(a, b) : _mm256_unpackhi_epi64(a, b);
            r[4 + i] = i % 2 == 0 ? _mm256_unpacklo_epi64(c, d) : _mm256_unpackhi_epi64(c, d);
        }
        VB_UNROLL
        for (int i = 0; i < 4; i++) {
            uint8_t *p = to + 64 * i + 32 * half;
            _mm256_storeu_si256((__m256i *)(void *)p, _mm256_permute2x128_si256(r[i], r[4 + i], 0x20));
            _mm256_storeu_si256((__m256i *)(void *)(p + 256), _mm256_permute2x128_si256(r[i], r[4 + i], 0x31));
        }
    }
}

/* Formats whose bytes are turned before they are unpacked, which is the same work for eight rows at once. */
#define PANEL_TURNS_FIRST

/* 16 bytes of each of 8 rows as four quads. */
VB_INLINE void turn16(pi q[4], const uint8_t *const row[], size_t at)
{
    pi r[4];
    VB_UNROLL
    for (int i = 0; i < 4; i++)
        r[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(LOAD16(row[i] + at)), LOAD16(row[i + 4] + at), 1);
    pi s0 = _mm256_unpacklo_epi32(r[0], r[1]), s1 = _mm256_unpackhi_epi32(r[0], r[1]);
    pi s2 = _mm256_unpacklo_epi32(r[2], r[3]), s3 = _mm256_unpackhi_epi32(r[2], r[3]);
    q[0] = _mm256_unpacklo_epi64(s0, s2);
    q[1] = _mm256_unpackhi_epi64(s0, s2);
    q[2] = _mm256_unpacklo_epi64(s1, s3);
    q[3] = _mm256_unpackhi_epi64(s1, s3);
}

VB_INLINE pi bytes_low(pi x) { return _mm256_and_si256(x, _mm256_set1_epi8(15)); }
VB_INLINE pi bytes_high(pi x) { return bytes_low(_mm256_srli_epi16(x, 4)); }
VB_INLINE pi bytes_plus(pi x, int more) { return _mm256_add_epi8(x, _mm256_set1_epi8((char)more)); }
VB_INLINE pi bytes_of_book(pi x, const int8_t book[16])
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(LOAD16(book)), x);
}

/* Adds 16 to the bytes of quad i whose bits, 4 * i to 4 * i + 3 of each row's word, are set. */
VB_INLINE pi bytes_fifth(pi x, pi words, int i)
{
    const pi word = _mm256_broadcastsi128_si256(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c));
    pi bit = _mm256_set1_epi32(i % 2 == 0 ? 0x08040201 : (int)0x80402010);
    pi spread = _mm256_and_si256(_mm256_shuffle_epi8(words, bytes_plus(word, i / 2)), bit);
    return _mm256_or_si256(x, _mm256_and_si256(_mm256_cmpeq_epi8(spread, bit), _mm256_set1_epi8(16)));
}

/* Keeps a sum in its register: without it gcc moves all products before all sums and has no room for them. */
#define STAY(x) __asm__("" : "+x"(x))

#ifdef DPBUSD
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
    for (int i = 0; i < 2 * tokens; i++) e[i] = scales == NULL ? c[i] : _mm256_setzero_si256();
    for (int j = 0; j < k.quads; j++, w += 64) {
        pi w0 = LOAD32(w), w1 = LOAD32(w + 32);
        VB_UNROLL
        for (int t = 0; t < tokens; t++) {
            pi y = pi_spread(x + STRIP_LINE * j + 4 * t);
            e[2 * t] = DPBUSD(e[2 * t], w0, y);
            e[2 * t + 1] = DPBUSD(e[2 * t + 1], w1, y);
            STAY(e[2 * t]);
            STAY(e[2 * t + 1]);
        }
    }
    VB_UNROLL
    for (int i = 0; i < 2 * tokens; i++)
        c[i] = scales == NULL ? e[i] : _mm256_add_epi32(c[i], _mm256_mullo_epi32(e[i], LOAD32(scales + i % 2 * 32)));
}
#else
/* A quad of weights as magnitudes and, a line behind, signs; what these take from sums joins back. */
VB_INLINE pi put_8(uint8_t *to, pi w, pi back)
{
    pi u = _mm256_abs_epi8(w), m = _mm256_cmpgt_epi8(_mm256_setzero_si256(), w);
    memcpy(to, &u, sizeof u);
    memcpy(to + 64, &m, sizeof m);
    return products(back, _mm256_and_si256(u, m), _mm256_set1_epi8(1));
}

VB_INLINE void signed_quads(pi c[], const uint8_t *w, const uint8_t *x, int tokens, int quads, const pi scale[2])
{
    VB_UNROLL
    for (int j = 0; j < quads; j++, w += 128) {
        pi u0 = LOAD32(w), u1 = LOAD32(w + 32), m0 = LOAD32(w + 64), m1 = LOAD32(w + 96);
        VB_UNROLL
        for (int t = 0; t < tokens; t++) {
            pi y = pi_spread(x + STRIP_LINE * j + 4 * t);
            c[2 * t] = scaled(c[2 * t], _mm256_maddubs_epi16(u0, _mm256_xor_si256(y, m0)), scale[0]);
            c[2 * t + 1] = scaled(c[2 * t + 1], _mm256_maddubs_epi16(u1, _mm256_xor_si256(y, m1)), scale[1]);
            STAY(c[2 * t]);
            STAY(c[2 * t + 1]);
        }
    }
}

/* A run of quads short enough for sums of 16 bits; a bias is subtracted first. */
VB_INLINE void short_run(pi c[], const uint8_t *w, const uint8_t *x, int tokens, panel_part k, const pi scale[2])
{
    pi e[2 * PANEL_TOKENS];
    VB_UNROLL
    for (int t = 0; t < tokens; t++) {
        if (k.bias == 0) continue;
        e[2 * t] = e[2 * t + 1] = _mm256_mullo_epi16(pi_spread(k.less + 4 * t), _mm256_set1_epi16((short)k.bias));
    }
    VB_UNROLL
    for (int j = 0; j < k.quads; j++, w += 64) {
        pi w0 = LOAD32(w), w1 = LOAD32(w + 32);
        VB_UNROLL
        for (int t = 0; t < tokens; t++) {
            pi y = pi_spread(x + STRIP_LINE * j + 4 * t);
            pi p0 = _mm256_maddubs_epi16(w0, y), p1 = _mm256_maddubs_epi16(w1, y);
            e[2 * t] = j == 0 && k.bias == 0 ? p0 : _mm256_add_epi16(e[2 * t], p0);
            e[2 * t + 1] = j == 0 && k.bias == 0 ? p1 : _mm256_add_epi16(e[2 * t + 1], p1);
            STAY(e[2 * t]);
            STAY(e[2 * t + 1]);
        }
    }
    VB_UNROLL
    for (int i = 0; i < 2 * tokens; i++) c[i] = scaled(c[i], e[i], scale[i % 2]);
}

#define PANEL_LAYS
/* 32 bytes of each of four activations as eight lines: two registers of words become lines i and i + 4. */
VB_INLINE void lay_quads(uint8_t *to, const int8_t *const q[PANEL_TOKENS])
{
    __m256i a = LOAD32(q[0]), b = LOAD32(q[1]), c = LOAD32(q[2]), d = LOAD32(q[3]), line[4];
    __m256i ab = _mm256_unpacklo_epi32(a, b), cd = _mm256_unpacklo_epi32(c, d);
    line[0] = _mm256_unpacklo_epi64(ab, cd);
    line[1] = _mm256_unpackhi_epi64(ab, cd);
    ab = _mm256_unpackhi_epi32(a, b);
    cd = _mm256_unpackhi_epi32(c, d);
    line[2] = _mm256_unpacklo_epi64(ab, cd);
    line[3] = _mm256_unpackhi_epi64(ab, cd);
    VB_UNROLL
    for (int i = 0; i < 4; i++) {
        _mm_storeu_si128((__m128i *)(void *)(to + STRIP_LINE * i), _mm256_castsi256_si128(line[i]));
        _mm_storeu_si128((__m128i *)(void *)(to + STRIP_LINE * (i + 4)), _mm256_extracti128_si256(line[i], 1));
    }
}

/* Sums of q over 16 columns, or 32: of the first two and of the last two of each quad, negated. */
VB_INLINE int32_t words_less(const int8_t *q, int columns)
{
    const __m128i one = _mm_set1_epi8(1);
    __m128i s = _mm_maddubs_epi16(one, LOAD16(q));
    if (columns == 32) s = _mm_add_epi16(s, _mm_maddubs_epi16(one, LOAD16(q + 16)));
    s = _mm_add_epi16(s, _mm_unpackhi_epi64(s, s));
    s = _mm_add_epi16(s, _mm_shuffle_epi32(s, 1));
    return _mm_cvtsi128_si32(_mm_sub_epi16(_mm_setzero_si128(), s));
}

/* c[2t + v] += scale[v] * (weights . activation t) over some quads of a strip; no scales: 1. Scales are pairs of equal
 * words. */
VB_INLINE void panel_products(pi c[], const uint8_t *w, const uint8_t *x, int tokens, panel_part k)
{
    pi one = _mm256_set1_epi16(1);
    pi scale[2] = {k.scales == NULL ? one : LOAD32(k.scales), k.scales == NULL ? one : LOAD32(k.scales + 32)};
    int most = k.bits <= 4 || k.bias > 0 ? 8 : k.bits == 5 ? 4 : 2, quads = k.quads;
    if (k.bits == 8) {
        signed_quads(c, w, x, tokens, quads, scale);
        return;
    }
    k.quads = quads < most ? quads : most;
    VB_UNROLL
    for (int j = 0; j < quads; j += k.quads) short_run(c, w + 64 * j, x + STRIP_LINE * j, tokens, k, scale);
}
#endif
#endif
