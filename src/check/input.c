/* input.c - random input in guarded memory.
 *
 *   slot    | page: no access |  ... free ... canary:64 [ buffer ] | page: no access | next slot
 *
 * A kernel that reads or writes behind a buffer touches the forbidden page and the program ends with a signal; one that
 * writes before it changes the canary.
 */
#include "check/check.h"

#include "base/os.h"

#include <string.h>
#include <sys/mman.h>

/* What is not written yet is large, as an integer and as a float: nothing absorbs it. */
enum { PAGE = 65536, CANARY = 64, POISON = 0x7f, STRIDE = VB_CHECK_SLOT_BYTES + PAGE };

static uint8_t *end_of(const vb_check *c, int slot)
{
    return c->slots + PAGE + (size_t)slot * STRIDE + VB_CHECK_SLOT_BYTES;
}

vb_status vb_check_start(vb_check *c, vb_err *err)
{
    c->slots = vb_pages_reserve((size_t)VB_CHECK_SLOTS * STRIDE + PAGE);
    if (c->slots == NULL) VB_FAIL(err, VB_E_MEMORY, "kernel check: out of memory");
    for (int i = 0; i <= VB_CHECK_SLOTS; i++)
        if (mprotect(c->slots + (size_t)i * STRIDE, PAGE, PROT_NONE) != 0)
            VB_FAIL(err, VB_E_MEMORY, "kernel check: cannot protect a page");
    return VB_OK;
}

void vb_check_end(vb_check *c)
{
    vb_pages_release(c->slots, (size_t)VB_CHECK_SLOTS * STRIDE + PAGE);
}

void *vb_check_buffer(vb_check *c, int slot, size_t n)
{
    uint8_t *buffer = end_of(c, slot) - n;
    memset(buffer - CANARY, POISON, CANARY + n);
    return buffer;
}

int vb_check_intact(const vb_check *c, int slot, size_t n)
{
    const uint8_t *canary = end_of(c, slot) - n - CANARY;
    for (int i = 0; i < CANARY; i++)
        if (canary[i] != POISON) return 0;
    return 1;
}

/* splitmix64 */
uint32_t vb_check_random(vb_check *c, uint32_t below)
{
    uint64_t z = c->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)(((z ^ z >> 31) >> 32) * below >> 32);
}

static float with_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float plain(vb_check *c)
{
    return ((float)vb_check_random(c, 1 << 24) - 0x1p23f) * 0x1p-21f;
}

/* Magnitudes from 2^-70 to 2^20, or the edges: zero, the guard, subnormal numbers, 1, 2^-6 (tanh), 60 (silu, gelu,
 * exp), 40 (exp), 2^75. */
static float wild(vb_check *c)
{
    static const uint32_t edges[] = {0,          0x21800000, 0x217fffff, 0x00000001, 0x007fffff,
                                     0x00800000, 0x3f800000, 0x3c800000, 0x3c7fffff, 0x42700000,
                                     0x42700001, 0x42780000, 0x42200001, 0x65000000};
    uint32_t sign = vb_check_random(c, 2) << 31, pick = vb_check_random(c, 28);
    if (pick < sizeof edges / sizeof edges[0]) return with_bits(sign | edges[pick]);
    return with_bits(sign | (57 + vb_check_random(c, 90)) << 23 | vb_check_random(c, 1 << 23));
}

/* Below 2^(top - 126), by up to three powers of two. */
static float tiny(vb_check *c, uint32_t top)
{
    uint32_t sign = vb_check_random(c, 2) << 31, exponent = top - vb_check_random(c, 4);
    return with_bits(sign | exponent << 23 | vb_check_random(c, 1 << 23));
}

void vb_check_floats(vb_check *c, float *x, int n, vb_fill fill)
{
    float one = plain(c);
    uint32_t top = 64 + vb_check_random(c, 6); /* around the guard and B2's limit, 2^-60 */
    for (int i = 0; i < n; i++) {
        if (fill == VB_FILL_PLAIN) x[i] = plain(c);
        if (fill == VB_FILL_WILD) x[i] = wild(c);
        if (fill == VB_FILL_TINY) x[i] = tiny(c, top);
        if (fill == VB_FILL_EQUAL) x[i] = vb_check_random(c, 8) == 0 ? -one : one;
    }
}

float *vb_check_float_buffer(vb_check *c, int slot, int n, vb_fill fill)
{
    float *x = vb_check_buffer(c, slot, (size_t)n * sizeof *x);
    vb_check_floats(c, x, n, fill);
    return x;
}

