/* tally.h - how every plain test program counts and ends: "N passed, N failed", exit 1 if any failed. */
#ifndef VB_TESTS_TALLY_H
#define VB_TESTS_TALLY_H
#include <stdarg.h>
#include <stdio.h>

static struct {
    int passed, failed;
} tally;

static inline void passed(void)
{
    tally.passed++;
}

__attribute__((format(printf, 1, 2))) static inline void failed(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    printf("FAIL ");
    vprintf(fmt, args);
    printf("\n");
    va_end(args);
    tally.failed++;
}

static inline int verdict(void)
{
    printf("%d passed, %d failed\n", tally.passed, tally.failed);
    return tally.failed > 0 || tally.passed == 0;
}

#endif
