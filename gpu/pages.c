/* pages.c - the pool of pages on the device, filled from the host's states and mirrored back to them (see pages.h).
 *
 *   slot's buffer   keys: page 0, page 1, ... | values: page 0, page 1, ...
 *   mirror          a row of the batch: keys of all heads, values of all heads
 *   parts           one for all slots: what work groups that share the chunks of a head leave to each other
 *
 * A pool that has become too small is thrown away for one twice as large: what was in it is uploaded again when it is
 * needed. Where there is no more memory, states that are not in the batch give up their pages.
 */
#include "gpu/pages.h"

#include "base/kv.h"
#include "gpu/table.h"
#include "plan/player.h"

#include <stdlib.h>
#include <string.h>

enum { STAGING = 4 << 20 };

typedef struct {
    vb_gpu_slot at;
    vb_gpu_buffer pool, mirror;
    uint64_t key_page, value_page, mirror_row; /* bytes */
    size_t key_bytes, value_bytes;             /* of a row, before it is rounded up */
    int heads;
} shelf;

struct vb_gpu_pages {
    vb_gpu *gpu;
    const vb_plan *plan;
    vb_gpu_table *table;
    shelf *slots;
    uint8_t *on; /* [n_slots] */
    vb_kv kv;
    uint64_t most_bytes;
    int first_pages, pages, most_pages, mirror_rows; /* most_pages: more were refused */
    uint32_t generation;
    vb_gpu_buffer staging; /* no buffer where the host sees the pages themselves */
    vb_gpu_buffer parts;
};

/* --- sizes ------------------------------------------------------------------------------------------------------- */

static uint32_t row_bytes(vb_kv kv, int n)
{
    return ((uint32_t)vb_kv_row_bytes(n, kv) + 3u) & ~3u;
}

static uint64_t page_bytes(const vb_slot *s, vb_kv kv)
{
    return (uint64_t)s->kv_heads * VB_GPU_PAGE * (row_bytes(kv, s->dim_k) + row_bytes(kv, s->dim_v));
}

static uint64_t parts_of_step(const vb_step *s, int pages)
{
    uint64_t bytes = 0;
    for (int rows = 1; rows <= VB_GPU_MOST_ROWS; rows *= 2) {
        uint64_t more = vb_gpu_parts_bytes(s, pages, rows);
        if (more > bytes) bytes = more;
    }
    return bytes;
}

/* The most that a step needs. */
static uint64_t parts_bytes(const vb_plan *plan, const uint8_t *slots, int pages)
{
    uint64_t bytes = 0;
    for (int i = 0; i < plan->n_steps; i++) {
        const vb_step *s = &plan->steps[i];
        if (!vb_gpu_attends(s) || !slots[s->u.attend.slot]) continue;
        uint64_t more = parts_of_step(s, pages);
        if (more > bytes) bytes = more;
    }
    return bytes;
}

static uint64_t bytes_of(const vb_plan *plan, const uint8_t *slots, vb_kv kv, int pages)
{
    uint64_t bytes = parts_bytes(plan, slots, pages);
    for (int i = 0; i < plan->n_slots; i++)
        if (slots[i]) bytes += page_bytes(&plan->slots[i], kv) * (uint64_t)pages;
    return bytes;
}

uint64_t vb_gpu_pages_need(const vb_plan *plan, const uint8_t *slots, vb_kv kv, int positions)
{
    return bytes_of(plan, slots, kv, vb_gpu_pages_for(positions));
}

/* As many pages as every slot's ranges can hold. */
static int addressable(const vb_gpu_pages *p, vb_kv kv)
{
    const vb_gpu_facts *facts = vb_gpu_facts_of(p->gpu);
    uint64_t most = INT32_MAX / VB_GPU_PAGE;
    for (int i = 0; i < p->plan->n_slots; i++) {
        const vb_slot *s = &p->plan->slots[i];
        int dim = s->dim_k > s->dim_v ? s->dim_k : s->dim_v;
        uint64_t larger = (uint64_t)s->kv_heads * VB_GPU_PAGE * row_bytes(kv, dim), all = page_bytes(s, kv);
        if (!p->on[i]) continue;
        if (facts->most_range / larger < most) most = facts->most_range / larger;
        if (facts->most_alloc / all < most + 1) most = facts->most_alloc / all > 0 ? facts->most_alloc / all - 1 : 0;
    }
    return (int)most;
}

