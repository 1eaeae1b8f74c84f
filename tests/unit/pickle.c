/* pickle.c - tests of PyTorch's archives: pickles written by hand, the tensors they stand for, and what is refused. */
#include "convert/pickle.h"
#include "convert/torch.h"
#include "convert/zip.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- pickles ---------------------------------------------------------------------------------------------------- */

#define STORAGE(type, key, n) "(U\7storagectorch\n" type "\nU\1" key "U\3cpuK" n "tQ"
#define TENSOR(storage, offset, dims, strides) \
    "ctorch._utils\n_rebuild_tensor_v2\n(" storage "K" offset "(" dims "t(" strides "t\x89" "ccollections\nOrderedDict\n)RtR"
#define DICT(entries) "\x80\2ccollections\nOrderedDict\n)R(" entries "u."
#define FLOATS STORAGE("FloatStorage", "0", "\14")

typedef struct {
    const char *bytes;
    size_t n;
} text;
#define TEXT(literal) {literal, sizeof literal - 1}

static vb_err why;

/* --- archives --------------------------------------------------------------------------------------------------- */

typedef struct {
    uint8_t bytes[8192];
    size_t n, at[8], from[8], size[8];
    const char *name[8];
    int entries;
} archive;

static void put(archive *a, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) a->bytes[a->n++] = (uint8_t)(value >> 8 * i);
}

static void put_bytes(archive *a, const void *bytes, size_t n)
{
    memcpy(a->bytes + a->n, bytes, n);
    a->n += n;
}

static void add(archive *a, const char *name, const void *data, size_t size)
{
    a->at[a->entries] = a->n;
    a->name[a->entries] = name;
    a->size[a->entries] = size;
    put(a, 0x04034b50, 4);
    put(a, 0, 8), put(a, 0, 6);
    put(a, size, 4), put(a, size, 4);
    put(a, strlen(name), 2), put(a, 0, 2);
    put_bytes(a, name, strlen(name));
    a->from[a->entries++] = a->n;
    put_bytes(a, data, size);
}

static void finish(archive *a)
{
    size_t directory = a->n;
    for (int i = 0; i < a->entries; i++) {
        put(a, 0x02014b50, 4);
        put(a, 0, 8), put(a, 0, 8);
        put(a, a->size[i], 4), put(a, a->size[i], 4);
        put(a, strlen(a->name[i]), 2);
        put(a, 0, 8), put(a, 0, 4);
        put(a, a->at[i], 4);
        put_bytes(a, a->name[i], strlen(a->name[i]));
    }
    size_t bytes = a->n - directory;
    put(a, 0x06054b50, 4);
    put(a, 0, 4);
    put(a, (uint64_t)a->entries, 2), put(a, (uint64_t)a->entries, 2);
    put(a, bytes, 4), put(a, directory, 4);
    put(a, 0, 2);
}

static char path[64];

static vb_status read_bytes(vb_source **s, const void *bytes, size_t n)
{
    strcpy(path, "/tmp/verbatim-pickle-XXXXXX");
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);
    cr_assert_eq(vb_source_open(s, &why), VB_OK);
    vb_status status = vb_torch_add(*s, path, &why);
    unlink(path);
    return status;
}

static vb_status read_pickle(vb_source **s, text pickle)
{
    archive a = {.n = 0};
    float numbers[12];
    uint16_t halves[4] = {0x3c00, 0xc000, 0x0001, 0x7bff};
    for (int i = 0; i < 12; i++) numbers[i] = (float)i;
    add(&a, "m/data.pkl", pickle.bytes, pickle.n);
    add(&a, "m/data/0", numbers, sizeof numbers);
    add(&a, "m/data/1", halves, sizeof halves);
    finish(&a);
    return read_bytes(s, a.bytes, a.n);
}

static void expect(const vb_source *s, const char *name, const char *shape, const float *numbers)
{
    char found[64];
    float out[16];
    const vb_source_tensor *t = vb_source_find(s, name);
    cr_assert_not_null(t, "%s", name);
    cr_assert_str_eq(vb_source_shape(t, found, sizeof found), shape, "%s", name);
    uint64_t n = vb_source_elements(t), row = t->n_dims > 0 ? t->dims[t->n_dims - 1] : 1;
    for (uint64_t at = 0; at < n; at += row) cr_assert_eq(vb_source_floats(t, at, row, out + at, &why), VB_OK);
    for (uint64_t i = 0; i < n; i++) cr_assert_eq(out[i], numbers[i], "%s: number %d is %g", name, (int)i, (double)out[i]);
}

/* --- what is read ----------------------------------------------------------------------------------------------- */

