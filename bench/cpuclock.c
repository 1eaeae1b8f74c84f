/* cpuclock.c - preloaded into a program of one thread, makes its wall clocks tell processor time.
 *
 * A program that measures itself then measures what it used, not what its neighbours left it. Only for one thread: the
 * time of several would add up.
 */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *to)
{
    if (id == CLOCK_MONOTONIC || id == CLOCK_REALTIME || id == CLOCK_MONOTONIC_RAW) id = CLOCK_PROCESS_CPUTIME_ID;
    return (int)syscall(SYS_clock_gettime, id, to);
}
