/* cores.h - how many cores this process may use, and which: affinity mask, siblings, cgroup quota. */
#ifndef VB_RUN_CORES_H
#define VB_RUN_CORES_H
#include <sched.h>

enum { VB_CPU_SETS = 8, VB_MOST_CPUS = VB_CPU_SETS * CPU_SETSIZE };

typedef struct {
    cpu_set_t set[VB_CPU_SETS];
} vb_cpus;

/* The hardware threads that the calling thread may run on; 0: unknown. */
int vb_cpus_allowed(vb_cpus *out);
/* Moves the hardware threads of the first core out of `left` into `core`; 0: none is left. */
int vb_cpus_take_core(vb_cpus *left, vb_cpus *core);
int vb_cores_allowed(void); /* physical, by affinity; at least 1 */
/* Allowed physical cores, but no more than the quota pays for; at least 1. */
int vb_cores_usable(void);
/* Cores that the cgroup's quota of processor time pays for, rounded up; 0: no quota. `root` stands for "/". */
int vb_cgroup_cores(const char *root);

#endif
