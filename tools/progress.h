/* progress.h - one line on a terminal that says how far a long write is; silent everywhere else. */
#ifndef VB_TOOLS_PROGRESS_H
#define VB_TOOLS_PROGRESS_H
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

typedef struct {
    const char *what;
    uint64_t done, total;
    int shown; /* per cent, -1: nothing yet */
} vb_progress;

static inline vb_progress vb_progress_start(const char *what, uint64_t total)
{
    return (vb_progress){what, 0, total, isatty(STDERR_FILENO) ? -1 : 100};
}

static inline void vb_progress_add(vb_progress *p, uint64_t n)
{
    static const char full[] = "########################################";
    p->done += n;
    int percent = p->total > 0 ? (int)(p->done * 100 / p->total) : 100;
    if (percent <= p->shown) return;
    p->shown = percent;
    fprintf(stderr, "\r%s [%-40.*s] %3d %%%s", p->what, percent * 40 / 100, full, percent, percent == 100 ? "\n" : "");
}

#endif
