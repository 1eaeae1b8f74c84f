/* tokenizer_golden.c - text to ids and back beside llama.cpp's library, on a real vocabulary.
 *
 *   tokenizer_golden MODEL CASES.json
 *
 * Each case has its text as hexadecimal bytes, the ids under four combinations of flags (null: an error) and the
 * bytes the ids stand for: of the plain ids with all tokens shown, and of those with control tokens read, shown and
 * hidden.
 */
#include "tests/ids.h"
#include "tests/tally.h"
#include "verbatim.h"

#include <string.h>

typedef struct {
    char *text;
    size_t len;
} bytes;

static bytes unhex(const char *hex)
{
    bytes out = {malloc(strlen(hex) / 2 + 1), strlen(hex) / 2};
    if (out.text == NULL) exit(1);
    for (size_t i = 0; i < out.len; i++) {
        unsigned value;
        sscanf(hex + 2 * i, "%2x", &value);
        out.text[i] = (char)value;
    }
    return out;
}

static void print_ids(const char *what, const vb_token *id, int64_t n)
{
    printf("  %s:", what);
    for (int64_t i = 0; i < n && i < 24; i++) printf(" %d", id[i]);
    printf("\n");
}

static void judge_ids(const vb_model *m, const char *hex, bytes text, const json_t *expected, int flags)
{
    vb_err err;
    vb_token found[65536];
    int64_t n = vb_tokenize(m, text.text, text.len, flags, found, 65536, &err);
    if (!json_is_array(expected)) {
        if (n < 0)
            passed();
        else
            failed("%s: expected an error, found %lld ids", hex, (long long)n);
        return;
    }
    ids want = ids_of(expected);
    if (n == want.n && memcmp(found, want.id, (size_t)n * sizeof *found) == 0) {
        passed();
    } else {
        failed("%.80s: flags %d: expected %d ids, found %lld", hex, flags, want.n, (long long)n);
        print_ids("expected", want.id, want.n);
        print_ids("found", found, n);
    }
    free(want.id);
}

static void judge_text(const vb_model *m, const json_t *list, const json_t *expected, int special)
{
    char found[65536];
    vb_err err;
    if (!json_is_array(list) || !json_is_string(expected)) return;
    ids from = ids_of(list);
    bytes want = unhex(json_string_value(expected));
    int64_t n = vb_detokenize(m, from.id, (size_t)from.n, special, found, sizeof found, &err);
    if (n == (int64_t)want.len && memcmp(found, want.text, want.len) == 0)
        passed();
    else
        failed("detokenize: expected %s, found %lld bytes: %.*s", json_string_value(expected), (long long)n,
               n > 0 ? (int)n : 0, found);
    free(from.id);
    free(want.text);
}

static void judge_case(const vb_model *m, const json_t *c)
{
    static const struct {
        const char *name;
        int flags;
    } modes[] = {{"plain", 0},
                 {"parse_special", VB_PARSE_SPECIAL},
                 {"add_special", VB_ADD_SPECIAL},
                 {"add_and_parse_special", VB_ADD_SPECIAL | VB_PARSE_SPECIAL}};
    const char *hex = json_string_value(json_object_get(c, "text_hex"));
    const json_t *all = json_object_get(c, "ids");
    bytes text = unhex(hex);
    for (int i = 0; i < 4; i++) judge_ids(m, hex, text, json_object_get(all, modes[i].name), modes[i].flags);
    judge_text(m, json_object_get(all, "plain"), json_object_get(c, "detok_plain_hex"), 1);
    judge_text(m, json_object_get(all, "parse_special"), json_object_get(c, "detok_parsed_special_shown_hex"), 1);
    judge_text(m, json_object_get(all, "parse_special"), json_object_get(c, "detok_parsed_special_hidden_hex"), 0);
    free(text.text);
}

int main(int argc, char **argv)
{
    vb_err err;
    vb_model *m;
    vb_model_opts o = {.vocab_only = 1};
    size_t i;
    json_t *c;
    if (argc != 3) return fprintf(stderr, "usage: tokenizer_golden MODEL CASES.json\n"), 2;
    if (vb_model_open(&m, argv[1], &o, &err) < 0) return fprintf(stderr, "tokenizer_golden: %s\n", err.text), 1;
    json_t *root = json_read(argv[2]);
    json_array_foreach(json_object_get(root, "cases"), i, c) judge_case(m, c);
    json_decref(root);
    vb_model_close(m);
    return verdict();
}
