/* cast.c - many speakers of one small model on one core: tokens a second, prompts and sampling included.
 *
 *   cast [MODEL] [--speakers 256] [--lines 1] [--together N] [--isa NAME]
 *
 * Each speaker has a session of its own, reads a question of some 25 tokens and says 20 to 60 tokens, then the next. For each
 * number of speakers that are evaluated together: tokens a second of the thread's own clock, the digest of all that was
 * said, which must be the same in every row, and what one spoken token takes of evaluation and of choosing.
 */
#include "verbatim.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONTEXT = 128, PROMPT = 64, MOST_SPEAKERS = 1024 };

typedef struct {
    vb_session *session;
    vb_token prompt[PROMPT], next;
    int n_prompt, lines, said, left; /* left 0: the next line begins */
} speaker;

typedef struct {
    vb_model *model;
    speaker *all;
    int n, lines;
    vb_digest *digest;
    int64_t spoken, eval_ns, choose_ns;
} stage;

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void stop_if(vb_status status, const vb_err *err)
{
    if (status >= 0) return;
    fprintf(stderr, "cast: %s\n", err->text);
    exit(1);
}

static void begin_line(stage *st, speaker *s)
{
    static const char *const asked[] = {"How are you today, my friend?", "Where is the treasure of the old king?",
                                        "What did you see in the forest?", "Why do the birds sing at night?"};
    char text[256];
    vb_err err = {0};
    int k = s->lines + (int)(s - st->all);
    snprintf(text, sizeof text, "A man was asked \"%s\". He smiled and said, \"", asked[k % 4]);
    s->n_prompt = (int)vb_tokenize(st->model, text, strlen(text), 0, s->prompt, PROMPT, &err);
    stop_if(s->n_prompt < 0 ? (vb_status)s->n_prompt : VB_OK, &err);
    stop_if(vb_session_rewind(s->session, 0, &err), &err);
    s->said = 0;
    s->left = 20 + (k * 7) % 41;
}

static void choose(stage *st, speaker *s)
{
    vb_err err = {0};
    vb_sampling how = {.temperature = 0.9f, .top_k = 40, .seed = (uint64_t)(s - st->all), .stream = (uint64_t)s->lines};
    stop_if(vb_sample(s->session, &how, &s->next, &err), &err);
    s->said++;
    st->spoken++;
    if (--s->left == 0) s->lines++;
}

/* One evaluation and one choice for each of these speakers. */
static void step(stage *st, speaker *from, int n)
{
    static vb_work work[MOST_SPEAKERS];
    vb_err err = {0};
    int k = 0;
    for (speaker *s = from; s < from + n; s++) {
        if (s->left == 0 && s->lines == st->lines) continue;
        if (s->left == 0) begin_line(st, s);
        work[k++] = (vb_work){.session = s->session, .ids = s->said == 0 ? s->prompt : &s->next,
                              .n = s->said == 0 ? s->n_prompt : 1};
    }
    if (k == 0) return;
    int64_t start = now();
    stop_if(vb_eval(work, k, &err), &err);
    int64_t middle = now();
    for (speaker *s = from; s < from + n; s++)
        if (s->left > 0) choose(st, s);
    st->choose_ns += now() - middle;
    st->eval_ns += middle - start;
}

static int unfinished(const stage *st)
{
    int n = 0;
    for (int i = 0; i < st->n; i++) n += st->all[i].left > 0 || st->all[i].lines < st->lines;
    return n;
}

static void play(stage *st, int together)
{
    int64_t start = now();
    st->spoken = st->eval_ns = st->choose_ns = 0;
    for (int i = 0; i < st->n; i++) st->all[i].lines = st->all[i].left = 0;
    while (unfinished(st) > 0)
        for (int i = 0; i < st->n; i += together) step(st, &st->all[i], together < st->n - i ? together : st->n - i);
    double ns = (double)(now() - start), n = (double)st->spoken;
    uint8_t sum[16];
    vb_err err = {0};
    stop_if(vb_digest_open(&st->digest, &err), &err);
    for (int i = 0; i < st->n; i++) {
        int held;
        const vb_token *ids = vb_session_tokens(st->all[i].session, &held);
        vb_digest_add(st->digest, ids, (size_t)held * sizeof *ids);
    }
    vb_digest_get(st->digest, sum);
    vb_digest_close(st->digest);
    printf("%8d  %8.0f  %9.0f  %9.0f  %02x%02x%02x%02x\n", together, n * 1e9 / ns, (double)st->eval_ns / n,
           (double)st->choose_ns / n, sum[0], sum[1], sum[2], sum[3]);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const int together[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};
    const char *path = VB_MODEL_EMBEDDED;
    vb_model_opts opts = {.threads = 1};
    stage st = {.n = 256, .lines = 1};
    int only = 0;
    vb_err err = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--isa") == 0 && i + 1 < argc) opts.isa = argv[++i];
        else if (strcmp(argv[i], "--lines") == 0 && i + 1 < argc) st.lines = atoi(argv[++i]);
        else if (strcmp(argv[i], "--speakers") == 0 && i + 1 < argc) st.n = atoi(argv[++i]);
        else if (strcmp(argv[i], "--together") == 0 && i + 1 < argc) only = atoi(argv[++i]);
        else path = argv[i];
    }
    if (st.n < 1 || st.n > MOST_SPEAKERS || st.lines < 1) return 2;
    stop_if(vb_model_open(&st.model, path, &opts, &err), &err);
    st.all = calloc((size_t)st.n, sizeof *st.all);
    if (st.all == NULL) return 1;
    for (int i = 0; i < st.n; i++)
        stop_if(vb_session_open(&st.all[i].session, st.model, &(vb_session_opts){.context = CONTEXT}, &err), &err);
    printf("%8s  %8s  %9s  %9s  %s\n", "together", "tokens/s", "eval ns", "choose ns", "digest");
    for (size_t i = 0; i < sizeof together / sizeof together[0]; i++)
        if (together[i] <= st.n && (only == 0 || only == together[i])) play(&st, together[i]);
    for (int i = 0; i < st.n; i++) vb_session_close(st.all[i].session);
    free(st.all);
    vb_model_close(st.model);
    return 0;
}
