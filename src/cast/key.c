/* key.c - from who, when and where to random numbers.
 *
 *   world, entity, tick, draw  -- XXH3-128 -->  stream (first 8 bytes, big endian), seed (last 8)
 *   (seed, stream, position)   -- Philox   -->  the word that the sampler takes at that position (ARITHMETIC J6)
 *
 * Invariant: nothing here has a state.
 */
#include "base/hash.h"
#include "base/philox.h"
#include "verbatim_dialogue.h"

static void put(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_big_endian(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | at[i];
    return value;
}

VB_API void vb_line_stream(const vb_line_key *key, uint64_t *seed, uint64_t *stream)
{
    uint8_t bytes[32], digest[16];
    put(bytes, key->world);
    put(bytes + 8, key->entity);
    put(bytes + 16, key->tick);
    put(bytes + 24, key->draw);
    vb_xxh128_of(bytes, sizeof bytes, digest);
    *stream = get_big_endian(digest);
    *seed = get_big_endian(digest + 8);
}

VB_API void vb_line_words(const vb_line_key *key, uint32_t *words, int n)
{
    uint64_t seed, stream;
    vb_line_stream(key, &seed, &stream);
    for (int i = 0; i < n; i++) {
        uint32_t k[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, word[4];
        uint32_t counter[4] = {(uint32_t)stream, (uint32_t)(stream >> 32), (uint32_t)i, 0};
        vb_philox4x32_10(k, counter, word);
        words[i] = word[0];
    }
}

VB_API uint64_t vb_entity_id(const char *name, size_t len)
{
    return vb_xxh64_of(name, len);
}
