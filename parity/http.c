/* http.c - one question to an engine over HTTP, by libcurl; without libcurl the one place that says so.
 *
 * Nothing waits for ever: a connection has ten seconds, and a partner that sends no byte for `patience` seconds counts as
 * dead (a long silence before the first byte is an engine reading its model). Redirects are not followed, an answer may
 * have 256 MiB, and a partner on this machine is spoken to without any proxy.
 */
#include "parity/wire.h"

#include <stdlib.h>
#include <string.h>

vb_status vb_partner_failed(vb_partner *partner, const char *path, vb_status status, vb_err *err)
{
    vb_err why = {0};
    if (err) why = *err;
    if (status == VB_E_MEMORY) return status;
    int len = (int)strlen(partner->url);
    while (len > 0 && partner->url[len - 1] == '/') len--;
    partner->failed = 1;
    return vb_parity_fail(err, VB_E_IO, "%.*s%s: %.400s", len, partner->url, path, why.text);
}

#ifdef VB_HAVE_CURL
#include <curl/curl.h>

enum { CONNECT_SECONDS = 10, PATIENCE = 120, BODY_MAX = 256 << 20 };

typedef struct {
    CURL *curl;
    struct curl_slist *headers;
    char *url, *sent;
    char *body;
    size_t len;
    int too_long;
    char why[CURL_ERROR_SIZE];
} call;

static size_t receive(char *data, size_t size, size_t n, void *ud)
{
    call *c = ud;
    size_t bytes = size * n;
    c->too_long = bytes > (size_t)BODY_MAX - c->len;
    char *grown = c->too_long ? NULL : realloc(c->body, c->len + bytes + 1);
    if (!grown) return 0;
    memcpy(grown + c->len, data, bytes);
    c->body = grown;
    c->len += bytes;
    grown[c->len] = '\0';
    return bytes;
}

/* "host:1234/" and "http://host:1234" are the same. */
static char *join(const char *url, const char *path)
{
    const char *scheme = strstr(url, "://") ? "" : "http://";
    size_t len = strlen(url), room = len + strlen(scheme) + strlen(path) + 1;
    char *out = malloc(room);
    while (len > 0 && url[len - 1] == '/') len--;
    if (out) snprintf(out, room, "%s%.*s%s", scheme, (int)len, url, path);
    return out;
}

static int is_local(const char *url)
{
    const char *host = strstr(url, "://") + 3;
    return strncmp(host, "127.", 4) == 0 || strncmp(host, "localhost", 9) == 0 || strncmp(host, "[::1]", 5) == 0;
}

static vb_status prepare(call *c, const vb_partner *partner, const char *path, const json_t *request)
{
    long patience = partner->patience > 0 ? partner->patience : PATIENCE;
    c->url = join(partner->url, path);
    c->sent = request ? json_dumps(request, JSON_COMPACT) : NULL;
    c->curl = curl_easy_init();
    c->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (!c->url || (request && !c->sent) || !c->curl || !c->headers) return VB_E_MEMORY;
    curl_easy_setopt(c->curl, CURLOPT_URL, c->url);
    curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c->curl, CURLOPT_USERAGENT, "verbatim/" VB_VERSION);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->why);
    curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, patience < CONNECT_SECONDS ? patience : (long)CONNECT_SECONDS);
    curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_TIME, patience);
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
    if (is_local(c->url)) curl_easy_setopt(c->curl, CURLOPT_NOPROXY, "*");
    if (c->sent) curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, c->sent);
    return VB_OK;
}

/* The line of an engine's error: {"error": "..."} or {"error": {"message": "..."}}, else the beginning of the body. */
static void say_refusal(const call *c, long code, vb_err *err)
{
    json_t *reply = c->len ? json_loadb(c->body, c->len, 0, NULL) : NULL;
    const json_t *error = json_object_get(reply, "error");
    const char *text = json_string_value(json_is_object(error) ? json_object_get(error, "message") : error);
    int plain = c->len ? (int)strcspn(c->body, "\r\n") : 0;
    if (text) vb_parity_fail(err, VB_E_IO, "status %ld: %.300s", code, text);
    else vb_parity_fail(err, VB_E_IO, "status %ld: %.*s", code, plain < 200 ? plain : 200, c->len ? c->body : "");
    json_decref(reply);
}

static vb_status perform(call *c, vb_err *err)
{
    long code = 0;
    CURLcode result = curl_easy_perform(c->curl);
    if (c->too_long) return vb_parity_fail(err, VB_E_IO, "expected at most %d MiB, found more", BODY_MAX >> 20);
    if (result != CURLE_OK)
        return vb_parity_fail(err, VB_E_IO, "%s", c->why[0] ? c->why : curl_easy_strerror(result));
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &code);
    if (code == 200) return VB_OK;
    say_refusal(c, code, err);
    return VB_E_IO;
}

vb_status vb_http_ask(char **body, size_t *len, vb_partner *partner, const char *path, const json_t *request,
                      vb_err *err)
{
    call c = {0};
    vb_err why = {0};
    *body = NULL;
    *len = 0;
    vb_status status = prepare(&c, partner, path, request);
    if (status < 0) vb_parity_fail(err, status, "%s%s: out of memory", partner->url, path);
    else if ((status = perform(&c, &why)) < 0) {
        if (err) *err = why;
        status = vb_partner_failed(partner, path, status, err);
    }
    if (status == VB_OK && !c.body) c.body = calloc(1, 1);
    if (status == VB_OK) {
        *body = c.body;
        *len = c.len;
    } else free(c.body);
    curl_slist_free_all(c.headers);
    curl_easy_cleanup(c.curl);
    free(c.url);
    free(c.sent);
    return status;
}

#else

vb_status vb_http_ask(char **body, size_t *len, vb_partner *partner, const char *path, const json_t *request,
                      vb_err *err)
{
    (void)path, (void)request;
    *body = NULL;
    *len = 0;
    return vb_parity_fail(err, VB_E_UNSUPPORTED,
                          "%s: this verbatim was built without libcurl; install its development package and build again, "
                          "or use a recording", partner->url);
}

#endif

vb_status vb_http_json(json_t **reply, vb_partner *partner, const char *path, const json_t *request, vb_err *err)
{
    json_error_t where;
    char *body;
    size_t len;
    *reply = NULL;
    vb_status status = vb_http_ask(&body, &len, partner, path, request, err);
    if (status < 0) return status;
    *reply = json_loadb(body, len, JSON_ALLOW_NUL, &where);
    free(body);
    if (*reply) return VB_OK;
    status = vb_parity_fail(err, VB_E_FORMAT, "byte %d: expected JSON: %s", where.position, where.text);
    return vb_partner_failed(partner, path, status, err);
}
