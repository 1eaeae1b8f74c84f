/* filehash.c - SHA-256 of files, remembered.
 *
 *   <cache directory>/sha256, one line an answer, all lower-case hexadecimal:
 *     key 64   SHA-256 over (device, inode, size, mtime) of each file in order
 *     sum 64   SHA-256 over their bytes
 *     check 32 XXH3-128 over both texts
 *
 * Lines that do not read exactly so are skipped and dropped at the next write; the check keeps a damaged digit from
 * becoming an answer. A write goes to a file of its own and is renamed over the old one: readers see one or the
 * other, of two writers one loses a line. A cache above its limit starts anew. A file that changed within the last
 * seconds is not remembered, because a further change could leave its mtime as it is.
 */
#include "base/hash.h"
#include "base/os.h"
#include "file/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HEX = 64, CHECK = 32, LINE = HEX + 1 + HEX + 1 + CHECK + 1 };
enum { LARGEST_CACHE = 1 << 20, CHUNK = 1 << 18, SETTLED_S = 2 };

/* --- lines ----------------------------------------------------------------------------------------------- */

static void make_line(char line[LINE + 1], const char key[HEX + 1], const uint8_t sum[32])
{
    uint8_t check[16];
    memcpy(line, key, HEX);
    line[HEX] = ' ';
    vb_hex(line + HEX + 1, sum, 32);
    line[2 * HEX + 1] = ' ';
    vb_xxh128_of(line, 2 * HEX + 2, check);
    vb_hex(line + 2 * HEX + 2, check, 16);
    line[LINE - 1] = '\n';
    line[LINE] = 0;
}

/* 1: the line is whole; *sum is what it says. */
static int read_line(const char *line, size_t len, uint8_t sum[32])
{
    char key[HEX + 1], again[LINE + 1];
    if (len != LINE || !vb_unhex(sum, line + HEX + 1, 32)) return 0;
    memcpy(key, line, HEX);
    key[HEX] = 0;
    make_line(again, key, sum);
    return memcmp(again, line, LINE) == 0;
}

static size_t line_length(const char *at, const char *end)
{
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    return (size_t)((stop == NULL ? end : stop + 1) - at);
}

static int cache_path(char *buf, size_t cap)
{
    char dir[4000];
    return vb_dir(VB_DIR_CACHE, dir, sizeof dir) && snprintf(buf, cap, "%s/sha256", dir) < (int)cap;
}

static int recall(const char key[HEX + 1], uint8_t sum[32])
{
    char path[4096], *data;
    size_t size, len;
    int found = 0;
    if (!cache_path(path, sizeof path)) return 0;
    if (vb_file_read(path, LARGEST_CACHE, &data, &size, NULL) != VB_OK) return 0;
    for (const char *at = data; at < data + size && !found; at += len) {
        len = line_length(at, data + size);
        found = memcmp(at, key, len < HEX ? len : HEX) == 0 && read_line(at, len, sum);
    }
    free(data);
    return found;
}

/* The old lines that are whole and of other keys, then the new one. */
static void write_lines(FILE *to, const char *data, size_t size, const char *line)
{
    uint8_t sum[32];
    size_t len;
    for (const char *at = data; at < data + size; at += len) {
        len = line_length(at, data + size);
        if (read_line(at, len, sum) && memcmp(at, line, HEX) != 0) fwrite(at, 1, len, to);
    }
    fwrite(line, 1, LINE, to);
}

static void remember(const char key[HEX + 1], const uint8_t sum[32])
{
    char dir[4000], path[4096], temp[4200], line[LINE + 1], *data = NULL;
    size_t size = 0;
    if (!vb_dir(VB_DIR_CACHE, dir, sizeof dir) || vb_dir_make(dir, NULL) != VB_OK) return;
    if (!cache_path(path, sizeof path)) return;
    snprintf(temp, sizeof temp, "%s.XXXXXX", path);
    int fd = mkstemp(temp);
    FILE *to = fd < 0 ? NULL : fdopen(fd, "w");
    if (to == NULL) {
        if (fd >= 0) close(fd);
        return;
    }
    vb_file_read(path, LARGEST_CACHE, &data, &size, NULL);
    make_line(line, key, sum);
    write_lines(to, data == NULL ? "" : data, size, line);
    free(data);
    int good = ferror(to) == 0;
    good &= fclose(to) == 0;
    if (!good || rename(temp, path) != 0) unlink(temp);
}

/* --- files ----------------------------------------------------------------------------------------------- */

