/* fingerprint.c - a fingerprint says arithmetic, plan and model, and changes with each of them. */
#include "verbatim.h"

#include <criterion/criterion.h>
#include <string.h>

static void fingerprint(char out[80], const char *path, vb_arith arith)
{
    vb_model *m;
    vb_err err = {0};
    vb_model_opts o = {.arith = arith, .threads = 1};
    cr_assert_eq(vb_model_open(&m, path, &o, &err), VB_OK, "%s", err.text);
    int64_t n = vb_model_fingerprint(m, out, 80, &err);
    cr_assert_eq(n, (int64_t)strlen(out));
    cr_assert_eq(vb_model_fingerprint(m, NULL, 0, &err), n);
    vb_model_close(m);
}

Test(fingerprint, says_arithmetic_plan_and_model)
{
    char plain[80], f32[80], other[80];
    fingerprint(plain, "tests/golden/llama-gqa/model.gguf", VB_ARITH_INT8);
    fingerprint(f32, "tests/golden/llama-gqa/model.gguf", VB_ARITH_F32);
    fingerprint(other, "tests/golden/gemma3/model.gguf", VB_ARITH_INT8);
    cr_assert_eq(strlen(plain), 3 + 1 + 16 + 1 + 16);
    cr_assert_eq(strncmp(plain, "vb1-", 4), 0, "%s", plain);
    cr_assert_eq(strncmp(f32, "vb1f32-", 7), 0, "%s", f32);
    cr_assert_str_eq(plain + 3, f32 + 6);
    cr_assert_neq(strncmp(plain + 4, other + 4, 16), 0);
    cr_assert_neq(strncmp(plain + 21, other + 21, 16), 0);
}

Test(fingerprint, needs_a_plan)
{
    vb_model *m;
    vb_err err = {0};
    char out[80];
    vb_model_opts o = {.vocab_only = 1};
    cr_assert_eq(vb_model_open(&m, "tests/golden/llama-gqa/model.gguf", &o, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_model_fingerprint(m, out, sizeof out, &err), VB_E_ARGUMENT);
    vb_model_close(m);
}
