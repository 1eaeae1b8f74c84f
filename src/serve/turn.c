/* turn.c - from what is asked to jobs, and from their events to the route that asked.
 *
 *   pending = choices + 1: the last one belongs to whoever starts the turn, so that nothing is over before it has begun.
 *
 * Invariant: events never overlap, because jobs' events come from one thread and the starter's come under the same lock.
 */
#include "serve/turn.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { BACKLOG_MOST = 1 << 20, LONGEST_PIECE = 512, BUSY_SECONDS = 5 };

typedef struct {
    vb_turn *turn;
    vb_job job;
    int choice, ended;
} choice;

struct vb_turn_more {
    pthread_mutex_t lock;
    int pending;
    int64_t keep_ns;
    char *stops[VB_STOPS_MOST]; /* the scheduler reads them when the job gets its slot */
    choice choices[VB_CHOICES_MOST];
};

/* --- small things ---------------------------------------------------------------------------------------- */

unsigned vb_turn_status(vb_status status)
{
    switch (status) {
    case VB_E_NOT_FOUND: return 404;
    case VB_E_ARGUMENT: return 400;
    case VB_E_FULL: return 503;
    case VB_E_MEMORY: return 503;
    case VB_E_UNSUPPORTED: return 501;
    default: return 500;
    }
}

static void fault_of(vb_fault *fault, const vb_err *err)
{
    vb_fault_set(fault, vb_turn_status(err->code), "%s", err->text);
    if (fault->status == 503) fault->retry_after = BUSY_SECONDS;
}

void vb_turn_judge(const vb_job_end *end, vb_fault *fault)
{
    static const vb_err waited = {VB_E_FULL, "server busy, please try again.  the request has waited too long"};
    memset(fault, 0, sizeof *fault);
    if (end->why == VB_JOB_FAILED) fault_of(fault, &end->err);
    else if (end->why == VB_JOB_TIMEOUT) fault_of(fault, &waited);
}

const char *vb_turn_reason(const vb_job_end *end)
{
    return end->why == VB_JOB_STOP || end->why == VB_JOB_CANCELLED ? "stop" : "length";
}

uint64_t vb_turn_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) seed = (uint64_t)vb_now_ns();
    return seed;
}

int vb_turn_stalled(const vb_turn *turn)
{
    return vb_exchange_backlog(turn->exchange) > BACKLOG_MOST;
}

int vb_turn_host(vb_serve *s, const char *model, int embeds, vb_host **out, vb_fault *fault)
{
    char name[VB_HOST_NAME];
    vb_err err = {0};
    *out = NULL;
    if (model == NULL || model[0] == '\0') {
        vb_fault_set(fault, 400, "model is required");
        return 0;
    }
    vb_status status = VB_E_NOT_FOUND;
    if (vb_catalogue_spell(model, name)) status = vb_hosts_acquire(s->hosts, name, embeds, out, &err);
    if (status == VB_E_NOT_FOUND) vb_fault_set(fault, 404, "model '%.256s' not found", model);
    else if (status < 0) fault_of(fault, &err);
    return status == VB_OK;
}

/* --- the prompt ------------------------------------------------------------------------------------------ */

typedef struct {
    vb_message *list;
    size_t n;
} messages;

/* A content may be a text, or parts of which those of type text count. */
static const char *content_of(const json_t *message, json_t *texts)
{
    json_t *content = json_object_get(message, "content"), *part;
    size_t i;
    if (json_is_string(content)) return json_string_value(content);
    vb_out joined = {0};
    json_array_foreach(content, i, part) {
        const char *text = json_string_value(json_object_get(part, "text"));
        if (text != NULL) vb_out_text(&joined, text);
    }
    json_t *text = json_string(joined.data != NULL ? joined.data : "");
    json_array_append_new(texts, text);
    vb_out_free(&joined);
    return text != NULL ? json_string_value(text) : "";
}

