/* scheduler.c - the thread that evaluates.
 *
 *   queue --a slot is free--> slot: [prompt, chunk by chunk] -> [a token a step] -> end
 *
 * One step evaluates, for one model, the next token of every slot that decodes and as many prompt tokens of the others
 * as there is room for, all in one vb_eval; models take turns. Room is what was measured to take `step_ns` (pace.h), so
 * that streams stay smooth beside a long prompt and nobody who leaves is computed for longer than that.
 *
 * A slot is chosen by the longest beginning of the prompt that its session still holds; a beginning that another slot
 * holds is forked; one that another slot is just computing is waited for. None of this can be seen in an answer: batch,
 * chunks and history change no bit.
 */
#include "serve/scheduler.h"

#include "base/err.h"
#include "serve/record.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { QUEUE_MOST = 512, ECHO_BUDGET = 32, WORTH_FORKING = 32 };
#define SECOND INT64_C(1000000000)

struct vb_scheduler {
    vb_hosts *hosts;
    vb_scheduler_opts opts;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    vb_job *waiting, *running; /* running: changed by the thread alone, under the lock */
    vb_host *turn;             /* whose step was the last */
    vb_job *embedding;         /* a text of an encoder that is being evaluated; others may work between its steps */
    int64_t others_ns, paused_ns; /* when they last did; how long they have, in all */
    vb_scheduler_stats stats;
    float *rows;     /* logits of echoed prompts */
    size_t rows_size;
    int stopping;
};

static vb_session *session_of(const vb_job *j)
{
    return j->host->sessions[j->slot];
}

static int decodes(const vb_job *j)
{
    return j->at >= j->n;
}

/* --- the ends of a job ----------------------------------------------------------------------------------- */

static void unlink_job(vb_job **list, vb_job *job)
{
    while (*list != job) list = &(*list)->next;
    *list = job->next;
}

/* What it has generated since the last time: sums grow while answers do. */
static void count_tokens(vb_scheduler *s, vb_job *j)
{
    s->stats.tokens += (uint64_t)(j->tokens - j->counted);
    j->counted = j->tokens;
}

static void count(vb_scheduler *s, vb_job *j, vb_job_why why, int64_t now)
{
    s->stats.cancelled += why == VB_JOB_CANCELLED;
    s->stats.timeouts += why == VB_JOB_TIMEOUT;
    s->stats.late += why == VB_JOB_DEADLINE;
    s->stats.failed += why == VB_JOB_FAILED;
    count_tokens(s, j);
    s->stats.reused_tokens += (uint64_t)j->reused;
    if (j->started_ns == 0) return;
    int64_t decoding = j->decoding_ns > 0 ? j->decoding_ns : now;
    s->stats.prefill_ns += decoding - j->started_ns;
    s->stats.decode_ns += now - decoding;
}

/* Takes the job out of `list` and tells its owner; afterwards the job is gone. */
static void end_job(vb_scheduler *s, vb_job **list, vb_job *j, vb_job_why why, const vb_err *err)
{
    int64_t now = vb_now_ns();
    vb_streamed rest = {0};
    vb_job_end end = {.why = why, .job = j, .prompt_tokens = j->n, .reused = j->reused, .tokens = j->tokens};
    if (err != NULL) end.err = *err;
    if (j->record != NULL && vb_record_end(j->record, &end.err) < 0) end.why = VB_JOB_FAILED;
    if (j->stream != NULL && vb_stream_end(j->stream, &rest, NULL) == VB_OK) {
        end.text = rest.text;
        end.len = rest.len;
    }
    int64_t started = j->started_ns > 0 ? j->started_ns : now, decoding = j->decoding_ns > 0 ? j->decoding_ns : now;
    end.queued_ns = started - j->submitted_ns;
    end.prefill_ns = decoding - started;
    end.decode_ns = now - decoding;
    pthread_mutex_lock(&s->lock);
    unlink_job(list, j);
    if (list == &s->running) {
        j->host->jobs[j->slot] = NULL;
        s->stats.running--;
    } else {
        s->stats.waiting--;
    }
    count(s, j, end.why, now);
    pthread_mutex_unlock(&s->lock);
    vb_stream *stream = j->stream;
    if (s->opts.ended != NULL) s->opts.ended(s->opts.ud, &end);
    j->on_end(j->ud, &end);
    vb_stream_close(stream);
}

static void fail(vb_scheduler *s, vb_job *j, const vb_err *err)
{
    end_job(s, &s->running, j, VB_JOB_FAILED, err);
}

