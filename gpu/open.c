/* open.c - a device is chosen, proven, and given its part of a plan: what was asked for, what it can do, what fits.
 *
 *   list -> the best -> start -> qualify -> sections -> memory, section by section -> a device for the player
 *
 * How much memory that takes is said before any is taken. A section that gets no memory stays on the CPU.
 */
#include "gpu/gpu.h"

#include "base/log.h"
#include "gpu/offload.h"
#include "gpu/qualify.h"
#include "gpu/split.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DEVICES = 16, USUAL_CONTEXT = 4096 };

/* --- choosing ----------------------------------------------------------------------------------------------------- */

/* The larger the better; 0: a CPU, only if it is asked for; -1: it cannot be started, and says what it lacks if there is
 * no other. */
static int rank(const vb_gpu_facts *f)
{
    static const char *const types[] = {"other", "virtual", "integrated", "discrete"};
    for (int i = 0; i < 4 && f->lacks == NULL; i++)
        if (strcmp(f->type, types[i]) == 0) return i + 1;
    return f->lacks == NULL ? 0 : -1;
}

static int is_number(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* "1" of two is the second; "3060" a part of a name. */
static int is_named(const vb_gpu_facts *f, int index, int n, const char *device)
{
    if (is_number(device) && strtol(device, NULL, 10) < n) return strtol(device, NULL, 10) == index;
    return strcasestr(f->name, device) != NULL;
}

static vb_status choose(int *out, const vb_gpu_opts *o, vb_err *err)
{
    vb_gpu_facts facts[MOST_DEVICES];
    int n = vb_gpu_list(facts, MOST_DEVICES, err), best = -1;
    if (n < 0) return (vb_status)n;
    for (int i = 0; i < n && i < MOST_DEVICES; i++) {
        if (o->device != NULL && !is_named(&facts[i], i, n, o->device)) continue;
        if (o->device == NULL && !o->must && strcmp(facts[i].type, "cpu") == 0) continue;
        if (best < 0 || rank(&facts[i]) > rank(&facts[best])) best = i;
    }
    *out = best;
    if (best >= 0) return VB_OK;
    if (o->device != NULL)
        VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: expected a device \"%s\", found none among %d", o->device, n);
    VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: expected a device that is no CPU, found %d others", n);
}

/* --- what fits ---------------------------------------------------------------------------------------------------- */

typedef struct {
    vb_gpu_offload *o;
    vb_gpu_split split;
    const vb_gpu_opts *opts;
    uint8_t *slots; /* [n_slots] 1: on the device */
    uint64_t weights, kv, work, imported, budget;
    int context;
} opening;

static uint64_t budget_of(const vb_gpu_facts *f, const vb_gpu_opts *o)
{
    uint64_t room = f->free_bytes > 0 ? f->free_bytes / 10 * 9 : f->heap_bytes / 10 * 8;
    return o->budget_bytes > 0 && o->budget_bytes < room ? o->budget_bytes : room;
}

static int reads(const vb_step *steps, int n, const vb_tensor *t)
{
    for (int i = 0; i < n; i++)
        if ((steps[i].weight != NULL && vb_gpu_weights_same(steps[i].weight, t)) ||
            (steps[i].bias != NULL && vb_gpu_weights_same(steps[i].bias, t)))
            return 1;
    return 0;
}

/* Whether a section that gets its memory before the i-th reads the tensor. */
static int is_there(const opening *b, int i, const vb_tensor *t)
{
    for (int k = 0; k < i; k++) {
        const vb_gpu_section *s = vb_gpu_split_at(&b->split, k);
        if (s->asked && reads(b->o->plan->steps + s->first, s->n, t)) return 1;
    }
    return 0;
}

/* Bytes of tensors that only the i-th section brings: device memory, memory of files that is imported, all in files. */
typedef struct {
    uint64_t need, imported, all;
} brought;

static brought weights_of(const opening *b, int i)
{
    const vb_gpu_section *s = vb_gpu_split_at(&b->split, i);
    const vb_step *steps = b->o->plan->steps + s->first;
    brought sum = {0};
    for (int k = 0; k < 2 * s->n; k++) {
        const vb_tensor *t = k % 2 == 0 ? steps[k / 2].weight : steps[k / 2].bias;
        if (t == NULL || reads(steps, k / 2, t) || is_there(b, i, t)) continue;
        uint64_t need = vb_gpu_weights_need(b->o->weights, t), all = (uint64_t)t->rows * t->row_bytes;
        sum.need += need;
        sum.imported += need == 0 ? all : 0;
        sum.all += all;
    }
    return sum;
}

