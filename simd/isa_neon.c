/* isa_neon.c - the kernels for AArch64 with dotprod (armv8.2). This file alone is compiled with
 * -march=armv8.2-a+dotprod.
 */
#include "simd/kernels.h"

#include <math.h>

#include "base/canon.h"
#include "simd/vec_neon.h"
#include "simd/dot_neon.h"
#include "simd/panel_neon.h"
#define VB_PANEL
#define VB_ISA neon
#include "simd/t_table.inc"
