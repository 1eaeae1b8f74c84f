/* torn.c - pages that a mapped file has lost become zeros.
 *
 * Touching a page behind the end of a mapped file raises SIGBUS. The handler puts zeros in the place of that page and of
 * all behind it in the same map, so that the reader comes to an end; whoever computed with them finds the file changed
 * before he believes the result. Any other SIGBUS ends the process as it always did.
 *
 * Invariant: the handler makes system calls and changes nothing but maps of files that are only read, which are models.
 */
#include "torn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LINE_MOST = 1024, TRIES = 4 };

static int maps = -1; /* open from the beginning: a server gives up the right to open it */

/* A line of /proc/self/maps, "begin-end r--p offset device inode path". The end of that map if `at` lies in it and it is a
 * file's that is only read, and no library's; `at` if another thread has put zeros there already; else 0. */
static uintptr_t end_in(const char *line, uintptr_t at)
{
    char *rest;
    uintptr_t begin = strtoull(line, &rest, 16), end = *rest == '-' ? strtoull(rest + 1, &rest, 16) : 0;
    const char *path = strchr(line, '/'), *so = path != NULL ? strstr(path, ".so") : NULL;
    if (at < begin || at >= end || strncmp(rest, " r--p ", 6) != 0) return 0;
    if (path == NULL) return at;
    return so != NULL && (so[3] == '\0' || so[3] == '.') ? 0 : end;
}

static uintptr_t end_of_map(uintptr_t at)
{
    char some[4096], line[LINE_MOST];
    size_t len = 0;
    uintptr_t end = 0;
    ssize_t n;
    for (off_t from = 0; end == 0 && (n = pread(maps, some, sizeof some, from)) > 0; from += n)
        for (ssize_t i = 0; i < n && end == 0; i++) {
            if (some[i] != '\n') {
                if (len < sizeof line - 1) line[len++] = some[i];
                continue;
            }
            line[len] = '\0';
            len = 0;
            end = end_in(line, at);
        }
    return end;
}

/* The list may change while it is read: what is not found is looked for again. */
static int put_zeros(uintptr_t at)
{
    uintptr_t page = at & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1), end = 0;
    for (int i = 0; i < TRIES && end == 0; i++) end = end_of_map(at);
    if (end == 0 || end == at) return end == at;
    return mmap((void *)page, end - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) !=
           MAP_FAILED;
}

static void on_missing_page(int number, siginfo_t *info, void *context)
{
    int kept = errno;
    (void)context;
    if (!put_zeros((uintptr_t)info->si_addr)) signal(number, SIG_DFL); /* what raised it is tried again */
    errno = kept;
}

void vb_torn_watch(void)
{
    struct sigaction act = {.sa_sigaction = on_missing_page, .sa_flags = SA_SIGINFO};
    if (maps < 0) maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    sigemptyset(&act.sa_mask);
    sigaction(SIGBUS, &act, NULL);
}