/* --- a slot for a job ------------------------------------------------------------------------------------ */

static int common(const vb_token *a, int n_a, const vb_token *b, int n_b)
{
    int n = 0;
    while (n < n_a && n < n_b && a[n] == b[n]) n++;
    return n;
}

/* The free slot that holds most of the prompt; an unopened one counts as empty. -1: none is free. */
static int best_slot(const vb_job *j, int *held)
{
    int best = -1;
    *held = 0;
    for (int i = 0; i < j->host->slots; i++) {
        int n = 0, shared = 0;
        if (j->host->jobs[i] != NULL) continue;
        if (j->host->sessions[i] != NULL) {
            const vb_token *ids = vb_session_tokens(j->host->sessions[i], &n);
            shared = common(ids, n, j->ids, j->n);
        }
        if (best < 0 || shared > *held) {
            best = i;
            *held = shared;
        }
    }
    return best;
}

/* The running job that shares most of its prompt with j; *shared counts all its prompt, evaluated or not. */
static vb_job *best_neighbour(const vb_scheduler *s, const vb_job *j, int *shared)
{
    vb_job *best = NULL;
    *shared = 0;
    for (vb_job *r = s->running; r != NULL; r = r->next) {
        if (r->host != j->host || r->embed) continue;
        int n = common(r->ids, r->n, j->ids, j->n);
        if (n <= *shared) continue;
        best = r;
        *shared = n;
    }
    return best;
}

static vb_status open_session(vb_scheduler *s, vb_job *j, vb_err *err)
{
    const vb_hosts_opts *o = vb_hosts_settings(s->hosts);
    vb_session **session = &j->host->sessions[j->slot];
    vb_session_opts opts = {.context = j->host->context, .kv = o->kv, .cache = j->host->embeds ? NULL : o->cache};
    return *session != NULL ? VB_OK : vb_session_open(session, j->host->model, &opts, err);
}

/* What the slot's session keeps of the prompt; at least one token is left to evaluate, for its logits. */
static vb_status keep_beginning(vb_job *j, vb_err *err)
{
    int held = 0;
    if (j->echo) VB_TRY(vb_session_rewind(session_of(j), 0, err));
    else VB_TRY(vb_session_recall(session_of(j), j->ids, j->n, &held, err));
    if (held >= j->n) {
        held = j->n - 1;
        VB_TRY(vb_session_rewind(session_of(j), held, err));
    }
    j->at = j->reused = held;
    return VB_OK;
}

static vb_status begin_job(vb_scheduler *s, vb_job *j, const vb_job *neighbour, vb_err *err)
{
    vb_session **session = &j->host->sessions[j->slot];
    if (neighbour != NULL) {
        vb_session_close(*session);
        *session = NULL;
        VB_TRY(vb_session_fork(session, session_of(neighbour), err));
    }
    VB_TRY(open_session(s, j, err));
    VB_TRY(vb_stream_open(&j->stream, j->host->model, j->stops, j->n_stops, err));
    for (int i = 0; i < j->n_shown; i++) VB_TRY(vb_stream_show(j->stream, j->shown[i], err));
    return j->embed ? VB_OK : keep_beginning(j, err);
}

/* From the queue into a slot, if there is one and nobody computes its beginning just now. 1: the job has moved (or
 * failed). */
static int start(vb_scheduler *s, vb_job *j)
{
    int held, shared;
    vb_err err = {0};
    int slot = best_slot(j, &held);
    if (slot < 0) return 0;
    vb_job *neighbour = j->embed || j->echo ? NULL : best_neighbour(s, j, &shared);
    if (neighbour != NULL && shared < held + WORTH_FORKING) neighbour = NULL;
    if (neighbour != NULL && neighbour->at < shared && !decodes(neighbour)) return 0;
    pthread_mutex_lock(&s->lock);
    unlink_job(&s->waiting, j);
    j->next = s->running;
    s->running = j;
    j->slot = slot;
    j->host->jobs[slot] = j;
    s->stats.waiting--;
    s->stats.running++;
    pthread_mutex_unlock(&s->lock);
    j->started_ns = vb_now_ns();
    if (j->queued && s->opts.waited != NULL) s->opts.waited(s->opts.ud, j, j->started_ns - j->submitted_ns);
    if (begin_job(s, j, neighbour, &err) < 0) fail(s, j, &err);
    return 1;
}

