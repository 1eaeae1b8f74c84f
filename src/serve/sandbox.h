/* sandbox.h - what the server's process gives up before it hears the first request. */
#ifndef VB_SERVE_SANDBOX_H
#define VB_SERVE_SANDBOX_H
#include <stddef.h>

enum { VB_SANDBOX_FOLDERS = 8 };

typedef struct {
    int on;
    int connects;             /* 1: may open connections to other machines */
    int gpu;                  /* 1: models may have layers on one */
    const char *unix_path;    /* the socket's, which is removed at the end; NULL: none */
    const char *folders[VB_SANDBOX_FOLDERS]; /* that may be written besides the own store and the caches; NULLs count not */
} vb_sandbox_opts;

/* For this thread and all that it makes from now on. `said` gets one line about what holds: it may be less on a kernel that
 * has not all of it. 0: there is a folder that cannot be made or a rule that the kernel did not take. */
int vb_sandbox_enter(const vb_sandbox_opts *opts, char *said, size_t cap);

#endif
