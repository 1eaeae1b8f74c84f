/* store.c - tests of file/store: names to files in stores made for the test, hostile manifests, the SHA-256 cache. */
#include "file/store.h"

#include "base/hash.h"
#include "base/os.h"
#include "file/manifest.h"
#include "tests/unit/gguf_writer.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HOST "registry" ".ollama.ai"
#define KIND "application/vnd.ollama.image."

static char root[] = "/tmp/verbatim-store-XXXXXX";
static vb_err why;

static const char *at(const char *name)
{
    static char paths[4][600];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(paths[turn], sizeof paths[turn], "%s/%s", root, name);
    return paths[turn];
}

static void make_stores(void)
{
    cr_assert_not_null(mkdtemp(root));
    setenv("HOME", at("home"), 1);
    setenv("OLLAMA_MODELS", at("ollama"), 1);
    setenv("VERBATIM_MODELS", at("own"), 1);
    setenv("XDG_CACHE_HOME", at("cache"), 1);
    unsetenv("XDG_DATA_HOME");
}

static void remove_stores(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    if (system(command) != 0) cr_log_warn("%s stays", root);
}

/* With the directories it needs; mtime an hour ago, so that it counts as settled. */
static void put_file(const char *name, const void *data, size_t size)
{
    char dir[600];
    struct timespec times[2] = {{.tv_sec = time(NULL) - 3600}, {.tv_sec = time(NULL) - 3600}};
    snprintf(dir, sizeof dir, "%s", at(name));
    *strrchr(dir, '/') = 0;
    cr_assert_eq(vb_dir_make(dir, &why), VB_OK, "%s", why.text);
    FILE *f = fopen(at(name), "wb");
    cr_assert_not_null(f, "%s", at(name));
    cr_assert_eq(fwrite(data, 1, size, f), size);
    fclose(f);
    utimensat(AT_FDCWD, at(name), times, 0);
}

static void put_text_file(const char *name, const char *text)
{
    put_file(name, text, strlen(text));
}

/* A blob of this text in `store`; its digest goes to hex. */
static void put_blob(const char *store, const char *text, char hex[65])
{
    uint8_t digest[32];
    char name[128];
    vb_sha256_of(text, strlen(text), digest);
    vb_hex(hex, digest, 32);
    snprintf(name, sizeof name, "%s/blobs/sha256-%s", store, hex);
    put_text_file(name, text);
}

/* A model of one layer whose weights are `text`. */
static void put_model(const char *store, const char *name, const char *text)
{
    char hex[65], path[300], json[400];
    put_blob(store, text, hex);
    snprintf(json, sizeof json,
             "{\"layers\":[{\"mediaType\":\"" KIND "model\",\"digest\":\"sha256:%s\",\"size\":%zu}]}", hex,
             strlen(text));
    snprintf(path, sizeof path, "%s/manifests/%s", store, name);
    put_text_file(path, json);
}

static void expect_content(const char *model, const char *expected)
{
    vb_located found;
    char *data = NULL;
    size_t size;
    memset(&why, 0, sizeof why);
    cr_assert_eq(vb_store_locate(&found, model, &why), VB_OK, "%s: %s", model, why.text);
    cr_expect_eq(why.code, VB_OK, "on success err is left alone");
    cr_assert_eq(vb_file_read(found.path, 4096, &data, &size, &why), VB_OK, "%s", why.text);
    cr_expect_str_eq(data, expected, "%s", model);
    free(data);
    vb_located_free(&found);
}

static void expect_failure(const char *model, vb_status code, const char *reason)
{
    vb_located found;
    memset(&why, 0, sizeof why);
    cr_expect_eq(vb_store_locate(&found, model, &why), code, "%s: %s", model, why.text);
    cr_expect_not_null(strstr(why.text, reason), "%s: %s lacks %s", model, why.text, reason);
    cr_expect(found.path == NULL && found.template_ == NULL && found.system == NULL && found.params == NULL);
}

