/* recall.c - passages in files: found by meaning in any order, kept through crashes, full disks and other processes. */
#include "cast/passages.h"
#include "verbatim_dialogue.h"

#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char tales[] = "tales-1m", mean[] = "tests/golden/bert-mean/model.gguf", nomic[] = "tests/golden/nomic-bert/model.gguf";

static vb_model *open_model(const char *name)
{
    vb_model *m;
    vb_err err;
    vb_model_opts how = {.embeddings = 1, .threads = 1};
    cr_assert_eq(vb_model_open(&m, name, &how, &err), VB_OK, "%s", err.text);
    return m;
}

static vb_recall *open_recall(const char *path, vb_model *m)
{
    vb_recall *r;
    vb_err err;
    cr_assert_eq(vb_recall_open(&r, path, m, &err), VB_OK, "%s", err.text);
    return r;
}

static char *scratch(void)
{
    static char path[64];
    strcpy(path, "/tmp/recall-XXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    unlink(path);
    return path;
}

static void add(vb_recall *r, uint64_t entity, uint64_t tick, const char *text)
{
    vb_err err;
    cr_assert_eq(vb_recall_add(r, entity, tick, text, strlen(text), &err), VB_OK, "%s", err.text);
}

static int search(vb_recall *r, uint64_t entity, uint64_t tick, const char *text, vb_recalled *out, int k)
{
    vb_err err;
    int n = vb_recall_search(r, entity, tick, text, strlen(text), out, k, &err);
    cr_assert_geq(n, 0, "%s", err.text);
    return n;
}

static const char *const texts[] = {
    "The fox lives in the old mill.", "The king lost his golden ring.", "It rained for nine days.", "The baker has a red cat.",
    "Nobody knows where the treasure is.", "The river is cold in winter.", "A dog barked at the moon.", "The fox lives in the old mill.",
};
enum { TEXTS = sizeof texts / sizeof *texts };

/* All that is found, as text with the scores' bits. */
static void answers(vb_recall *r, char *to, size_t cap)
{
    vb_recalled found[TEXTS];
    size_t at = 0;
    for (int i = 0; i < TEXTS; i++) {
        int n = search(r, (uint64_t)(i % 3), 6, texts[i], found, TEXTS);
        for (int j = 0; j < n; j++) {
            uint32_t bits;
            memcpy(&bits, &found[j].score, 4);
            at += (size_t)snprintf(to + at, cap - at, "%d %d %08x %s\n", (int)found[j].entity, (int)found[j].tick, bits, found[j].text);
        }
    }
}

static void any_order(const char *name)
{
    vb_model *m = open_model(name);
    char first[20000] = "", again[20000] = "";
    for (int round = 0; round < 4; round++) {
        vb_recall *r = open_recall(NULL, m);
        for (int i = 0; i < TEXTS; i++) {
            int k = (i * (2 * round + 1) + round) % TEXTS;
            add(r, (uint64_t)(k % 3), (uint64_t)k, texts[k]);
            add(r, (uint64_t)(k % 3), (uint64_t)k, texts[k]);
        }
        cr_assert_eq(vb_recall_count(r), TEXTS);
        answers(r, round == 0 ? first : again, sizeof first);
        if (round > 0) cr_assert_str_eq(first, again);
        vb_recall_close(r, NULL);
    }
    cr_assert_gt(strlen(first), 1000);
    vb_model_close(m);
}

Test(recall, any_order)
{
    any_order(mean);
    any_order(nomic);
    any_order(tales);
}

Test(recall, who_knows_what)
{
    vb_model *m = open_model(mean);
    vb_recall *r = open_recall(NULL, m);
    vb_recalled found[9];
    add(r, 1, 5, texts[0]);
    add(r, 0, 3, texts[1]);
    add(r, 2, 1, texts[0]);
    add(r, 1, 4, texts[0]);
    cr_assert_eq(search(r, 1, 9, texts[0], found, 9), 3);
    cr_assert_str_eq(found[0].text, texts[0]);
    cr_assert(fabsf(found[0].score - 1.0f) < 1e-5f && found[0].score == found[1].score && found[2].score < found[1].score);
    cr_assert(found[0].tick == 4 && found[1].tick == 5 && found[2].entity == 0 && strcmp(found[2].text, texts[1]) == 0);
    cr_assert_eq(search(r, 1, 5, texts[0], found, 9), 2);
    cr_assert_eq(search(r, 1, 3, texts[0], found, 9), 0);
    cr_assert_eq(search(r, 7, 4, texts[0], found, 9), 1);
    cr_assert_eq(search(r, 1, 9, texts[0], found, 1), 1);
    cr_assert_eq(search(r, 1, 9, texts[0], found, 0), 0);
    cr_assert_eq(search(r, 1, 9, "  ", found, 9), 0);
    vb_recall_close(r, NULL);
    vb_model_close(m);
}

/* Each passage fits, all of the words are there in their order, and sentences stay whole where they can. */
Test(recall, passages)
{
    vb_model *m = open_model(tales);
    char text[30000] = "", joined[30000] = "";
    vb_err err;
    size_t at = 0, from, len;
    int n = 0;
    for (int i = 0; i < 60; i++) {
        for (int word = 0; word < 3 + i * i % 31; word++) strcat(text, word % 5 == 3 ? "Mr. Fox, " : "went \xC3\xA9t\xC3\xA9 ");
        strcat(text, i % 7 == 3 ? "home! \n\n" : "home. ");
        for (int word = 0; i == 30 && word < 300; word++) strcat(text, "xylophones ");
        for (int c = 0; i == 40 && c < 600; c++) strcat(text, "\xF0\x9F\xA6\x8A");
    }
    while (at < strlen(text)) {
        cr_assert_eq(vb_passage_next(m, VB_PASSAGE_TOKENS, text, strlen(text), &at, &from, &len, &err), VB_OK);
        int64_t tokens = vb_tokenize(m, text + from, len, VB_ADD_SPECIAL, NULL, 0, &err);
        cr_assert(tokens <= VB_PASSAGE_TOKENS, "%d tokens", (int)tokens);
        cr_assert(len == 0 || ((text[from] & 0xC0) != 0x80 && (text[from + len] & 0xC0) != 0x80), "a character was cut");
        strncat(joined, text + from, len);
        n++;
    }
    cr_assert(n > 20 && n < 120, "%d", n);
    for (char *from_text = text, *to = text;; from_text++) { /* without white space they are the same */
        if (*from_text != ' ' && *from_text != '\n') *to++ = *from_text;
        if (*from_text == 0) break;
    }
    for (char *from_text = joined, *to = joined;; from_text++) {
        if (*from_text != ' ' && *from_text != '\n') *to++ = *from_text;
        if (*from_text == 0) break;
    }
    cr_assert_str_eq(text, joined);
    vb_model_close(m);
}

Test(recall, kept)
{
    vb_model *m = open_model(mean), *other = open_model(nomic);
    char *path = scratch(), first[20000] = "", again[20000] = "";
    vb_recall *r = open_recall(path, m), *second;
    vb_err err;
    for (int i = 0; i < TEXTS; i++) add(r, (uint64_t)(i % 3), (uint64_t)i, texts[i]);
    answers(r, first, sizeof first);
    cr_assert_eq(vb_recall_open(&second, path, m, &err), VB_E_IO);
    cr_assert_not_null(strstr(err.text, "somebody has"));
    cr_assert_eq(vb_recall_close(r, &err), VB_OK);
    r = open_recall(path, m);
    answers(r, again, sizeof again);
    cr_assert_str_eq(first, again);
    add(r, 0, 0, texts[0]);
    cr_assert_eq(vb_recall_count(r), TEXTS);
    vb_recall_close(r, NULL);
    cr_assert_eq(vb_recall_open(&second, path, other, &err), VB_E_DIFFERS);
    cr_assert_null(second);
    unlink(path);
    vb_model_close(m);
    vb_model_close(other);
}

static char bytes[40000];
static size_t read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    return n;
}

