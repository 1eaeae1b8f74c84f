/* decode.c - what the bytes of a weight block mean.
 *
 * Every format is one formula, with integers q, scale and min for element j and one or two scales d, m:
 *
 *   plain       (d * scale) * q                     most; scale 1 where none is named
 *   plus        (d * scale) * q + m * min           Q4_1, Q5_1 (scale 1, min 1)
 *   minus       (d * scale) * q - m * min           Q2_K, Q4_K, Q5_K
 *
 *   Q4_0    d:2 | nibbles:16                        low nibbles are elements 0-15, high ones 16-31; q = nibble - 8
 *   Q4_1    d:2 | m:2 | nibbles:16                  q = nibble
 *   Q5_0    d:2 | fifth bits:4 | nibbles:16         q = 5 bits - 16
 *   Q5_1    d:2 | m:2 | fifth bits:4 | nibbles:16   q = 5 bits
 *   Q8_0    d:2 | int8:32
 *   IQ4_NL  d:2 | nibbles:16                        q = uneven(nibble)
 *   MXFP4   e:1 | nibbles:16                        d = 2^(e - 128), q = twice the 4-bit float
 *   Q2_K    nibbles of scale and min:16 | 2 bits:64 | d:2 | m:2                16 sub-blocks of 16
 *   Q3_K    high bits:32 | low 2 bits:64 | packed scales:12 | d:2              16 sub-blocks of 16; q = 3 bits - 4
 *   Q4_K    d:2 | m:2 | packed scales and mins:12 | nibbles:128                8 sub-blocks of 32
 *   Q5_K    d:2 | m:2 | packed scales and mins:12 | fifth bits:32 | nibbles:128
 *   Q6_K    low 4 bits:128 | high 2 bits:64 | int8 scales:16 | d:2             16 sub-blocks of 16; q = 6 bits - 32
 *   IQ4_XS  d:2 | high scale bits:2 | low scale nibbles:4 | nibbles:128        8 sub-blocks of 32; q = uneven(nibble)
 *
 * d and m are little-endian halves. F32, F16 and BF16 are blocks of one element with d = the value, scale = q = 1.
 * Formats without a rule of section C are in decode_grid.c.
 */
#include "oracle/decode.h"

#include <string.h>

/* --- floats ------------------------------------------------------------------------------------------------ */

static float bits_as_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

weight vb_oracle_decode_F32(const uint8_t *b, int j)
{
    (void)j;
    return plain(bits_as_float(little(b, 4)), 1, 1);
}

weight vb_oracle_decode_F16(const uint8_t *b, int j)
{
    (void)j;
    return plain(half_at(b), 1, 1);
}

weight vb_oracle_decode_BF16(const uint8_t *b, int j)
{
    (void)j;
    return plain(bits_as_float(little(b, 2) << 16), 1, 1);
}

/* --- blocks of 32 ------------------------------------------------------------------------------------------ */

static int fifth_bit(const uint8_t *bytes, int j)
{
    return (int)(little(bytes, 4) >> j & 1) << 4;
}

weight vb_oracle_decode_Q4_0(const uint8_t *b, int j)
{
    return plain(half_at(b), 1, nibble(b + 2, j) - 8);
}

weight vb_oracle_decode_Q4_1(const uint8_t *b, int j)
{
    return (weight){.form = PLUS, .d = half_at(b), .m = half_at(b + 2), .q = nibble(b + 4, j), .scale = 1, .min = 1};
}

weight vb_oracle_decode_Q5_0(const uint8_t *b, int j)
{
    return plain(half_at(b), 1, (nibble(b + 6, j) | fifth_bit(b + 2, j)) - 16);
}

weight vb_oracle_decode_Q5_1(const uint8_t *b, int j)
{
    int q = nibble(b + 8, j) | fifth_bit(b + 4, j);
    return (weight){.form = PLUS, .d = half_at(b), .m = half_at(b + 2), .q = q, .scale = 1, .min = 1};
}

weight vb_oracle_decode_Q8_0(const uint8_t *b, int j)
{
    return plain(half_at(b), 1, (int8_t)b[2 + j]);
}

