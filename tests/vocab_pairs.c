/* vocab_pairs.c - text to ids beside the tokenizers that the vocabularies come from.
 *
 *   vocab_pairs VOCABULARY.gguf TEXTS.inp IDS.out
 *
 * Texts stand between lines `__ggml_vocab_test__`; each has one line of ids, without special tokens.
 */
#include "tests/tally.h"
#include "verbatim.h"

#include <stdlib.h>
#include <string.h>

static char *read_all(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *data = calloc(1, 1 << 20);
    if (f == NULL || data == NULL || fread(data, 1, (1 << 20) - 1, f) == 0) {
        fprintf(stderr, "vocab_pairs: %s: cannot be read\n", path);
        exit(1);
    }
    fclose(f);
    return data;
}

static void judge(const vb_model *m, const char *text, size_t len, char **line)
{
    vb_token found[4096];
    vb_err err;
    char *end = *line + strcspn(*line, "\n"), *cursor = *line;
    int64_t n = vb_tokenize(m, text, len, 0, found, 4096, &err), i = 0;
    for (char *next; cursor < end; cursor = next, i++) {
        long want = strtol(cursor, &next, 10);
        if (next == cursor || next > end) break;
        if (i >= n || found[i] != want) break;
    }
    while (cursor < end && *cursor == ' ') cursor++;
    if (i == n && cursor == end)
        passed();
    else
        failed("%.*s: expected %.*s; found other ids from item %lld of %lld", (int)len, text, (int)(end - *line), *line,
               (long long)i, (long long)n);
    *line = end + (*end == '\n');
}

int main(int argc, char **argv)
{
    static const char mark[] = "\n__ggml_vocab_test__\n";
    vb_err err;
    vb_model *m;
    vb_model_opts o = {.vocab_only = 1};
    if (argc != 4) return fprintf(stderr, "usage: vocab_pairs VOCABULARY TEXTS IDS\n"), 2;
    if (vb_model_open(&m, argv[1], &o, &err) < 0) return fprintf(stderr, "vocab_pairs: %s\n", err.text), 1;
    char *texts = read_all(argv[2]), *ids = read_all(argv[3]), *line = ids, *at = texts;
    for (char *end; (end = strstr(at, mark)) != NULL; at = end + sizeof mark - 1) judge(m, at, (size_t)(end - at), &line);
    free(texts);
    free(ids);
    vb_model_close(m);
    return verdict();
}
