/* torch.c - the archive, its pickle, and each tensor's numbers where they lie. */
#include "convert/torch.h"

#include "base/os.h"
#include "convert/pickle.h"
#include "convert/zip.h"

#include <stdlib.h>
#include <string.h>

/* What lives as long as the source. */
typedef struct {
    const vb_map *map;
    vb_zip zip;
    vb_pickle pickle;
    const char *path;
} archive;

/* A tensor whose numbers lie in another order than its dimensions. */
typedef struct {
    const vb_pickle_tensor *tensor;
    const uint8_t *base; /* the storage at its offset */
} strided;

static void give_back(void *thing)
{
    archive *a = thing;
    vb_pickle_free(&a->pickle);
    vb_zip_free(&a->zip);
    free(a);
}

/* --- reading out of order ---------------------------------------------------------------------------------------- */

/* Where number `at` of the tensor lies, in numbers from its base. */
static uint64_t place_of(const vb_pickle_tensor *t, uint64_t at)
{
    uint64_t place = 0;
    for (int i = t->n_dims - 1; i >= 0; i--) {
        place += at % t->dims[i] * t->strides[i];
        at /= t->dims[i];
    }
    return place;
}

static vb_status read_strided(const vb_source_tensor *tensor, uint64_t first, uint64_t n, float *out, vb_err *err)
{
    enum { BATCH = 256 };
    const strided *s = tensor->ud;
    const vb_pickle_tensor *t = s->tensor;
    uint8_t batch[BATCH * 8];
    const size_t bytes = (size_t)vb_number_bytes((vb_number)t->type);
    (void)err;
    for (uint64_t done = 0; done < n;) {
        uint64_t count = n - done < BATCH ? n - done : BATCH;
        for (uint64_t i = 0; i < count; i++)
            memcpy(batch + i * bytes, s->base + place_of(t, first + done + i) * bytes, bytes);
        vb_number_floats((vb_number)t->type, batch, count, out + done);
        done += count;
    }
    return VB_OK;
}

/* --- the archive ------------------------------------------------------------------------------------------------- */

/* "model/data.pkl": the folder's length, with its slash. */
static const vb_zip_entry *find_pickle(const vb_zip *z, size_t *folder)
{
    static const char name[] = "data.pkl";
    for (uint64_t i = 0; i < z->n; i++) {
        const vb_text *t = &z->entries[i].name;
        if (t->len < sizeof name - 1 || memcmp(t->ptr + t->len - (sizeof name - 1), name, sizeof name - 1) != 0)
            continue;
        *folder = t->len - (sizeof name - 1);
        if (*folder == 0 || t->ptr[*folder - 1] == '/') return &z->entries[i];
    }
    return NULL;
}

static const vb_zip_entry *find_in(const archive *a, const vb_zip_entry *pickle, size_t folder, const char *file)
{
    char path[1024];
    int n = snprintf(path, sizeof path, "%.*s%s", (int)folder, pickle->name.ptr, file);
    return n > 0 && (size_t)n < sizeof path ? vb_zip_find(&a->zip, path, (size_t)n) : NULL;
}

static vb_status check_order(const archive *a, const vb_zip_entry *pickle, size_t folder, vb_err *err)
{
    const vb_zip_entry *e = find_in(a, pickle, folder, "byteorder");
    if (e == NULL || (e->size == 6 && memcmp(a->map->data + e->offset, "little", 6) == 0)) return VB_OK;
    VB_FAIL(err, VB_E_UNSUPPORTED, "%s: expected numbers with their lowest byte first", a->path);
}

/* Files older than PyTorch 1.6 are pickles without an archive, which begin with this number. */
static vb_status refuse_old(const archive *a, vb_err *err)
{
    static const uint8_t magic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    if (a->map->size < sizeof magic || memcmp(a->map->data, magic, sizeof magic) != 0) return VB_OK;
    VB_FAIL(err, VB_E_UNSUPPORTED,
            "%s: expected a zip archive, found a file of PyTorch before 1.6; load it there and save it again", a->path);
}

