/* faults.c - a disk that fails on command, to be preloaded: what a program writes to files named *.trace meets the fault
 * that the environment asks for.
 *
 *   FAULT=KIND:N   from its Nth call on (the first is 1): "enospc", "eio": it fails; "zero": it writes nothing
 *                  the Nth call alone: "short": half is written; "eintr": it is interrupted; "torn": half is written and
 *                  the process killed; "half": half is written, and all further calls fail with ENOSPC
 *   FAULT=KIND     "fsync", "close": that call fails with EIO
 *   FAULT_STUCK=1  ftruncate fails too: what was half written stays
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int target = -1, calls;

static int is(const char *kind)
{
    const char *fault = getenv("FAULT");
    size_t n = strlen(kind);
    return fault != NULL && strncmp(fault, kind, n) == 0 && (fault[n] == ':' || fault[n] == 0);
}

static int which(void)
{
    const char *fault = getenv("FAULT"), *colon = fault != NULL ? strchr(fault, ':') : NULL;
    return colon != NULL ? atoi(colon + 1) : 0;
}

int open(const char *path, int flags, ...)
{
    int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    size_t n = strlen(path);
    mode_t mode = 0;
    if ((flags & O_CREAT) != 0) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    int fd = next(path, flags, mode);
    if (fd >= 0 && n > 6 && strcmp(path + n - 6, ".trace") == 0 && (flags & O_WRONLY) != 0) target = fd;
    return fd;
}

static ssize_t fail(int code)
{
    errno = code;
    return -1;
}

ssize_t write(int fd, const void *data, size_t n)
{
    ssize_t (*next)(int, const void *, size_t) = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    if (fd != target || target < 0) return next(fd, data, n);
    int now = ++calls, at = which();
    if (now > at && is("half")) return fail(ENOSPC);
    if (now >= at && is("enospc")) return fail(ENOSPC);
    if (now >= at && is("eio")) return fail(EIO);
    if (now >= at && is("zero")) return 0;
    if (now != at) return next(fd, data, n);
    if (is("eintr")) return fail(EINTR);
    if (is("torn")) {
        next(fd, data, n / 2);
        raise(SIGKILL);
    }
    return next(fd, data, is("short") || is("half") ? n / 2 : n);
}

int fsync(int fd)
{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    return fd == target && is("fsync") ? (int)fail(EIO) : next(fd);
}

int ftruncate(int fd, off_t size)
{
    int (*next)(int, off_t) = (int (*)(int, off_t))dlsym(RTLD_NEXT, "ftruncate");
    return fd == target && getenv("FAULT_STUCK") != NULL ? (int)fail(EIO) : next(fd, size);
}

int close(int fd)
{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "close");
    int mine = fd == target && target >= 0, done = next(fd);
    if (mine) target = -1;
    return mine && is("close") ? (int)fail(EIO) : done;
}
