/* topology.h - the cores this process may use, for pool.c. */
#ifndef VB_RUN_TOPOLOGY_H
#define VB_RUN_TOPOLOGY_H
#include <hwloc.h>

/* NULL: not known. *mask: the hardware threads that the calling thread may run on. */
hwloc_topology_t vb_topology_open(hwloc_bitmap_t *mask);
void vb_topology_close(hwloc_topology_t topology, hwloc_bitmap_t mask);
/* Hardware threads of the i-th allowed core, into `set`; 0 if there is none. */
int vb_topology_core(hwloc_topology_t topology, hwloc_const_bitmap_t mask, int i, hwloc_bitmap_t set);

#endif