/* What the store wants to be said first, where nothing of that kind is. */
static const char *stored_system(const vb_model *model, const json_t *all)
{
    size_t i;
    json_t *m;
    json_array_foreach(all, i, m) {
        const char *role = json_string_value(json_object_get(m, "role"));
        if (role != NULL && strcmp(role, "system") == 0) return NULL;
    }
    const char *text = vb_model_stored(model, "system");
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static int read_messages(messages *out, const vb_model *model, const json_t *all, json_t *texts, vb_fault *fault)
{
    const char *system = stored_system(model, all);
    out->n = 0;
    out->list = calloc(json_array_size(all) + 2, sizeof *out->list);
    if (out->list != NULL && system != NULL) out->list[out->n++] = (vb_message){"system", system};
    for (size_t i = 0; out->list != NULL && i < json_array_size(all); i++) {
        const json_t *m = json_array_get(all, i);
        const char *role = json_string_value(json_object_get(m, "role"));
        if (!json_is_object(m)) vb_fault_set(fault, 400, "messages: expected objects");
        out->list[out->n++] = (vb_message){role != NULL ? role : "", content_of(m, texts)};
    }
    if (out->list == NULL) vb_fault_set(fault, 500, "out of memory");
    return fault->status == 0;
}

int vb_turn_render(const vb_model *model, const json_t *all, char **text, size_t *len, vb_fault *fault)
{
    messages m;
    vb_err err = {0};
    json_t *texts = json_array();
    *text = NULL;
    if (read_messages(&m, model, all, texts, fault)) {
        int64_t n = vb_chat_render(model, m.list, m.n, NULL, 0, &err);
        *text = n >= 0 ? malloc((size_t)n + 1) : NULL;
        if (*text != NULL) n = vb_chat_render(model, m.list, m.n, *text, (size_t)n, &err);
        if (*text != NULL && n >= 0) (*text)[*len = (size_t)n] = '\0';
        else if (n < 0) fault_of(fault, &err);
        else vb_fault_set(fault, 500, "out of memory");
    }
    free(m.list);
    json_decref(texts);
    return fault->status == 0;
}

static int too_long(vb_fault *fault, int64_t n, int context)
{
    vb_fault_set(fault, 400, "the input length exceeds the context length: %lld tokens of %d", (long long)n, context);
    return 0;
}

/* Room for n more ids behind those that the turn has. */
static vb_token *grow(vb_turn *t, int64_t n, vb_fault *fault)
{
    vb_token *ids = realloc(t->ids, ((size_t)t->n + (size_t)n + 1) * sizeof *ids);
    if (ids == NULL) vb_fault_set(fault, 500, "out of memory");
    else t->ids = ids;
    return ids != NULL ? ids + t->n : NULL;
}

static int add_ids(vb_turn *t, const vb_token *ids, size_t n, vb_fault *fault)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= t->host->info.vocab) {
            vb_fault_set(fault, 400, "token %d is not one of the model's %d", ids[i], t->host->info.vocab);
            return 0;
        }
    if (n > (size_t)t->host->context) return too_long(fault, (int64_t)n, t->host->context);
    vb_token *to = grow(t, (int64_t)n, fault);
    if (to == NULL) return 0;
    if (n > 0) memcpy(to, ids, n * sizeof *ids);
    t->n += (int)n;
    return 1;
}

/* The messages without the first `drop` of those that are not system's, encoded. */
static int64_t encode(const vb_model *model, const messages *all, size_t drop, vb_token **ids, vb_err *err)
{
    vb_message *kept = calloc(all->n + 1, sizeof *kept);
    size_t n = 0;
    int64_t count = VB_E_MEMORY;
    for (size_t i = 0; kept != NULL && i < all->n; i++) {
        if (drop > 0 && strcmp(all->list[i].role, "system") != 0) drop--;
        else kept[n++] = all->list[i];
    }
    if (kept != NULL) count = vb_chat_encode(model, kept, n, NULL, 0, err);
    *ids = count >= 0 ? malloc(((size_t)count + 1) * sizeof **ids) : NULL;
    if (*ids != NULL) count = vb_chat_encode(model, kept, n, *ids, (size_t)count, err);
    else if (count >= 0) count = VB_E_MEMORY;
    free(kept);
    return count;
}

/* How many messages may be dropped: all but system's and the last. */
static size_t droppable(const messages *all)
{
    size_t n = 0;
    for (size_t i = 0; i + 1 < all->n; i++) n += strcmp(all->list[i].role, "system") != 0;
    return n;
}

static size_t bytes_of(const messages *all)
{
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++) n += strlen(all->list[i].content);
    return n;
}

/* Is it the id that the model wants at the beginning of every text, and nowhere else? */
static int begins_with_bos(const vb_model *model, vb_token id)
{
    vb_token first;
    return vb_tokenize(model, "", 0, VB_ADD_SPECIAL, &first, 1, NULL) > 0 && first == id;
}

static int add_messages(vb_turn *t, const vb_ask *ask, int context, vb_fault *fault)
{
    messages all;
    vb_err err = {0};
    vb_token *ids = NULL;
    json_t *texts = json_array();
    if (read_messages(&all, t->host->model, ask->messages, texts, fault)) {
        size_t most = ask->truncate ? droppable(&all) : 0, drop = 0;
        int64_t n = (int64_t)context;
        if (bytes_of(&all) / LONGEST_PIECE <= (size_t)context || most > 0) n = encode(t->host->model, &all, 0, &ids, &err);
        while (n >= context && drop < most) {
            free(ids);
            n = encode(t->host->model, &all, ++drop, &ids, &err);
        }
        if (n < 0) fault_of(fault, &err);
        else if (t->n + n >= context) too_long(fault, t->n + n, context);
        else if (t->n > 0 && n > 0 && begins_with_bos(t->host->model, ids[0])) add_ids(t, ids + 1, (size_t)n - 1, fault);
        else add_ids(t, ids, (size_t)n, fault);
    }
    free(ids);
    free(all.list);
    json_decref(texts);
    return fault->status == 0;
}