Test(pickle, tensors_as_they_lie_and_as_they_are_strided)
{
    static const text pickle = TEXT(DICT(
        "U\1a" TENSOR(FLOATS, "\0", "K\3K\4", "K\4K\1")
        "U\1t" TENSOR(FLOATS, "\0", "K\4K\3", "K\1K\4")
        "U\1v" TENSOR(FLOATS, "\5", "K\2K\2", "K\4K\1")
        "U\1h" TENSOR(STORAGE("HalfStorage", "1", "\4"), "\0", "K\4", "K\1")
        "U\1p" "ctorch._utils\n_rebuild_parameter\n(" TENSOR(FLOATS, "\2", "K\2", "K\1") "\x88" "ccollections\nOrderedDict\n)RtR"
        "U\1s" TENSOR(FLOATS, "\7", "", "")
        "U\1n" "K\5" "U\1x" "]q\1h\1a"
        "U\1c" TENSOR(STORAGE("ComplexFloatStorage", "0", "\1"), "\0", "K\1", "K\1")));
    vb_source *s;
    cr_assert_eq(read_pickle(&s, pickle), VB_OK, "%s", why.text);
    cr_assert_eq(vb_source_count(s), 6);
    expect(s, "a", "[3, 4]", (float[]){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
    expect(s, "t", "[4, 3]", (float[]){0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11});
    expect(s, "v", "[2, 2]", (float[]){5, 6, 9, 10});
    expect(s, "h", "[4]", (float[]){1, -2, 0x1p-24f, 65504});
    expect(s, "p", "[2]", (float[]){2, 3});
    cr_assert_eq(vb_source_floats(vb_source_find(s, "s"), 0, 1, (float[1]){0}, &why), VB_OK);
    cr_assert_not_null(vb_source_find(s, "a")->data);
    cr_assert_null(vb_source_find(s, "t")->data);
    vb_source_close(s);
}

/* Protocol 4: names from the stack, frames, a memo without numbers, long texts. */
Test(pickle, a_later_protocol)
{
    static const text pickle = TEXT("\x80\4\x95\0\0\0\0\0\0\0\0}\x94(\x8c\1w\x94\x8c\14torch._utils\x94\x8c\22_rebuild_tensor_v2\x94\x93\x94"
                                    "((\x8c\7storage\x94\x8c\5torch\x94\x8c\14" "FloatStorage\x94\x93\x94\x8c\1" "0\x94\x8c\3cpu\x94K\14t\x94Q"
                                    "K\4K\2\x85\x94K\1\x85\x94\x89}\x94t\x94R\x94u.");
    vb_source *s;
    cr_assert_eq(read_pickle(&s, pickle), VB_OK, "%s", why.text);
    expect(s, "w", "[2]", (float[]){4, 5});
    vb_source_close(s);
}

/* --- what is refused --------------------------------------------------------------------------------------------- */

Test(pickle, programs_that_would_do_something)
{
    static const struct {
        text pickle;
        const char *says;
    } bad[] = {
        {TEXT("\x80\2cposix\nsystem\nU\2idR."), "data.pkl: byte 2: expected a name that state dicts use, found \"posix.system\""},
        {TEXT("\x80\2}U\1xcbuiltins\neval\nU\3" "1+1\x85Rs."), "found \"builtins.eval\""},
        {TEXT("\x80\4\x8c\2os\x8c\6system\x93."), "found \"os.system\""},
        {TEXT("\x80\2](](ccollections\nOrderedDict\n)Rcnt\nsystem\n"), "found \"nt.system\""},
        {TEXT("\x80\2csite\nOrderedDict\n)R."), "found \"site.OrderedDict\""},
        {TEXT("\x80\2ctorch\nload\n."), "found \"torch.load\""},
        {TEXT("\x80\2ctorch._utils\n_rebuild_tensor_v2 \n."), "found \"torch._utils._rebuild_tensor_v2 \""},
        {TEXT("\x80\2ctorch\nFloatStorage\n)R."), "REDUCE: expected a function"},
        {TEXT("\x80\2})\x81."), "expected an instruction that state dicts use, found 0x81"},
        {TEXT("\x80\2(i__main__\nx\n."), "expected an instruction that state dicts use, found 0x69"},
        {TEXT("\x80\2ccollections\nOrderedDict\n}b."), "BUILD: expected a dict or a tensor"},
        {TEXT("\x80\2\x8b\0\0\0\x10"), "LONG: expected at most 8 bytes"},
        {TEXT("\x80\2L123456789012345678901234567890L\n."), "expected an integer of 64 bits"},
        {TEXT("\x80\1}."), "expected protocol 2 to 5, found 1"},
        {TEXT("\x80\2X\xff\xff\xff\xff"), "expected 4294967295 more bytes"},
        {TEXT("\x80\2}r\xff\xff\xff\xff."), "expected a place in the memo"},
        {TEXT("\x80\2h\0."), "expected a place of the memo that was filled"},
        {TEXT("\x80\2}u."), "expected a mark on the stack"},
        {TEXT("\x80\2(."), "expected a value on the stack"},
        {TEXT("\x80\2}(K\1u."), "expected keys with values"},
        {TEXT("\x80\2}"), "expected STOP, found the end"},
        {TEXT("\x80\2K\1."), "expected a dict of tensors"},
        {TEXT("\x80\2}."), "found none in it"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        vb_source *s;
        cr_assert_lt(read_pickle(&s, bad[i].pickle), 0, "%s", bad[i].says);
        cr_assert_not_null(strstr(why.text, bad[i].says), "expected %s, found %s", bad[i].says, why.text);
        cr_assert_not_null(strstr(why.text, path), "%s", why.text);
        vb_source_close(s);
    }
}

Test(pickle, tensors_that_leave_their_storage)
{
    static const struct {
        text pickle;
        const char *says;
    } bad[] = {
        {TEXT(DICT("U\1a" TENSOR(FLOATS, "\1", "K\3K\4", "K\4K\1"))), "expected a tensor inside its storage of 12 numbers"},
        {TEXT(DICT("U\1a" TENSOR(FLOATS, "\0", "K\3K\4", "K\5K\1"))), "inside its storage"},
        {TEXT(DICT("U\1a" TENSOR(FLOATS, "\0", "K\2\x8a\10\xff\xff\xff\xff\xff\xff\xff\x7f", "K\1K\2"))), "inside its storage"},
        {TEXT(DICT("U\1a" TENSOR(FLOATS, "\0", "K\2K\2", "K\1\x8a\10\xff\xff\xff\xff\xff\xff\xff\x7f"))), "inside its storage"},
        {TEXT(DICT("U\1a" TENSOR(FLOATS, "\0", "K\2K\2", "K\1K\1"))), "places of their own"},
        {TEXT(DICT("U\1a" TENSOR(FLOATS, "\0", "K\3", "K\0"))), "places of their own"},
        {TEXT(DICT("U\1a" TENSOR(FLOATS, "\0", "J\xff\xff\xff\xff", "K\1"))), "from 0 on"},
        {TEXT(DICT("U\1a" TENSOR(FLOATS, "\0", "K\3", "K\1K\1"))), "as many strides as dimensions"},
        {TEXT(DICT("U\1a" TENSOR(FLOATS, "\0", "K\1K\1K\1K\1K\1K\1K\1K\1K\1", "K\1"))), "at most 8 dimensions"},
        {TEXT(DICT("U\1a" TENSOR(STORAGE("FloatStorage", "0", "\15"), "\0", "K\1", "K\1"))), "a: expected a storage of 13 numbers, found 48 bytes"},
        {TEXT(DICT("U\1a" TENSOR(STORAGE("FloatStorage", "9", "\1"), "\0", "K\1", "K\1"))), "expected its storage \"data/9\", found none"},
        {TEXT(DICT("U\1a" TENSOR(FLOATS, "\0", "K\1", "K\1") "U\1a" TENSOR(FLOATS, "\0", "K\1", "K\1"))), "'a'"},
        {TEXT(DICT("K\1" TENSOR(FLOATS, "\0", "K\1", "K\1"))), "expected a name for each tensor"},
        {TEXT("\x80\2(U\7storageU\1xU\1" "0U\3cpuK\1tQ."), "expected (\"storage\", type, key, place, numbers)"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        vb_source *s;
        cr_assert_lt(read_pickle(&s, bad[i].pickle), 0, "%s", bad[i].says);
        cr_assert_not_null(strstr(why.text, bad[i].says), "expected %s, found %s", bad[i].says, why.text);
        vb_source_close(s);
    }
}

/* Half a million levels, a tuple of itself twice forty times over: neither takes more than its own bytes. */
Test(pickle, nesting_and_sharing_cost_nothing)
{
    enum { DEEP = 1 << 20 };
    char *deep = malloc(DEEP + 8);
    vb_pickle p;
    memcpy(deep, "\x80\2", 2);
    memset(deep + 2, ']', DEEP / 2);
    memset(deep + 2 + DEEP / 2, 'a', DEEP / 2 - 1);
    deep[DEEP + 1] = '.';
    cr_assert_lt(vb_pickle_read(&p, (const uint8_t *)deep, DEEP + 2, "deep", &why), 0);
    cr_assert_str_eq(why.text, "deep: byte 1048577: expected a dict of tensors");
    vb_pickle_free(&p);
    size_t n = 3;
    memcpy(deep, "\x80\2)", 3);
    for (int i = 0; i < 40; i++, n += 5) memcpy(deep + n, "q\0h\0\x86", 5);
    deep[n++] = '.';
    cr_assert_lt(vb_pickle_read(&p, (const uint8_t *)deep, n, "shared", &why), 0);
    cr_assert_not_null(strstr(why.text, "expected a dict of tensors"));
    vb_pickle_free(&p);
    free(deep);
}

/* --- archives ---------------------------------------------------------------------------------------------------- */

static void refused(const archive *a, const char *says)
{
    vb_source *s;
    cr_assert_lt(read_bytes(&s, a->bytes, a->n), 0, "%s", says);
    cr_assert_not_null(strstr(why.text, says), "expected %s, found %s", says, why.text);
    vb_source_close(s);
}

static const char good[] = DICT("U\1a" TENSOR(FLOATS, "\0", "K\3K\4", "K\4K\1"));

static size_t two_entries(archive *a)
{
    float numbers[12] = {0};
    *a = (archive){.n = 0};
    add(a, "m/data.pkl", good, sizeof good - 1);
    add(a, "m/data/0", numbers, sizeof numbers);
    size_t directory = a->n;
    finish(a);
    return directory;
}

Test(zip, what_is_no_archive_of_stored_entries)
{
    archive a;
    vb_source *s;
    size_t d = two_entries(&a);
    cr_assert_eq(read_bytes(&s, a.bytes, a.n), VB_OK, "%s", why.text);
    vb_source_close(s);
    a.bytes[d + 10] = 8;
    refused(&a, "entry \"m/data.pkl\": expected bytes that are not compressed");
    d = two_entries(&a);
    a.bytes[d + 8] = 1;
    refused(&a, "expected no encryption");
    d = two_entries(&a);
    a.bytes[d + 42] = 1;
    refused(&a, "expected its head before the directory");
    d = two_entries(&a);
    a.bytes[d + 20] = a.bytes[d + 24] = 0xff;
    a.bytes[d + 23] = a.bytes[d + 27] = 0x7f;
    refused(&a, "expected its bytes before the directory");
    d = two_entries(&a);
    a.bytes[d + 20] = a.bytes[d + 24] = (uint8_t)(sizeof good + 20);
    refused(&a, "entry \"m/data/0\": expected bytes of its own");
    two_entries(&a);
    a.bytes[a.n - 12] = 0xff;
    refused(&a, "expected a directory inside the file, found 255 entries");
    two_entries(&a);
    a.n -= 5;
    refused(&a, "expected a zip archive");
    a = (archive){.n = 0};
    add(&a, "m/data.pkl", good, sizeof good - 1);
    add(&a, "m/data.pkl", good, sizeof good - 1);
    finish(&a);
    refused(&a, "expected its name once");
    a = (archive){.n = 0};
    add(&a, "m/weights", good, sizeof good - 1);
    finish(&a);
    refused(&a, "expected an entry data.pkl, found none");
    two_entries(&a);
    a.n = 0;
    put_bytes(&a, "\x80\2\x8a\n\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
    refused(&a, "found a file of PyTorch before 1.6");
}

/* The end of a file whose directory needs 64 bits. */
Test(zip, a_directory_of_64_bits)
{
    archive a;
    vb_zip z;
    size_t d = two_entries(&a), end = a.n - 22, bytes = end - d;
    a.n = end;
    put(&a, 0x06064b50, 4);
    put(&a, 44, 8), put(&a, 0, 8), put(&a, 0, 4);
    put(&a, 2, 8), put(&a, 2, 8), put(&a, bytes, 8), put(&a, d, 8);
    put(&a, 0x07064b50, 4);
    put(&a, 0, 4), put(&a, end, 8), put(&a, 1, 4);
    put(&a, 0x06054b50, 4);
    put(&a, 0, 4), put(&a, 0xffffffff, 4), put(&a, 0xffffffff, 4), put(&a, 0xffffffff, 4), put(&a, 0, 2);
    cr_assert_eq(vb_zip_read(&z, a.bytes, a.n, "a", &why), VB_OK, "%s", why.text);
    cr_assert_eq(z.n, 2);
    const vb_zip_entry *e = vb_zip_find(&z, "m/data/0", 8);
    cr_assert(e != NULL && e->size == 48 && e->offset == a.from[1]);
    vb_zip_free(&z);
    a.bytes[end + 20 + 48] = 0xff;
    cr_assert_lt(vb_zip_read(&z, a.bytes, a.n, "a", &why), 0);
    vb_zip_free(&z);
}
