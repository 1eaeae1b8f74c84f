/* gguf.c - tests of file/gguf: what is right opens and reads back, what is wrong is refused by name. */
#include "file/gguf_file.h"
#include "tests/unit/gguf_writer.h"

#include "tests/gguf_walk.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define SLOWER 4 /* what the sanitizers cost */
#endif
#endif
#ifndef SLOWER
#define SLOWER 1
#endif
#define GOLDEN "tests/golden/llama-gqa/model.gguf"

static uint64_t random_state = 88172645463325252u;
static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static vb_err why;

/* From a copy of exact size, so that a sanitizer sees every byte too many. NULL: refused. */
static vb_gguf *open_bytes(const uint8_t *data, size_t size)
{
    static uint8_t *copy;
    vb_gguf *g;
    free(copy);
    copy = malloc(size > 0 ? size : 1);
    cr_assert_not_null(copy);
    if (size > 0) memcpy(copy, data, size);
    memset(&why, 0, sizeof why);
    vb_status s = vb_gguf_open_memory(&g, copy, size, "made.gguf", &why);
    cr_assert_eq(s == VB_OK, g != NULL);
    cr_assert_eq(s, why.code);
    return g;
}

static vb_gguf *opened(const writer *w)
{
    vb_gguf *g = open_bytes(w->data, w->len);
    cr_assert_not_null(g, "%s", why.text);
    return g;
}

/* Refused, and the message holds both texts. */
static void refused(writer *w, const char *object, const char *reason)
{
    vb_gguf *g = open_bytes(w->data, w->len);
    cr_assert_null(g, "expected a refusal: %s %s", object, reason);
    cr_expect(strncmp(why.text, "made.gguf: ", 11) == 0, "%s", why.text);
    cr_expect_not_null(strstr(why.text, object), "%s lacks %s", why.text, object);
    cr_expect_not_null(strstr(why.text, reason), "%s lacks %s", why.text, reason);
    w->len = 0;
}

/* --- what is right --------------------------------------------------------------------------------------- */

static void put_every_type(writer *w)
{
    uint8_t u8 = 200;
    int8_t i8 = -100;
    uint16_t u16 = 60000;
    int16_t i16 = -30000;
    int32_t i32 = -2000000000;
    float f32 = 0.1f;
    uint64_t u64 = UINT64_MAX;
    int64_t i64 = INT64_MIN;
    double f64 = 0.1;
    put_header(w, 3, 0, 13);
    put_key(w, "u8", 0, &u8, 1);
    put_key(w, "i8", 1, &i8, 1);
    put_key(w, "u16", 2, &u16, 2);
    put_key(w, "i16", 3, &i16, 2);
    put_key_u32(w, "u32", 4000000000u);
    put_key(w, "i32", 5, &i32, 4);
    put_key(w, "f32", 6, &f32, 4);
    put_key(w, "bool", 7, "\1", 1);
    put_key_text(w, "string", "text");
    put_key_array(w, "array", 4, 2);
    put_u32(w, 7);
    put_u32(w, 8);
    put_key(w, "u64", 10, &u64, 8);
    put_key(w, "i64", 11, &i64, 8);
    put_key(w, "f64", 12, &f64, 8);
}

Test(gguf, every_type_through_every_getter)
{
    static const char *const ints[] = {"u8", "i8", "u16", "i16", "u32", "i32", "i64"};
    static const int64_t values[] = {200, -100, 60000, -30000, 4000000000, -2000000000, INT64_MIN};
    writer w = {0};
    put_every_type(&w);
    vb_gguf *g = opened(&w);
    cr_expect_eq(vb_gguf_n_entries(g), 13);
    int64_t v = 0;
    double d = 0;
    int b = 0;
    vb_text t;
    for (int i = 0; i < 7; i++) {
        cr_expect_eq(vb_gguf_int(g, ints[i], INT64_MIN, INT64_MAX, &v, &why), VB_OK);
        cr_expect_eq(v, values[i]);
    }
    cr_expect_eq(vb_gguf_int(g, "u64", INT64_MIN, INT64_MAX, &v, &why), VB_E_FORMAT);
    cr_expect_not_null(strstr(why.text, "18446744073709551615"), "%s", why.text);
    cr_expect_eq(vb_gguf_float(g, "f32", &d, &why), VB_OK);
    cr_expect_eq(d, (double)0.1f);
    cr_expect_eq(vb_gguf_float(g, "f64", &d, &why), VB_OK);
    cr_expect_eq(d, 0.1);
    cr_expect_eq(vb_gguf_bool(g, "bool", &b, &why), VB_OK);
    cr_expect_eq(b, 1);
    cr_expect_eq(vb_gguf_string(g, "string", &t, &why), VB_OK);
    cr_expect(t.len == 4 && memcmp(t.ptr, "text", 4) == 0);
    walk_gguf(g);
    vb_gguf_close(g);
    free(w.data);
}

