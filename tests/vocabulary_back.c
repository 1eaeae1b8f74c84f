/* vocabulary_back.c - recorded vocabularies, laid out as the folders that they came from and read again.
 *
 *   vocabulary_back VOCABULARY.gguf
 *
 * The file's tokens become a tokenizer.json, a tokenizer.model or a vocab.txt, with the settings beside it; what the
 * converter makes of that folder must be the file's keys again.
 */
#include "convert/vocabulary.h"
#include "tests/tally.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/verbatim-vocabulary-XXXXXX";

typedef struct {
    const vb_gguf *g;
    uint64_t n;
    vb_text *texts;
    const vb_gguf_entry *types, *scores;
} recorded;

static const vb_gguf_entry *key(const vb_gguf *g, const char *name)
{
    char full[96];
    snprintf(full, sizeof full, "tokenizer.ggml.%s", name);
    return vb_gguf_find(g, full);
}

static int is(const vb_gguf_entry *e, const char *text)
{
    const uint8_t *cursor = e != NULL ? e->data : NULL;
    if (e == NULL || e->type != VB_GGUF_STRING) return 0;
    vb_text found = vb_gguf_next_string(&cursor);
    return found.len == strlen(text) && memcmp(found.ptr, text, found.len) == 0;
}

static const char *path_of(const char *file)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return path;
}

static void write_json(const char *file, json_t *root)
{
    if (json_dump_file(root, path_of(file), 0) != 0) exit(1);
    json_decref(root);
}

static void write_bytes(const char *file, const void *bytes, size_t n)
{
    FILE *f = fopen(path_of(file), "wb");
    if (f == NULL || fwrite(bytes, 1, n, f) != n || fclose(f) != 0) exit(1);
}

static json_t *text(vb_text t)
{
    return json_stringn(t.ptr, t.len);
}

static int begins(vb_text t, const char *with)
{
    return t.len >= strlen(with) && memcmp(t.ptr, with, strlen(with)) == 0;
}

/* As today's converter says it: the one that recorded two of the files had other types for tokens that nobody names,
 * and for those that look special without being called so. */
static int64_t type_of(const recorded *r, uint64_t id)
{
    int64_t type = vb_gguf_item_int(r->types, id);
    if (begins(r->texts[id], "[PAD") && r->n != 30522) return 5;
    return type == 4 && (begins(r->texts[id], "<|") || begins(r->texts[id], "<\xef\xbd\x9c") ||
                         begins(r->texts[id], "<pad>"))
               ? 3
               : type;
}

/* --- settings beside the tokenizer ------------------------------------------------------------------------------- */

static void write_settings(const recorded *r)
{
    static const char *const roles[][2] = {{"bos", "bos"},       {"eos", "eos"},     {"unknown", "unk"},
                                           {"seperator", "sep"}, {"padding", "pad"}, {"mask", "mask"},
                                           {"cls", "cls"}};
    json_t *config = json_object(), *tokenizer = json_pack("{s:s}", "tokenizer_class", "X");
    char name[64];
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        snprintf(name, sizeof name, "%s_token_id", roles[i][0]);
        const vb_gguf_entry *e = key(r->g, name);
        snprintf(name, sizeof name, "%s_token_id", roles[i][1]);
        if (e != NULL) json_object_set_new(config, name, json_integer(vb_gguf_item_int(e, 0)));
        snprintf(name, sizeof name, "add_%s_token", roles[i][1]);
        e = key(r->g, name);
        if (e != NULL) json_object_set_new(tokenizer, name, json_boolean(vb_gguf_item_int(e, 0)));
    }
    const vb_gguf_entry *count = key(r->g, "token_type_count"), *chat = vb_gguf_find(r->g, "tokenizer.chat_template");
    if (count != NULL) json_object_set_new(config, "type_vocab_size", json_integer(vb_gguf_item_int(count, 0)));
    if (chat != NULL) {
        const uint8_t *cursor = chat->data;
        json_object_set_new(tokenizer, "chat_template", text(vb_gguf_next_string(&cursor)));
    }
    write_json("config.json", config);
    write_json("tokenizer_config.json", tokenizer);
}

