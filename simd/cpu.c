/* cpu.c - processor features by cpuid, together with what the operating system saves for a thread.
 *
 * __builtin_cpu_supports asks both (cpuid and xgetbv), so an instruction set counts only if its registers survive a
 * thread switch.
 */
#include "simd/cpu.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* Conversions of half precision use the registers of AVX, which AVX2 implies. */
static int has_f16c(void)
{
    unsigned a, b, c = 0, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) != 0;
}

static int has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && has_f16c();
}

int vb_cpu_has(const char *isa)
{
    if (strcmp(isa, "avx2") == 0) return has_avx2();
    return strcmp(isa, "portable") == 0;
}

/* Twelve registers of four characters each. */
static void brand(char text[49])
{
    unsigned leaf[12] = {0};
    memset(text, 0, 49);
    if ((unsigned)__get_cpuid_max(0x80000000u, NULL) < 0x80000004u) return;
    for (unsigned i = 0; i < 3; i++)
        __get_cpuid(0x80000002u + i, &leaf[4 * i], &leaf[4 * i + 1], &leaf[4 * i + 2], &leaf[4 * i + 3]);
    memcpy(text, leaf, 48);
}

void vb_cpu_name(char *buf, size_t cap)
{
    char text[49];
    brand(text);
    const char *from = text + strspn(text, " ");
    size_t len = strlen(from);
    while (len > 0 && from[len - 1] == ' ') len--;
    snprintf(buf, cap, "%.*s", (int)len, len > 0 ? from : "");
    if (len == 0) snprintf(buf, cap, "unknown x86-64 processor");
}

void vb_cpu_features(char *buf, size_t cap)
{
    snprintf(buf, cap, "sse2%s%s", __builtin_cpu_supports("avx2") ? " avx2" : "", has_f16c() ? " f16c" : "");
}

#else

int vb_cpu_has(const char *isa)
{
    return strcmp(isa, "portable") == 0;
}

void vb_cpu_name(char *buf, size_t cap)
{
    snprintf(buf, cap, "unknown processor");
}

void vb_cpu_features(char *buf, size_t cap)
{
    snprintf(buf, cap, "%s", "");
}
#endif