/* Of the 13 types only the fitting ones pass each getter; the others are named, wanted and found. */
Test(gguf, wrong_types_are_named)
{
    writer w = {0};
    put_every_type(&w);
    vb_gguf *g = opened(&w);
    for (int64_t i = 0; i < 13; i++) {
        const vb_gguf_entry *e = vb_gguf_entry_at(g, i);
        char key[16] = {0}, object[32];
        int64_t v;
        double d;
        int b, floats = e->type == VB_GGUF_F32 || e->type == VB_GGUF_F64;
        vb_text t;
        memcpy(key, e->key.ptr, e->key.len);
        snprintf(object, sizeof object, "key %s: ", key);
        cr_expect_str_eq(vb_gguf_type_name(e->type), key);
        if (floats || e->type == VB_GGUF_BOOL || e->type == VB_GGUF_STRING || e->type == VB_GGUF_ARRAY) {
            cr_expect_eq(vb_gguf_int(g, key, INT64_MIN, INT64_MAX, &v, &why), VB_E_FORMAT);
            cr_expect(strstr(why.text, object) && strstr(why.text, "expected an integer"), "%s", why.text);
        }
        cr_expect_eq(vb_gguf_float(g, key, &d, &why), floats ? VB_OK : VB_E_FORMAT);
        cr_expect_eq(vb_gguf_bool(g, key, &b, &why), e->type == VB_GGUF_BOOL ? VB_OK : VB_E_FORMAT);
        cr_expect_eq(vb_gguf_string(g, key, &t, &why), e->type == VB_GGUF_STRING ? VB_OK : VB_E_FORMAT);
        for (int kind = VB_GGUF_INTS; kind <= VB_GGUF_STRINGS; kind++) {
            int fits = e->type == VB_GGUF_ARRAY && kind == VB_GGUF_INTS;
            cr_expect_eq(vb_gguf_array(g, key, (vb_gguf_kind)kind, &e, &why), fits ? VB_OK : VB_E_FORMAT);
        }
    }
    vb_gguf_close(g);
    free(w.data);
}

Test(gguf, absent_keys_ranges_and_floats_that_are_none)
{
    writer w = {0};
    float nan_ = NAN;
    double inf = -INFINITY;
    int64_t v = 77;
    double d = 77;
    put_header(&w, 2, 0, 3);
    put_key(&w, "nan", 6, &nan_, 4);
    put_key(&w, "inf", 12, &inf, 8);
    put_key_u32(&w, "ten", 10);
    vb_gguf *g = opened(&w);
    cr_expect_eq(vb_gguf_version(g), 2);
    cr_expect_eq(vb_gguf_int(g, "nothing", 0, 9, &v, &why), VB_E_NOT_FOUND);
    cr_expect_str_eq(why.text, "made.gguf: key nothing: expected an integer, found no such key");
    cr_expect_eq(vb_gguf_int(g, "ten", 0, 9, &v, &why), VB_E_FORMAT);
    cr_expect_str_eq(why.text, "made.gguf: key ten: expected 0 to 9, found 10");
    cr_expect_eq(vb_gguf_int(g, "ten", 11, 20, &v, NULL), VB_E_FORMAT);
    cr_expect_eq(vb_gguf_float(g, "nan", &d, &why), VB_E_FORMAT);
    cr_expect_eq(vb_gguf_float(g, "inf", &d, &why), VB_E_FORMAT);
    cr_expect(v == 77 && d == 77, "a failed getter writes nothing");
    cr_expect_eq(vb_gguf_int(g, "ten", 10, 10, &v, NULL), VB_OK);
    cr_expect_null(vb_gguf_find(g, "te"));
    cr_expect_null(vb_gguf_find(g, ""));
    vb_gguf_close(g);
    free(w.data);
}

Test(gguf, arrays)
{
    static const uint32_t sizes[13] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    for (uint32_t item = 0; item < 13; item++) {
        if (sizes[item] == 0) continue;
        writer w = {0};
        put_header(&w, 3, 0, 2);
        put_key_array(&w, "one", item, 1);
        for (uint32_t i = 0; i < sizes[item]; i++) put(&w, i + 1 == sizes[item] ? "\1" : "\0", 1);
        put_key_array(&w, "none", item, 0);
        vb_gguf *g = opened(&w);
        int64_t v;
        double d;
        int b, floats = item == VB_GGUF_F32 || item == VB_GGUF_F64, truth = item == VB_GGUF_BOOL;
        cr_expect_eq(vb_gguf_int(g, "one", 1, INT64_MAX, &v, NULL), floats || truth ? VB_E_FORMAT : VB_OK);
        cr_expect_eq(vb_gguf_float(g, "one", &d, NULL), floats ? VB_OK : VB_E_FORMAT);
        cr_expect_eq(vb_gguf_bool(g, "one", &b, NULL), truth ? VB_OK : VB_E_FORMAT);
        cr_expect_eq(vb_gguf_int(g, "none", 0, 9, &v, NULL), VB_E_FORMAT);
        walk_gguf(g);
        vb_gguf_close(g);
        free(w.data);
    }
}