int64_t vb_turn_tokenize(const vb_host *host, const char *text, int flags, vb_token **ids, vb_fault *fault)
{
    vb_err err = {0};
    size_t len = strlen(text), cap = len < 64 ? 80 : len / 2;
    *ids = malloc(cap * sizeof **ids);
    int64_t n = *ids != NULL ? vb_tokenize(host->model, text, len, flags, *ids, cap, &err) : VB_E_MEMORY;
    if (n > (int64_t)cap) {
        free(*ids);
        *ids = malloc((size_t)n * sizeof **ids);
        n = *ids != NULL ? vb_tokenize(host->model, text, len, flags, *ids, (size_t)n, &err) : VB_E_MEMORY;
    }
    if (n >= 0) return n;
    fault_of(fault, &err);
    free(*ids);
    *ids = NULL;
    return -1;
}

static int add_text(vb_turn *t, const char *text, int context, vb_fault *fault)
{
    vb_token *ids;
    int flags = VB_PARSE_SPECIAL | (t->n == 0 ? VB_ADD_SPECIAL : 0);
    if (strlen(text) / LONGEST_PIECE > (size_t)context) return too_long(fault, (int64_t)strlen(text) / LONGEST_PIECE, context);
    int64_t n = vb_turn_tokenize(t->host, text, flags, &ids, fault);
    if (n >= 0 && t->n + n >= context) too_long(fault, t->n + n, context);
    else if (n >= 0) add_ids(t, ids, (size_t)n, fault);
    free(ids);
    return fault->status == 0;
}

static int make_prompt(vb_turn *t, const vb_ask *ask, int context, vb_fault *fault)
{
    if (!add_ids(t, ask->ids, ask->n_ids, fault)) return 0;
    if (ask->messages != NULL && !add_messages(t, ask, context, fault)) return 0;
    if (ask->text != NULL && !add_text(t, ask->text, context, fault)) return 0;
    if (t->n == 0) vb_fault_set(fault, 400, "the prompt has no tokens");
    else if (t->n >= context) too_long(fault, t->n, context);
    return fault->status == 0;
}

/* --- events ---------------------------------------------------------------------------------------------- */

static void free_turn(vb_turn *t)
{
    for (int i = 0; i < VB_CHOICES_MOST; i++) vb_grammar_close(t->more->choices[i].job.grammar);
    if (t->host != NULL) vb_hosts_release(t->serve->hosts, t->host, t->more->keep_ns);
    pthread_mutex_destroy(&t->more->lock);
    for (int i = 0; i < VB_STOPS_MOST; i++) free(t->more->stops[i]);
    free(t->ids);
    free(t->more);
    free(t);
}

/* One part of the turn has ended. */
static void end_part(vb_turn *t)
{
    pthread_mutex_lock(&t->more->lock);
    int over = --t->more->pending == 0;
    pthread_mutex_unlock(&t->more->lock);
    if (!over) return;
    t->events.over(t->ud);
    free_turn(t);
}

static int on_token(void *ud, const vb_job_token *token)
{
    choice *c = ud;
    pthread_mutex_lock(&c->turn->more->lock);
    int stop = c->turn->events.token(c->turn->ud, c->choice, token);
    pthread_mutex_unlock(&c->turn->more->lock);
    return stop;
}

static void on_prompt(void *ud, int position, const vb_job_token *token)
{
    choice *c = ud;
    pthread_mutex_lock(&c->turn->more->lock);
    c->turn->events.prompt(c->turn->ud, c->choice, position, token);
    pthread_mutex_unlock(&c->turn->more->lock);
}

static void on_end(void *ud, const vb_job_end *end)
{
    choice *c = ud;
    pthread_mutex_lock(&c->turn->more->lock);
    c->ended = 1;
    c->turn->events.done(c->turn->ud, c->choice, end);
    pthread_mutex_unlock(&c->turn->more->lock);
    end_part(c->turn);
}

static void client_gone(void *ud)
{
    vb_turn *t = ud;
    for (int i = 0; i < t->choices; i++) vb_job_cancel(&t->more->choices[i].job);
    vb_scheduler_wake(t->serve->scheduler);
}

/* --- starting -------------------------------------------------------------------------------------------- */

