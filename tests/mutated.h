/* mutated.h - a model file with one hyper-parameter changed: it must be refused with a reason, or run, and then the cpu
 * player and the oracle agree on every bit or on the reason.
 */
#ifndef VB_TESTS_MUTATED_H
#define VB_TESTS_MUTATED_H
#include "arch/arch.h"
#include "base/fp.h"
#include "oracle/oracle.h"
#include "run/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MUTATIONS = 8, MUTATED_TOKENS = 3, MUTATED_CONTEXT = 8 };

static size_t mutated_bytes(vb_gguf_type type)
{
    static const size_t bytes[VB_GGUF_TYPES] = {
        [VB_GGUF_U8] = 1,  [VB_GGUF_I8] = 1,   [VB_GGUF_U16] = 2, [VB_GGUF_I16] = 2, [VB_GGUF_U32] = 4, [VB_GGUF_I32] = 4,
        [VB_GGUF_F32] = 4, [VB_GGUF_BOOL] = 1, [VB_GGUF_U64] = 8, [VB_GGUF_I64] = 8, [VB_GGUF_F64] = 8};
    return bytes[type];
}

/* One value of n bytes: 0, 1, -1, the largest, 2, one more, one less, half. */
static void mutated_integer(uint8_t *at, size_t n, int which)
{
    uint64_t old = 0, most = UINT64_MAX >> (65 - 8 * n);
    memcpy(&old, at, n);
    uint64_t values[MUTATIONS] = {0, 1, UINT64_MAX, most, 2, old + 1, old - 1, old / 2};
    memcpy(at, &values[which], n);
}

static void mutated_real(uint8_t *at, size_t n, int which)
{
    static const double values[MUTATIONS] = {0.0, 1.0, -1.0, 3.4e38, HUGE_VAL, (double)NAN, 1e-37, 1e9};
    float small = (float)values[which];
    memcpy(at, n == sizeof small ? (const void *)&small : (const void *)&values[which], n);
}

/* Changes the i-th value of an entry in the bytes it was opened from; 0: strings stay. */
static int mutate(const vb_gguf_entry *e, uint64_t i, int which)
{
    size_t n = mutated_bytes(e->item);
    uint8_t *at = (uint8_t *)(uintptr_t)e->data + i * n;
    if (n == 0 || i >= e->n) return 0;
    if (e->item == VB_GGUF_BOOL)
        *at = (uint8_t)(which & 1);
    else if (e->item == VB_GGUF_F32 || e->item == VB_GGUF_F64)
        mutated_real(at, n, which);
    else
        mutated_integer(at, n, which);
    return 1;
}

typedef struct {
    vb_gguf *g;
    vb_arena arena;
    vb_params params;
    vb_tensors tensors;
    vb_plan plan;
} mutated;

static vb_status mutated_open(mutated *m, const char *bytes, size_t size, vb_err *err)
{
    memset(m, 0, sizeof *m);
    VB_TRY(vb_gguf_open_memory(&m->g, (const uint8_t *)bytes, size, "input", err));
    VB_TRY(vb_params_read(&m->params, m->g, &m->arena, err));
    VB_TRY(vb_tensors_open(&m->tensors, m->g, &m->arena, err));
    const vb_arch *arch = vb_arch_find(m->params.arch);
    if (arch == NULL) VB_FAIL(err, VB_E_UNSUPPORTED, "input: no family %s", m->params.arch);
    VB_TRY(arch->settle(&m->params, err));
    vb_plan_start(&m->plan, &m->tensors, &m->params);
    arch->emit(&m->plan, &m->params);
    VB_TRY(vb_plan_finish(&m->plan, err));
    return vb_tensors_unused(&m->tensors, err);
}

static void mutated_close(mutated *m)
{
    vb_plan_free(&m->plan);
    vb_arena_free(&m->arena);
    vb_gguf_close(m->g);
}

static vb_status mutated_play(const mutated *m, const vb_player *type, float *logits, vb_err *err)
{
    static const vb_token ids[MUTATED_TOKENS] = {1, 5, 2};
    void *player = NULL, *state = NULL;
    vb_status s = vb_kv_check(&m->plan, VB_KV_F16, err);
    if (s == VB_OK) s = type->open(&player, &m->plan, &(vb_play_opts){.threads = 1}, err);
    if (s == VB_OK) s = type->state_open(&state, player, MUTATED_CONTEXT, VB_KV_F16, err);
    vb_part part = {.state = state, .ids = ids, .n = MUTATED_TOKENS, .logits = logits, .want = 1};
    if (s == VB_OK) s = type->eval(player, &part, 1, err);
    if (state != NULL) type->state_close(state);
    if (player != NULL) type->close(player);
    return s;
}

/* 1: refused or run as it should be; else `why` says what is wrong. by: who else must say the same, NULL: nobody. */
static int mutated_judge(const char *bytes, size_t size, const vb_player *by, char *why, size_t cap)
{
    mutated m;
    vb_err err = {0}, theirs = {0};
    uint64_t fp = vb_fp_enter();
    vb_status s = mutated_open(&m, bytes, size, &err), t = s;
    size_t n = s == VB_OK ? (size_t)m.plan.values[m.plan.output].width : 0;
    float *found = calloc(n + 1, sizeof *found), *expected = calloc(n + 1, sizeof *expected);
    if (s == VB_OK && by != NULL) t = mutated_play(&m, by, expected, &theirs);
    if (s == VB_OK) s = mutated_play(&m, &vb_cpu_player, found, &err);
    if (by == NULL) t = s;
    int same = by == NULL || s != VB_OK || memcmp(found, expected, n * sizeof *found) == 0;
    int right = s == t && same && (s == VB_OK || err.text[0] != 0);
    snprintf(why, cap, "cpu: %d %s; %s: %d %s", s, err.text, by != NULL ? by->name : "nobody", t, theirs.text);
    free(found);
    free(expected);
    mutated_close(&m);
    vb_fp_leave(fp);
    return right;
}

#endif
