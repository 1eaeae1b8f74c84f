/* hosts.c - loading and unloading.
 *
 *   ask --loaded?--> held++              sweep: held == 0 and last + keep < now  --> closed
 *       --not--> wanted --a thread of loads.h--> open, make room: close idle hosts, longest unused first, until it fits
 *                                                --> read it for its digest --> in the list
 *
 * Opening maps a file, which is quick; reading all of it for its digest is not. Neither happens under the lock. What is
 * not in the list yet has its room already. A new host stays for a moment even if nothing is to be kept, for those who
 * have waited for it.
 */
#include "serve/hosts.h"

#include "base/err.h"
#include "serve/loads.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FRESH_NS INT64_C(10000000000)

struct vb_hosts {
    vb_hosts_opts opts;
    vb_loads *loads;
    int n_loading;           /* have room, are not in the list */
    uint64_t loading_bytes;
    char *cache;
    vb_details_cache *details;
    pthread_mutex_t lock;
    vb_host *first;
};

int64_t vb_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- one host -------------------------------------------------------------------------------------------- */

static void close_host(vb_host *h)
{
    for (int i = 0; i < VB_SLOTS_MOST; i++) vb_session_close(h->sessions[i]);
    vb_model_close(h->model);
    free(h);
}

static void describe(vb_host *h, const vb_hosts_opts *o)
{
    vb_model_describe(h->model, &h->info);
    h->context = o->context > 0 && o->context < h->info.context ? o->context : 0;
    vb_session_opts session = {.context = h->context, .kv = o->kv};
    h->slots = o->parallel > 0 ? o->parallel : 4;
    if (h->slots > VB_SLOTS_MOST) h->slots = VB_SLOTS_MOST;
    h->bytes = h->info.weight_bytes + (uint64_t)h->slots * vb_session_bytes(h->model, &session);
    if (h->context == 0) h->context = h->info.context < 8192 ? h->info.context : 8192;
}

typedef struct {
    vb_hosts *hosts;
    int64_t start_ns;
    vb_loading state;
} progress;

static void report(progress *p, double done, const vb_err *err)
{
    p->state.done = done;
    p->state.err = err;
    p->state.ns = vb_now_ns() - p->start_ns;
    if (p->hosts->opts.on_load != NULL) p->hosts->opts.on_load(p->hosts->opts.ud, &p->state);
}

/* Told in hundredths. */
static int go_on(void *ud, uint64_t done, uint64_t all)
{
    progress *p = ud;
    double part = all > 0 ? (double)done / (double)all : 0;
    p->state.checking = 1;
    if (part >= p->state.done + 0.01) report(p, part < 1 ? part : 1, NULL);
    return !vb_loads_stopping(p->hosts->loads);
}

/* Reads the whole file, unless its digest is remembered. */
static vb_status identify(vb_host *h, progress *p, vb_err *err)
{
    VB_TRY(vb_model_hash(h->model, h->sha256, go_on, p, err));
    int64_t n = vb_model_fingerprint(h->model, h->fingerprint, sizeof h->fingerprint, err);
    return n < 0 ? (vb_status)n : VB_OK;
}

/* Models of an Ollama store are rendered as Ollama does it, where they have no template of their own. */
static vb_status open_model(vb_host *h, const vb_hosts *hosts, vb_err *err)
{
    vb_model_opts opts = hosts->opts.model;
    vb_catalogued found;
    char door[VB_HOST_NAME + 64];
    opts.embeddings = h->embeds;
    if (hosts->opts.paths) return vb_model_open(&h->model, h->name, &opts, err);
    if (!vb_catalogue_find(h->name, &found)) VB_FAIL(err, VB_E_NOT_FOUND, "model '%s' not found", h->name);
    if (found.ollama) opts.template_as = "ollama";
    return vb_model_open(&h->model, vb_catalogue_door(&found, door, sizeof door), &opts, err);
}