static int is_late(const vb_job *j, int64_t now)
{
    return j->deadline_ns > 0 && now >= j->deadline_ns;
}

/* Those who gave up or waited too long leave the queue; the others get slots, in order. */
static void admit(vb_scheduler *s)
{
    int64_t now = vb_now_ns();
    pthread_mutex_lock(&s->lock);
    vb_job *next = s->waiting;
    pthread_mutex_unlock(&s->lock);
    while (next != NULL) {
        vb_job *j = next;
        pthread_mutex_lock(&s->lock);
        next = j->next;
        pthread_mutex_unlock(&s->lock);
        if (atomic_load(&j->cancelled)) end_job(s, &s->waiting, j, VB_JOB_CANCELLED, NULL);
        else if (is_late(j, now)) end_job(s, &s->waiting, j, VB_JOB_DEADLINE, NULL);
        else if (now - j->submitted_ns > s->opts.queue_ns) end_job(s, &s->waiting, j, VB_JOB_TIMEOUT, NULL);
        else j->queued |= !start(s, j);
    }
}

static void drop_cancelled(vb_scheduler *s)
{
    int64_t now = vb_now_ns();
    for (vb_job *j = s->running, *next; j != NULL; j = next) {
        next = j->next;
        if (j == s->embedding) continue;
        if (atomic_load(&j->cancelled)) end_job(s, &s->running, j, VB_JOB_CANCELLED, NULL);
        else if (is_late(j, now)) end_job(s, &s->running, j, VB_JOB_DEADLINE, NULL);
    }
}

/* --- tokens ---------------------------------------------------------------------------------------------- */

static void describe_top(const vb_job *j, vb_job_token *out, const float *logits, int vocab)
{
    if (j->top < 0) return;
    vb_token ids[VB_TOP_MOST];
    out->logprob = vb_logprob(logits, vocab, out->id);
    out->n_top = j->top > 0 ? vb_top_ids(logits, vocab, ids, j->top) : 0;
    for (int i = 0; i < out->n_top; i++)
        out->top[i] = (vb_choice){ids[i], logits[ids[i]], vb_logprob(logits, vocab, ids[i])};
}

static vb_status sample(vb_job *j, vb_token *id, vb_err *err)
{
    VB_TRY(vb_sample_biased(session_of(j), &j->sampling, j->biases, j->n_biases, j->grammar, id, err));
    return j->grammar != NULL ? vb_grammar_accept(j->grammar, *id, err) : VB_OK;
}

/* Chooses the next token from the session's logits and tells it; *why is set if the job ends with it. Returns 1 then. */
static int choose(vb_job *j, vb_job_why *why, vb_err *err)
{
    int vocab, n;
    vb_session *session = session_of(j);
    const float *logits = vb_session_logits(session, &vocab);
    vb_job_token token = {0};
    vb_streamed piece = {0};
    if (j->decoding_ns == 0) j->decoding_ns = vb_now_ns();
    vb_session_tokens(session, &n);
    *why = n >= j->host->context ? VB_JOB_CONTEXT : VB_JOB_LENGTH;
    if (*why == VB_JOB_CONTEXT || j->max_tokens < 0) return 1;
    *why = VB_JOB_FAILED;
    if (sample(j, &token.id, err) < 0) return 1;
    if (j->record != NULL && vb_record_token(j->record, j, session, token.id, err) < 0) return 1;
    describe_top(j, &token, logits, vocab);
    j->tokens++;
    j->last = token.id;
    int ends = vb_token_ends(j->host->model, token.id);
    if (!ends && vb_stream_add(j->stream, token.id, &piece, err) < 0) return 1;
    token.text = piece.text;
    token.len = piece.len;
    *why = VB_JOB_STOP;
    if (ends && !j->ending) return 1;
    int asked = j->on_token != NULL ? j->on_token(j->ud, &token) : 0;
    if (ends || piece.stopped) return 1;
    *why = asked ? VB_JOB_CANCELLED : VB_JOB_LENGTH;
    return asked || (j->max_tokens > 0 && j->tokens >= j->max_tokens);
}

/* The prompt's own tokens with their log-probabilities: row i of `rows` was computed from token at + i. */
static void tell_prompt(vb_job *j, const float *rows, int n)
{
    int vocab;
    vb_session_logits(session_of(j), &vocab);
    for (int i = 0; i < n && j->at + i + 1 < j->n; i++) {
        vb_job_token token = {.id = j->ids[j->at + i + 1]};
        describe_top(j, &token, rows + (size_t)i * (size_t)vocab, vocab);
        j->on_prompt(j->ud, j->at + i + 1, &token);
    }
}

