/* kv.h - how keys and values of one head lie in memory (docs/ARITHMETIC.md J5): f16 2 bytes, f32 4, q8_0 34 per 32.
 *
 *   values   row by row: position 0 | position 1 | ...
 *   keys     tiles of VB_KEYS positions, element by element
 *              f16, f32   element 0 of positions 0..15 | element 1 of them | ...
 *              q8_0       scales of positions 0..15 | integer 0 of them | ... | integer 31 | the next block
 *
 * So scores of neighbouring positions grow side by side in a vector. What is at byte b of a key's row is found at byte
 * VB_KEYS * b of its tile, as many times its own size further on as positions stand before it; a tile has room for all of
 * its positions.
 */
#ifndef VB_BASE_KV_H
#define VB_BASE_KV_H
#include "verbatim.h"

#include <stddef.h>
#include <stdint.h>

enum { VB_KEYS = 16 };

uint64_t vb_kv_row_bytes(int floats, vb_kv kv); /* of one row of so many */
size_t vb_key_places(int n); /* n positions, and what fills them up to whole tiles */
/* Rows of keys, `stride` bytes apart, become positions from..from + n - 1 of `keys`, tiles from position 0 on; and back.
 * row_bytes is vb_kv_row_bytes of a key. */
void vb_keys_put(uint8_t *keys, int from, int n, const uint8_t *rows, size_t stride, size_t row_bytes, vb_kv kv);
void vb_keys_get(const uint8_t *keys, int from, int n, uint8_t *rows, size_t stride, size_t row_bytes, vb_kv kv);

#endif
