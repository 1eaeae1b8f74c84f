/* plan.c - the builder says what is wrong and where; digests follow the score; the layout never overlaps. */
#include "arch/arch.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    vb_gguf *g;
    vb_arena arena;
    vb_params params;
    vb_tensors tensors;
    vb_plan plan;
} opened;

static void open_case(opened *o, const char *path)
{
    vb_err err = {0};
    memset(o, 0, sizeof *o);
    cr_assert_eq(vb_gguf_open(&o->g, path, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_params_read(&o->params, o->g, &o->arena, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_tensors_open(&o->tensors, o->g, &o->arena, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_arch_find(o->params.arch)->settle(&o->params, &err), VB_OK, "%s", err.text);
}

static vb_status build(opened *o, vb_err *err)
{
    vb_plan_free(&o->plan);
    vb_plan_start(&o->plan, &o->tensors, &o->params);
    vb_arch_find(o->params.arch)->emit(&o->plan, &o->params);
    return vb_plan_finish(&o->plan, err);
}

static void close_case(opened *o)
{
    vb_plan_free(&o->plan);
    vb_arena_free(&o->arena);
    vb_gguf_close(o->g);
}

Test(plan, every_tensor_of_a_golden_case_is_used)
{
    static const char *const cases[] = {"llama-gqa", "llama-long", "llama-f16", "llama3-ropescale-tied", "mistral",
                                        "granite", "gemma3", "gpt-oss", "mixtral", "olmoe",
                                        "qwen3moe"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[128];
        vb_err err = {0};
        opened o;
        snprintf(path, sizeof path, "tests/golden/%s/model.gguf", cases[i]);
        open_case(&o, path);
        cr_assert_eq(build(&o, &err), VB_OK, "%s: %s", path, err.text);
        cr_assert_eq(vb_tensors_unused(&o.tensors, &err), VB_OK, "%s", err.text);
        close_case(&o);
    }
}

Test(plan, a_wrong_shape_names_tensor_expected_and_found)
{
    vb_err err = {0};
    opened o;
    open_case(&o, "tests/golden/llama-gqa/model.gguf");
    o.params.ff[1] = 96;
    cr_assert_eq(build(&o, &err), VB_E_FORMAT);
    cr_assert(strstr(err.text, "blk.1.ffn_gate.weight") != NULL, "%s", err.text);
    cr_assert(strstr(err.text, "expected 64 x 96, found 64 x 144") != NULL, "%s", err.text);
    close_case(&o);
}

Test(plan, a_missing_tensor_is_named)
{
    vb_err err = {0};
    opened o;
    open_case(&o, "tests/golden/llama-gqa/model.gguf");
    o.params.layers = 4;
    int *four = calloc(4, sizeof *four);
    for (int i = 0; i < 4; i++) four[i] = o.params.ff[0];
    o.params.ff = four;
    int heads[4] = {4, 4, 4, 4}, kv[4] = {2, 2, 2, 2};
    o.params.heads = heads;
    o.params.kv_heads = kv;
    cr_assert_eq(build(&o, &err), VB_E_FORMAT);
    cr_assert(strstr(err.text, "blk.3.attn_norm.weight") != NULL, "%s", err.text);
    free(four);
    close_case(&o);
}

Test(plan, the_digest_follows_every_constant)
{
    uint8_t first[32];
    opened o;
    open_case(&o, "tests/golden/gemma3/model.gguf");
    cr_assert_eq(build(&o, NULL), VB_OK);
    memcpy(first, o.plan.digest, sizeof first);
    cr_assert_eq(build(&o, NULL), VB_OK);
    cr_assert_eq(memcmp(first, o.plan.digest, sizeof first), 0, "the same plan, another digest");
    o.params.eps *= 1.5f;
    cr_assert_eq(build(&o, NULL), VB_OK);
    cr_assert_neq(memcmp(first, o.plan.digest, sizeof first), 0, "another eps, the same digest");
    o.params.eps /= 1.5f;
    o.params.window = 9;
    cr_assert_eq(build(&o, NULL), VB_OK);
    cr_assert_neq(memcmp(first, o.plan.digest, sizeof first), 0, "another window, the same digest");
    o.params.window = 8;
    o.params.rope_base = 999999.0;
    cr_assert_eq(build(&o, NULL), VB_OK);
    cr_assert_neq(memcmp(first, o.plan.digest, sizeof first), 0, "another rope base, the same digest");
    close_case(&o);
}

Test(plan, values_that_live_together_never_overlap)
{
    opened o;
    open_case(&o, "tests/golden/gemma3/model.gguf");
    cr_assert_eq(build(&o, NULL), VB_OK);
    const vb_plan *p = &o.plan;
    int64_t *at = calloc((size_t)p->n_values, sizeof *at);
    int64_t sum = 0;
    vb_room room = vb_plan_layout(p, at);
    for (int a = 0; a < p->n_values; a++) {
        sum += p->values[a].width;
        cr_assert(a == p->output || at[a] + p->values[a].width <= (p->values[a].wanted ? room.wanted : room.all));
        cr_assert_eq(at[a] < 0, a == p->output);
        for (int b = 0; b < a; b++) {
            const vb_value *x = &p->values[a], *y = &p->values[b];
            int together = x->wanted == y->wanted && x->step <= y->last_use && y->step <= x->last_use;
            int overlap = at[a] < at[b] + y->width && at[b] < at[a] + x->width;
            cr_assert(!(together && overlap) || at[a] < 0 || at[b] < 0, "v%d and v%d", a, b);
        }
    }
    cr_assert_lt(room.all, sum / 4, "scratch is not reused");
    free(at);
    close_case(&o);
}

Test(plan, a_value_nobody_reads_is_refused)
{
    vb_err err = {0};
    opened o;
    open_case(&o, "tests/golden/llama-gqa/model.gguf");
    vb_plan_start(&o.plan, &o.tensors, &o.params);
    vb_val x = vb_embed(&o.plan, "token_embd", o.params.width);
    vb_linear(&o.plan, x, "output", o.params.vocab);
    vb_output(&o.plan, vb_linear(&o.plan, vb_wanted(&o.plan, x), "output", o.params.vocab));
    cr_assert_eq(vb_plan_finish(&o.plan, &err), VB_E_FORMAT);
    cr_assert(strstr(err.text, "uses of its value") != NULL, "%s", err.text);
    close_case(&o);
}
