/* mkweights.c - random bytes with sane scales: the fastest blocks that compute like trained ones.
 *
 * Nothing is quantised. The integers of a block are random bits; then its scale d is set, varied by a quarter either
 * way, so that elements have the wanted root mean square; how large they are with d = 1 is measured on the oracle's
 * decoder. Three things are made as quantisers make them:
 *
 *   mean      formats with a minimum get the one that centres the elements; the others get d of either sign
 *   scales    6-bit and 8-bit sub-block scales stay small, so that d is a normal half for widths up to 14336
 *   ranges    Q8_0 holds no -128, TQ2_0 no fourth value
 */
#include "tools/mkweights.h"

#include "base/hash.h"
#include "oracle/oracle.h"

#include <math.h>
#include <string.h>

enum { PROBE = 16, MOST_BLOCK = 256, MOST_BYTES = 292 };

/* Where a block keeps its halves d and m, and m in units of d. */
typedef struct {
    vb_format format;
    int d, m;
    float ratio;
} place;
static const place places[] = {
    {VB_FMT_Q4_0, 0, -1, 0},     {VB_FMT_Q4_1, 0, 2, -7.5f},  {VB_FMT_Q5_0, 0, -1, 0},    {VB_FMT_Q5_1, 0, 2, -15.5f},
    {VB_FMT_Q8_0, 0, -1, 0},     {VB_FMT_Q2_K, 80, 82, 1.5f}, {VB_FMT_Q3_K, 108, -1, 0},  {VB_FMT_Q4_K, 0, 2, 7.5f},
    {VB_FMT_Q5_K, 0, 2, 15.5f},  {VB_FMT_Q6_K, 208, -1, 0},   {VB_FMT_IQ4_NL, 0, -1, 0},  {VB_FMT_IQ4_XS, 0, -1, 0},
    {VB_FMT_IQ1_S, 0, -1, 0},    {VB_FMT_IQ2_XXS, 0, -1, 0},  {VB_FMT_IQ2_XS, 0, -1, 0},  {VB_FMT_IQ2_S, 0, -1, 0},
    {VB_FMT_IQ3_XXS, 0, -1, 0},  {VB_FMT_IQ3_S, 0, -1, 0},    {VB_FMT_TQ1_0, 52, -1, 0},  {VB_FMT_TQ2_0, 64, -1, 0},
};

static const place *place_of(vb_format format)
{
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (places[i].format == format) return &places[i];
    return NULL;
}

static int is_float(vb_format format)
{
    return format == VB_FMT_F32 || format == VB_FMT_F16 || format == VB_FMT_BF16;
}

int vb_weights_known(const vb_format_info *format)
{
    vb_format f = format->format;
    return f != VB_FMT_NONE && (is_float(f) || f == VB_FMT_MXFP4 || place_of(f) != NULL);
}

/* splitmix64 */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void random_bytes(uint64_t *state, uint8_t *to, size_t n)
{
    for (; n >= 8; n -= 8, to += 8) {
        uint64_t word = next(state);
        memcpy(to, &word, 8);
    }
    uint64_t word = next(state);
    memcpy(to, &word, n);
}

static void put_half(uint8_t *to, float x)
{
    uint16_t half = vb_oracle_to_half(x);
    memcpy(to, &half, sizeof half);
}

/* --- formats of single floats ------------------------------------------------------------------------------------ */

/* Evenly spread, so that the root mean square is d. */
static float even(uint64_t *state, float d)
{
    int x = (int)(next(state) >> 40) - 0x800000;
    return (float)x * 0x1p-23f * (1.7320508f * d);
}

static void fill_floats(vb_weights *w, uint8_t *to, int64_t n)
{
    for (int64_t i = 0; i < n; i++, to += w->format->bytes) {
        float x = even(&w->state, w->d);
        uint8_t bytes[4];
        memcpy(bytes, &x, sizeof x);
        if (w->format->format == VB_FMT_F32) memcpy(to, bytes, 4);
        if (w->format->format == VB_FMT_BF16) memcpy(to, bytes + 2, 2);
        if (w->format->format == VB_FMT_F16) put_half(to, x);
    }
}