/* Of the first n sections. */
static uint64_t kv_of(const opening *b, int n)
{
    const vb_plan *plan = b->o->plan;
    vb_kv kv = b->opts->arith == VB_ARITH_F32 ? VB_KV_F32 : VB_KV_F16;
    memset(b->slots, 0, (size_t)plan->n_slots);
    for (int k = 0; k < n; k++) {
        const vb_gpu_section *s = vb_gpu_split_at(&b->split, k);
        for (int i = s->first; s->asked && i < s->first + s->n; i++)
            if (vb_gpu_attends(&plan->steps[i])) b->slots[plan->steps[i].u.attend.slot] = 1;
    }
    return vb_gpu_pages_need(plan, b->slots, kv, b->context);
}

static vb_status lacks(const opening *b, const vb_gpu_section *s, vb_err *err)
{
    const vb_step *step = &b->o->plan->steps[s->lacks];
    VB_FAIL(err, VB_E_UNSUPPORTED, "%s: expected a device that can do every step, found none of %s (%s, layer %d)",
            vb_gpu_facts_of(b->o->gpu)->name, vb_op_name(step->op),
            step->weight != NULL ? step->weight->name : "no tensor", step->layer);
}

static vb_status is_full(const opening *b, uint64_t need, vb_err *err)
{
    VB_FAIL(err, VB_E_MEMORY, "%s: expected room for %" PRIu64 " MB, found %" PRIu64 " MB", vb_gpu_facts_of(b->o->gpu)->name,
            (need >> 20) + 1, b->budget >> 20);
}

/* Leaves out what has no room, in the order of getting memory. *why gets the first reason. */
static vb_status fit(opening *b, vb_err *why)
{
    for (int i = 0; i < b->split.n; i++) {
        vb_gpu_section *s = vb_gpu_split_at(&b->split, i);
        if (!s->asked) continue;
        brought w = weights_of(b, i);
        uint64_t kv = kv_of(b, i + 1), need = b->weights + w.need + kv + b->work;
        s->asked = need <= b->budget;
        if (!s->asked && why->code == VB_OK) is_full(b, need, why);
        if (!s->asked) continue;
        b->weights += w.need;
        b->imported += w.imported;
        b->kv = kv;
    }
    b->kv = kv_of(b, b->split.n);
    return why->code;
}

/* Leaves out what the device cannot do. */
static vb_status look(opening *b, vb_err *why)
{
    vb_gpu_split_look(&b->split, b->o->gpu, b->o->weights);
    for (int i = 0; i < b->split.n; i++) {
        vb_gpu_section *s = &b->split.of[i];
        if (!s->asked || s->lacks < 0) continue;
        if (why->code == VB_OK) lacks(b, s, why);
        s->asked = 0;
    }
    return why->code;
}

static int mark_steps(const opening *b)
{
    int some = 0;
    memset(b->o->takes, 0, (size_t)b->o->plan->n_steps);
    for (int i = 0; i < b->split.n; i++)
        for (int k = 0; b->split.of[i].asked && k < b->split.of[i].n; k++)
            some = b->o->takes[b->split.of[i].first + k] = 1;
    return some;
}

/* The work area takes at most a quarter of the memory: batches are cut into smaller pieces. */
static vb_status plan_work(opening *b, vb_err *err)
{
    vb_gpu_work *w = &b->o->work;
    VB_TRY(vb_gpu_work_open(w, b->o->gpu, b->o->plan, b->o->takes, err));
    for (;; w->most_rows /= 2) {
        b->work = vb_gpu_work_need(w, (vb_gpu_shape){w->most_rows, 1, b->context / 64 + 1});
        if (b->work <= b->budget / 4 || w->most_rows == 1) return VB_OK;
    }
}

