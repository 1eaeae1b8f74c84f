/* recordings.c - verbatim beside a recorded Ollama: feed Ollama's own tokens and compare log-probabilities.
 *
 *   recordings MODEL RECORDING.json [--arith int8|f32] [--median M] [--p95 P] [--best B]
 *
 * Raw prompts: the token count must equal Ollama's in every case; over all recorded tokens the difference of
 * log-probabilities has a median and a 95th percentile, and our best token is Ollama's at a share of positions; the
 * three figures are printed and held to the limits given. Whole greedy texts are counted and only reported: a
 * rounding difference early in a text changes the rest of it, in llama.cpp against itself as well. Chat cases report
 * where our rendering has another number of tokens.
 */
#include "tests/ids.h"
#include "tests/tally.h"
#include "verbatim.h"

#include <math.h>
#include <string.h>

typedef struct {
    char *bytes;
    int len;
    vb_token id;
} spelling;

typedef struct {
    vb_model *model;
    spelling *all; /* sorted by bytes */
    int vocab;
    double *drift;
    int n_drift, best, positions, joined, texts, cases;
} judge;

static int by_bytes(const void *a, const void *b)
{
    const spelling *x = a, *y = b;
    int n = x->len < y->len ? x->len : y->len;
    int c = memcmp(x->bytes, y->bytes, (size_t)n);
    return c != 0 ? c : x->len - y->len;
}

static void spell_all(judge *j)
{
    vb_model_info info;
    char buf[4096];
    vb_model_describe(j->model, &info);
    j->vocab = info.vocab;
    j->all = calloc((size_t)j->vocab, sizeof *j->all);
    if (j->all == NULL) exit(1);
    for (int i = 0; i < j->vocab; i++) {
        int64_t n = vb_token_bytes(j->model, i, buf, sizeof buf);
        if (n < 0 || n > (int64_t)sizeof buf) n = 0;
        j->all[i] = (spelling){malloc((size_t)n + 1), (int)n, i};
        if (j->all[i].bytes == NULL) exit(1);
        memcpy(j->all[i].bytes, buf, (size_t)n);
    }
    qsort(j->all, (size_t)j->vocab, sizeof *j->all, by_bytes);
}

