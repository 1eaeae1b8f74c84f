/* topology.c - hwloc's view of the machine, cut down to what the affinity mask allows. */
#include "run/topology.h"

#include "run/pool.h"

hwloc_topology_t vb_topology_open(hwloc_bitmap_t *mask)
{
    hwloc_topology_t t = NULL;
    *mask = hwloc_bitmap_alloc();
    if (*mask == NULL || hwloc_topology_init(&t) != 0) {
        hwloc_bitmap_free(*mask);
        return NULL;
    }
    if (hwloc_topology_load(t) != 0 || hwloc_get_cpubind(t, *mask, HWLOC_CPUBIND_THREAD) != 0) {
        vb_topology_close(t, *mask);
        return NULL;
    }
    return t;
}

void vb_topology_close(hwloc_topology_t topology, hwloc_bitmap_t mask)
{
    if (topology == NULL) return;
    hwloc_bitmap_free(mask);
    hwloc_topology_destroy(topology);
}

int vb_topology_core(hwloc_topology_t topology, hwloc_const_bitmap_t mask, int i, hwloc_bitmap_t set)
{
    hwloc_obj_t core = NULL;
    while ((core = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, core)) != NULL) {
        if (!hwloc_bitmap_intersects(core->cpuset, mask) || i-- > 0) continue;
        hwloc_bitmap_and(set, core->cpuset, mask);
        return 1;
    }
    return 0;
}

static int count(hwloc_topology_t t, hwloc_const_bitmap_t mask, hwloc_obj_type_t type)
{
    int n = 0;
    hwloc_obj_t o = NULL;
    while ((o = hwloc_get_next_obj_by_type(t, type, o)) != NULL)
        n += o->cpuset != NULL && hwloc_bitmap_intersects(o->cpuset, mask);
    return n;
}

static uint64_t cache_bytes(hwloc_topology_t t, hwloc_const_bitmap_t mask, hwloc_obj_type_t type)
{
    uint64_t bytes = 0;
    hwloc_obj_t o = NULL;
    while ((o = hwloc_get_next_obj_by_type(t, type, o)) != NULL)
        if (hwloc_bitmap_intersects(o->cpuset, mask)) bytes += o->attr->cache.size;
    return bytes;
}

void vb_topology_read(vb_topology *out)
{
    hwloc_bitmap_t mask;
    hwloc_topology_t t = vb_topology_open(&mask);
    *out = (vb_topology){.cores = 1, .threads = 1, .packages = 1, .numa_nodes = 1};
    if (t == NULL) return;
    int cores = count(t, mask, HWLOC_OBJ_CORE), threads = count(t, mask, HWLOC_OBJ_PU);
    int packages = count(t, mask, HWLOC_OBJ_PACKAGE), nodes = count(t, mask, HWLOC_OBJ_NUMANODE);
    if (threads > 0) out->threads = threads;
    out->cores = cores > 0 ? cores : out->threads;
    if (packages > 0) out->packages = packages;
    if (nodes > 0) out->numa_nodes = nodes;
    out->l2_bytes = cache_bytes(t, mask, HWLOC_OBJ_L2CACHE);
    out->l3_bytes = cache_bytes(t, mask, HWLOC_OBJ_L3CACHE);
    vb_topology_close(t, mask);
}

int vb_topology_cores(void)
{
    vb_topology t;
    vb_topology_read(&t);
    return t.cores;
}
