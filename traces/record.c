/* record.c - what a session chooses becomes records.
 *
 *   open   header, rules if there are biases or a grammar, one given token for each token the session holds
 *   add    given tokens for what was appended since, then the chosen one with a digest of the logits it came from
 *   close  end record, signature
 *
 * With taps each token's record is followed by its values; they are those of the session itself, which for the prompt
 * means to evaluate it once more at opening, a piece at a time. The last token has none: it was not evaluated yet.
 *
 * Invariant: a chosen token's record is in the file before its text is shown. The cost per token is two passes
 * of XXH3 and one of the k largest over the logits, some hundred bytes of SHA-256 and one write().
 */
#include "traces/kept.h"
#include "traces/sign.h"
#include "traces/token.h"
#include "traces/write.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEFAULT_TOP = 5, PIECE = 1 << 16, TAPPED_AT_ONCE = 16 };

struct vb_trace {
    vb_trace_writer writer;
    vb_model *model;
    vb_trace_token token; /* being encoded */
    char *text;           /* room for its text */
    int32_t next;         /* position of the next token */
    vb_token last;
    int chosen; /* the last token was chosen, not given */
    int top, context, vocab;
    vb_session *tapped; /* NULL: no taps */
    vb_kept kept;
    vb_trace_key *key; /* NULL: is not signed */
    uint8_t held[32];  /* digests of grammar and biases */
    int hasty;
    uint8_t seal[VB_TRACE_LINK]; /* of the information */
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
    vb_model_describe(t->model, &info);
    vb_session_stats(session, &stats);
    vb_trace_header h = {.arithmetic_version = VB_ARITHMETIC_VERSION,
                         .arith = (int32_t)info.arith,
                         .context = stats.context,
                         .kv = (int32_t)stats.kv,
                         .top = t->top,
                         .parent_at = opts->parent_at,
                         .taps = opts->taps,
                         .threads = info.threads,
                         .sampling = opts->sampling,
                         .created_ns = now_ns()};
    memcpy(h.parent, opts->parent, sizeof h.parent);
    VB_TRY(vb_model_sha256(t->model, h.model, err));
    memcpy(h.plan, info.plan_digest, sizeof h.plan);
    memcpy(h.tokenizer, info.tokenizer_digest, sizeof h.tokenizer);
    memcpy(h.template_, info.template_digest, sizeof h.template_);
    char where[512]; /* nobody compares it */
    if (info.device == NULL) snprintf(where, sizeof where, "%s", info.cpu);
    else snprintf(where, sizeof where, "%s, %s (%s)", info.cpu, info.device, info.device_about);
    char *absolute = strcmp(info.path, VB_MODEL_EMBEDDED) != 0 ? realpath(info.path, NULL) : NULL;
    const char *texts[VB_TRACE_TEXTS] = {
        [VB_TRACE_BY] = vb_version(),       [VB_TRACE_PLAYER] = info.player,
        [VB_TRACE_ISA] = info.isa,          [VB_TRACE_CPU] = where,
        [VB_TRACE_MODEL_NAME] = info.name,  [VB_TRACE_MODEL_PATH] = absolute != NULL ? absolute : info.path,
        [VB_TRACE_MODEL_ARCH] = info.arch,  [VB_TRACE_PROMPT] = opts->prompt,
    };
    for (int i = 0; i < VB_TRACE_TEXTS; i++) h.texts[i] = text_of(texts[i]);
    vb_trace_encode_header(&t->writer.pending, &h);
    free(absolute);
    const uint8_t *link = vb_trace_bytes_link(&t->writer.pending);
    if (link != NULL) memcpy(t->seal, link - VB_TRACE_LINK, sizeof t->seal);
    t->context = stats.context;
    return VB_OK;
}

/* --- rules ----------------------------------------------------------------------------------------------- */

/* The biases are encoded into `room`. */
static vb_trace_rules rules_of(const vb_grammar *grammar, const vb_bias *biases, int n, vb_trace_bytes *room)
{
    const char *kind;
    vb_trace_rules r = {.n_biases = n};
    vb_trace_put_biases(room, biases, n);
    r.biases = (vb_trace_text){room->data, room->len};
    if (grammar == NULL) return r;
    r.text.data = (const uint8_t *)vb_grammar_source(grammar, &kind, &r.text.len);
    r.kind = strcmp(kind, "gbnf") == 0 ? VB_TRACE_GBNF : VB_TRACE_SCHEMA;
    return r;
}

static void digest_of(const vb_trace_rules *r, uint8_t out[32])
{
    vb_xxh128_seeded(r->text.data, r->text.len, (uint64_t)r->kind, out);
    vb_xxh128_of(r->biases.data, r->biases.len, out + 16);
}

