/* prefix.c - prefixes kept on disk: found again after a restart, shared where prompts begin alike, and never misused:
 * whatever the files hold, the logits are those of an evaluation without them.
 */
#include "verbatim.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VOCAB = 384, MOST = 700, PATHS = 32, PATH = 1024 };
static const char *const path = "tests/golden/llama-gqa/model.gguf";
static vb_model *model;
static char dir[64];
static vb_token text[MOST];

static void begin(void)
{
    vb_err err = {0};
    vb_model_opts o = {.threads = 1};
    strcpy(dir, "/tmp/verbatim-prefix-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(vb_model_open(&model, path, &o, &err), VB_OK, "%s", err.text);
    for (int i = 0; i < MOST; i++) text[i] = (i * 7919 + i / 5 * 31) % VOCAB;
}

/* Files of the cache; their paths when asked for. */
static int files(char paths[PATHS][PATH])
{
    int n = 0;
    DIR *top = opendir(dir);
    for (struct dirent *e; (e = readdir(top)) != NULL;) {
        char node[400];
        snprintf(node, sizeof node, "%s/%s", dir, e->d_name);
        DIR *d = e->d_name[0] == '.' ? NULL : opendir(node);
        for (struct dirent *f; d != NULL && (f = readdir(d)) != NULL;)
            if (f->d_name[0] != '.' && n < PATHS) {
                if (paths != NULL) snprintf(paths[n], PATH, "%s/%s", node, f->d_name);
                n++;
            }
        if (d != NULL) closedir(d);
    }
    closedir(top);
    return n;
}

static void end(void)
{
    char command[128];
    vb_model_close(model);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    cr_expect_eq(system(command), 0);
}

TestSuite(prefix, .init = begin, .fini = end);

static vb_session *open_session(const char *cache, vb_kv kv)
{
    vb_err err = {0};
    vb_session *s;
    vb_session_opts o = {.context = MOST, .kv = kv, .cache = cache};
    cr_assert_eq(vb_session_open(&s, model, &o, &err), VB_OK, "%s", err.text);
    return s;
}

static void logits_of(const char *cache, const vb_token *ids, int n, float *out)
{
    vb_session *s = open_session(cache, VB_KV_DEFAULT);
    cr_assert_eq(vb_session_sync(s, ids, n, NULL), VB_OK);
    memcpy(out, vb_session_logits(s, NULL), VOCAB * sizeof *out);
    vb_session_close(s);
}

/* A new session finds `held` tokens of these and ends with the logits of a session that has no cache. */
static void finds(const vb_token *ids, int n, int held, const char *what)
{
    float expected[VOCAB];
    int found;
    vb_stats stats;
    vb_session *s = open_session(dir, VB_KV_DEFAULT);
    logits_of(NULL, ids, n, expected);
    cr_assert_eq(vb_session_recall(s, ids, n, &found, NULL), VB_OK);
    if (held >= 0) cr_expect_eq(found, held, "%s: expected %d known tokens, found %d", what, held, found);
    cr_assert_eq(vb_session_sync(s, ids, n, NULL), VB_OK);
    vb_session_stats(s, &stats);
    cr_expect_eq(stats.evaluated, (uint64_t)(found == n ? 1 : n - found), "%s", what);
    cr_assert_eq(memcmp(vb_session_logits(s, NULL), expected, sizeof expected), 0, "%s: other bits", what);
    vb_session_close(s);
}

Test(prefix, a_restart_evaluates_one_token)
{
    finds(text, 600, 0, "empty cache");
    cr_expect_eq(files(NULL), 3);
    finds(text, 600, 600, "after a restart");
    finds(text, 256, 256, "a whole block");
    finds(text, 300, 300, "the middle of a block");
    finds(text, 700, 600, "a longer text");
    finds(text, 700, 700, "the longer text again");
    cr_expect_eq(files(NULL), 3, "the longer leaf replaces the shorter");
}

Test(prefix, texts_share_what_they_begin_with)
{
    vb_token other[MOST];
    memcpy(other, text, sizeof other);
    for (int i = 555; i < MOST; i++) other[i] = (text[i] + 1) % VOCAB;
    finds(text, 600, 0, "first");
    finds(other, 620, 555, "second");
    finds(other, 620, 620, "second again");
    finds(text, 600, 600, "first again");
    cr_expect_eq(files(NULL), 4);
}

Test(prefix, a_session_goes_on_from_what_it_holds)
{
    float expected[VOCAB];
    finds(text, 600, 0, "keep");
    logits_of(NULL, text, 600, expected);
    vb_session *s = open_session(dir, VB_KV_DEFAULT);
    cr_assert_eq(vb_session_sync(s, text + 1, 600, NULL), VB_OK, "as many tokens, but others");
    cr_assert_eq(vb_session_sync(s, text, 600, NULL), VB_OK);
    cr_assert_eq(memcmp(vb_session_logits(s, NULL), expected, sizeof expected), 0, "other bits");
    vb_session_close(s);
}

Test(prefix, other_settings_find_nothing)
{
    int held;
    finds(text, 600, 0, "keep");
    vb_session *s = open_session(dir, VB_KV_F32);
    cr_assert_eq(vb_session_recall(s, text, 600, &held, NULL), VB_OK);
    cr_expect_eq(held, 0, "another KV type");
    vb_session_close(s);
    vb_model_close(model);
    vb_model_opts o = {.arith = VB_ARITH_F32, .threads = 1};
    cr_assert_eq(vb_model_open(&model, path, &o, NULL), VB_OK);
    s = open_session(dir, VB_KV_F16);
    cr_assert_eq(vb_session_recall(s, text, 600, &held, NULL), VB_OK);
    cr_expect_eq(held, 0, "another arithmetic");
    vb_session_close(s);
}

static void flip(const char *file, off_t at)
{
    unsigned char c;
    int fd = open(file, O_RDWR);
    cr_assert(fd >= 0 && pread(fd, &c, 1, at) == 1);
    c ^= 0x10;
    cr_assert_eq(pwrite(fd, &c, 1, at), 1);
    close(fd);
}

Test(prefix, damage_is_never_used, .timeout = 120)
{
    char paths[PATHS][PATH];
    static const double places[] = {0, 0.00001, 0.0003, 0.001, 0.1, 0.5, 0.9, 0.99999};
    finds(text, 600, 0, "keep");
    for (int f = 0; f < 3; f++)
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
            struct stat st;
            cr_assert_eq(files(paths), 3);
            stat(paths[f], &st);
            flip(paths[f], (off_t)((double)st.st_size * places[i]));
            finds(text, 600, -1, "one flipped bit");
            finds(text, 600, 600, "made again");
        }
}

