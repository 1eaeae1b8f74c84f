/* away.c - sections of the plan performed on a device (plan/device.h), and looked after here.
 *
 *   section    the steps of one layer, or those before or behind all layers, if the device takes every one of them
 *
 *   together   section after section, with nothing crossing to host memory between them
 *   alone      where somebody wants to be asked between steps, or some steps are verified
 *   by steps   where a tap looks on, or a step of the section is verified: the device's result stays, the same step is
 *              performed here, and both must have the same bytes
 *
 * Inputs of a section stand in host memory. So whatever the device does not do is done here with the same bits. That a
 * number is not finite is not believed either: the section is performed here, and the error is the cpu player's own.
 */
#include "run/cpu.h"

#include "base/kv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- sections -------------------------------------------------------------------------------------------------- */

static int takes(const vb_cpu *p, const vb_stage *stage)
{
    const vb_device *d = &p->opts.device;
    for (int i = 0; i < stage->steps; i++)
        if (!d->ops->takes(d->self, stage->first + i)) return 0;
    return 1;
}

static int n_steps(const vb_cpu *p, int i, int stages)
{
    const vb_stage *last = &p->stages[i + stages - 1];
    return last->first + last->steps - p->stages[i].first;
}

void vb_cpu_away_find(vb_cpu *p)
{
    p->chance = 1;
    for (int i = 0, end; p->opts.device.ops != NULL && i < p->n_stages; i = end) {
        int all = takes(p, &p->stages[i]);
        for (end = i + 1; end < p->n_stages && !p->stages[end].begins; end++) all &= takes(p, &p->stages[end]);
        p->stages[i].away = all ? end - i : 0;
        for (int k = p->stages[i].first; all && k < p->stages[i].first + n_steps(p, i, end - i); k++)
            snprintf(p->names[k], sizeof p->names[k], "%s/gpu", vb_op_name(p->plan->steps[k].op));
    }
}

/* Stages from i on that are performed together. */
static int reach(vb_cpu *p, int i)
{
    int end = i + p->stages[i].away;
    if (p->watched || p->pausable || p->opts.verify > 0.0f) return end - i;
    while (end < p->n_stages && p->stages[end].away > 0 && vb_hard_choice(p->hard, 1)) end += p->stages[end].away;
    return end - i;
}

static uint64_t n_sections(const vb_cpu *p, int i, int stages)
{
    uint64_t n = 0;
    for (int k = 0; k < stages; k++) n += (uint64_t)p->stages[i + k].begins;
    return n;
}

/* --- the batch ------------------------------------------------------------------------------------------------- */

static float *value(const void *player, vb_val v, int row)
{
    return vb_cpu_value(player, v, row);
}

static vb_head_rows head(const void *state, int slot, int h)
{
    return vb_state_head(state, slot, h);
}

/* The device is told of each token in its own words; 0: their states differ in kind. */
static int describe(const vb_cpu *p, vb_batch *out, vb_device_row *rows)
{
    for (int r = 0; r < p->tokens; r++) {
        const vb_row *row = &p->rows[r];
        if (row->state->kv != p->rows[0].state->kv) return 0;
        rows[r] = (vb_device_row){row->id, row->position, row->last, row->state, row->state->id};
    }
    *out = (vb_batch){.rows = rows, .tokens = p->tokens, .wanted = p->wanted, .n_wanted = p->n_wanted,
                      .kv = p->rows[0].state->kv, .ropes = (const float *)(const void *)(p->scratch + p->at.ropes),
                      .rope_floats = p->rope_floats, .rope_at = p->rope_at, .player = p, .value = value, .head = head};
    return 1;
}

/* 1: performed. 0: it has to be done here. */
static int perform(vb_cpu *p, int from, int n, vb_err *err)
{
    const vb_device *d = &p->opts.device;
    vb_batch batch;
    vb_device_row *rows = (vb_device_row *)(void *)(p->scratch + p->at.device_rows);
    vb_err why = {0};
    if (!describe(p, &batch, rows)) return 0;
    vb_status s = d->ops->perform(d->self, &batch, from, n, &why);
    if (s == VB_OK) return 1;
    if (s == VB_E_UNSUPPORTED || s == VB_E_FORMAT) return 0;
    if (err != NULL) *err = why;
    return s;
}

/* --- verifying ------------------------------------------------------------------------------------------------- */

/* Which steps are computed once more: the given share of them, by a generator of its own (xorshift). */
static int is_chosen(vb_cpu *p)
{
    p->chance ^= p->chance << 13;
    p->chance ^= p->chance >> 7;
    p->chance ^= p->chance << 17;
    return (float)(p->chance >> 40) < p->opts.verify * 0x1p24f;
}

/* Keys and values that the step stored for row r, behind each other; returns their bytes. */
static size_t stored(const vb_cpu *p, const vb_step *s, int r, uint8_t *to)
{
    const vb_row *row = &p->rows[vb_cpu_row_of(p, s->out, r)];
    size_t at = 0, position = (size_t)row->position;
    for (int h = 0; s->op == VB_OP_ATTEND && h < s->u.attend.kv_heads; h++) {
        vb_head_rows kv = vb_state_head(row->state, s->u.attend.slot, h);
        if (to != NULL)
            vb_keys_get(kv.keys, row->position, 1, to + at, kv.key_stride, kv.key_stride, row->state->kv);
        at += kv.key_stride;
        if (to != NULL) memcpy(to + at, kv.values + position * kv.value_stride, kv.value_stride);
        at += kv.value_stride;
    }
    return at;
}

