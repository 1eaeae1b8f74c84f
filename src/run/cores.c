/* cores.c - cores without a library: opening a model must not cost the milliseconds of a full look at the machine.
 *
 *   affinity    sched_getaffinity
 *   siblings    /sys/devices/system/cpu/cpuN/topology/thread_siblings_list, as "0,64" or "0-1"
 *   quota       cgroup 2: cpu.max, "quota period" or "max period"
 *               cgroup 1: cpu.cfs_quota_us (-1: none), cpu.cfs_period_us
 *
 * Each cgroup above ours limits us too. /proc/self/cgroup may name a path that the container does not see; then only
 * the visible root is left, which is ours.
 */
#include "run/cores.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_line(const char *path, char *line, int cap)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) return 0;
    int ok = fgets(line, cap, f) != NULL;
    fclose(f);
    return ok;
}

/* --- affinity and siblings ---------------------------------------------------------------------------------- */

static int has(const vb_cpus *c, int cpu)
{
    return CPU_ISSET_S((size_t)cpu, sizeof *c, c->set) != 0;
}

int vb_cpus_allowed(vb_cpus *out)
{
    memset(out, 0, sizeof *out);
    return sched_getaffinity(0, sizeof *out, out->set) == 0;
}

static void move(int cpu, vb_cpus *from, vb_cpus *to)
{
    CPU_CLR_S((size_t)cpu, sizeof *from, from->set);
    CPU_SET_S((size_t)cpu, sizeof *to, to->set);
}

/* Where the system tells nothing of siblings, a hardware thread is a core. */
static void take_siblings(int cpu, vb_cpus *left, vb_cpus *core)
{
    char path[96], line[256], *at = line;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    if (!read_line(path, line, sizeof line)) return;
    while (*at >= '0' && *at <= '9') {
        long from = strtol(at, &at, 10), to = from;
        if (*at == '-') to = strtol(at + 1, &at, 10);
        for (long i = from; i <= to && i < VB_MOST_CPUS; i++)
            if (has(left, (int)i)) move((int)i, left, core);
        if (*at == ',') at++;
    }
}

int vb_cpus_take_core(vb_cpus *left, vb_cpus *core)
{
    int cpu = 0;
    memset(core, 0, sizeof *core);
    while (cpu < VB_MOST_CPUS && !has(left, cpu)) cpu++;
    if (cpu == VB_MOST_CPUS) return 0;
    move(cpu, left, core);
    take_siblings(cpu, left, core);
    return 1;
}

int vb_cores_allowed(void)
{
    vb_cpus left, core;
    int n = 0;
    if (!vb_cpus_allowed(&left)) return 1;
    while (vb_cpus_take_core(&left, &core)) n++;
    return n > 0 ? n : 1;
}

int vb_cores_usable(void)
{
    int cores = vb_cores_allowed(), paid = vb_cgroup_cores("");
    return paid > 0 && paid < cores ? paid : cores;
}

/* --- the quota ------------------------------------------------------------------------------------------------ */

static int pays_for(long long quota, long long period)
{
    if (quota <= 0 || period <= 0) return INT_MAX;
    long long cores = quota / period + (quota % period != 0);
    return cores < INT_MAX ? (int)cores : INT_MAX;
}

/* What one directory of a hierarchy of either version says. */
static int quota_of(const char *dir)
{
    char path[PATH_MAX + 32], line[64];
    long long quota = 0, period = 0;
    snprintf(path, sizeof path, "%s/cpu.max", dir);
    if (read_line(path, line, sizeof line))
        return sscanf(line, "%lld %lld", &quota, &period) == 2 ? pays_for(quota, period) : INT_MAX;
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", dir);
    if (read_line(path, line, sizeof line)) quota = strtoll(line, NULL, 10);
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", dir);
    if (read_line(path, line, sizeof line)) period = strtoll(line, NULL, 10);
    return pays_for(quota, period);
}

/* The least of a group and all above it, up to where the hierarchy is mounted. */
static int least_quota(const char *root, const char *mount, const char *group)
{
    char dir[PATH_MAX];
    int n = snprintf(dir, sizeof dir, "%s/sys/fs/cgroup%s%s", root, mount, group), least = INT_MAX;
    size_t top = strlen(root) + strlen("/sys/fs/cgroup") + strlen(mount);
    if (n < 0 || (size_t)n >= sizeof dir) return INT_MAX;
    for (;;) {
        int here = quota_of(dir);
        if (here < least) least = here;
        if (strlen(dir) <= top) return least;
        *strrchr(dir, '/') = 0;
    }
}

static int names_cpu(const char *controllers)
{
    for (const char *c = controllers; c != NULL; c = strchr(c, ',')) {
        if (*c == ',') c++;
        size_t n = strcspn(c, ",");
        if (n == 3 && strncmp(c, "cpu", n) == 0) return 1;
    }
    return 0;
}

/* One line of /proc/self/cgroup, "4:cpu,cpuacct:/group" or, of version 2, "0::/group". */
static int quota_of_line(const char *root, char *line)
{
    char mount[128], *controllers = strchr(line, ':'), *group;
    line[strcspn(line, "\n")] = 0;
    if (controllers == NULL || (group = strchr(++controllers, ':')) == NULL) return INT_MAX;
    *group++ = 0;
    if (*controllers == 0) {
        int plain = least_quota(root, "", group), hybrid = least_quota(root, "/unified", group);
        return plain < hybrid ? plain : hybrid;
    }
    if (!names_cpu(controllers)) return INT_MAX;
    snprintf(mount, sizeof mount, "/%s", controllers);
    int joint = least_quota(root, mount, group), alone = least_quota(root, "/cpu", group);
    return joint < alone ? joint : alone;
}

int vb_cgroup_cores(const char *root)
{
    char path[PATH_MAX], line[PATH_MAX];
    int least = INT_MAX, n = snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *f = n > 0 && (size_t)n < sizeof path ? fopen(path, "re") : NULL;
    if (f == NULL) return 0;
    while (fgets(line, sizeof line, f) != NULL) {
        int here = quota_of_line(root, line);
        if (here < least) least = here;
    }
    fclose(f);
    return least == INT_MAX ? 0 : least;
}
