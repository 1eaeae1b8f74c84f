/* decode.c - what the bytes of a weight block mean.
 *
 * Every block format is one formula, with integers q, scale and min for element j and one or two scales d, m:
 *
 *   plain       (d * scale) * q                     Q4_0 Q5_0 Q8_0 (scale 1), Q6_K
 *   plus        (d * scale) * q + m * min           Q4_1 (scale 1, min 1)
 *   minus       (d * scale) * q - m * min           Q4_K
 *
 *   Q4_0   d:2 | nibbles:16          low nibbles are elements 0-15, high ones 16-31; q = nibble - 8
 *   Q4_1   d:2 | m:2 | nibbles:16    q = nibble
 *   Q5_0   d:2 | fifth bits:4 | nibbles:16                             q = 5 bits - 16
 *   Q8_0   d:2 | int8:32
 *   Q4_K   d:2 | m:2 | packed scales and mins:12 | nibbles:128         8 sub-blocks of 32
 *   Q6_K   low 4 bits:128 | high 2 bits:64 | int8 scales:16 | d:2      q = 6 bits - 32, 16 sub-blocks of 16
 *
 * d and m are little-endian halves. F32, F16 and BF16 are blocks of one element with d = the value, scale = q = 1.
 */
#include "oracle/oracle.h"

#include <string.h>

typedef enum { PLAIN, PLUS, MINUS } form;

typedef struct {
    form form;
    float d, m;
    int q, scale, min;
} weight;

static unsigned little(const uint8_t *bytes, int n)
{
    unsigned value = 0;
    for (int i = 0; i < n; i++) value |= (unsigned)bytes[i] << (8 * i);
    return value;
}

static float half_at(const uint8_t *bytes)
{
    return vb_oracle_from_half((uint16_t)little(bytes, 2));
}

static float bits_as_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Nibble j of 32 in 16 bytes: the low ones first. */
static int nibble(const uint8_t *bytes, int j)
{
    return j < 16 ? bytes[j] & 15 : bytes[j - 16] >> 4;
}

static weight plain(float d, int q)
{
    return (weight){.form = PLAIN, .d = d, .q = q, .scale = 1};
}

static weight decode_F32(const uint8_t *b, int j)
{
    (void)j;
    return plain(bits_as_float(little(b, 4)), 1);
}

static weight decode_F16(const uint8_t *b, int j)
{
    (void)j;
    return plain(half_at(b), 1);
}

static weight decode_BF16(const uint8_t *b, int j)
{
    (void)j;
    return plain(bits_as_float(little(b, 2) << 16), 1);
}

static weight decode_Q4_0(const uint8_t *b, int j)
{
    return plain(half_at(b), nibble(b + 2, j) - 8);
}

static weight decode_Q4_1(const uint8_t *b, int j)
{
    return (weight){.form = PLUS, .d = half_at(b), .m = half_at(b + 2), .q = nibble(b + 4, j), .scale = 1, .min = 1};
}

static weight decode_Q5_0(const uint8_t *b, int j)
{
    int fifth = (int)(little(b + 2, 4) >> j & 1);
    return plain(half_at(b), (nibble(b + 6, j) | fifth << 4) - 16);
}

static weight decode_Q8_0(const uint8_t *b, int j)
{
    return plain(half_at(b), (int8_t)b[2 + j]);
}

/* Scale and min of sub-block s, 6 bits each: the first four lie whole in bytes 0-7, the others have their low four
 * bits in bytes 8-11 and their high two in the top of bytes 0-7. */
static void packed_scale(const uint8_t *p, int s, int *scale, int *min)
{
    if (s < 4) {
        *scale = p[s] & 63;
        *min = p[s + 4] & 63;
    } else {
        *scale = (p[s + 4] & 15) | (p[s - 4] >> 6) << 4;
        *min = p[s + 4] >> 4 | (p[s] >> 6) << 4;
    }
}

/* Sub-blocks 2i and 2i + 1 are the low and high nibbles of the same 32 bytes. */
static weight decode_Q4_K(const uint8_t *b, int j)
{
    weight w = {.form = MINUS, .d = half_at(b), .m = half_at(b + 2)};
    int s = j / 32, byte = b[16 + s / 2 * 32 + j % 32];
    packed_scale(b + 4, s, &w.scale, &w.min);
    w.q = s % 2 == 0 ? byte & 15 : byte >> 4;
    return w;
}

/* Each half of 128 elements: quarters 0 and 1 are low nibbles of 64 bytes, 2 and 3 the high ones; the upper two bits
 * of the four quarters share a byte. */
static weight decode_Q6_K(const uint8_t *b, int j)
{
    int half = j / 128, quarter = j % 128 / 32, i = j % 32;
    int byte = b[half * 64 + quarter % 2 * 32 + i];
    int low = quarter < 2 ? byte & 15 : byte >> 4;
    int high = b[128 + half * 32 + i] >> (2 * quarter) & 3;
    weight w = plain(half_at(b + 208), (low | high << 4) - 32);
    w.scale = (int8_t)b[192 + j / 16];
    return w;
}

static weight (*const decoders[VB_FORMATS])(const uint8_t *, int) = {
#define VB_FORMAT(ID, text, gguf, block, bytes, ACT) decode_##ID,
#include "base/quant.def"
};

/* C6: the order of operations of dequantisation. */
float vb_oracle_element(vb_format format, const void *block, int j)
{
    weight w = decoders[format](block, j);
    float value = (w.d * (float)w.scale) * (float)w.q;
    if (w.form == PLUS) value = value + w.m * (float)w.min;
    if (w.form == MINUS) value = value - w.m * (float)w.min;
    return value;
}

void vb_oracle_dequantize(vb_format format, const void *row, int64_t n, float *out)
{
    const vb_format_info *f = vb_format_of(format);
    for (int64_t i = 0; i < n; i++)
        out[i] = vb_oracle_element(format, (const uint8_t *)row + i / f->block * f->bytes, (int)(i % f->block));
}

/* C1 to C5: exact integer sums, then one rounded conversion each and the products in the order of the text. */
float vb_oracle_term(vb_format format, const void *block, const int8_t *q, float d)
{
    int n = vb_format_of(format)->block, sum = 0, mins = 0;
    weight w = {0};
    for (int j = 0; j < n; j++) {
        w = decoders[format](block, j);
        sum += w.scale * w.q * q[j];
        mins += w.min * q[j];
    }
    float term = (w.d * d) * (float)sum;
    if (w.form == PLUS) term = term + (w.m * d) * (float)mins;
    if (w.form == MINUS) term = term - (w.m * d) * (float)mins;
    return term;
}
