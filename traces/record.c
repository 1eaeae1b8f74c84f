/* record.c - what a session chooses becomes records.
 *
 *   open   header, one given token for each token the session holds
 *   add    given tokens for what was appended since, then the chosen one with a digest of the logits it came from
 *   close  end record
 *
 * Invariant: a chosen token's record is in the file before its text is shown. The cost per token is one pass
 * of XXH3 and one of the k largest over the logits, some hundred bytes of SHA-256 and one write().
 */
#include "traces/token.h"
#include "traces/write.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEFAULT_TOP = 5, PIECE = 1 << 16 };

struct vb_trace {
    vb_trace_writer writer;
    vb_model *model;
    vb_trace_token token; /* being encoded */
    char *text;           /* room for its text */
    int32_t next;         /* position of the next token */
    vb_token last;
    int chosen; /* the last token was chosen, not given */
    int top, context, vocab;
};

/* --- header ---------------------------------------------------------------------------------------------- */

static vb_trace_text text_of(const char *s)
{
    return (vb_trace_text){(const uint8_t *)s, s == NULL ? 0 : strlen(s)};
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static vb_status put_header(vb_trace *t, const vb_session *session, const vb_trace_opts *opts, vb_err *err)
{
    vb_model_info info;
    vb_stats stats;
    vb_machine machine;
    vb_model_describe(t->model, &info);
    vb_session_stats(session, &stats);
    vb_machine_describe(&machine);
    vb_trace_header h = {.arithmetic_version = VB_ARITHMETIC_VERSION,
                         .arith = (int32_t)info.arith,
                         .context = stats.context,
                         .kv = (int32_t)stats.kv,
                         .top = t->top,
                         .threads = info.threads,
                         .sampling = opts->sampling,
                         .created_ns = now_ns()};
    VB_TRY(vb_model_sha256(t->model, h.model, err));
    memcpy(h.plan, info.plan_digest, sizeof h.plan);
    memcpy(h.tokenizer, info.tokenizer_digest, sizeof h.tokenizer);
    memcpy(h.template_, info.template_digest, sizeof h.template_);
    char *absolute = realpath(info.path, NULL);
    const char *texts[VB_TRACE_TEXTS] = {
        [VB_TRACE_BY] = vb_version(),       [VB_TRACE_PLAYER] = info.player,
        [VB_TRACE_ISA] = info.isa,          [VB_TRACE_CPU] = machine.cpu,
        [VB_TRACE_MODEL_NAME] = info.name,  [VB_TRACE_MODEL_PATH] = absolute != NULL ? absolute : info.path,
        [VB_TRACE_MODEL_ARCH] = info.arch,  [VB_TRACE_PROMPT] = opts->prompt,
    };
    for (int i = 0; i < VB_TRACE_TEXTS; i++) h.texts[i] = text_of(texts[i]);
    vb_trace_encode_header(&t->writer.pending, &h);
    free(absolute);
    t->context = stats.context;
    return VB_OK;
}

/* --- tokens ---------------------------------------------------------------------------------------------- */

static void next_token(vb_trace *t, vb_token id, int chosen)
{
    t->token = (vb_trace_token){.chosen = chosen, .position = t->next++};
    vb_trace_token_name(&t->token, t->model, id, t->text);
    t->last = id;
    t->chosen = chosen;
}

/* Every token of the session that has no record yet was given to it. */
static vb_status put_given(vb_trace *t, const vb_session *session, vb_err *err)
{
    int n;
    const vb_token *ids = vb_session_tokens(session, &n);
    if (n < t->next || (t->next > 0 && ids[t->next - 1] != t->last))
        VB_FAIL(err, VB_E_ARGUMENT, "%s: expected a session that still holds its %d recorded tokens, found it changed",
                t->writer.path, t->next);
    while (t->next < n) {
        next_token(t, ids[t->next], 0);
        vb_trace_encode_token(&t->writer.pending, &t->token);
        if (t->writer.pending.len > PIECE) VB_TRY(vb_trace_writer_write(&t->writer, err));
    }
    return VB_OK;
}

VB_API vb_status vb_trace_add(vb_trace *t, const vb_session *session, vb_token id, vb_err *err)
{
    const float *logits = vb_session_logits(session, &t->vocab);
    if (vb_session_model(session) != t->model)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: expected the session it records, found one of another model", t->writer.path);
    if (logits == NULL)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: position %d: expected a session with logits, found none", t->writer.path,
                t->next);
    if (id < 0 || id >= t->vocab)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: position %d: expected an id from 0 to %d, found %d", t->writer.path, t->next,
                t->vocab - 1, id);
    VB_TRY(put_given(t, session, err));
    next_token(t, id, 1);
    vb_trace_token_logits(&t->token, logits, t->vocab, t->top);
    vb_trace_encode_token(&t->writer.pending, &t->token);
    return vb_trace_writer_write(&t->writer, err);
}

/* --- the file -------------------------------------------------------------------------------------------- */

static vb_status start(vb_trace *t, const char *path, const vb_session *session, const vb_trace_opts *opts, vb_err *err)
{
    t->text = malloc(VB_TRACE_TOKEN_TEXT_MOST);
    if (t->text == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", path);
    if (opts->top < 0 || opts->top > VB_TRACE_TOP_MOST)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: top: expected 0 to %d, found %d", path, VB_TRACE_TOP_MOST, opts->top);
    VB_TRY(vb_sampling_check(&opts->sampling, err));
    t->top = opts->top == 0 ? DEFAULT_TOP : opts->top;
    t->model = vb_session_model(session);
    VB_TRY(vb_trace_writer_open(&t->writer, path, err));
    vb_status s = put_header(t, session, opts, err);
    if (s == VB_OK) s = put_given(t, session, err);
    if (s == VB_OK && t->writer.pending.len > VB_TRACE_LINK) s = vb_trace_writer_write(&t->writer, err);
    if (s < 0) vb_trace_writer_discard(&t->writer);
    return s;
}

VB_API vb_status vb_trace_open(vb_trace **out, const char *path, const vb_session *session, const vb_trace_opts *opts,
                               vb_err *err)
{
    static const vb_trace_opts defaults;
    vb_trace *t = calloc(1, sizeof *t);
    *out = NULL;
    if (t == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", path);
    vb_status s = start(t, path, session, opts == NULL ? &defaults : opts, err);
    if (s < 0) {
        free(t->text);
        free(t);
        return s;
    }
    *out = t;
    return VB_OK;
}

VB_API void vb_trace_digest(const vb_trace *t, uint8_t out[32])
{
    memcpy(out, t->writer.pending.data, VB_TRACE_LINK);
}

static vb_trace_reason reason(const vb_trace *t)
{
    if (t->chosen && vb_token_ends(t->model, t->last)) return VB_TRACE_ENDS;
    return t->next >= t->context ? VB_TRACE_FULL : VB_TRACE_CLOSED;
}

VB_API vb_status vb_trace_close(vb_trace *t, vb_err *err)
{
    if (t == NULL) return VB_OK;
    vb_trace_ending end = {reason(t), (uint32_t)t->next};
    vb_trace_encode_end(&t->writer.pending, &end);
    vb_status s = vb_trace_writer_write(&t->writer, err);
    vb_status closed = vb_trace_writer_close(&t->writer, s < 0 ? NULL : err);
    free(t->text);
    free(t);
    return s < 0 ? s : closed;
}
