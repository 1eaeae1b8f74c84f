/* vocabulary.c - tests of folders' tokenizers: what is read from which file, what is refused and how soon. */
#include "convert/vocabulary.h"

#include "convert/json.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static char folder[64];
static vb_err why;
static vb_gguf_writer w;
static vb_gguf *made;

/* --- folders ---------------------------------------------------------------------------------------------------- */

static void begin(void)
{
    strcpy(folder, "/tmp/verbatim-vocabulary-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void end(void)
{
    char command[128];
    vb_gguf_close(made);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

static void file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    cr_assert(f != NULL && fwrite(text, 1, strlen(text), f) == strlen(text) && fclose(f) == 0);
}

static void refused(const char *arch, uint64_t n, const char *says)
{
    vb_vocabulary *v;
    cr_assert_lt(vb_vocabulary_read(&v, folder, arch, n, &why), 0, "%s", says);
    cr_assert_not_null(strstr(why.text, says), "expected %s, found %s", says, why.text);
    cr_assert_not_null(strstr(why.text, folder), "%s", why.text);
}

static void taken(const char *arch, uint64_t n)
{
    vb_vocabulary *v;
    char path[128];
    snprintf(path, sizeof path, "%s/made.gguf", folder);
    cr_assert_eq(vb_vocabulary_read(&v, folder, arch, n, &why), VB_OK, "%s", why.text);
    vb_gguf_writer_open(&w, path);
    vb_vocabulary_put(v, &w);
    vb_vocabulary_close(v);
    cr_assert_eq(vb_gguf_writer_close(&w, &why), VB_OK, "%s", why.text);
    vb_gguf_close(made);
    cr_assert_eq(vb_gguf_open(&made, path, &why), VB_OK, "%s", why.text);
}

/* All keys, in order: "tokens type merges bos=1 add_bos=true". */
static const char *keys(void)
{
    static char line[1024];
    size_t n = 0;
    line[0] = 0;
    for (int64_t i = 0; i < vb_gguf_n_entries(made); i++) {
        const vb_gguf_entry *e = vb_gguf_entry_at(made, i);
        int from = strncmp(e->key.ptr, "tokenizer.ggml.", 15) == 0 ? 15 : 10;
        n += (size_t)snprintf(line + n, sizeof line - n, "%s%.*s", n > 0 ? " " : "", (int)e->key.len - from, e->key.ptr + from);
        if (e->type == VB_GGUF_U32 || e->type == VB_GGUF_BOOL)
            n += (size_t)snprintf(line + n, sizeof line - n, "=%d", (int)vb_gguf_item_int(e, 0));
    }
    return line;
}

static const char *token(uint64_t id, int *type)
{
    static char text[64];
    const vb_gguf_entry *e = vb_gguf_find(made, "tokenizer.ggml.tokens");
    const uint8_t *cursor = e->data;
    vb_text t = {"", 0};
    for (uint64_t i = 0; i <= id; i++) t = vb_gguf_next_string(&cursor);
    snprintf(text, sizeof text, "%.*s", (int)t.len, t.ptr);
    *type = (int)vb_gguf_item_int(vb_gguf_find(made, "tokenizer.ggml.token_type"), id);
    return text;
}

static void is_token(uint64_t id, const char *text, int type)
{
    int found;
    cr_assert_str_eq(token(id, &found), text);
    cr_assert_eq(found, type, "%s: type %d", text, found);
}

static void is_text(const char *key, const char *text)
{
    vb_text found;
    cr_assert_eq(vb_gguf_string(made, key, &found, &why), VB_OK, "%s", why.text);
    cr_assert(found.len == strlen(text) && memcmp(found.ptr, text, found.len) == 0, "%s: %.*s", key, (int)found.len, found.ptr);
}

#define ADDED "\"added_tokens\":[{\"id\":4,\"content\":\"<s>\",\"special\":true},{\"id\":5,\"content\":\"<|x|>\",\"special\":false}," \
    "{\"id\":6,\"content\":\"\xe2\x96\x81\xe2\x96\x81y\",\"special\":false}],"
#define BYTES "\"pre_tokenizer\":{\"type\":\"ByteLevel\"},"
#define BPE "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"abab\":3},\"merges\":[\"a b\",[\"ab\",\"ab\"]]}"

TestSuite(vocabulary, .init = begin, .fini = end);

/* --- what is read ----------------------------------------------------------------------------------------------- */

Test(vocabulary, bpe_of_bytes)
{
    file("tokenizer.json", "{" ADDED BYTES "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},"
                           "{\"Sequence\":{\"id\":\"A\"}}],\"pair\":[]}," BPE "}");
    file("tokenizer_config.json", "{\"bos_token\":\"<s>\",\"model_max_length\":1000000000000000019884624838656,\"add_eos_token\":false,"
                                  "\"chat_template\":[{\"name\":\"default\",\"template\":\"D\"},{\"name\":\"tool use\",\"template\":\"T\"}]}");
    file("config.json", "{\"eos_token_id\":5,\"bos_token_id\":0,\"pad_token_id\":99,\"text_config\":{\"unk_token_id\":1}}");
    taken("gpt2", 9);
    cr_assert_str_eq(keys(), "model pre tokens token_type merges bos_token_id=4 eos_token_id=5 unknown_token_id=1 add_bos_token=1 "
                             "add_eos_token=0 chat_template.tool_use chat_templates chat_template");
    is_text("tokenizer.ggml.pre", "gpt-2");
    is_text("tokenizer.chat_template.tool_use", "T");
    is_token(3, "abab", 1);
    is_token(4, "<s>", 3);
    is_token(5, "<|x|>", 3);
    is_token(6, "  y", 4);
    is_token(7, "[PAD7]", 5);
    is_token(8, "[PAD8]", 5);
}

/* A template that ends with another token than EOS makes that one EOS, and the old one EOT; what stands between two texts
 * is a separator where it is EOS too. */
Test(vocabulary, what_stands_around_texts)
{
#define SIDES(last) "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},{\"Sequence\":{\"id\":\"A\"}}" last "]," \
    "\"pair\":[{\"SpecialToken\":{\"id\":\"<s>\"}},{\"Sequence\":{\"id\":\"A\"}},{\"SpecialToken\":{\"id\":\"</s>\"}},{\"Sequence\":{\"id\":\"B\"}}]}"
#define FOUR "\"added_tokens\":[{\"id\":4,\"content\":\"<s>\",\"special\":true},{\"id\":5,\"content\":\"</s>\",\"special\":true}," \
    "{\"id\":6,\"content\":\"<end>\",\"special\":true}],"
    file("tokenizer_config.json", "{\"bos_token\":\"<s>\",\"eos_token\":\"</s>\"}");
    file("tokenizer.json", "{" FOUR BYTES "\"post_processor\":" SIDES(",{\"SpecialToken\":{\"id\":\"<end>\"}}") "," BPE "}");
    taken("gpt2", 0);
    cr_assert_str_eq(keys(), "model pre tokens token_type merges bos_token_id=4 eos_token_id=6 eot_token_id=5 add_bos_token=1 "
                             "add_eos_token=1 add_sep_token=0");
    file("tokenizer.json", "{" FOUR BYTES "\"post_processor\":" SIDES("") "," BPE "}");
    taken("gpt2", 0);
    cr_assert_str_eq(keys(), "model pre tokens token_type merges bos_token_id=4 eos_token_id=5 seperator_token_id=5 add_bos_token=1 "
                             "add_sep_token=1");
    file("tokenizer.json", "{" FOUR BYTES "\"post_processor\":{\"type\":\"RobertaProcessing\",\"sep\":[\"</s>\",5],\"cls\":[\"<s>\",4]}," BPE "}");
    taken("gpt2", 0);
    cr_assert_str_eq(keys(), "model pre tokens token_type merges bos_token_id=4 eos_token_id=5 seperator_token_id=5 add_bos_token=1 "
                             "add_eos_token=1 add_sep_token=1");
}

/* Pieces without scores get them from the merges that make them; the first merge has the highest. */
Test(vocabulary, bpe_of_signs)
{
    file("tokenizer.json", "{\"added_tokens\":[{\"id\":0,\"content\":\"<unk>\",\"special\":true},{\"id\":6,\"content\":\"<turn>\",\"special\":true},"
                           "{\"id\":7,\"content\":\"\xe2\x96\x81\xe2\x96\x81\",\"special\":false}],\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,"
                           "\"vocab\":{\"<unk>\":0,\"<0x41>\":1,\"a\":2,\"b\":3,\"ab\":4,\"aba\":5,\"<turn>\":6,\"\xe2\x96\x81\xe2\x96\x81\":7},"
                           "\"merges\":[\"a b\",\"ab a\"]}}");
    file("tokenizer_config.json", "{\"unk_token\":\"<unk>\"}");
    taken("llama", 0);
    cr_assert_str_eq(keys(), "model pre tokens scores token_type unknown_token_id=0");
    is_token(0, "<unk>", 3);
    is_token(1, "<0x41>", 6);
    is_token(6, "<turn>", 3);
    is_token(7, "  ", 4);
    const vb_gguf_entry *scores = vb_gguf_find(made, "tokenizer.ggml.scores");
    cr_assert(vb_gguf_item_float(scores, 2) == -1000 && vb_gguf_item_float(scores, 4) == 0 && vb_gguf_item_float(scores, 5) == -1);
    taken("gemma4", 0);
    cr_assert_str_eq(keys(), "model tokens scores token_type merges unknown_token_id=0 add_space_prefix=0 add_bos_token=1");
    is_token(6, "<turn>", 3);
    is_token(7, "\xe2\x96\x81\xe2\x96\x81", 1);
}

Test(vocabulary, sentencepiece_wins_and_added_tokens_lie_over_it)
{
    file("tokenizer.model", "\n\5\n\1a\30\1" "\n\5\n\1b\30\4" "\n\12\n\1c\25\1\1\1\277\30\1" "\22\2\30\2");
    file("tokenizer.json", "{" BYTES BPE "}");
    file("added_tokens.json", "{\"new\":3,\"far\":70}");
    file("tokenizer_config.json", "{\"added_tokens_decoder\":{\"1\":{\"content\":\"<b>\",\"special\":true}}}");
    taken("gemma3", 5);
    cr_assert_str_eq(keys(), "model pre tokens scores token_type add_space_prefix=0");
    is_text("tokenizer.ggml.model", "llama");
    is_token(0, "a", 1);
    is_token(1, "<b>", 3);
    is_token(3, "new", 4);
    is_token(4, "[PAD4]", 5);
}

Test(vocabulary, older_files)
{
    file("vocab.json", "{\"a\":0,\"b\":1,\"ab\":2,\"<e>\":3}");
    file("merges.txt", "#version: 0.2\r\na b\r\n");
    file("added_tokens.json", "{\"<z>\":4}");
    file("special_tokens_map.json", "{\"eos_token\":{\"content\":\"<e>\"}}");
    file("tokenizer_config.json", "{\"eos_token\":\"<e>\"}");
    taken("gpt2", 0);
    cr_assert_str_eq(keys(), "model pre tokens token_type merges eos_token_id=3");
    is_token(3, "<e>", 3);
    is_token(4, "<z>", 4);
}

Test(vocabulary, words)
{
    file("vocab.txt", "[PAD]\n[UNK]\nthe\n##s\n");
    file("config.json", "{\"type_vocab_size\":2,\"pad_token_id\":0}");
    taken("bert", 0);
    cr_assert_str_eq(keys(), "token_type_count=2 model pre tokens token_type padding_token_id=0");
    is_token(0, "[PAD]", 3);
    is_token(2, "\xe2\x96\x81the", 1);
    is_token(3, "s", 1);
}

/* Names come from patterns; two that split alike are told apart by what else the files say. */
Test(vocabulary, ways_to_split_words)
{
#define QWEN2 "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define LLAMA3 "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define SPLIT(regex) "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" regex "\"},\"behavior\":\"Isolated\"}," \
    "{\"type\":\"ByteLevel\",\"use_regex\":false}]}"
    static const char *const cases[][3] = {
        {SPLIT(QWEN2), "", "qwen2"},
        {SPLIT(LLAMA3), "\"ignore_merges\":true,", "llama-bpe"},
        {SPLIT(LLAMA3), "", "dbrx"},
        {"{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\",\"individual_digits\":true},{\"type\":\"ByteLevel\"}]}", "", "starcoder"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[2048];
        snprintf(text, sizeof text, "{\"pre_tokenizer\":%s,\"model\":{\"type\":\"BPE\",%s\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}}", cases[i][0], cases[i][1]);
        file("tokenizer.json", text);
        taken("gpt2", 0);
        is_text("tokenizer.ggml.pre", cases[i][2]);
    }
    file("tokenizer.json", "{\"pre_tokenizer\":" SPLIT("(?i:'s|'t)|other") "," BPE "}");
    refused("gpt2", 0, "pre_tokenizer: expected a known way to split words, found another; the nearest is \"llama-bpe\"");
}

/* --- what is refused --------------------------------------------------------------------------------------------- */

Test(vocabulary, tables_that_contradict_themselves)
{
    static const char *const bad[][2] = {
        {"{", "byte 1: expected JSON"},
        {"[]", "expected a JSON object"},
        {"{}", "model: expected an object"},
        {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{}}}", "expected BPE, Unigram or WordPiece, found \"WordLevel\""},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}}", "model.vocab: expected an object of tokens"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}", "id 0: expected one token, found \"a\" and \"b\""},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]}}", "duplicate object key"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":9},\"merges\":[]}}", "expected ids without gaps, found 2 tokens with ids up to 9"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", "expected an id from 0 to 4194303, found -1"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":99999999},\"merges\":[]}}", "found 99999999"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":\"0\"},\"merges\":[]}}", "found no integer"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a c\"]}}", "merge 0: expected \"a\", \"c\" and both together to be tokens"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[[\"a\",\"b\"]]}}", "both together to be tokens"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b c\"]}}", "merge 0: expected two tokens"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],\"end_of_word_suffix\":\"</w>\"}}", "without marks at the ends of words"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0],[\"b\"]]}}", "token 1: expected [text, score]"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0]],\"unk_id\":7}}", "model.unk_id: expected a token's id, found 7"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0],[\"a\",1]]}}", "token \"a\": expected one id, found 0 and 1"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"\xff\":0},\"merges\":[]}}", "expected JSON"},
        {"{\"added_tokens\":[{\"id\":1}]," BPE "}", "added_tokens[0]: expected \"content\" to be a text"},
        {"{\"added_tokens\":[{\"id\":1,\"content\":\"x\"}]," BPE "}", "id 1: expected one token, found \"b\" and \"x\""},
        {"{\"added_tokens\":[{\"id\":4,\"content\":\"a\"}]," BPE "}", "token \"a\": expected one id, found 0 and 4"},
    };
    refused("gpt2", 0, "expected tokenizer.json, tokenizer.model, vocab.json or vocab.txt, found none");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        file("tokenizer.json", bad[i][0]);
        refused("gpt2", 0, bad[i][1]);
    }
    file("tokenizer.json", "{" BYTES BPE "}");
    refused("gpt2", 3, "expected 3 tokens, as config.json states, found 4");
    file("tokenizer_config.json", "{\"added_tokens_decoder\":{\"0\":{\"content\":\"x\"}}}");
    refused("gpt2", 0, "id 0: expected one token");
    file("tokenizer.model", "\n\5\n\1a");
    refused("llama", 0, "expected a SentencePiece model");
    file("tokenizer.model", "\n\3\n\1\xff");
    refused("llama", 0, "piece 0: expected UTF-8");
}

