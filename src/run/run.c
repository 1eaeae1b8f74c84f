/* run.c - the player "cpu": for each stage of the plan, all tokens of the batch; then the next stage.
 *
 * Scratch grows to the largest batch seen and is never given back before close, so evaluation allocates nothing once
 * it is warm. Everything that a batch needs lies in one block. So an evaluation that somebody stopped between two stages
 * can go on from there: if the next batch is the same one, what it has computed is still in that block.
 */
#include "run/run.h"

#include "base/fp.h"
#include "base/os.h"
#include "run/cpu.h"
#include "simd/cpu.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP_TOKENS = 16 }; /* most tokens for which stages are worth it */

/* --- scratch ----------------------------------------------------------------------------------------------- */

size_t vb_cpu_take(size_t *at, size_t n, size_t size)
{
    size_t here = *at;
    *at = (here + n * size + 63) / 64 * 64;
    return here;
}

static vb_scratch_layout lay_out(const vb_cpu *p, size_t tokens, size_t wanted)
{
    vb_scratch_layout at = {0};
    size_t end = 0;
    at.rows = vb_cpu_take(&end, tokens, sizeof(vb_row));
    at.wanted = vb_cpu_take(&end, wanted, sizeof(int));
    at.logits = vb_cpu_take(&end, wanted, sizeof(float *));
    at.values = vb_cpu_take(&end, tokens, (size_t)p->room.all * sizeof(float));
    at.wanted_values = vb_cpu_take(&end, wanted, (size_t)p->room.wanted * sizeof(float));
    for (int k = 0; k <= VB_ACT_Q256; k++) {
        at.acts[k] = vb_cpu_take(&end, tokens * (size_t)p->act_rows[k], sizeof(vb_act));
        if (k != VB_ACT_F32) at.quantized[k] = vb_cpu_take(&end, tokens, p->act_bytes[k]);
        at.strips[k] = vb_cpu_take(&end, vb_cpu_strips(p, (vb_act_kind)k, tokens), p->strip_bytes[k]);
    }
    at.ropes = vb_cpu_take(&end, tokens, (size_t)p->rope_floats * sizeof(float));
    at.workers = vb_cpu_take(&end, (size_t)vb_pool_threads(p->pool), (size_t)p->worker_floats * sizeof(float));
    at.parts = vb_cpu_take(&end, (size_t)p->part_floats, sizeof(float));
    at.experts = vb_cpu_take(&end, vb_cpu_expert_bytes(p, tokens), 1);
    at.outputs = vb_cpu_take(&end, VB_STAGE_STEPS * tokens, sizeof(float *));
    if (p->opts.device.ops != NULL) {
        at.device_rows = vb_cpu_take(&end, tokens, sizeof(vb_device_row));
        at.chosen = vb_cpu_take(&end, (size_t)p->plan->n_steps, 1);
    }
    at.total = end;
    return at;
}

static vb_status make_room(vb_cpu *p, int tokens, int wanted, vb_err *err)
{
    vb_scratch_layout at = lay_out(p, (size_t)tokens, (size_t)wanted);
    if (at.total > p->scratch_bytes) {
        vb_pages_release(p->scratch, p->scratch_bytes);
        p->scratch_bytes = 0;
        p->scratch = vb_pages_reserve(at.total);
        if (p->scratch == NULL) VB_FAIL(err, VB_E_MEMORY, "evaluation: out of memory for %d tokens", tokens);
        vb_pages_large(p->scratch, at.total);
        p->scratch_bytes = at.total;
    }
    p->tokens = tokens;
    p->n_wanted = wanted;
    p->at = at;
    p->rows = (vb_row *)(void *)(p->scratch + at.rows);
    p->wanted = (int *)(void *)(p->scratch + at.wanted);
    p->logits = (float **)(void *)(p->scratch + at.logits);
    for (int i = 0; i < VB_STAGE_STEPS; i++)
        p->outputs[i] = (float **)(void *)(p->scratch + at.outputs) + (size_t)i * (size_t)tokens;
    for (int k = 0; k <= VB_ACT_Q256; k++) p->acts[k] = (vb_act *)(void *)(p->scratch + at.acts[k]);
    return VB_OK;
}

