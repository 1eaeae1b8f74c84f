/* philox.h - Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011): random numbers without state.
 *
 * A number is a function of key and counter alone, so rewinding, forking, batching and resuming draw the same
 * numbers. docs/ARITHMETIC.md J6 says what key and counter are.
 */
#ifndef VB_BASE_PHILOX_H
#define VB_BASE_PHILOX_H
#include <stdint.h>

static inline void vb_philox4x32_10(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4])
{
    uint32_t k0 = key[0], k1 = key[1];
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

#endif