Test(gguf, arrays_of_strings_are_walked)
{
    writer w = {0};
    const vb_gguf_entry *e;
    put_header(&w, 3, 0, 1);
    put_key_array(&w, "words", 8, 3);
    put_text(&w, "first");
    put_text(&w, "");
    put_text(&w, "third");
    vb_gguf *g = opened(&w);
    cr_assert_eq(vb_gguf_array(g, "words", VB_GGUF_STRINGS, &e, &why), VB_OK);
    cr_expect_eq(e->n, 3);
    const uint8_t *cursor = e->data;
    vb_text t = vb_gguf_next_string(&cursor);
    cr_expect(t.len == 5 && memcmp(t.ptr, "first", 5) == 0);
    cr_expect_eq(vb_gguf_next_string(&cursor).len, 0);
    t = vb_gguf_next_string(&cursor);
    cr_expect(t.len == 5 && memcmp(t.ptr, "third", 5) == 0);
    cr_expect_eq(cursor, (const uint8_t *)t.ptr + 5);
    vb_gguf_close(g);
    free(w.data);
}

Test(gguf, tensors_and_alignment)
{
    static const uint64_t square[] = {64, 3}, row[] = {5};
    writer w = {0};
    put_header(&w, 3, 2, 1);
    put_key_u32(&w, "general.alignment", 64);
    put_tensor(&w, "second", 2, square, 2, 64);
    put_tensor(&w, "first", 1, row, 0, 0);
    put_padding(&w, 64);
    size_t start = w.len;
    put_zeros(&w, 64 + 108);
    w.data[start] = 11;
    w.data[start + 64] = 22;
    vb_gguf *g = opened(&w);
    const vb_gguf_tensor *t = vb_gguf_tensor_find(g, "second");
    cr_assert_not_null(t);
    cr_expect_eq(t, vb_gguf_tensor_at(g, 0));
    cr_expect(t->n_dims == 2 && t->ne[0] == 64 && t->ne[1] == 3 && t->ne[2] == 1 && t->ne[3] == 1);
    cr_expect(t->elements == 192 && t->bytes == 108 && t->offset == 64);
    cr_expect_eq(((const uint8_t *)t->data)[0], 22);
    cr_expect_eq(t->format->format, VB_FMT_Q4_0);
    cr_expect_eq(((const uint8_t *)vb_gguf_tensor_find(g, "first")->data)[0], 11);
    cr_expect_null(vb_gguf_tensor_find(g, "thir"));
    vb_gguf_close(g);
    w.len--;
    refused(&w, "tensor second: ", "expected 108 bytes at offset 64, found a data section of 171 bytes");
    free(w.data);
}

Test(gguf, formats_without_kernels_are_accepted_unknown_ones_named)
{
    static const uint64_t row[] = {256};
    for (uint32_t type = 0; type < 64; type++) {
        writer w = {0};
        const vb_format_info *f = vb_format_of_gguf(type);
        put_header(&w, 3, 1, 0);
        put_tensor(&w, "weights", 1, row, type, 0);
        put_padding(&w, 32);
        put_zeros(&w, f == NULL ? 4096 : (size_t)(256 / f->block * f->bytes));
        if (f == NULL) {
            char number[32];
            snprintf(number, sizeof number, "type number %u", type);
            refused(&w, "tensor weights: ", number);
        } else {
            vb_gguf *g = opened(&w);
            cr_expect_eq(vb_gguf_tensor_at(g, 0)->format, f);
            vb_gguf_close(g);
        }
        free(w.data);
    }
}

Test(gguf, thousands_of_tensors_are_found)
{
    enum { N = 5000 };
    static const uint64_t one[] = {8};
    writer w = {0};
    char name[32];
    put_header(&w, 3, N, 0);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "blk.%d.weight", i);
        put_tensor(&w, name, 1, one, 0, (uint64_t)(N - 1 - i) * 32);
    }
    put_padding(&w, 32);
    put_zeros(&w, (size_t)N * 32);
    vb_gguf *g = opened(&w);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "blk.%d.weight", i);
        cr_assert_eq(vb_gguf_tensor_find(g, name), vb_gguf_tensor_at(g, i));
    }
    vb_gguf_close(g);
    free(w.data);
}

/* --- what is wrong --------------------------------------------------------------------------------------- */

Test(gguf, wrong_headers)
{
    writer w = {0};
    refused(&w, "header: ", "found an empty file");
    put(&w, "GGU", 3);
    refused(&w, "header: ", "found 47 47 55 00");
    put(&w, "GGML\3\0\0\0", 8);
    refused(&w, "header: ", "found 47 47 4d 4c");
    for (uint32_t version = 0; version < 6; version++) {
        if (version == 2 || version == 3) continue;
        char text[32];
        put_header(&w, version, 0, 0);
        snprintf(text, sizeof text, "found version %u", version);
        refused(&w, "header: ", text);
        cr_expect_eq(why.code, VB_E_UNSUPPORTED);
    }
    put_header(&w, 0x03000000, 0, 0);
    refused(&w, "header: ", "big-endian");
    cr_expect_eq(why.code, VB_E_UNSUPPORTED);
    free(w.data);
}