/* --- rows and values --------------------------------------------------------------------------------------- */

int vb_cpu_rows(const vb_cpu *p, vb_val v)
{
    return p->plan->values[v].wanted ? p->n_wanted : p->tokens;
}

int vb_cpu_row_of(const vb_cpu *p, vb_val v, int r)
{
    return p->plan->values[v].wanted ? p->wanted[r] : r;
}

float *vb_cpu_value(const vb_cpu *p, vb_val v, int r)
{
    if (v == p->plan->output) return p->logits[r];
    size_t stride = ((size_t)p->plan->values[v].width + 15) / 16 * 16;
    int wanted = p->plan->values[v].wanted;
    float *values = (float *)(void *)(p->scratch + (wanted ? p->at.wanted_values : p->at.values));
    return values + (size_t)p->offset[v] * (size_t)(wanted ? p->n_wanted : p->tokens) + stride * (size_t)r;
}

static void fill_rows(vb_cpu *p, const vb_part *parts, int n)
{
    int row = 0, wanted = 0;
    p->watched = p->pausable = 0;
    for (int i = 0; i < n; i++) {
        p->pausable |= parts[i].taps != NULL && parts[i].taps->between != NULL;
        for (int k = 0; k < parts[i].n; k++, row++) {
            const vb_part *part = &parts[i];
            int w = k - (part->n - part->want);
            int position = part->start + k, last = p->plan->whole ? part->start + part->n - 1 : position;
            p->rows[row] = (vb_row){part->state, part->ids[k], position, row - k, last, part->taps};
            p->watched |= part->taps != NULL && part->taps->n > 0;
            if (w < 0) continue;
            p->wanted[wanted] = row;
            p->logits[wanted++] = part->logits + (size_t)w * (size_t)p->plan->out_width;
        }
    }
}

/* --- evaluation -------------------------------------------------------------------------------------------- */

vb_status vb_cpu_show(const vb_cpu *p, const vb_step *s, vb_err *err)
{
    if (!p->watched || p->unseen) return VB_OK;
    for (int r = 0; r < vb_cpu_rows(p, s->out); r++) {
        const vb_row *row = &p->rows[vb_cpu_row_of(p, s->out, r)];
        VB_TRY(vb_taps_show(row->taps, p->plan, s, row->position, vb_cpu_value(p, s->out, r), err));
    }
    return VB_OK;
}

static vb_status check(vb_cpu *p, const vb_step *s, int i, int *failed, vb_err *err)
{
    int bad = atomic_load_explicit(&p->bad[i], memory_order_relaxed);
    if (bad == INT_MAX) return VB_OK;
    *failed = vb_cpu_row_of(p, s->out, bad);
    VB_FAIL(err, VB_E_FORMAT, "step %s (layer %d) at position %d: not a finite number", vb_op_name(s->op), s->layer,
            p->rows[*failed].position);
}

vb_status vb_cpu_play_step(vb_cpu *p, const vb_step *s, int *failed, vb_err *err)
{
    if (vb_cpu_rows(p, s->out) == 0) return VB_OK;
    atomic_store_explicit(&p->bad[0], INT_MAX, memory_order_relaxed);
    vb_cpu_step(p, s);
    return check(p, s, 0, failed, err);
}

/* Not for many tokens, where waiting is little beside the work; nor where a tap wants to see each step. */
static int is_round(vb_cpu *p, const vb_stage *stage)
{
    if (stage->steps == 1 || p->watched) return 0;
    return vb_hard_choice(p->hard, p->tokens <= GROUP_TOKENS);
}

static vb_status play_stage(vb_cpu *p, const vb_stage *stage, int *failed, vb_err *err)
{
    const vb_step *s = &p->plan->steps[stage->first];
    if (!is_round(p, stage)) {
        for (int i = 0; i < stage->steps; i++) {
            VB_TRY(vb_cpu_play_step(p, &s[i], failed, err));
            VB_TRY(vb_cpu_show(p, &s[i], err));
        }
        return VB_OK;
    }
    if (vb_cpu_rows(p, s->out) == 0) return VB_OK;
    for (int i = 0; i < stage->steps; i++) atomic_store_explicit(&p->bad[i], INT_MAX, memory_order_relaxed);
    vb_cpu_group(p, stage);
    for (int i = 0; i < stage->steps; i++) VB_TRY(check(p, &s[i], i, failed, err));
    return VB_OK;
}

