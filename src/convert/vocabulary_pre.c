/* vocabulary_pre.c - tokenizer.ggml.pre, from how tokenizer.json says that words are split.
 *
 * The pre-tokenizer is written as a line of steps, and the line is looked up:
 *
 *   bytes    ByteLevel without its pattern     gpt2    ByteLevel with it
 *   digit    each digit alone                  digits  runs of digits
 *   marks    runs of punctuation               a pattern, as it stands there, line ends written \r and \n
 *
 * Then the vocabulary encodes one text with that split; a digest that is known gives the name that llama.cpp would
 * give. A line that nobody knows is an error that names the nearest one: a guess would encode wrongly and say nothing.
 */
#include "base/hash.h"
#include "convert/vocabulary_parts.h"
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS = 8 };

typedef struct {
    const char *step[STEPS];
    int n, unknown;
    vb_arena arena;
} steps;

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define WORDS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
#define MARKS "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(end)                                                                                                     \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" end "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" end "|"
#define SLASHED "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES
#define ASIAN "[\xe4\xb8\x80-\xe9\xbe\xa5\xe0\xa0\x80-\xe4\xb8\x80\xea\xb0\x80-\xed\x9f\xbf]+"
#define HAN_OR_KANA "[\xe4\xb8\x80-\xe9\xbe\xa5\xe3\x81\x80-\xe3\x82\x9f\xe3\x82\xa0-\xe3\x83\xbf]+"
#define DEEPSEEK3                                                                                                      \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"                \
    "| ?[\\p{P}\\p{S}]+[\\r\\n]*|" SPACES

