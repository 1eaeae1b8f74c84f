/* isa_avx512.c - the kernels for x86-64 with AVX-512 F, BW, VL, DQ, VNNI and F16C. This file alone is compiled with the
 * flags for these.
 */
#include "simd/kernels.h"

#include <math.h>

#include "base/canon.h"
#include "simd/vec_avx512.h"
#include "simd/mac_vnni.h"
#include "simd/dot_avx512.h"
#include "simd/panel_avx512.h"
#include "simd/few_avx512.h"
#define VB_PANEL
#define VB_SIDE
#define VB_ISA avx512
#include "simd/t_table.inc"