/* --- tokenizer.json ----------------------------------------------------------------------------------------------- */

#define SPLIT(regex)                                                                                                   \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" regex "\"},\"behavior\":\"Isolated\",\"invert\":false},"
#define BYTES "{\"type\":\"ByteLevel\",\"use_regex\":false}"
#define WORDS "{\"type\":\"ByteLevel\",\"use_regex\":true}"
#define DIGIT "{\"type\":\"Digits\",\"individual_digits\":true},"

/* As their makers state them; JSON in C. */
static const char *const splits[][2] = {
    {"gpt-2", WORDS},
    {"falcon", "{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"}," WORDS
               ",{\"type\":\"Digits\",\"individual_digits\":false},"
               "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[0-9][0-9][0-9]\"},\"behavior\":\"Isolated\"}"},
    {"deepseek-coder",
     SPLIT("[\\r\\n]") SPLIT("\\\\s?\\\\p{L}+") SPLIT("\\\\s?\\\\p{P}+")
         SPLIT("[\xe4\xb8\x80-\xe9\xbe\xa5\xe0\xa0\x80-\xe4\xb8\x80\xea\xb0\x80-\xed\x9f\xbf]+") DIGIT BYTES},
    {"deepseek-llm",
     SPLIT("[\\r\\n]") SPLIT("\\\\s?[A-Za-z\xc2\xb5\xc3\x80-\xc3\x96\xc3\x98-\xc3\xb6]+") SPLIT("\\\\s?[!-/:-~]+")
         SPLIT("\\\\s+$") SPLIT("[\xe4\xb8\x80-\xe9\xbe\xa5\xe0\xa0\x80-\xe4\xb8\x80\xea\xb0\x80-\xed\x9f\xbf]+")
             DIGIT BYTES},
    {"default", "{\"type\":\"WhitespaceSplit\"},{\"type\":\"Metaspace\",\"prepend_scheme\":\"always\"}"},
};

static json_t *pre_tokenizer(const recorded *r)
{
    char line[2048];
    for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
        if (!is(key(r->g, "pre"), splits[i][0])) continue;
        snprintf(line, sizeof line, "{\"type\":\"Sequence\",\"pretokenizers\":[%s]}", splits[i][1]);
        json_t *json = json_loads(line, 0, NULL);
        if (json == NULL) exit(1);
        return json;
    }
    return json_null();
}

/* Unused tokens are those that nobody names. */
static json_t *added(const recorded *r)
{
    json_t *list = json_array();
    for (uint64_t id = 0; id < r->n; id++) {
        int64_t type = type_of(r, id);
        if (type != 3 && type != 4) continue;
        json_array_append_new(list, json_pack("{s:I,s:o,s:b,s:b}", "id", (json_int_t)id, "content", text(r->texts[id]),
                                              "special", type == 3, "normalized", 0));
    }
    return list;
}

static json_t *bpe(const recorded *r)
{
    json_t *vocab = json_object(), *merges = json_array();
    char name[1024];
    for (uint64_t id = 0; id < r->n; id++) {
        if (type_of(r, id) == 5 || r->texts[id].len >= sizeof name) continue;
        snprintf(name, sizeof name, "%.*s", (int)r->texts[id].len, r->texts[id].ptr);
        json_object_set_new(vocab, name, json_integer((json_int_t)id));
    }
    const vb_gguf_entry *e = key(r->g, "merges");
    const uint8_t *cursor = e != NULL ? e->data : NULL;
    for (uint64_t i = 0; e != NULL && i < e->n; i++) json_array_append_new(merges, text(vb_gguf_next_string(&cursor)));
    return json_pack("{s:s,s:o,s:o}", "type", "BPE", "vocab", vocab, "merges", merges);
}