static vb_status open_host(vb_host **out, const vb_hosts *hosts, const char *name, int embeds, vb_err *err)
{
    vb_host *h = calloc(1, sizeof *h);
    *out = NULL;
    if (h == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", name);
    snprintf(h->name, sizeof h->name, "%s", name);
    h->embeds = embeds;
    vb_status s = open_model(h, hosts, err);
    if (s < 0) {
        close_host(h);
        return s;
    }
    describe(h, &hosts->opts);
    h->keep_ns = hosts->opts.keep_ns;
    *out = h;
    return VB_OK;
}

/* --- room ------------------------------------------------------------------------------------------------ */

static uint64_t bytes_used(const vb_hosts *hosts, int *n)
{
    uint64_t sum = hosts->loading_bytes;
    *n = hosts->n_loading;
    for (const vb_host *h = hosts->first; h != NULL; h = h->next, ++*n) sum += h->bytes;
    return sum;
}

/* The idle host that was used longest ago, taken out of the list; NULL: all are in use, or about to be. */
static vb_host *take_idle(vb_hosts *hosts)
{
    vb_host **oldest = NULL;
    int64_t now = vb_now_ns();
    for (vb_host **at = &hosts->first; *at != NULL; at = &(*at)->next)
        if ((*at)->held == 0 && (*at)->fresh_ns < now && (oldest == NULL || (*at)->last_ns < (*oldest)->last_ns)) oldest = at;
    if (oldest == NULL) return NULL;
    vb_host *h = *oldest;
    *oldest = h->next;
    return h;
}

static int fits(const vb_hosts *hosts, uint64_t bytes)
{
    int n;
    uint64_t used = bytes_used(hosts, &n);
    return used + bytes <= hosts->opts.memory_most && (hosts->opts.models_most == 0 || n < hosts->opts.models_most);
}

/* Takes room for `wanted`; what has to go for it is put into *out, to be closed. */
static vb_status take_room(vb_hosts *hosts, const vb_host *wanted, vb_host **out, vb_err *err)
{
    while (!fits(hosts, wanted->bytes)) {
        int n;
        vb_host *idle = take_idle(hosts);
        if (idle == NULL)
            VB_FAIL(err, VB_E_MEMORY, "%s: expected room for %llu MiB, found %llu of %llu MiB taken by models in use",
                    wanted->name, (unsigned long long)(wanted->bytes >> 20),
                    (unsigned long long)(bytes_used(hosts, &n) >> 20),
                    (unsigned long long)(hosts->opts.memory_most >> 20));
        idle->next = *out;
        *out = idle;
    }
    hosts->loading_bytes += wanted->bytes;
    hosts->n_loading++;
    return VB_OK;
}

static int count_loaded(vb_hosts *hosts)
{
    int n = 0;
    pthread_mutex_lock(&hosts->lock);
    for (const vb_host *h = hosts->first; h != NULL; h = h->next) n++;
    pthread_mutex_unlock(&hosts->lock);
    return n;
}

/* Those that were taken out of the list. */
static void unload_all(vb_hosts *hosts, vb_host *first)
{
    while (first != NULL) {
        vb_host *h = first;
        first = h->next;
        if (hosts->opts.on_unload != NULL) hosts->opts.on_unload(hosts->opts.ud, h->name, count_loaded(hosts));
        close_host(h);
    }
}

static vb_status make_room(vb_hosts *hosts, const vb_host *wanted, vb_err *err)
{
    vb_host *out = NULL;
    pthread_mutex_lock(&hosts->lock);
    vb_status s = take_room(hosts, wanted, &out, err);
    pthread_mutex_unlock(&hosts->lock);
    unload_all(hosts, out);
    return s;
}

/* --- loading --------------------------------------------------------------------------------------------- */

/* Into the list if it is whole; its room was its own already. */
static void settle(vb_hosts *hosts, vb_host *h, int whole)
{
    pthread_mutex_lock(&hosts->lock);
    hosts->loading_bytes -= h->bytes;
    hosts->n_loading--;
    if (whole) {
        h->last_ns = vb_now_ns();
        h->fresh_ns = h->last_ns + FRESH_NS;
        h->next = hosts->first;
        hosts->first = h;
    }
    pthread_mutex_unlock(&hosts->lock);
    if (!whole) close_host(h);
}

static void load(void *ud, const char *name, int embeds, vb_err *err)
{
    progress p = {ud, vb_now_ns(), {.name = name, .embeds = embeds}};
    vb_host *h = NULL;
    report(&p, 0, NULL);
    vb_status s = open_host(&h, p.hosts, name, embeds, err);
    if (s == VB_OK && (s = make_room(p.hosts, h, err)) < 0) close_host(h);
    if (s == VB_OK) {
        s = identify(h, &p, err);
        h->loaded_ns = vb_now_ns() - p.start_ns;
        p.state.bytes = h->bytes;
        settle(p.hosts, h, s == VB_OK);
    }
    p.state.over = 1;
    report(&p, s == VB_OK ? 1 : p.state.done, s == VB_OK ? NULL : err);
}

/* --- all hosts ------------------------------------------------------------------------------------------- */

/* One whose file has changed stays for those who hold it; the others get it loaded anew. */
static vb_host *find(const vb_hosts *hosts, const char *name, int embeds)
{
    for (vb_host *h = hosts->first; h != NULL; h = h->next) {
        if (h->gone || strcmp(h->name, name) != 0 || (h->embeds != embeds && !h->info.encoder)) continue;
        h->gone = vb_model_check(h->model, NULL) < 0;
        if (!h->gone) return h;
    }
    return NULL;
}

static vb_host *take(vb_hosts *hosts, const char *name, int embeds)
{
    vb_host *h = find(hosts, name, embeds);
    if (h == NULL) return NULL;
    h->held++;
    h->last_ns = vb_now_ns();
    h->fresh_ns = 0;
    return h;
}

vb_status vb_hosts_ask(vb_hosts *hosts, const char *name, int embeds, vb_host **out, uint64_t *number, vb_err *err)
{
    vb_catalogued found;
    pthread_mutex_lock(&hosts->lock);
    *out = take(hosts, name, embeds);
    pthread_mutex_unlock(&hosts->lock);
    if (*out != NULL) return VB_OK;
    if (!hosts->opts.paths && !vb_catalogue_find(name, &found))
        VB_FAIL(err, VB_E_NOT_FOUND, "model '%s' not found", name);
    pthread_mutex_lock(&hosts->lock);
    *out = take(hosts, name, embeds);
    *number = *out == NULL ? vb_loads_want(hosts->loads, name, embeds) : 0;
    pthread_mutex_unlock(&hosts->lock);
    if (*out == NULL && *number == 0) VB_FAIL(err, VB_E_FULL, "%s: the server is ending", name);
    return VB_OK;
}

int vb_hosts_when_loaded(vb_hosts *hosts, uint64_t number, void (*fn)(void *ud, const vb_err *err), void *ud)
{
    return vb_loads_wait(hosts->loads, number, fn, ud);
}

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t change;
    int over;
    vb_err err;
} awaited;