/* Whether these parts are the batch that was stopped, and all that it has computed is still there. */
static int is_stopped_batch(const vb_cpu *p, const vb_part *parts, int n, int tokens, int wanted)
{
    int row = 0, want = 0;
    if (p->stopped_at == 0 || tokens != p->tokens || wanted != p->n_wanted) return 0;
    for (int i = 0; i < n; i++) {
        if (parts[i].taps != NULL && parts[i].taps->n > 0) return 0;
        if (parts[i].n > 0 && ((const vb_state *)parts[i].state)->stop != p->stops) return 0;
        for (int k = 0; k < parts[i].n; k++, row++) {
            const vb_row *r = &p->rows[row];
            if (r->state != parts[i].state || r->id != parts[i].ids[k] || r->position != parts[i].start + k) return 0;
            if (k >= parts[i].n - parts[i].want && p->wanted[want++] != row) return 0;
        }
    }
    return 1;
}

static vb_status start(vb_cpu *p, const vb_part *parts, int n, vb_err *err)
{
    for (int k = 0; k <= VB_ACT_Q256; k++) p->act_of[k] = p->strips_of[k] = -1;
    vb_cpu_ropes(p);
    p->sections[0] = p->sections[1] = 0;
    for (int i = 0; i < n; i++) {
        if (parts[i].n == 0) continue;
        vb_state_forget(parts[i].state, parts[i].start);
        VB_TRY(vb_state_begin(parts[i].state, parts[i].start, parts[i].start + parts[i].n, err));
    }
    return VB_OK;
}

/* What has been computed stays in scratch and states; they are marked, so that whatever changes one of them is seen. */
static void stop(vb_cpu *p, const vb_part *parts, int n, int stage)
{
    p->stopped_at = p->watched ? 0 : stage;
    p->stops++;
    for (int i = 0; i < n; i++) ((vb_state *)parts[i].state)->stop = p->stops;
}

/* *done: how many stages. */
static vb_status play_some(vb_cpu *p, int i, int *done, int *failed, vb_err *err)
{
    *done = 0;
    if (p->stages[i].away > 0) VB_TRY(vb_cpu_away(p, i, done, failed, err));
    if (*done > 0) return VB_OK;
    *done = 1;
    p->sections[0] += (uint64_t)p->stages[i].begins;
    return play_stage(p, &p->stages[i], failed, err);
}

static void end(const vb_cpu *p, const vb_part *part)
{
    vb_state *state = part->state;
    if (part->n == 0) return;
    for (int i = 0; i < 2; i++) state->rows[i] += p->sections[i] * (uint64_t)part->n;
    vb_state_end(state, part->start + part->n);
}

static vb_status play_stages(vb_cpu *p, const vb_part *parts, int n, int from, int *failed, vb_err *err)
{
    for (int i = from, done; i < p->n_stages; i += done) {
        vb_status s = VB_OK;
        VB_TRY(play_some(p, i, &done, failed, err));
        for (int k = 0; k < n && s == VB_OK && i + done < p->n_stages; k++) s = vb_taps_between(parts[k].taps, err);
        if (s < 0) stop(p, parts, n, i + done);
        if (s < 0) return s;
    }
    for (int i = 0; i < n; i++) end(p, &parts[i]);
    return VB_OK;
}

