/* offload.c - a batch on the device: cut into pieces, sent, played, read back (see offload.h). */
#include "gpu/offload.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLES = 64 }; /* least words of page tables that tapes have room for */

/* --- opening ------------------------------------------------------------------------------------------------------ */

void vb_gpu_offload_close(void *opaque)
{
    vb_gpu_offload *o = opaque;
    if (o == NULL) return;
    vb_gpu_wait(o->gpu, NULL);
    vb_gpu_tapes_drop(o);
    vb_gpu_pages_close(o->pages);
    vb_gpu_work_close(&o->work);
    vb_gpu_weights_close(o->weights);
    vb_gpu_stop(o->gpu);
    void *all[] = {o->takes, o->in.of, o->in.at, o->out.of, o->out.at, o->marks, o->wanted, o->tapes, o->kept};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
    free(o);
}

static vb_status make_tables(vb_gpu_offload *o, vb_err *err)
{
    size_t n = (size_t)o->plan->n_values + 1;
    o->in.of = malloc(n * sizeof *o->in.of);
    o->in.at = malloc(n * sizeof *o->in.at);
    o->out.of = malloc(n * sizeof *o->out.of);
    o->out.at = malloc(n * sizeof *o->out.at);
    o->marks = malloc(n);
    o->takes = calloc((size_t)o->plan->n_steps + 1, 1);
    o->wanted = malloc(VB_GPU_MOST_ROWS * sizeof *o->wanted);
    if (o->in.of == NULL || o->in.at == NULL || o->out.of == NULL || o->out.at == NULL || o->marks == NULL ||
        o->takes == NULL || o->wanted == NULL)
        VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory for %d values", o->plan->n_values);
    return VB_OK;
}

vb_status vb_gpu_offload_open(vb_gpu_offload **out, vb_gpu *g, const vb_plan *plan, vb_arith arith, vb_err *err)
{
    vb_gpu_offload *o = calloc(1, sizeof *o);
    *out = NULL;
    if (o == NULL) {
        vb_gpu_stop(g);
        VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory");
    }
    *o = (vb_gpu_offload){.gpu = g, .plan = plan, .arith = arith, .tables = TABLES};
    const vb_gpu_facts *f = vb_gpu_facts_of(g);
    snprintf(o->about, sizeof o->about, "%.200s; %s%s%s", f->driver,
             f->modes & VB_GPU_RTE ? "rounds to even" : "rounds as it does",
             f->modes & VB_GPU_SIGNED_ZERO ? ", keeps signed zeros and infinities" : "",
             f->modes & VB_GPU_SUBNORMALS ? ", keeps subnormals" : "");
    vb_status s = make_tables(o, err);
    if (s == VB_OK) s = vb_gpu_weights_open(&o->weights, g, err);
    if (s < 0) vb_gpu_offload_close(o);
    else *out = o;
    return s;
}

/* --- what crosses ------------------------------------------------------------------------------------------------- */

static void cross(vb_gpu_crossing *c, const vb_gpu_work *w, vb_val v, vb_gpu_shape shape)
{
    c->of[c->n] = v;
    c->at[c->n++] = c->bytes;
    c->bytes += vb_gpu_placed(vb_gpu_work_bytes(w, v, shape));
}

/* Values that these steps read and others have given; and those that they give and others read. */
static void find_crossing(vb_gpu_offload *o, int from, int n, vb_gpu_shape shape)
{
    memset(o->marks, 0, (size_t)o->plan->n_values);
    o->in.n = o->out.n = 0;
    o->in.bytes = o->out.bytes = 0;
    for (int i = from; i < from + n; i++) {
        const vb_step *s = &o->plan->steps[i];
        for (int k = 0; k < 3; k++) {
            vb_val v = s->in[k];
            if (v < 0 || o->marks[v] || o->plan->values[v].step >= from) continue;
            o->marks[v] = 1;
            cross(&o->in, &o->work, v, shape);
        }
        if (o->plan->values[s->out].last_use >= from + n) cross(&o->out, &o->work, s->out, shape);
    }
}

/* --- pieces ------------------------------------------------------------------------------------------------------- */

/* Rows row.. and wanted rows want.. of a batch, as a batch. */
typedef struct {
    const vb_batch *all;
    vb_batch batch;
    int row, want;
} piece;