Test(prefix, a_file_cut_anywhere_is_never_used, .timeout = 120)
{
    char paths[PATHS][PATH];
    finds(text, 600, 0, "keep");
    for (int f = 0; f < 3; f++)
        for (int cut = 0; cut < 5; cut++) {
            struct stat st;
            cr_assert_eq(files(paths), 3);
            stat(paths[f], &st);
            cr_assert_eq(truncate(paths[f], st.st_size * cut / 5), 0);
            finds(text, 600, -1, "a cut file");
            finds(text, 600, 600, "made again");
        }
}

Test(prefix, a_file_of_another_place_is_never_used)
{
    char a[PATHS][PATH], *command;
    vb_token other[MOST];
    memcpy(other, text, sizeof other);
    other[0] = (text[0] + 1) % VOCAB;
    finds(text, 600, 0, "keep");
    finds(other, 600, 0, "keep another");
    int n = files(a);
    cr_assert_eq(n, 6);
    for (int pair = 0; pair < n * n; pair++) {
        if (pair / n == pair % n) continue;
        cr_assert(asprintf(&command, "rm -rf '%s'.kept; cp -r '%s' '%s'.kept; cp '%s' '%s'", dir, dir, dir, a[pair / n],
                           a[pair % n]) > 0);
        cr_assert_eq(system(command), 0);
        free(command);
        finds(text, 600, -1, "a file under another's name");
        finds(other, 600, -1, "a file under another's name");
        cr_assert(asprintf(&command, "rm -rf '%s'; mv '%s'.kept '%s'", dir, dir, dir) > 0);
        cr_assert_eq(system(command), 0);
        free(command);
    }
}

Test(prefix, what_cannot_be_written_is_done_without)
{
    int held;
    vb_session *s = open_session(dir, VB_KV_DEFAULT);
    cr_assert_eq(vb_session_sync(s, text, 300, NULL), VB_OK);
    vb_session_close(s);
    DIR *top = opendir(dir);
    char node[400] = "", command[900];
    for (struct dirent *e; (e = readdir(top)) != NULL;)
        if (e->d_name[0] != '.') snprintf(node, sizeof node, "%s/%s", dir, e->d_name);
    closedir(top);
    snprintf(command, sizeof command, "rm -rf '%s'/* && touch '%s'", dir, node);
    s = open_session(dir, VB_KV_DEFAULT);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(vb_session_sync(s, text, 300, NULL), VB_OK);
    cr_assert_not_null(vb_session_logits(s, NULL));
    cr_assert_eq(vb_session_recall(s, text, 300, &held, NULL), VB_OK);
    cr_expect_eq(held, 300);
    vb_session_close(s);
}

static void *keep(void *opaque)
{
    (void)opaque;
    finds(text, 600, -1, "side by side");
    return NULL;
}

Test(prefix, sessions_side_by_side)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) cr_assert_eq(pthread_create(&threads[i], NULL, keep, NULL), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    cr_expect_eq(files(NULL), 3);
    finds(text, 600, 600, "afterwards");
}

Test(prefix, a_fork_keeps_too)
{
    vb_session *s = open_session(dir, VB_KV_DEFAULT), *fork;
    cr_assert_eq(vb_session_sync(s, text, 100, NULL), VB_OK);
    cr_assert_eq(vb_session_fork(&fork, s, NULL), VB_OK);
    vb_session_close(s);
    cr_assert_eq(vb_session_sync(fork, text, 600, NULL), VB_OK);
    vb_session_close(fork);
    finds(text, 600, 600, "kept by the fork");
}

Test(prefix, players_with_a_state_of_their_own_refuse)
{
    vb_err err = {0};
    vb_session *s;
    vb_session_opts so = {.context = 64, .cache = dir};
    vb_model_close(model);
    vb_model_opts o = {.player = "oracle"};
    cr_assert_eq(vb_model_open(&model, path, &o, NULL), VB_OK);
    cr_assert_eq(vb_session_open(&s, model, &so, &err), VB_E_UNSUPPORTED);
    cr_assert_not_null(strstr(err.text, "player oracle"), "%s", err.text);
}
