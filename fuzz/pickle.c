/* pickle.c - fuzz target: any bytes as a pickle, as the pickle of an archive with small storages, and as an archive.
 *
 *   input: one byte that says which, then bytes
 *
 * Numbers of a tensor lie inside its storage, whatever its strides say; nothing is ever run, which is to say that the
 * interpreter has nothing to run it with.
 */
#include "convert/pickle.h"
#include "convert/torch.h"
#include "fuzz/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_pickle(const uint8_t *data, size_t size)
{
    vb_pickle p;
    vb_err err = {0};
    if (vb_pickle_read(&p, data, size, "input", &err) == VB_OK) {
        for (uint64_t i = 0; i < p.n; i++) {
            const vb_pickle_tensor *t = &p.tensors[i];
            uint64_t last = t->offset;
            int empty = 0;
            for (int d = 0; d < t->n_dims; d++) empty |= t->dims[d] == 0;
            for (int d = 0; d < t->n_dims && !empty; d++) last += (t->dims[d] - 1) * t->strides[d];
            if (!empty && last >= t->storage_n) abort();
            if (t->name == NULL || t->storage == NULL) abort();
        }
    } else if (err.code >= 0 || strncmp(err.text, "input: ", 7) != 0) {
        abort();
    }
    vb_pickle_free(&p);
}

/* An archive as PyTorch writes it, of two entries: this pickle and the storage "0" of 64 bytes. */
typedef struct {
    uint8_t bytes[40000];
    size_t n;
} archive;

static void put(archive *a, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) a->bytes[a->n++] = (uint8_t)(value >> 8 * i);
}

static void put_entry(archive *a, const char *name, const uint8_t *data, size_t size)
{
    put(a, 0x04034b50, 4);
    for (int i = 0; i < 14; i++) put(a, 0, 1);
    put(a, size, 4);
    put(a, size, 4);
    put(a, strlen(name), 2);
    put(a, 0, 2);
    memcpy(a->bytes + a->n, name, strlen(name));
    a->n += strlen(name);
    memcpy(a->bytes + a->n, data, size);
    a->n += size;
}

static void put_line(archive *a, const char *name, size_t at, size_t size)
{
    put(a, 0x02014b50, 4);
    for (int i = 0; i < 16; i++) put(a, 0, 1);
    put(a, size, 4);
    put(a, size, 4);
    put(a, strlen(name), 2);
    for (int i = 0; i < 12; i++) put(a, 0, 1);
    put(a, at, 4);
    memcpy(a->bytes + a->n, name, strlen(name));
    a->n += strlen(name);
}

static void try_in_archive(const uint8_t *data, size_t size)
{
    static archive a;
    static const uint8_t storage[64] = {1, 2, 3, 4, 5, 6, 7, 8};
    a.n = 0;
    put_entry(&a, "m/data.pkl", data, size);
    size_t second = a.n;
    put_entry(&a, "m/data/0", storage, sizeof storage);
    size_t directory = a.n;
    put_line(&a, "m/data.pkl", 0, size);
    put_line(&a, "m/data/0", second, sizeof storage);
    size_t bytes = a.n - directory;
    put(&a, 0x06054b50, 4);
    put(&a, 0, 4);
    put(&a, 2, 2);
    put(&a, 2, 2);
    put(&a, bytes, 4);
    put(&a, directory, 4);
    put(&a, 0, 2);
    fuzz_source(vb_torch_add, a.bytes, a.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 32768) return 0;
    if (data[0] % 3 == 0) try_pickle(data + 1, size - 1);
    else if (data[0] % 3 == 1) try_in_archive(data + 1, size - 1);
    else fuzz_source(vb_torch_add, data + 1, size - 1);
    return 0;
}
