/* small.glsl - sums and squares that may be subnormal, on devices that keep no subnormals. Numbers go by their bits, so
 * that nothing but integers holds a subnormal; there it is a count of 2^-149.
 *
 *   a, b below 2^-60      2^64 a + 2^64 b, a sum of normal numbers, and back by 2^-64
 *   one of them is not    as it is: a subnormal is less than a quarter of the other's last place
 *
 * Scaling commutes with rounding: terms are multiples of 2^-149 and so is their sum, which is rounded where it needs more
 * than 24 bits, in either scale.
 */

/* x * 2^64 */
uint scaled_up(uint x)
{
    F32 count = I2F(U2I(x & 0x7fffffu)) * asf(0x15000000u); /* * 2^-85 */
    uint magnitude = x & 0x7fffffffu;
    return (x & 0x80000000u) | (magnitude < 0x00800000u ? asu(count) : magnitude + 0x20000000u);
}

/* x * 2^-64, x a multiple of 2^-85. */
uint scaled_down(uint x)
{
    uint magnitude = x & 0x7fffffffu, field = magnitude >> 23;
    uint count = field < 42u ? 0u : ((magnitude & 0x7fffffu) | 0x800000u) >> (65u - min(field, 64u));
    return (x & 0x80000000u) | (field > 64u ? magnitude - 0x20000000u : count);
}

uint small_sum(uint a, uint b)
{
    F32 y = asf(a) + asf(b);
    if ((a & 0x7fffffffu) >= 0x21800000u || (b & 0x7fffffffu) >= 0x21800000u) return asu(y);
    F32 z = asf(scaled_up(a)) + asf(scaled_up(b));
    return scaled_down(asu(z));
}

/* x * x, x no subnormal: below 2^-63 as a count, 48 bits shifted by 151 - 2 * field and rounded to nearest even. */
uint small_square(uint x)
{
    F32 y = asf(x) * asf(x);
    uint field = (x >> 23) & 255u, m = (x & 0x7fffffu) | 0x800000u, high, low;
    if (field > 63u) return asu(y);
    if (field < 52u) return 0u;
    umulExtended(m, m, high, low);
    uint shift = 150u - 2u * field; /* one less: 24 to 46 */
    uint twice = shift < 32u ? (high << (32u - shift)) | (low >> shift) : high >> (shift - 32u);
    uint lost = shift < 32u ? low << (32u - shift) : low | (shift > 32u ? high << (64u - shift) : 0u);
    uint count = twice >> 1;
    return count + ((twice & 1u) != 0u && (lost != 0u || (count & 1u) != 0u) ? 1u : 0u);
}