/* --- a step ---------------------------------------------------------------------------------------------- */

typedef struct {
    vb_job *jobs[VB_SLOTS_MOST];
    vb_work works[VB_SLOTS_MOST];
    int n, decoding, prompt_tokens;
} step;

static float *rows_for(vb_scheduler *s, const vb_job *j, int n)
{
    size_t size = (size_t)n * (size_t)j->host->info.vocab * sizeof(float);
    if (size > s->rows_size) {
        float *rows = realloc(s->rows, size);
        if (rows == NULL) return NULL;
        s->rows = rows;
        s->rows_size = size;
    }
    return s->rows;
}

static void add_prompt(vb_scheduler *s, step *st, vb_job *j, int *left)
{
    int n = j->n - j->at, most = j->echo && *left > ECHO_BUDGET ? ECHO_BUDGET : *left;
    if (n > most) n = most;
    vb_work w = {.session = session_of(j), .ids = j->ids + j->at, .n = n};
    if (j->echo) {
        for (int i = 0; i < st->n; i++)
            if (st->works[i].logits != NULL) return; /* one buffer: one echo a step */
        w.logits = rows_for(s, j, n);
        w.want = w.logits != NULL ? n : 0;
    }
    *left -= n;
    st->prompt_tokens += n;
    st->jobs[st->n] = j;
    st->works[st->n++] = w;
}

/* Everything that host's jobs have to evaluate next: decoding first, then prompts in the order they came. */
static void collect(vb_scheduler *s, const vb_host *host, step *st)
{
    vb_job *prompts[VB_SLOTS_MOST];
    int n = 0;
    for (vb_job *j = s->running; j != NULL; j = j->next) {
        if (j->host != host || j->embed) continue;
        if (!decodes(j)) {
            prompts[n++] = j;
            continue;
        }
        st->jobs[st->n] = j;
        st->works[st->n++] = (vb_work){.session = session_of(j), .ids = &j->last, .n = 1};
    }
    st->decoding = st->n;
    int left = vb_pace_room(&host->pace, st->decoding, s->opts.step_ns);
    while (n > 0 && left > 0) add_prompt(s, st, prompts[--n], &left); /* the list's end came first */
}

/* What follows an evaluation for one of its jobs. */
static void go_on(vb_scheduler *s, vb_job *j, const vb_work *w)
{
    vb_job_why why;
    vb_err err = {0};
    if (!decodes(j)) {
        if (w->want > 0) tell_prompt(j, w->logits, w->n);
        j->at += w->n;
        if (!decodes(j)) return;
    }
    if (choose(j, &why, &err)) end_job(s, &s->running, j, why, why == VB_JOB_FAILED ? &err : NULL);
}

/* One that fails alone must not end its neighbours: after a failure each is tried by itself. */
static void evaluate(vb_scheduler *s, step *st)
{
    vb_err err = {0};
    int64_t start_ns = vb_now_ns();
    vb_status status = vb_eval(st->works, st->n, &err);
    int64_t ns = vb_now_ns() - start_ns;
    vb_pace_note(&s->turn->pace, st->decoding + st->prompt_tokens, st->prompt_tokens, ns);
    pthread_mutex_lock(&s->lock);
    s->stats.steps++;
    s->stats.busy_ns += ns;
    s->stats.prompt_tokens += (uint64_t)st->prompt_tokens;
    for (int i = 0; i < st->n; i++) count_tokens(s, st->jobs[i]);
    pthread_mutex_unlock(&s->lock);
    for (int i = 0; i < st->n; i++) {
        vb_job *j = st->jobs[i];
        if (status < 0 && st->n > 1) {
            int n;
            vb_session_tokens(session_of(j), &n);
            int before = decodes(j) ? j->n + j->tokens - 1 : j->at;
            vb_work w = st->works[i];
            err = (vb_err){0};
            if (n > before && vb_session_rewind(session_of(j), before, &err) < 0) fail(s, j, &err);
            else if (vb_eval(&w, 1, &err) < 0) fail(s, j, &err);
            else go_on(s, j, &w);
        } else if (status < 0) {
            fail(s, j, &err);
        } else {
            go_on(s, j, &st->works[i]);
        }
    }
}

/* --- embeddings ------------------------------------------------------------------------------------------ */

enum { LEAST_PART = 16, MOST_PART = 512 };

