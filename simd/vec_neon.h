/* vec_neon.h - vectors of AArch64's NEON: vf, vi of 16 lanes (four registers), v8 of 8 lanes (two), v4 of 4.
 *
 * Every float function is one rounded operation a lane (ARITHMETIC A2), or an ordered sum that says its order. NEON's
 * fused multiply-adds (vfma, and vmla of floats where a compiler fuses it) have no place here.
 */
#include "simd/block.h"

#include <arm_neon.h>

typedef struct {
    float32x4_t a, b, c, d; /* lanes 0-3, 4-7, 8-11, 12-15 */
} vf;
typedef struct {
    int32x4_t a, b, c, d;
} vi;
typedef vi vm; /* all ones or zeros in each lane */
typedef struct {
    float32x4_t a, b;
} v8f;
typedef struct {
    int32x4_t a, b;
} v8i;
typedef float32x4_t v4f;
typedef int32x4_t v4i;
#define VF_REGISTERS 8

#define F32(x) vreinterpretq_f32_s32(x)
#define S32(x) vreinterpretq_s32_f32(x)
#define MASK(x) vreinterpretq_s32_u32(x)

/* --- 16 floats --------------------------------------------------------------------------------------------- */
VB_INLINE vf vf_load(const float *p)
{
    return (vf){vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
}

VB_INLINE void vf_store(float *p, vf x)
{
    vst1q_f32(p, x.a);
    vst1q_f32(p + 4, x.b);
    vst1q_f32(p + 8, x.c);
    vst1q_f32(p + 12, x.d);
}

VB_INLINE vf vf_all(float x)
{
    float32x4_t v = vdupq_n_f32(x);
    return (vf){v, v, v, v};
}

/* The same operation on each of the four registers. */
#define EACH1(TYPE, NAME, FROM, OPERATION)                                                              \
    VB_INLINE TYPE NAME(FROM x)                                                                         \
    {                                                                                                   \
        return (TYPE){OPERATION(x.a), OPERATION(x.b), OPERATION(x.c), OPERATION(x.d)};                  \
    }
#define EACH2(TYPE, NAME, FROM, OPERATION)                                                              \
    VB_INLINE TYPE NAME(FROM x, FROM y)                                                                 \
    {                                                                                                   \
        return (TYPE){OPERATION(x.a, y.a), OPERATION(x.b, y.b), OPERATION(x.c, y.c), OPERATION(x.d, y.d)}; \
    }
EACH2(vf, vf_add, vf, vaddq_f32)
EACH2(vf, vf_sub, vf, vsubq_f32)
EACH2(vf, vf_mul, vf, vmulq_f32)
EACH2(vf, vf_max, vf, vmaxq_f32)
EACH1(vi, vf_bits, vf, S32)
EACH1(vi, vf_round, vf, vcvtnq_s32_f32) /* B4: fcvtns */
EACH1(vf, vf_swap_pairs, vf, vrev64q_f32) /* (x1, x0, x3, x2, ...) */

/* (p0, p0, p1, p1, ...) of 8 floats */
VB_INLINE vf vf_load_twice(const float *p)
{
    float32x4_t x = vld1q_f32(p), y = vld1q_f32(p + 4);
    return (vf){vzip1q_f32(x, x), vzip2q_f32(x, x), vzip1q_f32(y, y), vzip2q_f32(y, y)};
}

/* --- 16 integers ------------------------------------------------------------------------------------------- */
#define OVER(x, y) MASK(vcgtq_s32(x, y))
#define SHIFT23(x) vshlq_n_s32(x, 23)
EACH2(vi, vi_add, vi, vaddq_s32)
EACH2(vi, vi_sub, vi, vsubq_s32)
EACH2(vi, vi_and, vi, vandq_s32)
EACH2(vi, vi_or, vi, vorrq_s32)
EACH2(vi, vi_max, vi, vmaxq_s32)
EACH2(vi, vi_xor, vi, veorq_s32)
EACH2(vm, vi_over, vi, OVER)
EACH2(vi, vi_without, vi, vbicq_s32) /* x where the mask y is 0 */
EACH1(vi, vi_shift23, vi, SHIFT23)
EACH1(vf, vi_float, vi, F32) /* the bits */

VB_INLINE vi vi_all(int32_t x)
{
    int32x4_t v = vdupq_n_s32(x);
    return (vi){v, v, v, v};
}

VB_INLINE uint32_t vm_any(vm m)
{
    int32x4_t x = vorrq_s32(vorrq_s32(m.a, m.b), vorrq_s32(m.c, m.d));
    return vmaxvq_u32(vreinterpretq_u32_s32(x)) != 0;
}

/* --- other types in memory --------------------------------------------------------------------------------- */
/* Eight bytes of memory at any address as four halves. */
VB_INLINE uint16x4_t halves4(const uint8_t *p) { return vreinterpret_u16_u8(vld1_u8(p)); }
VB_INLINE float32x4_t floats4(uint16x4_t h) { return vcvt_f32_f16(vreinterpret_f16_u16(h)); }
VB_INLINE float32x4_t bfloats4(uint16x4_t h) { return vreinterpretq_f32_u32(vshll_n_u16(h, 16)); }

VB_INLINE vf vf_load_f16(const uint8_t *p)
{
    return (vf){floats4(halves4(p)), floats4(halves4(p + 8)), floats4(halves4(p + 16)), floats4(halves4(p + 24))};
}

VB_INLINE vf vf_load_bf16(const uint8_t *p)
{
    return (vf){bfloats4(halves4(p)), bfloats4(halves4(p + 8)), bfloats4(halves4(p + 16)), bfloats4(halves4(p + 24))};
}

VB_INLINE vf vf_load_i8(const int8_t *p)
{
    int8x16_t q = vld1q_s8(p);
    int16x8_t low = vmovl_s8(vget_low_s8(q)), high = vmovl_high_s8(q);
    return (vf){vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
                vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))};
}

