/* kv.glsl - keys and values as they are stored (docs/ARITHMETIC.md J5), by pairs of elements, and where they lie.
 *
 *   f16    a pair is a word
 *   f32    a pair is two words
 *   q8_0   blocks of 17 halves of a word: the scale, then 16 pairs of integers
 *
 * A row has an even number of elements and begins at a word. K and V of a slot: page, head, position in the page, row.
 */
uint k_word(uint i) { return k_words[at[6] + i]; }
uint v_word(uint i) { return v_words[at[7] + i]; }

/* A pair as it is stored, and its elements. */
#if defined(FORMAT_f16)
#define RAW uint
#define RAW_OF(word, base, i) word((base) + (i))
F32 lower(RAW r) { return c_h2f(r & 0xffffu); }
F32 upper(RAW r) { return c_h2f(r >> 16); }
#elif defined(FORMAT_f32)
#define RAW uvec2
#define RAW_OF(word, base, i) uvec2(word((base) + 2u * (i)), word((base) + 2u * (i) + 1u))
F32 lower(RAW r) { return asf(r.x); }
F32 upper(RAW r) { return asf(r.y); }
#else
#define RAW uvec2 /* scale, pair */
#define HALF_OF(word, base, h) (word((base) + ((h) >> 1)) >> (16u * ((h) & 1u)))
#define RAW_OF(word, base, i)                                                                                          \
    uvec2(HALF_OF(word, base, 17u * ((i) >> 4)), HALF_OF(word, base, 17u * ((i) >> 4) + 1u + ((i) & 15u)))
F32 lower(RAW r)
{
    F32 x = c_h2f(r.x & 0xffffu) * I2F(U2I(r.y << 24) >> 24);
    return x;
}
F32 upper(RAW r)
{
    F32 x = c_h2f(r.x & 0xffffu) * I2F(U2I(r.y << 16) >> 24);
    return x;
}
#endif
RAW k_raw(uint base, uint i) { return RAW_OF(k_word, base, i); }
RAW v_raw(uint base, uint i) { return RAW_OF(v_word, base, i); }

/* The page of a token's state where its positions 64 c .. 64 c + 63 are. */
uint page_of(uint token, uint c)
{
    return row_words[at[3] + row_words[at[3] + 3u] + row_words[at[3] + 7u + 8u * token] + c];
}