VB_API int vb_trace_holds(const vb_trace *t, const vb_grammar *grammar, const vb_bias *biases, int n)
{
    uint8_t held[sizeof t->held];
    vb_trace_bytes room = {0};
    vb_trace_rules r = rules_of(grammar, biases, n, &room);
    digest_of(&r, held);
    vb_trace_bytes_free(&room);
    return memcmp(held, t->held, sizeof held) == 0;
}

static int has_rules(const vb_trace_opts *opts)
{
    return opts->grammar != NULL || opts->n_biases > 0;
}

static vb_status put_rules(vb_trace *t, const vb_session *session, const vb_trace_opts *opts, vb_err *err)
{
    int n;
    vb_trace_bytes room = {0};
    vb_trace_rules r = rules_of(opts->grammar, opts->biases, opts->n_biases, &room);
    digest_of(&r, t->held);
    vb_session_tokens(session, &n);
    r.from = opts->held_from > 0 ? opts->held_from : n;
    int fits = r.text.len <= VB_TRACE_PAYLOAD_MOST / 2, failed = room.failed;
    if (has_rules(opts) && fits && r.from > 0) vb_trace_encode_rules(&t->writer.pending, &r);
    vb_trace_bytes_free(&room);
    if (failed) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", t->writer.path);
    if (!fits)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: grammar: expected at most %d bytes, found %zu", t->writer.path,
                VB_TRACE_PAYLOAD_MOST / 2, r.text.len);
    if (has_rules(opts) && r.from < 1)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: expected a session with tokens, found an empty one", t->writer.path);
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

/* The values of the last recorded token, before another record. */
static vb_status put_values(vb_trace *t, int chosen, vb_err *err)
{
    if (t->tapped == NULL || t->next == 0) return VB_OK;
    return vb_kept_put(&t->kept, &t->writer.pending, chosen, t->writer.path, err);
}

/* Tokens first .. n of the session that have no record yet were given to it. */
static vb_status put_given(vb_trace *t, const vb_token *ids, int n, vb_err *err)
{
    if (n < t->next || (t->next > 0 && ids[t->next - 1] != t->last))
        VB_FAIL(err, VB_E_ARGUMENT, "%s: expected a session that still holds its %d recorded tokens, found it changed",
                t->writer.path, t->next);
    while (t->next < n) {
        VB_TRY(put_values(t, 0, err));
        next_token(t, ids[t->next], 0);
        vb_trace_encode_token(&t->writer.pending, &t->token);
        if (t->writer.pending.len > PIECE) VB_TRY(vb_trace_writer_write(&t->writer, err));
    }
    return VB_OK;
}

/* Puts the ids, which the session held, again into it, and records them with their values. */
static vb_status put_tapped(vb_trace *t, const vb_token *ids, int n, vb_err *err)
{
    VB_TRY(vb_session_rewind(t->tapped, 0, err));
    for (int done = 0; done < n;) {
        int piece = n - done < TAPPED_AT_ONCE ? n - done : TAPPED_AT_ONCE;
        vb_work work = {.session = t->tapped, .ids = ids + done, .n = piece};
        VB_TRY(vb_eval(&work, 1, err));
        done += piece;
        VB_TRY(put_given(t, ids, done, err));
    }
    return VB_OK;
}

static vb_status put_prompt(vb_trace *t, vb_session *session, const vb_trace_opts *opts, vb_err *err)
{
    int n;
    const vb_token *ids = vb_session_tokens(session, &n);
    if (opts->taps == VB_TAPS_NONE) return put_given(t, ids, n, err);
    vb_token *copy = malloc((size_t)n * sizeof *copy + 1);
    if (copy == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory for %d tokens", t->writer.path, n);
    memcpy(copy, ids, (size_t)n * sizeof *copy);
    t->kept.taps = opts->taps;
    vb_status s = vb_session_tap(session, vb_kept_take, &t->kept, err);
    if (s == VB_OK) t->tapped = session;
    if (s == VB_OK) s = put_tapped(t, copy, n, err);
    free(copy);
    return s;
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
    int n;
    const vb_token *ids = vb_session_tokens(session, &n);
    VB_TRY(put_given(t, ids, n, err));
    VB_TRY(put_values(t, 1, err));
    next_token(t, id, 1);
    vb_trace_token_logits(&t->token, logits, t->vocab, t->top);
    const uint8_t *link = vb_trace_bytes_link(&t->writer.pending);
    if (link != NULL) vb_trace_token_proof(&t->token, logits, t->vocab, link);
    vb_trace_encode_token(&t->writer.pending, &t->token);
    return vb_trace_writer_write(&t->writer, err);
}

/* --- the file -------------------------------------------------------------------------------------------- */

static vb_status check(const vb_trace_opts *opts, const char *path, vb_err *err)
{
    static const uint8_t none[sizeof opts->parent];
    int is_branch = memcmp(opts->parent, none, sizeof none) != 0;
    if (opts->top < 0 || opts->top > VB_TRACE_TOP_MOST)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: top: expected 0 to %d, found %d", path, VB_TRACE_TOP_MOST, opts->top);
    if (opts->taps < VB_TAPS_NONE || opts->taps > VB_TAPS_ALL)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: taps: expected %d to %d, found %d", path, VB_TAPS_NONE, VB_TAPS_ALL, opts->taps);
    if (opts->n_biases < 0 || opts->n_biases > VB_TRACE_BIASES_MOST)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: biases: expected 0 to %d, found %d", path, VB_TRACE_BIASES_MOST, opts->n_biases);
    if (opts->held_from < 0 || (opts->held_from > 0 && opts->grammar == NULL))
        VB_FAIL(err, VB_E_ARGUMENT, "%s: held_from: expected 0, or more with a grammar, found %d", path, opts->held_from);
    if (is_branch ? opts->parent_at < 1 : opts->parent_at != 0)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: parent_at: expected %s, found %d", path,
                is_branch ? "1 or more, as there is a parent" : "0, as there is no parent", opts->parent_at);
    return vb_sampling_check(&opts->sampling, err);
}

