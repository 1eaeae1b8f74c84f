/* cmd_pull.c - `verbatim pull` and `verbatim push`: models from and to a registry, and how far it is.
 *
 *   on a terminal   one line a layer, written again and again:  pulling 2af3b81862c6  43 %  [####------]  116.0 MiB of ...
 *   elsewhere       a line when something begins
 *   --json          what the server would stream, a JSON object a line, on stdout
 *
 * Ctrl-C ends it; what was fetched stays, and the same command goes on from there.
 */
#include "commands.h"
#include "input.h"
#include "out.h"
#include "store/transfer.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BAR = 24 };

typedef struct {
    const vb_args *args;
    const char *name;
    int terminal, open; /* a line that is not ended yet */
    char status[96];    /* told last */
    double begun;       /* seconds, of the layer at work */
    uint64_t from;      /* its bytes that were there at its beginning */
} view;

static int interrupted(void *ud)
{
    (void)ud;
    return vb_interrupted();
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- telling --------------------------------------------------------------------------------------------- */

static int tell_json(const vb_progress *p)
{
    json_t *line = json_pack("{s:o}", "status", vb_json_string(p->status));
    if (p->digest != NULL) json_object_set_new(line, "digest", json_string(p->digest));
    if (p->total > 0) json_object_set_new(line, "total", json_integer((json_int_t)p->total));
    if (p->completed > 0) json_object_set_new(line, "completed", json_integer((json_int_t)p->completed));
    int failed = line == NULL || json_dumpf(line, stdout, JSON_COMPACT) != 0;
    json_decref(line);
    putchar('\n');
    return failed || fflush(stdout) != 0;
}

static void end_line(view *v)
{
    if (v->open) fputc('\n', stderr);
    v->open = 0;
}

/* How fast it comes, and how long the rest will take. */
static void put_pace(const view *v, const vb_progress *p)
{
    double seconds = now() - v->begun, rate = (double)(p->completed - v->from) / (seconds > 0.001 ? seconds : 0.001);
    if (p->completed <= v->from || p->completed == p->total) return;
    fputs("  ", stderr);
    vb_put_bytes(stderr, (uint64_t)rate);
    fprintf(stderr, "/s  %.0f s", (double)(p->total - p->completed) / rate);
}

static void put_bar(view *v, const vb_progress *p)
{
    static const char full[] = "########################", rest[] = "------------------------";
    int filled = p->total > 0 ? (int)((double)p->completed / (double)p->total * BAR) : BAR;
    int percent = p->total > 0 ? (int)((double)p->completed / (double)p->total * 100) : 100;
    fprintf(stderr, "\r%s  %3d %%  [%.*s%.*s]  ", p->status, percent, filled, full, BAR - filled, rest);
    vb_put_bytes(stderr, p->completed);
    fputs(" of ", stderr);
    vb_put_bytes(stderr, p->total);
    put_pace(v, p);
    fputs("\033[K", stderr);
    v->open = 1;
}

static void begin_status(view *v, const vb_progress *p)
{
    end_line(v);
    snprintf(v->status, sizeof v->status, "%s", p->status);
    v->begun = now();
    v->from = p->completed;
    if (v->terminal && p->digest != NULL) return;
    fprintf(stderr, "verbatim: %s", p->status);
    if (p->digest != NULL) fputs(p->completed < p->total ? ", " : ", there: ", stderr);
    if (p->digest != NULL) vb_put_bytes(stderr, p->total);
    fputc('\n', stderr);
}

static int on_progress(void *ud, const vb_progress *p)
{
    view *v = ud;
    if (v->args->json) return tell_json(p) || vb_interrupted();
    if (strcmp(v->status, p->status) != 0) begin_status(v, p);
    if (v->terminal && p->digest != NULL) put_bar(v, p);
    return vb_interrupted();
}

static void on_plan(void *ud, const vb_plan_of_pull *plan)
{
    view *v = ud;
    vb_machine machine;
    if (v->args->json) return;
    end_line(v);
    fprintf(stderr, "verbatim: %s: ", v->name);
    vb_put_bytes(stderr, plan->total);
    fputs(", to fetch ", stderr);
    vb_put_bytes(stderr, plan->missing);
    fputs("; ", stderr);
    vb_put_bytes(stderr, plan->free);
    fputs(" free on disk\n", stderr);
    vb_machine_describe(&machine);
    if (plan->weights <= machine.memory_bytes) return;
    fputs("verbatim: warning: its weights take ", stderr);
    vb_put_bytes(stderr, plan->weights);
    fputs(" of memory, this machine has ", stderr);
    vb_put_bytes(stderr, machine.memory_bytes);
    fputc('\n', stderr);
}

/* --- the commands ---------------------------------------------------------------------------------------- */

static int report(const view *v, const vb_transfer *t, vb_status status, const vb_err *err)
{
    if (status == VB_E_STOPPED) {
        vb_say("interrupted; `verbatim %s %s` goes on from here", v->args->command->name, v->name);
        return VB_EXIT_INTERRUPTED;
    }
    vb_say("%s: %s", v->name, err->text[0] != '\0' ? err->text : vb_status_name(status));
    return t->remote && status == VB_E_IO ? VB_EXIT_NETWORK : vb_exit_code(status);
}

static int carry(const vb_args *args, vb_status (*fn)(vb_store *, const char *, vb_transfer *, vb_err *))
{
    view v = {.args = args, .name = args->rest[0], .terminal = !args->json && isatty(STDERR_FILENO)};
    vb_transfer t = {.insecure = args->insecure, .netrc = 1, .stop = {interrupted, NULL}, .to = {on_progress, &v}, .plan = on_plan};
    vb_store *store;
    vb_err err = {0};
    vb_status status = vb_store_open(&store, NULL, &err);
    if (status < 0) return vb_report(status, &err);
    vb_interrupt_catch();
    status = fn(store, v.name, &t, &err);
    end_line(&v);
    vb_store_close(store);
    return status < 0 ? report(&v, &t, status, &err) : VB_EXIT_OK;
}

int vb_cmd_pull(const vb_args *args)
{
    return carry(args, vb_store_pull);
}

static vb_status push(vb_store *store, const char *name, vb_transfer *t, vb_err *err)
{
    return vb_store_push(store, name, t, err);
}

int vb_cmd_push(const vb_args *args)
{
    return carry(args, push);
}