/* On VB_E_FORMAT *failed is the row that is not finite. */
static vb_status play(vb_cpu *p, const vb_part *parts, int n, int *failed, vb_err *err)
{
    int64_t tokens = 0, wanted = 0;
    for (int i = 0; i < n; i++) {
        tokens += parts[i].n;
        wanted += parts[i].want;
    }
    if (tokens == 0) return VB_OK;
    int most = INT_MAX / 64 / (p->most_used > 1 ? p->most_used : 1);
    if (tokens > most)
        VB_FAIL(err, VB_E_ARGUMENT, "evaluation: expected at most %d tokens, found %lld", most, (long long)tokens);
    int from = is_stopped_batch(p, parts, n, (int)tokens, (int)wanted) ? p->stopped_at : 0;
    p->stopped_at = 0;
    VB_TRY(make_room(p, (int)tokens, (int)wanted, err));
    if (from == 0) vb_hard_poison(p->hard, p->scratch, p->at.total);
    fill_rows(p, parts, n);
    if (from == 0) VB_TRY(start(p, parts, n, err));
    return play_stages(p, parts, n, from, failed, err);
}

static int between(int x, int least, int most)
{
    return x < least ? least : x > most ? most : x;
}

/* The rows from..to of the parts, counted through all of them, into `some`. */
static void cut(vb_part *some, const vb_part *parts, int n, int from, int to, int width)
{
    for (int i = 0; i < n; i++) {
        int first = between(from, 0, parts[i].n), end = between(to, first, parts[i].n);
        int unwanted = parts[i].n - parts[i].want, wanted = between(unwanted, first, end);
        some[i] = parts[i];
        some[i].start += first;
        some[i].ids += first;
        some[i].n = end - first;
        some[i].want = end - wanted;
        if (some[i].want > 0) some[i].logits += (size_t)(wanted - unwanted) * (size_t)width;
        from -= parts[i].n;
        to -= parts[i].n;
    }
}

/* Where rows may be cut at or before `row`: texts of a plan with `whole` stay in one piece. */
static int start_of(const vb_cpu *p, const vb_part *parts, int row)
{
    int start = 0;
    if (!p->plan->whole) return row;
    for (; start + parts->n <= row; parts++) start += parts->n;
    return start;
}

/* At `row` or behind it; there is a row at or before which all parts end. */
static int end_of(const vb_cpu *p, const vb_part *parts, int row)
{
    int end = 0;
    if (!p->plan->whole) return row;
    for (; end < row; parts++) end += parts->n;
    return end;
}

/* A batch fails at its first step that is not finite, tokens one by one fail at the first token. So that the error
 * does not depend on the batch, the rows before the failed one are played again until they pass. */
static vb_status first_failure(vb_cpu *p, const vb_part *parts, int n, int row, vb_err *err)
{
    vb_part *before = malloc((size_t)n * sizeof *before);
    vb_status s = VB_E_FORMAT;
    p->unseen = 1;
    while (before != NULL && s == VB_E_FORMAT && (row = start_of(p, parts, row)) > 0) {
        cut(before, parts, n, 0, row, p->plan->out_width);
        s = play(p, before, n, &row, err);
    }
    p->unseen = 0;
    free(before);
    return VB_E_FORMAT;
}

/* The same rows, a few at a time. */
static vb_status play_hard(vb_cpu *p, const vb_part *parts, int n, int *failed, vb_err *err)
{
    vb_part *some = malloc((size_t)n * sizeof *some);
    vb_status s = VB_OK;
    int tokens = 0, from = 0;
    if (some == NULL) VB_FAIL(err, VB_E_MEMORY, "evaluation: out of memory");
    for (int i = 0; i < n; i++) tokens += parts[i].n;
    while (s == VB_OK && from < tokens) {
        int to = end_of(p, parts, from + 1 + vb_hard_below(p->hard, tokens - from));
        cut(some, parts, n, from, to, p->plan->out_width);
        s = play(p, some, n, failed, err);
        if (s < 0) *failed += from;
        from = to;
    }
    free(some);
    return s;
}

static vb_status eval(void *opaque, const vb_part *parts, int n, vb_err *err)
{
    vb_cpu *p = opaque;
    int failed = 0;
    for (int i = 0; i < n; i++) vb_state_keep(parts[i].state, parts[i].start); /* first_failure begins there again */
    uint64_t old = vb_fp_enter(); /* A1 */
    vb_status s = (p->hard->state != 0 ? play_hard : play)(p, parts, n, &failed, err);
    if (s == VB_E_FORMAT) s = first_failure(p, parts, n, failed, err);
    vb_fp_leave(old);
    return s;
}

