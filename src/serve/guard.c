/* guard.c - the checks between a request's headers and everything else.
 *
 *   Host     on a loopback address: a name of this machine, or 403   (a page's own name pointed at 127.0.0.1)
 *   Origin   none, our own, or one that was allowed, or 403          (a page that sends requests behind your back)
 *   key      Authorization: Bearer, or X-Api-Key, or 401             (but for /health, /ready and the greeting)
 *
 * A file of keys has a line for each: `KEY` or `KEY PRIORITY`; # begins a comment. Invariant: comparing takes the same
 * time whatever is presented, for all keys are compared whole.
 */
#include "serve/guard.h"

#include "base/err.h"
#include "base/os.h"
#include "serve/serve.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { KEY_LEAST = 16, KEY_MOST = 255, KEYS_MOST = 1024, KEY_FILE_MOST = 1 << 20, PRIORITY_MOST = 1000 };
enum { DEPTH_MOST = 128, VALUES_MOST = 200000 };

typedef struct {
    unsigned char text[KEY_MOST + 1]; /* zeros behind */
    int priority;
} key;

struct vb_guard {
    vb_guard_opts opts;
    key *keys;
    int n_keys;
    vb_reach reach;
    char machine[256], host[256];
};

/* --- keys ------------------------------------------------------------------------------------------------ */

static vb_status add_key(vb_guard *g, const char *path, int line, char *text, vb_err *err)
{
    char *rest = NULL, *end = NULL, *word = strtok_r(text, " \t\r", &rest);
    if (word == NULL || word[0] == '#') return VB_OK;
    char *said = strtok_r(NULL, " \t\r", &rest);
    long priority = said != NULL && said[0] != '#' ? strtol(said, &end, 10) : 0;
    if (strlen(word) < KEY_LEAST || strlen(word) > KEY_MOST)
        VB_FAIL(err, VB_E_FORMAT, "%s:%d: expected a key of %d to %d characters, found %zu", path, line, KEY_LEAST,
                KEY_MOST, strlen(word));
    if ((end != NULL && *end != '\0') || priority < -PRIORITY_MOST || priority > PRIORITY_MOST)
        VB_FAIL(err, VB_E_FORMAT, "%s:%d: expected a priority from -%d to %d, found '%s'", path, line, PRIORITY_MOST,
                PRIORITY_MOST, said);
    if (g->n_keys == KEYS_MOST) VB_FAIL(err, VB_E_FORMAT, "%s: expected at most %d keys, found more", path, KEYS_MOST);
    key *k = &g->keys[g->n_keys++];
    memcpy(k->text, word, strlen(word));
    k->priority = (int)priority;
    return VB_OK;
}

static vb_status read_keys(vb_guard *g, const char *path, vb_err *err)
{
    char *data, *rest = NULL;
    size_t size;
    int number = 0;
    vb_status s = VB_OK;
    g->keys = calloc(KEYS_MOST, sizeof *g->keys);
    if (g->keys == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", path);
    VB_TRY(vb_file_read(path, KEY_FILE_MOST, &data, &size, err));
    for (char *line = data; line != NULL && s == VB_OK; line = rest) {
        rest = strchr(line, '\n');
        if (rest != NULL) *rest++ = '\0';
        s = add_key(g, path, ++number, line, err);
    }
    memset(data, 0, size);
    free(data);
    if (s == VB_OK && g->n_keys == 0) VB_FAIL(err, VB_E_FORMAT, "%s: expected a key a line, found none", path);
    return s;
}

static int same_key(const unsigned char *a, const unsigned char *b)
{
    unsigned different = 0;
    for (int i = 0; i <= KEY_MOST; i++) different |= (unsigned)(a[i] ^ b[i]);
    return different == 0;
}

static int knows_key(const vb_guard *g, vb_exchange *x)
{
    unsigned char shown[KEY_MOST + 1] = {0};
    const char *said = vb_exchange_header(x, "Authorization");
    int found = 0;
    if (said != NULL && strncasecmp(said, "Bearer ", 7) == 0) said += 7 + strspn(said + 7, " ");
    else said = vb_exchange_header(x, "X-Api-Key");
    if (said == NULL || strlen(said) > KEY_MOST) return 0;
    memcpy(shown, said, strlen(said));
    for (int i = 0; i < g->n_keys; i++)
        if (same_key(shown, g->keys[i].text)) {
            vb_exchange_set_priority(x, g->keys[i].priority);
            found = 1;
        }
    return found;
}

/* What a probe asks, and the greeting: they tell nothing. */
static int needs_key(const vb_exchange *x)
{
    static const char *const open[] = {"/", "/health", "/v1/health", "/ready"};
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
        if (strcmp(vb_exchange_path(x), open[i]) == 0) return 0;
    return 1;
}

/* --- names ----------------------------------------------------------------------------------------------- */

/* "name:port" or "[address]:port" to the name alone. */
static int split_host(const char *host, char *name, size_t cap)
{
    size_t n = host[0] == '[' ? strcspn(host, "]") : strcspn(host, ":");
    const char *from = host;
    if (host[0] == '[' && host[n] == ']') {
        from++;
        n--;
    }
    if (n >= cap) return 0;
    memcpy(name, from, n);
    name[n] = '\0';
    return 1;
}

static int ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcasecmp(name + n - m, end) == 0;
}

