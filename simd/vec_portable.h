/* vec_portable.h - the same vectors in plain C: groups of four lanes, which compilers map to what the processor has.
 *
 * Every float function is one rounded operation a lane (ARITHMETIC A2), or an ordered sum that says its order.
 */
#include "base/canon.h"
#include "simd/block.h"

typedef float f4 __attribute__((vector_size(16)));
typedef int32_t i4 __attribute__((vector_size(16)));
typedef struct {
    f4 a, b, c, d; /* lanes 0-3, 4-7, 8-11, 12-15 */
} vf;
typedef struct {
    i4 a, b, c, d;
} vi;
typedef vi vm; /* all ones or zeros in each lane */
typedef struct {
    f4 a, b;
} v8f;
typedef struct {
    i4 a, b;
} v8i;
typedef f4 v4f;
typedef i4 v4i;
#define VF_REGISTERS 4

/* --- four lanes -------------------------------------------------------------------------------------------- */
VB_INLINE f4 f4_load(const void *p)
{
    f4 x;
    memcpy(&x, p, sizeof x);
    return x;
}

VB_INLINE f4 f4_all(float x) { return (f4){x, x, x, x}; }
VB_INLINE i4 i4_all(int32_t x) { return (i4){x, x, x, x}; }
VB_INLINE f4 f4_of(i4 x) { return __builtin_convertvector(x, f4); }

/* Halves to floats: exponents are moved by 112, twice for infinity; without exponent they count units of 2^-24. */
VB_INLINE f4 f4_of_halves(i4 h)
{
    i4 a = h & 0x7fff, exponent = a & 0x7c00, zero = exponent == 0, infinite = exponent == 0x7c00;
    i4 x = (a << 13) + 0x38000000 + (infinite & 0x38000000);
    i4 small = (i4)(f4_of(a) * f4_all(0x1p-24f));
    return (f4)((x & ~zero) | (small & zero) | ((h & 0x8000) << 16));
}

VB_INLINE f4 f4_halves(const uint8_t *p, int stride)
{
    return f4_of_halves((i4){half_at(p), half_at(p + stride), half_at(p + 2 * stride), half_at(p + 3 * stride)});
}

VB_INLINE f4 f4_bf16(const uint8_t *p)
{
    i4 bits = {half_at(p), half_at(p + 2), half_at(p + 4), half_at(p + 6)};
    return (f4)(bits << 16);
}

VB_INLINE f4 f4_max(f4 x, f4 y) { return (f4)(((x > y) & (i4)x) | (~(x > y) & (i4)y)); }
VB_INLINE i4 i4_max(i4 x, i4 y) { return ((x > y) & x) | (~(x > y) & y); }
VB_INLINE f4 f4_swap(f4 x) { return (f4){x[1], x[0], x[3], x[2]}; }

/* They wrap, as the processor's own do. */
typedef uint32_t u4 __attribute__((vector_size(16)));
VB_INLINE i4 i4_add(i4 x, i4 y) { return (i4)((u4)x + (u4)y); }
VB_INLINE i4 i4_sub(i4 x, i4 y) { return (i4)((u4)x - (u4)y); }

/* B4: adding 1.5 * 2^23 leaves the nearest integer, ties to even, in the low bits. */
VB_INLINE i4 f4_round(f4 x) { return i4_sub((i4)(x + f4_all(0x1.8p23f)), i4_all(0x4b400000)); }

/* --- 16 floats --------------------------------------------------------------------------------------------- */
VB_INLINE vf vf_load(const float *p) { return (vf){f4_load(p), f4_load(p + 4), f4_load(p + 8), f4_load(p + 12)}; }
VB_INLINE vf vf_all(float x) { return (vf){f4_all(x), f4_all(x), f4_all(x), f4_all(x)}; }
VB_INLINE vf vf_add(vf x, vf y) { return (vf){x.a + y.a, x.b + y.b, x.c + y.c, x.d + y.d}; }
VB_INLINE vf vf_sub(vf x, vf y) { return (vf){x.a - y.a, x.b - y.b, x.c - y.c, x.d - y.d}; }
VB_INLINE vf vf_mul(vf x, vf y) { return (vf){x.a * y.a, x.b * y.b, x.c * y.c, x.d * y.d}; }
VB_INLINE vi vf_bits(vf x) { return (vi){(i4)x.a, (i4)x.b, (i4)x.c, (i4)x.d}; }
VB_INLINE vi vf_round(vf x) { return (vi){f4_round(x.a), f4_round(x.b), f4_round(x.c), f4_round(x.d)}; }
VB_INLINE vf vf_swap_pairs(vf x) { return (vf){f4_swap(x.a), f4_swap(x.b), f4_swap(x.c), f4_swap(x.d)}; }
VB_INLINE void vf_store(float *p, vf x) { memcpy(p, &x, sizeof x); }
VB_INLINE vf vf_max(vf x, vf y)
{
    return (vf){f4_max(x.a, y.a), f4_max(x.b, y.b), f4_max(x.c, y.c), f4_max(x.d, y.d)};
}

