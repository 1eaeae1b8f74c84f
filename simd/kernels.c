/* kernels.c - which tables this build has and which of them this machine can use. */
#include "simd/kernels.h"

#include "simd/cpu.h"

#include <stdlib.h>
#include <string.h>

extern const vb_kernels vb_kernels_portable;
#if defined(__x86_64__)
extern const vb_kernels vb_kernels_avx2, vb_kernels_avxvnni, vb_kernels_avx512;
#elif defined(__aarch64__)
extern const vb_kernels vb_kernels_neon;
#endif

static const vb_kernels *const tables[] = {
    &vb_kernels_portable,
#if defined(__x86_64__)
    &vb_kernels_avx2,
    &vb_kernels_avxvnni,
    &vb_kernels_avx512,
#elif defined(__aarch64__)
    &vb_kernels_neon,
#endif
};

enum { TABLES = sizeof tables / sizeof tables[0] };

const vb_kernels *vb_kernels_at(int i)
{
    return i < TABLES ? tables[i] : NULL;
}

static int index_of(const char *isa)
{
    for (int i = 0; i < TABLES; i++)
        if (strcmp(tables[i]->isa, isa) == 0) return i;
    return -1;
}

/* The highest table that may be used, by VERBATIM_CPU. */
static vb_status highest(int *out, vb_err *err)
{
    const char *cap = getenv("VERBATIM_CPU");
    *out = cap == NULL || cap[0] == 0 ? TABLES - 1 : index_of(cap);
    if (*out < 0) VB_FAIL(err, VB_E_ARGUMENT, "VERBATIM_CPU: expected an instruction set, found \"%s\"", cap);
    return VB_OK;
}

vb_status vb_kernels_for(const vb_kernels **out, const char *isa, vb_err *err)
{
    int top, i;
    *out = NULL;
    VB_TRY(highest(&top, err));
    if (isa == NULL) {
        for (i = top; !vb_cpu_has(tables[i]->isa);) i--;
        *out = tables[i];
        return VB_OK;
    }
    i = index_of(isa);
    if (i < 0) VB_FAIL(err, VB_E_UNSUPPORTED, "instruction set %s: this build has no kernels for it", isa);
    if (i > top) VB_FAIL(err, VB_E_UNSUPPORTED, "instruction set %s: VERBATIM_CPU excludes it", isa);
    if (!vb_cpu_has(isa)) VB_FAIL(err, VB_E_UNSUPPORTED, "instruction set %s: this processor lacks it", isa);
    *out = tables[i];
    return VB_OK;
}

/* Sizes of the parts of an activation, one behind the other; each is a multiple of 64 bytes. */
typedef struct {
    size_t q, pairs, d, sum, sum16, sum32;
} act_sizes;

static act_sizes sizes_of(int n)
{
    size_t padded = ((size_t)n + 511) / 512 * 512, blocks = padded / 32;
    size_t words = (blocks * 4 + 63) / 64 * 64;
    return (act_sizes){padded, padded, words, words, words, (blocks * 2 + 63) / 64 * 64};
}

size_t vb_act_bytes(int n)
{
    act_sizes s = sizes_of(n);
    return s.q + s.pairs + s.d + s.sum + s.sum16 + s.sum32;
}

/* The next part, of which quantising fills so many bytes; what lies behind is zero. */
static void *next_part(uint8_t **at, size_t bytes, size_t filled)
{
    uint8_t *part = *at;
    memset(part + filled, 0, bytes - filled);
    *at += bytes;
    return part;
}

void vb_act_place(vb_act *a, void *memory, int n)
{
    act_sizes s = sizes_of(n);
    uint8_t *at = memory;
    size_t whole = (size_t)n / 512 * 512, blocks = whole / 32;
    *a = (vb_act){.n = n};
    a->q = next_part(&at, s.q, whole);
    a->pairs = next_part(&at, s.pairs, whole);
    a->d = next_part(&at, s.d, blocks * 4);
    a->sum = next_part(&at, s.sum, blocks * 4);
    a->sum16 = next_part(&at, s.sum16, blocks * 4);
    a->sum32 = next_part(&at, s.sum32, blocks * 2);
}

/* At most 11 words of four bytes for each 32 columns, or 93 for each 256; a float for each of 16. */
size_t vb_strip_bytes(vb_act_kind kind, int n)
{
    return kind == VB_ACT_F32 ? ((size_t)n + 15) / 16 * 64 : ((size_t)n + 31) / 32 * 48;
}

/* A panel holds at most 32 rows. For each 256 columns: bytes of weights, scales and mins of 16 sub-blocks, and for
 * each 32 the two floats of a block. Or they are floats, with 64 bytes between accumulators (t_floats.inc). */
size_t vb_panel_bytes(int n)
{
    enum { ROWS = 32, BYTES = 256 + 16 * 4 + 16 * 2 + 8 * 2 * 4 };
    size_t blocks = ((size_t)n + 255) / 256 * ROWS * BYTES;
    size_t floats = (((size_t)n + 15) / 16 * ROWS + 16) * 64;
    return blocks > floats ? blocks : floats;
}
