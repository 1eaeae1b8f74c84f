/* tokenizer_json.c - fuzz target: any bytes as one of the files that a vocabulary is read from, the others being there;
 * what is read can be written, and what is written can be opened as a GGUF file of tokens.
 *
 *   input: one byte for the family, one for the file, then its bytes
 */
#include "convert/vocabulary.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const files[] = {"tokenizer.json", "tokenizer.model",   "tokenizer_config.json",
                                    "vocab.json",     "merges.txt",        "vocab.txt",
                                    "config.json",    "added_tokens.json", "chat_template.json"};
enum { FILES = sizeof files / sizeof files[0] };

static const char *const usual[FILES] = {
    ("{\"added_tokens\":[{\"id\":3,\"content\":\"<s>\",\"special\":true}],\"pre_tokenizer\":{\"type\":\"ByteLevel\"},"
     "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}}"),
    "\n\5\n\1a\30\1",
    "{\"bos_token\":\"<s>\",\"chat_template\":\"x\"}",
    "{\"a\":0,\"b\":1,\"ab\":2}",
    "#version\na b\n",
    "[PAD]\n[UNK]\na\n##b\n",
    "{\"eos_token_id\":1}",
    "{\"<s>\":3}",
    "{\"chat_template\":\"x\"}"};

static char folder[] = "/dev/shm/verbatim-fuzz-XXXXXX";

static void write_file(int at, const void *data, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, files[at]);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    close(fd);
}

static void remove_all(void)
{
    char path[128];
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    rmdir(folder);
}

/* Which files stand beside the one that is tried: those of its kind. */
static void lay_out(int tried)
{
    static const int with[FILES][3] = {{0, 2, 6}, {1, 2, 7}, {0, 2, 6}, {3, 4, 7}, {3, 4, 2},
                                       {5, 2, 6}, {0, 2, 6}, {0, 2, 7}, {0, 2, 8}};
    static int there = -1;
    char path[128];
    for (int i = 0; i < FILES && there != tried; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    for (int i = 0; i < 3 && there != tried; i++)
        write_file(with[tried][i], usual[with[tried][i]], strlen(usual[with[tried][i]]));
    there = tried;
}

static void try_folder(const char *arch, uint64_t n)
{
    static vb_gguf_writer w;
    vb_vocabulary *v;
    vb_err err = {0};
    if (vb_vocabulary_read(&v, folder, arch, n, &err) != VB_OK) {
        if (err.code >= 0 || err.text[0] == 0 || v != NULL) abort();
        return;
    }
    memset(&w, 0, sizeof w);
    vb_vocabulary_put(v, &w);
    if (w.status != VB_OK || vb_vocabulary_size(v) == 0 || (n != 0 && vb_vocabulary_size(v) != n)) abort();
    free(w.keys.data);
    vb_vocabulary_close(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const archs[] = {"gpt2", "llama", "gemma3", "gemma4", "bert", "phi3", "smollm3", "qwen2"};
    static int made;
    if (size < 2) return 0;
    if (!made && mkdtemp(folder) == NULL) abort();
    if (!made) atexit(remove_all);
    made = 1;
    int tried = data[1] % FILES;
    lay_out(tried);
    write_file(tried, data + 2, size - 2);
    try_folder(archs[data[0] % 8], data[0] & 128 ? 64 : 0);
    return 0;
}