static json_t *unigrams(const recorded *r)
{
    json_t *vocab = json_array();
    for (uint64_t id = 0; id < r->n; id++)
        json_array_append_new(vocab, json_pack("[o,f]", text(r->texts[id]), vb_gguf_item_float(r->scores, id)));
    return json_pack("{s:s,s:o,s:I}", "type", "Unigram", "vocab", vocab, "unk_id",
                     (json_int_t)vb_gguf_item_int(key(r->g, "unknown_token_id"), 0));
}

static json_t *normalizer(const recorded *r)
{
    const vb_gguf_entry *e = key(r->g, "precompiled_charsmap");
    if (e == NULL) return json_null();
    char *out = malloc((size_t)e->n * 2 + 8);
    EVP_EncodeBlock((uint8_t *)out, e->data, (int)e->n);
    json_t *json = json_pack("{s:s,s:s}", "type", "Precompiled", "precompiled_charsmap", out);
    free(out);
    return json;
}

static void write_tokenizer(const recorded *r)
{
    json_t *model = is(key(r->g, "model"), "t5") ? unigrams(r) : bpe(r);
    write_json("tokenizer.json", json_pack("{s:o,s:o,s:o,s:o}", "model", model, "added_tokens", added(r),
                                           "pre_tokenizer", pre_tokenizer(r), "normalizer", normalizer(r)));
}

/* --- tokenizer.model, vocab.txt ------------------------------------------------------------------------------------
 */

static size_t put_varint(uint8_t *to, uint64_t value)
{
    size_t n = 0;
    for (; value >= 128; value >>= 7) to[n++] = (uint8_t)(value | 128);
    to[n++] = (uint8_t)value;
    return n;
}

/* Tokens of score -1000 were laid over the model by tokenizer_config.json. */
static void write_pieces(const recorded *r)
{
    uint8_t *out = malloc(r->n * 600);
    size_t n = 0;
    json_t *over = json_object(), *settings = json_load_file(path_of("tokenizer_config.json"), 0, NULL);
    for (uint64_t id = 0; id < r->n; id++) {
        uint8_t piece[600];
        float score = (float)vb_gguf_item_float(r->scores, id);
        char name[24];
        snprintf(name, sizeof name, "%llu", (unsigned long long)id);
        if (score == -1000 && (type_of(r, id) == 3 || type_of(r, id) == 4))
            json_object_set_new(over, name,
                                json_pack("{s:o,s:b}", "content", text(r->texts[id]), "special", type_of(r, id) == 3));
        if (type_of(r, id) == 5 || r->texts[id].len > 500) continue;
        size_t len = 0;
        piece[len++] = 10;
        len += put_varint(piece + len, r->texts[id].len);
        memcpy(piece + len, r->texts[id].ptr, r->texts[id].len);
        len += r->texts[id].len;
        piece[len++] = 21;
        memcpy(piece + len, &score, 4);
        len += 4;
        piece[len++] = 24;
        piece[len++] = (uint8_t)type_of(r, id);
        out[n++] = 10;
        n += put_varint(out + n, len);
        memcpy(out + n, piece, len);
        n += len;
    }
    json_object_set_new(settings, "added_tokens_decoder", over);
    write_json("tokenizer_config.json", settings);
    write_bytes("tokenizer.model", out, n);
    free(out);
}

static void write_words(const recorded *r)
{
    char *out = malloc(r->n * 260);
    size_t n = 0;
    for (uint64_t id = 0; id < r->n; id++) {
        vb_text t = r->texts[id];
        int first = begins(t, "\xe2\x96\x81"), bracket = t.len > 0 && t.ptr[0] == '[' && t.ptr[t.len - 1] == ']';
        n += (size_t)sprintf(out + n, "%s%.*s\n", first || bracket ? "" : "##", (int)(t.len - (first ? 3 : 0)),
                             t.ptr + (first ? 3 : 0));
    }
    write_bytes("vocab.txt", out, n);
    free(out);
}

/* --- the comparison ------------------------------------------------------------------------------------------------
 */

