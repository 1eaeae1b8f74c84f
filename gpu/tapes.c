/* tapes.c - tapes are recorded once for each range of steps and shape of batch, and kept.
 *
 *   in      head to its place | each value that comes in to its place
 *   steps   one dispatch or more a step; several sections together, until they are worth a submission
 *   out     notes, and each value that goes out
 *
 * What differs from batch to batch with the same shape stands in the head. The oldest tape goes when there are too many.
 */
#include "gpu/offload.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_TAPES = 1024 };
static const uint64_t A_TAPE = UINT64_C(1) << 29; /* bytes of work from which another tape begins */

void vb_gpu_tapes_drop(vb_gpu_offload *o)
{
    for (int i = 0; i < o->n_tapes; i++) vb_gpu_tape_close(o->tapes[i].tape);
    o->n_tapes = 0;
}

/* --- work --------------------------------------------------------------------------------------------------------- */

/* About as many bytes as a step reads. Rows of a batch share a matrix, but from some on arithmetic takes the time. */
static uint64_t work_of(const vb_gpu_offload *o, const vb_step *s, vb_gpu_shape shape)
{
    const vb_value *v = &o->plan->values[s->out];
    uint64_t rows = (uint64_t)(v->wanted ? shape.wanted : shape.rows);
    uint64_t bytes = 3 * rows * (uint64_t)v->width * sizeof(float);
    if (s->weight == NULL || s->op == VB_OP_EMBED) return bytes;
    uint64_t weight = (uint64_t)s->weight->rows * s->weight->row_bytes;
    if (s->op == VB_OP_LINEAR_EXPERTS) weight = weight / (uint64_t)s->u.experts.experts * (uint64_t)s->u.experts.used * rows;
    return bytes + weight * (1 + rows / 8);
}

int vb_gpu_tapes_reach(const vb_gpu_offload *o, int from, int n, vb_gpu_shape shape)
{
    uint64_t work = 0;
    int k = 0;
    while (k < n && (k == 0 || work < A_TAPE)) work += work_of(o, &o->plan->steps[from + k++], shape);
    return k;
}