/* Sixteen steps of growing width. */
static int uneven(int code)
{
    static const int step[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    return step[code];
}

weight vb_oracle_decode_IQ4_NL(const uint8_t *b, int j)
{
    return plain(half_at(b), 1, uneven(nibble(b + 2, j)));
}

int vb_oracle_e2m1(int code)
{
    int exponent = code >> 1 & 3, mantissa = code & 1;
    int twice = exponent == 0 ? mantissa : (2 + mantissa) << (exponent - 1);
    return code & 8 ? -twice : twice;
}

weight vb_oracle_decode_MXFP4(const uint8_t *b, int j)
{
    float d = 0x1p-64f;
    for (int e = b[0]; e > 64; e--) d = d * 2.0f;
    for (int e = b[0]; e < 64; e++) d = d * 0.5f;
    return plain(d, 1, vb_oracle_e2m1(nibble(b + 1, j)));
}

/* --- blocks of 256 ----------------------------------------------------------------------------------------- */

/* Two bits of each of 256 elements in 64 bytes: 32 bytes hold 128 elements, the first 32 of them in the low bits. */
static int two_bits(const uint8_t *bytes, int j)
{
    return bytes[j / 128 * 32 + j % 32] >> (j % 128 / 32 * 2) & 3;
}

weight vb_oracle_decode_Q2_K(const uint8_t *b, int j)
{
    return (weight){.form = MINUS, .d = half_at(b + 80), .m = half_at(b + 82), .q = two_bits(b + 16, j),
                    .scale = b[j / 16] & 15, .min = b[j / 16] >> 4};
}

/* Of 16 scales, the low four bits are nibbles of 8 bytes, the high two stand in 4 bytes, every fourth scale in one. */
weight vb_oracle_decode_Q3_K(const uint8_t *b, int j)
{
    const uint8_t *p = b + 96;
    int s = j / 16, low = s < 8 ? p[s] & 15 : p[s - 8] >> 4, high = p[8 + s % 4] >> (s / 4 * 2) & 3;
    int third = b[j % 32] >> (j / 32) & 1;
    return plain(half_at(b + 108), (low | high << 4) - 32, (two_bits(b + 32, j) | third << 2) - 4);
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
static int nibble_of_256(const uint8_t *bytes, int j)
{
    int byte = bytes[j / 64 * 32 + j % 32];
    return j / 32 % 2 == 0 ? byte & 15 : byte >> 4;
}

weight vb_oracle_decode_Q4_K(const uint8_t *b, int j)
{
    weight w = {.form = MINUS, .d = half_at(b), .m = half_at(b + 2), .q = nibble_of_256(b + 16, j)};
    packed_scale(b + 4, j / 32, &w.scale, &w.min);
    return w;
}

/* Byte i holds the fifth bits of element i of each of the eight sub-blocks. */
weight vb_oracle_decode_Q5_K(const uint8_t *b, int j)
{
    int fifth = b[16 + j % 32] >> (j / 32) & 1;
    weight w = {.form = MINUS, .d = half_at(b), .m = half_at(b + 2), .q = nibble_of_256(b + 48, j) | fifth << 4};
    packed_scale(b + 4, j / 32, &w.scale, &w.min);
    return w;
}

/* Each half of 128 elements: quarters 0 and 1 are low nibbles of 64 bytes, 2 and 3 the high ones; the upper two bits
 * of the four quarters share a byte. */
weight vb_oracle_decode_Q6_K(const uint8_t *b, int j)
{
    int half = j / 128, quarter = j % 128 / 32;
    int byte = b[half * 64 + quarter % 2 * 32 + j % 32];
    int low = quarter < 2 ? byte & 15 : byte >> 4;
    return plain(half_at(b + 208), (int8_t)b[192 + j / 16], (low | two_bits(b + 128, j) << 4) - 32);
}

/* Sub-blocks are 16 bytes each, as blocks of IQ4_NL. */
weight vb_oracle_decode_IQ4_XS(const uint8_t *b, int j)
{
    int s = j / 32, low = b[4 + s / 2] >> (s % 2 * 4) & 15, high = (int)(little(b + 2, 2) >> (2 * s) & 3);
    return plain(half_at(b), (low | high << 4) - 32, uneven(nibble(b + 8 + 16 * s, j % 32)));
}

/* --- all --------------------------------------------------------------------------------------------------- */

static weight (*const decoders[VB_FORMATS])(const uint8_t *, int) = {
#define VB_FORMAT(ID, text, gguf, block, bytes, ACT) vb_oracle_decode_##ID,
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

/* C1 to C5: exact integer sums, then one rounded conversion each and the products in the order of the text. Scales of
 * MXFP4 that are smaller than the guard count as zero (A5). */
float vb_oracle_term(vb_format format, const void *block, const int8_t *q, float d)
{
    int n = vb_format_of(format)->block, sum = 0, mins = 0;
    weight w = {0};
    for (int j = 0; j < n; j++) {
        w = decoders[format](block, j);
        sum += w.scale * w.q * q[j];
        mins += w.min * q[j];
    }
    if (format == VB_FMT_MXFP4) w.d = vb_oracle_guard(w.d);
    float term = (w.d * d) * (float)sum;
    if (w.form == PLUS) term = term + (w.m * d) * (float)mins;
    if (w.form == MINUS) term = term - (w.m * d) * (float)mins;
    return term;
}