VB_INLINE void vf_store_f16(uint8_t *p, vf x)
{
    vst1_u8(p, vreinterpret_u8_f16(vcvt_f16_f32(x.a)));
    vst1_u8(p + 8, vreinterpret_u8_f16(vcvt_f16_f32(x.b)));
    vst1_u8(p + 16, vreinterpret_u8_f16(vcvt_f16_f32(x.c)));
    vst1_u8(p + 24, vreinterpret_u8_f16(vcvt_f16_f32(x.d)));
}

/* 64 integers of 8 bits, and their sums over each 16. */
VB_INLINE void vi_store_i8(int8_t p[64], int32_t sums[4], const vi x[4])
{
    VB_UNROLL
    for (int i = 0; i < 4; i++) {
        int16x8_t low = vcombine_s16(vmovn_s32(x[i].a), vmovn_s32(x[i].b));
        int16x8_t high = vcombine_s16(vmovn_s32(x[i].c), vmovn_s32(x[i].d));
        vst1q_s8(p + 16 * i, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
        sums[i] = vaddlvq_s16(vaddq_s16(low, high));
    }
}

/* --- ordered sums ------------------------------------------------------------------------------------------ */
/* Halving tree 4, 2, 1 over 8 lanes: D1's ((0+4)+(2+6)) + ((1+5)+(3+7)), and the end of E1. */
VB_INLINE float v8f_tree(v8f x)
{
    float32x4_t s = vaddq_f32(x.a, x.b);
    return vpadds_f32(vadd_f32(vget_low_f32(s), vget_high_f32(s)));
}

VB_INLINE float vf_tree(vf x) /* E1: 8, 4, 2, 1 */
{
    return v8f_tree((v8f){vaddq_f32(x.a, x.c), vaddq_f32(x.b, x.d)});
}

VB_INLINE float vf_most(vf x) { return vmaxvq_f32(vmaxq_f32(vmaxq_f32(x.a, x.b), vmaxq_f32(x.c, x.d))); }

/* --- 8 and 4 lanes: terms of blocks ------------------------------------------------------------------------ */
VB_INLINE v8f v8f_zero(void) { return (v8f){vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)}; }
VB_INLINE v8f v8f_load(const float *p) { return (v8f){vld1q_f32(p), vld1q_f32(p + 4)}; }
VB_INLINE v8f v8f_add(v8f x, v8f y) { return (v8f){vaddq_f32(x.a, y.a), vaddq_f32(x.b, y.b)}; }
VB_INLINE v8f v8f_mul(v8f x, v8f y) { return (v8f){vmulq_f32(x.a, y.a), vmulq_f32(x.b, y.b)}; }
VB_INLINE v8f v8f_of(v8i x) { return (v8f){vcvtq_f32_s32(x.a), vcvtq_f32_s32(x.b)}; }
VB_INLINE v8i v8i_load(const int32_t *p) { return (v8i){vld1q_s32(p), vld1q_s32(p + 4)}; }