static void on_loaded(void *ud, const vb_err *err)
{
    awaited *a = ud;
    pthread_mutex_lock(&a->lock);
    if (err != NULL) a->err = *err;
    a->over = 1;
    pthread_cond_signal(&a->change);
    pthread_mutex_unlock(&a->lock);
}

vb_status vb_hosts_acquire(vb_hosts *hosts, const char *name, int embeds, vb_host **out, vb_err *err)
{
    awaited a = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};
    uint64_t number;
    for (;;) {
        VB_TRY(vb_hosts_ask(hosts, name, embeds, out, &number, err));
        if (*out != NULL) return VB_OK;
        if (!vb_hosts_when_loaded(hosts, number, on_loaded, &a)) continue;
        pthread_mutex_lock(&a.lock);
        while (!a.over) pthread_cond_wait(&a.change, &a.lock);
        pthread_mutex_unlock(&a.lock);
        a.over = 0;
        if (a.err.code < 0) VB_FAIL(err, a.err.code, "%s", a.err.text);
    }
}

void vb_hosts_release(vb_hosts *hosts, vb_host *host, int64_t keep_ns)
{
    pthread_mutex_lock(&hosts->lock);
    host->held--;
    host->last_ns = vb_now_ns();
    if (keep_ns != VB_KEEP_DEFAULT) host->keep_ns = keep_ns;
    pthread_mutex_unlock(&hosts->lock);
}

