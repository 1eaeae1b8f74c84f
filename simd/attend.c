/* attend.c - the shapes of what attention works on (simd/kernels.h). */
#include "simd/kernels.h"

#include <math.h>
#include <string.h>

static int up_to_16(int n)
{
    return (n + 15) / 16 * 16;
}

int vb_sums_floats(int dim_v)
{
    return VB_SUMS_O + up_to_16(dim_v);
}

void vb_sums_clear(float *sums, int dim_v)
{
    memset(sums, 0, (size_t)vb_sums_floats(dim_v) * sizeof *sums);
    sums[VB_SUMS_M] = -INFINITY;
}

/* Weights of each query; half of a chunk's keys or a block of its values as floats; copies of queries that are no
 * whole vectors. */
int vb_group_floats(int n, int dim_k)
{
    int keys = VB_CHUNK / 2 * up_to_16(dim_k), values = VB_CHUNK * 64;
    return n * (VB_CHUNK + up_to_16(dim_k)) + (keys > values ? keys : values);
}
