/* gguf_get.c - typed reading of metadata.
 *
 * Every getter looks the key up, checks kind and range, and on failure names file, key, wanted and found.
 */
#include "file/gguf.h"

#include <math.h>
#include <string.h>

const char *vb_gguf_type_name(vb_gguf_type type)
{
    static const char *const names[VB_GGUF_TYPES] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                                     "bool", "string", "array", "u64", "i64", "f64"};
    return (unsigned)type < VB_GGUF_TYPES ? names[type] : "unknown";
}

static int is_int(vb_gguf_type type)
{
    return type <= VB_GGUF_I32 || type == VB_GGUF_U64 || type == VB_GGUF_I64;
}

static int is_float(vb_gguf_type type)
{
    return type == VB_GGUF_F32 || type == VB_GGUF_F64;
}

static int fits(vb_gguf_type item, vb_gguf_kind kind)
{
    switch (kind) {
    case VB_GGUF_INTS: return is_int(item);
    case VB_GGUF_FLOATS: return is_float(item);
    case VB_GGUF_BOOLS: return item == VB_GGUF_BOOL;
    case VB_GGUF_STRINGS: return item == VB_GGUF_STRING;
    }
    return 0;
}

static vb_status wrong(const vb_gguf *g, const vb_gguf_entry *e, const char *key, const char *wanted, vb_err *err)
{
    if (e == NULL)
        VB_FAIL(err, VB_E_NOT_FOUND, "%s: key %s: expected %s, found no such key", vb_gguf_path(g), key, wanted);
    if (e->type == VB_GGUF_ARRAY)
        VB_FAIL(err, VB_E_FORMAT, "%s: key %s: expected %s, found an array of %llu %s", vb_gguf_path(g), key, wanted,
                (unsigned long long)e->n, vb_gguf_type_name(e->item));
    VB_FAIL(err, VB_E_FORMAT, "%s: key %s: expected %s, found %s", vb_gguf_path(g), key, wanted,
            vb_gguf_type_name(e->type));
}

/* One value of a kind; an array of one counts as its item. */
static vb_status scalar(const vb_gguf *g, const char *key, vb_gguf_kind kind, const char *wanted,
                        const vb_gguf_entry **out, vb_err *err)
{
    const vb_gguf_entry *e = vb_gguf_find(g, key);
    if (e == NULL || !fits(e->item, kind) || e->n != 1) return wrong(g, e, key, wanted, err);
    *out = e;
    return VB_OK;
}

vb_status vb_gguf_int(const vb_gguf *g, const char *key, int64_t min, int64_t max, int64_t *out, vb_err *err)
{
    const vb_gguf_entry *e;
    uint64_t raw = 0;
    VB_TRY(scalar(g, key, VB_GGUF_INTS, "an integer", &e, err));
    int64_t value = vb_gguf_item_int(e, 0);
    if (e->item == VB_GGUF_U64) memcpy(&raw, e->data, sizeof raw);
    if (raw > INT64_MAX)
        VB_FAIL(err, VB_E_FORMAT, "%s: key %s: expected %lld to %lld, found %llu", vb_gguf_path(g), key, (long long)min,
                (long long)max, (unsigned long long)raw);
    if (value < min || value > max)
        VB_FAIL(err, VB_E_FORMAT, "%s: key %s: expected %lld to %lld, found %lld", vb_gguf_path(g), key, (long long)min,
                (long long)max, (long long)value);
    *out = value;
    return VB_OK;
}

vb_status vb_gguf_float(const vb_gguf *g, const char *key, double *out, vb_err *err)
{
    const vb_gguf_entry *e;
    VB_TRY(scalar(g, key, VB_GGUF_FLOATS, "a float", &e, err));
    double value = vb_gguf_item_float(e, 0);
    if (!isfinite(value))
        VB_FAIL(err, VB_E_FORMAT, "%s: key %s: expected a finite float, found %g", vb_gguf_path(g), key, value);
    *out = value;
    return VB_OK;
}

vb_status vb_gguf_bool(const vb_gguf *g, const char *key, int *out, vb_err *err)
{
    const vb_gguf_entry *e;
    VB_TRY(scalar(g, key, VB_GGUF_BOOLS, "a boolean", &e, err));
    *out = vb_gguf_item_int(e, 0) != 0;
    return VB_OK;
}

vb_status vb_gguf_string(const vb_gguf *g, const char *key, vb_text *out, vb_err *err)
{
    const vb_gguf_entry *e = vb_gguf_find(g, key);
    if (e == NULL || e->type != VB_GGUF_STRING) return wrong(g, e, key, "a string", err);
    const uint8_t *at = e->data;
    *out = vb_gguf_next_string(&at);
    return VB_OK;
}

vb_status vb_gguf_array(const vb_gguf *g, const char *key, vb_gguf_kind kind, const vb_gguf_entry **out, vb_err *err)
{
    static const char *const wanted[] = {"an array of integers", "an array of floats", "an array of booleans",
                                         "an array of strings"};
    const vb_gguf_entry *e = vb_gguf_find(g, key);
    if (e == NULL || e->type != VB_GGUF_ARRAY || !fits(e->item, kind)) return wrong(g, e, key, wanted[kind], err);
    *out = e;
    return VB_OK;
}

#define READ(T, p, i)                                            \
    do {                                                         \
        T value_;                                                \
        memcpy(&value_, (p) + (i) * sizeof value_, sizeof value_); \
        return (int64_t)value_;                                  \
    } while (0)

int64_t vb_gguf_item_int(const vb_gguf_entry *array, uint64_t i)
{
    const uint8_t *p = array->data;
    uint64_t wide;
    switch (array->item) {
    case VB_GGUF_U8: READ(uint8_t, p, i);
    case VB_GGUF_I8: READ(int8_t, p, i);
    case VB_GGUF_U16: READ(uint16_t, p, i);
    case VB_GGUF_I16: READ(int16_t, p, i);
    case VB_GGUF_U32: READ(uint32_t, p, i);
    case VB_GGUF_I32: READ(int32_t, p, i);
    case VB_GGUF_I64: READ(int64_t, p, i);
    case VB_GGUF_BOOL: return p[i] != 0;
    case VB_GGUF_U64:
        memcpy(&wide, p + i * sizeof wide, sizeof wide);
        return wide > INT64_MAX ? INT64_MAX : (int64_t)wide;
    default: return 0;
    }
}

double vb_gguf_item_float(const vb_gguf_entry *array, uint64_t i)
{
    float narrow = 0;
    double wide = 0;
    if (array->item == VB_GGUF_F64) {
        memcpy(&wide, array->data + i * sizeof wide, sizeof wide);
        return wide;
    }
    if (array->item == VB_GGUF_F32) memcpy(&narrow, array->data + i * sizeof narrow, sizeof narrow);
    return (double)narrow;
}

vb_text vb_gguf_next_string(const uint8_t **at)
{
    uint64_t len;
    memcpy(&len, *at, sizeof len);
    vb_text text = {(const char *)*at + sizeof len, (size_t)len};
    *at += sizeof len + len;
    return text;
}
