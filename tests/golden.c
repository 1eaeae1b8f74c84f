/* golden.c - the oracle and the cpu player against the world: logits of transformers on tiny random models.
 *
 *   golden CASE_DIR...      each holds model.gguf, tokens.json, logits.f32, greedy.json, meta.json
 *
 * Per case: in f32 mode all logits within the case's tolerance on cpu, oracle and blas, and the greedy continuation
 * equal. A case of embeddings has embd_none.f32, embd_mean.f32, embd_cls.f32 instead, as far as they are there. In int8
 * mode the drift (rms) is printed beside llama.cpp's own: at most 1.3 times that in each case, and 1.05
 * times in the geometric mean over those that llama.cpp computes with integers too.
 */
#include "tests/ids.h"
#include "tests/tally.h"
#include "verbatim.h"

#include <math.h>
#include <string.h>

typedef struct {
    const char *dir;
    char model[512];
    ids tokens, greedy;
    float *expected, *found;
    int vocab;
    double tolerance, peer_max, peer_rms;
} test_case;

static const char *in(const test_case *c, const char *name, char *buf, size_t cap)
{
    snprintf(buf, cap, "%s/%s", c->dir, name);
    return buf;
}

static float *read_floats(const char *path, size_t n)
{
    float *data = malloc(n * sizeof *data);
    FILE *f = fopen(path, "rb");
    if (f == NULL || data == NULL || fread(data, sizeof *data, n, f) != n) {
        fprintf(stderr, "%s: expected %zu floats\n", path, n);
        exit(1);
    }
    fclose(f);
    return data;
}

static test_case load(const char *dir)
{
    char path[600];
    test_case c = {.dir = dir};
    in(&c, "model.gguf", c.model, sizeof c.model);
    json_t *meta = json_read(in(&c, "meta.json", path, sizeof path));
    json_t *peer = json_object_get(meta, "llama_cpp");
    c.vocab = (int)json_integer_value(json_object_get(meta, "n_vocab"));
    c.tolerance = json_number_value(json_object_get(meta, "tolerance"));
    c.peer_max = json_number_value(json_object_get(peer, "max_abs_diff"));
    c.peer_rms = json_number_value(json_object_get(peer, "rms_diff"));
    json_decref(meta);
    c.tokens = ids_read(in(&c, "tokens.json", path, sizeof path), 0);
    json_t *greedy = json_read(in(&c, "greedy.json", path, sizeof path));
    c.greedy = ids_of(json_object_get(greedy, "tokens"));
    json_decref(greedy);
    c.expected = read_floats(in(&c, "logits.f32", path, sizeof path), (size_t)c.tokens.n * (size_t)c.vocab);
    c.found = malloc((size_t)c.tokens.n * (size_t)c.vocab * sizeof *c.found);
    if (c.found == NULL) exit(1);
    return c;
}

static void unload(test_case *c)
{
    free(c->tokens.id);
    free(c->greedy.id);
    free(c->expected);
    free(c->found);
}

static vb_session *start(const test_case *c, const char *player, vb_arith arith, vb_kv kv, vb_model **m)
{
    vb_err err;
    vb_session *s = NULL;
    vb_model_opts o = {.player = player, .arith = arith, .threads = 2};
    vb_session_opts so = {.context = c->tokens.n + c->greedy.n + 1, .kv = kv};
    if (vb_model_open(m, c->model, &o, &err) == VB_OK && vb_session_open(&s, *m, &so, &err) == VB_OK) return s;
    failed("%s: %s: %s", c->dir, player, err.text);
    vb_model_close(*m);
    return NULL;
}

static int play(test_case *c, vb_session *s)
{
    vb_err err;
    vb_work work = {.session = s, .ids = c->tokens.id, .n = c->tokens.n, .logits = c->found, .want = c->tokens.n};
    if (vb_eval(&work, 1, &err) == VB_OK) return 1;
    failed("%s: %s", c->dir, err.text);
    return 0;
}

static double drift(const test_case *c, double *rms)
{
    size_t n = (size_t)c->tokens.n * (size_t)c->vocab;
    double most = 0.0, sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)c->expected[i] - (double)c->found[i]);
        if (!(d <= most)) most = d;
        sum += d * d;
    }
    *rms = sqrt(sum / (double)n);
    return most;
}

static void continue_greedily(const test_case *c, vb_session *s, const char *player)
{
    vb_err err;
    vb_sampling greedy = {0};
    for (int i = 0; i < c->greedy.n; i++) {
        vb_token id;
        vb_work work = {.session = s, .ids = &id, .n = 1};
        if (vb_sample(s, &greedy, &id, &err) < 0 || vb_eval(&work, 1, &err) < 0) {
            failed("%s: %s: greedy %d: %s", c->dir, player, i, err.text);
            return;
        }
        if (id != c->greedy.id[i]) {
            failed("%s: %s: greedy %d: expected %d, found %d", c->dir, player, i, c->greedy.id[i], id);
            return;
        }
    }
    passed();
}

static void judge_f32(test_case *c, const char *player)
{
    vb_model *m;
    double rms;
    vb_session *s = start(c, player, VB_ARITH_F32, VB_KV_F32, &m);
    if (s == NULL) return;
    if (play(c, s)) {
        double most = drift(c, &rms);
        if (most <= c->tolerance)
            passed();
        else
            failed("%s: %s f32: expected a difference of at most %g, found %g", c->dir, player, c->tolerance, most);
        printf("%-40s %-6s f32  max %.2e (tolerance %.1e)\n", c->dir, player, most, c->tolerance);
        if (strcmp(player, "blas") != 0) continue_greedily(c, s, player);
    }
    vb_session_close(s);
    vb_model_close(m);
}

