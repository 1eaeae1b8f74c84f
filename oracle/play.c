/* play.c - the reference player: one token, one step at a time, every value in memory of its own.
 *
 *   for each part, for each of its tokens: for each step of the plan: compute, check that all is finite (A3)
 *   for each text of an encoder: for each step of the plan: for each of its tokens
 *
 * A state is one array of rows a slot for keys and one for values, kept in the stored type.
 */
#include "oracle/like_ggml.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const vb_plan *plan;
    vb_play_opts opts;
} player;

typedef struct {
    const player *player;
    vb_oracle_cache *slots; /* [plan->n_slots] */
    vb_oracle_memories memories;
    int context;
    vb_kv kv;
} state;

/* One token on its way through the plan. */
typedef struct {
    const player *player;
    state *state;
    vb_token id;
    int position, wanted;
    int last; /* position that attention sees */
    const vb_taps *taps;
    float **values; /* [plan->n_values], NULL until computed */
} token;

static vb_status open_player(void **out, const vb_plan *plan, const vb_play_opts *opts, vb_err *err)
{
    *out = NULL;
    if (opts->isa != NULL && strcmp(opts->isa, "scalar") != 0)
        VB_FAIL(err, VB_E_UNSUPPORTED, "player oracle: expected instruction set scalar, found %s", opts->isa);
    VB_TRY(vb_like_ggml_check(opts->like_ggml, err));
    player *p = malloc(sizeof *p);
    if (p == NULL) VB_FAIL(err, VB_E_MEMORY, "player oracle: out of memory");
    *p = (player){plan, *opts};
    *out = p;
    return VB_OK;
}

static void close_player(void *p)
{
    free(p);
}

static const char *scalar(const void *p)
{
    (void)p;
    return "scalar";
}

static const char *kernel(const void *p, const vb_step *step)
{
    (void)step;
    return scalar(p);
}

/* --- states ------------------------------------------------------------------------------------------------ */

static size_t key_row(const vb_slot *s, vb_kv kv)
{
    return vb_oracle_kv_size(kv, (int64_t)s->kv_heads * s->dim_k);
}

static size_t value_row(const vb_slot *s, vb_kv kv)
{
    return vb_oracle_kv_size(kv, (int64_t)s->kv_heads * s->dim_v);
}

static void close_state(void *opaque)
{
    state *s = opaque;
    if (s == NULL) return;
    for (int i = 0; s->slots != NULL && i < s->player->plan->n_slots; i++) {
        free(s->slots[i].keys);
        free(s->slots[i].values);
    }
    free(s->slots);
    vb_oracle_memories_close(&s->memories);
    free(s);
}

static int fill_state(state *s)
{
    const vb_plan *plan = s->player->plan;
    size_t rows = (size_t)s->context;
    s->slots = calloc((size_t)plan->n_slots + 1, sizeof *s->slots);
    if (s->slots == NULL || !vb_oracle_memories_open(&s->memories, plan)) return 0;
    for (int i = 0; i < plan->n_slots; i++) {
        s->slots[i].kv = s->kv;
        s->slots[i].keys = calloc(rows, key_row(&plan->slots[i], s->kv));
        s->slots[i].values = calloc(rows, value_row(&plan->slots[i], s->kv));
        if (s->slots[i].keys == NULL || s->slots[i].values == NULL) return 0;
    }
    return 1;
}

static vb_status open_state(void **out, void *opaque, int context, vb_kv kv, vb_err *err)
{
    const player *p = opaque;
    *out = NULL;
    VB_TRY(vb_kv_check(p->plan, kv, err));
    VB_TRY(vb_like_ggml_check_kv(p->opts.like_ggml, kv, err));
    state *s = calloc(1, sizeof *s);
    if (s == NULL) VB_FAIL(err, VB_E_MEMORY, "player oracle: out of memory");
    s->player = p;
    s->context = context;
    s->kv = kv;
    if (!fill_state(s)) {
        close_state(s);
        VB_FAIL(err, VB_E_MEMORY, "player oracle: out of memory for %d positions", context);
    }
    *out = s;
    return VB_OK;
}

