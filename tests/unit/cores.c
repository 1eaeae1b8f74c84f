/* cores.c - tests of run/cores: what cgroups of both versions pay for, told by directories made for the test. */
#include "run/cores.h"

#include "base/os.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char root[] = "/tmp/verbatim-cores-XXXXXX";

static void make_root(void)
{
    cr_assert_not_null(mkdtemp(root));
}

static void remove_root(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    if (system(command) != 0) cr_log_warn("%s stays", root);
}

TestSuite(cores, .init = make_root, .fini = remove_root);

/* A file below the root, with its directories. */
static void put(const char *name, const char *text)
{
    char path[600], dir[600];
    vb_err err;
    snprintf(path, sizeof path, "%s/%s", root, name);
    strcpy(dir, path);
    *strrchr(dir, '/') = 0;
    cr_assert_eq(vb_dir_make(dir, &err), VB_OK, "%s", err.text);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f, "%s", path);
    cr_assert(fputs(text, f) >= 0);
    fclose(f);
}

Test(cores, no_cgroups)
{
    cr_assert_eq(vb_cgroup_cores(root), 0);
    put("proc/self/cgroup", "0::/\n");
    cr_assert_eq(vb_cgroup_cores(root), 0);
    put("proc/self/cgroup", "nonsense\n\n:::\n7:cpu\n");
    cr_assert_eq(vb_cgroup_cores(root), 0);
}

Test(cores, version_2)
{
    put("proc/self/cgroup", "0::/system/service\n");
    put("sys/fs/cgroup/system/service/cpu.max", "max 100000\n");
    cr_assert_eq(vb_cgroup_cores(root), 0);
    put("sys/fs/cgroup/system/service/cpu.max", "300000 100000\n");
    cr_assert_eq(vb_cgroup_cores(root), 3);
    put("sys/fs/cgroup/system/service/cpu.max", "250001 100000\n");
    cr_assert_eq(vb_cgroup_cores(root), 3, "parts of a core are rounded up");
    put("sys/fs/cgroup/system/service/cpu.max", "1000 100000\n");
    cr_assert_eq(vb_cgroup_cores(root), 1);
    put("sys/fs/cgroup/system/service/cpu.max", "0 0\n");
    cr_assert_eq(vb_cgroup_cores(root), 0);
}

Test(cores, groups_above_limit_too)
{
    put("proc/self/cgroup", "0::/system/service\n");
    put("sys/fs/cgroup/system/service/cpu.max", "800000 100000\n");
    put("sys/fs/cgroup/system/cpu.max", "150000 100000\n");
    cr_assert_eq(vb_cgroup_cores(root), 2);
}

Test(cores, a_path_that_a_container_does_not_see)
{
    put("proc/self/cgroup", "0::/kubepods/pod1/abc\n");
    put("sys/fs/cgroup/cpu.max", "400000 100000\n");
    cr_assert_eq(vb_cgroup_cores(root), 4);
}

Test(cores, version_1)
{
    put("proc/self/cgroup", "9:cpuset:/\n4:cpu,cpuacct:/job\n1:name=systemd:/\n");
    put("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "50000\n");
    put("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n");
    cr_assert_eq(vb_cgroup_cores(root), 0);
    put("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "250000\n");
    cr_assert_eq(vb_cgroup_cores(root), 5);
    put("proc/self/cgroup", "9:cpuset:/job\n4:cpuacct:/job\n");
    cr_assert_eq(vb_cgroup_cores(root), 0, "other controllers say nothing");
}

Test(cores, both_versions_side_by_side)
{
    put("proc/self/cgroup", "2:cpu:/a\n0::/b\n");
    put("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
    put("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "700000\n");
    put("sys/fs/cgroup/unified/b/cpu.max", "600000 100000\n");
    cr_assert_eq(vb_cgroup_cores(root), 6);
}

Test(cores, affinity)
{
    vb_cpus allowed, core;
    cr_assert(vb_cpus_allowed(&allowed));
    cr_assert(vb_cpus_take_core(&allowed, &core));
    cr_assert_eq(sched_setaffinity(0, sizeof core, core.set), 0);
    cr_assert_eq(vb_cores_allowed(), 1);
    cr_assert_eq(vb_cores_usable(), 1);
}
