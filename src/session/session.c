/* session.c - one row of tokens and its state: sync, rewind, fork, evaluate.
 *
 *   tokens  [ 0 ........ done ) [ done .. n )
 *             evaluated           known, evaluated before anything new
 *
 * A model with memories (plan.h) cannot go on from everywhere: before an evaluation `done` goes back to where its state
 * can start, and the tokens in between are evaluated again.
 *
 * Invariant: logits, when there are any, belong to token done-1 and done = n. Rounds of at most `batch` tokens cut a
 * long evaluation; by the arithmetic's rules no cut can be seen in the bits.
 */
#include "session/prefix.h"
#include "session/speculate.h"

#include "base/fp.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_BATCH = 512, DEFAULT_CONTEXT = 8192, WORTH_KEEPING = 2, MOST_CONTEXT = 1 << 26, MOST_WORKS = 4096 };

vb_status vb_session_settle(const vb_model *m, vb_session_opts *o, vb_err *err)
{
    if (m->arch == NULL)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: a model opened for its vocabulary alone cannot run", vb_gguf_path(m->gguf));
    if (o->context == 0) o->context = m->params.context < DEFAULT_CONTEXT ? m->params.context : DEFAULT_CONTEXT;
    if (o->batch == 0) o->batch = m->plan.whole ? o->context : DEFAULT_BATCH;
    if (o->kv == VB_KV_DEFAULT) o->kv = m->arith == VB_ARITH_F32 ? VB_KV_F32 : VB_KV_F16;
    if (o->context < 1 || o->context > MOST_CONTEXT)
        VB_FAIL(err, VB_E_ARGUMENT, "context: expected 1 to %d tokens, found %d", MOST_CONTEXT, o->context);
    if (m->plan.positions > 0 && o->context > m->plan.positions)
        VB_FAIL(err, VB_E_ARGUMENT, "context: expected at most %d tokens, as this model has a table of positions, found %d",
                m->plan.positions, o->context);
    if (o->batch < 1 || o->batch > MOST_CONTEXT)
        VB_FAIL(err, VB_E_ARGUMENT, "batch: expected 1 to %d tokens, found %d", MOST_CONTEXT, o->batch);
    if (o->cache != NULL && m->plan.whole)
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s: a prefix cache: expected a model that reads from left to right, found an encoder",
                vb_gguf_path(m->gguf));
    if (o->kv != VB_KV_F16 && o->kv != VB_KV_F32 && o->kv != VB_KV_Q8_0)
        VB_FAIL(err, VB_E_ARGUMENT, "KV type: expected f16, f32 or q8_0, found %d", (int)o->kv);
    if (o->batch > o->context) o->batch = o->context;
    return vb_kv_check(&m->plan, o->kv, err);
}

static uint64_t state_bytes(const vb_model *m, int context, vb_kv kv)
{
    return vb_kv_bytes(&m->plan, context, kv) + VB_MEMORIES_KEPT * vb_memory_bytes(&m->plan);
}

VB_API uint64_t vb_session_bytes(const vb_model *m, const vb_session_opts *opts)
{
    vb_session_opts o = {0};
    if (opts != NULL) o = *opts;
    if (vb_session_settle(m, &o, NULL) < 0) return 0;
    return state_bytes(m, o.context, o.kv) + m->player->scratch_bytes(m->playing, o.batch, 1) +
           (uint64_t)m->plan.out_width * sizeof(float) + (uint64_t)o.context * sizeof(vb_token);
}

static vb_status make(vb_session **out, vb_model *m, const vb_session_opts *o, vb_err *err)
{
    vb_session *s = calloc(1, sizeof *s);
    *out = s;
    if (s == NULL) VB_FAIL(err, VB_E_MEMORY, "session: out of memory");
    s->model = m;
    s->context = o->context;
    s->batch = o->batch;
    s->kv = o->kv;
    s->tokens = malloc((size_t)o->context * sizeof *s->tokens);
    s->logits = aligned_alloc(64, ((size_t)m->plan.out_width * sizeof *s->logits + 63) / 64 * 64); /* whole lines of a cache */
    if (s->tokens == NULL || s->logits == NULL)
        VB_FAIL(err, VB_E_MEMORY, "session: out of memory for %d tokens and %d logits", o->context, m->plan.out_width);
    if (o->cache != NULL) VB_TRY(vb_prefix_open(&s->prefix, o->cache, m, o->kv, o->context, err));
    return m->player->state_open(&s->state, m->playing, o->context, o->kv, err);
}

VB_API uint64_t vb_eval_bytes(const vb_model *m, int tokens, int wanted)
{
    return m->player == NULL ? 0 : m->player->scratch_bytes(m->playing, tokens, wanted);
}

