/* resume.c - a session that stands where a recording once stood.
 *
 *   recorded   [ 0 .. at )  [ at ..
 *   resumed    [ 0 .. at )  logits = those that record `at` was chosen from, proved by their digest
 *
 * Invariant: what is handed out continues the recorded performance bit for bit, or there is an error.
 */
#include "traces/diff.h"
#include "traces/rerun.h"
#include "traces/token.h"

#include <stdlib.h>
#include <string.h>

static vb_status sync(const vb_rerun *r, vb_session *session, int at, vb_err *err)
{
    vb_token *ids = malloc((size_t)at * sizeof *ids);
    if (ids == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory for %d tokens", r->file.reader.name, at);
    for (int i = 0; i < at; i++) ids[i] = r->tokens[i].id;
    vb_status s = vb_session_sync(session, ids, at, err);
    free(ids);
    return s;
}

/* The recorded token `at`, read once more. */
static vb_status token_at(const vb_rerun *r, int at, vb_trace_record *out, vb_err *err)
{
    const vb_trace_reader *whole = &r->file.reader;
    vb_trace_reader reader;
    int more;
    VB_TRY(vb_trace_reader_start(&reader, whole->name, whole->data, whole->size, err));
    do VB_TRY(vb_trace_next(&reader, out, &more, err));
    while (reader.tokens <= at);
    return VB_OK;
}

static vb_status check_logits(vb_rerun *r, const vb_session *session, int at, vb_err *err)
{
    vb_trace_record record;
    const float *logits = vb_session_logits(session, NULL);
    if (at == r->n || !r->tokens[at].chosen) return VB_OK;
    VB_TRY(token_at(r, at, &record, err));
    vb_trace_token now = record.as.token;
    vb_trace_token_logits(&now, logits, r->vocab, r->header->top);
    vb_trace_diff_token(r->out, at + 1, &record.as.token, &now);
    return vb_rerun_verdict(r, err);
}

/* The biases, and the grammar behind the tokens that it holds; going back to before them it begins anew. */
static vb_status hold(vb_resumed *out, const vb_rerun *r, int at, vb_err *err)
{
    int from = r->file.reader.rules.from;
    VB_TRY(vb_rerun_biases(&out->biases, r, err));
    out->n_biases = out->biases != NULL ? r->file.reader.rules.n_biases : 0;
    VB_TRY(vb_rerun_grammar(&out->grammar, r, err));
    if (out->grammar == NULL || at <= from) return VB_OK;
    out->held_from = from;
    for (int i = from; i < at; i++) VB_TRY(vb_grammar_accept(out->grammar, r->tokens[i].id, err));
    return VB_OK;
}

static vb_status resume(vb_resumed *out, vb_rerun *r, int at, const vb_trace_resume_opts *how, vb_err *err)
{
    const vb_trace_reader *reader = &r->file.reader;
    if (at < 0 || at > r->n || r->n == 0)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: expected a position from 1 to %d, found %d", reader->name, r->n, at);
    if (at == 0) at = r->n;
    VB_TRY(vb_rerun_model(r, NULL, how->model, how->model_opts, err));
    VB_TRY(vb_rerun_verdict(r, err));
    VB_TRY(vb_rerun_session(&out->session, r, how->session_opts, err));
    VB_TRY(sync(r, out->session, at, err));
    VB_TRY(check_logits(r, out->session, at, err));
    VB_TRY(hold(out, r, at, err));
    out->sampling = r->header->sampling;
    out->top = r->header->top;
    out->parent_at = at;
    memcpy(out->parent, reader->data + (at < r->n ? r->tokens[at].link : reader->link), sizeof out->parent);
    return VB_OK;
}

VB_API vb_status vb_trace_resume(vb_resumed *out, const char *path, int at, const vb_trace_resume_opts *how, vb_err *err)
{
    static const vb_trace_resume_opts defaults;
    vb_diff diff;
    vb_rerun r;
    memset(out, 0, sizeof *out);
    vb_status s = vb_rerun_open(&r, path, &diff, err);
    if (s == VB_OK) s = resume(out, &r, at, how != NULL ? how : &defaults, err);
    if (s == VB_OK) {
        out->model = r.model;
        r.owns_model = 0;
    } else {
        vb_session_close(out->session);
        vb_grammar_close(out->grammar);
        free(out->biases);
        memset(out, 0, sizeof *out);
    }
    vb_rerun_close(&r);
    return s;
}
