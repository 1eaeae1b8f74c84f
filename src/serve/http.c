/* http.c - the exchange, between libmicrohttpd's threads and whoever answers.
 *
 *   state     READING --body whole--> HANDLED --answer or begin--> SENDING --last byte, or client gone--> (freed)
 *
 * While nobody has anything to send the connection is suspended. libmicrohttpd does not look at a suspended socket, so
 * a watcher thread (watch.h) does, to see a client leave.
 *
 * Two owners hold an exchange: the connection (until libmicrohttpd reports its completion) and the answerer (until the
 * answer has ended). Invariant: whoever lets go last frees it; `suspended` changes under the lock alone, so that no
 * connection is resumed twice or put to sleep with bytes waiting.
 */
#include "serve/http.h"

#include "base/err.h"
#include "base/os.h"
#include "serve/patience.h"
#include "serve/watch.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 1 << 15, FIRST_BODY = 1 << 12, HEADERS_MOST = 1 << 15, LAST_MS = 500 };
#define PATIENCE_NS INT64_C(60000000000)

typedef struct {
    char *data;
    size_t len, at, cap;
} buffer;

struct vb_http {
    vb_http_opts opts;
    struct MHD_Daemon *daemon;
    vb_watch *watch;
    vb_patience *patience;
    atomic_int busy;
    atomic_int owed; /* answers that have ended and are not sent yet */
};

struct vb_exchange {
    vb_http *http;
    struct MHD_Connection *connection; /* NULL: completed */
    pthread_mutex_t lock;
    int owners;
    char *method, *path;
    size_t most; /* bytes of body */
    buffer body, out;
    unsigned status;
    struct MHD_Response *headers; /* names and values to add; never sent itself */
    char *type;
    int handled; /* of the connection's thread alone */
    int begun, streams, ended, queued, suspended, gone, owed;
    int left;    /* the client's end was seen, and nobody had asked to be told */
    int watched; /* of the connection's thread alone */
    void (*on_gone)(void *ud);
    void *gone_ud;
    size_t (*take)(void *ud, const char *data, size_t n); /* NULL: the body is gathered */
    void *take_ud;
    int fading, whole; /* of a body that is taken: its client sends no more; all of it has been passed on */
    const void *route;
    int priority;
    char id[32];
    int64_t deadline_ns;
    uint64_t since_ns, whole_ns;
};

/* --- memory ---------------------------------------------------------------------------------------------- */

static int add(buffer *b, const char *data, size_t len)
{
    if (b->at > 0 && b->at == b->len) b->at = b->len = 0;
    if (b->len + len + 1 > b->cap) {
        size_t cap = b->cap > 0 ? b->cap : FIRST_BODY;
        while (cap < b->len + len + 1) cap *= 2;
        char *grown = realloc(b->data, cap);
        if (grown == NULL) return 0;
        b->data = grown;
        b->cap = cap;
    }
    if (len > 0) memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
    return 1;
}

static void let_go(vb_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    int last = --x->owners == 0;
    pthread_mutex_unlock(&x->lock);
    if (!last) return;
    if (x->headers != NULL && x->http->opts.over != NULL) x->http->opts.over(x->http->opts.ud, x);
    atomic_fetch_sub(&x->http->busy, 1);
    pthread_mutex_destroy(&x->lock);
    if (x->headers != NULL) MHD_destroy_response(x->headers);
    free(x->method);
    free(x->path);
    free(x->type);
    free(x->body.data);
    free(x->out.data);
    free(x);
}

static vb_exchange *new_exchange(vb_http *http, struct MHD_Connection *c, const char *method, const char *path)
{
    vb_exchange *x = calloc(1, sizeof *x);
    if (x == NULL) return NULL;
    x->http = http;
    x->connection = c;
    x->owners = 1;
    x->since_ns = vb_clock_ns();
    x->method = strdup(method);
    x->path = strdup(path);
    x->headers = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    pthread_mutex_init(&x->lock, NULL);
    atomic_fetch_add(&http->busy, 1);
    if (x->method != NULL && x->path != NULL && x->headers != NULL && add(&x->body, "", 0)) return x;
    let_go(x);
    return NULL;
}

