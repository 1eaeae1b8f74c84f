/* record.c - see record.h.
 *
 *   DIR/20261121-190502-8f2a6c01d3b4.trace      the request's id; of several choices ID-0, ID-1, ...
 *
 * A trace begins with the first token that is chosen, when the session holds the whole prompt: what ends before has
 * none. The digest is XXH3-128 over the digests of the logits of all chosen tokens, in order, as traces hold them, so that
 * it can be computed from a trace alone.
 *
 * Invariant: an answer that names a trace was recorded whole. A trace that cannot be written fails its job.
 */
#include "serve/record.h"

#include "base/hash.h"
#include "base/os.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME = 64, DIGEST = 16 };

struct vb_recorder {
    char *dir; /* NULL: no traces */
    atomic_ullong traces;
};

struct vb_record {
    vb_recorder *recorder;
    char name[NAME];
    char *path;      /* NULL: no trace */
    vb_trace *trace; /* being written */
    int begun;       /* the trace */
    vb_digest *all;
    uint8_t digest[DIGEST];
};

/* --- the folder ------------------------------------------------------------------------------------------ */

static vb_status make_folder(const char *dir, vb_err *err)
{
    struct stat st;
    int there = stat(dir, &st) == 0;
    if (!there) VB_TRY(vb_dir_make(dir, err));
    if (!there && chmod(dir, 0700) != 0) VB_FAIL(err, VB_E_IO, "%s: cannot keep it to its owner: %s", dir, strerror(errno));
    if (there && !S_ISDIR(st.st_mode)) VB_FAIL(err, VB_E_IO, "%s: expected a folder for traces, found something else", dir);
    if (access(dir, W_OK | X_OK) != 0) VB_FAIL(err, VB_E_IO, "%s: cannot write traces there: %s", dir, strerror(errno));
    return VB_OK;
}

vb_status vb_recorder_open(vb_recorder **out, const char *dir, vb_err *err)
{
    *out = NULL;
    if (dir != NULL) VB_TRY(make_folder(dir, err));
    vb_recorder *r = calloc(1, sizeof *r);
    if (r != NULL && dir != NULL) r->dir = realpath(dir, NULL);
    if (r == NULL || (dir != NULL && r->dir == NULL)) {
        free(r);
        VB_FAIL(err, VB_E_MEMORY, "serve: out of memory");
    }
    *out = r;
    return VB_OK;
}

void vb_recorder_close(vb_recorder *r)
{
    if (r == NULL) return;
    free(r->dir);
    free(r);
}

uint64_t vb_recorder_traces(const vb_recorder *r)
{
    return atomic_load(&r->traces);
}

/* --- one record ------------------------------------------------------------------------------------------ */

int vb_record_asked(vb_request *r)
{
    vb_request part;
    vb_request_part(&part, r, "verbatim");
    int asked = vb_request_bool(&part, "logits_digest", 0);
    vb_request_join(r, &part);
    return asked;
}

int vb_record_wanted(const vb_recorder *r, int asked)
{
    return asked || r->dir != NULL;
}

static int name_it(vb_record *r, const char *request, int choice, int choices)
{
    const char *dir = r->recorder->dir;
    if (choices > 1) snprintf(r->name, sizeof r->name, "%.48s-%d", request, choice);
    else snprintf(r->name, sizeof r->name, "%.48s", request);
    if (dir == NULL) return 1;
    size_t cap = strlen(dir) + sizeof r->name + sizeof ".trace" + 1;
    r->path = malloc(cap);
    if (r->path != NULL) snprintf(r->path, cap, "%s/%s.trace", dir, r->name);
    return r->path != NULL;
}

int vb_record_open(vb_record **out, vb_recorder *recorder, const char *request, int choice, int choices, vb_fault *fault)
{
    vb_record *r = *out = calloc(1, sizeof *r);
    if (r != NULL) r->recorder = recorder;
    if (r != NULL && name_it(r, request, choice, choices) && vb_digest_open(&r->all, NULL) == VB_OK) return 1;
    vb_record_close(r);
    *out = NULL;
    vb_fault_set(fault, 500, "out of memory");
    return 0;
}

void vb_record_close(vb_record *r)
{
    if (r == NULL) return;
    vb_trace_close(r->trace, NULL);
    vb_digest_close(r->all);
    free(r->path);
    free(r);
}

static vb_status begin(vb_record *r, const vb_job *job, vb_session *session, vb_err *err)
{
    vb_trace_opts opts = {.sampling = job->sampling, .grammar = job->grammar, .biases = job->biases,
                          .n_biases = job->n_biases, .hasty = 1};
    VB_TRY(vb_trace_open(&r->trace, r->path, session, &opts, err));
    r->begun = 1;
    atomic_fetch_add(&r->recorder->traces, 1);
    return VB_OK;
}

vb_status vb_record_token(vb_record *r, const vb_job *job, vb_session *session, vb_token id, vb_err *err)
{
    int vocab;
    uint8_t digest[DIGEST];
    const float *logits = vb_session_logits(session, &vocab);
    if (r->path != NULL && !r->begun) VB_TRY(begin(r, job, session, err));
    if (r->trace != NULL) VB_TRY(vb_trace_add(r->trace, session, id, err));
    vb_xxh128_of(logits, (size_t)vocab * sizeof *logits, digest);
    vb_digest_add(r->all, digest, sizeof digest);
    return VB_OK;
}

vb_status vb_record_end(vb_record *r, vb_err *err)
{
    vb_trace *trace = r->trace;
    r->trace = NULL;
    vb_digest_get(r->all, r->digest);
    return vb_trace_close(trace, err);
}

const char *vb_record_trace(const vb_record *r)
{
    return r != NULL && r->begun ? r->name : NULL;
}

/* --- the answer ------------------------------------------------------------------------------------------ */

void vb_verbatim_put(vb_out *out, const vb_record *r, const char *names)
{
    char hex[2 * DIGEST + 1];
    if (r == NULL && names == NULL) return;
    vb_js_key(out, "verbatim");
    vb_js_open(out, '{');
    if (vb_record_trace(r) != NULL) vb_js_put_string(out, "trace", r->name);
    if (r != NULL) {
        vb_hex(hex, r->digest, DIGEST);
        vb_js_put_string(out, "logits_digest", hex);
    }
    if (names != NULL) {
        vb_js_key(out, "ignored");
        vb_js_raw(out, names, strlen(names));
    }
    vb_js_close(out, '}');
}

void vb_verbatim_put_all(vb_out *out, const vb_record *record, const vb_request *r)
{
    char *names = vb_request_ignored(r);
    vb_verbatim_put(out, record, names);
    free(names);
}