static int part_of_text(const vb_scheduler *s, const vb_host *host)
{
    double n = host->token_ns > 0 ? (double)s->opts.step_ns / host->token_ns : LEAST_PART;
    return n < LEAST_PART ? LEAST_PART : n > MOST_PART ? MOST_PART : (int)n;
}

static vb_host *next_host(const vb_scheduler *s);
static void take_step(vb_scheduler *s, vb_host *host);

/* An encoder cannot stop behind a few tokens, but between its steps others get their turn, as often as beside a prompt. */
static int let_others(void *ud)
{
    vb_scheduler *s = ud;
    int64_t now = vb_now_ns();
    if (atomic_load(&s->embedding->cancelled)) return 1;
    if (now - s->others_ns < s->opts.step_ns) return 0;
    drop_cancelled(s);
    admit(s);
    vb_host *host = next_host(s);
    if (host != NULL) take_step(s, host);
    s->others_ns = vb_now_ns();
    s->paused_ns += s->others_ns - now;
    return 0;
}

/* The next part of a text: as many tokens as a step may take, or the whole of it. */
static void embed(vb_scheduler *s, vb_job *j)
{
    vb_err err = {0};
    vb_embedding text = {.ids = j->ids, .n = j->n, .pooling = j->pooling, .normalize = 1, .out = j->embedding, .at = j->at};
    int64_t start_ns = vb_now_ns(), paused_ns = s->paused_ns;
    int whole = j->host->info.encoder;
    if (whole) {
        s->embedding = j;
        s->others_ns = start_ns;
        vb_session_between(session_of(j), let_others, s);
    }
    vb_status status = vb_session_embed_part(session_of(j), &text, part_of_text(s, j->host), &err);
    if (whole) s->embedding = NULL;
    int64_t ns = vb_now_ns() - start_ns - (s->paused_ns - paused_ns);
    s->stats.busy_ns += ns;
    if (text.at > j->at) j->host->token_ns = (double)ns / (text.at - j->at);
    j->at = text.at;
    if (status < 0) end_job(s, &s->running, j, status == VB_E_STOPPED ? VB_JOB_CANCELLED : VB_JOB_FAILED, &err);
    else if (j->at == j->n) end_job(s, &s->running, j, VB_JOB_STOP, NULL);
}

/* The one of that host that came first; NULL: none. */
static vb_job *next_text(const vb_scheduler *s, const vb_host *host)
{
    vb_job *first = NULL;
    for (vb_job *j = s->running; j != NULL; j = j->next)
        if (j->host == host && j->embed) first = j;
    return first;
}

/* The host whose turn it is: the next one with running jobs behind the last. */
static vb_host *next_host(const vb_scheduler *s)
{
    vb_host *first = NULL;
    int passed = 0;
    for (vb_job *j = s->running; j != NULL; j = j->next) {
        if (s->embedding != NULL && j->host->info.encoder) continue; /* one at a time */
        if (j->host == s->turn) {
            passed = 1;
            continue;
        }
        if (passed) return j->host;
        if (first == NULL) first = j->host;
    }
    return first != NULL ? first : passed ? s->turn : NULL;
}

static void take_step(vb_scheduler *s, vb_host *host)
{
    step st = {0};
    vb_job *text = next_text(s, host);
    s->turn = host;
    if (text != NULL) {
        embed(s, text);
        return;
    }
    collect(s, host, &st);
    if (st.n > 0) evaluate(s, &st);
}

static int work_once(vb_scheduler *s)
{
    drop_cancelled(s);
    admit(s);
    vb_host *host = next_host(s);
    if (host != NULL) take_step(s, host);
    return host != NULL;
}

/* --- the thread ------------------------------------------------------------------------------------------ */

/* Sleeps until something is submitted, a model is to be unloaded, or a second has passed for those who wait. */
static void sleep_until_work(vb_scheduler *s)
{
    int64_t due = vb_hosts_sweep(s->hosts);
    struct timespec t;
    pthread_mutex_lock(&s->lock);
    if (due < 0 || due > SECOND) due = SECOND;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t at = (int64_t)t.tv_sec * SECOND + t.tv_nsec + due;
    t = (struct timespec){.tv_sec = at / SECOND, .tv_nsec = at % SECOND};
    if (s->waiting == NULL && !s->stopping) pthread_cond_timedwait(&s->work, &s->lock, &t);
    pthread_mutex_unlock(&s->lock);
}

