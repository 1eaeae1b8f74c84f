/* machine.c - the machine as verbatim sees it, and the kernels checked on it. */
#include "check/kernelcheck.h"
#include "run/pool.h"
#include "simd/cpu.h"
#include "simd/kernels.h"

#include "base/fp.h"
#include "base/os.h"

#include <string.h>

static void list_isas(char *buf, size_t cap)
{
    const vb_kernels *k;
    size_t used = 0;
    buf[0] = 0;
    for (int i = 0; (k = vb_kernels_at(i)) != NULL; i++) {
        const vb_kernels *usable;
        if (vb_kernels_for(&usable, k->isa, NULL) < 0 || used >= cap) continue;
        used += (size_t)snprintf(buf + used, cap - used, "%s%s", used > 0 ? " " : "", k->isa);
    }
}

VB_API void vb_machine_describe(vb_machine *out)
{
    vb_topology t;
    memset(out, 0, sizeof *out);
    vb_topology_read(&t);
    vb_cpu_name(out->cpu, sizeof out->cpu);
    vb_cpu_features(out->features, sizeof out->features);
    list_isas(out->isas, sizeof out->isas);
    out->cores = t.cores;
    out->threads = t.threads;
    out->packages = t.packages;
    out->numa_nodes = t.numa_nodes;
    out->l2_bytes = t.l2_bytes;
    out->l3_bytes = t.l3_bytes;
    vb_memory_read(&out->memory_bytes, &out->available_bytes);
}

/* Seconds are enough for a user who asks; kernelcheck, the test, leaves nothing out. */
enum { ONE_IN = 12 };

VB_API vb_status vb_kernel_check(const char *isa, uint64_t seed, int64_t *checks, vb_err *err)
{
    vb_check_counts counts = {0};
    vb_check_opts opts = {.isa = isa, .seed = seed, .every = ONE_IN};
    uint64_t fp = vb_fp_enter();
    vb_status s = vb_check_kernels(&opts, &counts, err);
    vb_fp_leave(fp);
    if (checks != NULL) *checks = counts.made;
    return s;
}
