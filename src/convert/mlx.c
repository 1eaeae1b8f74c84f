/* mlx.c - which three tensors belong together, and rows of floats out of them.
 *
 * MLX computes scale * q + bias in the kind of its scales; here both steps are done in float, so that a converter
 * rounds once. A module's own entry in `quantization` wins over the model's; where its numbers contradict the shapes,
 * they are refused.
 */
#include "convert/mlx.h"

#include "base/canon.h"

#include <string.h>

typedef struct {
    const vb_source_tensor *scales, *biases;
    const uint8_t *quants;
    int bits, group;
} grouped;

static uint32_t word_at(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* One group: `n` quants from bytes whose first holds the first. */
static void read_group(const grouped *g, const uint8_t *quants, float scale, float bias, float *out)
{
    const int per_word = 32 / g->bits;
    const uint32_t mask = (1u << g->bits) - 1;
    for (int i = 0; i < g->group; i++) {
        uint32_t q = word_at(quants + i / per_word * 4) >> i % per_word * g->bits & mask;
        out[i] = scale * (float)q + bias;
    }
}

static vb_status read_rows(const vb_source_tensor *t, uint64_t first, uint64_t n, float *out, vb_err *err)
{
    enum { BATCH = 64 };
    const grouped *g = t->ud;
    const uint64_t columns = t->dims[t->n_dims - 1], per_row = columns / (uint64_t)g->group;
    float scales[BATCH], biases[BATCH];
    (void)err;
    for (uint64_t group = first / (uint64_t)g->group, end = group + n / (uint64_t)g->group; group < end;) {
        uint64_t row_end = (group / per_row + 1) * per_row, count = row_end - group;
        if (count > end - group) count = end - group;
        if (count > BATCH) count = BATCH;
        const uint64_t at = group * (uint64_t)vb_number_bytes(g->scales->type);
        vb_number_floats(g->scales->type, g->scales->data + at, count, scales);
        vb_number_floats(g->biases->type, g->biases->data + at, count, biases);
        for (uint64_t i = 0; i < count; i++, group++, out += g->group)
            read_group(g, g->quants + group * (uint64_t)(g->group * g->bits / 8), scales[i], biases[i], out);
    }
    return VB_OK;
}

/* A Q4_1 block: scale, bias, then quant i and i + 16 in a byte. Groups are whole blocks. */
void vb_mlx_q4_1(const vb_source_tensor *t, uint64_t first, uint64_t n, uint8_t *out)
{
    const grouped *g = t->ud;
    for (uint64_t at = first; at < first + n; at += 32, out += 20) {
        float both[2];
        const uint8_t *quants = g->quants + at / 2;
        const uint64_t place = at / (uint64_t)g->group * (uint64_t)vb_number_bytes(g->scales->type);
        vb_number_floats(g->scales->type, g->scales->data + place, 1, &both[0]);
        vb_number_floats(g->biases->type, g->biases->data + place, 1, &both[1]);
        for (int i = 0; i < 2; i++) {
            uint16_t half = (uint16_t)c_f2h(both[i]);
            out[2 * i] = (uint8_t)half;
            out[2 * i + 1] = (uint8_t)(half >> 8);
        }
        for (int i = 0; i < 16; i++) {
            const int shift = i % 2 * 4;
            out[4 + i] = (uint8_t)((quants[i / 2] >> shift & 15) | (quants[8 + i / 2] >> shift & 15) << 4);
        }
    }
}

/* --- what the configuration says --------------------------------------------------------------------------------- */

static int64_t setting(const json_t *own, const json_t *all, const char *key)
{
    const json_t *value = json_object_get(own, key);
    if (value == NULL) value = json_object_get(all, key);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

static vb_status read_settings(const json_t *all, const char *module, grouped *g, vb_err *err)
{
    const json_t *own = json_object_get(all, module), *mode = json_object_get(all, "mode");
    int64_t bits = setting(own, all, "bits"), group = setting(own, all, "group_size");
    if (json_is_string(mode) && strcmp(json_string_value(mode), "affine") != 0)
        VB_FAIL(err, VB_E_UNSUPPORTED, "config.json: quantization: expected mode affine, found \"%.32s\"",
                json_string_value(mode));
    if ((bits != 4 && bits != 8) || group < 32 || group > 1024 || group % 32 != 0)
        VB_FAIL(err, VB_E_UNSUPPORTED,
                "config.json: quantization of %.200s: expected 4 or 8 bits in groups of 32 to 1024, found %lld in %lld",
                module, (long long)bits, (long long)group);
    g->bits = (int)bits;
    g->group = (int)group;
    return VB_OK;
}

/* --- the three tensors ------------------------------------------------------------------------------------------- */

static const vb_source_tensor *part(const vb_source *s, const char *module, const char *what)
{
    char name[1024];
    int n = snprintf(name, sizeof name, "%s.%s", module, what);
    return n > 0 && (size_t)n < sizeof name ? vb_source_find(s, name) : NULL;
}

static int is_float(vb_number type)
{
    return type == VB_NUM_F32 || type == VB_NUM_F16 || type == VB_NUM_BF16;
}

/* The dimensions of the joined tensor; 0: the parts do not fit each other. */
static int join_shape(const vb_source_tensor *weight, const grouped *g, vb_source_tensor *out)
{
    const vb_source_tensor *a = g->scales, *b = g->biases;
    const int last = weight->n_dims - 1;
    if (last < 1 || a->n_dims != weight->n_dims || b->n_dims != weight->n_dims) return 0;
    if (!is_float(a->type) || b->type != a->type || weight->type != VB_NUM_U32) return 0;
    if (weight->data == NULL || a->data == NULL || b->data == NULL) return 0;
    for (int i = 0; i <= last; i++)
        if (a->dims[i] != b->dims[i] || (i < last && a->dims[i] != weight->dims[i])) return 0;
    uint64_t columns = weight->dims[last] * 32 / (uint64_t)g->bits;
    if (weight->dims[last] > INT64_MAX / 64 || columns == 0 || columns != a->dims[last] * (uint64_t)g->group) return 0;
    *out = *weight;
    out->dims[last] = columns;
    return vb_source_elements(weight) <= INT64_MAX / 64;
}

static vb_status join(vb_source *s, const char *module, const grouped *settings, vb_err *err)
{
    const vb_source_tensor *weight = part(s, module, "weight");
    grouped *g = vb_arena_alloc(vb_source_arena(s), sizeof *g);
    if (g == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: no memory", module);
    *g = *settings;
    vb_source_tensor joined, *parts = vb_arena_array(vb_source_arena(s), 2, sizeof *parts);
    g->scales = part(s, module, "scales");
    g->biases = part(s, module, "biases");
    if (parts == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: no memory", module);
    if (weight == NULL || g->biases == NULL || !join_shape(weight, g, &joined))
        VB_FAIL(err, VB_E_FORMAT, "%.200s: expected weight, scales and biases of %d bits in groups of %d", module,
                g->bits, g->group);
    g->quants = weight->data;
    parts[0] = *g->scales;
    parts[1] = *g->biases;
    g->scales = &parts[0];
    g->biases = &parts[1];
    joined.name = vb_arena_text(vb_source_arena(s), weight->name, strlen(weight->name));
    if (joined.name == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: no memory", module);
    joined.type = parts[0].type;
    joined.data = NULL;
    joined.read = read_rows;
    joined.ud = g;
    vb_source_remove(s, parts[0].name);
    vb_source_remove(s, parts[1].name);
    vb_source_remove(s, joined.name);
    return vb_source_add(s, &joined, err);
}

static vb_status join_one(vb_source *s, const json_t *quantization, const char *scales, vb_err *err)
{
    static const char end[] = ".scales";
    char module[1024];
    grouped g = {.bits = 0};
    size_t len = strlen(scales);
    if (len < sizeof end || len >= sizeof module || strcmp(scales + len - (sizeof end - 1), end) != 0) return VB_OK;
    snprintf(module, sizeof module, "%.*s", (int)(len - (sizeof end - 1)), scales);
    if (part(s, module, "weight") == NULL) return VB_OK;
    VB_TRY(read_settings(quantization, module, &g, err));
    return join(s, module, &g, err);
}

vb_status vb_mlx_join(vb_source *s, const json_t *quantization, vb_err *err)
{
    if (!json_is_object(quantization)) return VB_OK;
    int64_t n = vb_source_count(s), kept = 0;
    const char **names = vb_arena_array(vb_source_arena(s), (size_t)n, sizeof *names);
    if (names == NULL && n > 0) VB_FAIL(err, VB_E_MEMORY, "no memory for names");
    for (int64_t i = 0; i < n; i++) names[kept++] = vb_source_at(s, i)->name;
    for (int64_t i = 0; i < kept; i++) VB_TRY(join_one(s, quantization, names[i], err));
    return VB_OK;
}

int vb_mlx_bits(const vb_source_tensor *t, int *group)
{
    if (t->read != read_rows) return 0;
    const grouped *g = t->ud;
    *group = g->group;
    return g->bits;
}
