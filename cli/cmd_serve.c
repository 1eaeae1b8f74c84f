/* cmd_serve.c - `verbatim serve`: the server, until it is told to end.
 *
 *   SIGTERM or SIGINT --> nothing new is begun, what runs may finish --second signal, or 30 s--> cancelled --> end
 *
 * Signals are blocked in all threads and fetched by this one alone, so that the end is always an orderly one.
 */
#include "commands.h"
#include "out.h"
#include "serve_settings.h"
#include "systemd.h"
#include "torn.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { DRAIN_SECONDS = 30 };

static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Many threads take turns at short, large pieces of memory: few pools, and what is large goes back when it is freed. */
static void save_memory(void)
{
#ifdef __GLIBC__
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 1 << 18);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
#endif
}

/* A thousand connections need a thousand descriptors. */
static void allow_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int one(void *found, const vb_store_entry *entry)
{
    (void)entry;
    *(int *)found = 1;
    return 1;
}

/* Where it listens: on stderr for people, as JSON on stdout for programs, which may have asked for any free port. */
static int announce(const vb_args *args, const vb_serve_opts *opts, const vb_serve *server)
{
    const char *host = opts->listener > 0 ? "a socket that was passed" : opts->unix_path != NULL ? opts->unix_path
                       : opts->host != NULL ? opts->host : "127.0.0.1";
    int port = vb_serve_port(server);
    int found = 0, six = strchr(host, ':') != NULL;
    if (port > 0 && opts->listener <= 0)
        vb_say("listening at http://%s%s%s:%d/, for programs and for a browser", six ? "[" : "", host, six ? "]" : "", port);
    else vb_say("listening on %s", host);
    vb_store_list(one, &found, NULL);
    if (!found) vb_say("no models yet: verbatim pull NAME gets one");
    if (vb_serve_sandbox(server)[0] != '\0') vb_say("%s", vb_serve_sandbox(server));
    if (!args->json) return VB_EXIT_OK;
    int code = vb_print_json(json_pack("{s:s, s:i}", "host", host, "port", port));
    return code ? code : vb_out_flush();
}

/* A line at once, so that lines of several threads stay whole. */
static void on_line(void *ud, const char *line, size_t len)
{
    (void)ud;
    fwrite(line, 1, len, stderr);
    fflush(stderr);
}

/* Until nothing runs any more, a second signal comes, or time is up. */
static void drain(vb_serve *server, const sigset_t *signals)
{
    const struct timespec moment = {.tv_nsec = 10000000};
    int64_t until = vb_now_ns() + DRAIN_SECONDS * INT64_C(1000000000);
    while (vb_serve_busy(server) > 0 && vb_now_ns() < until)
        if (sigtimedwait(signals, NULL, &moment) > 0) return;
}

int vb_cmd_serve(const vb_args *args)
{
    vb_serve_settings settings;
    vb_serve *server;
    vb_err err = {0};
    sigset_t signals;
    int got, notifier, code = vb_serve_settings_read(&settings, args);
    if (code != 0) return code;
    settings.serve.listener = vb_systemd_listener();
    if (args->log_format == VB_LOG_JSON) {
        vb_say_as_json();
        settings.serve.hooks.on_line = on_line;
    }
    if (settings.serve.listener < 0) return vb_wrong("serve", "expected one socket to be passed, found several");
    block_signals(&signals); /* before the first thread, so that all inherit it */
    allow_descriptors();
    save_memory();
    notifier = vb_systemd_notifier(); /* before the process gives up sockets */
    vb_torn_watch();
    vb_status status = vb_serve_open(&server, &settings.serve, &err);
    if (status < 0) return vb_report(status, &err);
    code = announce(args, &settings.serve, server);
    vb_systemd_tell(notifier, "READY=1");
    if (code == 0) sigwait(&signals, &got);
    vb_systemd_tell(notifier, "STOPPING=1");
    vb_say("ending; what runs may finish");
    vb_serve_quiesce(server);
    drain(server, &signals);
    vb_serve_close(server);
    return code;
}