VB_API vb_status vb_session_open(vb_session **out, vb_model *m, const vb_session_opts *opts, vb_err *err)
{
    vb_session_opts o = {0};
    *out = NULL;
    if (opts != NULL) o = *opts;
    VB_TRY(vb_session_settle(m, &o, err));
    vb_status s = make(out, m, &o, err);
    if (s < 0) {
        vb_session_close(*out);
        *out = NULL;
    }
    return s;
}

VB_API vb_status vb_session_fork(vb_session **out, const vb_session *from, vb_err *err)
{
    vb_model *m = from->model;
    vb_session_opts o = {.context = from->context, .kv = from->kv, .batch = from->batch};
    VB_TRY(vb_session_open(out, m, &o, err));
    vb_status s = vb_prefix_copy(&(*out)->prefix, from->prefix, err);
    if (s == VB_OK) s = m->player->state_copy((*out)->state, from->state, from->done, err);
    if (s < 0) {
        vb_session_close(*out);
        *out = NULL;
        return s;
    }
    memcpy((*out)->tokens, from->tokens, (size_t)from->n * sizeof *from->tokens);
    memcpy((*out)->logits, from->logits, (size_t)m->plan.out_width * sizeof *from->logits);
    (*out)->n = from->n;
    (*out)->done = from->done;
    (*out)->has_logits = from->has_logits;
    return VB_OK;
}

/* What an encoder computed for a token depends on those behind it. */
static vb_status may_be_cut(const vb_session *s, vb_err *err)
{
    if (!s->model->plan.whole) return VB_OK;
    VB_FAIL(err, VB_E_ARGUMENT, "%s: an encoder reads each text as a whole: expected to begin from 0 tokens, found %d",
            vb_gguf_path(s->model->gguf), s->n);
}

VB_API vb_status vb_session_adopt(vb_session *s, const vb_session *from, int n, vb_err *err)
{
    const vb_model *m = s->model;
    if (from->model != m || from == s) VB_FAIL(err, VB_E_ARGUMENT, "adopt: expected another session of the same model");
    if (n < 0 || n > from->n || n > s->context)
        VB_FAIL(err, VB_E_ARGUMENT, "adopt: expected 0 to %d tokens, found %d", from->n < s->context ? from->n : s->context, n);
    if (n > 0 && n < from->n) VB_TRY(may_be_cut(from, err));
    int done = from->done < n ? from->done : n, whole = n == from->n && done == from->done;
    VB_TRY(m->player->state_copy(s->state, from->state, done, err));
    memcpy(s->tokens, from->tokens, (size_t)n * sizeof *s->tokens);
    s->n = n;
    s->done = done;
    s->has_logits = whole && from->has_logits;
    if (s->has_logits) memcpy(s->logits, from->logits, (size_t)m->plan.out_width * sizeof *s->logits);
    return VB_OK;
}

VB_API void vb_session_close(vb_session *s)
{
    if (s == NULL) return;
    if (s->state != NULL) s->model->player->state_close(s->state);
    vb_prefix_close(s->prefix);
    vb_speculation_close(s->speculation);
    free(s->tokens);
    free(s->logits);
    free(s);
}

VB_API vb_model *vb_session_model(const vb_session *s)
{
    return s->model;
}

VB_API vb_status vb_session_rewind(vb_session *s, int n, vb_err *err)
{
    if (n < 0 || n > s->n) VB_FAIL(err, VB_E_ARGUMENT, "rewind: expected 0 to %d tokens, found %d", s->n, n);
    if (n == s->n) return VB_OK;
    if (n > 0) VB_TRY(may_be_cut(s, err));
    s->n = n;
    if (s->done > n) s->done = n;
    s->has_logits = 0;
    return VB_OK;
}

VB_API const vb_token *vb_session_tokens(const vb_session *s, int *n)
{
    if (n != NULL) *n = s->n;
    return s->tokens;
}

VB_API const float *vb_session_logits(const vb_session *s, int *n)
{
    if (n != NULL) *n = s->model->plan.vocab;
    return s->has_logits && s->done == s->n && !s->model->plan.embeds ? s->logits : NULL;
}

VB_API void vb_session_stats(const vb_session *s, vb_stats *out)
{
    *out = s->stats;
    out->context = s->context;
    out->kv = s->kv;
    out->kv_bytes = state_bytes(s->model, s->context, s->kv);
    out->scratch_bytes = s->model->player->scratch_bytes(s->model->playing, s->batch, 1);
    if (s->model->player->state_rows == NULL) return;
    uint64_t rows[2];
    s->model->player->state_rows(s->state, rows);
    out->cpu_rows = rows[0];
    out->device_rows = rows[1];
}

/* --- taps ------------------------------------------------------------------------------------------------- */

/* Who watches may change what is computed, so nothing of it may reach a cache that others read; and what comes from
 * there could not be watched. */