/* --- what is large ----------------------------------------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A hundred million bytes of `unit`: refused within a second of work, with next to no memory besides the text. */
static void bomb(const char *head, const char *unit, const char *says)
{
    enum { SIZE = 100000000 };
    char *text = malloc(SIZE);
    size_t n = strlen(head), len = strlen(unit);
    struct rusage before, after;
    json_t *root;
    memcpy(text, head, n);
    for (; n + len <= SIZE; n += len) memcpy(text + n, unit, len);
    getrusage(RUSAGE_SELF, &before);
    double from = seconds();
    cr_assert_eq(vb_json_parse(&root, text, n, "bomb", &why), VB_E_FORMAT);
    cr_assert_lt(seconds() - from, 1.0);
    getrusage(RUSAGE_SELF, &after);
    cr_assert_lt(after.ru_maxrss - before.ru_maxrss, 16384);
    cr_assert_not_null(strstr(why.text, says), "%s", why.text);
    free(text);
}

Test(bombs, a_hundred_million_bytes_of_nothing)
{
    bomb("", "[", "bomb: byte 64: expected at most 64 levels of nesting");
    bomb("", "{\"a\":", "expected at most 64 levels of nesting");
    bomb("{\"a\":[", "{},", "expected at most 1500000 arrays and objects and 6000000 values");
    bomb("{\"a\":[", "1,", "expected at most 1500000 arrays and objects and 6000000 values");
    bomb("{\"a\":\"", "\\\"", "bomb: byte 5: expected a text of at most 16777216 bytes");
}