static void cut(vb_gpu_offload *o, piece *p)
{
    const vb_batch *all = p->all;
    int rows = 0, wanted = 0;
    while (rows < o->work.most_rows && p->row + rows < all->tokens) {
        int next = p->want + wanted < all->n_wanted && all->wanted[p->want + wanted] == p->row + rows;
        if (next && wanted == o->work.most_wanted) break;
        if (next) o->wanted[wanted++] = rows;
        rows++;
    }
    p->batch = *all;
    p->batch.rows = all->rows + p->row;
    p->batch.tokens = rows;
    p->batch.wanted = o->wanted;
    p->batch.n_wanted = wanted;
    p->batch.ropes = all->ropes + (size_t)p->row * (size_t)all->rope_floats;
}

/* Rows of a value that a piece has, and the first of them in the batch. */
static int rows_of(const vb_gpu_offload *o, const piece *p, vb_val v, int *first)
{
    int wanted = o->plan->values[v].wanted;
    *first = wanted ? p->want : p->row;
    return wanted ? p->batch.n_wanted : p->batch.tokens;
}

/* --- up ----------------------------------------------------------------------------------------------------------- */

static void write_rows(const vb_gpu_offload *o, const piece *p, vb_gpu_shape shape, uint32_t *words)
{
    const vb_batch *b = &p->batch;
    uint32_t *row = words + VB_GPU_ROWS_WORDS, *list = row + VB_GPU_ROW_WORDS * shape.rows, *tables = list + shape.wanted;
    words[0] = (uint32_t)b->tokens;
    words[1] = (uint32_t)b->n_wanted;
    words[2] = (uint32_t)(list - words);
    words[3] = (uint32_t)(tables - words);
    for (int r = 0; r < b->tokens; r++) {
        uint32_t *to = row + VB_GPU_ROW_WORDS * r;
        memset(to, 0, VB_GPU_ROW_WORDS * sizeof *to);
        to[0] = (uint32_t)b->rows[r].id;
        to[1] = (uint32_t)b->rows[r].position;
        to[2] = (uint32_t)b->rows[r].last;
    }
    for (int i = 0; i < b->n_wanted; i++) list[i] = (uint32_t)b->wanted[i];
    vb_gpu_pages_tables(o->pages, b, row, tables);
}

static void write_up(const vb_gpu_offload *o, const piece *p, vb_gpu_shape shape)
{
    const vb_gpu_work *w = &o->work;
    vb_gpu_head head = vb_gpu_work_head(w, shape);
    uint8_t *up = w->up.host;
    memset(up, 0xff, (size_t)o->plan->n_steps * sizeof(uint32_t));
    write_rows(o, p, shape, (uint32_t *)(void *)(up + head.rows));
    memcpy(up + head.ropes, p->batch.ropes, (size_t)p->batch.tokens * (size_t)p->batch.rope_floats * sizeof(float));
    for (int i = 0; i < o->in.n; i++) {
        vb_val v = o->in.of[i];
        size_t stride = vb_gpu_stride(o->plan->values[v].width) * sizeof(float);
        int first, rows = rows_of(o, p, v, &first);
        for (int r = 0; r < rows; r++)
            memcpy(up + head.end + o->in.at[i] + (size_t)r * stride, p->all->value(p->all->player, v, first + r),
                   (size_t)o->plan->values[v].width * sizeof(float));
    }
}

/* --- down --------------------------------------------------------------------------------------------------------- */

/* Values of a piece from memory as `down` has them behind its notes. */
static void deliver(const vb_gpu_offload *o, const piece *p, const uint8_t *from)
{
    for (int i = 0; i < o->out.n; i++) {
        vb_val v = o->out.of[i];
        size_t stride = vb_gpu_stride(o->plan->values[v].width) * sizeof(float);
        int first, rows = rows_of(o, p, v, &first);
        for (int r = 0; r < rows; r++)
            memcpy(p->all->value(p->all->player, v, first + r), from + o->out.at[i] + (size_t)r * stride,
                   (size_t)o->plan->values[v].width * sizeof(float));
    }
}

