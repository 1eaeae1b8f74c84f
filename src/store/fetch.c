/* fetch.c - the exchange by libcurl; without libcurl the one place that says so.
 *
 *   head --> where the body begins in the whole: 0, or what Content-Range says --> pieces to `take`
 *
 * Invariant: only the body of a 2xx answer reaches `take`; of any other a few bytes are kept, to be shown.
 */
#include "store/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int vb_stopped(const vb_stop *stop)
{
    return stop->fn != NULL && stop->fn(stop->ud);
}

#ifdef VB_HAVE_CURL
#include <curl/curl.h>

enum { CONNECT_SECONDS = 15, SILENCE_SECONDS = 30, REDIRECTS = 10 };

struct vb_fetch {
    CURL *curl;
    int how;
    vb_stop stop;
    /* of the exchange at work */
    const vb_fetch_ask *ask;
    vb_fetch_reply *reply;
    uint64_t at, given;
    int placed; /* `at` is known */
    int ended;  /* by `give` or `take` */
    size_t text;
    char why[CURL_ERROR_SIZE];
};

vb_status vb_fetch_open(vb_fetch **out, int how, vb_stop stop, vb_err *err)
{
    vb_fetch *f = *out = calloc(1, sizeof *f);
    if (f != NULL) f->curl = curl_easy_init();
    if (f == NULL || f->curl == NULL) {
        free(f);
        *out = NULL;
        VB_FAIL(err, VB_E_MEMORY, "out of memory");
    }
    f->how = how;
    f->stop = stop;
    return VB_OK;
}

void vb_fetch_close(vb_fetch *f)
{
    if (f == NULL) return;
    curl_easy_cleanup(f->curl);
    free(f);
}

static const char *header(vb_fetch *f, const char *name)
{
    struct curl_header *found;
    return curl_easy_header(f->curl, name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK ? found->value : NULL;
}

/* "bytes 100-299/300": 100; none, or something else: the whole is coming. */
static uint64_t place(vb_fetch *f, long status)
{
    const char *range = status == 206 ? header(f, "Content-Range") : NULL;
    return range != NULL && strncmp(range, "bytes ", 6) == 0 ? strtoull(range + 6, NULL, 10) : 0;
}

static size_t receive(char *data, size_t size, size_t n, void *ud)
{
    vb_fetch *f = ud;
    size_t len = size * n, room = sizeof f->reply->text - 1 - f->text;
    long status = 0;
    curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status < 300 && f->ask->take != NULL) {
        if (!f->placed) f->at = place(f, status);
        f->placed = 1;
        f->ended = !f->ask->take(f->ask->ud, f->at, data, len);
        f->at += len;
        return f->ended ? 0 : len;
    }
    memcpy(f->reply->text + f->text, data, len < room ? len : room);
    f->text += len < room ? len : room;
    return len;
}

static size_t provide(char *to, size_t size, size_t n, void *ud)
{
    vb_fetch *f = ud;
    uint64_t left = f->ask->sends - f->given;
    size_t most = size * n < left ? size * n : (size_t)left;
    size_t got = most > 0 ? f->ask->give(f->ask->ud, f->given, to, most) : 0;
    if (most > 0 && got == 0) {
        f->ended = 1;
        return CURL_READFUNC_ABORT;
    }
    f->given += got;
    return got;
}

/* libcurl begins again where a kept connection had been closed, or a server wants to be asked otherwise. */
static int rewind_body(void *ud, curl_off_t offset, int origin)
{
    vb_fetch *f = ud;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > f->ask->sends) return CURL_SEEKFUNC_CANTSEEK;
    f->given = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static int on_progress(void *ud, curl_off_t total, curl_off_t now, curl_off_t to_send, curl_off_t sent)
{
    (void)total, (void)now, (void)to_send, (void)sent;
    return vb_stopped(&((vb_fetch *)ud)->stop);
}

