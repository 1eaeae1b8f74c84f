/* tokenizer_speed.c - bytes of text a second of processor time, on prose and on text made to be slow.
 *
 *   tokenizer_speed VOCABULARY.gguf...
 *
 * Fails where a text is encoded with less than half a MB/s: whatever a text consists of, time grows with its length. Builds
 * with sanitizers only show that it ends.
 */
#include "tests/tally.h"
#include "verbatim.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const double least = 0;
#else
static const double least = 0.5;
#endif

static const struct {
    const char *name, *unit;
    size_t len;
} kinds[] = {
    {"prose",
     "The quick brown fox jumps over the lazy dog; it didn't hesitate, and neither would you. In 1984 there were about "
     "12,500 such foxes (Vulpes vulpes) \342\200\224 \"na\303\257ve\" ones, too.\nStra\303\237e, \320\274\320\270\321\200, "
     "int main(void) { return x[i] + 3; }\n\n",
     4 << 20},
    {"a letter", "a", 1 << 20},
    {"letters", "thequickbrownfoxjumpsoverthelazydog", 1 << 20},
    {"spaces", " ", 10 << 20},
    {"line ends", "\n", 1 << 20},
    {"spaces and line ends", "    \n", 1 << 20},
    {"digits", "7", 1 << 20},
    {"punctuation", "!", 1 << 20},
    {"apostrophes", "'", 1 << 20},
    {"Chinese", "\344\270\255\346\226\207\346\265\213\350\257\225", 1 << 20},
    {"broken UTF-8", "\377\300\200\355\240", 1 << 20},
    {"angles", "<|<<s><", 1 << 20},
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void judge(const vb_model *m, const char *vocabulary, size_t k)
{
    vb_err err;
    size_t len = kinds[k].len, n = strlen(kinds[k].unit);
    char *text = malloc(len);
    vb_token *ids = malloc(len * sizeof *ids + 16 * sizeof *ids);
    if (text == NULL || ids == NULL) exit(1);
    for (size_t i = 0; i < len; i++) text[i] = kinds[k].unit[i % n];
    double from = now();
    int64_t found = vb_tokenize(m, text, len, VB_PARSE_SPECIAL, ids, len, &err);
    double rate = (double)len / 1e6 / (now() - from);
    printf("%-40s %-22s %8.1f MB/s  %8lld ids\n", vocabulary, kinds[k].name, rate, (long long)found);
    if (found < 0)
        failed("%s: %s: %s", vocabulary, kinds[k].name, err.text);
    else if (rate < least)
        failed("%s: %s: expected at least %.1f MB/s, found %.2f", vocabulary, kinds[k].name, least, rate);
    else
        passed();
    free(ids);
    free(text);
}

int main(int argc, char **argv)
{
    vb_model_opts o = {.vocab_only = 1};
    for (int i = 1; i < argc; i++) {
        vb_err err;
        vb_model *m;
        if (vb_model_open(&m, argv[i], &o, &err) < 0) return fprintf(stderr, "tokenizer_speed: %s\n", err.text), 1;
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) judge(m, argv[i], k);
        vb_model_close(m);
    }
    return verdict();
}
