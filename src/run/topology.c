/* topology.c - hwloc's view of the machine, cut down to what the affinity mask allows. A full look takes milliseconds,
 * so only those who ask for a description pay for it; the pool makes do with cores.c.
 */
#include "run/cores.h"
#include "run/pool.h"

#include <hwloc.h>

static hwloc_topology_t look(hwloc_bitmap_t *mask)
{
    hwloc_topology_t t = NULL;
    *mask = hwloc_bitmap_alloc();
    if (*mask == NULL || hwloc_topology_init(&t) != 0) {
        hwloc_bitmap_free(*mask);
        return NULL;
    }
    if (hwloc_topology_load(t) != 0 || hwloc_get_cpubind(t, *mask, HWLOC_CPUBIND_THREAD) != 0) {
        hwloc_bitmap_free(*mask);
        hwloc_topology_destroy(t);
        return NULL;
    }
    return t;
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
    hwloc_topology_t t = look(&mask);
    *out = (vb_topology){.cores = vb_cores_usable(), .threads = 1, .packages = 1, .numa_nodes = 1};
    if (t == NULL) return;
    int threads = count(t, mask, HWLOC_OBJ_PU), packages = count(t, mask, HWLOC_OBJ_PACKAGE);
    int nodes = count(t, mask, HWLOC_OBJ_NUMANODE);
    if (threads > 0) out->threads = threads;
    if (packages > 0) out->packages = packages;
    if (nodes > 0) out->numa_nodes = nodes;
    out->l2_bytes = cache_bytes(t, mask, HWLOC_OBJ_L2CACHE);
    out->l3_bytes = cache_bytes(t, mask, HWLOC_OBJ_L3CACHE);
    hwloc_bitmap_free(mask);
    hwloc_topology_destroy(t);
}

int vb_topology_cores(void)
{
    return vb_cores_usable();
}
