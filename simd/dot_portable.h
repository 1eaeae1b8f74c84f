/* dot_portable.h - integers inside weight blocks in plain C: unpack, multiply, add. Loops of fixed length, so that
 * compilers turn them into vectors.
 */

VB_INLINE int32_t products(const int8_t *q, const int8_t *x, int n)
{
    int32_t sum = 0;
    for (int i = 0; i < n; i++) sum += q[i] * x[i];
    return sum;
}

VB_INLINE v8i dot8(const uint8_t *w, int bytes, const int8_t *x, void (*unpack)(const uint8_t *, int8_t *))
{
    int8_t q[32];
    int32_t sum[8];
    for (int i = 0; i < 8; i++) {
        unpack(w + bytes * i, q);
        sum[i] = products(q, x + 32 * i, 32);
    }
    return v8i_load(sum);
}

VB_INLINE v8i dot8_q4_0(const uint8_t *w, const vb_act *a, int b)
{
    return dot8(w, Q4_0_BYTES, a->q + 32 * b, unpack_q4_0);
}

VB_INLINE v8i dot8_q4_1(const uint8_t *w, const vb_act *a, int b)
{
    return dot8(w, Q4_1_BYTES, a->q + 32 * b, unpack_q4_1);
}

VB_INLINE v8i dot8_q5_0(const uint8_t *w, const vb_act *a, int b)
{
    return dot8(w, Q5_0_BYTES, a->q + 32 * b, unpack_q5_0);
}

VB_INLINE v8i dot8_q8_0(const uint8_t *w, const vb_act *a, int b)
{
    return dot8(w, Q8_0_BYTES, a->q + 32 * b, unpack_q8_0);
}

VB_INLINE dot_parts dot1_q4_k(const uint8_t *w, const vb_act *a, int b)
{
    int8_t q[256], scale[8], min[8];
    int32_t s = 0, m = 0;
    unpack_q4_k(w, q);
    unpack_scales_q4_k(w, scale, min);
    for (int j = 0; j < 8; j++) {
        s += scale[j] * products(q + 32 * j, a->q + 256 * b + 32 * j, 32);
        m += min[j] * a->sum32[8 * b + j];
    }
    return (dot_parts){{s, 0, 0, 0}, {m, 0, 0, 0}};
}

VB_INLINE dot_parts dot1_q6_k(const uint8_t *w, const vb_act *a, int b)
{
    int8_t q[256];
    int32_t s = 0;
    unpack_q6_k(w, q);
    for (int j = 0; j < 16; j++)
        s += (int8_t)w[Q6_K_SCALES + j] * products(q + 16 * j, a->q + 256 * b + 16 * j, 16);
    return (dot_parts){{s, 0, 0, 0}, {0, 0, 0, 0}};
}
