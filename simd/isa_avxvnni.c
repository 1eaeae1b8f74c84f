/* isa_avxvnni.c - the kernels for x86-64 with AVX2, F16C and AVX-VNNI: those of AVX2 with shorter sums of products.
 * This file alone is compiled with -mavx2 -mf16c -mavxvnni.
 */
#include "simd/kernels.h"

#include <math.h>

#include "base/canon.h"
#include "simd/vec_avx2.h"
#include "simd/mac_vnni.h"
#include "simd/dot_avx2.h"
#include "simd/panel_avx2.h"
#define VB_PANEL
#define VB_ISA avxvnni
#include "simd/t_table.inc"
