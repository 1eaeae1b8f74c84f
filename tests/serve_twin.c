/* serve_twin.c - whatever the load, each job's tokens, text and log-probabilities are those of the same request alone.
 *
 *   serve_twin MODEL [--jobs N] [--seed S]
 *
 * First every request runs alone through vb_eval and vb_sample; then all of them through the scheduler at once, with
 * shared beginnings, in random order, some cancelled on the way. A digest of everything a request produces is compared.
 */
#include "serve/scheduler.h"
#include "tests/random.h"
#include "tests/tally.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PROMPT_MOST = 180, TOKENS = 24 };

typedef struct {
    vb_job job;
    vb_token ids[PROMPT_MOST];
    int cancel_after; /* tokens; 0: never */
    int ended;        /* times */
    vb_job_why why;
    int prompts;      /* rows told of an echo */
    vb_digest *digest;
    uint8_t alone[16], served[16];
} request;

static void note(request *r, vb_token id, float logprob, const char *text, size_t len)
{
    vb_digest_add(r->digest, &id, sizeof id);
    vb_digest_add(r->digest, &logprob, sizeof logprob);
    vb_digest_add(r->digest, text, len);
}

/* --- alone ----------------------------------------------------------------------------------------------- */

static void run_alone(vb_model *model, request *r, const vb_session_opts *opts)
{
    vb_session *s;
    vb_stream *stream;
    vb_streamed piece = {0};
    int vocab;
    if (vb_session_open(&s, model, opts, NULL) < 0 || vb_stream_open(&stream, model, NULL, 0, NULL) < 0 ||
        vb_session_sync(s, r->ids, r->job.n, NULL) < 0)
        exit(1);
    for (int i = 0; i < r->job.max_tokens; i++) {
        vb_token id;
        const float *logits = vb_session_logits(s, &vocab);
        if (vb_sample(s, &r->job.sampling, &id, NULL) < 0) exit(1);
        if (vb_token_ends(model, id)) break;
        float logprob = vb_logprob(logits, vocab, id);
        if (vb_stream_add(stream, id, &piece, NULL) < 0) exit(1);
        note(r, id, logprob, piece.text, piece.len);
        vb_work w = {.session = s, .ids = &id, .n = 1};
        if (vb_eval(&w, 1, NULL) < 0) exit(1);
    }
    if (vb_stream_end(stream, &piece, NULL) < 0) exit(1);
    vb_digest_add(r->digest, piece.text, piece.len);
    vb_digest_get(r->digest, r->alone);
    vb_stream_close(stream);
    vb_session_close(s);
}

/* --- served ---------------------------------------------------------------------------------------------- */

static int on_token(void *ud, const vb_job_token *t)
{
    request *r = ud;
    note(r, t->id, t->logprob, t->text, t->len);
    return r->cancel_after > 0 && r->job.tokens >= r->cancel_after;
}

static void on_prompt(void *ud, int position, const vb_job_token *t)
{
    request *r = ud;
    r->prompts += t->id == r->ids[position] && t->logprob <= 0.0f;
}

static void on_end(void *ud, const vb_job_end *end)
{
    request *r = ud;
    vb_digest_add(r->digest, end->text, end->len);
    vb_digest_get(r->digest, r->served);
    r->why = end->why;
    __atomic_fetch_add(&r->ended, 1, __ATOMIC_RELEASE);
}

static void start_digest(request *r)
{
    vb_digest_close(r->digest);
    if (vb_digest_open(&r->digest, NULL) < 0) exit(1);
}

static int below(rng *random, int n)
{
    return (int)(rng_word(random) % (unsigned)n);
}

static void make_request(request *r, rng *random, const request *first, int vocab)
{
    int shared = first != r ? below(random, first->job.n) : 0;
    int n = shared + 1 + below(random, 40);
    if (n > PROMPT_MOST) n = PROMPT_MOST;
    memcpy(r->ids, first->ids, (size_t)shared * sizeof(vb_token));
    if (first == r) n = PROMPT_MOST;
    for (int i = shared; i < n; i++) r->ids[i] = below(random, vocab);
    r->job = (vb_job){.ids = r->ids, .n = n, .max_tokens = 1 + below(random, TOKENS), .on_token = on_token,
                      .on_prompt = on_prompt, .on_end = on_end, .ud = r};
    r->job.sampling.temperature = below(random, 2) ? 0.8f : 0.0f;
    r->job.sampling.seed = rng_word(random);
    r->job.echo = below(random, 5) == 0;
    if (below(random, 4) == 0) r->cancel_after = 1 + below(random, 8);
}

static void wait_for(request *all, int n)
{
    const struct timespec moment = {.tv_nsec = 2000000};
    for (int i = 0; i < n; i++)
        while (__atomic_load_n(&all[i].ended, __ATOMIC_ACQUIRE) == 0) nanosleep(&moment, NULL);
}

static void judge(const request *r, int i)
{
    int cancelled = r->cancel_after > 0 && r->why == VB_JOB_CANCELLED;
    if (r->ended != 1) failed("request %d: expected one end, found %d", i, r->ended);
    else if (cancelled) passed();
    else if (memcmp(r->alone, r->served, 16) != 0) failed("request %d: its answer beside others is another one", i);
    else if (r->job.echo && r->prompts != r->job.n - 1) failed("request %d: %d echoed tokens of %d", i, r->prompts, r->job.n - 1);
    else passed();
}

int main(int argc, char **argv)
{
    int n = 40;
    rng random = {1};
    vb_err err = {0};
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--jobs") == 0) n = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--seed") == 0) random.state = strtoull(argv[i + 1], NULL, 10);
    }
    vb_hosts_opts hosting = {.paths = 1, .context = 512, .parallel = 5, .keep_ns = VB_KEEP_FOREVER};
    vb_scheduler_opts scheduling = {.step_ns = 1000000};
    vb_hosts *hosts;
    vb_scheduler *s;
    vb_host *host;
    request *all = calloc((size_t)n, sizeof *all);
    if (argc < 2 || all == NULL || vb_hosts_open(&hosts, &hosting, &err) < 0 ||
        vb_scheduler_open(&s, hosts, &scheduling, &err) < 0 || vb_hosts_acquire(hosts, argv[1], 0, &host, &err) < 0) {
        fprintf(stderr, "serve_twin: %s\n", err.text);
        return 1;
    }
    vb_session_opts alone = {.context = host->context};
    for (int i = 0; i < n; i++) {
        start_digest(&all[i]);
        make_request(&all[i], &random, &all[0], host->info.vocab);
        run_alone(host->model, &all[i], &alone);
        start_digest(&all[i]);
        all[i].job.host = host;
    }
    for (int i = 0; i < n; i++)
        if (vb_scheduler_submit(s, &all[i].job, &err) < 0) failed("submit: %s", err.text);
    wait_for(all, n);
    for (int i = 0; i < n; i++) judge(&all[i], i);
    vb_scheduler_stop(s);
    vb_scheduler_close(s);
    vb_hosts_release(hosts, host, VB_KEEP_DEFAULT);
    vb_hosts_close(hosts);
    for (int i = 0; i < n; i++) vb_digest_close(all[i].digest);
    free(all);
    return verdict();
}