Test(gguf, huge_counts_cost_nothing)
{
    static const uint64_t counts[] = {2, 1000, 8193, 16385, 1u << 31, UINT64_MAX / 33, UINT64_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        writer w = {0};
        put_header(&w, 3, counts[i], 0);
        refused(&w, "header: ", "tensors");
        put_header(&w, 3, 0, counts[i]);
        refused(&w, "header: ", "keys");
        put_header(&w, 3, 0, 1);
        put_key_array(&w, "list", 8, counts[i]);
        refused(&w, "key list: ", "items");
        put_header(&w, 3, 0, 1);
        put_key_array(&w, "list", 12, counts[i]);
        refused(&w, "key list: ", "items");
        put_header(&w, 3, 0, 1);
        put_key(&w, "text", 8, &counts[i], 8);
        refused(&w, "key text: ", "more bytes");
        put_header(&w, 3, 0, 1);
        put_u64(&w, counts[i]);
        put_zeros(&w, 10);
        refused(&w, "key number 1: ", counts[i] > 65535 ? "1 to 65535" : "");
        free(w.data);
    }
}

Test(gguf, counts_have_limits)
{
    writer w = {0};
    put_header(&w, 3, 16385, 0);
    put_zeros(&w, 16385 * 33);
    refused(&w, "header: ", "at most 16384 tensors, found 16385");
    put_header(&w, 3, 0, 8193);
    put_zeros(&w, 8193 * 14);
    refused(&w, "header: ", "at most 8192 keys, found 8193");
    put_header(&w, 3, 0, 2);
    for (int i = 0; i < 2; i++) {
        put_key_array(&w, i == 0 ? "first" : "second", 8, 2000000);
        put_zeros(&w, 2000000 * 8);
    }
    refused(&w, "key second: ", "bytes of strings in arrays");
    free(w.data);
}

Test(gguf, wrong_keys)
{
    writer w = {0};
    put_header(&w, 3, 0, 1);
    put_key(&w, "kind", 13, "\0\0\0\0", 4);
    refused(&w, "key kind: ", "found 13");
    put_header(&w, 3, 0, 1);
    put_key_array(&w, "list", 13, 0);
    refused(&w, "key list: ", "found 13");
    put_header(&w, 3, 0, 1);
    put_key_array(&w, "nested", 9, 1);
    put_u32(&w, 4);
    put_u64(&w, 0);
    refused(&w, "key nested: ", "an array of arrays");
    put_header(&w, 3, 0, 1);
    put_key(&w, "truth", 7, "\2", 1);
    refused(&w, "key truth: ", "found 2");
    put_header(&w, 3, 0, 2);
    put_key_u32(&w, "twice", 1);
    put_key_u32(&w, "twice", 1);
    refused(&w, "key twice: ", "found two");
    put_header(&w, 3, 0, 1);
    put_key_u32(&w, "", 1);
    refused(&w, "key number 1: ", "a name of 1 to 65535 bytes, found 0");
    put_header(&w, 3, 0, 1);
    put_key_u32(&w, "bell\a", 1);
    refused(&w, "key number 1: ", "printable");
    free(w.data);
}

Test(gguf, wrong_alignment)
{
    static const uint32_t bad[] = {0, 1, 2, 4, 7, 12, 24, 33, 96, 1u << 21, 1u << 31, UINT32_MAX};
    writer w = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put_header(&w, 3, 0, 1);
        put_key_u32(&w, "general.alignment", bad[i]);
        refused(&w, "key general.alignment: ", "power of two");
    }
    put_header(&w, 3, 0, 1);
    put_key(&w, "general.alignment", 10, "\40\0\0\0\0\0\0\0", 8);
    refused(&w, "key general.alignment: ", "expected u32, found u64");
    for (uint32_t good = 8; good <= 1u << 20; good *= 2) {
        put_header(&w, 3, 0, 1);
        put_key_u32(&w, "general.alignment", good);
        vb_gguf_close(opened(&w));
        w.len = 0;
    }
    free(w.data);
}

static void put_two(writer *w, uint64_t first, uint64_t second)
{
    static const uint64_t ne[] = {16};
    put_header(w, 3, 2, 0);
    put_tensor(w, "one", 1, ne, 0, first);
    put_tensor(w, "two", 1, ne, 0, second);
    put_padding(w, 32);
    put_zeros(w, 256);
}

