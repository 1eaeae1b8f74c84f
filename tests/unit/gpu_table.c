/* gpu_table.c - pages of a device and the states they belong to: never one for two, none lost, the longest unused goes
 * first, and what is forgotten is not there. */
#include "gpu/table.h"
#include "tests/random.h"

#include <criterion/criterion.h>
#include <pthread.h>

enum { SLOTS = 3, PAGES = 40, STATES = 12, MOST = PAGES * VB_GPU_PAGE };

static vb_gpu_table *open_table(int pages)
{
    vb_gpu_table *t = NULL;
    vb_err err;
    cr_assert_eq(vb_gpu_table_open(&t, SLOTS, &err), VB_OK);
    cr_assert_eq(vb_gpu_table_reset(t, pages, &err), VB_OK);
    return t;
}

static int want(vb_gpu_table *t, uint64_t state, int positions, int evict)
{
    return vb_gpu_table_fit(t, &(vb_gpu_want){state, positions}, 1, evict);
}

Test(gpu_table, pages_are_of_one_state)
{
    vb_gpu_table *t = open_table(5);
    uint32_t pages[5];
    int seen[5] = {0};
    cr_assert_eq(want(t, 7, 130, 0), 0);
    cr_assert_eq(want(t, 12, 64, 0), 0);
    cr_assert_eq(want(t, 13, 65, 0), 1, "one is left, two are needed");
    cr_assert_eq(want(t, 13, 64, 0), 0);
    vb_gpu_table_pages(t, 7, pages, 3);
    vb_gpu_table_pages(t, 12, pages + 3, 1);
    vb_gpu_table_pages(t, 13, pages + 4, 1);
    for (int i = 0; i < 5; i++) seen[pages[i]]++;
    for (int i = 0; i < 5; i++) cr_assert_eq(seen[i], 1);
    vb_gpu_table_close(t);
}

Test(gpu_table, growing_keeps_the_pages_in_front)
{
    vb_gpu_table *t = open_table(9);
    uint32_t before[2], after[4];
    cr_assert_eq(want(t, 1, 100, 0), 0);
    vb_gpu_table_pages(t, 1, before, 2);
    cr_assert_eq(want(t, 2, 100, 0), 0);
    cr_assert_eq(want(t, 1, 250, 0), 0);
    vb_gpu_table_pages(t, 1, after, 4);
    cr_assert_eq(before[0], after[0]);
    cr_assert_eq(before[1], after[1]);
    cr_assert_eq(want(t, 1, 3, 0), 0, "fewer positions take none away");
    vb_gpu_table_pages(t, 1, after, 4);
    cr_assert_neq(after[3], after[2]);
    vb_gpu_table_close(t);
}

Test(gpu_table, the_longest_unused_gives_up_its_pages)
{
    vb_gpu_table *t = open_table(4);
    for (uint64_t id = 1; id <= 4; id++) {
        cr_assert_eq(want(t, id, 64, 1), 0);
        vb_gpu_table_fill(t, id, 0, 64);
    }
    cr_assert_eq(want(t, 1, 64, 1), 0);
    cr_assert_eq(want(t, 5, 65, 0), 2);
    cr_assert_eq(want(t, 5, 65, 1), 0);
    cr_assert_eq(vb_gpu_table_valid(t, 1, 0), 64, "used after 2 and 3");
    cr_assert_eq(vb_gpu_table_valid(t, 2, 0), 0);
    cr_assert_eq(vb_gpu_table_valid(t, 3, 0), 0);
    cr_assert_eq(vb_gpu_table_valid(t, 4, 0), 64);
    vb_gpu_table_close(t);
}

Test(gpu_table, those_wanted_together_never_evict_each_other)
{
    vb_gpu_table *t = open_table(4);
    vb_gpu_want wants[] = {{1, 128}, {2, 192}}, fewer[] = {{1, 128}, {3, 128}};
    cr_assert_eq(vb_gpu_table_fit(t, wants, 2, 1), 1);
    cr_assert_eq(vb_gpu_table_fit(t, fewer, 2, 1), 0);
    vb_gpu_table_fill(t, 1, 0, 128);
    vb_gpu_want more[] = {{1, 128}, {4, 192}};
    cr_assert_eq(vb_gpu_table_fit(t, more, 2, 1), 1);
    cr_assert_eq(vb_gpu_table_valid(t, 1, 0), 128, "wanted, so it stays, though it is in the way");
    cr_assert_eq(want(t, 9, 5 * 64, 1), 1, "more than there are");
    vb_gpu_table_close(t);
}

