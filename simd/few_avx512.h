/* few_avx512.h - blocks of sixteen rows side by side for t_few.inc with AVX-512 VNNI: 16 bytes of each row are loaded
 * into the quarters of four registers and turned, so that a register holds the same four bytes of all rows.
 *
 *   rows 0 4 8 12 | rows 1 5 9 13 | rows 2 6 10 14 | rows 3 7 11 15    four loads of 16 bytes a register
 *   bytes 0-3 of rows 0 to 15 | bytes 4-7 | bytes 8-11 | bytes 12-15   after it
 *
 * Weights are unsigned, biased as t_few.inc says. Nothing behind a block is read.
 */
#include "simd/side.h"

enum { SIDES = 2 }; /* so many times PANEL_LANES rows share what is loaded of an activation */

/* 16 bytes at place `at` of each quarter's row. */
VB_INLINE __m512i side_rows(const side_place *w, size_t at)
{
    __m512i x = _mm512_castsi128_si512(LOAD16(w->row[0] + at));
    x = _mm512_inserti32x4(x, LOAD16(w->row[1] + at), 1);
    x = _mm512_inserti32x4(x, LOAD16(w->row[2] + at), 2);
    return _mm512_inserti32x4(x, LOAD16(w->row[3] + at), 3);
}

/* 16 bytes of every row, four a register. */
VB_INLINE void side_columns(__m512i to[4], const side_place *w, size_t at)
{
    __m512i a = side_rows(w, at), b = side_rows(w, at + w->stride);
    __m512i c = side_rows(w, at + 2 * w->stride), d = side_rows(w, at + 3 * w->stride);
    __m512i ab = _mm512_unpacklo_epi32(a, b), cd = _mm512_unpacklo_epi32(c, d);
    to[0] = _mm512_unpacklo_epi64(ab, cd);
    to[1] = _mm512_unpackhi_epi64(ab, cd);
    ab = _mm512_unpackhi_epi32(a, b), cd = _mm512_unpackhi_epi32(c, d);
    to[2] = _mm512_unpacklo_epi64(ab, cd);
    to[3] = _mm512_unpackhi_epi64(ab, cd);
}

/* n times 16 bytes of every row. */
VB_INLINE void side_many(__m512i *to, const side_place *w, int at, int n)
{
    VB_UNROLL
    for (int i = 0; i < n; i++) side_columns(to + 4 * i, w, (size_t)(at + 16 * i));
}

/* Halves in the lower or upper words as floats. */
VB_INLINE __m512 low_halves(__m512i x) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(x)); }
VB_INLINE __m512 high_halves(__m512i x) { return low_halves(_mm512_srli_epi32(x, 16)); }

/* Bytes of each lane by their numbers, 128: zero. */
VB_INLINE __m512i bytes_of_lanes(__m512i x, int b0, int b1, int b2, int b3)
{
    const __m128i lanes = _mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c);
    __m128i places = _mm_set1_epi32(b0 | b1 << 8 | b2 << 16 | (int)((uint32_t)b3 << 24));
    return _mm512_shuffle_epi8(x, _mm512_broadcast_i32x4(_mm_or_si128(places, lanes)));
}

/* Bits of x under `mask` in each byte join y; x goes `left` places to the left, or to the right. */
VB_INLINE __m512i with_bits(__m512i y, __m512i x, int left, int mask)
{
    x = left >= 0 ? _mm512_slli_epi32(x, (unsigned)left) : _mm512_srli_epi32(x, (unsigned)-left);
    return _mm512_or_si512(y, _mm512_and_si512(x, _mm512_set1_epi8((char)mask)));
}

/* --- products ------------------------------------------------------------------------------------------------ */

/* sum[v] += 4n columns of rows of each side times x */
VB_INLINE void few_products(__m512i sum[2], const __m512i *q0, const __m512i *q1, const int8_t *x, int n)
{
    VB_UNROLL
    for (int i = 0; i < n; i++) {
        __m512i y = pi_spread(x + 4 * i);
        sum[0] = _mm512_dpbusd_epi32(sum[0], q0[i], y);
        sum[1] = _mm512_dpbusd_epi32(sum[1], q1[i], y);
    }
}

/* sum + 4n columns of rows times x */
VB_INLINE __m512i few_product(__m512i sum, const __m512i *q, const int8_t *x, int n)
{
    VB_UNROLL
    for (int i = 0; i < n; i++) sum = _mm512_dpbusd_epi32(sum, q[i], pi_spread(x + 4 * i));
    return sum;
}

