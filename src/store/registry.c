/* registry.c - what is asked of a registry, and what its answers mean.
 *
 *   ask --> 2xx: done
 *       --> 401 with a challenge, no token asked for yet --> GET realm?service=...&scope=... --> ask again
 *       --> 404: not there    408, 429, 5xx, no answer: passing    else: refused
 *
 * Invariant: a token, and a realm's question, go to the registry's own host alone.
 */
#include "store/registry.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MANIFEST_MOST = 1 << 20, TOKEN_MOST = 1 << 14, URL_MOST = 4096 };
static const char manifest_type[] = "application/vnd.docker.distribution.manifest.v2+json";

struct vb_registry {
    vb_fetch *fetch;
    char base[600];   /* scheme://host */
    char repository[600];
    char *token;
    int passing;
};

/* --- opening --------------------------------------------------------------------------------------------- */

int vb_registry_is_local(const char *host)
{
    char name[64];
    struct in_addr four;
    size_t n = strcspn(host, ":");
    if (n >= sizeof name) return 0;
    memcpy(name, host, n);
    name[n] = '\0';
    if (inet_pton(AF_INET, name, &four) == 1) return ntohl(four.s_addr) >> 24 == 127;
    return strcasecmp(name, "localhost") == 0;
}

vb_status vb_registry_open(vb_registry **out, const vb_registry_opts *opts, vb_err *err)
{
    vb_registry *r = *out = calloc(1, sizeof *r);
    int local = vb_registry_is_local(opts->host);
    if (r == NULL) VB_FAIL(err, VB_E_MEMORY, "out of memory");
    snprintf(r->base, sizeof r->base, "%s://%s", local || opts->insecure ? "http" : "https", opts->host);
    snprintf(r->repository, sizeof r->repository, "%s", opts->repository);
    int how = (local ? VB_FETCH_LOCAL : 0) | (opts->netrc ? VB_FETCH_NETRC : 0);
    vb_status status = vb_fetch_open(&r->fetch, how, opts->stop, err);
    if (status == VB_OK) return VB_OK;
    free(r);
    *out = NULL;
    return status;
}

void vb_registry_close(vb_registry *r)
{
    if (r == NULL) return;
    vb_fetch_close(r->fetch);
    free(r->token);
    free(r);
}

int vb_registry_passing(const vb_registry *r)
{
    return r->passing;
}

/* --- text that is collected ------------------------------------------------------------------------------ */

typedef struct {
    char *data;
    size_t len, most;
} text;

static int collect(void *ud, uint64_t at, const char *data, size_t len)
{
    text *t = ud;
    if (at != t->len || len > t->most - t->len) return 0;
    char *grown = realloc(t->data, t->len + len + 1);
    if (grown == NULL) return 0;
    memcpy(grown + t->len, data, len);
    t->data = grown;
    t->len += len;
    grown[t->len] = '\0';
    return 1;
}

/* --- tokens ---------------------------------------------------------------------------------------------- */

/* The value of name="..." in a challenge. */
static int parameter(const char *challenge, const char *name, char *out, size_t cap)
{
    size_t n = strlen(name);
    for (const char *at = challenge; (at = strcasestr(at, name)) != NULL; at += n) {
        if (at == challenge || strchr(" ,", at[-1]) == NULL || strncmp(at + n, "=\"", 2) != 0) continue;
        size_t len = strcspn(at + n + 2, "\"");
        if (len >= cap) return 0;
        memcpy(out, at + n + 2, len);
        out[len] = '\0';
        return 1;
    }
    out[0] = '\0';
    return 0;
}

/* "scheme://host[:port]/..." has the scheme and the host of `base`. What stands before an @ is no host. */
static int same_host(const char *url, const char *base)
{
    size_t scheme = strcspn(base, ":") + 3, host = scheme + strcspn(base + scheme, ":");
    if (strncasecmp(url, base, host) != 0) return 0;
    const char *rest = url + host;
    if (*rest == ':') rest += 1 + strspn(rest + 1, "0123456789");
    return *rest == '/' || *rest == '?' || *rest == '\0';
}

static void add_escaped(char *url, size_t cap, const char *key, const char *value)
{
    size_t at = strlen(url);
    at += (size_t)snprintf(url + at, cap - at, "%c%s=", strchr(url, '?') != NULL ? '&' : '?', key);
    for (const unsigned char *c = (const unsigned char *)value; *c != '\0' && at + 4 < cap; c++) {
        int plain = *c < 0x80 && (isalnum(*c) || strchr("-._~:/,", *c) != NULL);
        at += (size_t)snprintf(url + at, cap - at, plain ? "%c" : "%%%02X", *c);
    }
}

