/* mac_avx2.h - products of integers summed in 32-bit lanes, for dot_avx2.h; mac_vnni.h has the same in one instruction
 * each. u is unsigned, x signed; maddubs adds two neighbours in 16 bits, which may not overflow.
 */

/* u below 130 (products). */
VB_INLINE __m256i products(__m256i sum, __m256i u, __m256i x)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(u, x), _mm256_set1_epi16(1)));
}

/* Of two registers; u below 65. */
VB_INLINE __m256i products_of_two(__m256i u0, __m256i x0, __m256i u1, __m256i x1)
{
    __m256i both = _mm256_add_epi16(_mm256_maddubs_epi16(u0, x0), _mm256_maddubs_epi16(u1, x1));
    return _mm256_madd_epi16(both, _mm256_set1_epi16(1));
}

/* 16-bit integers times 16-bit scales. */
VB_INLINE __m256i scaled(__m256i sum, __m256i words, __m256i scales)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(words, scales));
}
