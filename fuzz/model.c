/* model.c - fuzz target: a golden model with some of its hyper-parameters changed is refused with a reason or
 * runs. The first byte chooses the model; three bytes a change: key, item, value.
 */
#include "tests/mutated.h"

#include <glob.h>

enum { MOST_CHANGES = 4 };

typedef struct {
    char *bytes;
    size_t size;
    vb_gguf *g;
} golden;

typedef struct {
    uint8_t *at, old[8];
    size_t n;
} change;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t read_all(golden **out)
{
    glob_t all;
    if (glob("tests/golden/*/model.gguf", 0, NULL, &all) != 0) abort();
    golden *g = calloc(all.gl_pathc, sizeof *g);
    for (size_t i = 0; i < all.gl_pathc; i++) {
        vb_err err = {0};
        if (vb_file_read(all.gl_pathv[i], 1 << 24, &g[i].bytes, &g[i].size, &err) < 0) abort();
        if (vb_gguf_open_memory(&g[i].g, (const uint8_t *)g[i].bytes, g[i].size, all.gl_pathv[i], &err) < 0) abort();
    }
    *out = g;
    size_t n = all.gl_pathc;
    globfree(&all);
    return n;
}

static change apply(const golden *g, const uint8_t *how)
{
    const vb_gguf_entry *e = vb_gguf_entry_at(g->g, how[0] % vb_gguf_n_entries(g->g));
    change c = {.n = mutated_bytes(e->item)};
    if (e->n == 0 || c.n == 0) return (change){0};
    uint64_t item = how[1] % e->n;
    c.at = (uint8_t *)(uintptr_t)e->data + item * c.n;
    memcpy(c.old, c.at, c.n);
    mutate(e, item, how[2] % MUTATIONS);
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static golden *all;
    static size_t n;
    char why[1200];
    change changes[MOST_CHANGES];
    int made = 0;
    if (all == NULL) n = read_all(&all);
    if (size < 4) return 0;
    const golden *g = &all[data[0] % n];
    for (size_t i = 1; i + 3 <= size && made < MOST_CHANGES; i += 3) changes[made++] = apply(g, data + i);
    int right = mutated_judge(g->bytes, g->size, NULL, why, sizeof why);
    while (made-- > 0)
        if (changes[made].n > 0) memcpy(changes[made].at, changes[made].old, changes[made].n);
    if (right) return 0;
    fprintf(stderr, "%s: %s\n", vb_gguf_path(g->g), why);
    abort();
}