Test(store, names)
{
    static const struct {
        const char *text, *host, *space, *model, *tag, *shortest;
    } cases[] = {
        {"tiny", HOST, "library", "tiny", "latest", "tiny:latest"},
        {"tiny:1b", HOST, "library", "tiny", "1b", "tiny:1b"},
        {"me/tiny", HOST, "me", "tiny", "latest", "me/tiny:latest"},
        {"host:80/me/tiny:2", "host:80", "me", "tiny", "2", "host:80/me/tiny:2"},
        {"library/tiny", HOST, "library", "tiny", "latest", "tiny:latest"},
    };
    static const char *const bad[] = {"", ":", "a:", ":b", "/", "a/", "/a", "a//b", ".a", "../a", "a/../b", "a/.b",
                                      "a/b/c/d", "../../etc/passwd", "a:.b", "a:b/c:", "a b", "a\nb", "a\\b", "..",
                                      "x/y/..:t"};
    vb_store_name name;
    char text[1100], longest[400];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert(vb_name_parse(&name, cases[i].text), "%s", cases[i].text);
        cr_expect_str_eq(name.part[VB_NAME_HOST], cases[i].host);
        cr_expect_str_eq(name.part[VB_NAME_SPACE], cases[i].space);
        cr_expect_str_eq(name.part[VB_NAME_MODEL], cases[i].model);
        cr_expect_str_eq(name.part[VB_NAME_TAG], cases[i].tag);
        vb_name_text(&name, text, sizeof text);
        cr_expect_str_eq(text, cases[i].shortest);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) cr_expect_not(vb_name_parse(&name, bad[i]), "%s", bad[i]);
    memset(longest, 'x', sizeof longest);
    longest[256] = 0;
    cr_expect_not(vb_name_parse(&name, longest));
    longest[255] = 0;
    cr_expect(vb_name_parse(&name, longest));
}

Test(store, order_of_places, .init = make_stores, .fini = remove_stores)
{
    put_model("ollama", HOST "/library/tiny/latest", "ollama's");
    expect_content("tiny", "ollama's");
    expect_content("tiny:latest", "ollama's");
    expect_content("library/tiny", "ollama's");
    expect_content(HOST "/library/tiny", "ollama's");
    put_model("own", HOST "/library/tiny/latest", "own");
    expect_content("tiny", "own");
    put_text_file("own/tiny.gguf", "own file");
    expect_content("tiny", "own file");
    expect_content("tiny:latest", "own");
    put_text_file("here/tiny", "here");
    cr_assert_eq(chdir(at("here")), 0);
    expect_content("tiny", "here");
    expect_content("./tiny", "here");
    cr_assert_eq(chdir("/"), 0);
    put_model("ollama", "elsewhere:5000/me/other/q4", "far");
    expect_content("elsewhere:5000/me/other:q4", "far");
    expect_failure("me/other:q4", VB_E_NOT_FOUND, "me/other:q4");
    expect_failure("tiny:1b", VB_E_NOT_FOUND, at("own/tiny:1b.gguf"));
    expect_failure("tiny:1b", VB_E_NOT_FOUND, at("ollama"));
    expect_failure("../tiny", VB_E_NOT_FOUND, "found neither");
}

Test(store, smollm2, .init = make_stores, .fini = remove_stores)
{
    expect_failure("smollm2", VB_E_NOT_FOUND, "`make run` fetches it");
    expect_failure("smollm2", VB_E_NOT_FOUND, at("own/smollm2.gguf"));
    put_model("ollama", HOST "/library/smollm2/latest", "ollama's");
    expect_content("smollm2", "ollama's");
    put_text_file("own/smollm2.gguf", "fetched");
    expect_content("smollm2", "fetched");
}

Test(store, default_directories, .init = make_stores, .fini = remove_stores)
{
    unsetenv("OLLAMA_MODELS");
    setenv("VERBATIM_MODELS", "", 1);
    put_model("home/.ollama/models", HOST "/library/a/latest", "a");
    put_text_file("home/.local/share/verbatim/models/b.gguf", "b");
    expect_content("a", "a");
    expect_content("b", "b");
    unsetenv("HOME");
    expect_failure("a", VB_E_NOT_FOUND, "unset");
}

Test(store, layers, .init = make_stores, .fini = remove_stores)
{
    static const char *const texts[] = {"weights", "{{ .Prompt }}", "Be brief.", "{\"stop\":[\"x\"]}", "tower"};
    static const char *const kinds[] = {"model", "template", "system", "params", "projector"};
    char json[2000] = "{\"schemaVersion\":2,"
                      "\"layers\":[{\"mediaType\":\"" KIND "license\",\"digest\":\"any\",\"size\":1}";
    char hex[65];
    vb_located found;
    for (int i = 0; i < 5; i++) {
        put_blob("ollama", texts[i], hex);
        size_t len = strlen(json);
        snprintf(json + len, sizeof json - len, ",{\"mediaType\":\"" KIND "%s\",\"digest\":\"sha256:%s\",\"size\":%zu}",
                 kinds[i], hex, strlen(texts[i]));
    }
    strcat(json, "]}");
    put_text_file("ollama/manifests/" HOST "/library/full/latest", json);
    cr_assert_eq(vb_store_locate(&found, "full", &why), VB_OK, "%s", why.text);
    cr_expect_str_eq(found.template_, texts[1]);
    cr_expect_str_eq(found.system, texts[2]);
    cr_expect_str_eq(found.params, texts[3]);
    cr_expect_not_null(strstr(found.projector, "/ollama/blobs/sha256-"));
    cr_expect_str_neq(found.projector, found.path);
    vb_located_free(&found);
    cr_expect_null(found.path);
}