static int names_this_machine(const vb_guard *g, const char *name)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, name, &four) == 1) return ntohl(four.s_addr) >> 24 == 127 || four.s_addr == 0;
    if (inet_pton(AF_INET6, name, &six) == 1) return IN6_IS_ADDR_LOOPBACK(&six);
    if (strcasecmp(name, "localhost") == 0 || ends_with(name, ".localhost")) return 1;
    return strcasecmp(name, g->machine) == 0 || (g->host[0] != '\0' && strcasecmp(name, g->host) == 0);
}

static int host_fits(const vb_guard *g, const vb_exchange *x)
{
    char name[256];
    const char *host = vb_exchange_header(x, "Host");
    if (g->reach != VB_REACH_MACHINE || host == NULL) return 1;
    return split_host(host, name, sizeof name) && names_this_machine(g, name);
}

/* --- origins --------------------------------------------------------------------------------------------- */

static int is_own_origin(const vb_exchange *x, const char *origin)
{
    const char *host = vb_exchange_header(x, "Host");
    return host != NULL && strncasecmp(origin, "http://", 7) == 0 && strcasecmp(origin + 7, host) == 0;
}

static int is_allowed(const vb_guard *g, const char *origin)
{
    for (int i = 0; i < g->opts.n_origins; i++)
        if (strcmp(g->opts.origins[i], "*") == 0 || strcasecmp(g->opts.origins[i], origin) == 0) return 1;
    return 0;
}

/* 0: a page of another origin, which must not ask. A page that may gets the headers that let it read the answer. */
static int origin_fits(const vb_guard *g, vb_exchange *x)
{
    const char *origin = vb_exchange_header(x, "Origin");
    if (origin == NULL || is_own_origin(x, origin)) return 1;
    if (!is_allowed(g, origin)) return 0;
    vb_exchange_set(x, "Access-Control-Allow-Origin", origin);
    vb_exchange_set(x, "Vary", "Origin");
    return 1;
}

static int is_preflight(const vb_exchange *x)
{
    return strcmp(vb_exchange_method(x), "OPTIONS") == 0 && vb_exchange_header(x, "Origin") != NULL &&
           vb_exchange_header(x, "Access-Control-Request-Method") != NULL;
}

static void answer_preflight(vb_exchange *x)
{
    const char *headers = vb_exchange_header(x, "Access-Control-Request-Headers");
    vb_exchange_set(x, "Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE, OPTIONS");
    if (headers != NULL) vb_exchange_set(x, "Access-Control-Allow-Headers", headers);
    vb_exchange_set(x, "Access-Control-Max-Age", "86400");
    vb_exchange_answer(x, 204, NULL, "", 0);
}

/* Said twice, two programs on the way might heed different ones. */
static int says_twice(const vb_exchange *x)
{
    static const char *const once[] = {"Host", "Content-Length", "Authorization", "Origin"};
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++)
        if (vb_exchange_count(x, once[i]) > 1) return 1;
    return 0;
}

/* --- all of them ----------------------------------------------------------------------------------------- */

int vb_guard_admits(const vb_guard *g, vb_exchange *x)
{
    if (says_twice(x)) {
        vb_serve_error(x, 400, "a header that may be there once is there twice");
    } else if (!host_fits(g, x)) {
        vb_serve_error(x, 403, "forbidden: the Host header names another machine");
    } else if (!origin_fits(g, x)) {
        vb_serve_error(x, 403, "forbidden: a page of another origin (see --cors)");
    } else if (is_preflight(x)) {
        answer_preflight(x);
    } else if (g->n_keys > 0 && needs_key(x) && !knows_key(g, x)) {
        vb_exchange_set(x, "WWW-Authenticate", "Bearer");
        vb_serve_error(x, 401, "unauthorized: expected a key in the Authorization header");
    } else {
        return 1;
    }
    return 0;
}

const char *vb_guard_shape(const char *json, size_t len)
{
    int depth = 0, values = 0, in_string = 0;
    for (size_t i = 0; i < len; i++) {
        char c = json[i];
        if (in_string) {
            if (c == '\\') i++;
            else if (c == '"') in_string = 0;
            continue;
        }
        if (c == '"') in_string = 1;
        else if (c == '{' || c == '[') depth++, values++;
        else if (c == '}' || c == ']') depth--;
        else if (c == ',') values++;
        if (depth > DEPTH_MOST) return "request is nested more than 128 levels deep";
        if (values > VALUES_MOST) return "request has more than 200000 values";
    }
    return NULL;
}

int vb_guard_has_keys(const vb_guard *g)
{
    return g->n_keys > 0;
}

void vb_guard_set_reach(vb_guard *g, vb_reach reach)
{
    g->reach = reach;
}

vb_status vb_guard_open(vb_guard **out, const vb_guard_opts *opts, vb_err *err)
{
    vb_guard *g = calloc(1, sizeof *g);
    *out = NULL;
    if (g == NULL) VB_FAIL(err, VB_E_MEMORY, "serve: out of memory");
    g->opts = *opts;
    if (gethostname(g->machine, sizeof g->machine - 1) != 0) g->machine[0] = '\0';
    if (opts->host != NULL) snprintf(g->host, sizeof g->host, "%s", opts->host);
    vb_status s = opts->key_file != NULL ? read_keys(g, opts->key_file, err) : VB_OK;
    if (s < 0) {
        vb_guard_close(g);
        return s;
    }
    *out = g;
    return VB_OK;
}

void vb_guard_close(vb_guard *g)
{
    if (g == NULL) return;
    if (g->keys != NULL) memset(g->keys, 0, KEYS_MOST * sizeof *g->keys);
    free(g->keys);
    free(g);
}
