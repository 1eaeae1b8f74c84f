/* dequant.c - what weight blocks mean: the oracle's decoding of random blocks equals the published reference
 * implementation's, bit for bit. tests/golden/dequant holds TYPE.bin (blocks) and TYPE.f32 (their values).
 */
#include "oracle/oracle.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static unsigned char *read_all(const char *name, const char *suffix, size_t *size)
{
    char path[128];
    unsigned char *data = malloc(1 << 16);
    snprintf(path, sizeof path, "tests/golden/dequant/%s.%s", name, suffix);
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s is missing", path);
    *size = fread(data, 1, 1 << 16, f);
    fclose(f);
    return data;
}

static void compare(vb_format format)
{
    const vb_format_info *info = vb_format_of(format);
    size_t bytes, expected_bytes;
    unsigned char *blocks = read_all(info->name, "bin", &bytes);
    unsigned char *expected = read_all(info->name, "f32", &expected_bytes);
    size_t n = bytes / (size_t)info->bytes * (size_t)info->block;
    cr_assert_eq(n * sizeof(float), expected_bytes, "%s: %zu values", info->name, n);
    cr_assert_gt(n, 1000);
    float *found = malloc(n * sizeof *found);
    vb_oracle_dequantize(format, blocks, (int64_t)n, found);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(memcmp(&found[i], expected + i * sizeof(float), sizeof(float)), 0, "%s: element %zu is %a",
                     info->name, i, (double)found[i]);
    free(blocks);
    free(expected);
    free(found);
}

#define FORMAT(ID)                    \
    Test(dequant, ID)                 \
    {                                 \
        compare(VB_FMT_##ID);         \
    }
FORMAT(F16)
FORMAT(BF16)
FORMAT(Q4_0)
FORMAT(Q4_1)
FORMAT(Q5_0)
FORMAT(Q8_0)
FORMAT(Q4_K)
FORMAT(Q6_K)
FORMAT(Q5_1)
FORMAT(IQ4_NL)
FORMAT(MXFP4)
FORMAT(Q2_K)
FORMAT(Q3_K)
FORMAT(Q5_K)
FORMAT(IQ4_XS)
FORMAT(IQ1_S)
FORMAT(IQ1_M)
FORMAT(IQ2_XXS)
FORMAT(IQ2_XS)
FORMAT(IQ2_S)
FORMAT(IQ3_XXS)
FORMAT(IQ3_S)
FORMAT(TQ1_0)
FORMAT(TQ2_0)
FORMAT(NVFP4)

Test(dequant, F32_is_itself)
{
    float x[4] = {0.1f, -0.0f, 0x1p-149f, 3e38f}, y[4];
    vb_oracle_dequantize(VB_FMT_F32, x, 4, y);
    cr_assert_eq(memcmp(x, y, sizeof x), 0);
}

Test(dequant, every_format_has_a_test)
{
    cr_assert_eq(VB_FORMATS, 26, "a new format needs its reference values here");
}