/* --- the request ----------------------------------------------------------------------------------------- */

const char *vb_exchange_method(const vb_exchange *x)
{
    return x->method;
}

const char *vb_exchange_path(const vb_exchange *x)
{
    return x->path;
}

const char *vb_exchange_header(const vb_exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

typedef struct {
    const char *name;
    int n;
} counted;

static enum MHD_Result count_header(void *ud, enum MHD_ValueKind kind, const char *name, const char *value)
{
    counted *c = ud;
    (void)kind;
    (void)value;
    c->n += strcasecmp(name, c->name) == 0;
    return MHD_YES;
}

int vb_exchange_count(const vb_exchange *x, const char *name)
{
    counted c = {name, 0};
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, count_header, &c);
    return c.n;
}

const char *vb_exchange_query(const vb_exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *vb_exchange_body(const vb_exchange *x, size_t *len)
{
    if (len != NULL) *len = x->body.len;
    return x->body.data;
}

int vb_exchange_answered(const vb_exchange *x)
{
    return x->begun;
}

int64_t vb_exchange_length(const vb_exchange *x)
{
    const char *said = vb_exchange_header(x, MHD_HTTP_HEADER_CONTENT_LENGTH);
    char *end;
    if (said == NULL) return -1;
    long long n = strtoll(said, &end, 10);
    return *end == '\0' && n >= 0 ? n : -1;
}


void vb_exchange_set_route(vb_exchange *x, const void *route)
{
    x->route = route;
}

const void *vb_exchange_route(const vb_exchange *x)
{
    return x->route;
}

void vb_exchange_set_priority(vb_exchange *x, int priority)
{
    x->priority = priority;
}

int vb_exchange_priority(const vb_exchange *x)
{
    return x->priority;
}

void vb_exchange_set_id(vb_exchange *x, const char *id)
{
    snprintf(x->id, sizeof x->id, "%.31s", id);
}

const char *vb_exchange_id(const vb_exchange *x)
{
    return x->id;
}

void vb_exchange_set_deadline(vb_exchange *x, int64_t ns)
{
    x->deadline_ns = ns;
}

int64_t vb_exchange_deadline(const vb_exchange *x)
{
    return x->deadline_ns;
}

unsigned vb_exchange_status(const vb_exchange *x)
{
    return x->status;
}

void *vb_exchange_server(const vb_exchange *x)
{
    return x->http->opts.ud;
}

int64_t vb_exchange_whole_ns(const vb_exchange *x)
{
    return (int64_t)x->whole_ns;
}

int64_t vb_exchange_age_ns(const vb_exchange *x)
{
    return (int64_t)(vb_clock_ns() - x->since_ns);
}

/* --- the answer, from any thread ------------------------------------------------------------------------- */

/* Lets the connection's thread look again; under the lock. */
static void wake(vb_exchange *x)
{
    if (!x->suspended || x->connection == NULL) return;
    x->suspended = 0;
    MHD_resume_connection(x->connection);
}

void vb_exchange_set(vb_exchange *x, const char *name, const char *value)
{
    MHD_add_response_header(x->headers, name, value);
}

static void begin(vb_exchange *x, unsigned status, const char *type, int streams)
{
    x->status = status;
    x->type = type != NULL ? strdup(type) : NULL;
    x->streams = streams;
    x->begun = 1;
}

/* Under the lock. */
static void end(vb_exchange *x)
{
    x->ended = 1;
    x->owed = x->connection != NULL;
    atomic_fetch_add(&x->http->owed, x->owed);
    wake(x);
}

/* Lets libmicrohttpd see that a client has gone whose body nobody waits for; under the lock. */
static void hang_up(vb_exchange *x)
{
    if (!x->fading || x->whole || x->connection == NULL) return;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != NULL) shutdown(info->connect_fd, SHUT_RDWR);
}

void vb_exchange_answer(vb_exchange *x, unsigned status, const char *type, const char *body, size_t len)
{
    pthread_mutex_lock(&x->lock);
    begin(x, status, type, 0);
    if (!add(&x->out, body, len)) x->gone = 1;
    end(x);
    hang_up(x);
    pthread_mutex_unlock(&x->lock);
    let_go(x);
}

