/* tokenizer.c - any bytes through both kinds of vocabulary: ids lie inside it, two calls agree, and what the ids stand
 * for can be written out. The first byte chooses vocabulary and flags.
 */
#include "text/tokenizer.h"

#include <stdlib.h>

typedef struct {
    vb_gguf *file;
    vb_tokenizer *t;
} vocabulary;

static void open_one(vocabulary *v, const char *path)
{
    vb_err err;
    if (vb_gguf_open(&v->file, path, &err) == VB_OK && vb_tokenizer_open(&v->t, v->file, &err) == VB_OK) return;
    fprintf(stderr, "%s\n", err.text);
    exit(1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static vocabulary all[3];
    vb_err err;
    if (all[0].t == NULL) {
        open_one(&all[0], "tests/golden/llama-gqa/model.gguf");
        open_one(&all[1], "tests/golden/granite/model.gguf");
        open_one(&all[2], "tests/golden/llama3-ropescale-tied/model.gguf");
    }
    if (size < 1) return 0;
    const vb_tokenizer *t = all[data[0] % 3].t;
    int flags = data[0] >> 6;
    const char *text = (const char *)data + 1;
    int64_t n = vb_tokenizer_encode(t, text, size - 1, flags, NULL, 0, &err);
    if (n < 0) return 0;
    vb_token *ids = malloc((size_t)n * sizeof *ids + 1);
    if (vb_tokenizer_encode(t, text, size - 1, flags, ids, (size_t)n, &err) != n) abort();
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= vb_tokenizer_size(t)) abort();
    int64_t len = vb_tokenizer_decode(t, ids, (size_t)n, 1, NULL, 0, &err);
    if (len < 0) abort();
    char *bytes = malloc((size_t)len + 1);
    if (vb_tokenizer_decode(t, ids, (size_t)n, 1, bytes, (size_t)len, &err) != len) abort();
    free(bytes);
    free(ids);
    return 0;
}
