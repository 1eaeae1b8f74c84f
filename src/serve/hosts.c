/* hosts.c - loading and unloading.
 *
 *   acquire --loaded?--> held++          sweep: held == 0 and last + keep < now  --> closed
 *           --not-->  make room: close idle hosts, longest unused first, until it fits --> open
 *
 * Loading happens under the lock: it maps a file, which is quick, and two requests for one model load it once.
 */
#include "serve/hosts.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct vb_hosts {
    vb_hosts_opts opts;
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

static vb_status describe(vb_host *h, const vb_hosts_opts *o, vb_err *err)
{
    vb_model_describe(h->model, &h->info);
    h->context = o->context > 0 && o->context < h->info.context ? o->context : 0;
    vb_session_opts session = {.context = h->context, .kv = o->kv};
    h->slots = o->parallel > 0 ? o->parallel : 4;
    if (h->slots > VB_SLOTS_MOST) h->slots = VB_SLOTS_MOST;
    h->bytes = h->info.weight_bytes + (uint64_t)h->slots * vb_session_bytes(h->model, &session);
    if (h->context == 0) h->context = h->info.context < 8192 ? h->info.context : 8192;
    int64_t n = vb_model_fingerprint(h->model, h->fingerprint, sizeof h->fingerprint, err);
    if (n < 0) return (vb_status)n;
    return vb_model_sha256(h->model, h->sha256, err);
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
    int64_t start = vb_now_ns();
    vb_host *h = calloc(1, sizeof *h);
    *out = NULL;
    if (h == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", name);
    snprintf(h->name, sizeof h->name, "%s", name);
    h->embeds = embeds;
    vb_status s = open_model(h, hosts, err);
    if (s == VB_OK) s = describe(h, &hosts->opts, err);
    if (s < 0) {
        close_host(h);
        return s;
    }
    h->keep_ns = hosts->opts.keep_ns;
    h->loaded_ns = vb_now_ns() - start;
    *out = h;
    return VB_OK;
}

/* --- room ------------------------------------------------------------------------------------------------ */

static uint64_t bytes_used(const vb_hosts *hosts, int *n)
{
    uint64_t sum = 0;
    *n = 0;
    for (const vb_host *h = hosts->first; h != NULL; h = h->next, ++*n) sum += h->bytes;
    return sum;
}

/* The idle host that was used longest ago, taken out of the list; NULL: all are in use. */
static vb_host *take_idle(vb_hosts *hosts)
{
    vb_host **oldest = NULL;
    for (vb_host **at = &hosts->first; *at != NULL; at = &(*at)->next)
        if ((*at)->held == 0 && (oldest == NULL || (*at)->last_ns < (*oldest)->last_ns)) oldest = at;
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

static vb_status make_room(vb_hosts *hosts, const vb_host *wanted, vb_err *err)
{
    while (!fits(hosts, wanted->bytes)) {
        int n;
        vb_host *idle = take_idle(hosts);
        if (idle == NULL)
            VB_FAIL(err, VB_E_MEMORY, "%s: expected room for %llu MiB, found %llu of %llu MiB taken by models in use",
                    wanted->name, (unsigned long long)(wanted->bytes >> 20),
                    (unsigned long long)(bytes_used(hosts, &n) >> 20),
                    (unsigned long long)(hosts->opts.memory_most >> 20));
        close_host(idle);
    }
    return VB_OK;
}

/* --- all hosts ------------------------------------------------------------------------------------------- */

static vb_host *find(const vb_hosts *hosts, const char *name, int embeds)
{
    for (vb_host *h = hosts->first; h != NULL; h = h->next)
        if (strcmp(h->name, name) == 0 && (h->embeds == embeds || h->info.encoder)) return h;
    return NULL;
}

static vb_status load(vb_hosts *hosts, const char *name, int embeds, vb_host **out, vb_err *err)
{
    VB_TRY(open_host(out, hosts, name, embeds, err));
    vb_status s = make_room(hosts, *out, err);
    if (s < 0) {
        close_host(*out);
        *out = NULL;
        return s;
    }
    (*out)->next = hosts->first;
    hosts->first = *out;
    return VB_OK;
}

vb_status vb_hosts_acquire(vb_hosts *hosts, const char *name, int embeds, vb_host **out, vb_err *err)
{
    vb_status s = VB_OK;
    pthread_mutex_lock(&hosts->lock);
    *out = find(hosts, name, embeds);
    if (*out == NULL) s = load(hosts, name, embeds, out, err);
    if (s == VB_OK) {
        (*out)->held++;
        (*out)->last_ns = vb_now_ns();
    }
    pthread_mutex_unlock(&hosts->lock);
    return s;
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
    return h->keep_ns == VB_KEEP_FOREVER ? INT64_MAX : h->last_ns + h->keep_ns - now;
}

int64_t vb_hosts_sweep(vb_hosts *hosts)
{
    int64_t next = INT64_MAX, now = vb_now_ns();
    pthread_mutex_lock(&hosts->lock);
    for (vb_host **at = &hosts->first; *at != NULL;) {
        vb_host *h = *at;
        int64_t due = h->held > 0 ? INT64_MAX : left(h, now);
        if (due <= 0) {
            *at = h->next;
            close_host(h);
            continue;
        }
        if (due < next) next = due;
        at = &h->next;
    }
    pthread_mutex_unlock(&hosts->lock);
    return next == INT64_MAX ? -1 : next;
}

void vb_hosts_unload(vb_hosts *hosts, const char *name)
{
    pthread_mutex_lock(&hosts->lock);
    for (vb_host *h = hosts->first; h != NULL; h = h->next)
        if (strcmp(h->name, name) == 0) h->keep_ns = 0;
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
    vb_hosts *h = calloc(1, sizeof *h);
    if (h != NULL && (h->details = vb_details_open()) == NULL) {
        free(h);
        h = NULL;
    }
    *out = h;
    if (h == NULL) VB_FAIL(err, VB_E_MEMORY, "serve: out of memory");
    h->opts = *opts;
    if (opts->cache != NULL) h->opts.cache = h->cache = strdup(opts->cache);
    vb_machine_describe(&machine);
    if (h->opts.memory_most == 0) h->opts.memory_most = machine.available_bytes / 5 * 4;
    pthread_mutex_init(&h->lock, NULL);
    return VB_OK;
}

void vb_hosts_close(vb_hosts *hosts)
{
    if (hosts == NULL) return;
    while (hosts->first != NULL) {
        vb_host *h = hosts->first;
        hosts->first = h->next;
        close_host(h);
    }
    pthread_mutex_destroy(&hosts->lock);
    vb_details_close(hosts->details);
    free(hosts->cache);
    free(hosts);
}
