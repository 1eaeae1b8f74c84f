/* decode_grid.c - weights that have no integer rule: points of lattices (IQ1, IQ2, IQ3), three values (TQ), small floats.
 *
 *   IQ1_S    d:2 | low index bits:32 | h:2 x 8           a point for 8; 16 bits h for 32: high index bits 3 x 4,
 *                                                        scale:3, sign of the shift:1
 *   IQ1_M    low index bits:32 | h:16 | scales:2 x 4     a nibble h for 8: high index bits:3, sign of the shift:1;
 *                                                        words of scales: four of 3 bits, a nibble of d
 *   IQ2_XXS  d:2 | (index:1 x 4, signs and scale:4) x 8  signs 7 x 4, scale:4
 *   IQ2_XS   d:2 | (index 9 bits, signs 7):2 x 32 | scale nibbles:8
 *   IQ2_S    d:2 | low index bits:32 | signs:32 | high index bits:8 | scale nibbles:8
 *   IQ3_XXS  d:2 | index:64 | signs and scale:4 x 8      a point for 4; signs 7 x 4, scale:4
 *   IQ3_S    d:2 | low index bits:64 | high index bits:8 | signs:32 | scale nibbles:4
 *   TQ1_0    five in a byte:48 | four in a byte:4 | d:2  q = digit to base 3, less 1
 *   TQ2_0    2 bits:64 | d:2                             q = 2 bits - 1
 *   NVFP4    scales:4 | nibbles:32                       16 elements a scale: 8 bytes, low nibbles first
 *
 * A scale s of a lattice weight stands for the odd number 2s + 1; d then carries a power of two. The scales of IQ1_M
 * and IQ2_XS hold for 16 elements, others for 32. Of 7 signs the eighth makes their number even.
 */
#include "oracle/decode.h"

#include "oracle/grids_data.inc"

static int digit(const char *points, int width, int point, int i)
{
    return points[point * width + i] - '0';
}

/* IQ2: 8, 25 or 43. */
static int step2(const char *points, int point, int i)
{
    static const int step[3] = {8, 25, 43};
    return step[digit(points, 8, point, i)];
}

/* Sign i of eight, of which seven are stored. */
static int minus_of_7(unsigned signs, int i)
{
    unsigned last = 0;
    if (i < 7) return (int)(signs >> i & 1);
    for (int k = 0; k < 7; k++) last ^= signs >> k & 1;
    return (int)last;
}

static int odd(int scale)
{
    return 2 * scale + 1;
}

static int nibble_of(const uint8_t *bytes, int i)
{
    return bytes[i / 2] >> (i % 2 * 4) & 15;
}

/* Eighths: -1, 0 or 1, and an eighth more or less. */
static int shifted(int point, int i, int minus)
{
    return 8 * (digit(iq1_points, 8, point, i) - 1) + (minus ? -1 : 1);
}

weight vb_oracle_decode_IQ1_S(const uint8_t *b, int j)
{
    unsigned h = little(b + 34 + j / 32 * 2, 2);
    int point = b[2 + j / 8] | (int)(h >> (j / 8 % 4 * 3) & 7) << 8;
    return plain(half_at(b) * 0.125f, odd((int)(h >> 12 & 7)), shifted(point, j % 8, (int)(h >> 15)));
}

weight vb_oracle_decode_IQ1_M(const uint8_t *b, int j)
{
    const uint8_t *scales = b + 48;
    unsigned half = 0;
    for (int i = 0; i < 4; i++) half |= little(scales + 2 * i, 2) >> 12 << (4 * i);
    int h = nibble_of(b + 32, j / 8), point = b[j / 8] | (h & 7) << 8;
    int scale = (int)(little(scales + j / 64 * 2, 2) >> (j / 16 % 4 * 3) & 7);
    return plain(vb_oracle_from_half((uint16_t)half) * 0.125f, odd(scale), shifted(point, j % 8, h >> 3));
}