static vb_status open_archive(vb_source *s, archive *a, const vb_zip_entry **pickle, size_t *folder, vb_err *err)
{
    char name[4200];
    VB_TRY(vb_source_map(s, a->path, &a->map, err));
    VB_TRY(refuse_old(a, err));
    VB_TRY(vb_zip_read(&a->zip, a->map->data, a->map->size, a->path, err));
    *pickle = find_pickle(&a->zip, folder);
    if (*pickle == NULL || *folder > 512)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected an entry data.pkl, found none", a->path);
    VB_TRY(check_order(a, *pickle, *folder, err));
    snprintf(name, sizeof name, "%s: data.pkl", a->path);
    return vb_pickle_read(&a->pickle, a->map->data + (*pickle)->offset, (size_t)(*pickle)->size, name, err);
}

/* --- tensors ------------------------------------------------------------------------------------------------------ */

static vb_status find_storage(const archive *a, const vb_pickle_tensor *t, const vb_zip_entry *pickle, size_t folder,
                              const uint8_t **base, vb_err *err)
{
    char file[256];
    const uint64_t bytes = (uint64_t)vb_number_bytes((vb_number)t->type);
    int n = snprintf(file, sizeof file, "data/%s", t->storage);
    const vb_zip_entry *e = n > 0 && (size_t)n < sizeof file ? find_in(a, pickle, folder, file) : NULL;
    if (e == NULL)
        VB_FAIL(err, VB_E_FORMAT, "%s: %s: expected its storage \"data/%.64s\", found none", a->path, t->name,
                t->storage);
    if (t->storage_n > e->size / bytes)
        VB_FAIL(err, VB_E_FORMAT, "%s: %s: expected a storage of %llu numbers, found %llu bytes", a->path, t->name,
                (unsigned long long)t->storage_n, (unsigned long long)e->size);
    *base = a->map->data + e->offset + t->offset * bytes;
    return VB_OK;
}

static vb_status add_one(vb_source *s, const archive *a, const vb_pickle_tensor *t, const uint8_t *base, vb_err *err)
{
    vb_source_tensor tensor = {.name = t->name, .file = a->path, .type = (vb_number)t->type, .n_dims = t->n_dims};
    memcpy(tensor.dims, t->dims, sizeof tensor.dims);
    tensor.data = base;
    if (!vb_pickle_is_whole(t)) {
        strided *view = vb_arena_alloc(vb_source_arena(s), sizeof *view);
        if (view == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: no memory", a->path);
        *view = (strided){t, base};
        tensor.data = NULL;
        tensor.read = read_strided;
        tensor.ud = view;
        if (t->type != VB_NUM_F16 && t->type != VB_NUM_BF16) tensor.type = VB_NUM_F32;
    }
    return vb_source_add(s, &tensor, err);
}

static vb_status add_all(vb_source *s, archive *a, vb_err *err)
{
    const vb_zip_entry *pickle;
    size_t folder;
    a->path = vb_arena_text(vb_source_arena(s), a->path, strlen(a->path));
    if (a->path == NULL) VB_FAIL(err, VB_E_MEMORY, "no memory for a path");
    VB_TRY(open_archive(s, a, &pickle, &folder, err));
    for (uint64_t i = 0; i < a->pickle.n; i++) {
        const vb_pickle_tensor *t = &a->pickle.tensors[i];
        const uint8_t *base;
        if (t->type < 0) continue;
        VB_TRY(find_storage(a, t, pickle, folder, &base, err));
        VB_TRY(add_one(s, a, t, base, err));
    }
    return VB_OK;
}

vb_status vb_torch_add(vb_source *s, const char *path, vb_err *err)
{
    archive *a = calloc(1, sizeof *a);
    if (a == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: no memory", path);
    a->path = path;
    VB_TRY(vb_source_own(s, a, give_back, err));
    return add_all(s, a, err);
}