VB_API vb_status vb_session_tap(vb_session *s, vb_tap_fn fn, void *ud, vb_err *err)
{
    if (s->taps.n == VB_WATCHERS)
        VB_FAIL(err, VB_E_FULL, "tap: expected at most %d for one session, found %d", VB_WATCHERS, s->taps.n + 1);
    s->taps.of[s->taps.n].fn = fn;
    s->taps.of[s->taps.n++].ud = ud;
    vb_prefix_close(s->prefix);
    s->prefix = NULL;
    return VB_OK;
}

VB_API void vb_session_untap(vb_session *s, vb_tap_fn fn, void *ud)
{
    vb_taps *t = &s->taps;
    int at = 0;
    while (at < t->n && !(t->of[at].fn == fn && t->of[at].ud == ud)) at++;
    if (at == t->n) return;
    t->n--;
    memmove(&t->of[at], &t->of[at + 1], (size_t)(t->n - at) * sizeof t->of[0]);
}

VB_API void vb_session_between(vb_session *s, int (*fn)(void *ud), void *ud)
{
    s->taps.between = fn;
    s->taps.between_ud = ud;
}

/* --- evaluation ------------------------------------------------------------------------------------------ */

static vb_status check_ids(const vb_session *s, const vb_token *ids, int n, vb_err *err)
{
    for (int i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= s->model->plan.vocab)
            VB_FAIL(err, VB_E_ARGUMENT, "token %d: expected an id from 0 to %d, found %d", i, s->model->plan.vocab - 1,
                    ids[i]);
    return VB_OK;
}

static vb_status check_work(const vb_work *work, int n, vb_err *err)
{
    if (n < 1 || n > MOST_WORKS) VB_FAIL(err, VB_E_ARGUMENT, "eval: expected 1 to %d sessions, found %d", MOST_WORKS, n);
    for (int i = 0; i < n; i++) {
        const vb_work *w = &work[i];
        if (w->session->model != work[0].session->model)
            VB_FAIL(err, VB_E_ARGUMENT, "eval: expected sessions of one model, found another's at %d", i);
        if (w->n < 0 || w->want < 0 || w->want > w->n || (w->want > 0 && w->logits == NULL))
            VB_FAIL(err, VB_E_ARGUMENT, "eval: expected 0 <= want <= n and room for it, found n %d, want %d", w->n,
                    w->want);
        if (w->n > w->session->context - w->session->n)
            VB_FAIL(err, VB_E_FULL, "context: expected room for %d tokens, found %d of %d taken", w->n, w->session->n,
                    w->session->context);
        if (w->n > 0 && w->session->n > 0) VB_TRY(may_be_cut(w->session, err));
        for (int k = 0; k < i; k++)
            if (work[k].session == w->session)
                VB_FAIL(err, VB_E_ARGUMENT, "eval: expected each session once, found one at %d and %d", k, i);
        VB_TRY(check_ids(w->session, w->ids, w->n, err));
    }
    return VB_OK;
}

/* The next at most `batch` tokens of a session. Rows that the caller wants come last, so the first wanted row of
 * this cut is known by counting from the end. */
static void cut(const vb_work *w, vb_part *part)
{
    vb_session *s = w->session;
    int left = s->n - s->done;
    part->state = s->state;
    part->start = s->done;
    part->ids = s->tokens + s->done;
    part->n = left < s->batch || s->model->plan.whole ? left : s->batch;
    int end = s->done + part->n, first = s->n - w->want;
    part->want = end <= first ? 0 : end - (s->done > first ? s->done : first);
    part->logits = NULL;
    part->taps = &s->taps;
    if (part->want > 0) part->logits = w->logits + (size_t)(end - part->want - first) * (size_t)s->model->plan.out_width;
    if (part->want == 0 && end == s->n) {
        part->want = 1;
        part->logits = s->logits;
    }
}

static void finish(const vb_work *w, const vb_part *part, uint64_t ns)
{
    vb_session *s = w->session;
    size_t width = (size_t)s->model->plan.out_width;
    s->done += part->n;
    s->stats.evaluated += (uint64_t)part->n;
    if (part->n > 1) {
        s->stats.prefill_tokens += (uint64_t)part->n;
        s->stats.prefill_ns += ns;
    } else {
        s->stats.decode_tokens++;
        s->stats.decode_ns += ns;
    }
    s->has_logits = s->done == s->n && part->want > 0;
    if (s->has_logits && part->logits != s->logits)
        memcpy(s->logits, part->logits + (size_t)(part->want - 1) * width, width * sizeof(float));
}

