/* mlx.c - tests of MLX's groups: quants packed by hand, beside scale * q + bias. */
#include "convert/mlx.h"

#include "base/canon.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 3, COLUMNS = 128, MOST = ROWS * COLUMNS };

static vb_err why;

/* A module of `bits` in groups of `group`; what it stands for goes to `numbers`. */
typedef struct {
    uint8_t quants[MOST];
    uint16_t scales[MOST / 32], biases[MOST / 32];
    float numbers[MOST];
} module;

static void fill(module *m, int bits, int group)
{
    memset(m, 0, sizeof *m);
    for (int i = 0; i < MOST / group; i++) {
        m->scales[i] = (uint16_t)c_f2h(0.01f * (float)(i + 1));
        m->biases[i] = (uint16_t)c_f2h(-0.3f + 0.05f * (float)i);
    }
    for (int i = 0; i < MOST; i++) {
        unsigned q = (unsigned)(i * 7 + i / 5) & ((1u << bits) - 1);
        m->quants[i * bits / 8] |= (uint8_t)(q << i * bits % 8);
        m->numbers[i] = c_h2f(m->scales[i / group]) * (float)q + c_h2f(m->biases[i / group]);
    }
}

static vb_source *source_of(const module *m, int bits, int group)
{
    vb_source *s;
    cr_assert_eq(vb_source_open(&s, &why), VB_OK);
    vb_source_tensor t = {.file = "f", .n_dims = 2, .dims = {ROWS, (uint64_t)(COLUMNS * bits / 32)}};
    t.name = "model.q.weight", t.type = VB_NUM_U32, t.data = m->quants;
    cr_assert_eq(vb_source_add(s, &t, &why), VB_OK);
    t.dims[1] = (uint64_t)(COLUMNS / group);
    t.name = "model.q.scales", t.type = VB_NUM_F16, t.data = (const uint8_t *)m->scales;
    cr_assert_eq(vb_source_add(s, &t, &why), VB_OK);
    t.name = "model.q.biases", t.data = (const uint8_t *)m->biases;
    cr_assert_eq(vb_source_add(s, &t, &why), VB_OK);
    return s;
}

static vb_status join(vb_source *s, const char *quantization)
{
    json_t *json = json_loads(quantization, 0, NULL);
    vb_status status = vb_mlx_join(s, json, &why);
    json_decref(json);
    return status;
}

Test(mlx, groups_become_floats)
{
    static const int cases[][2] = {{4, 64}, {4, 32}, {8, 64}, {8, 128}};
    module m;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int bits = cases[i][0], group = cases[i][1];
        char settings[64];
        int found;
        float out[MOST];
        fill(&m, bits, group);
        vb_source *s = source_of(&m, bits, group);
        snprintf(settings, sizeof settings, "{\"group_size\": %d, \"bits\": %d}", group, bits);
        cr_assert_eq(join(s, settings), VB_OK, "%s", why.text);
        cr_assert_eq(vb_source_count(s), 1);
        const vb_source_tensor *t = vb_source_find(s, "model.q.weight");
        cr_assert(t != NULL && t->dims[0] == ROWS && t->dims[1] == COLUMNS && t->type == VB_NUM_F16);
        cr_assert(vb_mlx_bits(t, &found) == bits && found == group);
        cr_assert_eq(vb_source_floats(t, 0, MOST, out, &why), VB_OK);
        cr_assert_arr_eq(out, m.numbers, sizeof out);
        cr_assert_eq(vb_source_floats(t, COLUMNS, COLUMNS, out, &why), VB_OK);
        cr_assert_arr_eq(out, m.numbers + COLUMNS, COLUMNS * sizeof *out);
        vb_source_close(s);
    }
}

/* Q4_1 holds the same quants: what its blocks mean is the same to the bit where scales are halves. */
Test(mlx, four_bits_are_blocks_of_q4_1)
{
    module m;
    uint8_t blocks[MOST / 32 * 20], *at = blocks;
    fill(&m, 4, 64);
    vb_source *s = source_of(&m, 4, 64);
    cr_assert_eq(join(s, "{\"group_size\": 64, \"bits\": 4}"), VB_OK, "%s", why.text);
    vb_mlx_q4_1(vb_source_find(s, "model.q.weight"), 0, MOST, blocks);
    for (int i = 0; i < MOST; i += 32, at += 20)
        for (int k = 0; k < 32; k++) {
            float scale = c_h2f((uint16_t)(at[0] | at[1] << 8)), bias = c_h2f((uint16_t)(at[2] | at[3] << 8));
            float x = scale * (float)(at[4 + k % 16] >> k / 16 * 4 & 15) + bias;
            cr_assert_eq(x, m.numbers[i + k]);
        }
    vb_source_close(s);
}

Test(mlx, single_modules_have_their_own_groups)
{
    module m;
    int group;
    fill(&m, 8, 32);
    vb_source *s = source_of(&m, 8, 32);
    cr_assert_eq(join(s, "{\"group_size\": 64, \"bits\": 4, \"model.q\": {\"group_size\": 32, \"bits\": 8}, \"model.x\": false}"), VB_OK,
                 "%s", why.text);
    cr_assert_eq(vb_mlx_bits(vb_source_find(s, "model.q.weight"), &group), 8);
    vb_source_close(s);
}

Test(mlx, what_does_not_fit_is_refused)
{
    static const char *const bad[][2] = {
        {"{\"group_size\": 64, \"bits\": 8}", "expected weight, scales and biases of 8 bits in groups of 64"},
        {"{\"group_size\": 32, \"bits\": 4}", "of 4 bits in groups of 32"},
        {"{\"group_size\": 64, \"bits\": 3}", "expected 4 or 8 bits in groups of 32 to 1024, found 3 in 64"},
        {"{\"group_size\": 48, \"bits\": 4}", "found 4 in 48"},
        {"{\"bits\": 4}", "found 4 in -1"},
        {"{\"group_size\": 64, \"bits\": 4, \"mode\": \"mxfp4\"}", "expected mode affine, found \"mxfp4\""},
    };
    module m;
    fill(&m, 4, 64);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        vb_source *s = source_of(&m, 4, 64);
        cr_assert_lt(join(s, bad[i][0]), 0, "%s", bad[i][0]);
        cr_assert_not_null(strstr(why.text, bad[i][1]), "%s", why.text);
        vb_source_close(s);
    }
    vb_source *s = source_of(&m, 4, 64);
    vb_source_remove(s, "model.q.biases");
    cr_assert_lt(join(s, "{\"group_size\": 64, \"bits\": 4}"), 0);
    cr_assert_eq(vb_mlx_join(s, NULL, &why), VB_OK);
    vb_source_close(s);
}
