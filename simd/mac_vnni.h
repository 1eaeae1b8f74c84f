/* mac_vnni.h - mac_avx2.h with the instructions of AVX-VNNI or of AVX-512 VNNI: four products a 32-bit lane, or two of
 * 16-bit integers, and the sum at once. They do not saturate.
 */
#ifdef __AVX512VNNI__
#define DPBUSD _mm256_dpbusd_epi32
#define DPWSSD _mm256_dpwssd_epi32
#else
#define DPBUSD _mm256_dpbusd_avx_epi32
#define DPWSSD _mm256_dpwssd_avx_epi32
#endif

VB_INLINE __m256i products(__m256i sum, __m256i u, __m256i x)
{
    return DPBUSD(sum, u, x);
}

VB_INLINE __m256i products_of_two(__m256i u0, __m256i x0, __m256i u1, __m256i x1)
{
    return DPBUSD(DPBUSD(_mm256_setzero_si256(), u0, x0), u1, x1);
}

VB_INLINE __m256i scaled(__m256i sum, __m256i words, __m256i scales)
{
    return DPWSSD(sum, words, scales);
}
