/* disk.c - a store's directories, its lock, and files that are being written.
 *
 * A file that is written is called .new-XXXXXX, beside the place that it will have, and is locked by whoever writes it. One
 * that nobody has locked is what a killed process left behind: of blobs/, the next that opens the store removes it; among
 * manifests, the next that looks through them.
 */
#include "store/disk.h"

#include "base/err.h"
#include "base/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char living[] = ".new-";

/* --- helpers --------------------------------------------------------------------------------------------- */

vb_status vb_disk_failed(const vb_store *store, const char *name, vb_err *err)
{
    VB_FAIL(err, VB_E_IO, "%s/%s: %s", store->dir, name, strerror(errno));
}

int vb_disk_lock(const vb_store *store, vb_err *err)
{
    if (!store->writable) {
        vb_fail(err, VB_E_ARGUMENT, "%s: expected a store of our own, found one that is only read", store->dir);
        return -1;
    }
    int fd = openat(store->fd, ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    while (fd >= 0 && flock(fd, LOCK_EX) != 0) {
        if (errno == EINTR) continue;
        close(fd);
        fd = -1;
    }
    if (fd < 0) vb_disk_failed(store, ".lock", err);
    return fd;
}

vb_status vb_disk_write(const vb_store *store, int fd, const char *name, const void *data, size_t len, vb_err *err)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return vb_disk_failed(store, name, err);
        at += n;
        len -= (size_t)n;
    }
    return VB_OK;
}

char *vb_disk_read(int dir, const char *name, size_t most, size_t *len)
{
    struct stat st;
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    char *data = NULL;
    if (fd < 0) return NULL;
    errno = EISDIR;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        errno = EFBIG;
        if ((uint64_t)st.st_size <= most) data = malloc((size_t)st.st_size + 1);
    }
    size_t have = 0;
    ssize_t n = 1;
    while (data != NULL && n > 0 && have < (size_t)st.st_size) {
        n = read(fd, data + have, (size_t)st.st_size - have);
        if (n > 0) have += (size_t)n;
        else if (n < 0 && errno == EINTR) n = 1;
    }
    int reason = errno;
    close(fd);
    if (data != NULL && n < 0) {
        free(data);
        errno = reason;
        return NULL;
    }
    if (data == NULL) {
        errno = reason;
        return NULL;
    }
    data[have] = '\0';
    *len = have;
    return data;
}

int vb_disk_is_new(const char *name)
{
    return strncmp(name, living, sizeof living - 1) == 0;
}

int vb_disk_new_in(const vb_store *store, int dir, char name[32], vb_err *err)
{
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) random = vb_clock_ns();
    snprintf(name, 32, "%s%016llx", living, (unsigned long long)random);
    int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) vb_disk_failed(store, name, err);
    else flock(fd, LOCK_EX | LOCK_NB);
    return fd;
}

int vb_disk_new(vb_store *store, char name[32], vb_err *err)
{
    int lock = vb_disk_lock(store, err);
    if (lock < 0) return -1;
    int fd = vb_disk_new_in(store, store->blobs, name, err);
    close(lock);
    return fd;
}

/* --- opening --------------------------------------------------------------------------------------------- */

/* What killed writers left: unlocked files that are no blobs yet. */
static void sweep(vb_store *store)
{
    int lock = vb_disk_lock(store, NULL), copy = openat(store->blobs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    struct dirent *e;
    while (lock >= 0 && dir != NULL && (e = readdir(dir)) != NULL) {
        if (!vb_disk_is_new(e->d_name)) continue;
        int fd = openat(store->blobs, e->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) unlinkat(store->blobs, e->d_name, 0);
        if (fd >= 0) close(fd);
    }
    if (dir != NULL) closedir(dir);
    else if (copy >= 0) close(copy);
    if (lock >= 0) close(lock);
}

static int open_part(vb_store *store, const char *name)
{
    if (store->writable) mkdirat(store->fd, name, 0755);
    return openat(store->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static vb_status open_dirs(vb_store *store, vb_err *err)
{
    if (store->writable) VB_TRY(vb_dir_make(store->dir, err));
    store->fd = open(store->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->fd < 0) VB_FAIL(err, VB_E_IO, "%s: expected a directory: %s", store->dir, strerror(errno));
    store->blobs = open_part(store, "blobs");
    if (store->blobs < 0 && store->writable) return vb_disk_failed(store, "blobs", err);
    store->manifests = open_part(store, "manifests");
    if (store->manifests < 0 && store->writable) return vb_disk_failed(store, "manifests", err);
    return VB_OK;
}

static int choose_dir(char *buf, size_t cap, const char *dir)
{
    char data[3072];
    if (dir == NULL) dir = getenv("VERBATIM_MODELS");
    if (dir != NULL && dir[0] != '\0') return snprintf(buf, cap, "%s", dir) < (int)cap;
    return vb_dir(VB_DIR_DATA, data, sizeof data) && snprintf(buf, cap, "%s/models", data) < (int)cap;
}

static vb_status open_store(vb_store **out, const char *dir, int writable, vb_err *err)
{
    vb_store *s = calloc(1, sizeof *s);
    *out = NULL;
    if (s == NULL) VB_FAIL(err, VB_E_MEMORY, "store: out of memory");
    s->fd = s->blobs = s->manifests = -1;
    s->writable = writable;
    vb_status status = choose_dir(s->dir, sizeof s->dir, dir)
                           ? open_dirs(s, err)
                           : vb_fail(err, VB_E_ARGUMENT, "store: expected VERBATIM_MODELS or HOME, found neither");
    if (status < 0) {
        vb_store_close(s);
        return status;
    }
    if (writable) sweep(s);
    *out = s;
    return VB_OK;
}

vb_status vb_store_open(vb_store **out, const char *dir, vb_err *err)
{
    return open_store(out, dir, 1, err);
}

vb_status vb_store_open_readonly(vb_store **out, const char *dir, vb_err *err)
{
    return open_store(out, dir, 0, err);
}

void vb_store_close(vb_store *s)
{
    if (s == NULL) return;
    if (s->manifests >= 0) close(s->manifests);
    if (s->blobs >= 0) close(s->blobs);
    if (s->fd >= 0) close(s->fd);
    free(s);
}

const char *vb_store_dir(const vb_store *store)
{
    return store->dir;
}

uint64_t vb_store_free_bytes(const vb_store *store)
{
    struct statvfs at;
    return fstatvfs(store->fd, &at) == 0 ? (uint64_t)at.f_bavail * at.f_frsize : 0;
}
