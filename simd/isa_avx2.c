/* isa_avx2.c - the kernels for x86-64 with AVX2 and F16C. This file alone is compiled with -mavx2 -mf16c. */
#include "simd/kernels.h"

#include <math.h>

#include "base/canon.h"
#include "simd/vec_avx2.h"
#include "simd/mac_avx2.h"
#include "simd/dot_avx2.h"
#include "simd/panel_avx2.h"
#define VB_PANEL
#define VB_ISA avx2
#include "simd/t_table.inc"
