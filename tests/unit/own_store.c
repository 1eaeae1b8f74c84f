/* own_store.c - tests of src/store: names, blobs and manifests in a store made for the test, Modelfiles, Go's JSON. */
#include "store/modelfile.h"

#include "base/hash.h"
#include "store/gojson.h"
#include "store/source.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/verbatim-own-XXXXXX";
static vb_err why;
static vb_store *store;

static const char *at(const char *name)
{
    static char paths[4][700];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(paths[turn], sizeof paths[turn], "%s/%s", root, name);
    return paths[turn];
}

static void make_store(void)
{
    cr_assert_not_null(mkdtemp(root));
    setenv("HOME", root, 1);
    setenv("VERBATIM_MODELS", at("own/models"), 1);
    setenv("OLLAMA_MODELS", at("ollama"), 1);
    cr_assert_eq(vb_store_open(&store, NULL, &why), VB_OK, "%s", why.text);
}

static void remove_store(void)
{
    char command[128];
    vb_store_close(store);
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    if (system(command) != 0) cr_log_warn("%s stays", root);
}

static void digest(const char *text, char hex[65])
{
    uint8_t sha256[32];
    vb_sha256_of(text, strlen(text), sha256);
    vb_hex(hex, sha256, sizeof sha256);
}

/* Files of blobs/ but the whole blobs. */
static int unfinished(void)
{
    DIR *dir = opendir(at("own/models/blobs"));
    int n = 0;
    cr_assert_not_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        n += strlen(e->d_name) != 71 && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(dir);
    return n;
}

static int has(const char *text)
{
    char hex[65];
    digest(text, hex);
    return vb_store_blob_size(store, hex) == (int64_t)strlen(text);
}

/* A model of these blobs; each is put into the store. */
static vb_status put(const char *name, const char *const *texts, int n)
{
    vb_image image = {.n = n};
    vb_ref ref;
    size_t len;
    cr_assert(vb_ref_parse(&ref, name));
    for (int i = 0; i < n; i++) {
        vb_layer *l = &image.layers[i];
        strcpy(l->media, VB_MEDIA_KIND "system");
        l->bytes = strlen(texts[i]);
        cr_assert_eq(vb_blob_of(store, texts[i], l->bytes, l->hex, &why), VB_OK, "%s", why.text);
    }
    strcpy(image.config.media, VB_MEDIA_CONFIG);
    image.config.bytes = 2;
    cr_assert_eq(vb_blob_of(store, "{}", 2, image.config.hex, &why), VB_OK, "%s", why.text);
    char *text = vb_image_text(&image, &len);
    vb_status s = vb_store_put(store, &ref, text, len, &why);
    free(text);
    return s;
}

static vb_status drop(const char *name)
{
    vb_ref ref;
    cr_assert(vb_ref_parse(&ref, name));
    return vb_store_remove(store, &ref, &why);
}

/* --- names ----------------------------------------------------------------------------------------------- */

Test(own_store, names)
{
    static const struct {
        const char *text, *host, *space, *model, *tag, *shortest;
    } good[] = {
        {"tiny", "registry" ".ollama.ai", "library", "tiny", "latest", "tiny:latest"},
        {"me/tiny:1b-q4_K_M", "registry" ".ollama.ai", "me", "tiny", "1b-q4_K_M", "me/tiny:1b-q4_K_M"},
        {"host:80/me/tiny.2:x", "host:80", "me", "tiny.2", "x", "host:80/me/tiny.2:x"},
        {"_a", "registry" ".ollama.ai", "library", "_a", "latest", "_a:latest"},
    };
    static const char *const bad[] = {
        "", ":", "a:", ":b", "/", "a/", "/a", "a//b", ".a", "..", "../a", "a/../b", "a/b/../c", "a/..", "a:..", "a:.b",
        "../../etc/passwd", "..%2f..%2fetc", "a/b/c/d", "a:b:c", "a:b/c:", "a b", "a\nb", "a\\b", "a\tb", "-a", "a:-b",
        "a\xc3\xa4", "a\xe2\x80\xae", "a\x7f", "host\\x/a/b", "ho st/a/b", "a@sha256", "~/a", "a/.b", "x.y/a", "/etc/passwd",
        "a:b\n", "file:///etc/passwd", "a*", "a?", "a;b", "a'b", "a\"b", "a$b", "a`b", "a|b", "a<b", "(a)", "a,b", "a+b"};
    vb_ref ref, same;
    char text[800], longest[200];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_assert(vb_ref_parse(&ref, good[i].text), "%s", good[i].text);
        cr_expect_str_eq(ref.host, good[i].host);
        cr_expect_str_eq(ref.space, good[i].space);
        cr_expect_str_eq(ref.model, good[i].model);
        cr_expect_str_eq(ref.tag, good[i].tag);
        vb_ref_text(&ref, text, sizeof text);
        cr_expect_str_eq(text, good[i].shortest);
        cr_expect(vb_ref_parse(&same, text) && vb_ref_same(&ref, &same));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) cr_expect_not(vb_ref_parse(&ref, bad[i]), "%s", bad[i]);
    memset(longest, 'x', sizeof longest);
    longest[81] = 0;
    cr_expect_not(vb_ref_parse(&ref, longest));
    longest[80] = 0;
    cr_expect(vb_ref_parse(&ref, longest));
}

