/* kv.glsl - keys and values as they are stored (docs/ARITHMETIC.md J5), by pairs of elements, and where they lie.
 *
 *   f16    a pair is a word
 *   f32    a pair is two words
 *   q8_0   blocks of 17 halves of a word: the scale, then 16 pairs of integers
 *
 * A row has an even number of elements and begins at a word. K and V of a slot: page, head, position in the page, row.
 */
#if defined(FORMAT_f16)
#define PAIR(word, base, i, x, y)                                                                                      \
    U32 pair = word((base) + (i));                                                                                     \
    F32 x = c_h2f(pair & 0xffffu);                                                                                     \
    F32 y = c_h2f(pair >> 16);
#elif defined(FORMAT_f32)
#define PAIR(word, base, i, x, y)                                                                                      \
    F32 x = asf(word((base) + 2u * (i)));                                                                              \
    F32 y = asf(word((base) + 2u * (i) + 1u));
#elif defined(FORMAT_q8_0)
#define PAIR(word, base, i, x, y)                                                                                      \
    U32 block = 17u * ((i) >> 4);                                                                                      \
    U32 at_pair = block + 1u + ((i) & 15u);                                                                            \
    F32 scale_of = c_h2f((word((base) + (block >> 1)) >> (16u * (block & 1u))) & 0xffffu);                             \
    U32 pair = word((base) + (at_pair >> 1)) >> (16u * (at_pair & 1u));                                                \
    F32 x = scale_of * I2F(U2I(pair << 24) >> 24);                                                                     \
    F32 y = scale_of * I2F(U2I(pair << 16) >> 24);
#endif

uint k_word(uint i) { return k_words[at[6] + i]; }
uint v_word(uint i) { return v_words[at[7] + i]; }

/* The page of a token's state where its positions 64 c .. 64 c + 63 are. */
uint page_of(uint token, uint c)
{
    return row_words[at[3] + row_words[at[3] + 3u] + row_words[at[3] + 7u + 8u * token] + c];
}