VB_INLINE __m512i few_scaled(__m512i sum, __m512i products, __m512i scale)
{
    return _mm512_add_epi32(sum, _mm512_mullo_epi32(products, scale));
}

/* --- blocks of 32 -------------------------------------------------------------------------------------------- */

VB_INLINE void side_nibbles(__m512i q[8], const side_place *w, int at)
{
    __m512i r[4];
    side_columns(r, w, (size_t)at);
    VB_UNROLL
    for (int i = 0; i < 4; i++) {
        q[i] = low_nibbles64(r[i]);
        q[4 + i] = high_nibbles64(r[i]);
    }
}

VB_INLINE void side_q4_0(side32 *s, const side_place *w)
{
    __m512i head[4];
    side_columns(head, w, 0);
    side_nibbles(s->q, w, 2);
    s->d = low_halves(head[0]);
}

VB_INLINE void side_q4_1(side32 *s, const side_place *w)
{
    __m512i head[4];
    side_columns(head, w, 0);
    side_nibbles(s->q, w, 4);
    s->d = low_halves(head[0]);
    s->m = high_halves(head[0]);
}

/* Sixteens are added to bytes whose fifth bit is set: bits 4i to 4i + 3 belong to register i. */
VB_INLINE void side_fifths(__m512i q[8], __m512i bits)
{
    VB_UNROLL
    for (int i = 0; i < 8; i++) {
        __m512i bit = _mm512_set1_epi32(i % 2 == 0 ? 0x08040201 : (int)0x80402010);
        __mmask64 set = _mm512_test_epi8_mask(bytes_of_lanes(bits, i / 2, i / 2, i / 2, i / 2), bit);
        q[i] = _mm512_mask_add_epi8(q[i], set, q[i], _mm512_set1_epi8(16));
    }
}

VB_INLINE void side_q5_0(side32 *s, const side_place *w)
{
    __m512i head[4];
    side_columns(head, w, 0);
    side_nibbles(s->q, w, 6);
    side_fifths(s->q, _mm512_or_si512(_mm512_srli_epi32(head[0], 16), _mm512_slli_epi32(head[1], 16)));
    s->d = low_halves(head[0]);
}

VB_INLINE void side_q5_1(side32 *s, const side_place *w)
{
    __m512i head[4];
    side_columns(head, w, 0);
    side_nibbles(s->q, w, 8);
    side_fifths(s->q, head[1]);
    s->d = low_halves(head[0]);
    s->m = high_halves(head[0]);
}

VB_INLINE void side_q8_0(side32 *s, const side_place *w)
{
    __m512i head[4];
    side_columns(head, w, 0);
    side_many(s->q, w, 2, 2);
    VB_UNROLL
    for (int i = 0; i < 8; i++) s->q[i] = _mm512_xor_si512(s->q[i], _mm512_set1_epi8(-128));
    s->d = low_halves(head[0]);
}

VB_INLINE void side_codes(__m512i *q, int n, __m512i book)
{
    VB_UNROLL
    for (int i = 0; i < n; i++) q[i] = _mm512_shuffle_epi8(book, q[i]);
}

VB_INLINE void side_iq4_nl(side32 *s, const side_place *w)
{
    side_q4_0(s, w);
    side_codes(s->q, 8, book_plus(UNEVEN, 128));
}