Test(own_store, digests)
{
    char good[] = "sha256:0123456789abcdefABCDEF0123456789abcdef0123456789abcdef0123456789", text[200], hex[65];
    cr_expect(vb_digest_parse(hex, good));
    cr_expect_str_eq(hex, "0123456789abcdefabcdef0123456789abcdef0123456789abcdef0123456789");
    good[6] = '-';
    cr_expect(vb_digest_parse(hex, good));
    static const char *const bad[] = {"", "sha256", "sha256:", "sha512:", "sha256:../../x", "/sha256:"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) cr_expect_not(vb_digest_parse(hex, bad[i]), "%s", bad[i]);
    for (size_t i = 0; i < strlen(good); i++) { /* one character another, missing, or too many */
        snprintf(text, sizeof text, "%s", good);
        text[i] = '/';
        cr_expect_not(vb_digest_parse(hex, text));
        snprintf(text, sizeof text, "%.*s%s", (int)i, good, good + i + 1);
        cr_expect_not(vb_digest_parse(hex, text));
        snprintf(text, sizeof text, "%.*s.%s", (int)i, good, good + i);
        cr_expect_not(vb_digest_parse(hex, text));
    }
}

/* --- blobs ----------------------------------------------------------------------------------------------- */

Test(own_store, blob, .init = make_store, .fini = remove_store)
{
    vb_blob *b;
    char hex[65], found[65];
    uint64_t bytes;
    digest("abcdef", hex);
    cr_assert_eq(vb_blob_begin(&b, store, hex, &why), VB_OK, "%s", why.text);
    cr_assert_eq(vb_blob_add(b, "abc", 3, &why), VB_OK);
    cr_expect_not(has("abcdef"), "not there before its end");
    cr_assert_eq(vb_blob_add(b, "def", 3, &why), VB_OK);
    cr_assert_eq(vb_blob_end(b, found, &bytes, &why), VB_OK, "%s", why.text);
    cr_expect(has("abcdef") && bytes == 6 && strcmp(found, hex) == 0);
    cr_assert_eq(vb_blob_begin(&b, store, hex, &why), VB_OK);
    cr_assert_eq(vb_blob_add(b, "other", 5, &why), VB_OK);
    cr_expect_eq(vb_blob_end(b, found, NULL, &why), VB_E_DIFFERS);
    cr_expect_not_null(strstr(why.text, "digest mismatch, expected \"sha256:"), "%s", why.text);
    cr_expect(has("abcdef") && !has("other"));
    cr_assert_eq(vb_blob_begin(&b, store, NULL, &why), VB_OK);
    cr_assert_eq(vb_blob_add(b, "dropped", 7, &why), VB_OK);
    cr_expect_eq(unfinished(), 1);
    vb_blob_drop(b);
    cr_expect_eq(unfinished(), 0);
}

Test(own_store, what_a_killed_writer_leaves, .init = make_store, .fini = remove_store)
{
    vb_store *again;
    vb_blob *b;
    cr_assert_eq(vb_blob_begin(&b, store, NULL, &why), VB_OK);
    int fd = open(at("own/models/blobs/.new-0123456789abcdef"), O_CREAT | O_WRONLY, 0644);
    close(fd);
    cr_assert_eq(unfinished(), 2);
    cr_assert_eq(vb_store_open(&again, NULL, &why), VB_OK);
    cr_expect_eq(unfinished(), 1, "the one that is being written stays");
    cr_expect_eq(vb_blob_add(b, "x", 1, &why), VB_OK);
    cr_expect_eq(vb_blob_end(b, NULL, NULL, &why), VB_OK);
    cr_expect(has("x"));
    vb_store_close(again);
}

