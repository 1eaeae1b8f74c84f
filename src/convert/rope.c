/* rope.c - what positions are rotated by where a factor for each pair says so: Llama 3's smooth scaling, Phi 3's two
 * rows, Gemma 4's rotation of the first pairs alone. An angle is divided by its factor.
 */
#include "base/canon64.h"
#include "convert/family_keys.h"
#include "convert/tensors.h"

#include <math.h>
#include <string.h>

enum { PAIRS_MOST = 4096 };
static const double PI = 3.14159265358979323846;

static double number(const vb_keys *k, const char *name, double otherwise)
{
    const json_t *value = vb_rope_setting(k->folder, name);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

static vb_status refuse(vb_keys *k, const char *name, const char *expected)
{
    return vb_fail(&k->err, VB_E_FORMAT, "%s/config.json: rope_scaling: %s: expected %s, found something else",
                   k->folder->path, name, expected);
}

/* Long waves are stretched by `factor`, short ones stay, those between go over from one to the other. */
static vb_status add_llama3(vb_outputs *out, const vb_sizes *sizes, vb_keys *k)
{
    float factors[PAIRS_MOST];
    double dim = (double)sizes->of['H'], base = number(k, "rope_theta", 10000.0), factor = number(k, "factor", 8.0);
    double low = number(k, "low_freq_factor", 1.0), high = number(k, "high_freq_factor", 4.0);
    double context = number(k, "original_max_position_embeddings", 8192.0);
    int n = (int)(sizes->of['H'] / 2);
    if (sizes->of['H'] > 2 * PAIRS_MOST) return refuse(k, "head_dim", "at most 8192");
    if (!(base > 1.0 && base < 1e15 && factor > 0.0 && low > 0.0 && high > low && context > 0.0))
        return refuse(k, "factor", "positive numbers, low_freq_factor below high_freq_factor");
    for (int i = 0; i < n; i++) { /* in binary32 step by step, as the field's converter does */
        float part = (float)(2 * i) / (float)dim;
        float frequency = 1.0f / (float)c64_exp(c64_log(base) * (double)part);
        float wave = (float)(2.0 * PI) / frequency;
        float smooth = ((float)context / wave - (float)low) / (float)(high - low);
        float between = 1.0f / ((1.0f - smooth) / (float)factor + smooth);
        factors[i] = (double)wave < context / high ? 1.0f : (double)wave > context / low ? (float)factor : between;
    }
    return vb_outputs_add_values(out, k, "rope_freqs.weight", factors, n);
}

/* 10^30 stands for "not at all". */
static vb_status add_proportional(vb_outputs *out, vb_keys *k)
{
    float factors[PAIRS_MOST];
    int64_t dim = vb_global_head_width(k);
    double part = number(k, "partial_rotary_factor", 0.25);
    if (dim > 2 * PAIRS_MOST || !(part >= 0.0 && part <= 1.0))
        return refuse(k, "partial_rotary_factor", "a number from 0 to 1");
    int n = (int)(dim / 2), turning = (int)((double)dim * part / 2.0);
    for (int i = 0; i < n; i++) factors[i] = i < turning ? 1.0f : 1e30f;
    return vb_outputs_add_values(out, k, "rope_freqs.weight", factors, n);
}

static vb_status add_row(vb_outputs *out, vb_keys *k, const char *setting, const char *name, int n)
{
    float factors[PAIRS_MOST];
    const json_t *list = vb_rope_setting(k->folder, setting);
    if (n > PAIRS_MOST || (int)json_array_size(list) != n)
        return refuse(k, setting, "a number for each pair that rotates");
    for (int i = 0; i < n; i++) factors[i] = (float)json_number_value(json_array_get(list, (size_t)i));
    return vb_outputs_add_values(out, k, name, factors, n);
}

static vb_status add_long(vb_outputs *out, const vb_sizes *sizes, vb_keys *k)
{
    double context = (double)vb_key_int(k, "max_position_embeddings", 4096);
    double old = number(k, "original_max_position_embeddings", context), scale = context / old;
    if (!(old > 1.0 && scale > 0.0)) return refuse(k, "original_max_position_embeddings", "a number above 1");
    uint64_t pairs = (uint64_t)vb_rotating(k, 1.0, (int64_t)sizes->of['H']) / 2;
    int n = pairs < PAIRS_MOST ? (int)pairs : PAIRS_MOST;
    if (k->status < 0) return k->status;
    double usual = scale > 1.0 ? sqrt(1.0 + c64_log(scale) / c64_log(old)) : 1.0;
    vb_key_f32(k, "rope.scaling.attn_factor", number(k, "attention_factor", usual));
    VB_TRY(add_row(out, k, "long_factor", "rope_factors_long.weight", n));
    return add_row(out, k, "short_factor", "rope_factors_short.weight", n);
}

/* Phi 3 alone has rows for short and long sessions. */
static int is_long(const vb_family *family, const vb_keys *k, const char *kind)
{
    if (kind != NULL && (strcmp(kind, "longrope") == 0 || strcmp(kind, "su") == 0)) return 1;
    return strcmp(family->arch, "phi3") == 0 && vb_rope_setting(k->folder, "long_factor") != NULL;
}

vb_status vb_outputs_add_rope(vb_outputs *out, const vb_family *family, const vb_sizes *sizes, vb_keys *k)
{
    const char *kind = json_string_value(vb_rope_setting(k->folder, "rope_type|type"));
    int llama3 = kind != NULL && strcmp(kind, "llama3") == 0, rows = is_long(family, k, kind);
    if (k->status < 0) return k->status;
    if (family->pairs && llama3) return add_llama3(out, sizes, k);
    if (strcmp(family->arch, "gemma4") == 0) return add_proportional(out, k);
    if (strcmp(family->arch, "phi3") == 0 && rows) return add_long(out, sizes, k);
    if (!llama3 && !rows) return VB_OK;
    return vb_fail(&k->err, VB_E_UNSUPPORTED, "%s/config.json: rope_scaling: expected another kind than %s for %s",
                   k->folder->path, kind, family->arch);
}