static vb_status token_url(const vb_registry *r, const char *challenge, char url[URL_MOST], vb_err *err)
{
    char value[1024];
    if (strncasecmp(challenge, "Bearer ", 7) != 0 || !parameter(challenge, "realm", url, 1024))
        VB_FAIL(err, VB_E_UNSUPPORTED, "unauthorized: access denied");
    if (!same_host(url, r->base))
        VB_FAIL(err, VB_E_UNSUPPORTED, "unauthorized: expected a token's realm at %s, found %.200s", r->base, url);
    if (parameter(challenge, "service", value, sizeof value)) add_escaped(url, URL_MOST, "service", value);
    if (parameter(challenge, "scope", value, sizeof value)) add_escaped(url, URL_MOST, "scope", value);
    return VB_OK;
}

static vb_status get_token(vb_registry *r, const char *challenge, vb_err *err)
{
    text body = {.most = TOKEN_MOST};
    char url[URL_MOST];
    vb_fetch_reply reply;
    vb_fetch_ask ask = {.method = "GET", .url = url, .accept = "application/json", .take = collect, .ud = &body};
    VB_TRY(token_url(r, challenge, url, err));
    vb_status status = vb_fetch_do(r->fetch, &ask, &reply, err);
    json_t *json = status == VB_OK && body.data != NULL ? json_loadb(body.data, body.len, 0, NULL) : NULL;
    const char *token = json_string_value(json_object_get(json, "token"));
    if (token == NULL) token = json_string_value(json_object_get(json, "access_token"));
    free(r->token);
    r->token = token != NULL ? strdup(token) : NULL;
    json_decref(json);
    free(body.data);
    if (status == VB_OK && r->token == NULL)
        VB_FAIL(err, VB_E_UNSUPPORTED, "unauthorized: access denied: expected a token of %s, found status %ld", url,
                reply.status);
    return status;
}

/* --- asking ---------------------------------------------------------------------------------------------- */

static vb_status judge(vb_registry *r, const vb_fetch_reply *reply, vb_err *err)
{
    if (reply->status >= 200 && reply->status < 300) return VB_OK;
    if (reply->status == 404) VB_FAIL(err, VB_E_NOT_FOUND, "file does not exist");
    if (reply->status == 401) VB_FAIL(err, VB_E_UNSUPPORTED, "unauthorized: access denied");
    r->passing = reply->status >= 500 || reply->status == 408 || reply->status == 429;
    VB_FAIL(err, r->passing ? VB_E_IO : VB_E_UNSUPPORTED, "%ld: %s", reply->status, reply->text);
}

/* One request, with a token if one is asked for. */
static vb_status ask(vb_registry *r, vb_fetch_ask *a, vb_fetch_reply *reply, vb_err *err)
{
    for (int with_token = 0;; with_token++) {
        a->token = same_host(a->url, r->base) ? r->token : NULL;
        vb_status status = vb_fetch_do(r->fetch, a, reply, err);
        r->passing = status == VB_E_IO;
        VB_TRY(status);
        if (reply->status != 401 || with_token || reply->challenge[0] == '\0') return judge(r, reply, err);
        VB_TRY(get_token(r, reply->challenge, err));
    }
}

static void url_of(const vb_registry *r, char url[URL_MOST], const char *kind, const char *last)
{
    snprintf(url, URL_MOST, "%s/v2/%s/%s/%s", r->base, r->repository, kind, last);
}

static void url_of_blob(const vb_registry *r, char url[URL_MOST], const char *hex)
{
    char digest[80];
    snprintf(digest, sizeof digest, "sha256:%s", hex);
    url_of(r, url, "blobs", digest);
}

vb_status vb_registry_manifest(vb_registry *r, const char *tag, char **json, size_t *len, vb_err *err)
{
    text body = {.most = MANIFEST_MOST};
    char url[URL_MOST];
    vb_fetch_reply reply;
    vb_fetch_ask a = {.method = "GET", .url = url, .accept = manifest_type, .take = collect, .ud = &body};
    url_of(r, url, "manifests", tag);
    vb_status status = ask(r, &a, &reply, err);
    if (status == VB_E_STOPPED && body.most - body.len < 1 << 14)
        status = vb_fail(err, VB_E_FORMAT, "%s: expected at most %d bytes, found more", url, MANIFEST_MOST);
    if (status == VB_OK && body.data == NULL) status = vb_fail(err, VB_E_FORMAT, "%s: expected a manifest, found nothing", url);
    if (status < 0) {
        free(body.data);
        return status;
    }
    *json = body.data;
    *len = body.len;
    return VB_OK;
}