void vb_exchange_begin(vb_exchange *x, unsigned status, const char *type)
{
    pthread_mutex_lock(&x->lock);
    begin(x, status, type, 1);
    wake(x);
    pthread_mutex_unlock(&x->lock);
}

void vb_exchange_write(vb_exchange *x, const char *data, size_t len)
{
    pthread_mutex_lock(&x->lock);
    if (!x->gone && !add(&x->out, data, len)) x->gone = 1;
    wake(x);
    pthread_mutex_unlock(&x->lock);
}

void vb_exchange_end(vb_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    end(x);
    pthread_mutex_unlock(&x->lock);
    let_go(x);
}

void vb_exchange_more(vb_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    wake(x);
    pthread_mutex_unlock(&x->lock);
}

size_t vb_exchange_backlog(vb_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    size_t n = x->out.len - x->out.at;
    pthread_mutex_unlock(&x->lock);
    return n;
}

/* --- a client that leaves -------------------------------------------------------------------------------- */

/* Told under the lock: whoever ends the answer may then free what `gone` was given. */
static void leave(vb_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    int tell = !x->gone && !x->ended && x->on_gone != NULL;
    x->gone = 1;
    wake(x);
    if (tell) x->on_gone(x->gone_ud);
    pthread_mutex_unlock(&x->lock);
}

/* A client that only says no more gets an answer that somebody is about to give. */
static void hung_up(void *ud)
{
    vb_exchange *x = ud;
    pthread_mutex_lock(&x->lock);
    int wanted = x->on_gone != NULL;
    x->left = !wanted;
    pthread_mutex_unlock(&x->lock);
    if (wanted) leave(x);
}

/* From the connection's thread, so that the socket is open. */
static void watch(vb_exchange *x, void (*seen)(void *ud))
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    x->watched = info != NULL;
    if (info != NULL) vb_watch_add(x->http->watch, info->connect_fd, seen, x);
}

void vb_exchange_on_gone(vb_exchange *x, void (*gone)(void *ud), void *ud)
{
    pthread_mutex_lock(&x->lock);
    int left = x->left, late = x->gone && !x->ended;
    x->on_gone = gone;
    x->gone_ud = ud;
    if (late) gone(ud);
    pthread_mutex_unlock(&x->lock);
    if (left) leave(x);
}

/* The client of a body that is taken will send no more. What it has sent may still be on its way through libmicrohttpd, which
 * does not always see the end behind it: whoever takes the body waits until nothing comes any more. */
static void fade(void *ud)
{
    vb_exchange *x = ud;
    pthread_mutex_lock(&x->lock);
    x->fading = 1;
    if (!x->gone && !x->ended) x->on_gone(x->gone_ud);
    pthread_mutex_unlock(&x->lock);
}

void vb_exchange_take_body(vb_exchange *x, size_t (*take)(void *ud, const char *data, size_t n), void (*gone)(void *ud),
                           void *ud)
{
    x->take = take;
    x->take_ud = ud;
    x->on_gone = gone;
    x->gone_ud = ud;
    watch(x, fade);
}

/* --- libmicrohttpd's side -------------------------------------------------------------------------------- */

/* The next bytes of a stream; none yet: the connection goes to sleep. */
static ssize_t read_stream(void *ud, uint64_t position, char *to, size_t max)
{
    vb_exchange *x = ud;
    ssize_t n = 0;
    (void)position;
    pthread_mutex_lock(&x->lock);
    size_t ready = x->out.len - x->out.at;
    if (ready > 0) {
        n = (ssize_t)(ready < max ? ready : max);
        memcpy(to, x->out.data + x->out.at, (size_t)n);
        x->out.at += (size_t)n;
    } else if (x->ended || x->gone) {
        n = x->gone ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        x->suspended = 1;
        MHD_suspend_connection(x->connection);
    }
    pthread_mutex_unlock(&x->lock);
    return n;
}

