/* store_faults.c - to be preloaded: the Nth call that changes files fails, all do from there on, or the program is killed.
 *
 *   FAULT=fail:N   the Nth call of open for writing, write, fsync, rename, unlink and mkdir (the first is 1) fails
 *   FAULT=from:N   so do all behind it: a disk that is full, or gone
 *   FAULT=die:N    the program is killed instead of the Nth call
 *   FAULT_COUNT=FILE   the number of calls is written there at the end
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int calls;

/* 1: this call fails. */
static int fails(int code)
{
    const char *fault = getenv("FAULT"), *colon = fault != NULL ? strchr(fault, ':') : NULL;
    int nth = colon != NULL ? atoi(colon + 1) : 0;
    calls++;
    if (nth == 0 || calls < nth) return 0;
    if (calls == nth && strncmp(fault, "die", 3) == 0) raise(SIGKILL);
    errno = code;
    return strncmp(fault, "from", 4) == 0 || (calls == nth && strncmp(fault, "fail", 4) == 0);
}

static void *next(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

int openat(int dir, const char *path, int flags, ...)
{
    int (*call)(int, const char *, int, ...) = (int (*)(int, const char *, int, ...))next("openat");
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return (flags & O_CREAT) != 0 && fails(ENOSPC) ? -1 : call(dir, path, flags, mode);
}

ssize_t write(int fd, const void *data, size_t len)
{
    ssize_t (*call)(int, const void *, size_t) = (ssize_t (*)(int, const void *, size_t))next("write");
    return fd > 2 && fails(ENOSPC) ? -1 : call(fd, data, len);
}

int fsync(int fd)
{
    int (*call)(int) = (int (*)(int))next("fsync");
    return fails(EIO) ? -1 : call(fd);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    int (*call)(int, const char *, int, const char *) = (int (*)(int, const char *, int, const char *))next("renameat");
    return fails(EIO) ? -1 : call(from_dir, from, to_dir, to);
}

int unlinkat(int dir, const char *path, int flags)
{
    int (*call)(int, const char *, int) = (int (*)(int, const char *, int))next("unlinkat");
    return fails(EIO) ? -1 : call(dir, path, flags);
}

int mkdirat(int dir, const char *path, mode_t mode)
{
    int (*call)(int, const char *, mode_t) = (int (*)(int, const char *, mode_t))next("mkdirat");
    return fails(ENOSPC) ? -1 : call(dir, path, mode);
}

static void tell(void) __attribute__((destructor));
static void tell(void)
{
    const char *path = getenv("FAULT_COUNT");
    FILE *to = path != NULL ? fopen(path, "w") : NULL;
    if (to == NULL) return;
    fprintf(to, "%d", calls);
    fclose(to);
}
