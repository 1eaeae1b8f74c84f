/* dialogue.c - any text as a line on its way, a cast, a memory that was saved, a file of passages.
 *
 *   input: one byte that says which, then
 *   line     a text; where it ends is the same wherever it was cut, and so is what is banned in it
 *   pattern  a regex up to the first line feed, then a text
 *   others   what is taken is written as it was read
 */
#include "cast/cast_json.h"
#include "cast/filter.h"
#include "cast/memory.h"
#include "cast/recall_file.h"
#include "cast/stop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LONGEST = 120, WIDTH = 3 };
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* From the first answer on there always is one, and it is that of the whole text. */
static void grow(const vb_stop *stop, const char *text, size_t len)
{
    vb_stopped whole, part;
    int met = 0;
    if (vb_stop_find(stop, text, len, VB_TEXT_ENDED, &whole, NULL) < 0) return;
    for (size_t cut = 0; cut <= len; cut++) {
        if (vb_stop_find(stop, text, cut, VB_TEXT_GROWS, &part, NULL) < 0) return;
        if (met && !part.met) abort();
        if (part.met && (!whole.met || part.from != whole.from || part.len != whole.len)) abort();
        if (part.met && part.from + part.len > cut) abort();
        met = part.met;
    }
}

static void try_line(const char *text, size_t len, vb_stop_rule rule, const char *regex)
{
    vb_stop *stop;
    if (len > LONGEST) len = LONGEST;
    if (vb_stop_open(&stop, rule, regex, len % 2 == 0, NULL) < 0) return;
    grow(stop, text, len);
    vb_stop_close(stop);
}

static void try_words(const char *text, size_t len)
{
    static const char *const banned[] = {"a", "old goat", "a b c", "\xE5\xA5\xBD", "don't", "x"};
    size_t clean = 0;
    vb_filter *f;
    const char *grown = NULL;
    if (vb_filter_open(&f, banned, 6, NULL) < 0) return;
    const char *whole = vb_filter_find(f, text, len, 0, NULL);
    for (size_t cut = 0; cut <= len && grown == NULL; cut += 1 + cut / 64) grown = vb_filter_find(f, text, cut, 1, &clean);
    if (grown == NULL) grown = vb_filter_find(f, text, len, 0, &clean);
    if ((grown == NULL) != (whole == NULL)) abort();
    vb_filter_close(f);
}

static void try_cast(const char *text, size_t len)
{
    vb_cast_json *json;
    vb_err err = {0};
    if (vb_cast_json_read(&json, text, len, &err) == VB_OK) vb_cast_json_close(json);
    else if (err.text[0] == 0) abort();
}

static void try_memory(const uint8_t *data, size_t len)
{
    vb_memory *m;
    char buf[8192];
    if (vb_memory_open(&m, NULL, 8, 4, NULL) < 0) return;
    uint8_t *again = malloc(len + 1);
    if (again != NULL && vb_memory_restore(m, data, len, NULL) == VB_OK &&
        (vb_memory_save(m, again, len) != (int64_t)len || memcmp(again, data, len) != 0))
        abort();
    for (uint64_t entity = 0; entity < 3; entity++) vb_memory_render(m, entity, 9, 100, buf, sizeof buf, NULL);
    free(again);
    vb_memory_close(m);
}

static void try_passages(const uint8_t *data, size_t len)
{
    static const uint8_t embedder[32] = "fuzz";
    static const float vector[WIDTH] = {1.0f, 0.0f, 0.0f};
    vb_passage p = {1, 2, "one", 3, vector};
    vb_recall_file *f;
    char path[40];
    int fd = memfd_create("passages", 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd < 0 || write(fd, data, len) != (ssize_t)len) abort();
    if (vb_recall_file_open(&f, path, embedder, WIDTH, NULL) == VB_OK) {
        int64_t n = vb_recall_file_count(f);
        if (vb_recall_file_append(f, &p, 1, NULL) < 0 || vb_recall_file_close(f, NULL) < 0) abort();
        if (vb_recall_file_open(&f, path, embedder, WIDTH, NULL) < 0 || vb_recall_file_count(f) != n + 1) abort();
        vb_recall_file_get(f, n, &p);
        if (p.entity != 1 || p.tick != 2 || p.len != 3 || strcmp(p.text, "one") != 0 || p.vector[0] != 1.0f) abort();
        vb_recall_file_close(f, NULL);
    }
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    char *text = malloc(size);
    if (text == NULL) return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    size_t line = strcspn(text, "\n");
    switch (data[0] % 7) {
    case 0: try_line(text, size - 1, VB_STOP_SENTENCE, NULL); break;
    case 1: try_line(text, size - 1, VB_STOP_LINE, NULL); break;
    case 2:
        if (line == size - 1) break;
        text[line] = '\0';
        try_line(text + line + 1, size - 2 - line, VB_STOP_REGEX, text);
        break;
    case 3: try_words(text, size - 1); break;
    case 4: try_cast(text, size - 1); break;
    case 5: try_memory(data + 1, size - 1); break;
    default: try_passages(data + 1, size - 1);
    }
    free(text);
    return 0;
}