static enum MHD_Result copy_header(void *ud, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    MHD_add_response_header(ud, name, value);
    return MHD_YES;
}

/* Not under the lock: libmicrohttpd holds one of its own when it calls read_stream. What is read here does not change
 * any more once the answer has begun. */
static enum MHD_Result queue_answer(vb_exchange *x)
{
    struct MHD_Response *r =
        x->streams ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE, read_stream, x, NULL)
                   : MHD_create_response_from_buffer(x->out.len, x->out.data, MHD_RESPMEM_PERSISTENT);
    if (r == NULL) return MHD_NO;
    MHD_get_response_headers(x->headers, copy_header, r);
    if (x->type != NULL) MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, x->type);
    enum MHD_Result ok = MHD_queue_response(x->connection, x->status, r);
    MHD_destroy_response(r);
    x->queued = 1;
    return ok;
}

/* Answers if there is an answer, else sleeps until there is one. */
static enum MHD_Result answer_or_sleep(vb_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    int gone = x->gone, ready = x->begun && !x->queued;
    if (!gone && !x->begun) {
        x->suspended = 1;
        MHD_suspend_connection(x->connection);
    }
    pthread_mutex_unlock(&x->lock);
    if (gone) return MHD_NO;
    return ready ? queue_answer(x) : MHD_YES;
}

static void call(vb_exchange *x, void (*handle)(void *ud, vb_exchange *x))
{
    pthread_mutex_lock(&x->lock);
    x->handled = 1;
    x->owners++; /* the answerer's */
    pthread_mutex_unlock(&x->lock);
    handle(x->http->opts.ud, x);
}

static vb_waited *waited_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static int has_begun(vb_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    int begun = x->begun;
    pthread_mutex_unlock(&x->lock);
    return begun;
}

static void ask_admission(void *ud, vb_exchange *x)
{
    x->most = x->http->opts.admit(ud, x, vb_exchange_length(x));
    if (!has_begun(x) && x->take == NULL) let_go(x); /* nobody keeps it yet */
}

static enum MHD_Result too_large(vb_exchange *x)
{
    static const char text[] = "{\"error\":\"request body too large\"}";
    pthread_mutex_lock(&x->lock);
    x->handled = 1;
    x->owners++;
    pthread_mutex_unlock(&x->lock);
    vb_exchange_answer(x, MHD_HTTP_CONTENT_TOO_LARGE, "application/json; charset=utf-8", text, sizeof text - 1);
    return MHD_YES;
}

/* A piece of a body that somebody takes; what he has no room for stays where it is until he has. */
static enum MHD_Result pass_on(vb_exchange *x, const char *data, size_t *n)
{
    pthread_mutex_lock(&x->lock);
    int gone = x->gone;
    size_t took = x->begun ? *n : x->take(x->take_ud, data, *n);
    *n -= took;
    if (*n > 0) {
        x->suspended = 1;
        MHD_suspend_connection(x->connection);
    }
    pthread_mutex_unlock(&x->lock);
    vb_patience_fed(x->http->patience, waited_of(x->connection), took);
    return gone ? MHD_NO : MHD_YES;
}

static void pass_end(vb_exchange *x)
{
    x->handled = 1;
    pthread_mutex_lock(&x->lock);
    x->whole = 1;
    if (!x->begun) x->take(x->take_ud, NULL, 0);
    pthread_mutex_unlock(&x->lock);
}

/* Called with headers, with pieces of the body, with the end of the body, and again whenever it was resumed. */
static enum MHD_Result on_request(void *ud, struct MHD_Connection *c, const char *path, const char *method,
                                  const char *version, const char *data, size_t *n, void **state)
{
    vb_http *http = ud;
    vb_exchange *x = *state;
    (void)version;
    if (x == NULL) {
        *state = x = new_exchange(http, c, method, path);
        if (x == NULL) return MHD_NO;
        call(x, ask_admission);
        x->handled = has_begun(x);
        return x->handled ? answer_or_sleep(x) : MHD_YES;
    }
    if (*n > 0 && x->take != NULL) return pass_on(x, data, n);
    if (*n > 0) {
        if (!x->handled && x->body.len + *n > x->most) too_large(x);
        if (!x->handled && !add(&x->body, data, *n)) return MHD_NO;
        vb_patience_fed(http->patience, waited_of(c), *n);
        *n = 0;
        return MHD_YES;
    }
    if (!x->handled) {
        vb_patience_end(http->patience, waited_of(c));
        x->whole_ns = vb_clock_ns();
        if (x->take != NULL) {
            pass_end(x);
        } else {
            watch(x, hung_up);
            call(x, http->opts.handle);
        }
    }
    return answer_or_sleep(x);
}

