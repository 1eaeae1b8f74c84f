/* dot_portable.h - integers inside weight blocks in plain C: unpack, multiply, add. Loops of fixed length, so that
 * compilers turn them into vectors.
 *
 * Every instruction set includes this behind its own functions. One that has a better dot8_x says so by
 * `#define dot8_x dot8_x`, and it takes the place of the one here.
 */
#include "simd/dot.h"

VB_INLINE int32_t plain_products(const int8_t *q, const int8_t *x, int n)
{
    int32_t sum = 0;
    for (int i = 0; i < n; i++) sum += q[i] * x[i];
    return sum;
}

/* --- eight blocks of 32 ------------------------------------------------------------------------------------ */

typedef void unpack_function(const uint8_t *w, int8_t *q);

VB_INLINE v8i plain_dot8(const uint8_t *w, int bytes, const int8_t *x, unpack_function *unpack)
{
    int8_t q[32];
    int32_t sum[8];
    for (int i = 0; i < 8; i++) {
        unpack(w + bytes * i, q);
        sum[i] = plain_products(q, x + 32 * i, 32);
    }
    return v8i_load(sum);
}

#ifndef dot8_q4_0
VB_INLINE v8i dot8_q4_0(const uint8_t *w, const vb_act *a, int b)
{
    return plain_dot8(w, Q4_0_BYTES, a->q + 32 * b, unpack_q4_0);
}
#endif

#ifndef dot8_q4_1
VB_INLINE v8i dot8_q4_1(const uint8_t *w, const vb_act *a, int b)
{
    return plain_dot8(w, Q4_1_BYTES, a->q + 32 * b, unpack_q4_1);
}
#endif

#ifndef dot8_q5_0
VB_INLINE v8i dot8_q5_0(const uint8_t *w, const vb_act *a, int b)
{
    return plain_dot8(w, Q5_0_BYTES, a->q + 32 * b, unpack_q5_0);
}
#endif

#ifndef dot8_q5_1
VB_INLINE v8i dot8_q5_1(const uint8_t *w, const vb_act *a, int b)
{
    return plain_dot8(w, Q5_1_BYTES, a->q + 32 * b, unpack_q5_1);
}
#endif

#ifndef dot8_q8_0
VB_INLINE v8i dot8_q8_0(const uint8_t *w, const vb_act *a, int b)
{
    return plain_dot8(w, Q8_0_BYTES, a->q + 32 * b, unpack_q8_0);
}
#endif

#ifndef dot8_iq4_nl
VB_INLINE v8i dot8_iq4_nl(const uint8_t *w, const vb_act *a, int b)
{
    return plain_dot8(w, IQ4_NL_BYTES, a->q + 32 * b, unpack_iq4_nl);
}
#endif

#ifndef dot8_mxfp4
VB_INLINE v8i dot8_mxfp4(const uint8_t *w, const vb_act *a, int b)
{
    return plain_dot8(w, MXFP4_BYTES, a->q + 32 * b, unpack_mxfp4);
}
#endif

/* --- a block of 256 ---------------------------------------------------------------------------------------- */

VB_INLINE dot_parts plain_sums(int32_t s, int32_t m)
{
    int32_t first[2][4] = {{s}, {m}};
    dot_parts parts;
    memcpy(&parts.s, first[0], sizeof parts.s);
    memcpy(&parts.m, first[1], sizeof parts.m);
    return parts;
}

/* The sum over sub-blocks, each `scale` times its products. */
VB_INLINE int32_t plain_scaled(const int8_t q[256], const int8_t *x, const int8_t *scale, int blocks)
{
    int32_t s = 0;
    for (int j = 0; j < blocks; j++) s += scale[j] * plain_products(q + 256 / blocks * j, x + 256 / blocks * j, 256 / blocks);
    return s;
}

VB_INLINE int32_t plain_minima(const int8_t *min, const int16_t *sum, int blocks)
{
    int32_t m = 0;
    for (int j = 0; j < blocks; j++) m += min[j] * sum[j];
    return m;
}

#ifndef dot1_q2_k
VB_INLINE dot_parts dot1_q2_k(const uint8_t *w, const vb_act *a, int b)
{
    int8_t q[256], scale[16], min[16];
    unpack_q2_k(w, q);
    unpack_scales_q2_k(w, scale, min);
    return plain_sums(plain_scaled(q, a->q + 256 * b, scale, 16), plain_minima(min, a->sum16 + 16 * b, 16));
}
#endif

#ifndef dot1_q3_k
VB_INLINE dot_parts dot1_q3_k(const uint8_t *w, const vb_act *a, int b)
{
    int8_t q[256], scale[16];
    unpack_q3_k(w, q);
    unpack_scales_q3_k(w, scale);
    return plain_sums(plain_scaled(q, a->q + 256 * b, scale, 16), 0);
}
#endif

#ifndef dot1_q4_k
VB_INLINE dot_parts dot1_q4_k(const uint8_t *w, const vb_act *a, int b)
{
    int8_t q[256], scale[8], min[8];
    unpack_q4_k(w, q);
    unpack_scales_q4_k(w, scale, min);
    return plain_sums(plain_scaled(q, a->q + 256 * b, scale, 8), plain_minima(min, a->sum32 + 8 * b, 8));
}
#endif

#ifndef dot1_q5_k
VB_INLINE dot_parts dot1_q5_k(const uint8_t *w, const vb_act *a, int b)
{
    int8_t q[256], scale[8], min[8];
    unpack_q5_k(w, q);
    unpack_scales_q4_k(w, scale, min);
    return plain_sums(plain_scaled(q, a->q + 256 * b, scale, 8), plain_minima(min, a->sum32 + 8 * b, 8));
}
#endif

#ifndef dot1_q6_k
VB_INLINE dot_parts dot1_q6_k(const uint8_t *w, const vb_act *a, int b)
{
    int8_t q[256], scale[16];
    unpack_q6_k(w, q);
    memcpy(scale, w + Q6_K_SCALES, sizeof scale);
    return plain_sums(plain_scaled(q, a->q + 256 * b, scale, 16), 0);
}
#endif

#ifndef dot1_iq4_xs
VB_INLINE dot_parts dot1_iq4_xs(const uint8_t *w, const vb_act *a, int b)
{
    int8_t q[256], scale[8];
    unpack_iq4_xs(w, q);
    unpack_scales_iq4_xs(w, scale);
    return plain_sums(plain_scaled(q, a->q + 256 * b, scale, 8), 0);
}
#endif
