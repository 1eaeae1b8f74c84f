/* qualify.c - the device performs every operation that steps are made of (probes.h), this machine does the same, and
 * all words have to be equal.
 *
 *   up     x, y, z of each domain | a word of ones          written by the host
 *   down   64 Ki words of each operation | the note          written by the device: one tape, played once
 *
 * It is done with each opening of a device: a driver may have been replaced, and it takes less time than the first
 * weights. What a device does not offer (subnormal numbers, the integer dot product) is not asked, because no step will
 * ask it there.
 */
#include "gpu/qualify.h"

#include "base/fp.h"
#include "gpu/probes.h"

#include <stdlib.h>
#include <string.h>

enum { WORDS = VB_PROBE_CASES, BYTES = 4 * VB_PROBE_CASES, GROUP = 64, NUMBER_OP = 2 };

typedef struct {
    vb_gpu *gpu;
    vb_gpu_buffer up, down;
    vb_gpu_tape *tape;
    uint32_t *operands; /* what is in up: the device's memory may be slow to read */
    int subnormals;
} trial;

static int is_asked(const trial *t, const vb_probe *p)
{
    if (p->needs == VB_PROBE_NEEDS_DOT) return vb_gpu_facts_of(t->gpu)->integer_dot;
    return p->needs == VB_PROBE_NEEDS_NOTHING || t->subnormals;
}

static vb_gpu_range operand(const trial *t, const vb_probe *p, int which)
{
    return (vb_gpu_range){&t->up, (uint64_t)(3 * (int)p->domain + which) * BYTES, BYTES};
}

static vb_gpu_range note_of(const trial *t)
{
    return (vb_gpu_range){&t->down, (uint64_t)vb_n_probes * BYTES, 4};
}

static vb_status put_on_tape(const trial *t, int i, vb_err *err)
{
    const vb_probe *p = &vb_probes[i];
    vb_gpu_dispatch d = {.shader = VB_SHADER_PROBE, .x = WORDS / GROUP};
    if (p->needs == VB_PROBE_NEEDS_DOT) d.shader = VB_SHADER_PROBE_DOT;
    else d.variant[0] = vb_probe_part(p);
    d.c[NUMBER_OP] = p->op;
    d.range[VB_GPU_A] = operand(t, p, 0);
    d.range[VB_GPU_B] = operand(t, p, 1);
    d.range[VB_GPU_W] = operand(t, p, 2);
    d.range[VB_GPU_OUT] = (vb_gpu_range){&t->down, (uint64_t)i * BYTES, BYTES};
    d.range[VB_GPU_NOTES] = note_of(t);
    return vb_gpu_tape_dispatch(t->tape, &d, err);
}

static uint32_t *operands_of(const trial *t, int domain)
{
    return t->operands + (size_t)3 * (size_t)domain * WORDS;
}

static vb_status perform(trial *t, vb_err *err)
{
    uint64_t ones = (uint64_t)3 * VB_PROBE_DOMAINS * BYTES;
    t->operands = malloc(ones);
    if (t->operands == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory");
    VB_TRY(vb_gpu_alloc(&t->up, t->gpu, VB_GPU_UP, ones + 4, err));
    VB_TRY(vb_gpu_alloc(&t->down, t->gpu, VB_GPU_DOWN, (uint64_t)vb_n_probes * BYTES + 4, err));
    for (int d = 0; d < VB_PROBE_DOMAINS; d++) vb_probe_fill(operands_of(t, d), (vb_probe_domain)d);
    memcpy(t->up.host, t->operands, ones);
    memset(t->up.host + ones, 0xff, 4);
    VB_TRY(vb_gpu_tape_open(&t->tape, t->gpu, err));
    VB_TRY(vb_gpu_tape_copy(t->tape, note_of(t), (vb_gpu_range){&t->up, ones, 4}, err));
    for (int i = 0; i < vb_n_probes; i++)
        if (is_asked(t, &vb_probes[i])) VB_TRY(put_on_tape(t, i, err));
    VB_TRY(vb_gpu_tape_end(t->tape, err));
    VB_TRY(vb_gpu_play(t->gpu, t->tape, (uint64_t)vb_n_probes * 4 * BYTES, err));
    return vb_gpu_wait(t->gpu, err);
}

/* What came of one operation; the operands are those of the first case that differs. */
typedef struct {
    const char *name;
    int tried, different;
    uint32_t x, y, z, found, right;
} probed;

static probed compare(const trial *t, int i)
{
    const vb_probe *p = &vb_probes[i];
    const uint32_t *x = operands_of(t, (int)p->domain), *y = x + WORDS, *z = y + WORDS;
    const uint32_t *out = (const uint32_t *)(const void *)(t->down.host + (size_t)i * BYTES);
    probed made = {.name = p->name, .tried = is_asked(t, p) ? WORDS : 0};
    for (int k = 0; k < made.tried; k++) {
        uint32_t right = vb_probe_answer(p, x, (uint32_t)k);
        if (vb_probe_agrees(p, out[k], right, t->subnormals) || made.different++ > 0) continue;
        made.x = x[k];
        made.y = y[k];
        made.z = z[k];
        made.found = out[k];
        made.right = right;
    }
    return made;
}

/* Which value is the first that is not finite is said in the notes (A3), not where results are. */
static probed compare_note(const trial *t)
{
    const uint32_t *x = operands_of(t, VB_PROBE_EDGES);
    probed made = {.name = "the first that is not finite", .tried = WORDS};
    while ((x[made.right] & 0x7f800000u) != 0x7f800000u) made.right++;
    memcpy(&made.found, t->down.host + note_of(t).at, sizeof made.found);
    made.different = made.found != made.right;
    return made;
}

static vb_status judge(const trial *t, vb_err *err)
{
    probed bad = {.name = NULL};
    for (int i = 0; i <= vb_n_probes; i++) {
        probed p = i < vb_n_probes ? compare(t, i) : compare_note(t);
        if (p.different > 0 && bad.name == NULL) bad = p;
    }
    if (bad.name == NULL) return VB_OK;
    VB_FAIL(err, VB_E_UNSUPPORTED,
            "gpu: %s: refused, for it does not compute %s as every machine has to: expected 0x%08x, found 0x%08x "
            "(x 0x%08x, y 0x%08x, z 0x%08x; %d of %d cases)",
            vb_gpu_facts_of(t->gpu)->name, bad.name, bad.right, bad.found, bad.x, bad.y, bad.z, bad.different,
            bad.tried);
}

vb_status vb_gpu_qualify(vb_gpu *g, vb_err *err)
{
    trial t = {.gpu = g, .subnormals = vb_gpu_keeps_subnormals(g)};
    uint64_t old = vb_fp_enter();
    vb_status s = perform(&t, err);
    if (s >= 0) s = judge(&t, err);
    vb_gpu_tape_close(t.tape);
    vb_gpu_free(g, &t.up);
    vb_gpu_free(g, &t.down);
    free(t.operands);
    vb_fp_leave(old);
    return s;
}