/* The first difference of row r from what the device gave, or VB_OK. */
static vb_status compare(const vb_cpu *p, const vb_step *s, int r, const uint8_t *device, vb_err *err)
{
    const float *x = vb_cpu_value(p, s->out, r);
    int width = vb_cpu_width(p, s->out), i = 0, position = p->rows[vb_cpu_row_of(p, s->out, r)].position;
    const char *name = s->weight != NULL ? s->weight->name : "no tensor";
    float theirs;
    if (memcmp(x, device, (size_t)width * sizeof *x) == 0) return VB_OK;
    while (memcmp(x + i, device + (size_t)i * sizeof *x, sizeof *x) == 0) i++;
    memcpy(&theirs, device + (size_t)i * sizeof theirs, sizeof theirs);
    VB_FAIL(err, VB_E_DIFFERS, "%s: step %s (%s, layer %d) at position %d: element %d: expected %a (%.9g), found %a (%.9g)",
            p->opts.device.ops->name(p->opts.device.self), vb_op_name(s->op), name, s->layer, position, i, (double)x[i],
            (double)x[i], (double)theirs, (double)theirs);
}

static vb_status compare_stored(const vb_cpu *p, const vb_step *s, int r, const uint8_t *device, uint8_t *ours, vb_err *err)
{
    size_t bytes = stored(p, s, r, ours), i = 0;
    if (bytes == 0 || memcmp(ours, device, bytes) == 0) return VB_OK;
    while (ours[i] == device[i]) i++;
    VB_FAIL(err, VB_E_DIFFERS, "%s: step %s (layer %d) at position %d: keys and values: byte %zu: expected %d, found %d",
            p->opts.device.ops->name(p->opts.device.self), vb_op_name(s->op), s->layer,
            p->rows[vb_cpu_row_of(p, s->out, r)].position, i, ours[i], device[i]);
}

/* The step has been performed on the device; performs it here too. */
static vb_status verify(vb_cpu *p, const vb_step *s, int *failed, vb_err *err)
{
    int rows = vb_cpu_rows(p, s->out);
    size_t row = (size_t)vb_cpu_width(p, s->out) * sizeof(float), kv = rows > 0 ? stored(p, s, 0, NULL) : 0;
    uint8_t *device = malloc((size_t)(rows + 1) * (row + kv));
    vb_status status = VB_OK;
    if (device == NULL) VB_FAIL(err, VB_E_MEMORY, "verification: out of memory for %d rows", rows);
    for (int r = 0; r < rows; r++) {
        memcpy(device + (size_t)r * (row + kv), vb_cpu_value(p, s->out, r), row);
        stored(p, s, r, device + (size_t)r * (row + kv) + row);
    }
    if (rows > 0) status = vb_cpu_play_step(p, s, failed, err);
    for (int r = 0; r < rows && status == VB_OK; r++) {
        const uint8_t *theirs = device + (size_t)r * (row + kv);
        status = compare(p, s, r, theirs, err);
        if (status == VB_OK)
            status = compare_stored(p, s, r, theirs + row, device + (size_t)rows * (row + kv), err);
    }
    free(device);
    return status;
}

/* --- playing --------------------------------------------------------------------------------------------------- */

/* Where the device does not take a step, the rest of the section is done here. */
static vb_status by_steps(vb_cpu *p, int i, const uint8_t *chosen, int *failed, vb_err *err)
{
    int first = p->stages[i].first, n = n_steps(p, i, p->stages[i].away), away = 1;
    for (int k = 0; k < n; k++) {
        const vb_step *s = &p->plan->steps[first + k];
        if (away) away = perform(p, first + k, 1, err);
        if (away < 0) return (vb_status)away;
        if (!away) VB_TRY(vb_cpu_play_step(p, s, failed, err));
        else if (chosen[k]) VB_TRY(verify(p, s, failed, err));
        VB_TRY(vb_cpu_show(p, s, err));
    }
    p->sections[away]++;
    return VB_OK;
}

/* 1: one of n steps is chosen to be verified. */
static int choose(vb_cpu *p, uint8_t *chosen, int n)
{
    int some = 0;
    for (int k = 0; k < n; k++) some |= chosen[k] = p->opts.verify > 0.0f && is_chosen(p);
    return some;
}

vb_status vb_cpu_away(vb_cpu *p, int i, int *done, int *failed, vb_err *err)
{
    int stages = reach(p, i), n = n_steps(p, i, stages);
    uint8_t *chosen = p->scratch + p->at.chosen;
    int away = 1, by_step = choose(p, chosen, n_steps(p, i, p->stages[i].away));
    if (by_step || p->watched || vb_hard_choice(p->hard, 0)) {
        *done = p->stages[i].away;
        return by_steps(p, i, chosen, failed, err);
    }
    if (vb_hard_choice(p->hard, 1)) away = perform(p, p->stages[i].first, n, err);
    else away = 0;
    if (away < 0) return (vb_status)away;
    if (!away) return VB_OK;
    *done = stages;
    p->sections[1] += n_sections(p, i, stages);
    return VB_OK;
}
