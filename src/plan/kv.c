/* kv.c - how large the keys and values of a plan are, and its memories. */
#include "base/kv.h"
#include "plan/player.h"

uint64_t vb_kv_bytes(const vb_plan *plan, int context, vb_kv kv)
{
    uint64_t bytes = 0;
    for (int i = 0; i < plan->n_slots; i++) {
        const vb_slot *s = &plan->slots[i];
        bytes += vb_kv_row_bytes(s->kv_heads * s->dim_k, kv) + vb_kv_row_bytes(s->kv_heads * s->dim_v, kv);
    }
    return bytes * (uint64_t)context;
}

uint64_t vb_memory_bytes(const vb_plan *plan)
{
    uint64_t floats = 0;
    for (int i = 0; i < plan->n_memories; i++) floats += (uint64_t)plan->memories[i].floats;
    return floats * sizeof(float);
}

vb_status vb_kv_check(const vb_plan *plan, vb_kv kv, vb_err *err)
{
    if (kv != VB_KV_Q8_0) return VB_OK;
    for (int i = 0; i < plan->n_slots; i++) {
        const vb_slot *s = &plan->slots[i];
        int bad = s->dim_k % 32 != 0 ? s->dim_k : s->dim_v % 32 != 0 ? s->dim_v : 0;
        if (bad != 0)
            VB_FAIL(err, VB_E_UNSUPPORTED, "KV type q8_0: layer %d: expected a head size that is a multiple of 32, "
                    "found %d", s->layer, bad);
    }
    return VB_OK;
}
