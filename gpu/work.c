/* work.c - sizes and places of the work area (see work.h). Buffers grow to the largest batch and are kept. */
#include "gpu/work.h"

#include <stdlib.h>

enum { PLACE = 256 };
static const uint64_t MOST_OUTPUT = UINT64_C(1) << 26; /* bytes of wanted rows of a value, so that few are large */

int vb_gpu_bucket(int n)
{
    int bucket = n > 0;
    while (bucket < n) bucket *= 2;
    return bucket;
}

uint64_t vb_gpu_placed(uint64_t bytes)
{
    return (bytes + PLACE - 1) / PLACE * PLACE;
}

/* The largest power of two of rows, so many bytes each, that a binding takes. */
static int rows_within(uint64_t most, uint64_t row_bytes, int limit)
{
    int rows = 1;
    while (2 * rows <= limit && 2 * (uint64_t)rows * row_bytes <= most) rows *= 2;
    return rows;
}

static void measure(vb_gpu_work *w, const vb_step *s)
{
    const vb_gpu_facts *f = vb_gpu_facts_of(w->gpu);
    uint64_t most = f->most_range - f->range_alignment, some = most < MOST_OUTPUT ? most : MOST_OUTPUT;
    const vb_value *v = &w->plan->values[s->out];
    uint64_t row = (uint64_t)vb_gpu_stride(v->width) * sizeof(float);
    int *rows = v->wanted ? &w->most_wanted : &w->most_rows;
    *rows = rows_within(v->wanted ? some : most, row, *rows);
    if (s->op != VB_OP_LINEAR && s->op != VB_OP_LINEAR_EXPERTS) return;
    int parts = w->plan->values[s->in[0]].parts;
    uint64_t acts = vb_gpu_act_bytes(s->weight->cols) * (uint64_t)(parts > 1 ? parts : 1);
    if (acts > w->act_bytes) w->act_bytes = acts;
    w->most_rows = rows_within(most, acts, w->most_rows);
}

vb_status vb_gpu_work_open(vb_gpu_work *w, vb_gpu *g, const vb_plan *plan, const uint8_t *takes, vb_err *err)
{
    *w = (vb_gpu_work){.gpu = g, .plan = plan, .most_rows = VB_GPU_MOST_ROWS, .most_wanted = VB_GPU_MOST_ROWS};
    w->offset = malloc(((size_t)plan->n_values + 1) * sizeof *w->offset);
    if (w->offset == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory for %d values", plan->n_values);
    w->room = vb_plan_layout(plan, w->offset);
    for (int i = 0; i < plan->n_ropes; i++) w->rope_floats += (plan->ropes[i].n_rot + 15) / 16 * 16;
    for (int i = 0; i < plan->n_steps; i++)
        if (takes[i]) measure(w, &plan->steps[i]);
    return VB_OK;
}

static void free_buffers(vb_gpu_work *w)
{
    vb_gpu_buffer *all[] = {&w->values, &w->wanted_values, &w->output, &w->acts, &w->head, &w->up, &w->down};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) vb_gpu_free(w->gpu, all[i]);
}

void vb_gpu_work_close(vb_gpu_work *w)
{
    if (w->gpu != NULL) free_buffers(w);
    free(w->offset);
    *w = (vb_gpu_work){0};
}

/* --- places ------------------------------------------------------------------------------------------------------ */

vb_gpu_head vb_gpu_work_head(const vb_gpu_work *w, vb_gpu_shape shape)
{
    uint64_t words = VB_GPU_ROWS_WORDS + (uint64_t)VB_GPU_ROW_WORDS * (uint64_t)shape.rows + (uint64_t)shape.wanted +
                     (uint64_t)shape.tables;
    uint64_t rows = vb_gpu_placed((uint64_t)w->plan->n_steps * sizeof(uint32_t));
    uint64_t ropes = rows + vb_gpu_placed(words * sizeof(uint32_t));
    uint64_t bytes = (uint64_t)shape.rows * (uint64_t)w->rope_floats * sizeof(float);
    return (vb_gpu_head){rows, ropes, ropes + vb_gpu_placed(bytes > 0 ? bytes : 1)};
}

uint64_t vb_gpu_work_bytes(const vb_gpu_work *w, vb_val v, vb_gpu_shape shape)
{
    const vb_value *value = &w->plan->values[v];
    return (uint64_t)vb_gpu_stride(value->width) * sizeof(float) * (uint64_t)(value->wanted ? shape.wanted : shape.rows);
}

vb_gpu_range vb_gpu_work_value(const vb_gpu_work *w, vb_val v, vb_gpu_shape shape)
{
    const vb_value *value = &w->plan->values[v];
    uint64_t rows = (uint64_t)(value->wanted ? shape.wanted : shape.rows), bytes = vb_gpu_work_bytes(w, v, shape);
    if (v == w->plan->output) return (vb_gpu_range){&w->output, 0, bytes};
    uint64_t at = (uint64_t)w->offset[v] * sizeof(float) * rows;
    return (vb_gpu_range){value->wanted ? &w->wanted_values : &w->values, at, bytes};
}

/* --- memory ------------------------------------------------------------------------------------------------------ */

enum { VALUES, WANTED, OUTPUT, ACTS, HEAD, UP, DOWN, BUFFERS };

static void needs(const vb_gpu_work *w, vb_gpu_shape shape, const uint64_t crossing[2], uint64_t bytes[BUFFERS])
{
    uint64_t rows = (uint64_t)shape.rows * sizeof(float), wanted = (uint64_t)shape.wanted * sizeof(float);
    uint64_t head = vb_gpu_work_head(w, shape).end, notes = vb_gpu_work_head(w, shape).rows;
    bytes[VALUES] = rows * (uint64_t)w->room.all;
    bytes[WANTED] = wanted * (uint64_t)w->room.wanted;
    bytes[OUTPUT] = wanted * vb_gpu_stride(w->plan->out_width);
    bytes[ACTS] = (uint64_t)shape.rows * w->act_bytes;
    bytes[HEAD] = head;
    bytes[UP] = head + crossing[0];
    bytes[DOWN] = notes + crossing[1];
}

uint64_t vb_gpu_work_need(const vb_gpu_work *w, vb_gpu_shape shape)
{
    uint64_t bytes[BUFFERS], sum = 0;
    needs(w, shape, (const uint64_t[2]){0, 0}, bytes);
    for (int i = 0; i < BUFFERS; i++) sum += vb_gpu_placed(bytes[i]);
    return sum;
}

vb_status vb_gpu_work_reserve(vb_gpu_work *w, vb_gpu_shape shape, const uint64_t crossing[2], int *moved, vb_err *err)
{
    vb_gpu_buffer *all[] = {&w->values, &w->wanted_values, &w->output, &w->acts, &w->head, &w->up, &w->down};
    uint64_t bytes[BUFFERS];
    needs(w, shape, crossing, bytes);
    for (int i = 0; i < BUFFERS; i++) {
        vb_gpu_kind kind = i == UP ? VB_GPU_UP : i == DOWN ? VB_GPU_DOWN : VB_GPU_LOCAL;
        if (all[i]->bytes >= bytes[i]) continue;
        *moved = 1;
        vb_gpu_free(w->gpu, all[i]);
        VB_TRY(vb_gpu_alloc(all[i], w->gpu, kind, vb_gpu_placed(bytes[i]), err));
    }
    return VB_OK;
}