VB_INLINE float32x4_t halves_at(const uint8_t *p, const uint8_t *q, const uint8_t *r, const uint8_t *s)
{
    uint16x4_t h = vdup_n_u16(half_at(p));
    h = vset_lane_u16(half_at(q), h, 1);
    h = vset_lane_u16(half_at(r), h, 2);
    return floats4(vset_lane_u16(half_at(s), h, 3));
}

/* Eight halves, `stride` bytes apart. */
VB_INLINE v8f v8f_halves(const uint8_t *p, int stride)
{
    const uint8_t *q = p + 4 * stride;
    return (v8f){halves_at(p, p + stride, p + 2 * stride, p + 3 * stride),
                 halves_at(q, q + stride, q + 2 * stride, q + 3 * stride)};
}

VB_INLINE v4f v4f_all(float x) { return vdupq_n_f32(x); }
VB_INLINE v4f v4f_load(const float *p) { return vld1q_f32(p); }
VB_INLINE v4f v4f_load_f16(const uint8_t *p) { return floats4(halves4(p)); }
VB_INLINE v4f v4f_add(v4f x, v4f y) { return vaddq_f32(x, y); }
VB_INLINE v4f v4f_sub(v4f x, v4f y) { return vsubq_f32(x, y); }
VB_INLINE v4f v4f_mul(v4f x, v4f y) { return vmulq_f32(x, y); }
VB_INLINE v4f v4f_of(v4i x) { return vcvtq_f32_s32(x); }
VB_INLINE void v4f_store(float *p, v4f x) { vst1q_f32(p, x); }
VB_INLINE v4f v4f_halves(const uint8_t *const p[4], int at)
{
    return halves_at(p[0] + at, p[1] + at, p[2] + at, p[3] + at);
}

/* The four sums of four vectors. */
VB_INLINE v4i v4i_sums(const v4i x[4])
{
    return vpaddq_s32(vpaddq_s32(x[0], x[1]), vpaddq_s32(x[2], x[3]));
}

/* A half as a float, exactly, in all lanes. */
VB_INLINE vf vf_half(const uint8_t *p)
{
    return vf_all(vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half_at(p)))), 0));
}

/* Lane j of vector i goes to lane i of vector j. */
VB_INLINE void turn4(v4f x[4])
{
    float32x4x2_t low = vtrnq_f32(x[0], x[1]), high = vtrnq_f32(x[2], x[3]);
    x[0] = vcombine_f32(vget_low_f32(low.val[0]), vget_low_f32(high.val[0]));
    x[1] = vcombine_f32(vget_low_f32(low.val[1]), vget_low_f32(high.val[1]));
    x[2] = vcombine_f32(vget_high_f32(low.val[0]), vget_high_f32(high.val[0]));
    x[3] = vcombine_f32(vget_high_f32(low.val[1]), vget_high_f32(high.val[1]));
}

#include "simd/turn_four.h"