/* --- opening ----------------------------------------------------------------------------------------------- */

static vb_status prepare_ropes(vb_cpu *p, vb_err *err)
{
    int n = p->plan->n_ropes;
    p->ropes = vb_arena_array(&p->arena, (size_t)n * 2, sizeof *p->ropes);
    p->rope_at = vb_arena_array(&p->arena, (size_t)n, sizeof *p->rope_at);
    for (int i = 0; p->ropes != NULL && p->rope_at != NULL && i < n; i++) {
        const vb_rope *r = &p->plan->ropes[i];
        for (int k = 0; k < 2; k++) {
            vb_rope in = vb_rope_in(r, k == 0 ? 0 : INT_MAX);
            double *room = vb_arena_array(&p->arena, (size_t)r->n_rot / 2, sizeof *room);
            if (room == NULL) VB_FAIL(err, VB_E_MEMORY, "player cpu: out of memory");
            vb_rope_prepare(&p->ropes[2 * i + k], &in, room);
        }
        p->rope_at[i] = p->rope_floats;
        p->rope_floats += (r->n_rot + 15) / 16 * 16;
    }
    if (p->ropes == NULL || p->rope_at == NULL) VB_FAIL(err, VB_E_MEMORY, "player cpu: out of memory");
    return VB_OK;
}

static void at_least(int *most, int64_t n)
{
    if (n > *most) *most = (int)n;
}

static void measure_attend(vb_cpu *p, const vb_step *s)
{
    int64_t parts = p->opts.threads > 1 ? vb_cpu_part_floats(s) : 0;
    at_least(&p->worker_floats, vb_cpu_attend_floats(s));
    if (parts > p->part_floats) p->part_floats = parts;
}

/* The largest matrix of each kind decides how much room its activations need. */
static void measure_matrix(vb_cpu *p, const vb_step *s, int parts)
{
    vb_act_kind kind = vb_cpu_act_kind(p, s);
    size_t bytes = vb_act_bytes((int)s->weight->cols) * (size_t)parts;
    if (bytes > p->act_bytes[kind]) p->act_bytes[kind] = bytes;
    at_least(&p->act_rows[kind], parts);
    size_t strip = p->k->lay[kind] != NULL ? vb_strip_bytes(kind, (int)s->weight->cols) * (size_t)p->k->strip[kind] : 0;
    size_t *most = s->op == VB_OP_LINEAR ? &p->strip_bytes[kind] : &p->expert_strip_bytes[kind];
    if (strip > *most) *most = strip;
    size_t room = vb_panel_bytes((int)s->weight->cols);
    if (kind == VB_ACT_F32 && vb_format_of(s->weight->format)->block > 1)
        room += vb_cpu_float_bytes((int)s->weight->cols);
    if (room < bytes * VB_STRIP_MOST) room = bytes * VB_STRIP_MOST;
    at_least(&p->worker_floats, (int64_t)(room / sizeof(float)));
}

static void measure(vb_cpu *p)
{
    for (int i = 0; i < p->plan->n_steps; i++) {
        const vb_step *s = &p->plan->steps[i];
        if (s->op == VB_OP_ATTEND || s->op == VB_OP_ATTEND_KEPT) measure_attend(p, s);
        if (s->op == VB_OP_LINEAR) measure_matrix(p, s, 1);
        if (s->op != VB_OP_LINEAR_EXPERTS) continue;
        measure_matrix(p, s, p->plan->values[s->in[0]].parts);
        at_least(&p->most_used, s->u.experts.used);
        at_least(&p->most_experts, s->u.experts.experts);
    }
    p->worker_floats = (p->worker_floats + 15) / 16 * 16;
}

