/* upload.c - /api/blobs/sha256:HEX: is it there, and bytes on their way to the disk.
 *
 *   connection's thread --take--> [ 1 MiB ] --swap--> a chore: hash, write
 *                       <--- the connection sleeps while there is no room ---'
 *
 * However large the body, the server holds two buffers of it. Its length is limited by the room on the disk alone. The blob is
 * there when its digest is proven; a client that leaves, or a digest that differs, leaves nothing.
 */
#include "base/err.h"
#include "serve/manage.h"
#include "serve/ollama.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROOM = 1 << 20 };

typedef struct {
    vb_serve *serve;
    vb_exchange *x;
    char said[80], hex[65];
    int64_t length; /* -1: not said */
    pthread_mutex_t lock;
    pthread_cond_t news;
    char *in, *out; /* filled by the connection; emptied by the chore */
    size_t n;       /* bytes of `in` */
    int whole, leaving, gone; /* leaving: the client has closed its side */
} upload;

static const char *digest_of(const vb_exchange *x)
{
    return vb_exchange_path(x) + strlen("/api/blobs/");
}

/* --- the connection's side ------------------------------------------------------------------------------- */

static size_t take(void *ud, const char *data, size_t n)
{
    upload *u = ud;
    pthread_mutex_lock(&u->lock);
    size_t room = ROOM - u->n, took = n < room ? n : room;
    if (data == NULL) u->whole = 1;
    else memcpy(u->in + u->n, data, took);
    u->n += took;
    pthread_cond_signal(&u->news);
    pthread_mutex_unlock(&u->lock);
    return took;
}

static void gone(void *ud)
{
    upload *u = ud;
    pthread_mutex_lock(&u->lock);
    u->leaving = 1;
    pthread_cond_signal(&u->news);
    pthread_mutex_unlock(&u->lock);
}

/* --- the chore ------------------------------------------------------------------------------------------- */

/* The next bytes are in u->out; 0: there are none any more. A client that leaves has gone when nothing has come for a second. */
static size_t next(upload *u)
{
    struct timespec moment;
    pthread_mutex_lock(&u->lock);
    while (u->n == 0 && !u->whole && !u->gone) {
        clock_gettime(CLOCK_REALTIME, &moment);
        moment.tv_sec++;
        int late = pthread_cond_timedwait(&u->news, &u->lock, &moment) == ETIMEDOUT;
        u->gone = (late && u->leaving) || vb_chores_ending(u->serve->chores);
    }
    size_t n = u->gone ? 0 : u->n;
    char *filled = u->in;
    u->in = u->out;
    u->out = filled;
    u->n = 0;
    pthread_mutex_unlock(&u->lock);
    vb_exchange_more(u->x);
    return n;
}

static vb_status write_blob(upload *u, vb_store *store, vb_err *err)
{
    vb_blob *blob;
    char found[65];
    size_t n;
    VB_TRY(vb_blob_begin(&blob, store, u->hex, err));
    vb_status s = VB_OK;
    while (s == VB_OK && (n = next(u)) > 0) s = vb_blob_add(blob, u->out, n, err);
    if (s == VB_OK && u->gone) s = vb_fail(err, VB_E_STOPPED, "the client left");
    if (s != VB_OK) {
        vb_blob_drop(blob);
        return s;
    }
    s = vb_blob_end(blob, found, NULL, err);
    if (s == VB_E_DIFFERS) VB_FAIL(err, s, "digest mismatch, expected \"%s\", got \"sha256:%s\"", u->said, found);
    return s;
}

/* 1: was there already, and what came is dropped. */
static vb_status receive(upload *u, int *there, vb_err *err)
{
    vb_store *store;
    VB_TRY(vb_store_open(&store, NULL, err));
    *there = vb_store_blob_size(store, u->hex) >= 0;
    uint64_t room = vb_store_free_bytes(store);
    vb_status s = VB_OK;
    if (*there) while (next(u) > 0) {}
    else if (u->length > 0 && (uint64_t)u->length > room)
        s = vb_fail(err, VB_E_FULL, "expected room for %lld bytes, found %llu on the disk of %s", (long long)u->length,
                    (unsigned long long)room, vb_store_dir(store));
    else s = write_blob(u, store, err);
    vb_store_close(store);
    return s;
}

static void release(upload *u)
{
    pthread_cond_destroy(&u->news);
    pthread_mutex_destroy(&u->lock);
    free(u->in);
    free(u->out);
    free(u);
}

static void run(void *ud)
{
    upload *u = ud;
    vb_err err = {0};
    int there = 0;
    vb_status s = receive(u, &there, &err);
    unsigned status = s == VB_E_DIFFERS ? 400 : s == VB_E_FULL ? 507 : s == VB_E_STOPPED ? 499 : 500;
    if (s == VB_OK) vb_exchange_answer(u->x, there ? 200 : 201, NULL, "", 0);
    else vb_serve_error(u->x, status, err.text);
    release(u);
}

/* --- routes ---------------------------------------------------------------------------------------------- */

static upload *new_upload(vb_serve *s, vb_exchange *x, const char *hex)
{
    upload *u = calloc(1, sizeof *u);
    if (u == NULL) return NULL;
    u->serve = s;
    u->x = x;
    u->length = vb_exchange_length(x);
    snprintf(u->said, sizeof u->said, "%s", digest_of(x));
    memcpy(u->hex, hex, sizeof u->hex);
    pthread_mutex_init(&u->lock, NULL);
    pthread_cond_init(&u->news, NULL);
    u->in = malloc(ROOM);
    u->out = malloc(ROOM);
    if (u->in != NULL && u->out != NULL) return u;
    release(u);
    return NULL;
}

void vb_upload_begin(vb_serve *s, vb_exchange *x)
{
    char hex[65];
    if (!vb_digest_parse(hex, digest_of(x))) {
        vb_serve_error(x, 400, "invalid digest format");
        return;
    }
    upload *u = new_upload(s, x, hex);
    if (u == NULL) {
        vb_serve_error(x, 500, "out of memory");
        return;
    }
    vb_exchange_take_body(x, take, gone, u);
    if (vb_chores_start(s->chores, run, u)) return;
    vb_exchange_set(x, "Retry-After", "1");
    vb_serve_error(x, 503, "server busy: too many requests that change the store");
    release(u);
}

void vb_upload_head(vb_serve *s, vb_exchange *x)
{
    char hex[65], text[120];
    vb_store *store = NULL;
    (void)s;
    if (!vb_digest_parse(hex, digest_of(x))) {
        vb_serve_error(x, 400, "invalid digest format");
        return;
    }
    snprintf(text, sizeof text, "blob \"%.80s\" not found", digest_of(x));
    int there = vb_store_open_readonly(&store, NULL, NULL) == VB_OK && vb_store_blob_size(store, hex) >= 0;
    vb_store_close(store);
    if (there) vb_exchange_answer(x, 200, NULL, "", 0);
    else vb_serve_error(x, 404, text);
}