/* What is on the device, before it takes memory. */
static void say(const opening *b, const vb_err *why)
{
    char parts[256];
    const char *name = vb_gpu_facts_of(b->o->gpu)->name;
    vb_gpu_split_text(&b->split, parts, sizeof parts);
    vb_log(VB_LOG_NOTICE, "%s: %s: weights %.1f MB and %.1f MB imported, keys and values of %d tokens %.1f MB, work area "
           "%.1f MB; there is room for %.1f MB", name, parts, (double)b->weights / 1e6, (double)b->imported / 1e6, b->context,
           (double)b->kv / 1e6, (double)b->work / 1e6, (double)b->budget / 1e6);
    if (why->code != VB_OK) vb_log(VB_LOG_NOTICE, "the CPU computes the rest: %s", why->text);
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

static uint64_t all_weights(const opening *b)
{
    uint64_t sum = 0;
    for (int i = 0; i < b->split.n; i++)
        if (vb_gpu_split_at(&b->split, i)->asked) sum += weights_of(b, i).all;
    return sum;
}

/* Section by section. The first that gets no memory and all behind it are left out. */
static vb_status load(opening *b, vb_err *why, vb_err *err)
{
    vb_gpu_progress progress = {b->opts->progress, b->opts->ud, 0, all_weights(b)};
    for (int i = 0; i < b->split.n; i++) {
        vb_gpu_section *s = vb_gpu_split_at(&b->split, i);
        if (s->asked && why->code != VB_E_MEMORY) {
            vb_err full = {0};
            vb_status status = vb_gpu_weights_load(b->o->weights, b->o->plan->steps + s->first, s->n, &progress, &full);
            if (status == VB_OK) continue;
            if (status != VB_E_MEMORY) VB_FAIL(err, status, "%s", full.text);
            *why = full;
        }
        s->asked = 0;
    }
    vb_gpu_weights_loaded(b->o->weights);
    return VB_OK;
}

static vb_status take_pages(opening *b, vb_err *err)
{
    uint64_t rest = b->budget - b->weights - b->work;
    vb_gpu_pages_opts o = {.gpu = b->o->gpu, .plan = b->o->plan, .slots = b->slots, .positions = b->context};
    if (b->opts->budget_bytes > 0) o.most_bytes = rest;
    VB_TRY(vb_gpu_pages_open(&b->o->pages, &o, err));
    return vb_gpu_pages_reserve(b->o->pages, b->opts->arith == VB_ARITH_F32 ? VB_KV_F32 : VB_KV_F16, err);
}

static vb_status take_memory(opening *b, vb_err *err)
{
    vb_err why = {0};
    VB_TRY(take_pages(b, err));
    VB_TRY(load(b, &why, err));
    if (!mark_steps(b) || (why.code != VB_OK && b->opts->must)) VB_FAIL(err, why.code, "%s", why.text);
    if (why.code != VB_OK) vb_log(VB_LOG_WARNING, "%s; the CPU computes what is left", why.text);
    return VB_OK;
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static vb_status settle(opening *b, vb_err *err)
{
    const vb_gpu_opts *o = b->opts;
    vb_err why = {0};
    look(b, &why);
    if (why.code == VB_OK || !o->must) {
        mark_steps(b);
        VB_TRY(plan_work(b, err));
        fit(b, &why);
    }
    if (why.code != VB_OK && (o->must || !mark_steps(b))) VB_FAIL(err, why.code, "%s", why.text);
    if (!mark_steps(b)) VB_FAIL(err, VB_E_UNSUPPORTED, "gpu layers: expected some, found none in \"%s\"", o->layers);
    say(b, &why);
    return take_memory(b, err);
}

static vb_status open_parts(opening *b, vb_err *err)
{
    const vb_plan *plan = b->o->plan;
    b->budget = budget_of(vb_gpu_facts_of(b->o->gpu), b->opts);
    b->context = b->opts->context > 0 ? b->opts->context : USUAL_CONTEXT;
    b->slots = calloc((size_t)plan->n_slots + 1, 1);
    if (b->slots == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory for %d layers", plan->n_slots);
    vb_status s = settle(b, err);
    free(b->slots);
    return s;
}

static vb_status open_on(opening *b, const vb_plan *plan, vb_device *out, vb_err *err)
{
    int index;
    vb_gpu *g = NULL;
    VB_TRY(choose(&index, b->opts, err));
    VB_TRY(vb_gpu_start(&g, index, err));
    VB_TRY(vb_gpu_offload_open(&b->o, g, plan, b->opts->arith, err));
    vb_status s = vb_gpu_qualify(g, err);
    if (s == VB_OK) s = open_parts(b, err);
    if (s < 0) vb_gpu_offload_close(b->o);
    else *out = (vb_device){&vb_gpu_offload_ops, b->o};
    return s;
}

/* Behind the text of layers nothing is the caller's mistake: what the device does not give, it cannot do. */
vb_status vb_gpu_open(vb_device *out, const vb_plan *plan, const vb_gpu_opts *opts, vb_err *err)
{
    opening b = {.opts = opts};
    *out = (vb_device){0};
    VB_TRY(vb_gpu_split_open(&b.split, plan, err));
    vb_status s = vb_gpu_split_ask(&b.split, opts->layers != NULL ? opts->layers : opts->must ? "all" : "auto", err);
    if (s == VB_OK) {
        s = open_on(&b, plan, out, err);
        if (s < 0 && s != VB_E_MEMORY && s != VB_E_STOPPED) s = VB_E_UNSUPPORTED;
        if (s < 0 && err != NULL) err->code = s;
    }
    vb_gpu_split_close(&b.split);
    return s;
}