/* One round over all sessions that still have tokens to evaluate; *left tells whether there was any. */
static vb_status round_of(const vb_work *work, int n, vb_part *parts, int *left, vb_err *err)
{
    vb_model *m = work[0].session->model;
    int k = 0;
    for (int i = 0; i < n; i++)
        if (work[i].session->done < work[i].session->n) cut(&work[i], &parts[k++]);
    *left = k > 0;
    if (k == 0) return VB_OK;
    uint64_t start = vb_clock_ns();
    vb_status s = m->player->eval(m->playing, parts, k, err);
    VB_TRY(vb_gguf_check(m->gguf, err));
    VB_TRY(s);
    uint64_t ns = vb_clock_ns() - start;
    k = 0;
    for (int i = 0; i < n; i++)
        if (work[i].session->done < work[i].session->n) finish(&work[i], &parts[k++], ns);
    return VB_OK;
}

static vb_status room_for(vb_model *m, int sessions, vb_err *err)
{
    if (sessions <= m->parts_room) return VB_OK;
    vb_part *parts = realloc(m->parts, (size_t)sessions * sizeof *parts);
    if (parts == NULL) VB_FAIL(err, VB_E_MEMORY, "eval: out of memory for %d sessions", sessions);
    m->parts = parts;
    m->parts_room = sessions;
    return VB_OK;
}

static vb_status run_rounds(const vb_work *work, int n, vb_err *err)
{
    vb_model *m = work[0].session->model;
    int left = 1;
    pthread_mutex_lock(&m->lock);
    uint64_t fp = vb_fp_enter();
    vb_status s = room_for(m, n, err);
    while (s == VB_OK && left) s = round_of(work, n, m->parts, &left, err);
    vb_fp_leave(fp);
    pthread_mutex_unlock(&m->lock);
    return s;
}

static void begin(vb_session *s, int more)
{
    s->sound = s->done;
    if (more || s->done < s->n) s->done = s->model->player->state_start(s->state, s->done);
}

VB_API vb_status vb_eval(const vb_work *work, int n, vb_err *err)
{
    VB_TRY(check_work(work, n, err));
    for (int i = 0; i < n; i++) {
        vb_session *s = work[i].session;
        begin(s, work[i].n > 0);
        if (work[i].n > 0) memcpy(s->tokens + s->n, work[i].ids, (size_t)work[i].n * sizeof *s->tokens);
        s->n += work[i].n;
        if (work[i].n > 0) s->has_logits = 0;
    }
    vb_status status = run_rounds(work, n, err);
    for (int i = 0; status < 0 && i < n; i++) {
        vb_session *s = work[i].session;
        int before = s->n - work[i].n;
        if (s->done < s->sound) s->done = s->sound; /* what was repeated is as it was */
        s->n = status == VB_E_STOPPED && before > s->done ? before : s->done;
    }
    return status;
}

static vb_status check_sync(const vb_session *s, const vb_token *ids, int n, vb_err *err)
{
    if (n < 1 || n > s->context)
        VB_FAIL(err, n < 1 ? VB_E_ARGUMENT : VB_E_FULL, "sync: expected 1 to %d tokens, found %d", s->context, n);
    return check_ids(s, ids, n, err);
}

VB_API vb_status vb_session_recall(vb_session *s, const vb_token *ids, int n, int *held, vb_err *err)
{
    int same = 0;
    VB_TRY(check_sync(s, ids, n, err));
    while (same < n && same < s->done && s->tokens[same] == ids[same]) same++;
    if (s->model->plan.whole && !(same == n && n == s->n)) same = 0;
    *held = s->model->player->state_start(s->state, same);
    if (s->prefix != NULL) *held = vb_prefix_load(s->prefix, s->state, *held, ids, n);
    if (*held <= same && same == s->n) {
        *held = same;
        return VB_OK;
    }
    memcpy(s->tokens, ids, (size_t)*held * sizeof *ids);
    s->n = s->done = *held;
    s->has_logits = 0;
    return VB_OK;
}

VB_API vb_status vb_session_sync(vb_session *s, const vb_token *ids, int n, vb_err *err)
{
    int held;
    VB_TRY(vb_session_recall(s, ids, n, &held, err));
    s->stats.reused += (uint64_t)held;
    if (held == n && s->has_logits) return VB_OK;
    if (held == n && s->model->plan.whole) {
        held = 0;
        s->stats.reused -= (uint64_t)n;
        VB_TRY(vb_session_rewind(s, 0, err));
    } else if (held == n) {
        VB_TRY(vb_session_rewind(s, n - 1, err)); /* the last token is evaluated again for its logits */
        s->stats.reused--;
    }
    while (s->n < n) {
        int to = s->prefix != NULL ? vb_prefix_edge(s->prefix, s->n, n) : n;
        vb_work work = {.session = s, .ids = ids + s->n, .n = to - s->n};
        VB_TRY(vb_eval(&work, 1, err));
        if (s->prefix != NULL)
            vb_prefix_keep(s->prefix, s->state, s->tokens, to, to == n && n - held >= WORTH_KEEPING);
    }
    return VB_OK;
}