/* (p0, p0, p1, p1, ...) of 8 floats */
VB_INLINE vf vf_load_twice(const float *p)
{
    return (vf){{p[0], p[0], p[1], p[1]}, {p[2], p[2], p[3], p[3]}, {p[4], p[4], p[5], p[5]}, {p[6], p[6], p[7], p[7]}};
}

/* --- 16 integers ------------------------------------------------------------------------------------------- */
VB_INLINE vi vi_all(int32_t x) { return (vi){i4_all(x), i4_all(x), i4_all(x), i4_all(x)}; }
VB_INLINE vi vi_add(vi x, vi y)
{
    return (vi){i4_add(x.a, y.a), i4_add(x.b, y.b), i4_add(x.c, y.c), i4_add(x.d, y.d)};
}
VB_INLINE vi vi_sub(vi x, vi y)
{
    return (vi){i4_sub(x.a, y.a), i4_sub(x.b, y.b), i4_sub(x.c, y.c), i4_sub(x.d, y.d)};
}
VB_INLINE vi vi_and(vi x, vi y) { return (vi){x.a & y.a, x.b & y.b, x.c & y.c, x.d & y.d}; }
VB_INLINE vi vi_or(vi x, vi y) { return (vi){x.a | y.a, x.b | y.b, x.c | y.c, x.d | y.d}; }
VB_INLINE vi vi_max(vi x, vi y)
{
    return (vi){i4_max(x.a, y.a), i4_max(x.b, y.b), i4_max(x.c, y.c), i4_max(x.d, y.d)};
}
VB_INLINE vi vi_xor(vi x, vi y) { return (vi){x.a ^ y.a, x.b ^ y.b, x.c ^ y.c, x.d ^ y.d}; }
VB_INLINE vm vi_over(vi x, vi y) { return (vi){x.a > y.a, x.b > y.b, x.c > y.c, x.d > y.d}; }
VB_INLINE vi vi_without(vi x, vm m) { return (vi){x.a & ~m.a, x.b & ~m.b, x.c & ~m.c, x.d & ~m.d}; }
VB_INLINE vi vi_shift23(vi x) { return (vi){x.a << 23, x.b << 23, x.c << 23, x.d << 23}; }
VB_INLINE vf vi_float(vi x) { return (vf){(f4)x.a, (f4)x.b, (f4)x.c, (f4)x.d}; } /* the bits */
VB_INLINE uint32_t vm_any(vm m)
{
    i4 x = (m.a | m.b) | (m.c | m.d);
    return ((x[0] | x[1]) | (x[2] | x[3])) != 0;
}

/* --- other types in memory --------------------------------------------------------------------------------- */
VB_INLINE vf vf_load_f16(const uint8_t *p)
{
    return (vf){f4_halves(p, 2), f4_halves(p + 8, 2), f4_halves(p + 16, 2), f4_halves(p + 24, 2)};
}

VB_INLINE vf vf_load_bf16(const uint8_t *p)
{
    return (vf){f4_bf16(p), f4_bf16(p + 8), f4_bf16(p + 16), f4_bf16(p + 24)};
}

VB_INLINE f4 f4_i8(const int8_t *p) { return f4_of((i4){p[0], p[1], p[2], p[3]}); }
VB_INLINE vf vf_load_i8(const int8_t *p) { return (vf){f4_i8(p), f4_i8(p + 4), f4_i8(p + 8), f4_i8(p + 12)}; }