static void *loop(void *ud)
{
    vb_scheduler *s = ud;
    for (;;) {
        pthread_mutex_lock(&s->lock);
        int stopping = s->stopping;
        vb_job *left = s->waiting;
        if (stopping) {
            for (vb_job *j = left; j != NULL; j = j->next) atomic_store(&j->cancelled, 1);
            for (vb_job *j = s->running; j != NULL; j = j->next) atomic_store(&j->cancelled, 1);
        }
        pthread_mutex_unlock(&s->lock);
        if (work_once(s)) continue;
        if (stopping && left == NULL) return NULL;
        sleep_until_work(s);
    }
}

/* Behind all of its priority. */
static void enqueue(vb_scheduler *s, vb_job *job)
{
    vb_job **at = &s->waiting;
    while (*at != NULL && (*at)->priority >= job->priority) at = &(*at)->next;
    job->next = *at;
    *at = job;
}

vb_status vb_scheduler_submit(vb_scheduler *s, vb_job *job, vb_err *err)
{
    job->slot = -1;
    job->at = job->tokens = job->counted = job->reused = job->queued = 0;
    job->stream = NULL;
    job->started_ns = job->decoding_ns = 0;
    job->submitted_ns = vb_now_ns();
    pthread_mutex_lock(&s->lock);
    int full = s->stats.waiting >= s->opts.queue_most || s->stopping;
    if (full) {
        s->stats.refused++;
    } else {
        s->stats.jobs++;
        s->stats.waiting++;
        enqueue(s, job);
        pthread_cond_signal(&s->work);
    }
    pthread_mutex_unlock(&s->lock);
    if (full) VB_FAIL(err, VB_E_FULL, "server busy, please try again.  maximum pending requests exceeded");
    return VB_OK;
}

void vb_scheduler_wake(vb_scheduler *s)
{
    pthread_mutex_lock(&s->lock);
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
}

void vb_scheduler_stats_get(vb_scheduler *s, vb_scheduler_stats *out)
{
    pthread_mutex_lock(&s->lock);
    *out = s->stats;
    pthread_mutex_unlock(&s->lock);
}

int vb_scheduler_most(const vb_scheduler *s)
{
    return s->opts.queue_most;
}

typedef struct {
    vb_scheduler *scheduler;
    void (*fn)(void *ud, const vb_slot *slot);
    void *ud;
} slots_call;

static void each_slot(void *ud, const vb_host *host)
{
    const slots_call *c = ud;
    pthread_mutex_lock(&c->scheduler->lock);
    for (int i = 0; i < host->slots; i++) {
        const vb_job *j = host->jobs[i];
        vb_slot slot = {.host = host, .slot = i, .busy = j != NULL};
        if (j != NULL) {
            slot.prompt_tokens = j->n;
            slot.max_tokens = j->max_tokens;
        }
        c->fn(c->ud, &slot);
    }
    pthread_mutex_unlock(&c->scheduler->lock);
}

/* Locks the models first and the jobs inside; nobody does it the other way round. */
void vb_scheduler_slots(vb_scheduler *s, void (*fn)(void *ud, const vb_slot *slot), void *ud)
{
    slots_call c = {s, fn, ud};
    vb_hosts_each(s->hosts, each_slot, &c);
}

vb_status vb_scheduler_open(vb_scheduler **out, vb_hosts *hosts, const vb_scheduler_opts *opts, vb_err *err)
{
    pthread_condattr_t monotonic;
    vb_scheduler *s = calloc(1, sizeof *s);
    *out = NULL;
    if (s == NULL) VB_FAIL(err, VB_E_MEMORY, "serve: out of memory");
    s->hosts = hosts;
    s->opts = *opts;
    if (s->opts.queue_most == 0) s->opts.queue_most = QUEUE_MOST;
    if (s->opts.queue_ns == 0) s->opts.queue_ns = 300 * SECOND;
    if (s->opts.step_ns == 0) s->opts.step_ns = SECOND / 20;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&s->thread, NULL, loop, s) != 0) {
        free(s);
        VB_FAIL(err, VB_E_MEMORY, "serve: expected a thread, found none to be had");
    }
    *out = s;
    return VB_OK;
}

void vb_scheduler_stop(vb_scheduler *s)
{
    if (s == NULL) return;
    pthread_mutex_lock(&s->lock);
    s->stopping = 1;
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
}

void vb_scheduler_close(vb_scheduler *s)
{
    if (s == NULL) return;
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->lock);
    free(s->rows);
    free(s);
}