/* VB_E_FORMAT: a step has noted a row that is not finite. */
static vb_status look(const vb_gpu_offload *o, int from, int n, vb_err *err)
{
    const uint32_t *notes = (const uint32_t *)(const void *)o->work.down.host;
    for (int i = from; i < from + n; i++) {
        if (notes[i] == UINT32_MAX) continue;
        VB_FAIL(err, VB_E_FORMAT, "step %s (layer %d): not a finite number", vb_op_name(o->plan->steps[i].op),
                o->plan->steps[i].layer);
    }
    return VB_OK;
}

/* --- playing ------------------------------------------------------------------------------------------------------ */

/* The shape of a piece, with room for it; tapes that know other places are dropped. */
static vb_status settle(vb_gpu_offload *o, const piece *p, int from, int n, vb_gpu_shape *shape, vb_err *err)
{
    int moved = 0, words = vb_gpu_pages_words(&p->batch);
    while (o->tables < words) o->tables *= 2;
    *shape = (vb_gpu_shape){vb_gpu_bucket(p->batch.tokens), vb_gpu_bucket(p->batch.n_wanted), o->tables};
    find_crossing(o, from, n, *shape);
    vb_status s = vb_gpu_work_reserve(&o->work, *shape, (const uint64_t[2]){o->in.bytes, o->out.bytes}, &moved, err);
    if (o->generation != vb_gpu_pages_generation(o->pages)) moved = 1;
    o->generation = vb_gpu_pages_generation(o->pages);
    if (moved) vb_gpu_tapes_drop(o);
    return s;
}

static vb_status play(vb_gpu_offload *o, const piece *p, int from, int n, vb_gpu_shape shape, vb_err *err)
{
    vb_gpu_tape_key key = {0, from, n, shape, p->batch.kv};
    if (vb_gpu_tapes_reach(o, from, n, shape) == n) {
        key.kinds = VB_GPU_TAPE_IN | VB_GPU_TAPE_STEPS | VB_GPU_TAPE_OUT;
        VB_TRY(vb_gpu_tapes_play(o, &key, err));
        return vb_gpu_wait(o->gpu, err);
    }
    key.kinds = VB_GPU_TAPE_IN;
    VB_TRY(vb_gpu_tapes_play(o, &key, err));
    for (int at = from; at < from + n; at += key.n) {
        int reach = vb_gpu_tapes_reach(o, at, from + n - at, shape);
        key = (vb_gpu_tape_key){VB_GPU_TAPE_STEPS, at, reach, shape, p->batch.kv};
        VB_TRY(vb_gpu_tapes_play(o, &key, err));
    }
    key = (vb_gpu_tape_key){VB_GPU_TAPE_OUT, from, n, shape, p->batch.kv};
    VB_TRY(vb_gpu_tapes_play(o, &key, err));
    return vb_gpu_wait(o->gpu, err);
}

static vb_status perform_piece(vb_gpu_offload *o, const piece *p, int from, int n, vb_err *err)
{
    vb_gpu_shape shape;
    vb_status room = vb_gpu_pages_begin(o->pages, &p->batch, from, n, vb_gpu_bucket(p->batch.tokens), err);
    if (room < 0) return VB_E_UNSUPPORTED; /* fewer rows need as much of it */
    VB_TRY(settle(o, p, from, n, &shape, err));
    write_up(o, p, shape);
    VB_TRY(play(o, p, from, n, shape, err));
    VB_TRY(look(o, from, n, err));
    vb_gpu_pages_end(o->pages, &p->batch, from, n);
    return VB_OK;
}

static const uint8_t *results(const vb_gpu_offload *o)
{
    return o->work.down.host + vb_gpu_placed((uint64_t)o->plan->n_steps * sizeof(uint32_t));
}