static vb_turn *new_turn(vb_serve *s, vb_exchange *x, const vb_ask *ask)
{
    vb_turn *t = calloc(1, sizeof *t);
    struct vb_turn_more *more = calloc(1, sizeof *more);
    if (t == NULL || more == NULL) {
        free(t);
        free(more);
        return NULL;
    }
    t->serve = s;
    t->exchange = x;
    t->choices = ask->choices > 0 ? ask->choices : 1;
    t->started_ns = ask->began_ns > 0 ? ask->began_ns : vb_now_ns();
    t->more = more;
    more->keep_ns = ask->keep_ns;
    more->pending = t->choices + 1;
    pthread_mutex_init(&more->lock, NULL);
    return t;
}

static int context_of(const vb_turn *t, const vb_ask *ask)
{
    return ask->context > 0 && ask->context < t->host->context ? ask->context : t->host->context;
}

static void make_job(vb_turn *t, const vb_ask *ask, int i)
{
    choice *c = &t->more->choices[i];
    int room = context_of(t, ask) - t->n;
    c->turn = t;
    c->choice = i;
    c->job = (vb_job){.host = t->host, .ids = t->ids, .n = t->n, .sampling = ask->sampling, .max_tokens = ask->max_tokens,
                      .stops = (const char *const *)t->more->stops, .n_stops = ask->n_stops, .top = ask->top,
                      .echo = ask->echo, .priority = ask->priority + vb_exchange_priority(t->exchange),
                      .on_token = on_token, .on_prompt = on_prompt, .on_end = on_end, .ud = c};
    if (c->job.max_tokens == 0 || c->job.max_tokens > room) c->job.max_tokens = room;
    if (c->job.sampling.top_k > t->host->info.vocab) c->job.sampling.top_k = t->host->info.vocab;
    c->job.sampling.stream += (uint64_t)i;
}

static int copy_stops(vb_turn *t, const vb_ask *ask, vb_fault *fault)
{
    for (int i = 0; i < ask->n_stops; i++) {
        t->more->stops[i] = strdup(ask->stops[i]);
        if (t->more->stops[i] == NULL) vb_fault_set(fault, 500, "out of memory");
    }
    return fault->status == 0;
}

static int prepare(vb_turn *t, const vb_ask *ask, vb_fault *fault)
{
    vb_err err = {0};
    if (t->choices > VB_CHOICES_MOST) vb_fault_set(fault, 400, "n must be between 1 and %d", VB_CHOICES_MOST);
    if (vb_sampling_check(&ask->sampling, &err) < 0) vb_fault_set(fault, 400, "%s", err.text);
    if (fault->status != 0 || !vb_turn_host(t->serve, ask->model, 0, &t->host, fault)) return 0;
    t->load_ns = vb_now_ns() - t->started_ns;
    if (t->host->info.encoder) vb_fault_set(fault, 400, "\"%.200s\" does not support generate", ask->model);
    return fault->status == 0 && copy_stops(t, ask, fault) && make_prompt(t, ask, context_of(t, ask), fault);
}

/* Each choice goes its own way through the grammar. */
static int hold(vb_turn *t, const vb_ask *ask, vb_fault *fault)
{
    choice *all = t->more->choices;
    vb_err err = {0};
    if (!vb_form_open(&all[0].job.grammar, t->host->model, &ask->form, fault)) return 0;
    for (int i = 1; i < t->choices && all[0].job.grammar != NULL; i++)
        if (vb_grammar_fork(&all[i].job.grammar, all[0].job.grammar, &err) < 0) {
            fault_of(fault, &err);
            return 0;
        }
    return 1;
}

/* The first job's refusal is the turn's; a later one's is that choice's end. */
static int submit(vb_turn *t, int i, vb_fault *fault)
{
    vb_job_end end = {.why = VB_JOB_FAILED, .prompt_tokens = t->n};
    choice *c = &t->more->choices[i];
    if (vb_scheduler_submit(t->serve->scheduler, &c->job, &end.err) == VB_OK) return 1;
    if (i > 0) on_end(c, &end);
    else fault_of(fault, &end.err);
    return i > 0;
}

int vb_turn_start(vb_turn **out, vb_serve *s, vb_exchange *x, const vb_ask *ask, const vb_turn_events *events, void *ud,
                  vb_fault *fault)
{
    vb_turn *t = *out = new_turn(s, x, ask);
    if (t == NULL) {
        vb_fault_set(fault, 500, "out of memory");
        return 0;
    }
    t->events = *events;
    t->ud = ud;
    int started = prepare(t, ask, fault);
    for (int i = 0; started && i < t->choices; i++) make_job(t, ask, i);
    if (started) started = hold(t, ask, fault);
    for (int i = 0; started && i < t->choices; i++) started = submit(t, i, fault);
    if (!started) {
        *out = NULL;
        free_turn(t);
        return 0;
    }
    vb_exchange_on_gone(x, client_gone, t);
    end_part(t);
    return 1;
}