static void expect_manifest(const char *json, vb_status code, const char *reason)
{
    put_text_file("ollama/manifests/" HOST "/library/bad/latest", json);
    expect_failure("bad", code, reason);
}

#define LAYER(kind, digest, size) \
    "{\"layers\":[{\"mediaType\":\"" KIND kind "\",\"digest\":\"" digest "\",\"size\":" size "}]}"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

Test(store, hostile_manifests, .init = make_stores, .fini = remove_stores)
{
    char *large = malloc(300000);
    put_text_file("ollama/secret", "secret");
    expect_manifest("", VB_E_FORMAT, "expected JSON");
    expect_manifest("{", VB_E_FORMAT, "expected JSON");
    expect_manifest("[]", VB_E_FORMAT, "layers");
    expect_manifest("{\"layers\":{}}", VB_E_FORMAT, "layers");
    expect_manifest("{\"layers\":[]}", VB_E_FORMAT, "found none");
    expect_manifest("{\"layers\":[1]}", VB_E_FORMAT, "layer 0");
    expect_manifest("{\"layers\":[],\"layers\":[]}", VB_E_FORMAT, "duplicate");
    expect_manifest(LAYER("template", "sha256:" ZEROS, "1"), VB_E_FORMAT, "found none");
    expect_manifest(LAYER("adapter", "sha256:" ZEROS, "1"), VB_E_UNSUPPORTED, "adapter");
    expect_manifest(LAYER("model", "sha256:" ZEROS, "-1"), VB_E_FORMAT, "layer 0");
    expect_manifest(LAYER("model", "sha256:" ZEROS, "1.5"), VB_E_FORMAT, "layer 0");
    expect_manifest(LAYER("model", "sha256:" ZEROS, "1"), VB_E_FORMAT, "blobs/sha256-" ZEROS);
    expect_manifest(LAYER("model", "../secret", "6"), VB_E_FORMAT, "64 hex digits");
    expect_manifest(LAYER("model", "sha256:../../secret", "6"), VB_E_FORMAT, "64 hex digits");
    expect_manifest(LAYER("model", "sha256:" ZEROS "0", "6"), VB_E_FORMAT, "64 hex digits");
    expect_manifest(LAYER("model", "sha256:" ZEROS "/../../secret", "6"), VB_E_FORMAT, "64 hex digits");
    expect_manifest(LAYER("model", "SHA256:" ZEROS, "6"), VB_E_FORMAT, "64 hex digits");
    expect_manifest(LAYER("model", "sha256:A000000000000000000000000000000000000000000000000000000000000000", "6"),
                    VB_E_FORMAT, "64 hex digits");
    memset(large, ' ', 299999);
    large[299999] = 0;
    expect_manifest(large, VB_E_FORMAT, "at most 262144 bytes");
    memset(large, '[', 299999);
    large[200000] = 0;
    expect_manifest(large, VB_E_FORMAT, "expected JSON");
    free(large);
}

Test(store, a_text_that_is_too_large, .init = make_stores, .fini = remove_stores)
{
    enum { SIZE = (1 << 20) + 1 };
    static char text[SIZE + 1];
    char weights[65], template_[65], json[600];
    memset(text, 'x', SIZE);
    put_blob("ollama", "weights", weights);
    put_blob("ollama", text, template_);
    snprintf(json, sizeof json, "{\"layers\":[{\"mediaType\":\"" KIND "model\",\"digest\":\"sha256:%s\",\"size\":7},"
             "{\"mediaType\":\"" KIND "template\",\"digest\":\"sha256:%s\",\"size\":%d}]}", weights, template_, SIZE);
    expect_manifest(json, VB_E_FORMAT, "at most 1048576 bytes of text");
    cr_assert_eq(unlink(at("ollama/manifests/" HOST "/library/bad/latest")), 0);
    cr_assert_eq(mkdir(at("ollama/manifests/" HOST "/library/bad/latest"), 0700), 0);
    expect_failure("bad", VB_E_IO, "library/bad/latest");
}

