/* matrix.c - one digest a model: the oracle plays some tokens, then every condition of prove/conditions.h plays them
 * again on the cpu player, in both arithmetic modes and with each KV type. All logits must have the same bytes.
 *
 *   matrix MODEL TOKENS.json|- [--tokens N] [--want N] [--kv TYPE] [--quick] [--every N]
 *          [--gpu DEVICE [--also] [--must] [--splits N]]
 *
 * TOKENS.json is an array of ids; `-` makes N ids spread over the vocabulary. --want compares the logits of the last
 * tokens only (large vocabularies). --quick takes fewer thread counts and one chunk size beside all; --every N asks
 * one in N of the conditions. --gpu asks with layers split between the CPU and that device, in one of N --splits;
 * --also: beside the other conditions; --must: it has to take some. `verbatim doctor --prove` walks the same table with
 * one model that it brings along.
 */
#include "gpu/core.h"
#include "prove/walk.h"
#include "tests/ids.h"
#include "tests/tally.h"

#include <stdlib.h>
#include <string.h>

__attribute__((noreturn)) static void fatal(const vb_err *err)
{
    fprintf(stderr, "matrix: %s\n", err->text);
    exit(1);
}

static int told(void *ud, const vb_question *q, const vb_condition *c, const char *difference)
{
    char text[256];
    (void)ud;
    vb_condition_text(text, sizeof text, q, c);
    if (difference[0] == 0) passed();
    else failed("%s: %s: %s", q->path, text, difference);
    return 0;
}

static void remove_tree(const char *dir)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    if (system(command) != 0) exit(1);
}

static void ask(vb_question *q, vb_walk *w)
{
    vb_err err;
    uint8_t digest[16];
    char dir[] = "/tmp/verbatim-matrix-XXXXXX";
    if (vb_question_open(q, &err) < 0 || vb_question_settle(q, &err) < 0) fatal(&err);
    if (vb_question_digest(q, q->expected, digest, &err) < 0) fatal(&err);
    printf("%s %s: ", q->path, q->arith == VB_ARITH_F32 ? "f32 " : "int8");
    for (int i = 0; i < 16; i++) printf("%02x", digest[i]);
    int before = tally.passed;
    if (mkdtemp(dir) == NULL) exit(1);
    q->cache = dir;
    w->deal = 0;
    if (vb_walk_conditions(w, q, &err) < 0) fatal(&err);
    remove_tree(dir);
    vb_question_close(q);
    printf("  %d conditions\n", tally.passed - before);
}

static void spread(ids *tokens, const char *path)
{
    vb_err err;
    vb_model *m;
    vb_model_info info;
    vb_model_opts o = {.threads = 1};
    uint32_t x = 12345;
    if (vb_model_open(&m, path, &o, &err) < 0) fatal(&err);
    vb_model_describe(m, &info);
    vb_model_close(m);
    for (int i = 0; i < tokens->n; i++) {
        x = x * 1664525u + 1013904223u;
        tokens->id[i] = (vb_token)(x % (uint32_t)(info.embeds ? info.width : info.vocab));
    }
}

/* 1: there is none, which is said. */
static int lacks_gpu(const char *gpu)
{
    vb_gpu_facts facts[16];
    vb_err err = {0};
    int n = vb_gpu_list(facts, 16, &err);
    for (int i = 0; i < n && i < 16; i++)
        if (strstr(facts[i].name, gpu) != NULL) return 0;
    printf("matrix: no device: %s\n", n < 0 ? err.text : gpu);
    return 1;
}

int main(int argc, char **argv)
{
    vb_question q = {0};
    vb_walk w = {.told = told};
    const char *kv = "default";
    int limit = 0;
    ids tokens;
    if (argc < 3) return fprintf(stderr, "usage: matrix MODEL TOKENS.json|- [--tokens N] [--want N] [--quick] [--every N]\n"), 2;
    q.path = argv[1];
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) w.quick = 1;
        if (strcmp(argv[i], "--must") == 0) w.gpu_must = 1;
        if (strcmp(argv[i], "--also") == 0) w.gpu_also = 1;
        if (i + 1 < argc && strcmp(argv[i], "--gpu") == 0) w.gpu = argv[i + 1];
        if (i + 1 < argc && strcmp(argv[i], "--splits") == 0) w.splits = atoi(argv[i + 1]);
        if (i + 1 < argc && strcmp(argv[i], "--tokens") == 0) limit = atoi(argv[i + 1]);
        if (i + 1 < argc && strcmp(argv[i], "--every") == 0) w.every = atoi(argv[i + 1]);
        if (i + 1 < argc && strcmp(argv[i], "--want") == 0) q.want = atoi(argv[i + 1]);
        if (i + 1 < argc && strcmp(argv[i], "--kv") == 0) kv = argv[i + 1];
    }
    if (w.gpu != NULL && lacks_gpu(w.gpu)) {
        if (!w.gpu_also) return printf("0 passed, 0 failed\n"), 0;
        w.gpu = NULL;
    }
    static const char *const types[] = {"default", "f16", "f32", "q8_0"};
    for (int i = 0; i < 4; i++)
        if (strcmp(types[i], kv) == 0) q.kv = (vb_kv)i;
    if (strcmp(argv[2], "-") != 0)
        tokens = ids_read(argv[2], limit);
    else
        tokens = ids_make(limit > 0 ? limit : 24), spread(&tokens, q.path);
    if (tokens.n < 2) return fprintf(stderr, "matrix: expected at least 2 tokens\n"), 2;
    for (const char *c = q.path; w.gpu != NULL && *c != 0; c++) w.split += (unsigned char)*c; /* each begins elsewhere */
    q.ids = tokens.id;
    q.n = tokens.n;
    for (int a = 0; a < 2; a++) {
        q.arith = a == 0 ? VB_ARITH_INT8 : VB_ARITH_F32;
        ask(&q, &w);
    }
    free(tokens.id);
    return verdict();
}