Test(own_store, resumed, .init = make_store, .fini = remove_store)
{
    vb_blob *b, *second;
    char hex[65], name[128];
    uint64_t have;
    digest("abcdef", hex);
    cr_assert_eq(vb_blob_resume(&b, store, hex, &have, &why), VB_OK, "%s", why.text);
    cr_expect_eq(have, 0);
    cr_assert_eq(vb_blob_add(b, "abc", 3, &why), VB_OK);
    cr_expect_eq(vb_blob_resume(&second, store, hex, &have, &why), VB_OK);
    cr_expect_null(second, "two at once");
    vb_blob_drop(b);
    cr_expect_eq(unfinished(), 1);
    cr_assert_eq(vb_blob_resume(&b, store, hex, &have, &why), VB_OK, "%s", why.text);
    cr_expect_eq(have, 3);
    cr_assert_eq(vb_blob_add(b, "def", 3, &why), VB_OK);
    cr_expect_eq(vb_blob_end(b, NULL, NULL, &why), VB_OK, "%s", why.text);
    cr_expect(has("abcdef"));
    digest("123456", hex); /* what lies there is not what was said */
    cr_assert_eq(vb_blob_resume(&b, store, hex, &have, &why), VB_OK);
    cr_assert_eq(vb_blob_add(b, "1234x", 5, &why), VB_OK);
    vb_blob_drop(b);
    snprintf(name, sizeof name, "own/models/blobs/sha256-%s-partial", hex);
    cr_expect_eq(access(at(name), F_OK), 0);
    cr_assert_eq(vb_blob_resume(&b, store, hex, &have, &why), VB_OK);
    cr_assert_eq(vb_blob_add(b, "6", 1, &why), VB_OK);
    cr_expect_eq(vb_blob_end(b, NULL, NULL, &why), VB_E_DIFFERS);
    cr_expect_eq(unfinished(), 0);
    cr_assert_eq(vb_blob_resume(&b, store, hex, &have, &why), VB_OK);
    cr_assert_eq(vb_blob_add(b, "zzz", 3, &why), VB_OK);
    cr_assert_eq(vb_blob_restart(b, &why), VB_OK);
    cr_assert_eq(vb_blob_add(b, "123456", 6, &why), VB_OK);
    cr_expect_eq(vb_blob_end(b, NULL, NULL, &why), VB_OK, "%s", why.text);
    cr_expect(has("123456"));
}