/* The drifts of quantised cases in units of llama.cpp's own. */
static struct {
    double logs;
    int n;
} ratios;

static void judge_ratios(void)
{
    double mean = ratios.n > 0 ? exp(ratios.logs / ratios.n) : 0.0;
    if (ratios.n == 0) return;
    printf("int8: rms drift in units of llama.cpp's own, geometric mean over %d cases: %.3f\n", ratios.n, mean);
    if (mean <= 1.05)
        passed();
    else
        failed("int8: expected a drift of at most 1.05 times llama.cpp's in the geometric mean, found %.3f", mean);
}

static int is_quantized(vb_model *m)
{
    vb_model_info info;
    vb_model_describe(m, &info);
    return strchr(info.format, 'F') == NULL || strcmp(info.format, "MXFP4") == 0;
}

/* llama.cpp rounds differently, but it quantises activations too: its drift says how large such a drift is. A model of
 * F32 weights has nothing to quantise: with f32 keys and values both modes are one. */
static void judge_int8(test_case *c)
{
    vb_model *m;
    double rms, most;
    vb_session *s = start(c, "cpu", VB_ARITH_INT8, c->peer_rms > 0.0 ? VB_KV_F16 : VB_KV_F32, &m);
    if (s == NULL) return;
    if (play(c, s)) {
        most = drift(c, &rms);
        if (c->peer_rms > 0.0 && is_quantized(m)) {
            ratios.logs += log(rms / c->peer_rms);
            ratios.n++;
        }
        if (rms <= 1.3 * c->peer_rms || most <= c->tolerance)
            passed();
        else
            failed("%s: int8: expected an rms drift near llama.cpp's %g, found %g", c->dir, c->peer_rms, rms);
        printf("%-40s cpu    int8 max %.2e rms %.2e (llama.cpp max %.2e rms %.2e)\n", c->dir, most, rms, c->peer_max,
               c->peer_rms);
    }
    vb_session_close(s);
    vb_model_close(m);
}

/* --- embeddings ---------------------------------------------------------------------------------------------- */

static int has_file(const test_case *c, const char *name)
{
    char path[600];
    FILE *f = fopen(in(c, name, path, sizeof path), "rb");
    if (f != NULL) fclose(f);
    return f != NULL;
}

static void judge_pooling(test_case *c, vb_session *s, const char *player, vb_pooling pooling)
{
    static const char *const files[] = {"", "embd_none.f32", "embd_mean.f32", "embd_cls.f32"};
    char path[600];
    double rms;
    vb_err err;
    test_case part = *c; /* its vocab is the width */
    if (!has_file(c, files[pooling])) return;
    part.tokens.n = pooling == VB_POOLING_NONE ? c->tokens.n : 1;
    part.expected = read_floats(in(c, files[pooling], path, sizeof path), (size_t)part.tokens.n * (size_t)c->vocab);
    if (vb_session_embed(s, c->tokens.id, c->tokens.n, pooling, 0, c->found, &err) < 0) {
        failed("%s: %s: %s", c->dir, player, err.text);
    } else {
        double most = drift(&part, &rms);
        if (most <= c->tolerance)
            passed();
        else
            failed("%s: %s %s: expected a difference of at most %g, found %g", c->dir, player, files[pooling],
                   c->tolerance, most);
        printf("%-40s %-6s %s max %.2e (tolerance %.1e)\n", c->dir, player, files[pooling], most, c->tolerance);
    }
    free(part.expected);
}

static void judge_embeddings(const char *dir)
{
    static const char *const players[] = {"oracle", "cpu", "blas"};
    char path[600];
    test_case c = {.dir = dir};
    in(&c, "model.gguf", c.model, sizeof c.model);
    json_t *meta = json_read(in(&c, "meta.json", path, sizeof path));
    c.tolerance = json_number_value(json_object_get(meta, "tolerance"));
    json_decref(meta);
    c.tokens = ids_read(in(&c, "tokens.json", path, sizeof path), 0);
    for (int i = 0; i < 3; i++) {
        vb_model *m;
        vb_model_info info;
        vb_session *s = start(&c, players[i], VB_ARITH_F32, VB_KV_F32, &m);
        if (s == NULL) continue;
        vb_model_describe(m, &info);
        c.vocab = info.width;
        c.found = malloc((size_t)c.tokens.n * (size_t)c.vocab * sizeof *c.found);
        if (c.found == NULL) exit(1);
        for (vb_pooling p = VB_POOLING_NONE; p <= VB_POOLING_CLS; p++) judge_pooling(&c, s, players[i], p);
        free(c.found);
        vb_session_close(s);
        vb_model_close(m);
    }
    free(c.tokens.id);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        test_case here = {.dir = argv[i]};
        if (has_file(&here, "embd_none.f32")) {
            judge_embeddings(argv[i]);
            continue;
        }
        test_case c = load(argv[i]);
        judge_f32(&c, "oracle");
        judge_f32(&c, "cpu");
        judge_f32(&c, "blas");
        judge_int8(&c);
        unload(&c);
    }
    judge_ratios();
    return verdict();
}
