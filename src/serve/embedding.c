/* embedding.c - the jobs of one request for embeddings.
 *
 *   pending = texts + 1, as in turn.c: the last one belongs to whoever starts.
 */
#include "serve/embedding.h"

#include <stdlib.h>
#include <string.h>

typedef struct batch batch;
typedef struct {
    batch *all;
    vb_token *ids;
    vb_job job;
} part;

struct batch {
    vb_serve *serve;
    vb_host *host;
    pthread_mutex_t lock;
    int n, pending;
    part *parts;
    float *rows;
    int64_t start_ns, keep_ns;
    vb_embedded result;
    void (*done)(void *ud, const vb_embedded *e);
    void *ud;
};

static void free_batch(batch *b)
{
    if (b->host != NULL) vb_hosts_release(b->serve->hosts, b->host, b->keep_ns);
    for (int i = 0; b->parts != NULL && i < b->n; i++) free(b->parts[i].ids);
    pthread_mutex_destroy(&b->lock);
    free(b->parts);
    free(b->rows);
    free(b);
}

static void end_part(batch *b)
{
    pthread_mutex_lock(&b->lock);
    int over = --b->pending == 0;
    pthread_mutex_unlock(&b->lock);
    if (!over) return;
    b->result.total_ns = vb_now_ns() - b->start_ns;
    b->done(b->ud, &b->result);
    free_batch(b);
}

static void on_end(void *ud, const vb_job_end *end)
{
    part *p = ud;
    vb_fault fault;
    vb_turn_judge(end, &fault);
    if (end->why == VB_JOB_CANCELLED) vb_fault_set(&fault, 499, "request canceled");
    pthread_mutex_lock(&p->all->lock);
    if (p->all->result.fault.status == 0) p->all->result.fault = fault;
    p->all->result.prompt_tokens += end->prompt_tokens;
    pthread_mutex_unlock(&p->all->lock);
    end_part(p->all);
}

static void client_gone(void *ud)
{
    batch *b = ud;
    for (int i = 0; i < b->n; i++) vb_job_cancel(&b->parts[i].job);
    vb_scheduler_wake(b->serve->scheduler);
}

/* --- texts to ids ---------------------------------------------------------------------------------------- */

static int64_t given_ids(const vb_host *host, const json_t *list, vb_token **ids, vb_fault *fault)
{
    size_t n = json_array_size(list);
    *ids = malloc((n + 1) * sizeof **ids);
    for (size_t i = 0; *ids != NULL && i < n; i++) {
        const json_t *id = json_array_get(list, i);
        json_int_t value = json_integer_value(id);
        if (!json_is_integer(id) || value < 0 || value >= host->info.vocab)
            vb_fault_set(fault, 400, "input: expected token ids below %d", host->info.vocab);
        (*ids)[i] = (vb_token)value;
    }
    if (*ids == NULL) vb_fault_set(fault, 500, "out of memory");
    return fault->status == 0 ? (int64_t)n : -1;
}

static int read_input(part *p, const vb_host *host, const json_t *input, int truncate, vb_fault *fault)
{
    int64_t n = -1;
    int over = !truncate && json_is_string(input) && vb_turn_too_long(host, json_string_length(input), host->context);
    if (over) n = (int64_t)host->context + 1;
    else if (json_is_string(input)) n = vb_turn_tokenize(host, json_string_value(input), VB_ADD_SPECIAL | VB_STOP_WHEN_FULL, &p->ids, fault);
    else if (json_is_array(input)) n = given_ids(host, input, &p->ids, fault);
    else vb_fault_set(fault, 400, "invalid input type");
    if (n == 0) vb_fault_set(fault, 400, "input cannot be an empty string");
    if (n > host->context && !truncate) vb_fault_set(fault, 400, "the input length exceeds the context length");
    p->job.n = n > host->context ? host->context : (int)n;
    return fault->status == 0;
}

static int prepare(batch *b, const vb_embed_ask *ask, vb_fault *fault)
{
    if (b->n > VB_INPUTS_MOST) vb_fault_set(fault, 400, "input: expected at most %d texts, found %d", VB_INPUTS_MOST, b->n);
    if (fault->status != 0 || !vb_turn_host(b->serve, ask->model, 1, &b->host, fault)) return 0;
    b->result.load_ns = vb_now_ns() - b->start_ns;
    b->result.host = b->host;
    b->result.n = b->n;
    b->result.width = b->host->info.width;
    b->parts = calloc((size_t)b->n + 1, sizeof *b->parts);
    b->rows = calloc((size_t)b->n + 1, (size_t)b->result.width * sizeof *b->rows);
    if (b->parts == NULL || b->rows == NULL) vb_fault_set(fault, 500, "out of memory");
    b->result.rows = b->rows;
    for (int i = 0; fault->status == 0 && i < b->n; i++)
        read_input(&b->parts[i], b->host, json_array_get(ask->input, (size_t)i), ask->truncate, fault);
    return fault->status == 0;
}

/* --- starting -------------------------------------------------------------------------------------------- */

static void submit(batch *b, int i, int priority)
{
    part *p = &b->parts[i];
    vb_job_end end = {.why = VB_JOB_FAILED};
    p->all = b;
    p->job = (vb_job){.host = b->host, .ids = p->ids, .n = p->job.n, .top = -1, .priority = priority, .embed = 1,
                      .embedding = b->rows + (size_t)i * (size_t)b->result.width, .on_end = on_end, .ud = p};
    if (vb_scheduler_submit(b->serve->scheduler, &p->job, &end.err) < 0) on_end(p, &end);
}

int vb_embedding_start(vb_serve *s, vb_exchange *x, const vb_embed_ask *ask, void (*done)(void *ud, const vb_embedded *e),
                       void *ud, vb_fault *fault)
{
    batch *b = calloc(1, sizeof *b);
    if (b == NULL) {
        vb_fault_set(fault, 500, "out of memory");
        return 0;
    }
    pthread_mutex_init(&b->lock, NULL);
    b->serve = s;
    b->start_ns = vb_exchange_whole_ns(x);
    b->keep_ns = ask->keep_ns;
    b->n = (int)json_array_size(ask->input);
    b->pending = b->n + 1;
    b->done = done;
    b->ud = ud;
    if (!prepare(b, ask, fault)) {
        free_batch(b);
        return 0;
    }
    for (int i = 0; i < b->n; i++) submit(b, i, ask->priority);
    vb_exchange_on_gone(x, client_gone, b);
    end_part(b);
    return 1;
}
