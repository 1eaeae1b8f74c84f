/* isa_portable.c - the kernels for any processor: plain C vectors. They are not the oracle, but checked against it like
 * all others.
 */
#include "simd/kernels.h"

#include <math.h>

#include "simd/vec_portable.h"
#include "simd/dot_portable.h"
#define VB_ISA portable
#include "simd/t_table.inc"