VB_INLINE void vf_store_f16(uint8_t *p, vf x)
{
    float lane[16];
    uint16_t half[16];
    vf_store(lane, x);
    for (int i = 0; i < 16; i++) half[i] = (uint16_t)c_f2h(lane[i]);
    memcpy(p, half, sizeof half);
}

/* 64 integers of 8 bits, and their sums over each 16. */
VB_INLINE void vi_store_i8(int8_t p[64], int32_t sums[4], const vi x[4])
{
    int32_t lane[64];
    memcpy(lane, x, sizeof lane);
    memset(sums, 0, 4 * sizeof *sums);
    for (int i = 0; i < 64; i++) {
        p[i] = (int8_t)lane[i];
        sums[i / 16] += lane[i];
    }
}

/* --- ordered sums ------------------------------------------------------------------------------------------ */
VB_INLINE float f4_tree(f4 x) { return (x[0] + x[2]) + (x[1] + x[3]); }
VB_INLINE float v8f_tree(v8f x) { return f4_tree(x.a + x.b); } /* D1, halving tree 4, 2, 1 */
VB_INLINE float vf_tree(vf x) { return v8f_tree((v8f){x.a + x.c, x.b + x.d}); } /* E1: 8, 4, 2, 1 */

VB_INLINE float vf_most(vf x)
{
    f4 y = f4_max(f4_max(x.a, x.b), f4_max(x.c, x.d));
    float low = y[0] > y[1] ? y[0] : y[1], high = y[2] > y[3] ? y[2] : y[3];
    return low > high ? low : high;
}

/* --- 8 and 4 lanes: terms of blocks ------------------------------------------------------------------------ */
VB_INLINE v8f v8f_zero(void) { return (v8f){f4_all(0.0f), f4_all(0.0f)}; }
VB_INLINE v8f v8f_load(const float *p) { return (v8f){f4_load(p), f4_load(p + 4)}; }
VB_INLINE v8f v8f_add(v8f x, v8f y) { return (v8f){x.a + y.a, x.b + y.b}; }
VB_INLINE v8f v8f_mul(v8f x, v8f y) { return (v8f){x.a * y.a, x.b * y.b}; }
VB_INLINE v8f v8f_of(v8i x) { return (v8f){f4_of(x.a), f4_of(x.b)}; }
VB_INLINE v8f v8f_halves(const uint8_t *p, int stride)
{
    return (v8f){f4_halves(p, stride), f4_halves(p + 4 * stride, stride)};
}
VB_INLINE v8i v8i_load(const int32_t *p)
{
    v8i x;
    memcpy(&x, p, sizeof x);
    return x;
}

VB_INLINE v4f v4f_all(float x) { return f4_all(x); }
VB_INLINE v4f v4f_load(const float *p) { return f4_load(p); }
VB_INLINE v4f v4f_load_f16(const uint8_t *p) { return f4_halves(p, 2); }
VB_INLINE v4f v4f_add(v4f x, v4f y) { return x + y; }
VB_INLINE v4f v4f_sub(v4f x, v4f y) { return x - y; }
VB_INLINE v4f v4f_mul(v4f x, v4f y) { return x * y; }
VB_INLINE v4f v4f_of(v4i x) { return f4_of(x); }
VB_INLINE void v4f_store(float *p, v4f x) { memcpy(p, &x, sizeof x); }
VB_INLINE v4f v4f_halves(const uint8_t *const p[4], int at)
{
    return f4_of_halves((i4){half_at(p[0] + at), half_at(p[1] + at), half_at(p[2] + at), half_at(p[3] + at)});
}

/* The four sums of four vectors. */
VB_INLINE v4i v4i_sums(const v4i x[4])
{
    v4i s;
    for (int i = 0; i < 4; i++) s[i] = (x[i][0] + x[i][1]) + (x[i][2] + x[i][3]);
    return s;
}

/* A half as a float, exactly, in all lanes. */
VB_INLINE vf vf_half(const uint8_t *p) { return vf_all(c_h2f(half_at(p))); }

/* Lane j of vector i goes to lane i of vector j. */
VB_INLINE void turn4(v4f x[4])
{
    v4f a = x[0], b = x[1], c = x[2], d = x[3];
    for (int i = 0; i < 4; i++) x[i] = (v4f){a[i], b[i], c[i], d[i]};
}

#include "simd/turn_four.h"
