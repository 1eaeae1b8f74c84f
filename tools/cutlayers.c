/* cutlayers.c - the first layers of a model as a model: its embedding, layers 0 to N-1, its head.
 *
 *   cutlayers IN.gguf --keep N -o OUT.gguf
 *
 * Not a good model, but one with the same vocabulary and a quick one: a draft for speculation. Weights are copied byte
 * by byte, so with N = all layers the result computes the same bits. block_count becomes N; arrays of one value a layer
 * are cut; keys that spoke of the file (its parts, its alignment) are left out.
 */
#include "file/gguf_write.h"
#include "tools/progress.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    vb_gguf *g;
    vb_gguf_writer w;
    const char *in;
    char arch[64];
    int64_t layers, keep;
} job;

static int key_is(const job *j, const vb_gguf_entry *e, const char *what)
{
    char key[160];
    int n = snprintf(key, sizeof key, "%s.%s", j->arch, what);
    return e->key.len == (size_t)n && memcmp(e->key.ptr, key, e->key.len) == 0;
}

static int key_begins(const vb_gguf_entry *e, const char *with)
{
    size_t n = strlen(with);
    return e->key.len >= n && memcmp(e->key.ptr, with, n) == 0;
}

/* Gemma 3's 27B is known by its 62 layers alone and scales its scores by another head size than the rest. */
static void put_scale_of_27b(job *j)
{
    int64_t width, heads;
    char key[160];
    if (strcmp(j->arch, "gemma3") != 0 || j->layers != 62 || j->keep == 62) return;
    if (vb_gguf_find(j->g, "gemma3.attention.scale") != NULL) return;
    if (vb_gguf_int(j->g, "gemma3.embedding_length", 1, 1 << 20, &width, NULL) < 0) return;
    if (vb_gguf_int(j->g, "gemma3.attention.head_count", 1, 1 << 12, &heads, NULL) < 0) return;
    snprintf(key, sizeof key, "%s.attention.scale", j->arch);
    vb_gguf_put_f32(&j->w, key, 1.0f / __builtin_sqrtf((float)(width / heads)));
}

static void put_keys(job *j)
{
    char key[160], arch_dot[72];
    snprintf(arch_dot, sizeof arch_dot, "%s.", j->arch);
    for (int64_t i = 0; i < vb_gguf_n_entries(j->g); i++) {
        const vb_gguf_entry *e = vb_gguf_entry_at(j->g, i);
        int per_layer = e->type == VB_GGUF_ARRAY && key_begins(e, arch_dot) && e->n == (uint64_t)j->layers;
        if (key_begins(e, "split.") || key_begins(e, "general.alignment") || key_is(j, e, "block_count")) continue;
        vb_gguf_put_entry(&j->w, e, per_layer ? (uint64_t)j->keep : e->n);
    }
    snprintf(key, sizeof key, "%s.block_count", j->arch);
    vb_gguf_put_u32(&j->w, key, (uint32_t)j->keep);
    put_scale_of_27b(j);
}

/* blk.N.name: N is one of the layers that go. */
static int goes(const job *j, const char *name)
{
    char *end;
    if (strncmp(name, "blk.", 4) != 0) return 0;
    long long layer = strtoll(name + 4, &end, 10);
    return end != name + 4 && *end == '.' && layer >= j->keep;
}

static vb_status put_tensors(job *j, uint64_t *total, vb_err *err)
{
    *total = 0;
    for (int64_t i = 0; i < vb_gguf_n_tensors(j->g); i++) {
        const vb_gguf_tensor *t = vb_gguf_tensor_at(j->g, i);
        vb_gguf_shape s = {.n_dims = t->n_dims, .format = t->format};
        if (goes(j, t->name)) continue;
        if (strlen(t->name) >= sizeof s.name)
            VB_FAIL(err, VB_E_FORMAT, "%s: tensor %.60s...: expected a shorter name", j->in, t->name);
        snprintf(s.name, sizeof s.name, "%s", t->name);
        memcpy(s.ne, t->ne, sizeof s.ne);
        vb_gguf_put_tensor(&j->w, &s);
        *total += t->bytes;
    }
    return VB_OK;
}

static void write_tensors(job *j, uint64_t total)
{
    enum { CHUNK = 1 << 20 };
    vb_progress progress = vb_progress_start(j->w.path, total);
    for (int64_t i = 0; i < vb_gguf_n_tensors(j->g); i++) {
        const vb_gguf_tensor *t = vb_gguf_tensor_at(j->g, i);
        if (goes(j, t->name)) continue;
        for (uint64_t at = 0; at < t->bytes; at += CHUNK) {
            size_t n = t->bytes - at < CHUNK ? (size_t)(t->bytes - at) : CHUNK;
            vb_gguf_write(&j->w, (const uint8_t *)t->data + at, n);
            vb_progress_add(&progress, n);
        }
    }
}

static vb_status cut(job *j, const char *out, vb_err *err)
{
    vb_text arch;
    char key[160];
    uint64_t total;
    VB_TRY(vb_gguf_open(&j->g, j->in, err));
    VB_TRY(vb_gguf_string(j->g, "general.architecture", &arch, err));
    if (arch.len == 0 || arch.len >= sizeof j->arch)
        VB_FAIL(err, VB_E_FORMAT, "%s: key general.architecture: expected a name, found %zu bytes", j->in, arch.len);
    memcpy(j->arch, arch.ptr, arch.len);
    snprintf(key, sizeof key, "%s.block_count", j->arch);
    VB_TRY(vb_gguf_int(j->g, key, 1, 1 << 20, &j->layers, err));
    if (j->keep > j->layers)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: --keep: expected 1 to %lld layers, found %lld", j->in, (long long)j->layers,
                (long long)j->keep);
    vb_gguf_writer_open(&j->w, out);
    put_keys(j);
    vb_status status = put_tensors(j, &total, err);
    if (status == VB_OK) {
        write_tensors(j, total);
        return vb_gguf_writer_close(&j->w, err);
    }
    vb_gguf_writer_drop(&j->w);
    return status;
}

int main(int argc, char **argv)
{
    static job j;
    vb_err err;
    const char *out = NULL;
    char *end = NULL;
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--keep") == 0) j.keep = strtol(argv[i + 1], &end, 10);
        if (strcmp(argv[i], "-o") == 0) out = argv[i + 1];
    }
    if (argc != 6 || out == NULL || end == NULL || *end != 0 || j.keep < 1)
        return fprintf(stderr, "usage: cutlayers IN.gguf --keep N -o OUT.gguf\n"), 2;
    j.in = argv[1];
    vb_status status = cut(&j, out, &err);
    vb_gguf_close(j.g);
    if (status < 0) fprintf(stderr, "cutlayers: %s\n", err.text);
    return status < 0;
}