Test(gguf, wrong_places_of_tensors)
{
    writer w = {0};
    put_two(&w, 0, 64);
    vb_gguf_close(opened(&w));
    w.len = 0;
    put_two(&w, 0, 32);
    refused(&w, "tensor two: ", "behind tensor one");
    put_two(&w, 32, 0);
    refused(&w, "tensor one: ", "behind tensor two");
    put_two(&w, 64, 64);
    refused(&w, "tensor ", "inside it");
    put_two(&w, 0, 65);
    refused(&w, "tensor two: ", "multiple of 32, found 65");
    put_two(&w, 0, 224);
    refused(&w, "tensor two: ", "64 bytes at offset 224");
    put_two(&w, 0, UINT64_MAX - 31);
    refused(&w, "tensor two: ", "64 bytes at offset 18446744073709551584");
    free(w.data);
}

static void put_one(writer *w, const char *name, uint32_t dims, const uint64_t *ne, uint32_t type)
{
    put_header(w, 3, 1, 0);
    put_tensor(w, name, dims, ne, type, 0);
    put_padding(w, 32);
    put_zeros(w, 4096);
}

Test(gguf, wrong_tensors)
{
    static const uint64_t ne[] = {32, 1, 1, 1, 1}, none[] = {32, 0}, odd[] = {33}, half[] = {128};
    const char *longest = "a23456789b23456789c23456789d23456789e23456789f23456789g23456789";
    char longer[65];
    writer w = {0};
    snprintf(longer, sizeof longer, "%sX", longest);
    put_one(&w, longest, 1, ne, 0);
    vb_gguf_close(opened(&w));
    w.len = 0;
    put_one(&w, longer, 1, ne, 0);
    refused(&w, "tensor number 1: ", "1 to 63 bytes, found 64");
    put_one(&w, "", 1, ne, 0);
    refused(&w, "tensor number 1: ", "found 0");
    put_one(&w, "new\nline", 1, ne, 0);
    refused(&w, "tensor number 1: ", "printable");
    put_one(&w, "flat", 0, ne, 0);
    refused(&w, "tensor flat: ", "1 to 4 dimensions, found 0");
    put_one(&w, "deep", 5, ne, 0);
    refused(&w, "tensor deep: ", "1 to 4 dimensions, found 5");
    put_one(&w, "empty", 2, none, 0);
    refused(&w, "tensor empty: ", "at least 1, found 0");
    put_one(&w, "odd", 1, odd, 2);
    refused(&w, "tensor odd: ", "multiple of 32 elements (Q4_0), found 33");
    put_one(&w, "half", 1, half, 12);
    refused(&w, "tensor half: ", "multiple of 256 elements (Q4_K), found 128");
    put_header(&w, 3, 2, 0);
    put_tensor(&w, "same", 1, ne, 0, 0);
    put_tensor(&w, "same", 1, ne, 0, 128);
    put_padding(&w, 32);
    put_zeros(&w, 256);
    refused(&w, "tensor same: ", "found two");
    free(w.data);
}

static uint64_t random_size(void)
{
    uint64_t r = next_random();
    switch (r % 4) {
    case 0: return 1 + (r >> 8) % 64;
    case 1: return (uint64_t)32 << (r >> 8) % 59;
    case 2: return (r >> 8) >> (r >> 2) % 56;
    default: return (uint64_t)256 * (1 + (r >> 8) % 8);
    }
}

/* Shapes at random: opened exactly when arithmetic in 128 bits says that the tensor fits. */
Test(gguf, products_against_128_bits)
{
    enum { DATA = 1 << 14 };
    int accepted = 0;
    writer w = {0};
    for (int round = 0; round < 100000; round++) {
        uint64_t ne[4];
        unsigned __int128 elements = 1;
        uint32_t dims = 1 + (uint32_t)(next_random() % 4), type;
        int fits = 1;
        do type = (uint32_t)(next_random() % 41);
        while (vb_format_of_gguf(type) == NULL);
        const vb_format_info *f = vb_format_of_gguf(type);
        for (uint32_t i = 0; i < dims; i++) {
            ne[i] = random_size();
            elements *= ne[i];
            fits &= ne[i] > 0 && elements <= INT64_MAX;
            if (!fits) elements = 1;
        }
        uint64_t offset = next_random() % 4 == 0 ? 0 : (next_random() >> next_random() % 64) & ~(uint64_t)31;
        fits &= ne[0] % (uint64_t)f->block == 0;
        fits &= elements / (unsigned)f->block * (unsigned)f->bytes + offset <= DATA;
        w.len = 0;
        put_header(&w, 3, 1, 0);
        put_tensor(&w, "shape", dims, ne, type, offset);
        put_padding(&w, 32);
        put_zeros(&w, DATA);
        vb_gguf *g = open_bytes(w.data, w.len);
        cr_assert_eq(g != NULL, fits, "ne0 %llu dims %u %s: %s", (unsigned long long)ne[0], dims, f->name, why.text);
        cr_assert(g != NULL || strstr(why.text, "tensor shape: ") != NULL);
        accepted += g != NULL;
        vb_gguf_close(g);
    }
    cr_expect(accepted > 1000, "only %d shapes were possible", accepted);
    free(w.data);
}

