/* fp.h - the floating-point environment of ARITHMETIC A1: round to nearest even, no flush to zero.
 *
 * Every worker thread calls vb_fp_enter once; a public call brackets its work with enter and leave, so that a host
 * that runs with other modes (a game with FTZ, a caller with another rounding) keeps them and changes no bit.
 */
#ifndef VB_BASE_FP_H
#define VB_BASE_FP_H
#include <stdint.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
static inline uint64_t vb_fp_enter(void)
{
    uint64_t old = _mm_getcsr();
    _mm_setcsr(0x1f80);
    return old;
}
static inline void vb_fp_leave(uint64_t old)
{
    _mm_setcsr((unsigned)old);
}
#elif defined(__aarch64__)
static inline uint64_t vb_fp_enter(void)
{
    uint64_t old, clean = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" ::"r"(clean));
    return old;
}
static inline void vb_fp_leave(uint64_t old)
{
    __asm__ volatile("msr fpcr, %0" ::"r"(old));
}
#else
#error "the floating-point environment of this processor is not known"
#endif
#endif
