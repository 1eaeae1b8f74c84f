/* hosts.h - the models that are loaded: on demand, within a budget of memory, until nobody has asked for them for a while.
 *
 * A host is one opened model with its slots (sessions). Invariants: what somebody holds (ask, release) stays loaded; the
 * budget is checked with figures that are known before anything is loaded; while one model is loaded the others are there.
 */
#ifndef VB_SERVE_HOSTS_H
#define VB_SERVE_HOSTS_H
#include "serve/details.h"
#include "serve/pace.h"

#include <pthread.h>

enum { VB_SLOTS_MOST = 64 };
#define VB_KEEP_DEFAULT INT64_MIN /* as the server was told */
#define VB_KEEP_FOREVER INT64_MAX

typedef struct {
    const char *name;
    int embeds;
    double done;       /* 0 when it begins, to 1 */
    int checking;      /* its bytes are being read for their digest */
    int over;          /* the last call: loaded, or */
    const vb_err *err; /* why not */
    int64_t ns;        /* so far */
    uint64_t bytes;    /* that it takes, when it is loaded */
} vb_loading;

typedef struct {
    vb_model_opts model;
    int paths;              /* 1: names are paths of files; never for names that come from clients */
    int context;            /* 0: the model's own, at most 8192 */
    vb_kv kv;
    int parallel;           /* slots of a model; 0: 4 */
    int64_t keep_ns;        /* how long a model stays after its last request */
    uint64_t memory_most;   /* bytes of weights and sessions; 0: 80 % of what is free at the start */
    int models_most;        /* 0: no limit but memory */
    const char *cache;      /* directory of kept prompts; NULL: none */
    /* How loading goes on, from the thread that does it; NULL: nobody asks. */
    void (*on_load)(void *ud, const vb_loading *loading);
    void (*on_unload)(void *ud, const char *name, int left); /* left: how many are still loaded */
    void *ud;
} vb_hosts_opts;

typedef struct vb_hosts vb_hosts;
typedef struct vb_host {
    struct vb_host *next;
    char name[VB_HOST_NAME]; /* as vb_catalogue_spell writes it */
    int embeds;              /* opened for embeddings */
    vb_model *model;
    vb_model_info info;
    uint8_t sha256[32];
    char fingerprint[64]; /* vb_model_fingerprint */
    int context, slots;
    vb_session *sessions[VB_SLOTS_MOST]; /* opened when first needed; the scheduler's */
    void *jobs[VB_SLOTS_MOST];           /* who has them; the scheduler's */
    vb_pace pace;                        /* what steps cost; the scheduler's */
    uint64_t bytes;          /* weights and all slots */
    int held;
    int gone; /* its file has changed: nobody gets it from now on */
    int64_t keep_ns, last_ns; /* when it was last used, CLOCK_MONOTONIC */
    int64_t loaded_ns;        /* how long loading took */
    double token_ns;          /* of a text that is embedded, measured; the scheduler's */
    int64_t fresh_ns;         /* until then it stays for those who waited for it; 0: one of them has been there */
} vb_host;

vb_status vb_hosts_open(vb_hosts **out, const vb_hosts_opts *opts, vb_err *err);
void vb_hosts_close(vb_hosts *hosts); /* nobody holds any */
const vb_hosts_opts *vb_hosts_settings(const vb_hosts *hosts);
vb_details_cache *vb_hosts_details(const vb_hosts *hosts);

/* The model if it is loaded; it is held then. VB_OK and *out NULL: it is being loaded now, *load is that loading's number.
 * VB_E_NOT_FOUND: no such model. */
vb_status vb_hosts_ask(vb_hosts *hosts, const char *name, int embeds, vb_host **out, uint64_t *load, vb_err *err);
/* Calls fn(ud, err) once, on another thread, when that loading is over; err NULL: the model is there; VB_E_MEMORY: it does
 * not fit beside those that are in use. 0: it is over already, or there is no memory: ask again. */
int vb_hosts_when_loaded(vb_hosts *hosts, uint64_t load, void (*fn)(void *ud, const vb_err *err), void *ud);
/* Asks, and waits if it must. */
vb_status vb_hosts_acquire(vb_hosts *hosts, const char *name, int embeds, vb_host **out, vb_err *err);
/* Nothing is loaded from now on; what is being loaded is given up, and who waits for it is told. */
void vb_hosts_stop(vb_hosts *hosts);
/* keep_ns: from now on kept so long; 0: unloaded as soon as nobody holds it. */
void vb_hosts_release(vb_hosts *hosts, vb_host *host, int64_t keep_ns);
/* Unloads what nobody has asked for long enough. Returns ns until the next one is due; -1: none. */
int64_t vb_hosts_sweep(vb_hosts *hosts);
/* Forgets kept time of all hosts of that name: they go when nobody holds them. */
void vb_hosts_unload(vb_hosts *hosts, const char *name);
/* Each host while it cannot change. */
void vb_hosts_each(vb_hosts *hosts, void (*fn)(void *ud, const vb_host *host), void *ud);
int64_t vb_now_ns(void); /* CLOCK_MONOTONIC */

#endif