Test(store, blobs_of_another_size_and_links, .init = make_stores, .fini = remove_stores)
{
    char hex[65], blob[200];
    put_model("ollama", HOST "/library/tiny/latest", "weights");
    put_blob("ollama", "weights", hex);
    snprintf(blob, sizeof blob, "ollama/blobs/sha256-%s", hex);
    put_text_file(blob, "weight");
    expect_failure("tiny", VB_E_FORMAT, "expected 7 bytes");
    cr_assert_eq(unlink(at(blob)), 0);
    put_text_file("outside", "weights");
    cr_assert_eq(symlink(at("outside"), at(blob)), 0);
    expect_failure("tiny", VB_E_IO, "blobs/sha256-");
    cr_assert_eq(rename(at("ollama/manifests/" HOST), at("moved")), 0);
    cr_assert_eq(symlink(at("moved"), at("ollama/manifests/" HOST)), 0);
    vb_located found;
    cr_expect_neq(vb_store_locate(&found, "tiny", &why), VB_OK, "a linked directory was followed");
    vb_located_free(&found);
    cr_assert_eq(mkfifo(at("pipe"), 0600), 0);
    cr_assert_eq(vb_store_locate(&found, at("pipe"), &why), VB_OK);
    vb_located_free(&found);
}

static char listed[2000];
static int add_name(void *ud, const vb_store_entry *entry)
{
    size_t len = strlen(listed);
    snprintf(listed + len, sizeof listed - len, "%s %s %llu|", entry->store, entry->name,
             (unsigned long long)entry->bytes);
    cr_expect_eq(access(entry->path, R_OK), 0, "%s", entry->path);
    return --*(int *)ud == 0;
}

Test(store, list, .init = make_stores, .fini = remove_stores)
{
    int most = 100, two = 2;
    cr_expect_eq(vb_store_list(add_name, &most, &why), VB_OK, "no stores at all is an empty list");
    cr_expect_str_eq(listed, "");
    put_text_file("own/zeta.gguf", "12345");
    put_text_file("own/part-of-it-00001-of-00002.gguf", "1");
    put_text_file("own/part-of-it-00002-of-00002.gguf", "2");
    put_text_file("own/notes.txt", "not a model");
    put_text_file("own/.hidden.gguf", "not a model");
    put_model("own", HOST "/library/mine/latest", "123");
    put_model("ollama", HOST "/library/tiny/1b", "1234");
    put_model("ollama", HOST "/me/tiny/latest", "12");
    put_model("ollama", "far/me/tiny/latest", "1");
    put_text_file("ollama/manifests/" HOST "/library/broken/latest", "{");
    cr_expect_eq(vb_store_list(add_name, &most, &why), VB_OK, "%s", why.text);
    cr_expect_str_eq(listed, "verbatim part-of-it-00001-of-00002 1|verbatim zeta 5|verbatim mine:latest 3|"
                             "ollama far/me/tiny:latest 1|ollama tiny:1b 4|ollama me/tiny:latest 2|");
    listed[0] = 0;
    cr_expect_eq(vb_store_list(add_name, &two, &why), VB_E_STOPPED);
    cr_expect_str_eq(listed, "verbatim part-of-it-00001-of-00002 1|verbatim zeta 5|");
}

Test(store, by_digest, .init = make_stores, .fini = remove_stores)
{
    uint8_t digest[32];
    vb_located found;
    writer w = {0};
    put_model("ollama", HOST "/library/tiny/1b", "weights");
    put_model("ollama", HOST "/library/other/1b", "others");
    vb_sha256_of("weights", 7, digest);
    cr_assert_eq(vb_store_by_sha256(&found, digest, &why), VB_OK, "%s", why.text);
    char *data;
    size_t size;
    cr_assert_eq(vb_file_read(found.path, 100, &data, &size, &why), VB_OK);
    cr_expect_str_eq(data, "weights");
    free(data);
    vb_located_free(&found);
    put_header(&w, 3, 0, 0);
    vb_sha256_of(w.data, w.len, digest);
    cr_expect_eq(vb_store_by_sha256(&found, digest, &why), VB_E_NOT_FOUND);
    cr_expect_null(found.path);
    put_file("own/file.gguf", w.data, w.len);
    cr_assert_eq(vb_store_by_sha256(&found, digest, &why), VB_OK, "%s", why.text);
    cr_expect_str_eq(found.path, at("own/file.gguf"));
    vb_located_free(&found);
    free(w.data);
}

