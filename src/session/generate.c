/* generate.c - the loop: choose, record, append, show.
 *
 *   logits (speculate.h) -> vb_sample -> trace -> session -> bytes of the token -> [held back] -> on_text
 *
 * Held back are an unfinished UTF-8 character and whatever may still become a stop text. Invariant: a token is in
 * the trace before its text is shown, and no byte of a stop text ever reaches on_text.
 */
#include "session/speculate.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    vb_session *session;
    const vb_generation *how;
    char *text; /* not yet shown */
    size_t len, cap;
    vb_err *err;
} run;

static vb_status append_bytes(run *r, vb_token id)
{
    const vb_tokenizer *t = r->session->model->tokenizer;
    if (t == NULL || vb_tokenizer_kind_of(t, id) == VB_TOKEN_CONTROL) return VB_OK;
    int64_t n = vb_tokenizer_piece(t, id, NULL, 0);
    if (n <= 0) return VB_OK;
    if (r->len + (size_t)n > r->cap) {
        size_t cap = (r->len + (size_t)n) * 2;
        char *more = realloc(r->text, cap);
        if (more == NULL) VB_FAIL(r->err, VB_E_MEMORY, "generation: out of memory for %zu bytes of text", cap);
        r->text = more;
        r->cap = cap;
    }
    vb_tokenizer_piece(t, id, r->text + r->len, (size_t)n);
    r->len += (size_t)n;
    return VB_OK;
}

/* The earliest stop text, or len if there is none; *partial: from where the rest may still become one. */
static size_t find_stop(const run *r, size_t *partial)
{
    size_t found = r->len;
    *partial = r->len;
    for (int i = 0; i < r->how->n_stops; i++) {
        const char *stop = r->how->stops[i];
        size_t n = strlen(stop);
        for (size_t at = 0; n > 0 && at < r->len; at++) {
            size_t left = r->len - at < n ? r->len - at : n;
            if (memcmp(r->text + at, stop, left) != 0) continue;
            if (left == n && at < found) found = at;
            if (left < n && at < *partial) *partial = at;
            break;
        }
    }
    return found;
}

/* Length of the UTF-8 character at text[0], 0 if it is unfinished, -1 if the byte cannot start or continue one. */
static int character(const char *text, size_t len)
{
    unsigned char c = (unsigned char)text[0];
    int n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : -1;
    for (int i = 1; i < n; i++) {
        if ((size_t)i == len) return 0;
        unsigned char next = (unsigned char)text[i];
        int low = i == 1 && c == 0xe0 ? 0xa0 : i == 1 && c == 0xf0 ? 0x90 : 0x80;
        int high = i == 1 && c == 0xed ? 0x9f : i == 1 && c == 0xf4 ? 0x8f : 0xbf;
        if (next < low || next > high) return -1;
    }
    return n;
}

static int show(const run *r, const char *text, size_t len)
{
    return len > 0 && r->how->on_text != NULL ? r->how->on_text(r->how->ud, text, len) : 0;
}

/* Shows whole characters of the first `ready` bytes, U+FFFD for bytes that are none; at the `end` also for an
 * unfinished one. Returns what the callback said. */
static int flush(run *r, size_t ready, int end)
{
    size_t start = 0, at = 0;
    int stop = 0;
    while (at < ready && !stop) {
        int n = character(r->text + at, ready - at);
        if (n == 0 && !end) break;
        if (n > 0) {
            at += (size_t)n;
            continue;
        }
        stop = show(r, r->text + start, at - start) || show(r, "\xef\xbf\xbd", 3);
        start = ++at;
    }
    if (!stop) stop = show(r, r->text + start, at - start);
    if (at > 0) memmove(r->text, r->text + at, r->len - at);
    r->len -= at;
    return stop;
}

/* Chooses and records one token; *end tells whether and why the generation ends with it. */
static vb_status step(run *r, vb_token *id, vb_end *end)
{
    vb_session *s = r->session;
    size_t partial;
    VB_TRY(vb_sample(s, &r->how->sampling, id, r->err));
    if (r->how->trace != NULL) VB_TRY(vb_trace_add(r->how->trace, s, *id, r->err));
    s->tokens[s->n++] = *id; /* evaluated when the session goes on */
    if (vb_token_ends(s->model, *id)) {
        *end = VB_END_TOKEN;
        return VB_OK;
    }
    VB_TRY(append_bytes(r, *id));
    size_t stop = find_stop(r, &partial);
    if (stop < r->len) {
        r->len = stop;
        *end = VB_END_STOP;
        return VB_OK;
    }
    if (flush(r, partial, 0)) *end = VB_END_CALLBACK;
    return VB_OK;
}

static vb_status loop(run *r, vb_generated *out)
{
    vb_session *s = r->session;
    int max = r->how->max_tokens;
    while (out->end == VB_END_NONE) {
        vb_token id;
        if (s->n >= s->context) {
            out->end = VB_END_CONTEXT;
            break;
        }
        VB_TRY(vb_speculate_logits(s, r->how, max > 0 ? max - out->tokens : INT_MAX, r->err));
        VB_TRY(step(r, &id, &out->end));
        out->tokens++;
        if (out->end == VB_END_NONE && max > 0 && out->tokens >= max)
            out->end = VB_END_LENGTH;
    }
    if (out->end != VB_END_CALLBACK) flush(r, r->len, 1);
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
    VB_TRY(vb_sampling_check(&how->sampling, err));
    VB_TRY(vb_speculate_begin(session, how, err));
    vb_status s = loop(&r, out);
    vb_speculate_end(session);
    free(r.text);
    return s;
}