/* --- the pool ---------------------------------------------------------------------------------------------------- */

vb_status vb_gpu_pages_open(vb_gpu_pages **out, const vb_gpu_pages_opts *opts, vb_err *err)
{
    int n = opts->plan->n_slots;
    vb_gpu_pages *p = *out = calloc(1, sizeof *p);
    if (p == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory for %d layers", n);
    p->gpu = opts->gpu;
    p->plan = opts->plan;
    p->most_bytes = opts->most_bytes;
    p->first_pages = opts->positions > 0 ? vb_gpu_pages_for(opts->positions) : 1;
    p->kv = VB_KV_DEFAULT;
    p->slots = calloc((size_t)n + 1, sizeof *p->slots);
    p->on = calloc((size_t)n + 1, 1);
    vb_status status = p->slots == NULL || p->on == NULL ? VB_E_MEMORY : vb_gpu_table_open(&p->table, n, err);
    if (status < 0) {
        vb_gpu_pages_close(p);
        *out = NULL;
        VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory for %d layers", n);
    }
    memcpy(p->on, opts->slots, (size_t)n);
    return VB_OK;
}

static void free_pool(vb_gpu_pages *p)
{
    for (int i = 0; i < p->plan->n_slots; i++) {
        vb_gpu_free(p->gpu, &p->slots[i].pool);
        p->slots[i].at.keys = p->slots[i].at.values = p->slots[i].at.parts = (vb_gpu_range){0};
    }
    vb_gpu_free(p->gpu, &p->parts);
    p->pages = 0;
    p->generation++;
}

static void free_mirrors(vb_gpu_pages *p)
{
    for (int i = 0; i < p->plan->n_slots; i++) {
        vb_gpu_free(p->gpu, &p->slots[i].mirror);
        p->slots[i].at.mirror = (vb_gpu_range){0};
    }
    p->mirror_rows = 0;
    p->generation++;
}

void vb_gpu_pages_close(vb_gpu_pages *p)
{
    if (p == NULL) return;
    if (p->slots != NULL) {
        free_pool(p);
        free_mirrors(p);
    }
    vb_gpu_free(p->gpu, &p->staging);
    vb_gpu_table_close(p->table);
    free(p->slots);
    free(p->on);
    free(p);
}

static void shape(shelf *s, const vb_slot *of, vb_kv kv)
{
    s->heads = of->kv_heads;
    s->key_bytes = (size_t)vb_kv_row_bytes(of->dim_k, kv);
    s->value_bytes = (size_t)vb_kv_row_bytes(of->dim_v, kv);
    s->at.key_row = row_bytes(kv, of->dim_k);
    s->at.value_row = row_bytes(kv, of->dim_v);
    s->key_page = (uint64_t)s->heads * VB_GPU_PAGE * s->at.key_row;
    s->value_page = (uint64_t)s->heads * VB_GPU_PAGE * s->at.value_row;
    s->mirror_row = (uint64_t)s->heads * (s->at.key_row + s->at.value_row);
}

static vb_status alloc_slot(vb_gpu_pages *p, shelf *s, int pages, vb_err *err)
{
    uint64_t align = vb_gpu_facts_of(p->gpu)->range_alignment, keys = s->key_page * (uint64_t)pages;
    if (align == 0) align = 1;
    uint64_t values = (keys + align - 1) / align * align, bytes = s->value_page * (uint64_t)pages;
    VB_TRY(vb_gpu_alloc(&s->pool, p->gpu, VB_GPU_LOCAL, values + bytes, err));
    s->at.keys = (vb_gpu_range){&s->pool, 0, keys};
    s->at.values = (vb_gpu_range){&s->pool, values, bytes};
    return VB_OK;
}

/* Room for a page of every slot at least, where the host does not see the pool. */
static vb_status alloc_staging(vb_gpu_pages *p, vb_err *err)
{
    uint64_t bytes = 0;
    for (int i = 0; i < p->plan->n_slots; i++) {
        const shelf *s = &p->slots[i];
        if (!p->on[i] || s->pool.host != NULL) continue;
        if (bytes < STAGING) bytes = STAGING;
        if (bytes < s->key_page) bytes = s->key_page;
        if (bytes < s->value_page) bytes = s->value_page;
    }
    if (bytes <= p->staging.bytes) return VB_OK;
    vb_gpu_free(p->gpu, &p->staging);
    return vb_gpu_alloc(&p->staging, p->gpu, VB_GPU_UP, bytes, err);
}

static vb_status alloc_parts(vb_gpu_pages *p, int pages, vb_err *err)
{
    uint64_t bytes = parts_bytes(p->plan, p->on, pages);
    if (bytes == 0 || bytes > vb_gpu_facts_of(p->gpu)->most_range) return VB_OK;
    VB_TRY(vb_gpu_alloc(&p->parts, p->gpu, VB_GPU_LOCAL, bytes, err));
    for (int i = 0; i < p->plan->n_slots; i++) p->slots[i].at.parts = (vb_gpu_range){&p->parts, 0, bytes};
    return VB_OK;
}

static vb_status alloc_pool(vb_gpu_pages *p, int pages, vb_err *err)
{
    vb_status status = VB_OK;
    for (int i = 0; i < p->plan->n_slots && status == VB_OK; i++)
        if (p->on[i]) status = alloc_slot(p, &p->slots[i], pages, err);
    if (status == VB_OK) status = alloc_staging(p, err);
    if (status == VB_OK) status = alloc_parts(p, pages, err);
    if (status == VB_OK) status = vb_gpu_table_reset(p->table, pages, err);
    if (status < 0) free_pool(p);
    else p->pages = pages;
    return status;
}

/* Another type, another shape. */
static void take_type(vb_gpu_pages *p, vb_kv kv)
{
    free_mirrors(p);
    p->kv = kv;
    p->most_pages = addressable(p, kv);
    while (p->most_bytes > 0 && p->most_pages > 0 && bytes_of(p->plan, p->on, kv, p->most_pages) > p->most_bytes)
        p->most_pages -= (p->most_pages + 15) / 16;
    for (int i = 0; i < p->plan->n_slots; i++) shape(&p->slots[i], &p->plan->slots[i], kv);
}

/* A pool of so many pages, or of as many as there is memory for, if possible no fewer than `least`. No state has
 * any. */
static vb_status remake(vb_gpu_pages *p, int pages, int least, vb_err *err)
{
    vb_status status = VB_E_MEMORY;
    free_pool(p);
    VB_TRY(vb_gpu_table_reset(p->table, 0, err));
    if (pages > p->most_pages) pages = p->most_pages;
    if (pages < 1) VB_FAIL(err, VB_E_MEMORY, "gpu: no room for keys and values of %d positions", VB_GPU_PAGE);
    while (pages > 0 && (status = alloc_pool(p, pages, err)) == VB_E_MEMORY) {
        int fewer = pages / 4 * 3;
        pages = pages > least && fewer < least ? least : fewer;
        p->most_pages = pages;
    }
    return status;
}

vb_status vb_gpu_pages_reserve(vb_gpu_pages *p, vb_kv kv, vb_err *err)
{
    if (kv == p->kv && p->pages > 0) return VB_OK;
    if (kv != p->kv) take_type(p, kv);
    return remake(p, p->first_pages, 1, err);
}

/* --- room for a batch -------------------------------------------------------------------------------------------- */

/* Tokens r.. of the batch that are of one state. */
typedef struct {
    uint64_t id;
    const void *state;
    int row, n, from, to; /* rows; positions */
} stretch;

static int next_part(stretch *part, const vb_batch *b, int row)
{
    if (row >= b->tokens) return 0;
    part->id = b->rows[row].state_id;
    part->state = b->rows[row].state;
    part->row = row;
    part->from = b->rows[row].position;
    for (part->n = 1; row + part->n < b->tokens && b->rows[row + part->n].state_id == part->id;) part->n++;
    part->to = b->rows[row + part->n - 1].position + 1;
    return 1;
}

static int wants_of(const vb_batch *b, vb_gpu_want *wants)
{
    int n = 0;
    stretch part;
    for (int r = 0; next_part(&part, b, r); r += part.n) wants[n++] = (vb_gpu_want){part.id, part.to};
    return n;
}

static int all_pages(const vb_gpu_want *wants, int n)
{
    int pages = 0;
    for (int i = 0; i < n; i++) pages += vb_gpu_pages_for(wants[i].positions);
    return pages;
}

static vb_status fit(vb_gpu_pages *p, const vb_batch *b, vb_err *err)
{
    vb_gpu_want wants[VB_GPU_MOST_ROWS];
    int n = wants_of(b, wants), missing = vb_gpu_table_fit(p->table, wants, n, 0);
    if (missing == 0) return VB_OK;
    int pages = p->pages + (missing > p->pages ? missing : p->pages), before = p->pages;
    if (before < p->most_pages) VB_TRY(remake(p, pages, before, err));
    if (vb_gpu_table_fit(p->table, wants, n, 1) == 0) return VB_OK;
    VB_FAIL(err, VB_E_MEMORY, "gpu: no room for keys and values of %d positions, there is for %d",
            all_pages(wants, n) * VB_GPU_PAGE, p->pages * VB_GPU_PAGE);
}

static vb_status fit_mirrors(vb_gpu_pages *p, int rows, vb_err *err)
{
    vb_status status = VB_OK;
    if (rows <= p->mirror_rows) return VB_OK;
    free_mirrors(p);
    for (int i = 0; i < p->plan->n_slots && status == VB_OK; i++) {
        shelf *s = &p->slots[i];
        if (!p->on[i]) continue;
        status = vb_gpu_alloc(&s->mirror, p->gpu, VB_GPU_DOWN, s->mirror_row * (uint64_t)rows, err);
        s->at.mirror = (vb_gpu_range){&s->mirror, 0, s->mirror_row * (uint64_t)rows};
    }
    if (status < 0) free_mirrors(p);
    else p->mirror_rows = rows;
    return status;
}

/* --- upload ------------------------------------------------------------------------------------------------------ */

/* Pages that wait in the staging buffer. */
typedef struct {
    vb_gpu_pages *p;
    vb_gpu_tape *tape;
    uint64_t used;
} upload;

static vb_status flush(upload *u, vb_err *err)
{
    vb_status status = VB_OK;
    if (u->tape == NULL) return VB_OK;
    VB_TRY_OUT(status, vb_gpu_tape_end(u->tape, err));
    VB_TRY_OUT(status, vb_gpu_play(u->p->gpu, u->tape, u->used, err));
    VB_TRY_OUT(status, vb_gpu_wait(u->p->gpu, err));
out:
    vb_gpu_tape_close(u->tape);
    u->tape = NULL;
    u->used = 0;
    return status;
}

/* Where the host writes a page that goes to `to`. */
static vb_status place(upload *u, vb_gpu_range to, uint8_t **host, vb_err *err)
{
    if (to.buffer->host != NULL) {
        *host = to.buffer->host + to.at;
        return VB_OK;
    }
    if (u->used + to.bytes > u->p->staging.bytes) VB_TRY(flush(u, err));
    if (u->tape == NULL) VB_TRY(vb_gpu_tape_open(&u->tape, u->p->gpu, err));
    *host = u->p->staging.host + u->used;
    VB_TRY(vb_gpu_tape_copy(u->tape, to, (vb_gpu_range){&u->p->staging, u->used, to.bytes}, err));
    u->used += to.bytes;
    return VB_OK;
}

/* n rows of `bytes`. */
static void copy(uint8_t *to, size_t to_stride, const uint8_t *from, size_t from_stride, size_t bytes, int n)
{
    if (to_stride == bytes && from_stride == bytes) memcpy(to, from, (size_t)n * bytes);
    else
        for (; n > 0; n--, to += to_stride, from += from_stride) memcpy(to, from, bytes);
}

/* What is to be uploaded: positions below `end` of a page of one state in one slot. */
typedef struct {
    const vb_batch *batch;
    const void *state;
    int slot, end, index;
    uint32_t page;
} sheet;

static vb_status upload_page(upload *u, const sheet *sh, int values, vb_err *err)
{
    const shelf *s = &u->p->slots[sh->slot];
    vb_gpu_range to = values ? s->at.values : s->at.keys;
    uint8_t *host;
    int first = sh->index * VB_GPU_PAGE, n = sh->end - first < VB_GPU_PAGE ? sh->end - first : VB_GPU_PAGE;
    size_t row = values ? s->at.value_row : s->at.key_row;
    to.bytes = values ? s->value_page : s->key_page;
    to.at += sh->page * to.bytes;
    VB_TRY(place(u, to, &host, err));
    for (int h = 0; h < s->heads; h++, host += VB_GPU_PAGE * row) {
        vb_head_rows from = sh->batch->head(sh->state, sh->slot, h);
        const uint8_t *value = from.values + (size_t)first * from.value_stride;
        if (values) copy(host, row, value, from.value_stride, s->value_bytes, n);
        else vb_keys_get(from.keys, first, n, host, row, s->key_bytes, u->p->kv);
    }
    return VB_OK;
}

/* Positions valid .. end - 1; pages that are begun are uploaded as a whole. */
static vb_status upload_part(upload *u, const vb_batch *b, const stretch *part, int slot, int end, vb_err *err)
{
    int valid = vb_gpu_table_valid(u->p->table, part->id, slot), n = vb_gpu_pages_for(end);
    vb_status status = VB_OK;
    if (valid >= end) return VB_OK;
    uint32_t *pages = malloc((size_t)n * sizeof *pages);
    if (pages == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory for %d pages", n);
    vb_gpu_table_pages(u->p->table, part->id, pages, n);
    for (int i = valid / VB_GPU_PAGE; i < n && status == VB_OK; i++) {
        sheet sh = {b, part->state, slot, end, i, pages[i]};
        status = upload_page(u, &sh, 0, err);
        if (status == VB_OK) status = upload_page(u, &sh, 1, err);
    }
    free(pages);
    return status;
}

/* --- sections ---------------------------------------------------------------------------------------------------- */

static const vb_step *step_of(const vb_gpu_pages *p, int step)
{
    const vb_step *s = &p->plan->steps[step];
    return vb_gpu_attends(s) ? s : NULL;
}

/* Positions that have to be on the device before the step: its own too, if they were made elsewhere. */
static int before(const vb_gpu_pages *p, int from, int step, const stretch *part)
{
    const vb_step *s = step_of(p, step);
    if (s->op == VB_OP_ATTEND) return part->from;
    for (int i = from; i < step; i++) {
        const vb_step *maker = step_of(p, i);
        if (maker != NULL && maker->op == VB_OP_ATTEND && maker->u.attend.slot == s->u.attend.slot) return part->from;
    }
    return part->to;
}

/* Afterwards the device has all that the steps read and do not write themselves. */
static vb_status bring(vb_gpu_pages *p, const vb_batch *b, int from, int n, vb_err *err)
{
    upload u = {.p = p};
    vb_status status = VB_OK;
    stretch part;
    for (int r = 0; next_part(&part, b, r) && status == VB_OK; r += part.n)
        for (int i = from; i < from + n && status == VB_OK; i++)
            if (step_of(p, i) != NULL)
                status = upload_part(&u, b, &part, p->plan->steps[i].u.attend.slot, before(p, from, i, &part), err);
    if (status == VB_OK) status = flush(&u, err);
    vb_gpu_tape_close(u.tape);
    for (int r = 0; next_part(&part, b, r) && status == VB_OK; r += part.n)
        for (int i = from; i < from + n; i++)
            if (step_of(p, i) != NULL)
                vb_gpu_table_fill(p->table, part.id, p->plan->steps[i].u.attend.slot, before(p, from, i, &part));
    return status;
}

static int has_slots(const vb_gpu_pages *p, int from, int n)
{
    int some = 0;
    for (int i = from; i < from + n; i++) some += step_of(p, i) != NULL;
    return some > 0;
}

vb_status vb_gpu_pages_begin(vb_gpu_pages *p, const vb_batch *batch, int from, int n, int bucket, vb_err *err)
{
    if (!has_slots(p, from, n)) return VB_OK;
    vb_status status = batch->tokens <= VB_GPU_MOST_ROWS ? VB_OK : VB_E_MEMORY;
    if (status == VB_OK) status = vb_gpu_pages_reserve(p, batch->kv, err);
    if (status == VB_OK) status = fit_mirrors(p, bucket, err);
    if (status == VB_OK) status = fit(p, batch, err);
    if (status == VB_OK) status = bring(p, batch, from, n, err);
    return status;
}

static void mirror_back(const vb_gpu_pages *p, const vb_batch *b, const stretch *part, int slot_number)
{
    const shelf *s = &p->slots[slot_number];
    size_t row = (size_t)s->mirror_row;
    const uint8_t *from = s->mirror.host + (size_t)part->row * row, *values = from + (size_t)s->heads * s->at.key_row;
    for (int h = 0; h < s->heads; h++, from += s->at.key_row, values += s->at.value_row) {
        vb_head_rows to = b->head(part->state, slot_number, h);
        vb_keys_put(to.keys, part->from, part->n, from, row, s->key_bytes, p->kv);
        copy(to.values + (size_t)part->from * to.value_stride, to.value_stride, values, row, s->value_bytes, part->n);
    }
}

void vb_gpu_pages_end(vb_gpu_pages *p, const vb_batch *batch, int from, int n)
{
    stretch part;
    for (int r = 0; next_part(&part, batch, r); r += part.n)
        for (int i = from; i < from + n; i++) {
            const vb_step *s = step_of(p, i);
            if (s == NULL || s->op != VB_OP_ATTEND) continue;
            mirror_back(p, batch, &part, s->u.attend.slot);
            vb_gpu_table_fill(p->table, part.id, s->u.attend.slot, part.to);
        }
}

void vb_gpu_pages_forget(vb_gpu_pages *p, uint64_t state_id, int from)
{
    vb_gpu_table_forget(p->table, state_id, from);
}

/* --- for tapes --------------------------------------------------------------------------------------------------- */

uint32_t vb_gpu_pages_generation(const vb_gpu_pages *p)
{
    return p->generation;
}

const vb_gpu_slot *vb_gpu_pages_slot(const vb_gpu_pages *p, int slot)
{
    return &p->slots[slot].at;
}

int vb_gpu_pages_words(const vb_batch *batch)
{
    int words = 0;
    stretch part;
    for (int r = 0; next_part(&part, batch, r); r += part.n) words += vb_gpu_pages_for(part.to);
    return words;
}

void vb_gpu_pages_tables(const vb_gpu_pages *p, const vb_batch *batch, uint32_t *rows, uint32_t *tables)
{
    int at = 0;
    stretch part;
    for (int r = 0; next_part(&part, batch, r); r += part.n) {
        vb_gpu_table_pages(p->table, part.id, tables + at, vb_gpu_pages_for(part.to));
        for (int i = 0; i < part.n; i++) rows[(r + i) * VB_GPU_ROW_WORDS + 3] = (uint32_t)at;
        at += vb_gpu_pages_for(part.to);
    }
}