static int same(const vb_gguf_entry *a, const vb_gguf_entry *b)
{
    if (b == NULL || a->type != b->type || a->item != b->item || a->n != b->n) return 0;
    const uint8_t *x = a->data, *y = b->data;
    if (a->item != VB_GGUF_STRING) {
        static const size_t bytes[VB_GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
        return memcmp(x, y, a->n * bytes[a->item]) == 0;
    }
    for (uint64_t i = 0; i < a->n; i++) {
        vb_text s = vb_gguf_next_string(&x), t = vb_gguf_next_string(&y);
        if (s.len != t.len || memcmp(s.ptr, t.ptr, s.len) != 0) return 0;
    }
    return 1;
}

static int same_types(const recorded *r, const vb_gguf_entry *made)
{
    for (uint64_t id = 0; id < r->n; id++)
        if (made == NULL || made->n != r->n || vb_gguf_item_int(made, id) != type_of(r, id)) return 0;
    return 1;
}

/* Every key of the recorded file; those that its converter wrote and today's does not are few. */
static void compare(const recorded *r, const vb_gguf *made)
{
    for (int64_t i = 0; i < vb_gguf_n_entries(r->g); i++) {
        const vb_gguf_entry *e = vb_gguf_entry_at(r->g, i);
        char name[128];
        snprintf(name, sizeof name, "%.*s", (int)e->key.len, e->key.ptr);
        if (strncmp(name, "tokenizer.", 10) != 0 || strcmp(name, "tokenizer.ggml.cls_token_id") == 0) continue;
        if (strcmp(name, "tokenizer.ggml.pre") == 0 && is(e, "bert-bge")) continue; /* shares its digest with another */
        const vb_gguf_entry *found = vb_gguf_find(made, name);
        if (e == r->types ? same_types(r, found) : same(e, found)) passed();
        else failed("%s: %s: expected what was recorded", vb_gguf_path(r->g), name);
    }
}

static void read_again(const recorded *r, const char *arch)
{
    static vb_gguf_writer w;
    vb_vocabulary *v;
    vb_gguf *made;
    vb_err err;
    if (vb_vocabulary_read(&v, folder, arch, r->n, &err) != VB_OK) {
        failed("%s", err.text);
        return;
    }
    vb_gguf_writer_open(&w, path_of("made.gguf"));
    vb_vocabulary_put(v, &w);
    vb_vocabulary_close(v);
    if (vb_gguf_writer_close(&w, &err) != VB_OK || vb_gguf_open(&made, path_of("made.gguf"), &err) != VB_OK) {
        failed("%s", err.text);
        return;
    }
    compare(r, made);
    vb_gguf_close(made);
}

static void remove_all(void)
{
    static const char *const files[] = {
        "config.json", "tokenizer_config.json", "tokenizer.json", "tokenizer.model", "vocab.txt", "made.gguf"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) unlink(path_of(files[i]));
    rmdir(folder);
}

int main(int argc, char **argv)
{
    vb_err err;
    vb_gguf *g;
    if (argc != 2) return fprintf(stderr, "usage: vocabulary_back VOCABULARY\n"), 2;
    if (vb_gguf_open(&g, argv[1], &err) != VB_OK) return fprintf(stderr, "vocabulary_back: %s\n", err.text), 1;
    const vb_gguf_entry *tokens = key(g, "tokens");
    recorded r = {g, tokens->n, malloc(tokens->n * sizeof *r.texts), key(g, "token_type"), key(g, "scores")};
    const uint8_t *cursor = tokens->data;
    for (uint64_t id = 0; id < r.n; id++) r.texts[id] = vb_gguf_next_string(&cursor);
    if (mkdtemp(folder) == NULL) return 1;
    write_settings(&r);
    if (is(key(g, "model"), "llama")) write_pieces(&r);
    else if (is(key(g, "model"), "bert")) write_words(&r);
    else write_tokenizer(&r);
    read_again(&r, is(key(g, "model"), "bert") ? "bert" : strstr(argv[1], "phi-3") != NULL ? "phi3" : "llama");
    remove_all();
    free(r.texts);
    vb_gguf_close(g);
    return verdict();
}