Test(gguf, wrong_split_keys)
{
    writer w = {0};
    put_header(&w, 3, 0, 1);
    put_key_text(&w, "split.count", "3");
    refused(&w, "key split.count: ", "expected a number, found string");
    put_header(&w, 3, 0, 1);
    put_key_u32(&w, "split.count", 1001);
    refused(&w, "key split.count: ", "expected 0 to 1000, found 1001");
    put_header(&w, 3, 0, 1);
    put_key_u32(&w, "split.count", 2);
    refused(&w, "key split.no: ", "found no such key");
    put_header(&w, 3, 0, 2);
    put_key_u32(&w, "split.count", 2);
    put_key_u32(&w, "split.no", 0);
    refused(&w, "key split.count: ", "-00001-of-00002.gguf");
    put_header(&w, 3, 0, 1);
    put_key_u32(&w, "split.count", 1);
    vb_gguf_close(opened(&w));
    free(w.data);
}

/* --- a real file, damaged -------------------------------------------------------------------------------- */

static uint8_t *golden(size_t *size, size_t *header, size_t *end)
{
    char *data;
    vb_gguf *g;
    cr_assert_eq(vb_file_read(GOLDEN, 1 << 24, &data, size, &why), VB_OK, "%s", why.text);
    cr_assert_eq(vb_gguf_open(&g, GOLDEN, &why), VB_OK, "%s", why.text);
    const uint8_t *base = vb_gguf_part(g, 0)->data;
    *header = (size_t)((const uint8_t *)vb_gguf_tensor_at(g, 0)->data - vb_gguf_tensor_at(g, 0)->offset - base);
    *end = 0;
    for (int64_t i = 0; i < vb_gguf_n_tensors(g); i++) {
        const vb_gguf_tensor *t = vb_gguf_tensor_at(g, i);
        if (*header + t->offset + t->bytes > *end) *end = *header + t->offset + t->bytes;
    }
    walk_gguf(g);
    vb_gguf_close(g);
    return (uint8_t *)data;
}

static void expect_cut(const uint8_t *data, size_t cut)
{
    cr_assert_null(open_bytes(data, cut), "cut at byte %zu", cut);
    cr_assert_eq(why.code, VB_E_FORMAT);
    cr_assert(strstr(why.text, ": header: ") || strstr(why.text, ": key ") || strstr(why.text, ": tensor "),
              "cut at byte %zu: %s", cut, why.text);
}

Test(gguf, a_cut_anywhere_is_refused)
{
    size_t size, header, end;
    uint8_t *data = golden(&size, &header, &end);
    cr_assert(header > 1000 && end > header);
    for (size_t cut = 0; cut <= header; cut++) expect_cut(data, cut);
    for (int i = 0; i < 1000; i++) {
        expect_cut(data, header + next_random() % (end - header));
        cr_assert_not_null(strstr(why.text, "tensor "), "%s", why.text);
    }
    free(data);
}

Test(gguf, flipped_bits_are_survived)
{
    size_t size, header, end;
    int refusals = 0;
    uint8_t *data = golden(&size, &header, &end);
    uint8_t *copy = malloc(size);
    for (int i = 0; i < 20000; i++) {
        int flips = 1 + (int)(next_random() % 3);
        memcpy(copy, data, header);
        for (int k = 0; k < flips; k++) copy[next_random() % header] ^= (uint8_t)(1u << next_random() % 8);
        vb_gguf *g;
        if (i == 0) memcpy(copy + header, data + header, size - header);
        memset(&why, 0, sizeof why);
        if (vb_gguf_open_memory(&g, copy, size, "flipped", &why) == VB_OK) walk_gguf(g);
        else refusals++;
        cr_assert_eq(g == NULL, why.text[0] != 0);
        vb_gguf_close(g);
    }
    cr_expect(refusals > 1000, "only %d refusals", refusals);
    free(copy);
    free(data);
}

/* --- files ----------------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/verbatim-gguf-XXXXXX";

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0) cr_log_warn("%s stays", folder);
}

static const char *in_folder(const char *name)
{
    static char path[2][256];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void write_file(const char *name, const writer *w)
{
    FILE *f = fopen(in_folder(name), "wb");
    cr_assert_not_null(f);
    if (w->len > 0) cr_assert_eq(fwrite(w->data, 1, w->len, f), w->len);
    fclose(f);
}

Test(gguf, files_that_are_none, .init = make_folder, .fini = remove_folder)
{
    vb_gguf *g;
    writer w = {0};
    cr_expect_eq(vb_gguf_open(&g, in_folder("absent"), &why), VB_E_NOT_FOUND);
    cr_expect_null(g);
    cr_expect_eq(vb_gguf_open(&g, folder, &why), VB_E_IO);
    cr_expect_not_null(strstr(why.text, "a directory"));
    write_file("empty", &w);
    cr_expect_eq(vb_gguf_open(&g, in_folder("empty"), &why), VB_E_FORMAT);
    cr_expect_not_null(strstr(why.text, "an empty file"));
}

/* A gigabyte behind a header that lies is not looked at. */
Test(gguf, a_large_bad_file_is_refused_at_once, .init = make_folder, .fini = remove_folder)
{
    writer w = {0};
    vb_gguf *g;
    put_header(&w, 3, 16384, 8192);
    put_key_array(&w, "list", 8, 2600000);
    write_file("large", &w);
    cr_assert_eq(truncate(in_folder("large"), 1 << 30), 0);
    double least = 1.0;
    for (int i = 0; i < 7; i++) { /* the machine may be busy with others: the best of a few counts */
        clock_t start = clock();
        cr_expect_eq(vb_gguf_open(&g, in_folder("large"), &why), VB_E_FORMAT);
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        least = seconds < least ? seconds : least;
    }
    cr_expect(least < 0.05 * SLOWER, "%g s", least);
    cr_expect_not_null(strstr(why.text, "key "), "%s", why.text);
    free(w.data);
}