/* A recording of what the definition does not say could not be told from a wrong one. */
static vb_status is_defined(const vb_model *model, const char *path, vb_err *err)
{
    vb_model_info info;
    vb_model_describe(model, &info);
    if (info.like_ggml == 0) return VB_OK;
    VB_FAIL(err, VB_E_UNSUPPORTED, "%s: a trace of a run like ggml's: expected the arithmetic as it is defined", path);
}

static vb_status start(vb_trace *t, const char *path, vb_session *session, const vb_trace_opts *opts, vb_err *err)
{
    VB_TRY(check(opts, path, err));
    t->text = malloc(VB_TRACE_TOKEN_TEXT_MOST);
    if (t->text == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", path);
    t->top = opts->top == 0 ? DEFAULT_TOP : opts->top;
    t->model = vb_session_model(session);
    VB_TRY(is_defined(t->model, path, err));
    if (opts->sign != NULL) VB_TRY(vb_trace_key_open(&t->key, opts->sign, err));
    t->hasty = opts->hasty;
    VB_TRY(vb_trace_writer_open(&t->writer, path, err));
    if (has_rules(opts)) vb_trace_head_rules(&t->writer.pending);
    vb_status s = put_header(t, session, opts, err);
    if (s == VB_OK) s = put_rules(t, session, opts, err);
    if (s == VB_OK) s = put_prompt(t, session, opts, err);
    if (s == VB_OK && t->writer.pending.len > VB_TRACE_LINK) s = vb_trace_writer_write(&t->writer, err);
    if (s < 0) vb_trace_writer_discard(&t->writer);
    return s;
}

/* All but the file. */
static void forget(vb_trace *t)
{
    if (t->tapped != NULL) vb_session_untap(t->tapped, vb_kept_take, &t->kept);
    vb_kept_free(&t->kept);
    vb_trace_key_close(t->key);
    free(t->text);
    free(t);
}

VB_API vb_status vb_trace_open(vb_trace **out, const char *path, vb_session *session, const vb_trace_opts *opts,
                               vb_err *err)
{
    static const vb_trace_opts defaults;
    vb_trace *t = calloc(1, sizeof *t);
    *out = NULL;
    if (t == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", path);
    vb_status s = start(t, path, session, opts == NULL ? &defaults : opts, err);
    if (s < 0) forget(t);
    else *out = t;
    return s;
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

static vb_status put_end(vb_trace *t, vb_err *err)
{
    vb_trace_ending end = {reason(t), (uint32_t)t->next};
    vb_trace_seal seal;
    vb_trace_encode_end(&t->writer.pending, &end);
    const uint8_t *link = vb_trace_bytes_link(&t->writer.pending);
    if (t->key != NULL && link != NULL) {
        VB_TRY(vb_trace_key_seal(t->key, link, t->seal, &seal, err));
        vb_trace_encode_seal(&t->writer.pending, &seal);
    }
    return vb_trace_writer_write(&t->writer, err);
}

VB_API vb_status vb_trace_close(vb_trace *t, vb_err *err)
{
    if (t == NULL) return VB_OK;
    vb_status s = put_end(t, err);
    vb_status closed = vb_trace_writer_close(&t->writer, !t->hasty, s < 0 ? NULL : err);
    forget(t);
    return s < 0 ? s : closed;
}
