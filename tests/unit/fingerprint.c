/* fingerprint.c - a fingerprint says arithmetic, plan and model, and changes with each of them; a model's sum is that of the
 * file it was opened from. */
#include "verbatim.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Another model takes the name, and later nobody has it. */
Test(fingerprint, the_sum_is_of_the_file_that_was_opened)
{
    static const char *const ways[] = {"ln -sf \"$PWD/tests/golden/gemma3/model.gguf\" %s/m", "rm %s/m", "true %s"};
    char folder[] = "/tmp/verbatim-sum-XXXXXX", path[64], command[256];
    uint8_t right[32], found[32];
    vb_model *m;
    vb_err err = {0};
    vb_model_opts o = {.vocab_only = 1};
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m", folder);
    for (int i = 3; i-- > 0;) {
        snprintf(command, sizeof command, "cp tests/golden/llama-gqa/model.gguf %s", path);
        cr_assert_eq(system(command), 0);
        cr_assert_eq(vb_model_open(&m, path, &o, &err), VB_OK, "%s", err.text);
        snprintf(command, sizeof command, ways[i], folder);
        cr_assert_eq(system(command), 0);
        cr_expect_eq(vb_model_sha256(m, i == 2 ? right : found, &err), VB_OK, "%s", err.text);
        if (i < 2) cr_expect_arr_eq(found, right, 32);
        vb_model_close(m);
        remove(path);
    }
    rmdir(folder);
}