static int64_t left(const vb_host *h, int64_t now)
{
    if (h->gone) return 0;
    if (h->keep_ns == VB_KEEP_FOREVER) return INT64_MAX;
    int64_t due = h->last_ns + h->keep_ns;
    return (due > h->fresh_ns ? due : h->fresh_ns) - now;
}

int64_t vb_hosts_sweep(vb_hosts *hosts)
{
    int64_t next = INT64_MAX, now = vb_now_ns();
    vb_host *out = NULL;
    pthread_mutex_lock(&hosts->lock);
    for (vb_host **at = &hosts->first; *at != NULL;) {
        vb_host *h = *at;
        int64_t due = h->held > 0 ? INT64_MAX : left(h, now);
        if (due <= 0) {
            *at = h->next;
            h->next = out;
            out = h;
            continue;
        }
        if (due < next) next = due;
        at = &h->next;
    }
    pthread_mutex_unlock(&hosts->lock);
    unload_all(hosts, out);
    return next == INT64_MAX ? -1 : next;
}

void vb_hosts_unload(vb_hosts *hosts, const char *name)
{
    pthread_mutex_lock(&hosts->lock);
    for (vb_host *h = hosts->first; h != NULL; h = h->next)
        if (strcmp(h->name, name) == 0) h->keep_ns = h->fresh_ns = 0;
    pthread_mutex_unlock(&hosts->lock);
    vb_hosts_sweep(hosts);
}

void vb_hosts_each(vb_hosts *hosts, void (*fn)(void *ud, const vb_host *host), void *ud)
{
    pthread_mutex_lock(&hosts->lock);
    for (const vb_host *h = hosts->first; h != NULL; h = h->next) fn(ud, h);
    pthread_mutex_unlock(&hosts->lock);
}

vb_details_cache *vb_hosts_details(const vb_hosts *hosts)
{
    return hosts->details;
}

const vb_hosts_opts *vb_hosts_settings(const vb_hosts *hosts)
{
    return &hosts->opts;
}

vb_status vb_hosts_open(vb_hosts **out, const vb_hosts_opts *opts, vb_err *err)
{
    vb_machine machine;
    vb_hosts *h = *out = calloc(1, sizeof *h);
    if (h == NULL) VB_FAIL(err, VB_E_MEMORY, "serve: out of memory");
    pthread_mutex_init(&h->lock, NULL);
    h->opts = *opts;
    if (opts->cache != NULL) h->opts.cache = h->cache = strdup(opts->cache);
    vb_machine_describe(&machine);
    if (h->opts.memory_most == 0) h->opts.memory_most = machine.available_bytes / 5 * 4;
    h->details = vb_details_open();
    vb_status s = vb_loads_open(&h->loads, load, h, err);
    if (s == VB_OK && h->details != NULL) return VB_OK;
    vb_hosts_close(h);
    *out = NULL;
    VB_FAIL(err, VB_E_MEMORY, "serve: out of memory");
}

void vb_hosts_stop(vb_hosts *hosts)
{
    if (hosts != NULL) vb_loads_stop(hosts->loads);
}

void vb_hosts_close(vb_hosts *hosts)
{
    if (hosts == NULL) return;
    vb_loads_close(hosts->loads);
    vb_host *all = hosts->first;
    hosts->first = NULL;
    unload_all(hosts, all);
    pthread_mutex_destroy(&hosts->lock);
    vb_details_close(hosts->details);
    free(hosts->cache);
    free(hosts);
}