VB_INLINE void side_mxfp4(side32 *s, const side_place *w)
{
    __m512i head[4];
    side_columns(head, w, 0);
    side_nibbles(s->q, w, 1);
    side_codes(s->q, 8, book_plus(E2M1, 16));
    __m512i e = _mm512_and_si512(head[0], _mm512_set1_epi32(255));
    __mmask16 enough = _mm512_cmpgt_epi32_mask(e, _mm512_set1_epi32(67));
    e = _mm512_maskz_slli_epi32(enough, _mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
    s->d = _mm512_castsi512_ps(e);
}

/* --- blocks of 256 ------------------------------------------------------------------------------------------- */

/* Scales s and s + 1 of bytes[s / 4], in pairs of words; signed ones have their bytes in the upper halves first. */
VB_INLINE __m512i unsigned_pair(__m512i bytes, int b) { return bytes_of_lanes(bytes, b, 128, b + 1, 128); }
VB_INLINE __m512i signed_pair(__m512i bytes, int b) { return _mm512_srai_epi16(bytes_of_lanes(bytes, 128, b, 128, b + 1), 8); }
VB_INLINE __m512i unsigned_scale(__m512i bytes, int b) { return bytes_of_lanes(bytes, b, 128, 128, 128); }
VB_INLINE __m512i signed_scale(__m512i bytes, int b) { return _mm512_srai_epi32(bytes_of_lanes(bytes, 128, 128, 128, b), 24); }

/* Sixteen scales, four bytes a register, and once more in pairs. */
VB_INLINE void signed_scales(side256 *s, const __m512i bytes[4])
{
    VB_UNROLL
    for (int i = 0; i < 4; i++) {
        VB_UNROLL
        for (int b = 0; b < 4; b++) s->scale[4 * i + b] = signed_scale(bytes[i], b);
        s->pairs[2 * i] = signed_pair(bytes[i], 0);
        s->pairs[2 * i + 1] = signed_pair(bytes[i], 2);
    }
}

/* n scales of n / 4 registers, and the mins beside them in pairs. */
VB_INLINE void scales_and_mins(side256 *s, const __m512i *scales, const __m512i *mins, int n)
{
    VB_UNROLL
    for (int i = 0; i < n / 4; i++) {
        VB_UNROLL
        for (int b = 0; b < 4; b++) s->scale[4 * i + b] = unsigned_scale(scales[i], b);
        s->pairs[2 * i] = unsigned_pair(mins[i], 0);
        s->pairs[2 * i + 1] = unsigned_pair(mins[i], 2);
    }
}

/* d, m and the 12 packed bytes (unpack_scales_q4_k). */
VB_INLINE void side_head_q4_k(side256 *s, const side_place *w)
{
    const __m512i six = _mm512_set1_epi8(63), four_bits = _mm512_set1_epi8(15);
    __m512i head[4], scales[2], mins[2];
    side_columns(head, w, 0);
    scales[0] = _mm512_and_si512(head[1], six);
    mins[0] = _mm512_and_si512(head[2], six);
    scales[1] = with_bits(_mm512_and_si512(head[3], four_bits), head[1], -2, 0x30);
    mins[1] = with_bits(high_nibbles64(head[3]), head[2], -2, 0x30);
    scales_and_mins(s, scales, mins, 8);
    s->d = low_halves(head[0]);
    s->m = high_halves(head[0]);
}

VB_INLINE void side_q4_k(side256 *s, const side_place *w)
{
    side_head_q4_k(s, w);
    for (int i = 0; i < 4; i++) {
        __m512i r[8];
        side_many(r, w, Q4_K_NIBBLES + 32 * i, 2);
        VB_UNROLL
        for (int j = 0; j < 8; j++) {
            s->q[16 * i + j] = low_nibbles64(r[j]);
            s->q[16 * i + 8 + j] = high_nibbles64(r[j]);
        }
    }
}

VB_INLINE void side_q5_k(side256 *s, const side_place *w)
{
    __m512i fifths[8];
    side_head_q4_k(s, w);
    side_many(fifths, w, Q5_K_FIFTHS, 2);
    VB_UNROLL
    for (int i = 0; i < 4; i++) {
        __m512i r[8];
        side_many(r, w, Q5_K_NIBBLES + 32 * i, 2);
        VB_UNROLL
        for (int j = 0; j < 8; j++) {
            s->q[16 * i + j] = with_bits(low_nibbles64(r[j]), fifths[j], 4 - 2 * i, 16);
            s->q[16 * i + 8 + j] = with_bits(high_nibbles64(r[j]), fifths[j], 3 - 2 * i, 16);
        }
    }
}

VB_INLINE void side_q6_k(side256 *s, const side_place *w)
{
    __m512i bytes[4], last[4];
    side_columns(bytes, w, Q6_K_SCALES);
    side_columns(last, w, Q6_K_D - 14);
    signed_scales(s, bytes);
    s->d = high_halves(last[3]);
    for (int half = 0; half < 2; half++) {
        __m512i low[16], high[8], *q = s->q + 32 * half;
        side_many(low, w, 64 * half, 4);
        side_many(high, w, Q6_K_HIGH + 32 * half, 2);
        VB_UNROLL
        for (int j = 0; j < 8; j++) {
            q[j] = with_bits(low_nibbles64(low[j]), high[j], 4, 0x30);
            q[8 + j] = with_bits(low_nibbles64(low[8 + j]), high[j], 2, 0x30);
            q[16 + j] = with_bits(high_nibbles64(low[j]), high[j], 0, 0x30);
            q[24 + j] = with_bits(high_nibbles64(low[8 + j]), high[j], -2, 0x30);
        }
    }
}

/* Pairs of bits: 32 columns a place, 128 a half of the 64 bytes. */
VB_INLINE void side_pairs(__m512i q[64], const side_place *w, int at)
{
    for (int half = 0; half < 2; half++) {
        __m512i r[8];
        side_many(r, w, at + 32 * half, 2);
        VB_UNROLL
        for (int k = 0; k < 4; k++) {
            VB_UNROLL
            for (int j = 0; j < 8; j++) q[32 * half + 8 * k + j] = with_bits(_mm512_setzero_si512(), r[j], -2 * k, 3);
        }
    }
}

VB_INLINE void side_q2_k(side256 *s, const side_place *w)
{
    __m512i packed[4], last[4], mins[4];
    side_columns(packed, w, 0);
    side_columns(last, w, Q2_K_D - 12);
    VB_UNROLL
    for (int i = 0; i < 4; i++) {
        mins[i] = high_nibbles64(packed[i]);
        packed[i] = low_nibbles64(packed[i]);
    }
    scales_and_mins(s, packed, mins, 16);
    s->d = low_halves(last[3]);
    s->m = high_halves(last[3]);
    side_pairs(s->q, w, Q2_K_PAIRS);
}

/* The last 14 bytes of a block are scales and d (unpack_scales_q3_k); `last` begins two bytes before them. */
VB_INLINE void side_last_q3_k(side256 *s, const __m512i last[4])
{
    __m512i p[3], bytes[4];
    VB_UNROLL
    for (int i = 0; i < 3; i++)
        p[i] = _mm512_or_si512(_mm512_srli_epi32(last[i], 16), _mm512_slli_epi32(last[i + 1], 16));
    VB_UNROLL
    for (int i = 0; i < 4; i++) {
        bytes[i] = i < 2 ? low_nibbles64(p[i]) : high_nibbles64(p[i - 2]);
        bytes[i] = _mm512_sub_epi8(with_bits(bytes[i], p[2], 4 - 2 * i, 0x30), _mm512_set1_epi8(32));
    }
    signed_scales(s, bytes);
    s->d = high_halves(last[3]);
}

VB_INLINE void side_q3_k(side256 *s, const side_place *w)
{
    __m512i thirds[8], last[4];
    side_columns(last, w, Q3_K_SCALES - 2);
    side_last_q3_k(s, last);
    side_many(thirds, w, 0, 2);
    side_pairs(s->q, w, Q3_K_PAIRS);
    VB_UNROLL
    for (int i = 0; i < 8; i++) {
        VB_UNROLL
        for (int j = 0; j < 8; j++) s->q[8 * i + j] = with_bits(s->q[8 * i + j], thirds[j], 2 - i, 4);
    }
}

/* Scales have their low four bits in bytes 4-7, their high two in bytes 2 and 3 (unpack_scales_iq4_xs). */
VB_INLINE void side_head_iq4_xs(side256 *s, const __m512i head[4])
{
    VB_UNROLL
    for (int i = 0; i < 8; i++) {
        __m512i low = _mm512_and_si512(_mm512_srli_epi32(head[1], (unsigned)(4 * i)), _mm512_set1_epi32(15));
        __m512i high = _mm512_srli_epi32(head[0], (unsigned)(12 + 2 * i));
        high = _mm512_and_si512(high, _mm512_set1_epi32(0x30));
        s->scale[i] = _mm512_sub_epi32(_mm512_or_si512(low, high), _mm512_set1_epi32(32));
    }
    VB_UNROLL
    for (int i = 0; i < 4; i++)
        s->pairs[i] = _mm512_mask_blend_epi16(0xaaaaaaaa, s->scale[2 * i], _mm512_slli_epi32(s->scale[2 * i + 1], 16));
    s->d = low_halves(head[0]);
}

VB_INLINE void side_iq4_xs(side256 *s, const side_place *w)
{
    __m512i head[4];
    side_columns(head, w, 0);
    side_head_iq4_xs(s, head);
    for (int i = 0; i < 8; i++) side_nibbles(s->q + 8 * i, w, IQ4_XS_NIBBLES + 16 * i);
    for (int i = 0; i < 8; i++) side_codes(s->q + 8 * i, 8, book_plus(UNEVEN, 128));
}
