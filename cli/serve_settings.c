/* serve_settings.c - one table of what the environment may say beside the command line.
 *
 * Names are those that Ollama's users have set already. Invariant: a value that is there and wrong ends the program; it
 * is never passed over.
 */
#include "serve_settings.h"

#include "commands.h"
#include "out.h"
#include "serve/request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DEFAULT_PORT = 11434 };
#define KEEP_NS INT64_C(300000000000)

/* VERBATIM_X, then OLLAMA_X; NULL: neither. `key` gets the name that was found. */
static const char *setting(const char *name, char key[64])
{
    static const char *const prefixes[] = {"VERBATIM_", "OLLAMA_"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        snprintf(key, 64, "%s%s", prefixes[i], name);
        const char *value = getenv(key);
        if (value != NULL && value[0] != '\0') return value;
    }
    return NULL;
}

static int wrong(const char *key, const char *expected, const char *found)
{
    vb_say("serve: %s: expected %s, found '%s'", key, expected, found);
    return VB_EXIT_USAGE;
}

/* An option's int, else the environment's. */
static int read_int(const vb_args *args, const char *option, const char *name, int most, int *value)
{
    char key[64], expected[64], *end;
    const char *text = option != NULL && vb_opt_given(args, option) ? NULL : setting(name, key);
    if (text == NULL) return 0;
    long n = strtol(text, &end, 10);
    snprintf(expected, sizeof expected, "a whole number from 0 to %d", most);
    if (*end != '\0' || n < 0 || n > most) return wrong(key, expected, text);
    *value = (int)n;
    return 0;
}

static int read_kv(const vb_args *args, vb_kv *kv)
{
    static const struct {
        const char *name;
        vb_kv kv;
    } kinds[] = {{"f16", VB_KV_F16}, {"f32", VB_KV_F32}, {"q8_0", VB_KV_Q8_0}};
    char key[64];
    const char *text = vb_opt_given(args, "kv") ? NULL : setting("KV_CACHE_TYPE", key);
    for (size_t i = 0; text != NULL && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcasecmp(text, kinds[i].name) == 0) {
            *kv = kinds[i].kv;
            return 0;
        }
    return text == NULL ? 0 : wrong(key, "f16, f32 or q8_0", text);
}

static int read_keep(const vb_args *args, int64_t *ns)
{
    char key[64] = "--keep-alive";
    const char *text = args->keep_alive != NULL ? args->keep_alive : setting("KEEP_ALIVE", key);
    *ns = text != NULL ? vb_keep_of(text) : KEEP_NS;
    return *ns != VB_KEEP_DEFAULT ? 0 : wrong(key, "a time such as 5m, 30s, 0 or -1 (for ever)", text);
}

/* [scheme://]host[:port][/...], any part may be missing, as Ollama's clients write it. */
static int read_address(const vb_args *args, vb_serve_settings *s)
{
    char key[64], *end;
    const char *text = args->host != NULL ? NULL : setting("HOST", key), *at = text;
    s->serve.host = args->host;
    s->serve.port = DEFAULT_PORT;
    if (text != NULL) {
        if (strncmp(at, "http://", 7) == 0) s->serve.port = 80;
        if (strncmp(at, "https://", 8) == 0) s->serve.port = 443;
        if (strstr(at, "://") != NULL) at = strstr(at, "://") + 3;
        size_t n = at[0] == '[' ? strcspn(at, "]") : strcspn(at, ":/"), skip = at[0] == '[';
        if (n >= sizeof s->host || (skip && at[n] != ']')) return wrong(key, "an address", text);
        snprintf(s->host, sizeof s->host, "%.*s", (int)(n - skip), at + skip);
        at += n + skip;
        if (*at == ':') {
            long port = strtol(at + 1, &end, 10);
            if (end == at + 1 || (*end != '\0' && *end != '/') || port < 0 || port > 65535)
                return wrong(key, "a port from 0 to 65535", text);
            s->serve.port = (int)port;
        }
        if (s->host[0] != '\0') s->serve.host = s->host;
    }
    if (vb_opt_given(args, "port")) s->serve.port = args->port;
    else return read_int(args, NULL, "PORT", 65535, &s->serve.port);
    return 0;
}

static int read_origins(const vb_args *args, vb_serve_settings *s)
{
    char key[64], *rest = NULL;
    const char *text = args->origins.n > 0 ? NULL : setting("ORIGINS", key);
    s->origins = args->origins;
    if (text != NULL && strlen(text) >= sizeof s->origin_text) return wrong(key, "at most 2047 characters", text);
    if (text != NULL) strcpy(s->origin_text, text);
    for (char *one = strtok_r(s->origin_text, ", ", &rest); one != NULL; one = strtok_r(NULL, ", ", &rest)) {
        if (s->origins.n == VB_TEXTS_MAX) return wrong(key, "at most 32 origins", text);
        s->origins.text[s->origins.n++] = one;
    }
    for (int i = 0; i < s->origins.n; i++)
        if (strcmp(s->origins.text[i], "*") != 0 && strstr(s->origins.text[i], "://") == NULL)
            return wrong("--cors", "an origin such as https://page.example, or *", s->origins.text[i]);
    s->serve.guard.origins = s->origins.text;
    s->serve.guard.n_origins = s->origins.n;
    return 0;
}

int vb_serve_settings_read(vb_serve_settings *out, const vb_args *args)
{
    char key[64];
    *out = (vb_serve_settings){.serve = {
        .unix_path = args->unix_path,
        .guard = {.key_file = args->api_key_file != NULL ? args->api_key_file : setting("API_KEY_FILE", key)},
        .hosts = {.model = args->model, .context = args->session.context, .kv = args->session.kv,
                  .parallel = args->parallel, .cache = args->session.cache},
        .http = {.patience_ns = args->request_seconds * INT64_C(1000000000)},
        .scheduler = {.queue_most = args->max_queue},
        .trace_dir = args->trace_dir != NULL ? args->trace_dir : setting("TRACE_DIR", key),
        .deadline_ns = args->deadline_seconds * INT64_C(1000000000),
        .sandbox = {.on = !args->no_sandbox, .connects = 1, .unix_path = args->unix_path,
                    .gpu = vb_wants_gpu(args),
                    .folders = {args->session.cache, args->trace_dir != NULL ? args->trace_dir : setting("TRACE_DIR", key)}},
    }};
    vb_serve_opts *s = &out->serve;
    int code = read_address(args, out);
    if (code == 0) code = read_origins(args, out);
    if (code == 0) code = read_keep(args, &s->hosts.keep_ns);
    if (code == 0) code = read_kv(args, &s->hosts.kv);
    if (code == 0) code = read_int(args, "parallel", "NUM_PARALLEL", VB_SLOTS_MOST, &s->hosts.parallel);
    if (code == 0) code = read_int(args, "ctx", "CONTEXT_LENGTH", 1 << 24, &s->hosts.context);
    if (code == 0) code = read_int(args, "max-queue", "MAX_QUEUE", 1 << 20, &s->scheduler.queue_most);
    if (code == 0) code = read_int(args, NULL, "MAX_LOADED_MODELS", 1 << 10, &s->hosts.models_most);
    if (code == 0 && args->models != NULL) setenv("VERBATIM_MODELS", args->models, 1);
    return code;
}
