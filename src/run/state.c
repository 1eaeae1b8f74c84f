/* state.c - one reservation of address space for all slots and memories of a session (see state.h). */
#include "run/state.h"

#include "base/kv.h"
#include "base/os.h"

#include <stdlib.h>
#include <string.h>

static vb_status place_memories(vb_state *s, size_t *end, vb_err *err)
{
    size_t at = 0;
    s->memories = malloc(((size_t)s->plan->n_memories + 1) * sizeof *s->memories);
    if (s->memories == NULL) VB_FAIL(err, VB_E_MEMORY, "session: out of memory for %d layers", s->plan->n_memories);
    for (int i = 0; i < s->plan->n_memories; i++) {
        s->memories[i] = at;
        at += (size_t)s->plan->memories[i].floats * sizeof(float);
    }
    s->shelf_bytes = (at + 63) / 64 * 64;
    if (__builtin_add_overflow(*end, 63, end) ||
        __builtin_add_overflow(s->shelves = *end / 64 * 64, VB_MEMORIES_KEPT * s->shelf_bytes, end))
        VB_FAIL(err, VB_E_MEMORY, "session: %d positions do not fit the address space", s->context);
    return VB_OK;
}

static size_t row_bytes(const vb_state *s, int dim)
{
    return (size_t)vb_kv_row_bytes(dim, s->kv);
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
        if (__builtin_mul_overflow(heads, s->places, &rows) ||
            __builtin_mul_overflow(rows, row_bytes(s, slot->dim_k) + row_bytes(s, slot->dim_v), &rows) ||
            __builtin_add_overflow(at, rows, &at))
            VB_FAIL(err, VB_E_MEMORY, "session: %d positions do not fit the address space", s->context);
    }
    VB_TRY(place_memories(s, &at, err));
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
    s->places = vb_key_places(context);
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
    vb_state_forget(s, 0);
    vb_pages_release(s->pages, s->bytes);
    free(s->slots);
    free(s->memories);
    free(s);
}

void vb_state_forget(const vb_state *s, int from)
{
    if (s->device.ops != NULL) s->device.ops->forget(s->device.self, s->id, from);
}

/* --- memories -------------------------------------------------------------------------------------------------- */

static uint8_t *shelf(const vb_state *s, int i)
{
    return s->pages + s->shelves + (size_t)i * s->shelf_bytes;
}

static int find(const vb_state *s, int position)
{
    for (int i = 0; i < VB_MEMORIES_KEPT; i++)
        if (position > 0 && s->held[i] == position) return i;
    return -1;
}

static void forget_after(vb_state *s, int position)
{
    for (int i = 0; i < VB_MEMORIES_KEPT; i++)
        if (s->held[i] > position) s->held[i] = 0;
}

int vb_state_start(const vb_state *s, int n)
{
    int best = 0;
    if (s->plan->n_memories == 0) return n;
    for (int i = 0; i < VB_MEMORIES_KEPT; i++)
        if (s->held[i] <= n && s->held[i] > best) best = s->held[i];
    return best;
}

/* What giving up a shelf may cost: tokens that would return to it, times those evaluated again, by how long ago. So
 * positions that stay lie the farther apart the older they are. */
static double worth(const vb_state *s, int shelf, int end)
{
    int at = s->held[shelf], before = 0, after = end;
    for (int i = 0; i < VB_MEMORIES_KEPT; i++) {
        if (s->held[i] < at && s->held[i] > before) before = s->held[i];
        if (s->held[i] > at && s->held[i] < after) after = s->held[i];
    }
    return (double)(at - before) * (double)(after - at) / (double)(end - at);
}

/* A shelf for memories of position `end`, behind all others. */
static int clear_shelf(vb_state *s, int end)
{
    int best = -1;
    for (int i = 0; i < VB_MEMORIES_KEPT; i++) {
        if (s->held[i] == 0) return i;
        if (i == s->from || s->held[i] == s->safe) continue;
        if (best < 0 || worth(s, i, end) < worth(s, best, end)) best = i;
    }
    s->held[best] = 0;
    return best;
}

