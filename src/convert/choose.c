/* choose.c - the rules by which llama.cpp leaves tensors exact or falls back to smaller blocks. */
#include "convert/choose.h"

#include <string.h>

static int ends(const char *text, const char *with)
{
    size_t n = strlen(text), len = strlen(with);
    return n >= len && strcmp(text + n - len, with) == 0;
}

int vb_stays_f32(const char *name, int n_dims)
{
    static const char *const exact[] = {"_norm.weight", "ffn_gate_inp.weight", "ffn_gate_inp_shexp.weight",
                                        "position_embd.weight", "token_types.weight", "ssm_conv1d.weight"};
    if (n_dims <= 1 || !ends(name, ".weight")) return 1;
    for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++)
        if (ends(name, exact[i])) return 1;
    return 0;
}

const vb_format_info *vb_fitting_format(const vb_format_info *wanted, uint64_t width)
{
    static const vb_format instead[][2] = {{VB_FMT_Q4_K, VB_FMT_Q5_0}, {VB_FMT_Q5_K, VB_FMT_Q5_1}, {VB_FMT_Q6_K, VB_FMT_Q8_0},
                                           {VB_FMT_Q2_K, VB_FMT_Q4_0}, {VB_FMT_Q3_K, VB_FMT_Q4_0},
                                           {VB_FMT_IQ4_XS, VB_FMT_IQ4_NL}};
    if (width % (uint64_t)wanted->block == 0) return wanted;
    for (size_t i = 0; i < sizeof instead / sizeof instead[0]; i++)
        if (instead[i][0] == wanted->format && width % 32 == 0) return vb_format_of(instead[i][1]);
    return vb_format_of(VB_FMT_F16);
}

int vb_file_type_of(const vb_format_info *format)
{
    static const struct {
        vb_format format;
        int type;
    } types[] = {{VB_FMT_F32, 0}, {VB_FMT_F16, 1}, {VB_FMT_Q4_0, 2}, {VB_FMT_Q4_1, 3}, {VB_FMT_Q8_0, 7}, {VB_FMT_Q5_0, 8},
                 {VB_FMT_Q5_1, 9}, {VB_FMT_Q2_K, 10}, {VB_FMT_Q3_K, 12}, {VB_FMT_Q4_K, 15}, {VB_FMT_Q5_K, 17},
                 {VB_FMT_Q6_K, 18}, {VB_FMT_IQ4_NL, 25}, {VB_FMT_IQ4_XS, 30}, {VB_FMT_BF16, 32}, {VB_FMT_MXFP4, 38}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].format == format->format) return types[i].type;
    return -1;
}
