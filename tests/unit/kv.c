/* kv.c - keys as rows and as tiles: every byte where base/kv.h says, positions that are not moved untouched. */
#include "base/kv.h"

#include <criterion/criterion.h>
#include <string.h>

enum { POSITIONS = 80, DIM = 96, MOST = DIM * 4 };

static uint8_t number(int position, size_t byte)
{
    return (uint8_t)(position * 37 + (int)byte * 11 + 1);
}

/* Where byte `at` of a position's row lies. */
static size_t place(int position, size_t at, size_t row, vb_kv kv)
{
    size_t size = kv == VB_KV_F32 ? 4 : kv == VB_KV_F16 || at % 34 < 2 ? 2 : 1;
    size_t in = kv == VB_KV_Q8_0 ? (at % 34 < 2 ? at % 34 : 0) : at % size, first = at - in;
    size_t tile = (size_t)(position / VB_KEYS) * VB_KEYS * row;
    return tile + VB_KEYS * first + size * (size_t)(position % VB_KEYS) + in;
}

static void put_and_get(int from, int n, vb_kv kv)
{
    static uint8_t tiles[POSITIONS * MOST], rows[POSITIONS * (MOST + 8)], back[POSITIONS * (MOST + 8)];
    size_t row = (size_t)vb_kv_row_bytes(DIM, kv), stride = row + 8;
    memset(tiles, 0, sizeof tiles);
    memset(rows, 0, sizeof rows);
    memset(back, 0, sizeof back);
    for (int p = 0; p < n; p++)
        for (size_t at = 0; at < row; at++) rows[(size_t)p * stride + at] = number(from + p, at);
    vb_keys_put(tiles, from, n, rows, stride, row, kv);
    for (int p = 0; p < POSITIONS; p++)
        for (size_t at = 0; at < row; at++) {
            uint8_t expected = p >= from && p < from + n ? number(p, at) : 0;
            cr_assert_eq(tiles[place(p, at, row, kv)], expected, "kv %d, %d from %d: position %d, byte %zu", (int)kv, n,
                         from, p, at);
        }
    vb_keys_get(tiles, from, n, back, stride, row, kv);
    cr_assert_arr_eq(back, rows, sizeof rows);
}

Test(kv, keys_lie_in_tiles)
{
    for (vb_kv kv = VB_KV_F16; kv <= VB_KV_Q8_0; kv++)
        for (int from = 0; from < 40; from++)
            for (int n = 0; n <= 40; n++) put_and_get(from, n, kv);
}

Test(kv, tiles_have_room_for_all_their_positions)
{
    cr_assert_eq(vb_key_places(0), 0);
    cr_assert_eq(vb_key_places(1), 16);
    cr_assert_eq(vb_key_places(16), 16);
    cr_assert_eq(vb_key_places(17), 32);
}

Test(kv, rows_have_the_bytes_of_their_type)
{
    cr_assert_eq(vb_kv_row_bytes(96, VB_KV_F16), 192);
    cr_assert_eq(vb_kv_row_bytes(96, VB_KV_F32), 384);
    cr_assert_eq(vb_kv_row_bytes(96, VB_KV_Q8_0), 102);
}