static void set_limits(vb_fetch *f)
{
    int plain = strncmp(f->ask->url, "http://", 7) == 0;
    curl_easy_setopt(f->curl, CURLOPT_PROTOCOLS_STR, plain ? "http,https" : "https");
    curl_easy_setopt(f->curl, CURLOPT_REDIR_PROTOCOLS_STR, plain ? "http,https" : "https");
    curl_easy_setopt(f->curl, CURLOPT_MAXREDIRS, (long)REDIRECTS);
    curl_easy_setopt(f->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(f->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(f->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(f->curl, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_SECONDS);
    curl_easy_setopt(f->curl, CURLOPT_ERRORBUFFER, f->why);
    curl_easy_setopt(f->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(f->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(f->curl, CURLOPT_XFERINFODATA, f);
    if (f->how & VB_FETCH_LOCAL) curl_easy_setopt(f->curl, CURLOPT_NOPROXY, "*");
    if (f->how & VB_FETCH_NETRC) curl_easy_setopt(f->curl, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
    if (f->ask->socket != NULL) curl_easy_setopt(f->curl, CURLOPT_UNIX_SOCKET_PATH, f->ask->socket);
}

static void set_body(vb_fetch *f)
{
    const vb_fetch_ask *ask = f->ask;
    int sends = ask->give != NULL, reads = strcmp(ask->method, "HEAD") == 0 || strcmp(ask->method, "GET") == 0;
    if (strcmp(ask->method, "HEAD") == 0) curl_easy_setopt(f->curl, CURLOPT_NOBODY, 1L);
    if (!reads) curl_easy_setopt(f->curl, CURLOPT_CUSTOMREQUEST, ask->method);
    if (!reads && !sends) curl_easy_setopt(f->curl, CURLOPT_POSTFIELDS, ""); /* says that its length is 0 */
    curl_easy_setopt(f->curl, CURLOPT_FOLLOWLOCATION, sends ? 0L : 1L);
    curl_easy_setopt(f->curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(f->curl, CURLOPT_WRITEDATA, f);
    if (!sends) return;
    curl_easy_setopt(f->curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(f->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)ask->sends);
    curl_easy_setopt(f->curl, CURLOPT_READFUNCTION, provide);
    curl_easy_setopt(f->curl, CURLOPT_READDATA, f);
    curl_easy_setopt(f->curl, CURLOPT_SEEKFUNCTION, rewind_body);
    curl_easy_setopt(f->curl, CURLOPT_SEEKDATA, f);
}

/* 1: `line` is in the list now. */
static int add_header(struct curl_slist **list, const char *name, const char *value)
{
    char line[512];
    if (value == NULL) return 1;
    snprintf(line, sizeof line, "%s: %s", name, value);
    struct curl_slist *grown = curl_slist_append(*list, line);
    if (grown != NULL) *list = grown;
    return grown != NULL;
}

/* The token goes by libcurl's own option, which keeps it from the hosts that a redirect leads to. */
static vb_status set_headers(vb_fetch *f, struct curl_slist **list, vb_err *err)
{
    const vb_fetch_ask *ask = f->ask;
    char range[64];
    snprintf(range, sizeof range, "%llu-", (unsigned long long)ask->from);
    if (ask->from > 0) curl_easy_setopt(f->curl, CURLOPT_RANGE, range);
    if (ask->token != NULL) curl_easy_setopt(f->curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
    if (ask->token != NULL) curl_easy_setopt(f->curl, CURLOPT_XOAUTH2_BEARER, ask->token);
    curl_easy_setopt(f->curl, CURLOPT_USERAGENT, "verbatim/" VB_VERSION);
    if (!add_header(list, "Accept", ask->accept) || !add_header(list, "Content-Type", ask->type) ||
        !add_header(list, "Content-Range", ask->range))
        VB_FAIL(err, VB_E_MEMORY, "out of memory");
    curl_easy_setopt(f->curl, CURLOPT_HTTPHEADER, *list);
    if (curl_easy_setopt(f->curl, CURLOPT_URL, ask->url) != CURLE_OK) VB_FAIL(err, VB_E_MEMORY, "out of memory");
    return VB_OK;
}

/* What does not fit counts as not said. */
static void copy(char *to, size_t cap, const char *text)
{
    if (text != NULL && strlen(text) < cap) strcpy(to, text);
}

static void read_head(vb_fetch *f)
{
    vb_fetch_reply *r = f->reply;
    const char *range = header(f, "Range"), *dash = range != NULL ? strchr(range, '-') : NULL;
    curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &r->status);
    copy(r->location, sizeof r->location, header(f, "Location"));
    copy(r->challenge, sizeof r->challenge, header(f, "WWW-Authenticate"));
    if (dash != NULL && strtoull(dash + 1, NULL, 10) > 0) r->has = strtoull(dash + 1, NULL, 10) + 1;
    r->text[strcspn(r->text, "\r\n")] = '\0';
}

vb_status vb_fetch_do(vb_fetch *f, const vb_fetch_ask *ask, vb_fetch_reply *reply, vb_err *err)
{
    struct curl_slist *headers = NULL;
    memset(reply, 0, sizeof *reply);
    f->ask = ask;
    f->reply = reply;
    f->at = f->given = f->text = 0;
    f->placed = f->ended = 0;
    f->why[0] = '\0';
    curl_easy_reset(f->curl);
    set_limits(f);
    set_body(f);
    vb_status status = set_headers(f, &headers, err);
    CURLcode result = status == VB_OK ? curl_easy_perform(f->curl) : CURLE_OUT_OF_MEMORY;
    if (status == VB_OK) read_head(f);
    curl_slist_free_all(headers);
    /* A refusal is one even if its body comes short of what its head says. */
    if (status < 0 || result == CURLE_OK || (result == CURLE_PARTIAL_FILE && reply->status >= 400)) return status;
    if (f->ended || vb_stopped(&f->stop)) VB_FAIL(err, VB_E_STOPPED, "stopped");
    VB_FAIL(err, VB_E_IO, "%s", f->why[0] != '\0' ? f->why : curl_easy_strerror(result));
}

#else

vb_status vb_fetch_open(vb_fetch **out, int how, vb_stop stop, vb_err *err)
{
    (void)how, (void)stop;
    *out = NULL;
    VB_FAIL(err, VB_E_UNSUPPORTED,
            "this verbatim was built without libcurl and cannot reach a registry; install its development package and "
            "build again");
}

void vb_fetch_close(vb_fetch *f)
{
    (void)f;
}

vb_status vb_fetch_do(vb_fetch *f, const vb_fetch_ask *ask, vb_fetch_reply *reply, vb_err *err)
{
    (void)f, (void)ask;
    memset(reply, 0, sizeof *reply);
    VB_FAIL(err, VB_E_UNSUPPORTED, "built without libcurl");
}

#endif