static vb_status copy_state(void *opaque, const void *from, int n, vb_err *err)
{
    state *to = opaque;
    const state *s = from;
    const vb_plan *plan = s->player->plan;
    if (n > to->context || to->kv != s->kv)
        VB_FAIL(err, VB_E_ARGUMENT, "player oracle: copy of %d positions: expected a state of the same kind with room, "
                "found %d positions", n, to->context);
    for (int i = 0; i < plan->n_slots; i++) {
        memcpy(to->slots[i].keys, s->slots[i].keys, (size_t)n * key_row(&plan->slots[i], s->kv));
        memcpy(to->slots[i].values, s->slots[i].values, (size_t)n * value_row(&plan->slots[i], s->kv));
    }
    vb_oracle_memories_copy(&to->memories, &s->memories, n);
    return VB_OK;
}

static int start_of(const void *opaque, int n)
{
    return vb_oracle_memories_start(&((const state *)opaque)->memories, n);
}

/* --- steps ------------------------------------------------------------------------------------------------- */

static int row_to_embed(const token *t, const vb_step *s)
{
    return s->u.embed.by == VB_BY_TOKEN ? t->id : s->u.embed.by == VB_BY_POSITION ? t->position : 0;
}

static void do_norm(const token *t, const vb_step *s, float *y)
{
    vb_oracle_norm how = {t->player->plan->values[s->out].width, s->u.norm.group, s->u.norm.eps};
    vb_oracle_norm_rms(y, t->values[s->in[0]], s->weight != NULL ? s->weight->data : NULL, &how);
}

static void do_delta(const token *t, const vb_step *s, float *y)
{
    const float *in[3] = {t->values[s->in[0]], t->values[s->in[1]], t->values[s->in[2]]};
    vb_delta_heads shape = {s->u.delta.key_heads, s->u.delta.value_heads, s->u.delta.dim, s->u.delta.scale};
    vb_oracle_delta(y, in, t->state->memories.at[s->u.delta.memory], &shape);
}

/* Whether this player does as ggml does, where the two differ. */
static int like_ggml(const token *t, int difference)
{
    return (t->player->opts.like_ggml & difference) != 0;
}

static vb_status do_linear(const token *t, const vb_step *s, float *y)
{
    vb_arith arith = t->player->opts.arith;
    vb_oracle_multiply *multiply = vb_like_ggml_multiply(t->player->opts.like_ggml, s->weight, arith);
    return multiply(y, s->weight, s->bias, t->values[s->in[0]], arith);
}

static vb_status do_rope(const token *t, const vb_step *s, float *y)
{
    vb_rope rope = vb_rope_in(&t->player->plan->ropes[s->u.rope.rope], t->state->context);
    vb_oracle_turn how = {t->player->plan->values[s->out].width, s->u.rope.head_dim, rope.n_rot, rope.pairing};
    float *cos = malloc((size_t)rope.n_rot * sizeof *cos);
    if (cos == NULL) return VB_E_MEMORY;
    float *sin = cos + rope.n_rot / 2;
    (like_ggml(t, VB_GGML_ROPE) ? vb_like_ggml_rope_table : vb_oracle_rope_table)(cos, sin, &rope, t->position);
    vb_oracle_rope(y, t->values[s->in[0]], cos, sin, &how);
    free(cos);
    return VB_OK;
}

static vb_status keep(const token *t, const vb_step *s)
{
    const vb_slot *slot = &t->player->plan->slots[s->u.attend.slot];
    const vb_oracle_cache *cache = &t->state->slots[s->u.attend.slot];
    size_t at = (size_t)t->position;
    uint8_t *key = (uint8_t *)cache->keys + at * key_row(slot, cache->kv);
    uint8_t *value = (uint8_t *)cache->values + at * value_row(slot, cache->kv);
    VB_TRY(vb_oracle_kv_write(cache->kv, key, t->values[s->in[1]], (int64_t)slot->kv_heads * slot->dim_k));
    return vb_oracle_kv_write(cache->kv, value, t->values[s->in[2]], (int64_t)slot->kv_heads * slot->dim_v);
}

static vb_status do_attend(const token *t, const vb_step *s, float *y)
{
    const vb_oracle_cache *cache = &t->state->slots[s->u.attend.slot];
    vb_heads shape = {s->u.attend.heads,  s->u.attend.kv_heads, s->u.attend.dim_k,  s->u.attend.dim_v,
                      s->u.attend.window, s->u.attend.scale,    s->u.attend.softcap, s->u.attend.whole};
    const float *sinks = s->weight != NULL ? s->weight->data : NULL;
    return (like_ggml(t, VB_GGML_ATTENTION) ? vb_like_ggml_attend : vb_oracle_attend)(y, t->values[s->in[0]], cache,
                                                                                       &shape, sinks, t->last);
}