vb_status vb_registry_blob(vb_registry *r, const char *hex, uint64_t from, vb_sink sink, vb_err *err)
{
    char url[URL_MOST];
    vb_fetch_reply reply;
    vb_fetch_ask a = {.method = "GET", .url = url, .from = from, .take = sink.take, .ud = sink.ud};
    url_of_blob(r, url, hex);
    vb_status status = ask(r, &a, &reply, err);
    if (status < 0 && reply.status == 416)
        VB_FAIL(err, VB_E_FORMAT, "sha256:%s: expected more than %llu bytes, found no more", hex, (unsigned long long)from);
    return status;
}

vb_status vb_registry_has(vb_registry *r, const char *hex, int *there, vb_err *err)
{
    char url[URL_MOST];
    vb_fetch_reply reply;
    vb_fetch_ask a = {.method = "HEAD", .url = url};
    url_of_blob(r, url, hex);
    vb_status status = ask(r, &a, &reply, err);
    *there = status == VB_OK;
    return status == VB_E_NOT_FOUND ? VB_OK : status;
}

/* --- sending --------------------------------------------------------------------------------------------- */

typedef struct {
    const char *data;
    size_t len;
} memory;

static size_t give_memory(void *ud, uint64_t at, char *to, size_t most)
{
    const memory *m = ud;
    size_t n = m->len - (size_t)at < most ? m->len - (size_t)at : most;
    memcpy(to, m->data + at, n);
    return n;
}

vb_status vb_registry_put_manifest(vb_registry *r, const char *tag, const char *json, size_t len, vb_err *err)
{
    memory m = {json, len};
    char url[URL_MOST];
    vb_fetch_reply reply;
    vb_fetch_ask a = {.method = "PUT", .url = url, .type = manifest_type, .sends = len, .give = give_memory, .ud = &m};
    url_of(r, url, "manifests", tag);
    return ask(r, &a, &reply, err);
}

/* Where the upload goes on; a registry may leave its own scheme and host out. */
static vb_status follow(const vb_registry *r, vb_sending *u, const char *location, vb_err *err)
{
    if (location[0] == '\0') VB_FAIL(err, VB_E_FORMAT, "%s: expected the place of an upload (Location), found none", r->base);
    int n = snprintf(u->url, sizeof u->url, "%s%s", location[0] == '/' ? r->base : "", location);
    if (n >= (int)sizeof u->url) VB_FAIL(err, VB_E_FORMAT, "%s: expected at most 4095 characters of Location, found more", r->base);
    return VB_OK;
}

vb_status vb_sending_begin(vb_registry *r, vb_sending *u, vb_err *err)
{
    char url[URL_MOST];
    vb_fetch_reply reply;
    vb_fetch_ask a = {.method = "POST", .url = url};
    url_of(r, url, "blobs/uploads", "");
    VB_TRY(ask(r, &a, &reply, err));
    return follow(r, u, reply.location, err);
}

typedef struct {
    vb_supply supply;
    uint64_t from;
} part;

static size_t give_part(void *ud, uint64_t at, char *to, size_t most)
{
    const part *p = ud;
    return p->supply.give(p->supply.ud, p->from + at, to, most);
}

vb_status vb_sending_part(vb_registry *r, vb_sending *u, uint64_t from, uint64_t to, vb_supply supply, vb_err *err)
{
    part p = {supply, from};
    char range[64];
    vb_fetch_reply reply;
    vb_fetch_ask a = {.method = "PATCH", .url = u->url, .type = "application/octet-stream", .range = range,
                      .sends = to - from, .give = give_part, .ud = &p};
    snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)from, (unsigned long long)to - 1);
    VB_TRY(ask(r, &a, &reply, err));
    return follow(r, u, reply.location, err);
}

vb_status vb_sending_resume(vb_registry *r, vb_sending *u, uint64_t *at, vb_err *err)
{
    vb_fetch_reply reply;
    vb_fetch_ask a = {.method = "GET", .url = u->url};
    vb_status status = ask(r, &a, &reply, err);
    *at = status == VB_OK ? reply.has : 0;
    if (status == VB_OK) return follow(r, u, reply.location, err);
    return r->passing || status == VB_E_STOPPED ? status : vb_sending_begin(r, u, err);
}

vb_status vb_sending_commit(vb_registry *r, vb_sending *u, const char *hex, vb_err *err)
{
    char url[URL_MOST + 96];
    vb_fetch_reply reply;
    vb_fetch_ask a = {.method = "PUT", .url = url, .type = "application/octet-stream"};
    snprintf(url, sizeof url, "%s%cdigest=sha256:%s", u->url, strchr(u->url, '?') != NULL ? '&' : '?', hex);
    return ask(r, &a, &reply, err);
}
