/* cpu.h - what the processor is and can do, asked at run time. */
#ifndef VB_SIMD_CPU_H
#define VB_SIMD_CPU_H
#include <stddef.h>

int vb_cpu_has(const char *isa);                 /* 1: code of this instruction set runs here */
int vb_cpu_halves(const char *isa);              /* 1: its registers go through the processor in two halves */
void vb_cpu_name(char *buf, size_t cap);         /* the processor's own name */
void vb_cpu_features(char *buf, size_t cap);     /* those that kernels use, separated by spaces */

#endif