void vb_state_keep(vb_state *s, int position)
{
    s->safe = position;
}

vb_status vb_state_begin(vb_state *s, int from, int to, vb_err *err)
{
    if (s->plan->n_memories == 0) return VB_OK;
    s->from = find(s, from);
    if (from > 0 && s->from < 0)
        VB_FAIL(err, VB_E_ARGUMENT, "evaluation at position %d: expected one where memories are kept, found %d", from,
                vb_state_start(s, from));
    forget_after(s, from);
    s->to = clear_shelf(s, to);
    return VB_OK;
}

void vb_state_end(vb_state *s, int to)
{
    if (s->plan->n_memories > 0) s->held[s->to] = to;
}

const float *vb_state_before(const vb_state *s, int memory)
{
    return s->from < 0 ? NULL : (const float *)(const void *)(shelf(s, s->from) + s->memories[memory]);
}

float *vb_state_after(const vb_state *s, int memory)
{
    return (float *)(void *)(shelf(s, s->to) + s->memories[memory]);
}

/* --- keys and values ------------------------------------------------------------------------------------------- */

vb_head_rows vb_state_head(const vb_state *s, int slot, int head)
{
    const vb_slot *shape = &s->plan->slots[slot];
    size_t k = row_bytes(s, shape->dim_k), v = row_bytes(s, shape->dim_v), places = s->places;
    uint8_t *keys = s->pages + s->slots[slot];
    uint8_t *values = keys + places * (size_t)shape->kv_heads * k;
    return (vb_head_rows){keys + places * (size_t)head * k, values + places * (size_t)head * v, k, v};
}

vb_status vb_state_copy(vb_state *to, const vb_state *from, int n, vb_err *err)
{
    if (n > to->context || to->kv != from->kv || to->plan != from->plan)
        VB_FAIL(err, VB_E_ARGUMENT, "copy of %d positions: expected a session of the same kind with room, found %d "
                "positions", n, to->context);
    to->stop = 0;
    vb_state_forget(to, 0);
    for (int slot = 0; slot < from->plan->n_slots; slot++)
        for (int head = 0; head < from->plan->slots[slot].kv_heads; head++) {
            vb_head_rows a = vb_state_head(to, slot, head), b = vb_state_head(from, slot, head);
            memcpy(a.keys, b.keys, vb_key_places(n) * a.key_stride);
            memcpy(a.values, b.values, (size_t)n * a.value_stride);
        }
    for (int i = 0; i < VB_MEMORIES_KEPT; i++) {
        to->held[i] = from->held[i] <= n ? from->held[i] : 0;
        if (to->held[i] > 0) memcpy(shelf(to, i), shelf(from, i), from->shelf_bytes);
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
                if (values) memcpy(buf, h.values + (size_t)from * stride, (size_t)n * stride);
                else vb_keys_get(h.keys, from, n, buf, stride, stride, s->kv);
                buf += (size_t)n * stride;
            }
    int kept = find(s, from + n);
    if (kept >= 0) memcpy(buf, shelf(s, kept), (size_t)vb_memory_bytes(s->plan));
}

void vb_state_put(vb_state *s, int from, int n, const uint8_t *buf, int held)
{
    s->stop = 0;
    vb_state_forget(s, from);
    for (int slot = 0; slot < s->plan->n_slots; slot++)
        for (int values = 0; values < 2; values++)
            for (int head = 0; head < s->plan->slots[slot].kv_heads; head++) {
                vb_head_rows h = vb_state_head(s, slot, head);
                size_t stride = values ? h.value_stride : h.key_stride;
                if (values) memcpy(h.values + (size_t)from * stride, buf, (size_t)n * stride);
                else vb_keys_put(h.keys, from, n, buf, stride, stride, s->kv);
                buf += (size_t)held * stride;
            }
    if (s->plan->n_memories == 0) return;
    forget_after(s, from);
    s->from = -1;
    int to = clear_shelf(s, from + n);
    memcpy(shelf(s, to), buf, (size_t)vb_memory_bytes(s->plan));
    s->held[to] = from + n;
}