/* The likeliest token that spells these bytes; -1: none does. */
static vb_token likeliest(const judge *j, const char *bytes, int len, const float *logits)
{
    spelling key = {(char *)(uintptr_t)bytes, len, 0};
    int low = 0, high = j->vocab;
    while (low < high) {
        int mid = (low + high) / 2;
        if (by_bytes(&j->all[mid], &key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    vb_token best = -1;
    for (; low < j->vocab && by_bytes(&j->all[low], &key) == 0; low++)
        if (best < 0 || logits[j->all[low].id] > logits[best]) best = j->all[low].id;
    return best;
}

static int bytes_of(const json_t *entry, char *buf, int cap)
{
    const json_t *bytes = json_object_get(entry, "bytes");
    int n = (int)json_array_size(bytes);
    for (int i = 0; i < n && i < cap; i++) buf[i] = (char)json_integer_value(json_array_get(bytes, (size_t)i));
    return n < cap ? n : cap;
}

/* Ollama shows tokens that are no whole characters joined together; such an entry is fed, but not judged. */
static int feed_joined(judge *j, vb_session *s, const char *bytes, int len)
{
    vb_err err;
    vb_token part[64];
    int64_t n = vb_tokenize(j->model, bytes, (size_t)len, 0, part, 64, &err);
    vb_work work = {.session = s, .ids = part, .n = (int)n};
    j->joined++;
    return n > 0 && n <= 64 && vb_eval(&work, 1, &err) == VB_OK;
}

/* One recorded token: its drift, whether it is our best one, then it is fed. 0: stop here. */
static int follow(judge *j, vb_session *s, const json_t *entry)
{
    char bytes[512];
    vb_err err;
    int n_vocab, len = bytes_of(entry, bytes, sizeof bytes);
    const float *logits = vb_session_logits(s, &n_vocab);
    vb_token best, id = likeliest(j, bytes, len, logits);
    if (id < 0) return feed_joined(j, s, bytes, len);
    double theirs = json_number_value(json_object_get(entry, "logprob"));
    j->drift[j->n_drift++] = fabs((double)vb_logprob(logits, n_vocab, id) - theirs);
    vb_top_ids(logits, n_vocab, &best, 1);
    j->best += best == id;
    j->positions++;
    vb_work work = {.session = s, .ids = &id, .n = 1};
    return vb_eval(&work, 1, &err) == VB_OK;
}

typedef struct {
    char text[8192];
    size_t len;
} collected;

static int collect(void *ud, const char *text, size_t len)
{
    collected *c = ud;
    if (c->len + len < sizeof c->text) memcpy(c->text + c->len, text, len), c->len += len;
    return 0;
}

static void whole_text(judge *j, vb_session *s, const ids *prompt, const json_t *response, int limit)
{
    vb_err err;
    collected c = {.len = 0};
    vb_generation how = {.max_tokens = limit, .on_text = collect, .ud = &c};
    const char *theirs = json_string_value(json_object_get(response, "response"));
    if (vb_session_sync(s, prompt->id, prompt->n, &err) < 0 || vb_generate(s, &how, NULL, &err) < 0) {
        failed("%s", err.text);
        return;
    }
    j->texts += c.len == strlen(theirs) && memcmp(c.text, theirs, c.len) == 0;
}

static void raw_case(judge *j, const json_t *request, const json_t *response)
{
    vb_err err;
    vb_session *s;
    vb_session_opts o = {.context = 2048};
    const char *text = json_string_value(json_object_get(request, "prompt"));
    int flags = VB_ADD_SPECIAL | VB_PARSE_SPECIAL;
    int64_t n = vb_tokenize(j->model, text, strlen(text), flags, NULL, 0, &err);
    ids prompt = ids_make(n > 0 ? (int)n : 1);
    vb_tokenize(j->model, text, strlen(text), flags, prompt.id, (size_t)prompt.n, &err);
    int64_t theirs = json_integer_value(json_object_get(response, "prompt_eval_count"));
    if (n == theirs)
        passed();
    else
        failed("\"%s\": expected %lld prompt tokens, found %lld", text, (long long)theirs, (long long)n);
    if (vb_session_open(&s, j->model, &o, &err) < 0 || vb_session_sync(s, prompt.id, prompt.n, &err) < 0) {
        failed("\"%s\": %s", text, err.text);
        return;
    }
    const json_t *entries = json_object_get(response, "logprobs");
    size_t i, limit = json_array_size(entries);
    for (i = 0; i < limit && follow(j, s, json_array_get(entries, i)); i++) {
    }
    whole_text(j, s, &prompt, response, (int)limit);
    j->cases++;
    vb_session_close(s);
    free(prompt.id);
}

static void chat_case(const judge *j, const json_t *request, const json_t *response)
{
    vb_err err;
    vb_message msgs[16];
    const json_t *list = json_object_get(request, "messages");
    size_t n = json_array_size(list) < 16 ? json_array_size(list) : 16;
    for (size_t i = 0; i < n; i++) {
        const json_t *m = json_array_get(list, i);
        msgs[i].role = json_string_value(json_object_get(m, "role"));
        msgs[i].content = json_string_value(json_object_get(m, "content"));
    }
    int64_t ours = vb_chat_encode(j->model, msgs, n, NULL, 0, &err);
    int64_t theirs = json_integer_value(json_object_get(response, "prompt_eval_count"));
    if (ours != theirs)
        printf("chat \"%.40s\": Ollama rendered %lld tokens, we %lld\n", msgs[n - 1].content, (long long)theirs,
               (long long)ours);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void hold(const char *what, double found, double limit, int at_least)
{
    if (at_least ? found >= limit : found <= limit)
        passed();
    else
        failed("%s: expected %s %g, found %g", what, at_least ? "at least" : "at most", limit, found);
}

static double option(int argc, char **argv, const char *name, double otherwise)
{
    for (int i = 3; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0) return atof(argv[i + 1]);
    return otherwise;
}

static void all_cases(judge *j, const char *path)
{
    json_t *root = json_read(path), *entry;
    size_t i;
    json_array_foreach(json_object_get(root, "cases"), i, entry)
    {
        const json_t *request = json_object_get(entry, "request"), *response = json_object_get(entry, "response");
        if (json_is_true(json_object_get(request, "raw")))
            raw_case(j, request, response);
        else
            chat_case(j, request, response);
    }
    json_decref(root);
}

static void report(judge *j, int argc, char **argv)
{
    qsort(j->drift, (size_t)j->n_drift, sizeof *j->drift, ascending);
    double median = j->drift[j->n_drift / 2], p95 = j->drift[j->n_drift * 95 / 100];
    double best = (double)j->best / (double)(j->positions > 0 ? j->positions : 1);
    printf("%s: %d tokens: log-probability differs by %.4f nat (median), %.4f (95th percentile); best token Ollama's "
           "at %.2f %%; %d joined entries not judged; whole texts equal: %d of %d\n", argv[1], j->positions, median, p95,
           best * 100.0, j->joined, j->texts, j->cases);
    hold("joined entries", j->joined, 32, 0);
    hold("median", median, option(argc, argv, "--median", 0.025), 0);
    hold("95th percentile", p95, option(argc, argv, "--p95", 0.17), 0);
    hold("best token", best, option(argc, argv, "--best", 0.96), 1);
}

int main(int argc, char **argv)
{
    vb_err err;
    judge j = {0};
    vb_model_opts o = {.template_as = "ollama"};
    if (argc < 3) return fprintf(stderr, "usage: recordings MODEL RECORDING.json [--median M --p95 P --best B]\n"), 2;
    for (int i = 3; i + 1 < argc; i++)
        if (strcmp(argv[i], "--arith") == 0 && strcmp(argv[i + 1], "f32") == 0) o.arith = VB_ARITH_F32;
    if (vb_model_open(&j.model, argv[1], &o, &err) < 0) return fprintf(stderr, "recordings: %s\n", err.text), 1;
    spell_all(&j);
    j.drift = calloc(65536, sizeof *j.drift);
    if (j.drift == NULL) return 1;
    all_cases(&j, argv[2]);
    report(&j, argc, argv);
    for (int k = 0; k < j.vocab; k++) free(j.all[k].bytes);
    free(j.all);
    free(j.drift);
    vb_model_close(j.model);
    return verdict();
}