static vb_status do_route(const token *t, const vb_step *s, float *y)
{
    vb_oracle_routing how = {s->u.route.experts, s->u.route.used, s->u.route.how,
                             s->weight != NULL ? s->weight->data : NULL};
    return vb_oracle_route(y, t->values[s->in[0]], &how);
}

static vb_status do_experts(const token *t, const vb_step *s, float *y)
{
    const vb_plan *plan = t->player->plan;
    const float *x = t->values[s->in[0]], *route = t->values[s->in[1]];
    vb_oracle_chosen chosen = {route, plan->values[s->in[0]].parts, t->player->opts.arith, vb_oracle_linear};
    chosen.multiply = vb_like_ggml_multiply(t->player->opts.like_ggml, s->weight, chosen.arith);
    return vb_oracle_linear_experts(y, s, x, &chosen);
}

static void do_mix(const token *t, const vb_step *s, float *y)
{
    const vb_plan *plan = t->player->plan;
    vb_oracle_mix(y, t->values[s->in[0]], t->values[s->in[1]], plan->values[s->in[1]].width / 2,
                  plan->values[s->out].width);
}

static vb_status perform(const token *t, const vb_step *s, float *y)
{
    int n = t->player->plan->values[s->out].width;
    const float *x = s->in[0] >= 0 ? t->values[s->in[0]] : NULL;
    switch (s->op) {
    case VB_OP_EMBED:
        vb_oracle_embed(y, s->weight, row_to_embed(t, s));
        break;
    case VB_OP_WANTED:
        memcpy(y, x, (size_t)n * sizeof *y);
        break;
    case VB_OP_SCALE:
        vb_oracle_scale(y, x, s->u.scale.by, n);
        break;
    case VB_OP_ADD:
        vb_oracle_add(y, x, t->values[s->in[1]], n);
        break;
    case VB_OP_NORM_RMS:
        do_norm(t, s, y);
        break;
    case VB_OP_NORM_LAYER:
        vb_oracle_norm_layer(y, x, s, n);
        break;
    case VB_OP_LINEAR:
        return do_linear(t, s, y);
    case VB_OP_ROPE:
        return do_rope(t, s, y);
    case VB_OP_SLICE:
        vb_oracle_slice(y, x, t->player->plan->values[s->in[0]].width, s->u.slice.group, s->u.slice.from, s->u.slice.len);
        break;
    case VB_OP_CONV:
        vb_oracle_conv(y, x, s->weight->data, t->state->memories.at[s->u.conv.memory], s->u.conv.taps, n);
        break;
    case VB_OP_DECAY:
        vb_oracle_decay(y, x, t->values[s->in[1]], s->weight, s->bias);
        break;
    case VB_OP_DELTA:
        do_delta(t, s, y);
        break;
    case VB_OP_ATTEND:
    case VB_OP_ATTEND_KEPT:
        return do_attend(t, s, y);
    case VB_OP_GLU:
        (like_ggml(t, VB_GGML_GELU) ? vb_like_ggml_glu : vb_oracle_glu)(y, x, t->values[s->in[1]], n, s->u.glu.act);
        break;
    case VB_OP_ACT:
        (like_ggml(t, VB_GGML_GELU) ? vb_like_ggml_act : vb_oracle_act)(y, x, n, s->u.act.curve);
        break;
    case VB_OP_SOFTCAP:
        vb_oracle_softcap(y, x, s->u.softcap.cap, n);
        break;
    case VB_OP_GATE:
        vb_oracle_gate(y, x[0], t->values[s->in[1]], n);
        break;
    case VB_OP_ROUTE:
        return do_route(t, s, y);
    case VB_OP_LINEAR_EXPERTS:
        return do_experts(t, s, y);
    case VB_OP_MIX:
        do_mix(t, s, y);
        break;
    case VB_OPS:
        return VB_E_UNSUPPORTED;
    }
    return VB_OK;
}

static vb_status check(const token *t, const vb_step *s, vb_status status, vb_err *err)
{
    const vb_value *v = &t->player->plan->values[s->out];
    if (status == VB_E_MEMORY) VB_FAIL(err, status, "step %s (layer %d): out of memory", vb_op_name(s->op), s->layer);
    const float *y = t->values[s->out];
    if (status < 0 || !vb_oracle_finite(y, v->width))
        VB_FAIL(err, VB_E_FORMAT, "step %s (layer %d) at position %d: not a finite number", vb_op_name(s->op), s->layer,
                t->position);
    return vb_taps_show(t->taps, t->player->plan, s, t->position, t->values[s->out], err);
}

