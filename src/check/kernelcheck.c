/* kernelcheck.c - the list of all kernels, and how checks are counted.
 *
 * Formats come from base/quant.def, so a format without a check cannot be added. Tables are complete: each kernel here
 * exists in each of them, but for matrices of formats that become floats first (C6).
 */
#include "check/check.h"

#include "base/fp.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

typedef struct {
    const char *name;
    void (*check)(vb_check *c, int which);
    int which;
} entry;

static const entry entries[] = {
#define VB_FORMAT(ID, text, gguf, block, bytes, ACT) {"matvec_" text, vb_check_matvec, VB_FMT_##ID},
#include "base/quant.def"
#define VB_FORMAT(ID, text, gguf, block, bytes, ACT) {"matvec4_" text, vb_check_matvec4, VB_FMT_##ID},
#include "base/quant.def"
#define VB_FORMAT(ID, text, gguf, block, bytes, ACT) {"matmul_" text, vb_check_matmul, VB_FMT_##ID},
#include "base/quant.def"
#define VB_FORMAT(ID, text, gguf, block, bytes, ACT) {"few_" text, vb_check_few, VB_FMT_##ID},
#include "base/quant.def"
#define VB_FORMAT(ID, text, gguf, block, bytes, ACT) {"dequantize_" text, vb_check_dequantize, VB_FMT_##ID},
#include "base/quant.def"
    {"quantize_32", vb_check_quantize, VB_ACT_Q32},
    {"quantize_256", vb_check_quantize, VB_ACT_Q256},
    {"settle", vb_check_settle, 0},
    {"norm_rms", vb_check_norm, 0},
    {"norm_layer", vb_check_norm_layer, 0},
    {"rope_norm", vb_check_rope, VB_PAIR_NORM},
    {"rope_neox", vb_check_rope, VB_PAIR_NEOX},
    {"add", vb_check_element, VB_ELEMENT_ADD},
    {"scale", vb_check_element, VB_ELEMENT_SCALE},
    {"glu_silu", vb_check_element, VB_ELEMENT_SILU},
    {"glu_gelu_tanh", vb_check_element, VB_ELEMENT_GELU_TANH},
    {"glu_clamped", vb_check_element, VB_ELEMENT_CLAMPED},
    {"mix", vb_check_mix, 0},
    {"act_silu", vb_check_act, VB_CURVE_SILU},
    {"act_gelu_tanh", vb_check_act, VB_CURVE_GELU_TANH},
    {"act_gelu_erf", vb_check_act, VB_CURVE_GELU_ERF},
    {"softcap", vb_check_element, VB_ELEMENT_SOFTCAP},
    {"glu_sigmoid", vb_check_element, VB_ELEMENT_SIGMOID},
    {"conv", vb_check_conv, 0},
    {"delta", vb_check_delta, 0},
    {"kv_write_f16", vb_check_kv_write, VB_KV_F16},
    {"kv_write_f32", vb_check_kv_write, VB_KV_F32},
    {"kv_write_q8_0", vb_check_kv_write, VB_KV_Q8_0},
    {"attend_f16", vb_check_attend, VB_KV_F16},
    {"attend_f32", vb_check_attend, VB_KV_F32},
    {"attend_q8_0", vb_check_attend, VB_KV_Q8_0},
    {"attend_fours_f16", vb_check_attend_fours, VB_KV_F16},
    {"attend_fours_f32", vb_check_attend_fours, VB_KV_F32},
};

int vb_check_leaves_out(vb_check *c)
{
    return c->opts->every > 1 && vb_check_random(c, (uint32_t)c->opts->every) != 0;
}

void vb_check_fail(vb_check *c, const char *fmt, ...)
{
    char what[120];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    c->counts->failed++;
    if (c->first[0] == 0) snprintf(c->first, sizeof c->first, "%s: %s", c->name, what);
    if (c->opts->differs != NULL) c->opts->differs(c->opts->ud, c->name, what);
}

void vb_check_compare(vb_check *c, const float *expected, const float *found, int n, uint32_t bad)
{
    int finite = vb_oracle_finite(expected, n);
    c->counts->made++;
    if (finite == (bad != 0)) {
        vb_check_fail(c, "%d elements: expected %s numbers, the kernel says otherwise", n,
                      finite ? "finite" : "infinite");
        return;
    }
    for (int i = 0; i < n && finite; i++)
        if (memcmp(expected + i, found + i, sizeof *found) != 0) {
            vb_check_fail(c, "element %d of %d: expected %a, found %a", i, n, (double)expected[i], (double)found[i]);
            return;
        }
}

void vb_check_bytes(vb_check *c, const void *expected, const void *found, size_t n)
{
    const uint8_t *e = expected, *f = found;
    c->counts->made++;
    for (size_t i = 0; i < n; i++)
        if (e[i] != f[i]) {
            vb_check_fail(c, "byte %zu of %zu: expected %d, found %d", i, n, e[i], f[i]);
            return;
        }
}

static void set_name(vb_check *c, const char *name)
{
    snprintf(c->name, sizeof c->name, "%s/%s", name, c->k->isa);
    for (char *p = c->name; *p != 0; p++) *p = (char)tolower((unsigned char)*p);
}

static void check_all(vb_check *c)
{
    int rounds = c->opts->rounds > 0 ? c->opts->rounds : 1;
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        set_name(c, entries[i].name);
        if (c->opts->filter != NULL && strstr(c->name, c->opts->filter) == NULL) continue;
        int64_t before = c->counts->made;
        c->random = c->opts->seed * 64 + i;
        for (int r = 0; r < rounds; r++) entries[i].check(c, entries[i].which);
        c->counts->kernels += c->counts->made > before;
    }
}

vb_status vb_check_kernels(const vb_check_opts *opts, vb_check_counts *counts, vb_err *err)
{
    vb_check c = {.opts = opts, .counts = counts};
    *counts = (vb_check_counts){0};
    VB_TRY(vb_kernels_for(&c.k, opts->isa, err));
    vb_status s = vb_check_start(&c, err);
    if (s == VB_OK) {
        uint64_t old = vb_fp_enter();
        check_all(&c);
        vb_fp_leave(old);
        if (counts->failed > 0)
            s = vb_fail(err, VB_E_DIFFERS, "%s (%lld of %lld checks differ)", c.first, (long long)counts->failed,
                        (long long)counts->made);
    }
    vb_check_end(&c);
    return s;
}