/* Results wait until all pieces are there. */
static vb_status keep(vb_gpu_offload *o, uint64_t at, vb_err *err)
{
    if (at + o->out.bytes > o->kept_bytes) {
        uint8_t *more = realloc(o->kept, 2 * (at + o->out.bytes));
        if (more == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory for a batch's results");
        o->kept = more;
        o->kept_bytes = 2 * (at + o->out.bytes);
    }
    memcpy(o->kept + at, results(o), o->out.bytes);
    return VB_OK;
}

/* Once more over the same pieces. */
static void deliver_all(vb_gpu_offload *o, const vb_batch *batch, int from, int n)
{
    piece p = {.all = batch};
    for (uint64_t at = 0; p.row < batch->tokens; at += o->out.bytes) {
        cut(o, &p);
        find_crossing(o, from, n, (vb_gpu_shape){vb_gpu_bucket(p.batch.tokens), vb_gpu_bucket(p.batch.n_wanted), 0});
        deliver(o, &p, o->kept + at);
        p.row += p.batch.tokens;
        p.want += p.batch.n_wanted;
    }
}

static vb_status perform_all(vb_gpu_offload *o, const vb_batch *batch, int from, int n, vb_err *err)
{
    piece p = {.all = batch};
    for (uint64_t at = 0; p.row < batch->tokens; at += o->out.bytes) {
        cut(o, &p);
        VB_TRY(perform_piece(o, &p, from, n, err));
        if (p.batch.tokens == batch->tokens) {
            deliver(o, &p, results(o));
            return VB_OK;
        }
        VB_TRY(keep(o, at, err));
        p.row += p.batch.tokens;
        p.want += p.batch.n_wanted;
    }
    deliver_all(o, batch, from, n);
    return VB_OK;
}

/* --- the device --------------------------------------------------------------------------------------------------- */

static int knows_kv(const vb_gpu_offload *o, int from, int n, vb_kv kv)
{
    for (int i = from; i < from + n; i++) {
        const vb_step *s = &o->plan->steps[i];
        if (!o->takes[i] || (vb_gpu_attends(s) && !vb_gpu_has_attend(o->gpu, o->plan, s, kv))) return 0;
    }
    return 1;
}

/* What could not be done is said once: that the device is lost, or that it had no room. */
static vb_status give_up(vb_gpu_offload *o, const vb_err *why, vb_err *err)
{
    int lost = vb_gpu_wait(o->gpu, NULL) < 0;
    const char *name = vb_gpu_facts_of(o->gpu)->name, *of = strstr(why->text, name) == NULL ? name : "";
    if (lost || !o->said)
        vb_log(VB_LOG_WARNING, "%s%s%s; the CPU computes %s", of, of[0] != 0 ? ": " : "", why->text,
               lost ? "from here on" : "instead");
    o->said = 1;
    VB_FAIL(err, VB_E_UNSUPPORTED, "%s", why->text);
}

static const char *name(const void *device)
{
    return vb_gpu_facts_of(((const vb_gpu_offload *)device)->gpu)->name;
}

static vb_status perform(void *device, const vb_batch *batch, int from, int n, vb_err *err)
{
    vb_gpu_offload *o = device;
    vb_err why = {0};
    if (vb_gpu_lost(o->gpu)) VB_FAIL(err, VB_E_UNSUPPORTED, "the device is lost");
    if (!knows_kv(o, from, n, batch->kv)) {
        if (!o->said_kv)
            vb_log(VB_LOG_WARNING, "%s takes no keys and values of this type; the CPU computes their layers", name(o));
        o->said_kv = 1;
        VB_FAIL(err, VB_E_UNSUPPORTED, "steps or a KV type that the device does not take");
    }
    o->rope_at = batch->rope_at;
    vb_status s = perform_all(o, batch, from, n, &why);
    while (s == VB_E_MEMORY && o->work.most_rows > 1 && vb_gpu_wait(o->gpu, NULL) == VB_OK) {
        o->work.most_rows /= 2;
        s = perform_all(o, batch, from, n, &why);
    }
    if (s == VB_OK) return s;
    if (s != VB_E_FORMAT) return give_up(o, &why, err);
    if (err != NULL) *err = why;
    return s;
}

static const char *about(const void *device)
{
    return ((const vb_gpu_offload *)device)->about;
}

static int takes(const void *device, int step)
{
    return ((const vb_gpu_offload *)device)->takes[step];
}

static void forget(void *device, uint64_t state_id, int from)
{
    vb_gpu_pages_forget(((vb_gpu_offload *)device)->pages, state_id, from);
}

static uint64_t bytes(const void *device)
{
    return vb_gpu_in_use(((const vb_gpu_offload *)device)->gpu);
}

const vb_device_ops vb_gpu_offload_ops = {
    .close = vb_gpu_offload_close,
    .name = name,
    .about = about,
    .takes = takes,
    .perform = perform,
    .forget = forget,
    .bytes = bytes,
};
