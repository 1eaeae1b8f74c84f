/* cmd_serve.c - `verbatim serve`: the server, until it is told to end.
 *
 * The first SIGTERM or SIGINT ends it gently: no new connections, what runs may finish. A second one ends it now.
 */
#include "commands.h"
#include "out.h"
#include "serve/serve.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEFAULT_PORT = 11434, DRAIN_SECONDS = 30 };

/* A setting of the environment: VERBATIM_X, then OLLAMA_X; NULL: neither. */
static const char *setting(const char *name)
{
    static const char *const prefixes[] = {"VERBATIM_", "OLLAMA_"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        char key[64];
        snprintf(key, sizeof key, "%s%s", prefixes[i], name);
        const char *value = getenv(key);
        if (value != NULL && value[0] != '\0') return value;
    }
    return NULL;
}

static void wait_for_signal(void)
{
    sigset_t set;
    int got;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    sigwait(&set, &got);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Where it listens: on stderr for people, as JSON on stdout for programs, which may have asked for any free port. */
static int announce(const vb_args *args, const vb_serve *server)
{
    const char *host = args->unix_path != NULL ? args->unix_path : args->host != NULL ? args->host : "127.0.0.1";
    int port = vb_http_port(server->http);
    if (port > 0) vb_say("listening on %s:%d", host, port);
    else vb_say("listening on %s", host);
    if (!args->json) return VB_EXIT_OK;
    int code = vb_print_json(json_pack("{s:s, s:i}", "host", host, "port", port));
    return code ? code : vb_out_flush();
}

int vb_cmd_serve(const vb_args *args)
{
    vb_serve *server;
    vb_err err = {0};
    const char *port = setting("PORT");
    vb_serve_opts opts = {
        .http = {.host = args->host, .port = vb_opt_given(args, "port") ? args->port : port != NULL ? atoi(port) : DEFAULT_PORT,
                 .unix_path = args->unix_path},
        .hosts = {.model = args->model, .context = args->session.context, .kv = args->session.kv,
                  .parallel = args->parallel, .keep_ns = INT64_C(300000000000), .cache = args->session.cache},
    };
    block_signals(); /* before the first thread, so that all inherit it */
    vb_status status = vb_serve_open(&server, &opts, &err);
    if (status < 0) return vb_report(status, &err);
    int code = announce(args, server);
    if (code == 0) wait_for_signal();
    vb_say("ending; what runs may finish");
    vb_serve_close(server, DRAIN_SECONDS * INT64_C(1000000000));
    return code;
}
