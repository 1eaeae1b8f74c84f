/* blob.c - blobs, from the first byte to their place.
 *
 *   begin  --add--> ... --end--> digest? --yes--> fsync --> rename --> fsync of the directory
 *   resume                           `---no---> removed
 *
 * Two that write the same blob at once do not disturb each other: both end with the same bytes under the same name.
 */
#include "store/disk.h"

#include "base/err.h"
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1 << 20, TELL_EVERY = 8 << 20 };

struct vb_blob {
    vb_store *store;
    int fd, kept;
    char name[96];
    char hex[65]; /* "": any */
    vb_sha256 *hash;
    uint64_t bytes;
};

static void file_of(const char *hex, char name[80])
{
    snprintf(name, 80, "sha256-%.64s", hex);
}

int64_t vb_store_blob_size(const vb_store *store, const char *hex)
{
    char name[80];
    struct stat st;
    file_of(hex, name);
    if (store->blobs < 0 || fstatat(store->blobs, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) return -1;
    return (int64_t)st.st_size;
}

void vb_store_blob_path(const vb_store *store, const char *hex, char *buf, size_t cap)
{
    snprintf(buf, cap, "%s/blobs/sha256-%.64s", store->dir, hex);
}

/* --- writing --------------------------------------------------------------------------------------------- */

static void release(vb_blob *b, int remove)
{
    uint8_t unused[32];
    if (remove && b->name[0] != '\0') unlinkat(b->store->blobs, b->name, 0);
    if (b->fd >= 0) close(b->fd);
    if (b->hash != NULL) vb_sha256_end(b->hash, unused);
    free(b);
}

static vb_status new_blob(vb_blob **out, vb_store *store, const char *hex, vb_err *err)
{
    vb_blob *b = calloc(1, sizeof *b);
    *out = NULL;
    if (b == NULL || (b->hash = vb_sha256_new()) == NULL) {
        free(b);
        VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", store->dir);
    }
    b->store = store;
    b->fd = -1;
    if (hex != NULL) snprintf(b->hex, sizeof b->hex, "%s", hex);
    *out = b;
    return VB_OK;
}

vb_status vb_blob_begin(vb_blob **out, vb_store *store, const char *hex, vb_err *err)
{
    VB_TRY(new_blob(out, store, hex, err));
    vb_blob *b = *out;
    b->fd = vb_disk_new(store, b->name, err);
    if (b->fd >= 0) return VB_OK;
    b->name[0] = '\0';
    release(b, 0);
    *out = NULL;
    return VB_E_IO;
}

/* Hashes what the file holds from where it stands; what is behind that is written next. */
static vb_status absorb(vb_blob *b, const vb_listener *to, vb_progress *p, vb_err *err)
{
    char *piece = malloc(PIECE);
    vb_status s = piece != NULL ? VB_OK : vb_fail(err, VB_E_MEMORY, "%s: out of memory", b->store->dir);
    ssize_t n = 1;
    while (s == VB_OK && n > 0) {
        n = read(b->fd, piece, PIECE);
        if (n < 0 && errno == EINTR) n = 1;
        else if (n < 0) s = vb_disk_failed(b->store, b->name, err);
        else if (n > 0) {
            vb_sha256_add(b->hash, piece, (size_t)n);
            b->bytes += (uint64_t)n;
            if (p != NULL && (p->completed = b->bytes) % TELL_EVERY < PIECE) s = vb_tell(to, p, err);
        }
    }
    free(piece);
    return s;
}

/* Opens and locks the partial file; under the store's lock, so that nobody puts it into its place meanwhile. *ours: 0 if
 * somebody else has it, or the blob is whole. */
static vb_status open_partial(vb_blob *b, int *ours, vb_err *err)
{
    struct stat st = {0};
    int lock = vb_disk_lock(b->store, err);
    *ours = 0;
    if (lock < 0) return VB_E_IO;
    if (vb_store_blob_size(b->store, b->hex) >= 0) {
        close(lock);
        return VB_OK;
    }
    snprintf(b->name, sizeof b->name, "sha256-%.64s-partial", b->hex);
    b->fd = openat(b->store->blobs, b->name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    vb_status s = b->fd >= 0 ? VB_OK : vb_disk_failed(b->store, b->name, err);
    *ours = s == VB_OK && flock(b->fd, LOCK_EX | LOCK_NB) == 0 && fstat(b->fd, &st) == 0 && st.st_nlink > 0;
    close(lock);
    return s;
}

vb_status vb_blob_resume(vb_blob **out, vb_store *store, const char *hex, uint64_t *have, vb_err *err)
{
    VB_TRY(new_blob(out, store, hex, err));
    vb_blob *b = *out;
    b->kept = 1;
    int ours;
    vb_status s = open_partial(b, &ours, err);
    if (s == VB_OK && ours) s = absorb(b, NULL, NULL, err);
    *have = b->bytes;
    if (s == VB_OK && ours) return VB_OK;
    release(b, 0);
    *out = NULL;
    return s;
}

vb_status vb_blob_restart(vb_blob *b, vb_err *err)
{
    uint8_t unused[32];
    vb_sha256 *fresh = vb_sha256_new();
    if (fresh == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", b->store->dir);
    vb_sha256_end(b->hash, unused);
    b->hash = fresh;
    b->bytes = 0;
    if (ftruncate(b->fd, 0) != 0 || lseek(b->fd, 0, SEEK_SET) != 0) return vb_disk_failed(b->store, b->name, err);
    return VB_OK;
}

vb_status vb_blob_add(vb_blob *b, const void *data, size_t len, vb_err *err)
{
    VB_TRY(vb_disk_write(b->store, b->fd, b->name, data, len, err));
    vb_sha256_add(b->hash, data, len);
    b->bytes += len;
    return VB_OK;
}

/* The bytes are on disk; now the name is, too. */
static vb_status put_into_place(vb_blob *b, vb_err *err)
{
    char name[80];
    int lock = vb_disk_lock(b->store, err);
    if (lock < 0) return VB_E_IO;
    file_of(b->hex, name);
    vb_status s = VB_OK;
    if (vb_store_blob_size(b->store, b->hex) == (int64_t)b->bytes) unlinkat(b->store->blobs, b->name, 0);
    else if (renameat(b->store->blobs, b->name, b->store->blobs, name) != 0) s = vb_disk_failed(b->store, name, err);
    if (s == VB_OK && fsync(b->store->blobs) != 0) s = vb_disk_failed(b->store, "blobs", err);
    close(b->fd);
    b->fd = -1;
    close(lock);
    return s;
}

vb_status vb_blob_end(vb_blob *b, char found[65], uint64_t *bytes, vb_err *err)
{
    uint8_t digest[32];
    char hex[65];
    vb_sha256_end(b->hash, digest);
    b->hash = NULL;
    vb_hex(hex, digest, sizeof digest);
    if (found != NULL) memcpy(found, hex, sizeof hex);
    if (bytes != NULL) *bytes = b->bytes;
    vb_status s = VB_OK;
    if (b->hex[0] == '\0') memcpy(b->hex, hex, sizeof hex);
    else if (strcmp(b->hex, hex) != 0)
        s = vb_fail(err, VB_E_DIFFERS, "digest mismatch, expected \"sha256:%s\", got \"sha256:%s\"", b->hex, hex);
    if (s == VB_OK && fsync(b->fd) != 0) s = vb_disk_failed(b->store, b->name, err);
    if (s == VB_OK) s = put_into_place(b, err);
    release(b, s == VB_E_DIFFERS || (s != VB_OK && !b->kept));
    return s;
}

void vb_blob_drop(vb_blob *b)
{
    if (b != NULL) release(b, !b->kept || b->bytes == 0);
}

/* --- whole files and texts ------------------------------------------------------------------------------- */

vb_status vb_blob_of(vb_store *store, const void *data, size_t len, char hex[65], vb_err *err)
{
    vb_blob *b;
    uint8_t digest[32];
    vb_sha256_of(data, len, digest);
    vb_hex(hex, digest, sizeof digest);
    if (vb_store_blob_size(store, hex) == (int64_t)len) return VB_OK;
    VB_TRY(vb_blob_begin(&b, store, hex, err));
    vb_status s = vb_blob_add(b, data, len, err);
    if (s == VB_OK) return vb_blob_end(b, NULL, NULL, err);
    vb_blob_drop(b);
    return s;
}

/* Copies `from` piece by piece. */
static vb_status copy(vb_blob *b, int from, const vb_listener *to, vb_progress *p, vb_err *err)
{
    char *piece = malloc(PIECE);
    vb_status s = piece != NULL ? VB_OK : vb_fail(err, VB_E_MEMORY, "%s: out of memory", b->store->dir);
    ssize_t n = 1;
    while (s == VB_OK && n > 0) {
        n = read(from, piece, PIECE);
        if (n < 0 && errno == EINTR) n = 1;
        else if (n < 0) s = vb_fail(err, VB_E_IO, "cannot read: %s", strerror(errno));
        else if (n > 0) s = vb_blob_add(b, piece, (size_t)n, err);
        if (s == VB_OK && n > 0 && (p->completed = b->bytes) % TELL_EVERY < PIECE) s = vb_tell(to, p, err);
    }
    free(piece);
    return s;
}

/* Shares the bytes where the file system can, else copies them. */
static vb_status fill(vb_blob *b, int from, uint64_t size, const vb_listener *to, vb_err *err)
{
    char digest[80];
    snprintf(digest, sizeof digest, "sha256:%s", b->hex);
    vb_progress p = {"copying model", b->hex[0] != '\0' ? digest : NULL, size, 0};
    if (ioctl(b->fd, FICLONE, from) == 0) return absorb(b, to, &p, err);
    uint64_t room = vb_store_free_bytes(b->store);
    if (size > room)
        VB_FAIL(err, VB_E_IO, "%s: expected room for %llu bytes, found %llu", b->store->dir, (unsigned long long)size,
                (unsigned long long)room);
    return copy(b, from, to, &p, err);
}

static vb_status import_open(vb_store *store, int from, uint64_t size, char hex[65], uint64_t *bytes,
                             const vb_listener *to, vb_err *err)
{
    vb_blob *b;
    VB_TRY(vb_blob_begin(&b, store, hex[0] != '\0' ? hex : NULL, err));
    vb_status s = fill(b, from, size, to, err);
    if (s == VB_OK) return vb_blob_end(b, hex, bytes, err);
    vb_blob_drop(b);
    return s;
}

vb_status vb_blob_import(vb_store *store, const char *path, char hex[65], uint64_t *bytes, const vb_listener *to,
                         vb_err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        vb_status s = vb_fail(err, fd < 0 && errno == ENOENT ? VB_E_NOT_FOUND : VB_E_IO, "%s: expected a file, found: %s", path,
                              fd < 0 ? strerror(errno) : "something else");
        if (fd >= 0) close(fd);
        return s;
    }
    *bytes = (uint64_t)st.st_size;
    vb_status s = VB_OK;
    if (hex[0] == '\0' || vb_store_blob_size(store, hex) != (int64_t)st.st_size)
        s = import_open(store, fd, (uint64_t)st.st_size, hex, bytes, to, err);
    close(fd);
    return s;
}

vb_status vb_tell(const vb_listener *to, const vb_progress *p, vb_err *err)
{
    if (to == NULL || to->fn == NULL || to->fn(to->ud, p) == 0) return VB_OK;
    VB_FAIL(err, VB_E_STOPPED, "stopped");
}
