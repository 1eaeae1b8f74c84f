/* cpu.c - processor features: what the processor has and the operating system saves for a thread.
 *
 *   x86-64    __builtin_cpu_supports asks cpuid and xgetbv, so an instruction set counts only if its registers survive
 *             a thread switch
 *   AArch64   the system's list of hardware capabilities
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

/* In leaf 7, subleaf 1; it uses no registers beyond those of AVX2. */
static int has_avxvnni(void)
{
    unsigned a = 0, b, c, d;
    return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1) != 0;
}

static int has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
}

int vb_cpu_has(const char *isa)
{
    if (strcmp(isa, "avx2") == 0) return has_avx2();
    if (strcmp(isa, "avxvnni") == 0) return has_avxvnni();
    if (strcmp(isa, "avx512") == 0) return has_avx512();
    return strcmp(isa, "portable") == 0;
}

/* AMD's family 19h (Zen 4) does 512 bits as twice 256; a family is told in two parts, which are added up. */
int vb_cpu_halves(const char *isa)
{
    unsigned a = 0, b = 0, c, d;
    if (strcmp(isa, "avx512") != 0 || !__get_cpuid(0, &a, &b, &c, &d) || b != signature_AMD_ebx) return 0;
    return __get_cpuid(1, &a, &b, &c, &d) && (a >> 8 & 15) + (a >> 20 & 255) == 0x19;
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
    snprintf(buf, cap, "sse2%s%s%s%s", __builtin_cpu_supports("avx2") ? " avx2" : "", has_f16c() ? " f16c" : "",
             has_avxvnni() ? " avx_vnni" : "", has_avx512() ? " avx512f avx512bw avx512vl avx512dq avx512_vnni" : "");
}

#elif defined(__aarch64__)
#include <sys/auxv.h>

/* Bits of AT_HWCAP as Linux numbers them for AArch64. */
enum { HAS_NEON = 1 << 1, HAS_ID_REGISTERS = 1 << 11, HAS_DOTPROD = 1 << 20 };

static int has(unsigned long bits)
{
    return (getauxval(AT_HWCAP) & bits) == bits;
}

int vb_cpu_has(const char *isa)
{
    if (strcmp(isa, "neon") == 0) return has(HAS_NEON | HAS_DOTPROD);
    return strcmp(isa, "portable") == 0;
}

int vb_cpu_halves(const char *isa)
{
    (void)isa;
    return 0;
}

/* The processor has no name in words: the implementer's and the part's number, which the system lets programs read. */
void vb_cpu_name(char *buf, size_t cap)
{
    uint64_t id = 0;
    snprintf(buf, cap, "unknown AArch64 processor");
    if (!has(HAS_ID_REGISTERS)) return;
    __asm__("mrs %0, midr_el1" : "=r"(id));
    snprintf(buf, cap, "AArch64 processor, implementer 0x%02x, part 0x%03x", (unsigned)(id >> 24 & 0xff),
             (unsigned)(id >> 4 & 0xfff));
}

void vb_cpu_features(char *buf, size_t cap)
{
    snprintf(buf, cap, "neon%s", has(HAS_DOTPROD) ? " dotprod" : "");
}

#else

int vb_cpu_has(const char *isa)
{
    return strcmp(isa, "portable") == 0;
}

int vb_cpu_halves(const char *isa)
{
    (void)isa;
    return 0;
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
