/* bar.c - see bar.h. The line is written at most ten times a second. */
#include "bar.h"

#include "out.h"

#include <time.h>
#include <unistd.h>

enum { WIDTH = 24, EVERY_NS = 100000000 };

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

vb_bar vb_bar_begin(int silent)
{
    return (vb_bar){.terminal = !silent && isatty(STDERR_FILENO), .begun = now()};
}

void vb_bar_show(vb_bar *bar, const char *what, uint64_t done, uint64_t total)
{
    static const char full[] = "########################", rest[] = "------------------------";
    uint64_t at = bar->terminal ? now() : 0;
    if (!bar->terminal || total == 0 || (bar->shown && done < total && at - bar->told < EVERY_NS)) return;
    double share = (double)done / (double)total, seconds = (double)(at - bar->begun) / 1e9;
    int filled = (int)(share * WIDTH);
    fprintf(stderr, "\r%-28.40s %3d %%  [%.*s%.*s]  ", what, (int)(share * 100), filled, full, WIDTH - filled, rest);
    vb_put_bytes(stderr, done);
    fputs(" of ", stderr);
    vb_put_bytes(stderr, total);
    if (share > 0.01 && seconds > 1.0) fprintf(stderr, "  %.0f s", seconds / share - seconds);
    fputs("\033[K", stderr);
    fflush(stderr);
    bar->told = at;
    bar->shown = 1;
}

void vb_bar_end(vb_bar *bar)
{
    if (bar->shown) fputs("\r\033[K", stderr);
    bar->shown = 0;
}