/* A finite half: ordinary, any, or the largest, the smallest, a subnormal one, zero. */
static void put_half(vb_check *c, uint8_t *to, vb_fill fill)
{
    static const uint16_t edges[] = {0, 0x8000, 0x7bff, 0xfbff, 0x0001, 0x83ff, 0x0400, 0x3c00};
    uint32_t sign = vb_check_random(c, 2) << 15, exponent = 8 + vb_check_random(c, 8);
    uint16_t half = (uint16_t)(sign | exponent << 10 | vb_check_random(c, 1024));
    if (fill == VB_FILL_WILD && vb_check_random(c, 2)) half = edges[vb_check_random(c, 8)];
    if (fill == VB_FILL_EQUAL) half = (uint16_t)(sign | vb_check_random(c, 0x7c00));
    memcpy(to, &half, sizeof half);
}

/* Where the halves of a block stand; -1: none. */
static void halves_of(vb_format format, int at[2])
{
    at[0] = 0;
    at[1] = -1;
    switch (format) {
    case VB_FMT_Q4_1:
    case VB_FMT_Q5_1:
    case VB_FMT_Q4_K:
    case VB_FMT_Q5_K: at[1] = 2; return;
    case VB_FMT_Q2_K: at[0] = 80; at[1] = 82; return;
    case VB_FMT_Q3_K: at[0] = 108; return;
    case VB_FMT_Q6_K: at[0] = 208; return;
    case VB_FMT_TQ1_0: at[0] = 52; return;
    case VB_FMT_TQ2_0: at[0] = 64; return;
    case VB_FMT_IQ1_M:
    case VB_FMT_MXFP4:
    case VB_FMT_NVFP4: at[0] = -1; return;
    default: return;
    }
}

/* An exponent of MXFP4: ordinary, any, or the largest, those without a float of their own, those around the guard. */
static uint8_t exponent(vb_check *c, vb_fill fill)
{
    static const uint8_t edges[] = {0, 1, 2, 66, 67, 68, 69, 254, 255};
    if (fill == VB_FILL_PLAIN) return (uint8_t)(120 + vb_check_random(c, 12));
    if (fill == VB_FILL_TINY) return (uint8_t)(64 + vb_check_random(c, 8));
    if (vb_check_random(c, 2)) return edges[vb_check_random(c, sizeof edges)];
    return (uint8_t)vb_check_random(c, 250);
}

/* The scales of a block; IQ1_M has its half in the upper nibbles of four words. */
static void put_scales(vb_check *c, vb_format format, uint8_t *w, vb_fill fill)
{
    int at[2];
    uint8_t half[2];
    halves_of(format, at);
    for (int i = 0; i < 2; i++)
        if (at[i] >= 0) put_half(c, w + at[i], fill);
    if (format == VB_FMT_MXFP4) w[0] = exponent(c, fill);
    if (format != VB_FMT_IQ1_M) return;
    put_half(c, half, fill);
    for (int i = 0; i < 4; i++) w[49 + 2 * i] = (uint8_t)((w[49 + 2 * i] & 15) | (half[i / 2] >> (i % 2 * 4) & 15) << 4);
}

/* Elements of float formats. */
static void put_float(vb_check *c, vb_format format, uint8_t *to, vb_fill fill)
{
    float x = fill == VB_FILL_WILD ? wild(c) : plain(c);
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint16_t upper = (uint16_t)(bits >> 16);
    if (format == VB_FMT_F32) memcpy(to, &x, sizeof x);
    if (format == VB_FMT_BF16) memcpy(to, &upper, sizeof upper);
    if (format == VB_FMT_F16) put_half(c, to, fill);
}

void vb_check_blocks(vb_check *c, vb_format format, uint8_t *w, int n, vb_fill fill)
{
    const vb_format_info *f = vb_format_of(format);
    static const uint8_t extremes[] = {0xff, 0x80, 0x00};
    for (int b = 0; b < n; b++, w += f->bytes) {
        if (f->block == 1) {
            put_float(c, format, w, fill);
            continue;
        }
        uint8_t same = extremes[vb_check_random(c, 3)];
        for (int i = 0; i < f->bytes; i++)
            w[i] = fill == VB_FILL_EQUAL ? same : (uint8_t)vb_check_random(c, 256);
        put_scales(c, format, w, fill);
    }
}
