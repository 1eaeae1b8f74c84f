/* generate.c - the loop: choose, record, append, show.
 *
 *   logits (speculate.h) -> vb_sample_biased -> trace -> session -> vb_stream (stream.c) -> on_text
 *
 * Invariant: a token is in the trace before its text is shown.
 */
#include "session/speculate.h"

#include <limits.h>
#include <string.h>

typedef struct {
    vb_session *session;
    const vb_generation *how;
    vb_stream *text;
    vb_err *err;
} run;

static int show(const run *r, const vb_streamed *piece)
{
    return piece->len > 0 && r->how->on_text != NULL ? r->how->on_text(r->how->ud, piece->text, piece->len) : 0;
}

static vb_status choose(const run *r, vb_token *id)
{
    const vb_generation *how = r->how;
    VB_TRY(vb_sample_biased(r->session, &how->sampling, how->biases, how->n_biases, how->grammar, id, r->err));
    return how->grammar != NULL ? vb_grammar_accept(how->grammar, *id, r->err) : VB_OK;
}

/* Chooses and records one token; *end tells whether and why the generation ends with it. */
static vb_status step(run *r, vb_end *end)
{
    vb_session *s = r->session;
    vb_token id;
    vb_streamed piece;
    VB_TRY(choose(r, &id));
    if (r->how->trace != NULL) VB_TRY(vb_trace_add(r->how->trace, s, id, r->err));
    s->tokens[s->n++] = id; /* evaluated when the session goes on */
    if (vb_token_ends(s->model, id)) {
        *end = VB_END_TOKEN;
        return VB_OK;
    }
    VB_TRY(vb_stream_add(r->text, id, &piece, r->err));
    if (show(r, &piece)) *end = VB_END_CALLBACK;
    else if (piece.stopped) *end = VB_END_STOP;
    return VB_OK;
}

static vb_status loop(run *r, vb_generated *out)
{
    vb_session *s = r->session;
    vb_streamed rest;
    int max = r->how->max_tokens;
    while (out->end == VB_END_NONE) {
        if (s->n >= s->context) {
            out->end = VB_END_CONTEXT;
            break;
        }
        VB_TRY(vb_speculate_logits(s, r->how, max > 0 ? max - out->tokens : INT_MAX, r->err));
        VB_TRY(step(r, &out->end));
        out->tokens++;
        if (out->end == VB_END_NONE && max > 0 && out->tokens >= max)
            out->end = VB_END_LENGTH;
    }
    if (out->end == VB_END_CALLBACK) return VB_OK;
    VB_TRY(vb_stream_end(r->text, &rest, r->err));
    show(r, &rest);
    return VB_OK;
}

VB_API vb_status vb_generate(vb_session *session, const vb_generation *how, vb_generated *out, vb_err *err)
{
    vb_generated ignored;
    run r = {.session = session, .how = how, .err = err};
    if (out == NULL) out = &ignored;
    memset(out, 0, sizeof *out);
    VB_TRY(vb_need_logits(session->model, err));
    if (session->n == 0) VB_FAIL(err, VB_E_ARGUMENT, "generation: expected a session with tokens, found an empty one");
    if (how->max_tokens < 0)
        VB_FAIL(err, VB_E_ARGUMENT, "max_tokens: expected 0 or more, found %d", how->max_tokens);
    if (how->trace != NULL && !vb_trace_holds(how->trace, how->grammar, how->biases, how->n_biases))
        VB_FAIL(err, VB_E_ARGUMENT, "generation: expected a trace of the same biases and grammar, found another");
    VB_TRY(vb_sampling_check(&how->sampling, err));
    VB_TRY(vb_stream_open(&r.text, session->model, how->stops, how->n_stops, err));
    vb_status s = vb_speculate_begin(session, how, err);
    if (s == VB_OK) {
        s = loop(&r, out);
        vb_speculate_end(session);
    }
    vb_stream_close(r.text);
    return s;
}