/* --- recording ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const vb_gpu_offload *o;
    vb_gpu_shape shape;
} recording;

static vb_gpu_range value(const void *player, vb_val v)
{
    const recording *r = player;
    return vb_gpu_work_value(&r->o->work, v, r->shape);
}

static const vb_gpu_weight *weight(const void *player, const vb_tensor *t)
{
    const recording *r = player;
    return vb_gpu_weights_find(r->o->weights, t);
}

static const vb_gpu_slot *slot(const void *player, int i)
{
    const recording *r = player;
    return vb_gpu_pages_slot(r->o->pages, i);
}

static vb_status record_steps(vb_gpu_offload *o, const vb_gpu_tape_key *key, vb_gpu_tape *tape, vb_err *err)
{
    recording of = {o, key->shape};
    vb_gpu_head head = vb_gpu_work_head(&o->work, key->shape);
    const vb_gpu_work *w = &o->work;
    vb_gpu_recording r = {.gpu = o->gpu, .plan = o->plan, .arith = o->arith, .kv = key->kv, .tape = tape,
                          .bucket = key->shape.rows, .wanted_bucket = key->shape.wanted, .value = value, .weight = weight,
                          .slot = slot, .player = &of, .rope_at = o->rope_at, .rope_floats = w->rope_floats, .acts_of = -1};
    r.notes = (vb_gpu_range){&w->head, 0, (uint64_t)o->plan->n_steps * sizeof(uint32_t)};
    r.rows = (vb_gpu_range){&w->head, head.rows, head.ropes - head.rows};
    r.ropes = (vb_gpu_range){&w->head, head.ropes, head.end - head.ropes};
    r.acts = (vb_gpu_range){&w->acts, 0, (uint64_t)key->shape.rows * w->act_bytes};
    for (int i = key->from; i < key->from + key->n; i++) {
        const vb_step *s = &o->plan->steps[i];
        if (o->plan->values[s->out].wanted && key->shape.wanted == 0) continue;
        VB_TRY(vb_gpu_record(&r, s, (uint32_t)i, err));
    }
    return VB_OK;
}

static vb_status record_in(const vb_gpu_offload *o, const vb_gpu_tape_key *key, vb_gpu_tape *tape, vb_err *err)
{
    const vb_gpu_work *w = &o->work;
    uint64_t head = vb_gpu_work_head(w, key->shape).end;
    VB_TRY(vb_gpu_tape_copy(tape, (vb_gpu_range){&w->head, 0, head}, (vb_gpu_range){&w->up, 0, head}, err));
    for (int i = 0; i < o->in.n; i++) {
        vb_gpu_range to = vb_gpu_work_value(w, o->in.of[i], key->shape);
        if (to.bytes == 0) continue;
        VB_TRY(vb_gpu_tape_copy(tape, to, (vb_gpu_range){&w->up, head + o->in.at[i], to.bytes}, err));
    }
    return VB_OK;
}

static vb_status record_out(const vb_gpu_offload *o, const vb_gpu_tape_key *key, vb_gpu_tape *tape, vb_err *err)
{
    const vb_gpu_work *w = &o->work;
    uint64_t notes = vb_gpu_work_head(w, key->shape).rows, bytes = (uint64_t)o->plan->n_steps * sizeof(uint32_t);
    VB_TRY(vb_gpu_tape_copy(tape, (vb_gpu_range){&w->down, 0, bytes}, (vb_gpu_range){&w->head, 0, bytes}, err));
    for (int i = 0; i < o->out.n; i++) {
        vb_gpu_range from = vb_gpu_work_value(w, o->out.of[i], key->shape);
        if (from.bytes == 0) continue;
        VB_TRY(vb_gpu_tape_copy(tape, (vb_gpu_range){&w->down, notes + o->out.at[i], from.bytes}, from, err));
    }
    return VB_OK;
}

static vb_status record(vb_gpu_offload *o, vb_gpu_kept_tape *t, vb_err *err)
{
    const vb_gpu_tape_key *key = &t->key;
    int in = key->kinds & VB_GPU_TAPE_IN, steps = key->kinds & VB_GPU_TAPE_STEPS, out = key->kinds & VB_GPU_TAPE_OUT;
    vb_status s = vb_gpu_tape_open(&t->tape, o->gpu, err);
    if (s == VB_OK && in) s = record_in(o, key, t->tape, err);
    if (s == VB_OK && steps) s = record_steps(o, key, t->tape, err);
    if (s == VB_OK && out) s = record_out(o, key, t->tape, err);
    if (s == VB_OK) s = vb_gpu_tape_end(t->tape, err);
    t->work = (in ? o->in.bytes : 0) + (out ? o->out.bytes : 0);
    for (int i = 0; steps && i < key->n; i++) t->work += work_of(o, &o->plan->steps[key->from + i], key->shape);
    if (s < 0) vb_gpu_tape_close(t->tape);
    return s;
}

/* --- keeping ------------------------------------------------------------------------------------------------------ */

static int is_same(const vb_gpu_tape_key *a, const vb_gpu_tape_key *b)
{
    return a->kinds == b->kinds && a->from == b->from && a->n == b->n && a->kv == b->kv && a->shape.rows == b->shape.rows &&
           a->shape.wanted == b->shape.wanted && a->shape.tables == b->shape.tables;
}

static vb_gpu_kept_tape *find(vb_gpu_offload *o, const vb_gpu_tape_key *key)
{
    for (int i = 0; i < o->n_tapes; i++)
        if (is_same(&o->tapes[i].key, key)) return &o->tapes[i];
    return NULL;
}

static vb_gpu_kept_tape *oldest(vb_gpu_offload *o)
{
    vb_gpu_kept_tape *t = &o->tapes[0];
    for (int i = 1; i < o->n_tapes; i++)
        if (o->tapes[i].used < t->used) t = &o->tapes[i];
    return t;
}

static vb_status make(vb_gpu_offload *o, const vb_gpu_tape_key *key, vb_gpu_kept_tape **out, vb_err *err)
{
    vb_gpu_kept_tape made = {.key = *key};
    if (o->tapes == NULL) o->tapes = malloc(MOST_TAPES * sizeof *o->tapes);
    if (o->tapes == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory for %d tapes", MOST_TAPES);
    VB_TRY(record(o, &made, err));
    if (o->n_tapes < MOST_TAPES) {
        *out = &o->tapes[o->n_tapes++];
    } else {
        *out = oldest(o);
        vb_gpu_tape_close((*out)->tape);
    }
    **out = made;
    return VB_OK;
}

vb_status vb_gpu_tapes_play(vb_gpu_offload *o, const vb_gpu_tape_key *key, vb_err *err)
{
    vb_gpu_kept_tape *t = find(o, key);
    if (t == NULL) VB_TRY(make(o, key, &t, err));
    t->used = ++o->clock;
    return vb_gpu_play(o->gpu, t->tape, t->work, err);
}
