/* state.c - one reservation of address space for all slots of a session (see state.h). */
#include "run/state.h"

#include "base/os.h"

#include <stdlib.h>
#include <string.h>

static size_t row_bytes(vb_kv kv, int dim)
{
    if (kv == VB_KV_F32) return (size_t)dim * 4;
    if (kv == VB_KV_Q8_0) return (size_t)dim / 32 * 34;
    return (size_t)dim * 2;
}

static vb_status place_slots(vb_state *s, vb_err *err)
{
    size_t at = 0;
    s->slots = malloc(((size_t)s->plan->n_slots + 1) * sizeof *s->slots);
    if (s->slots == NULL) VB_FAIL(err, VB_E_MEMORY, "session: out of memory for %d layers", s->plan->n_slots);
    for (int i = 0; i < s->plan->n_slots; i++) {
        const vb_slot *slot = &s->plan->slots[i];
        size_t heads = (size_t)slot->kv_heads, rows;
        s->slots[i] = at;
        if (__builtin_mul_overflow(heads, (size_t)s->context, &rows) ||
            __builtin_mul_overflow(rows, row_bytes(s->kv, slot->dim_k) + row_bytes(s->kv, slot->dim_v), &rows) ||
            __builtin_add_overflow(at, rows, &at))
            VB_FAIL(err, VB_E_MEMORY, "session: %d positions do not fit the address space", s->context);
    }
    s->bytes = at;
    s->pages = vb_pages_reserve(at);
    if (s->pages == NULL) VB_FAIL(err, VB_E_MEMORY, "session: out of memory for %d positions", s->context);
    return VB_OK;
}

vb_status vb_state_open(vb_state **out, const vb_plan *plan, int context, vb_kv kv, vb_err *err)
{
    *out = NULL;
    VB_TRY(vb_kv_check(plan, kv, err));
    vb_state *s = calloc(1, sizeof *s);
    if (s == NULL) VB_FAIL(err, VB_E_MEMORY, "session: out of memory");
    s->plan = plan;
    s->context = context;
    s->kv = kv;
    vb_status status = place_slots(s, err);
    if (status < 0) {
        vb_state_close(s);
        return status;
    }
    *out = s;
    return VB_OK;
}

void vb_state_close(vb_state *s)
{
    if (s == NULL) return;
    vb_pages_release(s->pages, s->bytes);
    free(s->slots);
    free(s);
}

vb_head_rows vb_state_head(const vb_state *s, int slot, int head)
{
    const vb_slot *shape = &s->plan->slots[slot];
    size_t k = row_bytes(s->kv, shape->dim_k), v = row_bytes(s->kv, shape->dim_v), context = (size_t)s->context;
    uint8_t *keys = s->pages + s->slots[slot];
    uint8_t *values = keys + context * (size_t)shape->kv_heads * k;
    return (vb_head_rows){keys + context * (size_t)head * k, values + context * (size_t)head * v, k, v};
}

vb_status vb_state_copy(vb_state *to, const vb_state *from, int n, vb_err *err)
{
    if (n > to->context || to->kv != from->kv || to->plan != from->plan)
        VB_FAIL(err, VB_E_ARGUMENT, "copy of %d positions: expected a session of the same kind with room, found %d "
                "positions", n, to->context);
    for (int slot = 0; slot < from->plan->n_slots; slot++)
        for (int head = 0; head < from->plan->slots[slot].kv_heads; head++) {
            vb_head_rows a = vb_state_head(to, slot, head), b = vb_state_head(from, slot, head);
            memcpy(a.keys, b.keys, (size_t)n * a.key_stride);
            memcpy(a.values, b.values, (size_t)n * a.value_stride);
        }
    return VB_OK;
}

void vb_state_get(const vb_state *s, int from, int n, uint8_t *buf)
{
    for (int slot = 0; slot < s->plan->n_slots; slot++)
        for (int values = 0; values < 2; values++)
            for (int head = 0; head < s->plan->slots[slot].kv_heads; head++) {
                vb_head_rows h = vb_state_head(s, slot, head);
                size_t stride = values ? h.value_stride : h.key_stride;
                memcpy(buf, (values ? h.values : h.keys) + (size_t)from * stride, (size_t)n * stride);
                buf += (size_t)n * stride;
            }
}

void vb_state_put(vb_state *s, int from, int n, const uint8_t *buf, int held)
{
    for (int slot = 0; slot < s->plan->n_slots; slot++)
        for (int values = 0; values < 2; values++)
            for (int head = 0; head < s->plan->slots[slot].kv_heads; head++) {
                vb_head_rows h = vb_state_head(s, slot, head);
                size_t stride = values ? h.value_stride : h.key_stride;
                memcpy((values ? h.values : h.keys) + (size_t)from * stride, buf, (size_t)n * stride);
                buf += (size_t)held * stride;
            }
}