Test(own_store, links_are_not_followed, .init = make_store, .fini = remove_store)
{
    char name[128], hex[65];
    vb_ref ref;
    vb_blob *b;
    uint64_t have;
    digest("x", hex);
    snprintf(name, sizeof name, "own/models/blobs/sha256-%s-partial", hex);
    cr_assert_eq(symlink(at("elsewhere"), at(name)), 0);
    cr_expect_eq(vb_blob_resume(&b, store, hex, &have, &why), VB_E_IO, "a partial file that is a link");
    cr_assert_eq(symlink("/etc/passwd", at("own/models/blobs/sha256-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")), 0);
    cr_expect_eq(vb_store_blob_size(store, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"), -1);
    cr_assert(vb_ref_parse(&ref, "evil/m/a:b"));
    cr_assert_eq(mkdir(at("out"), 0755), 0);
    cr_assert_eq(symlink(at("out"), at("own/models/manifests/evil")), 0);
    cr_expect_lt(vb_store_put(store, &ref, "{\"layers\":[]}", 13, &why), 0);
    cr_expect_eq(access(at("out/m"), F_OK), -1);
}

/* --- manifests ------------------------------------------------------------------------------------------- */

Test(own_store, manifest, .init = make_store, .fini = remove_store)
{
    vb_image image;
    vb_ref ref;
    cr_assert_eq(put("a", (const char *const[]){"one", "two"}, 2), VB_OK, "%s", why.text);
    cr_assert(vb_ref_parse(&ref, "a"));
    cr_assert_eq(vb_image_read(&image, store, &ref, &why), VB_OK, "%s", why.text);
    cr_expect(image.n == 2 && image.layers[1].bytes == 3);
    char text[300], hex[65];
    digest("not there", hex);
    int n = snprintf(text, sizeof text, "{\"layers\":[{\"mediaType\":\"m\",\"digest\":\"sha256:%s\",\"size\":9}]}", hex);
    cr_expect_eq(vb_store_put(store, &ref, text, (size_t)n, &why), VB_E_NOT_FOUND, "%s", why.text);
    cr_assert_eq(vb_image_read(&image, store, &ref, &why), VB_OK);
    cr_expect_eq(image.n, 2, "the manifest before it stays");
    digest("one", hex);
    n = snprintf(text, sizeof text, "{\"layers\":[{\"mediaType\":\"m\",\"digest\":\"sha256:%s\",\"size\":4}]}", hex);
    cr_expect_eq(vb_store_put(store, &ref, text, (size_t)n, &why), VB_E_NOT_FOUND, "a blob of another size");
    cr_expect(has("one") && has("two"));
    cr_expect_eq(unfinished(), 0);
}

Test(own_store, manifests_that_are_none, .init = make_store, .fini = remove_store)
{
    static const char digits[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    static const char *const bad[] = {
        "", "{", "[]", "{}", "{\"layers\":{}}", "{\"layers\":[],\"layers\":[]}", "{\"layers\":[1]}", "{\"layers\":[{}]}",
        "{\"layers\":[{\"mediaType\":\"m\",\"digest\":\"sha256:../../x\",\"size\":0}]}",
        "{\"layers\":[{\"mediaType\":\"m\",\"digest\":\"sha256:%s\",\"size\":-1}]}",
        "{\"layers\":[{\"mediaType\":\"m\",\"digest\":\"sha256:%s\"}]}",
        "{\"layers\":[{\"mediaType\":5,\"digest\":\"sha256:%s\",\"size\":0}]}",
        "{\"config\":{\"mediaType\":\"m\",\"digest\":\"x\",\"size\":0},\"layers\":[]}"};
    char text[300], name[100];
    vb_ref ref;
    cr_assert(vb_ref_parse(&ref, "a"));
    snprintf(name, sizeof name, "own/models/blobs/sha256-%s", digits);
    fclose(fopen(at(name), "w"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int n = snprintf(text, sizeof text, bad[i], digits);
        cr_expect_eq(vb_store_put(store, &ref, text, (size_t)n, &why), VB_E_FORMAT, "%s", bad[i]);
    }
    char *many = NULL;
    size_t len;
    FILE *to = open_memstream(&many, &len);
    fprintf(to, "{\"layers\":[");
    for (int i = 0; i <= VB_LAYERS_MOST; i++)
        fprintf(to, "%s{\"mediaType\":\"m\",\"digest\":\"sha256:%s\",\"size\":0}", i > 0 ? "," : "", digits);
    fprintf(to, "]}");
    fclose(to);
    cr_expect_eq(vb_store_put(store, &ref, many, len, &why), VB_E_FORMAT);
    free(many);
    cr_expect_eq(access(at("own/models/manifests/registry" ".ollama.ai"), F_OK), -1);
}

Test(own_store, what_nobody_names_goes, .init = make_store, .fini = remove_store)
{
    cr_assert_eq(put("a", (const char *const[]){"shared", "of a"}, 2), VB_OK);
    cr_assert_eq(put("b:1", (const char *const[]){"shared", "of b"}, 2), VB_OK);
    cr_assert_eq(put("a", (const char *const[]){"shared", "new of a"}, 2), VB_OK, "%s", why.text);
    cr_expect(has("shared") && has("new of a") && has("of b"));
    cr_expect_not(has("of a"), "what only the replaced manifest named");
    cr_assert_eq(drop("a"), VB_OK, "%s", why.text);
    cr_expect(has("shared") && has("of b") && has("{}") && !has("new of a"));
    cr_expect_eq(drop("a"), VB_E_NOT_FOUND);
    cr_assert_eq(drop("b:1"), VB_OK);
    cr_expect(!has("shared") && !has("of b") && !has("{}"));
    cr_expect_eq(access(at("own/models/manifests/registry" ".ollama.ai"), F_OK), -1, "empty directories go");
    cr_expect_eq(access(at("own/models/manifests"), F_OK), 0);
}

Test(own_store, damaged_manifests_keep_their_blobs, .init = make_store, .fini = remove_store)
{
    char hex[65], text[300];
    cr_assert_eq(put("a", (const char *const[]){"shared", "alone"}, 2), VB_OK);
    digest("shared", hex);
    snprintf(text, sizeof text, "{\"layers\":[{\"digest\":\"sha256:%s\",,,", hex);
    mkdir(at("own/models/manifests/other"), 0755);
    mkdir(at("own/models/manifests/other/x"), 0755);
    FILE *f = fopen(at("own/models/manifests/other/x/odd"), "w");
    fwrite("\0", 1, 1, f);
    fputs(text, f);
    fclose(f);
    f = fopen(at("own/models/manifests/other/x/.new-0123"), "w"); /* of a writer that was killed */
    digest("alone", hex);
    fprintf(f, "sha256:%s", hex);
    fclose(f);
    cr_assert_eq(drop("a"), VB_OK);
    cr_expect(has("shared") && !has("alone"));
    cr_expect_eq(access(at("own/models/manifests/other/x/.new-0123"), F_OK), -1);
    cr_assert_eq(put("a", (const char *const[]){"shared", "alone"}, 2), VB_OK);
    cr_assert_eq(symlink("/nowhere", at("own/models/manifests/link")), 0);
    cr_assert_eq(drop("a"), VB_OK);
    cr_expect(has("shared") && has("alone"), "what cannot be read might name anything");
}

Test(own_store, other_stores_are_only_read, .init = make_store, .fini = remove_store)
{
    vb_store *other;
    vb_blob *b;
    vb_ref ref;
    char hex[65];
    cr_assert(vb_ref_parse(&ref, "a"));
    cr_assert_eq(put("a", (const char *const[]){"x"}, 1), VB_OK);
    cr_assert_eq(vb_store_open_readonly(&other, at("own/models"), &why), VB_OK);
    cr_expect_lt(vb_blob_begin(&b, other, NULL, &why), 0);
    cr_expect_lt(vb_blob_of(other, "y", 1, hex, &why), 0);
    cr_expect_lt(vb_store_put(other, &ref, "{\"layers\":[]}", 13, &why), 0);
    cr_expect_lt(vb_store_remove(other, &ref, &why), 0);
    vb_store_close(other);
    cr_expect_eq(vb_store_open_readonly(&other, at("nowhere"), &why), VB_E_IO);
    cr_expect_eq(access(at("nowhere"), F_OK), -1, "and not made");
}

/* --- texts ----------------------------------------------------------------------------------------------- */

Test(own_store, json_as_go_writes_it)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"{\"stop\":[\"<|im_end|>\"],\"temperature\":0}", "{\"stop\":[\"\\u003c|im_end|\\u003e\"],\"temperature\":0}\n"},
        {"[0.1, 1.0, -2.5, 1e21, 1e-7, 100000000000000000000.0, 0.000001, 1e300, 12345678.9]",
         "[0.1,1,-2.5,1e+21,1e-7,100000000000000000000,0.000001,1e+300,12345678.9]\n"},
        {"\"a&b\\n\\t\\\"\\\\\\u0001\\u00e4\\u2028/\"", "\"a\\u0026b\\n\\t\\\"\\\\\\u0001\xc3\xa4\\u2028/\"\n"},
        {"[true,false,null,{}]", "[true,false,null,{}]\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *v = json_loads(cases[i].in, JSON_DECODE_ANY, NULL);
        size_t len;
        char *text = vb_gojson(v, &len);
        cr_expect_str_eq(text, cases[i].out);
        free(text);
        json_decref(v);
    }
}

/* A real Ollama made its model smollm2 of these layers, and told this digest of its manifest. */
Test(own_store, manifest_as_ollama_writes_it)
{
    static const char *const texts[] = {
        "{\"model_format\":\"gguf\",\"model_family\":\"llama\",\"model_families\":[\"llama\"],\"model_type\":\"134.52M\","
        "\"file_type\":\"Q4_1\",\"architecture\":\"amd64\",\"os\":\"linux\"}\n",
        "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n",
        "{\"stop\":[\"\\u003c|im_start|\\u003e\",\"\\u003c|im_end|\\u003e\"],\"temperature\":0}\n"};
    vb_image image = {.n = 3};
    vb_layer *parts[] = {&image.config, &image.layers[1], &image.layers[2]};
    char hex[65];
    size_t len;
    strcpy(image.config.media, VB_MEDIA_CONFIG);
    strcpy(image.layers[0].media, VB_MEDIA_KIND "model");
    strcpy(image.layers[0].hex, "941f309b54caaad6747569ba43712bcde44a2be3bae16c3282ff499c37c54af5");
    image.layers[0].bytes = 98362432;
    strcpy(image.layers[1].media, VB_MEDIA_KIND "template");
    strcpy(image.layers[2].media, VB_MEDIA_KIND "params");
    for (int i = 0; i < 3; i++) {
        digest(texts[i], parts[i]->hex);
        parts[i]->bytes = strlen(texts[i]);
    }
    char *text = vb_image_text(&image, &len);
    digest(text, hex);
    cr_expect_str_eq(hex, "53f4cd08aa899cd4404a21d670e7434c8c8685a01f67f6b837395862b045d783", "%s", text);
    free(text);
}

Test(own_store, modelfiles)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"FROM x", "{\"from\":\"x\"}"},
        {"\xef\xbb\xbf# c\n\n  from  x y \r\n", "{\"from\":\"x y\"}"},
        {"FROM x\nSYSTEM \"\"\"a\n \"b\" \n\"\"\"\n", "{\"from\":\"x\",\"system\":\"a\\n \\\"b\\\" \\n\"}"},
        {"FROM x\nSYSTEM \"a\nb\"\nTEMPLATE {{ .P }} \"q\" # no comment", "{\"from\":\"x\",\"system\":\"a\\nb\",\"template\":\"{{ .P }} \\\"q\\\" # no comment\"}"},
        {"FROM x\nPARAMETER stop \"<a>\"\nPARAMETER stop b\nPARAMETER temperature 0.5\nPARAMETER num_ctx 42\nPARAMETER use_mmap false\nPARAMETER mirostat 1\n",
         "{\"from\":\"x\",\"parameters\":{\"stop\":[\"\\u003ca\\u003e\",\"b\"],\"temperature\":0.5,\"num_ctx\":42,\"use_mmap\":false}}"},
        {"MESSAGE user hi there\nMESSAGE assistant \"\"\"yes\nno\"\"\"\nFROM x", "{\"messages\":[{\"role\":\"user\",\"content\":\"hi there\"},{\"role\":\"assistant\",\"content\":\"yes\\nno\"}],\"from\":\"x\"}"},
        {"FROM x\nLICENSE MIT\nLICENSE \"\"\"BSD\"\"\"\n", "{\"from\":\"x\",\"license\":[\"MIT\",\"BSD\"]}"},
        {"FROM x\nSYSTEM \n", "{\"from\":\"x\",\"system\":\"\"}"},
    };
    static const struct {
        const char *in, *says;
    } bad[] = {
        {"", "m: expected a line FROM"}, {"SYSTEM a", "expected a line FROM"}, 
        {"FROM x\nFROM y", "m:2: expected one FROM"}, {"FROM x\nHELLO y", "m:2: expected FROM, PARAMETER"},
        {"FROM x\n\nSYSTEM \"\"\"abc", "m:3: expected quotes"}, {"FROM x\nPARAMETER hot 1", "m:2: unknown parameter 'hot'"},
        {"FROM x\nPARAMETER top_k many", "m:2: parameter top_k: expected a value of type int, found 'many'"},
        {"FROM x\nPARAMETER temperature nan", "of type float32"}, {"FROM x\nMESSAGE nobody hi", "m:2: expected system, user or assistant"},
        {"FROM x\nSYSTEM \xff", "m:2: expected UTF-8"}, {"FROM x\nADAPTER y", "m:2: adapter is not supported"}, {"F\xc3\xb6 x", "m:1"},
    };
    json_t *said;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len;
        cr_assert_eq(vb_modelfile_parse(&said, cases[i].in, strlen(cases[i].in), "m", &why), VB_OK, "%s", why.text);
        char *text = vb_gojson(said, &len);
        text[len - 1] = 0;
        cr_expect_str_eq(text, cases[i].out);
        free(text);
        json_decref(said);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect_lt(vb_modelfile_parse(&said, bad[i].in, strlen(bad[i].in), "m", &why), 0, "%s", bad[i].in);
        cr_expect_not_null(strstr(why.text, bad[i].says), "%s: %s", bad[i].in, why.text);
    }
    cr_expect_lt(vb_modelfile_parse(&said, "FROM\0x", 6, "m", &why), 0);
}