/* What is copied has a limit as well. */
Test(gguf, a_long_list_is_refused, .init = make_folder, .fini = remove_folder)
{
    writer w = {0};
    vb_gguf *g;
    put_header(&w, 3, 0, 1);
    put_key_array(&w, "numbers", 4, 17 << 20);
    write_file("long", &w);
    cr_assert_eq(truncate(in_folder("long"), 1 << 30), 0);
    cr_expect_eq(vb_gguf_open(&g, in_folder("long"), &why), VB_E_FORMAT);
    cr_expect_not_null(strstr(why.text, "key numbers: expected it to end within the first 25165824 bytes"), "%s", why.text);
    free(w.data);
}

static void expect_word(const vb_gguf *g, const char *word)
{
    const vb_gguf_entry *e;
    cr_assert_eq(vb_gguf_array(g, "words", VB_GGUF_STRINGS, &e, &why), VB_OK, "%s", why.text);
    const uint8_t *cursor = e->data;
    vb_text t = vb_gguf_next_string(&cursor);
    cr_expect(t.len == strlen(word) && memcmp(t.ptr, word, t.len) == 0);
}

/* What was checked is what is used, whoever writes the file and whatever becomes of its name. */
Test(gguf, a_file_that_changes_is_noticed, .init = make_folder, .fini = remove_folder)
{
    vb_gguf *written, *cut, *replaced;
    writer w = {0}, none = {0};
    put_header(&w, 3, 0, 1);
    put_key_array(&w, "words", 8, 1);
    put_text(&w, "as it was");
    write_file("a", &w);
    write_file("b", &w);
    write_file("c", &w);
    cr_assert_eq(vb_gguf_open(&written, in_folder("a"), &why), VB_OK, "%s", why.text);
    cr_assert_eq(vb_gguf_open(&cut, in_folder("b"), &why), VB_OK, "%s", why.text);
    cr_assert_eq(vb_gguf_open(&replaced, in_folder("c"), &why), VB_OK, "%s", why.text);
    cr_expect_eq(vb_gguf_check(written, &why), VB_OK);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL); /* file systems stamp files with the clock of ticks */
    memset(w.data, 0xff, w.len);
    write_file("a", &w);
    write_file("b", &none);
    unlink(in_folder("b"));
    write_file("d", &w);
    rename(in_folder("d"), in_folder("c"));
    cr_expect_eq(vb_gguf_check(written, &why), VB_E_IO);
    cr_expect_eq(vb_gguf_check(cut, &why), VB_E_IO);
    cr_expect_not_null(strstr(why.text, "/b: changed while it was in use: expected "), "%s", why.text);
    cr_expect_eq(vb_gguf_check(replaced, &why), VB_OK);
    expect_word(written, "as it was");
    expect_word(cut, "as it was");
    expect_word(replaced, "as it was");
    vb_gguf_close(written);
    vb_gguf_close(cut);
    vb_gguf_close(replaced);
    free(w.data);
}

/* Opened, and cut before it is read. */
Test(gguf, a_file_that_shrinks_is_named, .init = make_folder, .fini = remove_folder)
{
    writer w = {0};
    vb_arena arena = {0};
    put_header(&w, 3, 0, 1);
    put_key_array(&w, "words", 8, 1);
    put_text(&w, "as it was");
    write_file("a", &w);
    vb_gguf_file f = {.path = (char *)(uintptr_t)in_folder("a")};
    cr_assert_eq(vb_map_open(&f.map, f.path, &why), VB_OK, "%s", why.text);
    cr_assert_eq(truncate(f.path, 30), 0);
    cr_expect_eq(vb_gguf_file_parse(&f, &arena, &why), VB_E_IO);
    cr_expect_not_null(strstr(why.text, "changed while it was read"), "%s", why.text);
    vb_gguf_file_close(&f);
    vb_arena_free(&arena);
    free(w.data);
}

