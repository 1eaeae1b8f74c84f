/* os.c - Linux and POSIX behind base/os.h. A map holds its file open: it outlives a deleted file, and what happens to
 * the file is seen whatever has become of its name. */
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static vb_status open_regular(const char *path, int *fd, struct stat *st, vb_err *err)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) {
        vb_status code = errno == ENOENT || errno == ENOTDIR ? VB_E_NOT_FOUND : VB_E_IO;
        VB_FAIL(err, code, "%s: cannot open: %s", path, strerror(errno));
    }
    if (fstat(*fd, st) == 0 && S_ISREG(st->st_mode)) return VB_OK;
    close(*fd);
    *fd = -1;
    VB_FAIL(err, VB_E_IO, "%s: expected a regular file, found %s", path,
            S_ISDIR(st->st_mode) ? "a directory" : "something else");
}

static int64_t modified_ns(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* Bytes [from, from + n) of the file. */
static vb_status read_at(int fd, uint64_t from, void *buf, size_t n, const char *path, vb_err *err)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = pread(fd, (char *)buf + done, n - done, (off_t)(from + done));
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) VB_FAIL(err, VB_E_IO, "%s: cannot read: %s", path, strerror(errno));
        if (k == 0)
            VB_FAIL(err, VB_E_IO, "%s: changed while it was read: expected %llu bytes, found %llu", path,
                    (unsigned long long)(from + n), (unsigned long long)(from + done));
        done += (size_t)k;
    }
    return VB_OK;
}

vb_status vb_map_open(vb_map *out, const char *path, vb_err *err)
{
    struct stat st = {0};
    int fd;
    memset(out, 0, sizeof *out);
    VB_TRY(open_regular(path, &fd, &st, err));
    out->size = (uint64_t)st.st_size;
    out->mtime_ns = modified_ns(&st);
    out->held = fd + 1;
    void *data = NULL;
    if (out->size > 0) data = mmap(NULL, (size_t)out->size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        int reason = errno;
        close(fd);
        memset(out, 0, sizeof *out);
        VB_FAIL(err, VB_E_IO, "%s: cannot map: %s", path, strerror(reason));
    }
    out->data = data;
    vb_pages_large(data, (size_t)out->size);
    return VB_OK;
}

void vb_map_close(vb_map *map)
{
    if (map->data != NULL) munmap((void *)(uintptr_t)map->data, (size_t)map->size);
    if (map->held > 0) close(map->held - 1);
    memset(map, 0, sizeof *map);
}

vb_status vb_map_read(const vb_map *map, uint64_t from, void *buf, size_t n, const char *path, vb_err *err)
{
    return read_at(map->held - 1, from, buf, n, path, err);
}

vb_status vb_map_check(const vb_map *map, const char *path, vb_err *err)
{
    struct stat st;
    if (map->held == 0 || fstat(map->held - 1, &st) != 0) return VB_OK;
    if ((uint64_t)st.st_size != map->size)
        VB_FAIL(err, VB_E_IO, "%s: changed while it was in use: expected %llu bytes, found %llu", path,
                (unsigned long long)map->size, (unsigned long long)st.st_size);
    if (modified_ns(&st) != map->mtime_ns)
        VB_FAIL(err, VB_E_IO, "%s: changed while it was in use: expected no writing, found a later one", path);
    return VB_OK;
}

vb_status vb_file_read(const char *path, size_t limit, char **data, size_t *size, vb_err *err)
{
    struct stat st = {0};
    vb_status s;
    int fd;
    *data = NULL;
    *size = 0;
    VB_TRY(open_regular(path, &fd, &st, err));
    size_t n = (size_t)st.st_size;
    char *text = n <= limit ? malloc(n + 1) : NULL;
    if (text != NULL) s = read_at(fd, 0, text, n, path, err);
    else if (n > limit) s = vb_fail(err, VB_E_FORMAT, "%s: expected at most %zu bytes, found %zu", path, limit, n);
    else s = vb_fail(err, VB_E_MEMORY, "%s: out of memory for %zu bytes", path, n);
    close(fd);
    if (s < 0) {
        free(text);
        return s;
    }
    text[n] = 0;
    *data = text;
    *size = n;
    return VB_OK;
}

static uint64_t clock_ns(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t vb_clock_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t vb_clock_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void vb_sleep_while(atomic_uint *word, unsigned value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

void vb_wake(atomic_uint *word, int n)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

void vb_memory_read(uint64_t *bytes, uint64_t *available)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    *bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * page;
    *available = (uint64_t)sysconf(_SC_AVPHYS_PAGES) * page;
}

int vb_dir(int which, char *buf, size_t cap)
{
    const char *xdg = getenv(which == VB_DIR_CACHE ? "XDG_CACHE_HOME" : "XDG_DATA_HOME");
    const char *home = getenv("HOME");
    int n;
    if (xdg != NULL && xdg[0] == '/')
        n = snprintf(buf, cap, "%s/verbatim", xdg);
    else if (home != NULL && home[0] == '/')
        n = snprintf(buf, cap, "%s/%s/verbatim", home, which == VB_DIR_CACHE ? ".cache" : ".local/share");
    else
        return 0;
    return n > 0 && (size_t)n < cap;
}

vb_status vb_dir_make(const char *path, vb_err *err)
{
    char part[4096];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof part) VB_FAIL(err, VB_E_ARGUMENT, "%s: path too long", path);
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != 0) continue;
        char end = part[i];
        part[i] = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            VB_FAIL(err, VB_E_IO, "%s: cannot create directory: %s", part, strerror(errno));
        part[i] = end;
    }
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) VB_FAIL(err, VB_E_IO, "%s: expected a directory", path);
    return VB_OK;
}

void *vb_pages_reserve(size_t bytes)
{
    if (bytes == 0) bytes = 1;
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void vb_pages_large(const void *pages, size_t bytes)
{
    enum { FEW = 8 << 20 };
    if (bytes >= FEW) madvise((void *)(uintptr_t)pages, bytes, MADV_HUGEPAGE);
}

void vb_pages_release(void *pages, size_t bytes)
{
    if (pages != NULL) munmap(pages, bytes == 0 ? 1 : bytes);
}