weight vb_oracle_decode_IQ2_XXS(const uint8_t *b, int j)
{
    const uint8_t *part = b + 2 + j / 32 * 8;
    unsigned signs = little(part + 4, 4);
    int q = step2(iq2_xxs_points, part[j / 8 % 4], j % 8);
    int minus = minus_of_7(signs >> (j / 8 % 4 * 7) & 127, j % 8);
    return plain(half_at(b) * 0.125f, odd((int)(signs >> 28)), minus ? -q : q);
}

weight vb_oracle_decode_IQ2_XS(const uint8_t *b, int j)
{
    unsigned word = little(b + 2 + j / 8 * 2, 2);
    int q = step2(iq2_xs_points, (int)(word & 511), j % 8);
    return plain(half_at(b) * 0.125f, odd(nibble_of(b + 66, j / 16)), minus_of_7(word >> 9, j % 8) ? -q : q);
}

weight vb_oracle_decode_IQ2_S(const uint8_t *b, int j)
{
    int high = b[66 + j / 32] >> (j / 8 % 4 * 2) & 3;
    int q = step2(iq2_s_points, b[2 + j / 8] | high << 8, j % 8);
    int minus = b[34 + j / 8] >> (j % 8) & 1;
    return plain(half_at(b) * 0.125f, odd(nibble_of(b + 74, j / 16)), minus ? -q : q);
}

weight vb_oracle_decode_IQ3_XXS(const uint8_t *b, int j)
{
    static const int step[8] = {4, 12, 20, 28, 36, 44, 52, 62};
    unsigned signs = little(b + 66 + j / 32 * 4, 4);
    int q = step[digit(iq3_xxs_points, 4, b[2 + j / 4], j % 4)];
    int minus = minus_of_7(signs >> (j / 8 % 4 * 7) & 127, j % 8);
    return plain(half_at(b) * 0.25f, odd((int)(signs >> 28)), minus ? -q : q);
}

weight vb_oracle_decode_IQ3_S(const uint8_t *b, int j)
{
    int high = b[66 + j / 32] >> (j / 4 % 8) & 1;
    int q = odd(digit(iq3_s_points, 4, b[2 + j / 4] | high << 8, j % 4));
    int minus = b[74 + j / 8] >> (j % 8) & 1;
    return plain(half_at(b), odd(nibble_of(b + 106, j / 32)), minus ? -q : q);
}

/* A byte is a fraction of 256: times three, the whole part is the first digit. */
weight vb_oracle_decode_TQ1_0(const uint8_t *b, int j)
{
    int byte = j < 160 ? j % 32 : j < 240 ? 32 + j % 16 : 48 + j % 4;
    int place = j < 160 ? j / 32 : j < 240 ? (j - 160) / 16 : (j - 240) / 4, fraction = b[byte];
    for (; place > 0; place--) fraction = fraction * 3 % 256;
    return plain(half_at(b + 52), 1, fraction * 3 / 256 - 1);
}

weight vb_oracle_decode_TQ2_0(const uint8_t *b, int j)
{
    int q = b[j / 128 * 32 + j % 32] >> (j % 128 / 32 * 2) & 3;
    return plain(half_at(b + 64), 1, q - 1);
}

/* Half of an 8-bit float without sign, four bits of exponent, three of mantissa; its NaN counts as zero. */
static float half_of_e4m3(uint8_t code)
{
    int exponent = code >> 3 & 15, mantissa = code & 7;
    float value = (float)(exponent == 0 ? mantissa : 8 + mantissa) * 0x1p-10f;
    for (int e = 1; e < exponent; e++) value = value * 2.0f;
    return code == 127 ? 0.0f : value;
}

weight vb_oracle_decode_NVFP4(const uint8_t *b, int j)
{
    int part = j / 16, byte = b[4 + part * 8 + j % 8];
    return plain(half_of_e4m3(b[part]), 1, vb_oracle_e2m1(j % 16 < 8 ? byte & 15 : byte >> 4));
}