static vb_status play_step(token *t, const vb_step *s, vb_err *err)
{
    size_t width = (size_t)t->player->plan->values[s->out].width;
    float *y = t->values[s->out] = malloc(width * sizeof *y);
    return check(t, s, y == NULL ? VB_E_MEMORY : perform(t, s, y), err);
}

/* One step for some tokens. Their keys and values are all there before the first of them attends. */
static vb_status play_tokens(token *t, int n, const vb_step *s, vb_err *err)
{
    int wanted = t->player->plan->values[s->out].wanted;
    for (int i = 0; i < n && s->op == VB_OP_ATTEND; i++) {
        vb_status status = t[i].wanted || !wanted ? keep(&t[i], s) : VB_OK;
        if (status < 0) return check(&t[i], s, status, err);
    }
    for (int i = 0; i < n; i++)
        if (t[i].wanted || !wanted) VB_TRY(play_step(&t[i], s, err));
    return VB_OK;
}

static vb_status start_tokens(token *t, const player *p, const vb_part *part, int from, int n, vb_err *err)
{
    for (int i = 0; i < n; i++) {
        int position = part->start + from + i, wanted = from + i >= part->n - part->want;
        int last = part->start + from + n - 1;
        t[i] = (token){p, part->state, part->ids[from + i], position, wanted, last, part->taps, NULL};
        t[i].values = calloc((size_t)p->plan->n_values, sizeof *t[i].values);
        if (t[i].values == NULL) VB_FAIL(err, VB_E_MEMORY, "player oracle: out of memory for %d tokens", n);
    }
    return VB_OK;
}

/* Tokens from..from+n of a part through all steps; where attention is causal a token goes alone. */
static vb_status play_some(const player *p, const vb_part *part, int from, int n, vb_err *err)
{
    const vb_plan *plan = p->plan;
    size_t width = (size_t)plan->out_width;
    token *t = calloc((size_t)n, sizeof *t);
    if (t == NULL) VB_FAIL(err, VB_E_MEMORY, "player oracle: out of memory for %d tokens", n);
    vb_oracle_memories *memories = &((state *)part->state)->memories;
    vb_status status = vb_oracle_memories_begin(memories, part->start + from, err);
    if (status == VB_OK) status = start_tokens(t, p, part, from, n, err);
    for (int i = 0; i < plan->n_steps && status == VB_OK; i++) {
        status = play_tokens(t, n, &plan->steps[i], err);
        if (status == VB_OK) status = vb_taps_between(part->taps, err);
    }
    for (int i = 0; i < n; i++) {
        int row = from + i - (part->n - part->want);
        if (status == VB_OK && row >= 0)
            memcpy(part->logits + (size_t)row * width, t[i].values[plan->output], width * sizeof(float));
        for (int v = 0; t[i].values != NULL && v < plan->n_values; v++) free(t[i].values[v]);
        free(t[i].values);
    }
    free(t);
    if (status == VB_OK) memories->position = part->start + from + n;
    return status;
}

static vb_status eval(void *opaque, const vb_part *parts, int n, vb_err *err)
{
    const player *p = opaque;
    for (int i = 0; i < n; i++) {
        int some = p->plan->whole ? parts[i].n : 1;
        for (int k = 0; k < parts[i].n; k += some) VB_TRY(play_some(p, &parts[i], k, some, err));
    }
    return VB_OK;
}

static uint64_t scratch_bytes(const void *opaque, int tokens, int wanted)
{
    const player *p = opaque;
    uint64_t bytes = 0;
    (void)tokens;
    (void)wanted;
    for (int v = 0; v < p->plan->n_values; v++) bytes += (uint64_t)p->plan->values[v].width * sizeof(float);
    return bytes;
}

const vb_player vb_oracle_player = {
    .name = "oracle",
    .open = open_player,
    .close = close_player,
    .isa = scalar,
    .kernel = kernel,
    .state_open = open_state,
    .state_copy = copy_state,
    .state_close = close_state,
    .state_start = start_of,
    .eval = eval,
    .scratch_bytes = scratch_bytes,
};