/* --- formats of blocks ------------------------------------------------------------------------------------------- */

/* Scale and minimum of a sub-block are the same number, so that one ratio centres all of them. */
static void pair_scales(uint8_t *packed)
{
    for (int i = 0; i < 4; i++) {
        packed[i] &= 0x1f;
        packed[4 + i] = packed[i];
        packed[8 + i] = (uint8_t)((packed[8 + i] & 15) * 17);
    }
}

static void tame(vb_format format, uint8_t *b)
{
    switch (format) {
    case VB_FMT_Q4_K:
    case VB_FMT_Q5_K:
        pair_scales(b + 4);
        break;
    case VB_FMT_Q2_K:
        for (int i = 0; i < 16; i++) b[i] = (uint8_t)((b[i] & 15) * 17);
        break;
    case VB_FMT_Q6_K:
        for (int i = 192; i < 208; i++) b[i] &= 15;
        break;
    case VB_FMT_Q8_0:
        for (int i = 2; i < 34; i++) b[i] = (uint8_t)(b[i] == 0x80 ? 0x81 : b[i]);
        break;
    case VB_FMT_TQ2_0:
        for (int i = 0; i < 64; i++) b[i] = (uint8_t)(b[i] & ~(b[i] >> 1 & 0x55));
        break;
    default:
        break;
    }
}

static void set_scale(vb_format format, uint8_t *b, float d)
{
    const place *p = place_of(format);
    if (p == NULL) { /* MXFP4: a power of two */
        b[0] = (uint8_t)(127 + lrintf(log2f(d)));
        return;
    }
    put_half(b + p->d, d);
    if (p->m >= 0) put_half(b + p->m, d * p->ratio);
}

static float varied(vb_weights *w)
{
    uint64_t word = next(&w->state);
    const place *p = place_of(w->format->format);
    if (p == NULL) return w->d;
    float d = w->d * (0.75f + (float)(word & 255) * 0x1p-9f);
    return p->m < 0 && (word & 256) != 0 ? -d : d;
}

static void fill_blocks(vb_weights *w, uint8_t *to, int64_t blocks)
{
    random_bytes(&w->state, to, (size_t)blocks * (size_t)w->format->bytes);
    for (int64_t i = 0; i < blocks; i++, to += w->format->bytes) {
        tame(w->format->format, to);
        set_scale(w->format->format, to, varied(w));
    }
}

/* The root mean square of this format's elements where blocks have scale 1. */
static float unit_rms(const vb_format_info *format)
{
    uint8_t block[MOST_BYTES];
    float x[MOST_BLOCK];
    double sum = 0.0;
    uint64_t state = 1;
    for (int i = 0; i < PROBE; i++) {
        random_bytes(&state, block, (size_t)format->bytes);
        tame(format->format, block);
        set_scale(format->format, block, 1.0f);
        vb_oracle_dequantize(format->format, block, format->block, x);
        for (int j = 0; j < format->block; j++) sum += (double)x[j] * (double)x[j];
    }
    return (float)sqrt(sum / (PROBE * format->block));
}

void vb_weights_start(vb_weights *w, const vb_format_info *format, uint64_t seed, const char *name, float rms)
{
    uint8_t hash[16];
    vb_xxh128_of(name, strlen(name), hash);
    memcpy(&w->state, hash, sizeof w->state);
    w->state ^= seed * 0xd1342543de82ef95u;
    w->format = format;
    w->d = is_float(format->format) ? rms : rms / unit_rms(format);
}

void vb_weights_fill(vb_weights *w, uint8_t *to, int64_t blocks)
{
    if (is_float(w->format->format))
        fill_floats(w, to, blocks);
    else
        fill_blocks(w, to, blocks);
}