/* Part `no` of `count` with one tensor of eight floats, all equal to no. */
static void write_part(int no, int count, int said_no, const char *key, uint32_t total)
{
    static const uint64_t ne[] = {8};
    writer w = {0};
    char name[64];
    uint16_t short_no = (uint16_t)said_no, short_count = (uint16_t)count;
    int32_t all = (int32_t)total;
    float value = (float)no;
    put_header(&w, 3, 1, key == NULL ? 3 : 4);
    put_key(&w, "split.no", 2, &short_no, 2);
    put_key(&w, "split.count", 2, &short_count, 2);
    put_key(&w, "split.tensors.count", 5, &all, 4);
    if (key != NULL) put_key_text(&w, "general.name", key);
    snprintf(name, sizeof name, "tensor.%d", no);
    put_tensor(&w, name, 1, ne, 0, 0);
    put_padding(&w, 32);
    for (int i = 0; i < 8; i++) put(&w, &value, 4);
    snprintf(name, sizeof name, "m-%05d-of-%05d.gguf", no + 1, count);
    write_file(name, &w);
    free(w.data);
}

#define FIRST "m-00001-of-00003.gguf"

static void write_parts(void)
{
    make_folder();
    write_part(0, 3, 0, "whole", 3);
    write_part(1, 3, 1, NULL, 3);
    write_part(2, 3, 2, "whole", 3);
}

static void expect_split(vb_status expected, const char *path, const char *reason)
{
    vb_gguf *g;
    vb_status s = vb_gguf_open(&g, path, &why);
    cr_expect_eq(s, expected, "%s", why.text);
    cr_expect_not_null(strstr(why.text, reason), "%s lacks %s", why.text, reason);
    vb_gguf_close(g);
}

Test(gguf, parts_of_a_split_model_are_one, .init = write_parts, .fini = remove_folder)
{
    vb_gguf *g;
    cr_assert_eq(vb_gguf_open(&g, in_folder(FIRST), &why), VB_OK, "%s", why.text);
    cr_expect_eq(vb_gguf_parts(g), 3);
    cr_expect_eq(vb_gguf_n_tensors(g), 3);
    cr_expect_eq(vb_gguf_n_entries(g), 4);
    cr_expect_str_eq(vb_gguf_path(g), in_folder(FIRST));
    cr_expect_str_eq(vb_gguf_part_path(g, 2), in_folder("m-00003-of-00003.gguf"));
    for (int i = 0; i < 3; i++) {
        char name[24];
        snprintf(name, sizeof name, "tensor.%d", i);
        const vb_gguf_tensor *t = vb_gguf_tensor_find(g, name);
        cr_assert_not_null(t);
        cr_expect_eq(((const float *)t->data)[7], (float)i);
        const uint8_t *base = vb_gguf_part(g, i)->data;
        cr_expect((const uint8_t *)t->data > base && (const uint8_t *)t->data < base + vb_gguf_part(g, i)->size);
    }
    walk_gguf(g);
    vb_gguf_close(g);
}

Test(gguf, parts_that_do_not_fit_are_named, .init = write_parts, .fini = remove_folder)
{
    expect_split(VB_E_FORMAT, in_folder("m-00002-of-00003.gguf"), FIRST);
    write_part(1, 3, 2, NULL, 3);
    expect_split(VB_E_FORMAT, in_folder(FIRST), "m-00002-of-00003.gguf: key split.no");
    write_part(1, 3, 1, "other", 3);
    expect_split(VB_E_FORMAT, in_folder(FIRST), "m-00002-of-00003.gguf: key general.name");
    write_part(1, 3, 1, NULL, 3);
    write_part(0, 3, 0, "whole", 4);
    expect_split(VB_E_FORMAT, in_folder(FIRST), "split.tensors.count: expected 4 tensors in 3 parts, found 3");
    write_part(0, 3, 0, "whole", 3);
    cr_assert_eq(rename(in_folder("m-00003-of-00003.gguf"), in_folder("gone")), 0);
    expect_split(VB_E_NOT_FOUND, in_folder(FIRST), "m-00003-of-00003.gguf");
    cr_assert_eq(rename(in_folder(FIRST), in_folder("renamed.gguf")), 0);
    expect_split(VB_E_FORMAT, in_folder("renamed.gguf"), "-00001-of-00003.gguf");
}

Test(gguf, one_tensor_in_two_parts, .init = write_parts, .fini = remove_folder)
{
    char path[2][256];
    FILE *f;
    snprintf(path[0], sizeof path[0], "%s", in_folder("m-00002-of-00003.gguf"));
    char *data;
    size_t size;
    cr_assert_eq(vb_file_read(path[0], 4096, &data, &size, NULL), VB_OK);
    char *name = memmem(data, size, "tensor.1", 8);
    cr_assert_not_null(name);
    name[7] = '0';
    f = fopen(path[0], "wb");
    cr_assert_not_null(f);
    fwrite(data, 1, size, f);
    fclose(f);
    free(data);
    expect_split(VB_E_FORMAT, in_folder(FIRST), "tensor tensor.0: ");
}