/* --- digests remembered ---------------------------------------------------------------------------------- */

static void expect_sha(const char *name, const char *text)
{
    uint8_t expected[32], found[32] = {0};
    const char *path = at(name);
    vb_sha256_of(text, strlen(text), expected);
    cr_assert_eq(vb_file_sha256(&path, 1, found, &why), VB_OK, "%s", why.text);
    cr_expect_arr_eq(found, expected, 32, "%s", text);
}

static size_t cache_lines(void)
{
    char *data;
    size_t size, lines = 0;
    if (vb_file_read(at("cache/verbatim/sha256"), 1 << 24, &data, &size, NULL) != VB_OK) return 0;
    for (size_t i = 0; i < size; i++) lines += data[i] == '\n';
    free(data);
    return lines;
}

/* Replaces content behind the same inode, size and mtime: only a remembered answer can still be the old one. */
static void swap_content(const char *name, const char *text)
{
    struct stat st;
    cr_assert_eq(stat(at(name), &st), 0);
    FILE *f = fopen(at(name), "r+b");
    cr_assert_not_null(f);
    fwrite(text, 1, strlen(text), f);
    fclose(f);
    utimensat(AT_FDCWD, at(name), (struct timespec[]){st.st_atim, st.st_mtim}, 0);
}

Test(store, a_digest_is_remembered_until_the_file_changes, .init = make_stores, .fini = remove_stores)
{
    put_text_file("a", "first");
    put_text_file("b", "other");
    expect_sha("a", "first");
    expect_sha("b", "other");
    cr_expect_eq(cache_lines(), 2);
    swap_content("a", "FIRST");
    expect_sha("a", "first");
    expect_sha("b", "other");
    struct timespec earlier[2] = {{.tv_sec = time(NULL) - 7200}, {.tv_sec = time(NULL) - 7200}};
    utimensat(AT_FDCWD, at("a"), earlier, 0);
    expect_sha("a", "FIRST");
    cr_expect_eq(cache_lines(), 3);
    put_text_file("a", "longer than before");
    expect_sha("a", "longer than before");
    FILE *f = fopen(at("a"), "wb");
    fputs("fresh", f);
    fclose(f);
    size_t lines = cache_lines();
    expect_sha("a", "fresh");
    cr_expect_eq(cache_lines(), lines, "a file that changed just now must not be remembered");
}

Test(store, several_files_are_one_digest, .init = make_stores, .fini = remove_stores)
{
    uint8_t expected[32], found[32];
    put_text_file("a", "first");
    put_text_file("b", "other");
    const char *both[] = {at("a"), at("b")}, *absent[] = {at("a"), at("c")};
    vb_sha256_of("firstother", 10, expected);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(vb_file_sha256(both, 2, found, &why), VB_OK);
        cr_expect_arr_eq(found, expected, 32);
    }
    cr_expect_eq(vb_file_sha256(absent, 2, found, &why), VB_E_NOT_FOUND);
    cr_expect_not_null(strstr(why.text, "/c: "));
    cr_expect_eq(vb_file_sha256(both, 0, found, &why), VB_E_ARGUMENT);
}

/* Every byte of the cache changed once: the answer stays right. */
Test(store, a_damaged_cache_is_never_believed, .init = make_stores, .fini = remove_stores)
{
    const char *cache = "cache/verbatim/sha256";
    char *data;
    size_t size;
    put_text_file("a", "first");
    expect_sha("a", "first");
    cr_assert_eq(vb_file_read(at(cache), 4096, &data, &size, NULL), VB_OK);
    cr_assert_eq(size, 163);
    for (size_t i = 0; i < size; i++) {
        char damaged[200];
        memcpy(damaged, data, size);
        damaged[i] = damaged[i] == '0' ? '1' : '0';
        put_file(cache, damaged, size);
        expect_sha("a", "first");
        put_file(cache, data, i);
        expect_sha("a", "first");
    }
    put_text_file(cache, "no\n\nlines\n");
    expect_sha("a", "first");
    cr_expect_eq(cache_lines(), 1, "the write drops what is no line");
    char *huge = calloc(1, 3 << 20);
    put_file(cache, huge, 3 << 20);
    expect_sha("a", "first");
    cr_expect_eq(cache_lines(), 1);
    free(huge);
    free(data);
}

Test(store, no_cache_directory_costs_only_time, .init = make_stores, .fini = remove_stores)
{
    put_text_file("a", "first");
    put_text_file("cache", "a file where the directory should be");
    expect_sha("a", "first");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    expect_sha("a", "first");
}
