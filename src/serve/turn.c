/* turn.c - from what is asked to jobs, and from their events to the route that asked.
 *
 *   pending = choices + 1: the last one belongs to whoever starts the turn, so that nothing is over before it has begun.
 *
 * Invariant: events never overlap, because jobs' events come from one thread and the starter's come under the same lock.
 */
#include "serve/turn.h"

#include "serve/conversation.h"
#include "serve/ollama.h"
#include "serve/record.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { BACKLOG_MOST = 1 << 20, BUSY_SECONDS = 5, TAIL_TOKENS = 32, TAIL_BYTES = 4096 };

typedef struct {
    vb_turn *turn;
    vb_job job;
    int choice, ended;
    vb_reply *reply; /* NULL: all that comes is content */
    int thoughts;    /* tokens */
} choice;

struct vb_turn_more {
    pthread_mutex_t lock;
    int pending;
    int64_t keep_ns;
    char *stops[VB_STOPS_MOST]; /* the scheduler reads them when the job gets its slot */
    vb_token *shown;            /* and these */
    int n_shown;
    vb_bias *biases;
    int n_biases;
    vb_tooling tooling;         /* the asker's, while the turn starts */
    vb_reply_style style;
    char tail[TAIL_BYTES];
    size_t tail_len;
    char *begun, *gbnf;         /* of a call that has to be made */
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

/* A template that does not take this conversation says so with an error of its own; a model without one takes none. */
static void template_fault(vb_fault *fault, const vb_err *err)
{
    if (err->code == VB_E_FORMAT || err->code == VB_E_NOT_FOUND) vb_fault_set(fault, 400, "%s", err->text);
    else fault_of(fault, err);
}

void vb_turn_judge(const vb_job_end *end, vb_fault *fault)
{
    static const vb_err waited = {VB_E_FULL, "server busy, please try again.  the request has waited too long"};
    memset(fault, 0, sizeof *fault);
    if (end->why == VB_JOB_FAILED) fault_of(fault, &end->err);
    else if (end->why == VB_JOB_TIMEOUT) fault_of(fault, &waited);
    else if (end->why == VB_JOB_DEADLINE) vb_fault_set(fault, 504, "the request's deadline has passed");
}

int vb_turn_thoughts(const vb_turn *t, int i)
{
    return t->more->choices[i].thoughts;
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
    if (vb_catalogue_spell(model, name)) status = vb_hosts_ask(s->hosts, name, embeds, out, &fault->load, &err);
    if (status == VB_OK && *out == NULL) vb_fault_set(fault, VB_FAULT_LATER, "model '%.256s' is being loaded", model);
    if (status == VB_E_NOT_FOUND) vb_fault_set(fault, 404, "model '%.256s' not found", model);
    else if (status < 0) fault_of(fault, &err);
    return *out != NULL;
}

/* --- the prompt ------------------------------------------------------------------------------------------ */

int vb_turn_render(const vb_model *model, const json_t *all, const vb_tooling *tooling, char **text, size_t *len,
                   vb_fault *fault)
{
    vb_conversation c;
    vb_reply_style style;
    vb_tooling own = tooling != NULL ? *tooling : (vb_tooling){0};
    vb_err err = {0};
    *text = NULL;
    vb_tooling_settle(&own, model, &style);
    if (vb_conversation_open(&c, model, all, &own, fault)) {
        int64_t n = vb_conversation_render(&c, model, text, &err);
        if (n >= 0) *len = (size_t)n;
        else template_fault(fault, &err);
    }
    vb_conversation_close(&c);
    return fault->status == 0;
}

static int too_long(vb_fault *fault, int64_t n, int context)
{
    vb_fault_set(fault, 400, "the input length exceeds the context length: at least %lld tokens of %d", (long long)n, context);
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

int vb_turn_too_long(const vb_host *host, size_t bytes, int context)
{
    int longest = host->info.longest_token;
    return longest > 0 && bytes / (size_t)longest > (size_t)context;
}

/* Is it the id that the model wants at the beginning of every text, and nowhere else? */
static int begins_with_bos(const vb_model *model, vb_token id)
{
    vb_token first;
    return vb_tokenize(model, "", 0, VB_ADD_SPECIAL, &first, 1, NULL) > 0 && first == id;
}

/* The conversation without its `drop` oldest messages: how many ids it has, at least `context` if it is too long. */
static int64_t encode(const vb_turn *t, vb_conversation *c, size_t drop, int context, vb_token *ids, vb_err *err)
{
    size_t bytes = vb_conversation_drop(c, drop);
    if (vb_turn_too_long(t->host, bytes, context)) return (int64_t)context + 1;
    return vb_conversation_encode(c, t->host->model, ids, (size_t)context, err);
}

/* Drops as few messages as will do, found by halving: the more are dropped, the shorter it gets. */
static int64_t encode_within(const vb_turn *t, vb_conversation *c, int truncate, int context, vb_token *ids, vb_err *err)
{
    size_t low = 0, high = truncate ? vb_conversation_droppable(c) : 0;
    int64_t n = encode(t, c, 0, context, ids, err);
    if (n < context || high == 0) return n;
    while (n >= 0 && high - low > 1) {
        size_t middle = low + (high - low) / 2;
        n = encode(t, c, middle, context, ids, err);
        if (n >= context) low = middle;
        else high = middle;
    }
    return n >= 0 ? encode(t, c, high, context, ids, err) : n;
}

static int add_messages(vb_turn *t, const vb_ask *ask, int context, vb_fault *fault)
{
    vb_conversation c;
    vb_err err = {0};
    vb_token *ids = malloc((size_t)context * sizeof *ids);
    if (ids == NULL) vb_fault_set(fault, 500, "out of memory");
    if (vb_conversation_open(&c, t->host->model, ask->messages, &t->more->tooling, fault)) {
        int64_t n = encode_within(t, &c, ask->truncate, context, ids, &err);
        if (n < 0) template_fault(fault, &err);
        else if (t->n + n >= context) too_long(fault, t->n + n, context);
        else if (t->n > 0 && n > 0 && begins_with_bos(t->host->model, ids[0])) add_ids(t, ids + 1, (size_t)n - 1, fault);
        else add_ids(t, ids, (size_t)n, fault);
    }
    free(ids);
    vb_conversation_close(&c);
    return fault->status == 0;
}

int64_t vb_turn_tokenize(const vb_host *host, const char *text, int flags, vb_token **ids, vb_fault *fault)
{
    vb_err err = {0};
    size_t len = strlen(text), cap = len < 64 ? 80 : len / 2;
    int stops = (flags & VB_STOP_WHEN_FULL) != 0;
    if (stops) cap = (size_t)host->context;
    *ids = malloc(cap * sizeof **ids);
    int64_t n = *ids != NULL ? vb_tokenize(host->model, text, len, flags, *ids, cap, &err) : VB_E_MEMORY;
    if (n > (int64_t)cap && !stops) {
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
    int flags = VB_PARSE_SPECIAL | VB_STOP_WHEN_FULL | (t->n == 0 ? VB_ADD_SPECIAL : 0);
    if (vb_turn_too_long(t->host, strlen(text), context)) return too_long(fault, (int64_t)context + 1, context);
    int64_t n = vb_turn_tokenize(t->host, text, flags, &ids, fault);
    if (n >= 0 && t->n + n >= context) too_long(fault, t->n + n, context);
    else if (n >= 0) add_ids(t, ids, (size_t)n, fault);
    free(ids);
    return fault->status == 0;
}

/* The prompt's end as text: what it has opened decides how the answer begins. */
static void look_back(vb_turn *t)
{
    struct vb_turn_more *more = t->more;
    int from = t->n > TAIL_TOKENS ? t->n - TAIL_TOKENS : 0;
    int64_t n = vb_detokenize(t->host->model, t->ids + from, (size_t)(t->n - from), 1, more->tail, sizeof more->tail, NULL);
    more->tail_len = n > 0 && n <= (int64_t)sizeof more->tail ? (size_t)n : 0;
}

/* An answer that is held to a form does not think: a thought that the prompt has opened is closed. A call that has to be
 * made is opened. */
static int open_answer(vb_turn *t, const vb_ask *ask, int context, vb_fault *fault)
{
    struct vb_turn_more *more = t->more;
    vb_err err = {0};
    int held = more->tooling.required || ask->form.gbnf != NULL || ask->form.schema != NULL || ask->form.json;
    look_back(t);
    const char *close = held ? vb_reply_unthink(&more->style, more->tail, more->tail_len) : NULL;
    if (close != NULL) more->tail_len = 0;
    if (close != NULL && (!add_text(t, close, context, fault) || !add_text(t, "\n\n", context, fault))) return 0;
    if (!more->tooling.required) return 1;
    if (vb_reply_demand(&more->style, more->tooling.tools, more->tooling.name, more->tooling.one, &more->begun, &more->gbnf,
                        &err) < 0) {
        fault_of(fault, &err);
        return 0;
    }
    return more->begun[0] == '\0' || add_text(t, more->begun, context, fault);
}

static int make_prompt(vb_turn *t, const vb_ask *ask, int context, vb_fault *fault)
{
    if (!add_ids(t, ask->ids, ask->n_ids, fault)) return 0;
    if (ask->messages != NULL && !add_messages(t, ask, context, fault)) return 0;
    if (ask->messages != NULL && !open_answer(t, ask, context, fault)) return 0;
    if (ask->text != NULL && !add_text(t, ask->text, context, fault)) return 0;
    if (t->n == 0) vb_fault_set(fault, 400, "the prompt has no tokens");
    else if (t->n >= context) too_long(fault, t->n, context);
    return fault->status == 0;
}

/* --- events ---------------------------------------------------------------------------------------------- */

static void free_turn(vb_turn *t)
{
    for (int i = 0; i < VB_CHOICES_MOST; i++) {
        vb_grammar_close(t->more->choices[i].job.grammar);
        vb_reply_close(t->more->choices[i].reply);
        vb_record_close(t->more->choices[i].job.record);
    }
    if (t->host != NULL) vb_hosts_release(t->serve->hosts, t->host, t->more->keep_ns);
    pthread_mutex_destroy(&t->more->lock);
    for (int i = 0; i < VB_STOPS_MOST; i++) free(t->more->stops[i]);
    free(t->more->shown);
    free(t->more->biases);
    free(t->more->begun);
    free(t->more->gbnf);
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

static void tell_piece(choice *c, const vb_reply_piece *piece)
{
    if ((piece->thinking_len > 0 || piece->n_calls > 0) && c->turn->events.split != NULL)
        c->turn->events.split(c->turn->ud, c->choice, piece);
}

static int on_token(void *ud, const vb_job_token *token)
{
    choice *c = ud;
    vb_job_token content = *token;
    vb_reply_piece piece;
    int failed = 0;
    pthread_mutex_lock(&c->turn->more->lock);
    if (c->reply != NULL) {
        c->thoughts += vb_reply_thinks(c->reply);
        failed = vb_reply_add(c->reply, token->text, token->len, &piece, NULL) < 0;
        tell_piece(c, &piece);
        content.text = piece.content;
        content.len = piece.content_len;
    }
    int stop = c->turn->events.token(c->turn->ud, c->choice, &content);
    pthread_mutex_unlock(&c->turn->more->lock);
    return stop || failed;
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
    vb_job_end own = *end;
    vb_reply_piece piece;
    pthread_mutex_lock(&c->turn->more->lock);
    c->ended = 1;
    if (c->reply != NULL) {
        if (vb_reply_end(c->reply, end->text, end->len, &piece, &own.err) < 0) own.why = VB_JOB_FAILED;
        tell_piece(c, &piece);
        own.text = piece.content;
        own.len = piece.content_len;
    }
    c->turn->events.done(c->turn->ud, c->choice, &own);
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
    t->started_ns = vb_exchange_whole_ns(x);
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
                      .biases = t->more->biases, .n_biases = t->more->n_biases, .shown = t->more->shown,
                      .n_shown = t->more->n_shown, .request = vb_exchange_id(t->exchange),
                      .deadline_ns = vb_exchange_deadline(t->exchange), .echo = ask->echo, .ending = ask->ending,
                      .priority = ask->priority + vb_exchange_priority(t->exchange),
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

/* Marks that are control tokens are text in an answer that is taken apart. */
static int show_marks(vb_turn *t, vb_fault *fault)
{
    struct vb_turn_more *more = t->more;
    const char *mark;
    vb_token ids[2];
    int calls = more->tooling.tools != NULL;
    for (int i = 0; (mark = vb_reply_mark(&more->style, calls, i)) != NULL; i++) {
        if (vb_tokenize(t->host->model, mark, strlen(mark), VB_PARSE_SPECIAL, ids, 2, NULL) != 1) continue;
        vb_token *shown = realloc(more->shown, ((size_t)more->n_shown + 1) * sizeof *shown);
        if (shown == NULL) vb_fault_set(fault, 500, "out of memory");
        if (shown == NULL) return 0;
        more->shown = shown;
        more->shown[more->n_shown++] = ids[0];
    }
    return 1;
}

/* Tools and thoughts only where the template knows of them; biases of tokens that there are. */
static int equip(vb_turn *t, const vb_ask *ask, vb_fault *fault)
{
    struct vb_turn_more *more = t->more;
    char full[VB_HOST_NAME + 32];
    if (!vb_biases_read(&more->biases, &more->n_biases, ask->biases, t->host->info.vocab, fault)) return 0;
    if (ask->messages == NULL) return 1;
    if (ask->tooling != NULL) more->tooling = *ask->tooling;
    vb_tooling_settle(&more->tooling, t->host->model, &more->style);
    if (more->tooling.tools != NULL && !more->style.tools)
        vb_fault_set(fault, 400, "%s does not support tools", vb_ollama_full_name(ask->model, full, sizeof full));
    else if (more->tooling.think > 0 && !more->style.thinks)
        vb_fault_set(fault, 400, "\"%.200s\" does not support thinking", ask->model);
    if (fault->status != 0 || (more->tooling.tools == NULL && !more->style.thinks)) return fault->status == 0;
    return show_marks(t, fault);
}

static int prepare(vb_turn *t, const vb_ask *ask, vb_fault *fault)
{
    vb_err err = {0};
    if (t->choices > VB_CHOICES_MOST) vb_fault_set(fault, 400, "n must be between 1 and %d", VB_CHOICES_MOST);
    if (vb_sampling_check(&ask->sampling, &err) < 0) vb_fault_set(fault, 400, "%s", err.text);
    if (fault->status != 0 || !vb_turn_host(t->serve, ask->model, 0, &t->host, fault)) return 0;
    t->load_ns = vb_now_ns() - t->started_ns;
    if (t->host->info.encoder) vb_fault_set(fault, 400, "\"%.200s\" does not support generate", ask->model);
    return fault->status == 0 && copy_stops(t, ask, fault) && equip(t, ask, fault) &&
           make_prompt(t, ask, context_of(t, ask), fault);
}

/* Each choice is taken apart for itself. */
static int split(vb_turn *t, vb_fault *fault)
{
    struct vb_turn_more *more = t->more;
    vb_err err = {0};
    vb_reply_opts opts = {.style = &more->style, .tools = more->tooling.tools, .most_calls = more->tooling.one,
                          .prompt = more->tail, .prompt_len = more->tail_len, .begun = more->begun};
    for (int i = 0; i < t->choices && (more->tooling.tools != NULL || more->style.thinks); i++)
        if (vb_reply_open(&more->choices[i].reply, &opts, &err) < 0) fault_of(fault, &err);
    return fault->status == 0;
}

/* Each choice goes its own way through the grammar. */
static int hold(vb_turn *t, const vb_ask *ask, vb_fault *fault)
{
    choice *all = t->more->choices;
    vb_err err = {0};
    vb_form demanded = {.gbnf = t->more->gbnf, .request = ask->form.request};
    const vb_form *form = demanded.gbnf != NULL ? &demanded : &ask->form;
    if (!vb_form_open(&all[0].job.grammar, t->host->model, form, fault)) return 0;
    for (int i = 1; i < t->choices && all[0].job.grammar != NULL; i++)
        if (vb_grammar_fork(&all[i].job.grammar, all[0].job.grammar, &err) < 0) {
            fault_of(fault, &err);
            return 0;
        }
    return 1;
}

static int record(vb_turn *t, const vb_ask *ask, vb_fault *fault)
{
    const vb_recorder *r = t->serve->recorder;
    for (int i = 0; i < t->choices && fault->status == 0 && vb_record_wanted(r, ask->digest); i++)
        vb_record_open(&t->more->choices[i].job.record, t->serve->recorder, vb_exchange_id(t->exchange), i, t->choices, fault);
    return fault->status == 0;
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
    if (started) started = hold(t, ask, fault) && split(t, fault) && record(t, ask, fault);
    memset(&t->more->tooling, 0, sizeof t->more->tooling);
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