/* A step that ends with an ellipsis stands for all that begin so. */
static const struct {
    const char *name, *step[STEPS];
} known[] = {
    {"gpt-2", {"gpt2"}},
    {"smollm", {"digit", "gpt2"}},
    {"llama-bpe", {CONTRACTIONS WORDS "\\p{N}{1,3}" MARKS, "bytes"}},
    {"qwen2", {CONTRACTIONS WORDS "\\p{N}" MARKS, "bytes"}},
    {"qwen35",
     {CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES,
      "bytes"}},
    {"gpt-4o", {CASED(CONTRACTIONS "?") "\\p{N}{1,3}" SLASHED, "bytes"}},
    {"tekken", {CASED("") "\\p{N}" SLASHED, "bytes"}},
    {"deepseek-v3", {"\\p{N}{1,3}", HAN_OR_KANA, DEEPSEEK3, "bytes"}},
    {"deepseek-coder", {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", ASIAN, "digit", "bytes"}},
    {"deepseek-llm",
     {"[\\r\\n]", "\\s?[A-Za-z\xc2\xb5\xc3\x80-\xc3\x96...", "\\s?[!-/:-~...", "\\s+$", ASIAN, "digit", "bytes"}},
    {"falcon", {"marks", "gpt2", "digits", "[0-9][0-9][0-9]"}},
    {"bloom",
     {" ?[^(\\s|[.,!?\xe2\x80\xa6\xe3\x80\x82\xef\xbc\x8c\xe3\x80\x81\xe0\xa5\xa4\xdb\x94\xd8\x8c])]+", "bytes"}},
    {"seed-coder", {CONTRACTIONS WORDS "\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" SPACES, "bytes"}},
    {"bailingmoe",
     {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| "
      "?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
      "bytes"}},
    {"tiny_aya", {"\\d{1,3}(?=(?:\\d{3})*\\b)", CASED(CONTRACTIONS "?") "\\p{N}{1,3}" SLASHED, "bytes"}},
    {"superbpe", {"\\p{N}+", "(?=(\\d{3})+(?!\\d))", "bytes"}},
};

/* --- the line of steps ------------------------------------------------------------------------------------------ */

/* A pattern with line ends in the one way of writing them. */
static const char *plain(steps *s, const char *pattern)
{
    char *out = vb_arena_alloc(&s->arena, 2 * strlen(pattern) + 1), *to = out;
    for (; out != NULL && *pattern != 0; pattern++) {
        int end = *pattern == '\r' || *pattern == '\n';
        if (end) *to++ = '\\';
        *to++ = *pattern == '\r' ? 'r' : *pattern == '\n' ? 'n' : *pattern;
    }
    return out;
}

static int says(const json_t *part, const char *key, const char *value)
{
    const char *text = json_string_value(json_object_get(part, key));
    return text != NULL && strcmp(text, value) == 0;
}

static const char *split_step(steps *s, const json_t *part)
{
    const char *pattern = json_string_value(json_object_get(json_object_get(part, "pattern"), "Regex"));
    int inverted = json_is_true(json_object_get(part, "invert"));
    int pieces = inverted ? says(part, "behavior", "Removed") || says(part, "behavior", "Isolated")
                          : says(part, "behavior", "Isolated");
    return pattern != NULL && pieces ? plain(s, pattern) : NULL;
}

static const char *step_of(steps *s, const json_t *part)
{
    if (says(part, "type", "Split")) return split_step(s, part);
    if (says(part, "type", "ByteLevel")) return json_is_false(json_object_get(part, "use_regex")) ? "bytes" : "gpt2";
    if (says(part, "type", "Digits"))
        return json_is_true(json_object_get(part, "individual_digits")) ? "digit" : "digits";
    if (says(part, "type", "Punctuation") && says(part, "behavior", "Contiguous")) return "marks";
    return NULL;
}

static void read_steps(steps *s, const json_t *part, int depth)
{
    const json_t *list = json_object_get(part, "pretokenizers");
    if (says(part, "type", "Sequence") && depth > 0) {
        for (size_t i = 0; i < json_array_size(list); i++) read_steps(s, json_array_get(list, i), depth - 1);
        return;
    }
    const char *step = step_of(s, part);
    if (step == NULL || s->n == STEPS) s->unknown = 1;
    else s->step[s->n++] = step;
}

/* How much of two steps is alike, in bytes; SIZE_MAX: all. */
static size_t alike(const char *step, const char *pattern)
{
    size_t n = 0;
    while (step[n] != 0 && step[n] == pattern[n]) n++;
    return strcmp(pattern + n, "...") == 0 || step[n] == pattern[n] ? SIZE_MAX : n;
}

/* The row that is the line, or -1 and the row that is nearest. */
static int look_up(const steps *s, size_t *nearest)
{
    size_t best = 0;
    for (size_t row = 0; row < sizeof known / sizeof known[0]; row++) {
        size_t points = 0;
        int i = 0, same = !s->unknown;
        for (; i < s->n && known[row].step[i] != NULL; i++) {
            size_t n = alike(s->step[i], known[row].step[i]);
            same &= n == SIZE_MAX;
            points += n == SIZE_MAX ? 1000 : n;
        }
        if (same && i == s->n && (i == STEPS || known[row].step[i] == NULL)) return (int)row;
        if (points > best) best = points, *nearest = row;
    }
    return -1;
}

/* Names that split alike and differ in what else they say. */
static const char *refined(const vb_vocabulary *v, const char *name)
{
    const json_t *clean = json_object_get(v->tokenizer_config, "clean_up_tokenization_spaces");
    if (strcmp(name, "llama-bpe") == 0 && !v->json.ignore_merges) return "dbrx";
    if (strcmp(name, "smollm") == 0 && !json_is_false(clean)) return "starcoder";
    return name;
}

static vb_status by_steps(vb_vocabulary *v, vb_err *err)
{
    steps s = {.n = 0};
    size_t nearest = 0;
    const json_t *part = json_object_get(v->json.root, "pre_tokenizer");
    read_steps(&s, part, 4);
    int row = look_up(&s, &nearest);
    vb_arena_free(&s.arena);
    if (row < 0)
        VB_FAIL(err, VB_E_UNSUPPORTED,
                "%s: pre_tokenizer: expected a known way to split words, found another; the nearest is \"%s\"",
                v->json.name, known[nearest].name);
    v->pre = refined(v, known[row].name);
    return VB_OK;
}

/* --- the digest -------------------------------------------------------------------------------------------------- */

/* The keys as a GGUF file in memory; the writer is only their buffer. */
static vb_status as_file(const vb_vocabulary *v, vb_bytes *file, vb_err *err)
{
    vb_gguf_writer *w = calloc(1, sizeof *w);
    if (w == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: no memory", v->folder);
    vb_vocabulary_put(v, w);
    vb_status s = w->status;
    if (s < 0) *err = w->err;
    struct {
        char magic[4];
        uint32_t version;
        uint64_t tensors, keys;
    } head = {{'G', 'G', 'U', 'F'}, 3, 0, w->n_keys};
    file->len = sizeof head + w->keys.len;
    file->data = s < 0 ? NULL : malloc(file->len);
    if (file->data != NULL) {
        memcpy(file->data, &head, sizeof head);
        memcpy(file->data + sizeof head, w->keys.data, w->keys.len);
    } else if (s == VB_OK) {
        s = vb_fail(err, VB_E_MEMORY, "%s: no memory", v->folder);
    }
    free(w->keys.data);
    free(w);
    return s;
}

/* "[1, 2, 3]" */
static const char *name_of(const vb_token *ids, int64_t n)
{
    uint8_t digest[32];
    size_t cap = (size_t)n * 14 + 3, len = 0;
    char *text = malloc(cap);
    if (text == NULL) return NULL;
    text[len++] = '[';
    for (int64_t i = 0; i < n; i++) len += (size_t)snprintf(text + len, cap - len, "%s%d", i > 0 ? ", " : "", ids[i]);
    text[len++] = ']';
    vb_sha256_of(text, len, digest);
    free(text);
    return vb_known_vocabulary(digest);
}

/* With the tokens that are added around a text, and without: which of them the digest was made of is not told. */
static const char *by_digest(const vb_tokenizer *t)
{
    enum { MOST = 4096 };
    const char *name = NULL;
    vb_err why;
    vb_token *ids = malloc(MOST * sizeof *ids);
    for (int special = 1; ids != NULL && name == NULL && special >= 0; special--) {
        int64_t n = vb_tokenizer_encode(t, vb_known_text, strlen(vb_known_text),
                                        VB_PARSE_SPECIAL | (special ? VB_ADD_SPECIAL : 0), ids, MOST, &why);
        if (n > 0 && n <= MOST) name = name_of(ids, n);
    }
    free(ids);
    return name;
}

static vb_status refine(vb_vocabulary *v, vb_err *err)
{
    vb_bytes file = {0};
    vb_gguf *g = NULL;
    vb_tokenizer *t = NULL;
    vb_status s = as_file(v, &file, err);
    if (s == VB_OK) s = vb_gguf_open_memory(&g, file.data, file.len, v->folder, err);
    if (s == VB_OK) s = vb_tokenizer_open(&t, g, err);
    if (s == VB_OK) {
        const char *name = by_digest(t);
        if (name != NULL) v->pre = name;
    }
    vb_tokenizer_close(t);
    vb_gguf_close(g);
    free(file.data);
    return s;
}

vb_status vb_vocabulary_split(vb_vocabulary *v, vb_err *err)
{
    if (strcmp(v->model, "bert") == 0) {
        v->pre = "bert-bge";
        return refine(v, err);
    }
    if (strcmp(v->model, "gpt2") != 0) return VB_OK;
    if (v->from == VB_FROM_GPT2_FILES) v->pre = strncmp(v->arch, "qwen", 4) == 0 ? "qwen2" : "gpt-2";
    else VB_TRY(by_steps(v, err));
    return refine(v, err);
}
