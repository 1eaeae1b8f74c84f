/* state.c - a session's memory: address space for its whole context at once, pages as positions are written. */
#include "run/state.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LAYERS = 4, HEADS = 8, DIM = 128, CONTEXT = 65536, WRITTEN = 1024, ROW = DIM * 2 };

/* Where the system hands out large pages by itself, each head's rows begin with one. */
enum { SLACK = 2 * LAYERS * HEADS * (2 << 20) + (4 << 20) };

static size_t resident(void)
{
    size_t pages = 0, all = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    cr_assert(f != NULL && fscanf(f, "%zu %zu", &all, &pages) == 2);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void write_positions(const vb_state *s, int from, int n)
{
    for (int layer = 0; layer < LAYERS; layer++)
        for (int h = 0; h < HEADS; h++) {
            vb_head_rows rows = vb_state_head(s, layer, h);
            memset(rows.keys + (size_t)from * rows.key_stride, 1, (size_t)n * rows.key_stride);
            memset(rows.values + (size_t)from * rows.value_stride, 1, (size_t)n * rows.value_stride);
        }
}

Test(state, pages_cost_memory_once_written)
{
    vb_slot slots[LAYERS];
    vb_plan plan = {.slots = slots, .n_slots = LAYERS};
    vb_state *s;
    vb_err err;
    for (int i = 0; i < LAYERS; i++) slots[i] = (vb_slot){i, HEADS, DIM, DIM};
    size_t one = (size_t)WRITTEN * ROW * 2 * HEADS * LAYERS, before = resident();
    cr_assert_eq(vb_state_open(&s, &plan, CONTEXT, VB_KV_F16, &err), VB_OK);
    cr_assert_eq(s->bytes, one * (CONTEXT / WRITTEN));
    cr_assert_lt(resident() - before, 1 << 20);
    write_positions(s, 0, WRITTEN);
    cr_assert_geq(resident() - before, one);
    cr_assert_lt(resident() - before, one + SLACK);
    write_positions(s, WRITTEN, 4 * WRITTEN);
    cr_assert_geq(resident() - before, 5 * one);
    cr_assert_lt(resident() - before, 5 * one + SLACK);
    vb_state_close(s);
    cr_assert_lt(resident(), before + (1 << 20));
}