Test(gpu_table, what_is_forgotten_is_not_there)
{
    vb_gpu_table *t = open_table(4);
    cr_assert_eq(want(t, 1, 256, 0), 0);
    vb_gpu_table_fill(t, 1, 0, 200);
    vb_gpu_table_fill(t, 1, 2, 90);
    vb_gpu_table_fill(t, 1, 1, 1000);
    cr_assert_eq(vb_gpu_table_valid(t, 1, 1), 256, "no more than its pages hold");
    vb_gpu_table_forget(t, 1, 100);
    cr_assert_eq(vb_gpu_table_valid(t, 1, 0), 100);
    cr_assert_eq(vb_gpu_table_valid(t, 1, 1), 100);
    cr_assert_eq(vb_gpu_table_valid(t, 1, 2), 90);
    cr_assert_eq(want(t, 2, 128, 0), 0, "the pages behind are free again");
    vb_gpu_table_forget(t, 1, 0);
    vb_gpu_table_forget(t, 77, 0);
    cr_assert_eq(vb_gpu_table_valid(t, 1, 0), 0);
    vb_gpu_table_fill(t, 1, 0, 64);
    cr_assert_eq(vb_gpu_table_valid(t, 1, 0), 0);
    cr_assert_eq(want(t, 3, 128, 0), 0);
    vb_gpu_table_close(t);
}

Test(gpu_table, a_new_pool_knows_nobody)
{
    vb_gpu_table *t = open_table(4);
    vb_err err;
    cr_assert_eq(want(t, 1, 200, 0), 0);
    vb_gpu_table_fill(t, 1, 0, 200);
    cr_assert_eq(vb_gpu_table_reset(t, 2, &err), VB_OK);
    cr_assert_eq(vb_gpu_table_valid(t, 1, 0), 0);
    cr_assert_eq(want(t, 1, 200, 1), 2);
    cr_assert_eq(want(t, 1, 128, 1), 0);
    vb_gpu_table_close(t);
}

/* --- at random ---------------------------------------------------------------------------------------------------- */

/* What a state should have; the pages of all, and which are taken. */
typedef struct {
    int valid[SLOTS], pages;
    uint32_t page[PAGES];
} model;

static void compare(vb_gpu_table *t, const model *m)
{
    uint32_t pages[PAGES];
    int taken[PAGES] = {0};
    for (int id = 0; id < STATES; id++) {
        vb_gpu_table_pages(t, (uint64_t)id, pages, m[id].pages);
        for (int i = 0; i < m[id].pages; i++) {
            cr_assert_eq(pages[i], m[id].page[i]);
            cr_assert_eq(taken[pages[i]]++, 0, "page %u of two states", pages[i]);
        }
        for (int s = 0; s < SLOTS; s++) cr_assert_eq(vb_gpu_table_valid(t, (uint64_t)id, s), m[id].valid[s]);
    }
}

static void grow(vb_gpu_table *t, model *m, rng *r)
{
    int id = (int)(rng_word(r) % STATES), positions = (int)(rng_word(r) % MOST) / 4, used = 0;
    int pages = (positions + VB_GPU_PAGE - 1) / VB_GPU_PAGE;
    for (int i = 0; i < STATES; i++) used += m[i].pages;
    int lack = pages - m[id].pages - (PAGES - used);
    cr_assert_eq(want(t, (uint64_t)id, positions, 0), lack > 0 ? lack : 0);
    if (lack > 0) return;
    if (pages > m[id].pages) m[id].pages = pages;
    vb_gpu_table_pages(t, (uint64_t)id, m[id].page, m[id].pages);
    int slot = (int)(rng_word(r) % SLOTS);
    vb_gpu_table_fill(t, (uint64_t)id, slot, positions);
    m[id].valid[slot] = positions;
}

static void forget(vb_gpu_table *t, model *m, rng *r)
{
    int id = (int)(rng_word(r) % STATES), from = rng_word(r) % 3 == 0 ? 0 : (int)(rng_word(r) % MOST) / 8;
    int pages = (from + VB_GPU_PAGE - 1) / VB_GPU_PAGE;
    vb_gpu_table_forget(t, (uint64_t)id, from);
    for (int s = 0; s < SLOTS; s++)
        if (m[id].valid[s] > from) m[id].valid[s] = from;
    if (m[id].pages > pages) m[id].pages = pages;
}

Test(gpu_table, any_order_of_calls)
{
    vb_gpu_table *t = open_table(PAGES);
    model m[STATES] = {0};
    rng r = {88172645463325252u};
    for (int turn = 0; turn < 20000; turn++) {
        if (rng_word(&r) % 3 != 0) grow(t, m, &r);
        else forget(t, m, &r);
        compare(t, m);
    }
    vb_gpu_table_close(t);
}

/* --- threads ------------------------------------------------------------------------------------------------------ */

static void *forget_others(void *table)
{
    for (int i = 0; i < 20000; i++) vb_gpu_table_forget(table, 1 + (uint64_t)(i % 9), i % 2 ? 0 : 70);
    return NULL;
}

Test(gpu_table, others_forget_at_any_time)
{
    vb_gpu_table *t = open_table(PAGES);
    pthread_t other;
    cr_assert_eq(pthread_create(&other, NULL, forget_others, t), 0);
    for (int i = 0; i < 20000; i++) {
        vb_gpu_want wants[] = {{100, 64 * 20}, {1 + (uint64_t)(i % 9), 64 * (1 + i % 7)}};
        uint32_t pages[20];
        int seen[PAGES] = {0};
        cr_assert_eq(vb_gpu_table_fit(t, wants, 2, 1), 0);
        vb_gpu_table_pages(t, 100, pages, 20);
        for (int j = 0; j < 20; j++) cr_assert_eq(seen[pages[j]]++, 0);
    }
    pthread_join(other, NULL);
    vb_gpu_table_close(t);
}