static vb_status prepare(vb_cpu *p, vb_err *err)
{
    const vb_plan *plan = p->plan;
    p->offset = vb_arena_array(&p->arena, (size_t)plan->n_values, sizeof *p->offset);
    p->names = vb_arena_array(&p->arena, (size_t)plan->n_steps, sizeof *p->names);
    p->stages = vb_arena_array(&p->arena, (size_t)plan->n_steps, sizeof *p->stages);
    p->hard = vb_arena_alloc(&p->arena, sizeof *p->hard);
    if (p->offset == NULL || p->names == NULL || p->stages == NULL || p->hard == NULL)
        VB_FAIL(err, VB_E_MEMORY, "player cpu: out of memory");
    p->n_stages = vb_cpu_lower(plan, p->stages);
    p->room = vb_plan_layout(plan, p->offset);
    for (int i = 0; i < plan->n_steps; i++)
        vb_cpu_kernel_name(p, &plan->steps[i], p->names[i], sizeof p->names[i]);
    vb_hard_start(p->hard);
    vb_cpu_away_find(p);
    measure(p);
    VB_TRY(vb_cpu_memories_open(p, err));
    VB_TRY(prepare_ropes(p, err));
    return vb_pool_open(&p->pool, p->opts.threads, err);
}

static void close_player(void *opaque)
{
    vb_cpu *p = opaque;
    if (p == NULL) return;
    if (p->opts.device.ops != NULL) p->opts.device.ops->close(p->opts.device.self);
    vb_pool_close(p->pool);
    vb_pages_release(p->scratch, p->scratch_bytes);
    vb_arena_free(&p->arena);
    free(p);
}

static vb_status open_player(void **out, const vb_plan *plan, const vb_play_opts *opts, vb_err *err)
{
    const vb_kernels *k;
    *out = NULL;
    VB_TRY(vb_kernels_for(&k, opts->isa, err));
    if (!plan->values[plan->output].wanted)
        VB_FAIL(err, VB_E_UNSUPPORTED, "player cpu: expected logits of wanted tokens alone");
    vb_cpu *p = calloc(1, sizeof *p);
    if (p == NULL) VB_FAIL(err, VB_E_MEMORY, "player cpu: out of memory");
    p->plan = plan;
    p->opts = *opts;
    p->k = k;
    p->halves = vb_cpu_halves(k->isa);
    vb_status s = prepare(p, err);
    if (s < 0) {
        p->opts.device.ops = NULL; /* still the caller's */
        close_player(p);
        return s;
    }
    *out = p;
    return VB_OK;
}

static const char *isa(const void *opaque)
{
    return ((const vb_cpu *)opaque)->k->isa;
}

static const char *kernel(const void *opaque, const vb_step *step)
{
    const vb_cpu *p = opaque;
    return p->names[step - p->plan->steps];
}

static vb_status state_open(void **state, void *player, int context, vb_kv kv, vb_err *err)
{
    vb_cpu *p = player;
    vb_state *s;
    vb_status status = vb_state_open(&s, p->plan, context, kv, err);
    *state = s;
    if (status < 0) return status;
    s->device = p->opts.device;
    s->id = atomic_fetch_add_explicit(&p->states, 1, memory_order_relaxed) + 1;
    return VB_OK;
}

static vb_status state_copy(void *to, const void *from, int n, vb_err *err)
{
    return vb_state_copy(to, from, n, err);
}

static void state_get(const void *state, int from, int n, uint8_t *buf)
{
    vb_state_get(state, from, n, buf);
}

static void state_put(void *state, int from, int n, const uint8_t *buf, int held)
{
    vb_state_put(state, from, n, buf, held);
}

static int state_start(const void *state, int n)
{
    return vb_state_start(state, n);
}

static void state_rows(const void *state, uint64_t rows[2])
{
    memcpy(rows, ((const vb_state *)state)->rows, sizeof ((const vb_state *)state)->rows);
}

static void state_close(void *state)
{
    vb_state_close(state);
}

static uint64_t scratch_bytes(const void *player, int tokens, int wanted)
{
    return lay_out(player, (size_t)tokens, (size_t)wanted).total;
}

const vb_player vb_cpu_player = {
    .name = "cpu",
    .open = open_player,
    .close = close_player,
    .isa = isa,
    .kernel = kernel,
    .state_open = state_open,
    .state_copy = state_copy,
    .state_close = state_close,
    .state_start = state_start,
    .state_get = state_get,
    .state_put = state_put,
    .state_rows = state_rows,
    .eval = eval,
    .scratch_bytes = scratch_bytes,
};