static void on_completed(void *ud, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
    vb_exchange *x = *state;
    vb_http *http = ud;
    vb_patience_restart(http->patience, waited_of(c));
    if (x == NULL) return;
    if (x->watched) vb_watch_remove(x->http->watch, x);
    if (why != MHD_REQUEST_TERMINATED_COMPLETED_OK) leave(x);
    pthread_mutex_lock(&x->lock);
    x->connection = NULL;
    x->gone = 1;
    atomic_fetch_sub(&http->owed, x->owed);
    pthread_mutex_unlock(&x->lock);
    let_go(x);
    *state = NULL;
}

static void on_connection(void *ud, struct MHD_Connection *c, void **context, enum MHD_ConnectionNotificationCode what)
{
    vb_http *http = ud;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        vb_patience_remove(http->patience, *context);
        *context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != NULL) *context = vb_patience_add(http->patience, info->connect_fd);
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* %41 to A, in place; %00 stays as it is, so that no path ends before its end. */
static size_t unescape(void *ud, struct MHD_Connection *c, char *text)
{
    char *to = text;
    (void)ud;
    (void)c;
    for (const char *from = text; *from != '\0'; to++) {
        int high = from[0] == '%' ? hex(from[1]) : -1, low = high >= 0 ? hex(from[2]) : -1;
        int escaped = low >= 0 && high + low > 0;
        *to = escaped ? (char)(high * 16 + low) : *from;
        from += escaped ? 3 : 1;
    }
    *to = '\0';
    return (size_t)(to - text);
}

/* --- opening and closing --------------------------------------------------------------------------------- */

static vb_status start(vb_http *h, vb_err *err)
{
    const vb_http_opts *o = &h->opts;
    VB_TRY(vb_watch_open(&h->watch, err));
    VB_TRY(vb_patience_open(&h->patience, o->patience_ns > 0 ? o->patience_ns : PATIENCE_NS, err));
    h->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0, NULL, NULL, on_request, h,
        MHD_OPTION_LISTEN_SOCKET, o->listener, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)(o->threads > 0 ? o->threads : 2),
        MHD_OPTION_CONNECTION_LIMIT, o->connections > 0 ? o->connections : 1200u, MHD_OPTION_CONNECTION_TIMEOUT,
        o->idle_seconds > 0 ? o->idle_seconds : 300u, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADERS_MOST,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_END);
    if (h->daemon == NULL) VB_FAIL(err, VB_E_IO, "serve: the HTTP server did not start: %s", strerror(errno));
    return VB_OK;
}

vb_status vb_http_open(vb_http **out, const vb_http_opts *opts, vb_err *err)
{
    vb_http *h = calloc(1, sizeof *h);
    *out = NULL;
    if (h == NULL) VB_FAIL(err, VB_E_MEMORY, "serve: out of memory");
    h->opts = *opts;
    vb_status s = start(h, err);
    if (s < 0) {
        vb_http_close(h);
        return s;
    }
    *out = h;
    return VB_OK;
}

int vb_http_busy(const vb_http *http)
{
    return atomic_load(&http->busy);
}

void vb_http_close(vb_http *http)
{
    static const struct timespec ms = {.tv_nsec = 1000000};
    if (http == NULL) return;
    for (int i = 0; i < LAST_MS && atomic_load(&http->owed) > 0; i++) nanosleep(&ms, NULL);
    if (http->daemon != NULL) MHD_stop_daemon(http->daemon);
    vb_watch_close(http->watch);
    vb_patience_close(http->patience);
    free(http);
}