static int64_t mtime_ns(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* The key of these files as they are now; *settled: none changed within the last seconds. */
static vb_status make_key(const vb_open_file *files, int n, char key[HEX + 1], int *settled, vb_err *err)
{
    struct stat st;
    uint8_t digest[32];
    vb_sha256 *hash = vb_sha256_new();
    if (hash == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", files[0].path);
    *settled = 1;
    int i = 0;
    for (; i < n && fstat(files[i].fd, &st) == 0; i++) {
        vb_sha256_add_u64(hash, (uint64_t)st.st_dev);
        vb_sha256_add_u64(hash, (uint64_t)st.st_ino);
        vb_sha256_add_u64(hash, (uint64_t)st.st_size);
        vb_sha256_add_u64(hash, (uint64_t)mtime_ns(&st));
        if (st.st_mtim.tv_sec + SETTLED_S >= time(NULL)) *settled = 0;
    }
    int reason = errno;
    vb_sha256_end(hash, digest);
    vb_hex(key, digest, 32);
    if (i == n) return VB_OK;
    VB_FAIL(err, VB_E_IO, "%s: cannot read: %s", files[i].path, strerror(reason));
}

typedef struct {
    vb_sha256 *hash;
    uint8_t *chunk;
    uint64_t done;
    const vb_reading *watch; /* NULL: nobody */
} reading;

static int goes_on(const reading *r)
{
    return r->watch == NULL || r->watch->go_on(r->watch->ud, r->done);
}

static vb_status add_file(reading *r, const vb_open_file *file, vb_err *err)
{
    int wanted = 1;
    off_t at = 0;
    for (ssize_t n = 1; n > 0 && (wanted = goes_on(r)); at += n) {
        n = pread(file->fd, r->chunk, CHUNK, at);
        if (n < 0) VB_FAIL(err, VB_E_IO, "%s: cannot read: %s", file->path, strerror(errno));
        if (n > 0) vb_sha256_add(r->hash, r->chunk, (size_t)n);
        r->done += (uint64_t)n;
    }
    if (!wanted) VB_FAIL(err, VB_E_STOPPED, "%s: reading was stopped", file->path);
    return VB_OK;
}

static vb_status add_files(const vb_open_file *files, int n, const vb_reading *watch, uint8_t out[32], vb_err *err)
{
    reading r = {vb_sha256_new(), malloc(CHUNK), 0, watch};
    vb_status s = VB_OK;
    if (r.chunk == NULL || r.hash == NULL) s = vb_fail(err, VB_E_MEMORY, "%s: out of memory", files[0].path);
    for (int i = 0; i < n && s == VB_OK; i++) s = add_file(&r, &files[i], err);
    if (r.hash != NULL) vb_sha256_end(r.hash, out);
    free(r.chunk);
    return s;
}

vb_status vb_open_files_sha256(const vb_open_file *files, int n, const vb_reading *watch, uint8_t out[32], vb_err *err)
{
    char key[HEX + 1], after[HEX + 1];
    int settled;
    VB_TRY(make_key(files, n, key, &settled, err));
    if (recall(key, out)) return VB_OK;
    VB_TRY(add_files(files, n, watch, out, err));
    VB_TRY(make_key(files, n, after, &settled, err));
    if (strcmp(key, after) != 0)
        VB_FAIL(err, VB_E_IO, "%s: expected a file at rest, found one that changes while it is read", files[0].path);
    if (settled) remember(key, out);
    return VB_OK;
}

vb_status vb_file_sha256(const char *const *paths, int n, uint8_t out[32], vb_err *err)
{
    vb_status s = VB_OK;
    int opened = 0;
    if (n < 1) VB_FAIL(err, VB_E_ARGUMENT, "SHA-256 of files: expected at least one file, found %d", n);
    vb_open_file *files = calloc((size_t)n, sizeof *files);
    if (files == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", paths[0]);
    for (; opened < n && s == VB_OK; opened += s == VB_OK) {
        files[opened] = (vb_open_file){paths[opened], open(paths[opened], O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
        if (files[opened].fd < 0)
            s = vb_fail(err, errno == ENOENT ? VB_E_NOT_FOUND : VB_E_IO, "%s: cannot read: %s", paths[opened], strerror(errno));
    }
    if (s == VB_OK) s = vb_open_files_sha256(files, n, NULL, out, err);
    while (opened > 0) close(files[--opened].fd);
    free(files);
    return s;
}