static void write_file(const char *path, size_t n)
{
    FILE *f = fopen(path, "wb");
    cr_assert_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* Whatever a crash has left of the last writes, what was there before is there again, and can be added to. */
Test(recall, torn)
{
    vb_model *m = open_model(mean);
    char *path = scratch();
    vb_recall *r = open_recall(path, m);
    size_t ends[4], size;
    for (int i = 0; i < 4; i++) {
        add(r, 1, (uint64_t)i, texts[i]);
        struct stat st;
        cr_assert_eq(stat(path, &st), 0);
        ends[i] = (size_t)st.st_size;
    }
    vb_recall_close(r, NULL);
    size = read_file(path);
    cr_assert_eq(size, ends[3]);
    for (size_t cut = 0; cut <= size; cut += cut > ends[2] ? 7 : 61) {
        int whole = 0;
        while (whole < 4 && ends[whole] <= cut) whole++;
        write_file(path, cut);
        r = open_recall(path, m);
        cr_assert_eq(vb_recall_count(r), whole, "cut at %zu", cut);
        add(r, 1, 9, texts[5]);
        vb_recall_close(r, NULL);
        r = open_recall(path, m);
        cr_assert_eq(vb_recall_count(r), whole + 1);
        vb_recall_close(r, NULL);
    }
    unlink(path);
    vb_model_close(m);
}

/* A changed byte in the last passage is as good as a torn one; anywhere before it nothing is opened and nothing cut. */
Test(recall, damaged)
{
    vb_model *m = open_model(mean);
    char *path = scratch();
    vb_recall *r = open_recall(path, m);
    vb_err err;
    struct stat st;
    for (int i = 0; i < 3; i++) add(r, 1, (uint64_t)i, texts[i]);
    cr_assert_eq(stat(path, &st), 0);
    size_t last = (size_t)st.st_size;
    add(r, 1, 3, texts[3]);
    vb_recall_close(r, NULL);
    size_t size = read_file(path);
    for (size_t at = 0; at < size; at += 5) {
        bytes[at] ^= 0x10;
        write_file(path, size);
        vb_status status = vb_recall_open(&r, path, m, &err);
        if (at >= last) cr_assert(status == VB_OK && vb_recall_count(r) == 3, "byte %zu", at);
        else cr_assert(status == VB_E_FORMAT && r == NULL, "byte %zu: %d", at, status);
        cr_assert_eq(stat(path, &st), 0);
        cr_assert_eq((size_t)st.st_size, at >= last ? last : size);
        if (status == VB_OK) vb_recall_close(r, NULL);
        bytes[at] ^= 0x10;
    }
    unlink(path);
    vb_model_close(m);
}

Test(recall, full_disk)
{
    vb_model *m = open_model(mean);
    char *path = scratch();
    vb_recall *r = open_recall(path, m);
    vb_err err;
    struct stat before, after;
    add(r, 1, 1, texts[0]);
    cr_assert_eq(stat(path, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit was, now;
    getrlimit(RLIMIT_FSIZE, &was);
    for (rlim_t more = 0; more < 300; more += 50) {
        now = was;
        now.rlim_cur = (rlim_t)before.st_size + more;
        setrlimit(RLIMIT_FSIZE, &now);
        cr_assert_eq(vb_recall_add(r, 1, 2, texts[1], strlen(texts[1]), &err), VB_E_IO);
        cr_assert_not_null(strstr(err.text, "it holds what it held"), "%s", err.text);
        cr_assert_eq(stat(path, &after), 0);
        cr_assert_eq(after.st_size, before.st_size);
        cr_assert_eq(vb_recall_count(r), 1);
    }
    setrlimit(RLIMIT_FSIZE, &was);
    add(r, 1, 2, texts[1]);
    cr_assert_eq(vb_recall_close(r, &err), VB_OK);
    r = open_recall(path, m);
    cr_assert_eq(vb_recall_count(r), 2);
    vb_recall_close(r, NULL);
    unlink(path);
    vb_model_close(m);
}

/* A process that is killed while it adds loses nothing of what was added before. */
Test(recall, killed)
{
    char *path = scratch();
    int report[2], last = -1, number;
    cr_assert_eq(pipe(report), 0);
    pid_t child = fork();
    if (child == 0) {
        vb_model *m = open_model(mean);
        vb_recall *r = open_recall(path, m);
        char text[40];
        for (int i = 0;; i++) {
            snprintf(text, sizeof text, "The fox met %d hens.", i);
            add(r, 1, (uint64_t)i, text);
            if (write(report[1], &i, sizeof i) < 0) _exit(1);
        }
    }
    while (last < 40 && read(report[0], &number, sizeof number) == sizeof number) last = number;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    vb_model *m = open_model(mean);
    vb_recall *r = open_recall(path, m);
    cr_assert_gt(vb_recall_count(r), 40, "%d of %d", (int)vb_recall_count(r), last);
    vb_recall_close(r, NULL);
    unlink(path);
    vb_model_close(m);
}

Test(recall, refused)
{
    vb_model *m = open_model(mean), *speaker;
    vb_recall *r;
    vb_err err;
    vb_recalled found[2];
    vb_model_opts how = {.threads = 1};
    cr_assert_eq(vb_model_open(&speaker, tales, &how, &err), VB_OK);
    cr_assert_eq(vb_recall_open(&r, NULL, speaker, &err), VB_E_ARGUMENT);
    cr_assert_eq(vb_recall_open(&r, NULL, NULL, &err), VB_E_ARGUMENT);
    cr_assert_eq(vb_recall_open(&r, "/nowhere/at/all", m, &err), VB_E_NOT_FOUND);
    cr_assert_eq(vb_recall_open(&r, "/tmp", m, &err), VB_E_IO);
    cr_assert_eq(vb_recall_open(&r, mean, m, &err), VB_E_FORMAT);
    cr_assert_null(r);
    r = open_recall(NULL, m);
    cr_assert_eq(vb_recall_add(r, 1, 1, "a\0b", 3, &err), VB_E_ARGUMENT);
    cr_assert_eq(vb_recall_add(r, 1, 1, " \n ", 3, &err), VB_OK);
    cr_assert_eq(vb_recall_count(r), 0);
    cr_assert_eq(vb_recall_search(r, 1, 1, "a", 1, found, -1, &err), VB_E_ARGUMENT);
    cr_assert_eq(vb_recall_close(r, &err), VB_OK);
    cr_assert_eq(vb_recall_close(NULL, &err), VB_OK);
    vb_model_close(speaker);
    vb_model_close(m);
}
