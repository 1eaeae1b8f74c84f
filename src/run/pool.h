/* pool.h - a fixed team of threads for the steps of a plan, and the machine it runs on.
 *
 * A run cuts its work into numbered tiles; worker w begins with a contiguous share of them and then helps the others.
 * Who does a tile depends on timing, what is in it must not. Tiles may not depend on each other. A pool serves one
 * caller at a time.
 */
#ifndef VB_RUN_POOL_H
#define VB_RUN_POOL_H
#include "base/err.h"

typedef struct vb_pool vb_pool;
/* worker: 0 is the caller, others are threads of the pool. */
typedef void vb_tile(void *ctx, int tile, int worker);

/* Workers are pinned to the physical cores this process may use; more threads than cores run unpinned. */
vb_status vb_pool_open(vb_pool **out, int threads, vb_err *err);
void vb_pool_close(vb_pool *pool);
int vb_pool_threads(const vb_pool *pool);
/* Calls tile(ctx, i, worker) once for each i in [0, tiles); returns when all are done. */
void vb_pool_run(vb_pool *pool, vb_tile *tile, void *ctx, int tiles);

/* What this process may use, by the affinity of the calling thread and the quota of its cgroup. */
typedef struct {
    int cores, threads; /* physical cores; hardware threads without regard to the quota */
    int packages, numa_nodes;
    uint64_t l2_bytes, l3_bytes; /* of all caches of that level; 0: unknown */
} vb_topology;
void vb_topology_read(vb_topology *out);
int vb_topology_cores(void); /* at least 1 */

#endif
