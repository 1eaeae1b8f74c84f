/* recall_file.c - passages with their embeddings, as bytes (see recall_file.h). Numbers are little endian.
 *
 *   head    0  "VBRECALL"   8  u32 version 1   12  u32 width   16  embedder, 32 bytes   48  check of the 48 bytes before
 *   record  0  u32 bytes of the record   4  u32 bytes of the text   8  u64 entity   16  u64 tick
 *          24  check of all of the record but these 16 bytes, with its place in the file as the seed
 *          40  text, NUL, zeros up to a multiple of 4      then  f32 x width
 *
 * Checks are XXH3-128. The file only grows. A write that was torn leaves a tail that is no record: it is cut off when the
 * file is opened next, with a notice. Damage with good records behind it is no torn write and is refused; nothing is cut
 * then. A write that fails is taken back, so that the file holds what it held. One process at a time has it open.
 */
#include "cast/recall_file.h"

#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD = 64, RECORD = 40, CHECK = 24, VERSION = 1 };
#define MOST_BYTES ((size_t)1 << 40)
#define MOST_TEXT ((size_t)1 << 24)

struct vb_recall_file {
    char *path; /* NULL: in memory */
    int fd, width;
    uint8_t *bytes; /* what the file holds */
    size_t used, cap;
    size_t *records; /* where they begin */
    int64_t n, n_cap;
};

/* --- bytes --------------------------------------------------------------------------------------------- */

static uint64_t number(const uint8_t *at, int len)
{
    uint64_t value = 0;
    for (int i = len - 1; i >= 0; i--) value = value << 8 | at[i];
    return value;
}

static void put(uint8_t *at, uint64_t value, int len)
{
    for (int i = 0; i < len; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static size_t record_bytes(size_t text, int width)
{
    return RECORD + ((text + 4) & ~(size_t)3) + 4 * (size_t)width;
}

/* The digest of what stands before and behind its place. */
static void check_of(const uint8_t *record, size_t len, size_t place, uint8_t out[16])
{
    uint8_t head[16];
    vb_xxh128_seeded(record, CHECK, place, head);
    vb_xxh128_seeded(record + RECORD, len - RECORD, number(head, 8) ^ number(head + 8, 8), out);
}

/* The bytes of the record at `place`; 0: there is none. */
static size_t record_at(const uint8_t *bytes, size_t used, size_t place, int width)
{
    uint8_t check[16];
    if (used - place < RECORD) return 0;
    const uint8_t *r = bytes + place;
    size_t len = number(r, 4), text = number(r + 4, 4);
    if (text == 0 || text > MOST_TEXT || len != record_bytes(text, width) || len > used - place) return 0;
    check_of(r, len, place, check);
    return memcmp(check, r + CHECK, 16) == 0 ? len : 0;
}

static vb_status take_room(vb_recall_file *f, size_t more, int records, vb_err *err)
{
    size_t need = f->used + more;
    if (need > MOST_BYTES) VB_FAIL(err, VB_E_FULL, "%s: expected at most 1 TiB", f->path != NULL ? f->path : "recall");
    if (need > f->cap) {
        size_t cap = need + need / 2 + 4096;
        uint8_t *grown = realloc(f->bytes, cap);
        if (grown == NULL) VB_FAIL(err, VB_E_MEMORY, "recall: out of memory for %zu bytes", cap);
        f->bytes = grown;
        f->cap = cap;
    }
    if (f->n + records > f->n_cap) {
        int64_t cap = 2 * (f->n + records) + 64;
        size_t *grown = realloc(f->records, (size_t)cap * sizeof *grown);
        if (grown == NULL) VB_FAIL(err, VB_E_MEMORY, "recall: out of memory");
        f->records = grown;
        f->n_cap = cap;
    }
    return VB_OK;
}

/* --- the disk ------------------------------------------------------------------------------------------ */

static vb_status write_at(const vb_recall_file *f, const uint8_t *data, size_t len, size_t place, vb_err *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(f->fd, data + done, len - done, (off_t)(place + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            int reason = n == 0 ? ENOSPC : errno;
            int left = ftruncate(f->fd, (off_t)place);
            VB_FAIL(err, VB_E_IO, "%s: cannot write: %s; %s", f->path, strerror(reason),
                    left == 0 ? "it holds what it held" : "its tail is cut off when it is opened next");
        }
        done += (size_t)n;
    }
    return VB_OK;
}

static vb_status read_all(vb_recall_file *f, size_t size, vb_err *err)
{
    VB_TRY(take_room(f, size, 0, err));
    while (f->used < size) {
        ssize_t n = pread(f->fd, f->bytes + f->used, size - f->used, (off_t)f->used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) VB_FAIL(err, VB_E_IO, "%s: cannot read: %s", f->path, strerror(errno));
        if (n == 0) break;
        f->used += (size_t)n;
    }
    return VB_OK;
}

static vb_status open_file(vb_recall_file *f, size_t *size, vb_err *err)
{
    struct stat st;
    f->fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
    if (f->fd < 0)
        VB_FAIL(err, errno == ENOENT || errno == ENOTDIR ? VB_E_NOT_FOUND : VB_E_IO, "%s: cannot open: %s", f->path, strerror(errno));
    if (fstat(f->fd, &st) != 0 || !S_ISREG(st.st_mode)) VB_FAIL(err, VB_E_IO, "%s: expected a regular file, found something else", f->path);
    if (flock(f->fd, LOCK_EX | LOCK_NB) != 0)
        VB_FAIL(err, VB_E_IO, "%s: expected a file that nobody has open, found one that somebody has", f->path);
    if (fstat(f->fd, &st) != 0 || (uint64_t)st.st_size > MOST_BYTES) VB_FAIL(err, VB_E_IO, "%s: expected at most 1 TiB", f->path);
    *size = (size_t)st.st_size;
    return VB_OK;
}

static void make_head(uint8_t head[HEAD], const uint8_t embedder[32], int width)
{
    memcpy(head, "VBRECALL", 8);
    put(head + 8, VERSION, 4);
    put(head + 12, (uint64_t)width, 4);
    memcpy(head + 16, embedder, 32);
    vb_xxh128_of(head, 48, head + 48);
}

/* A file that is empty, or whose making was torn, gets a head. */
static vb_status check_head(vb_recall_file *f, const uint8_t embedder[32], vb_err *err)
{
    uint8_t head[HEAD], sum[16];
    make_head(head, embedder, f->width);
    if (f->used < HEAD && (f->used == 0 || memcmp(f->bytes, head, f->used) == 0)) {
        VB_TRY(take_room(f, HEAD, 0, err));
        memcpy(f->bytes, head, HEAD);
        f->used = HEAD;
        return f->path == NULL ? VB_OK : write_at(f, head, HEAD, 0, err);
    }
    if (f->used < HEAD || memcmp(f->bytes, head, 8) != 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected passages (\"VBRECALL\"), found another kind of file", f->path);
    vb_xxh128_of(f->bytes, 48, sum);
    if (memcmp(sum, f->bytes + 48, 16) != 0) VB_FAIL(err, VB_E_FORMAT, "%s: head: expected its check, found another one", f->path);
    if (number(f->bytes + 8, 4) != VERSION)
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s: expected version %d, found %llu", f->path, VERSION, (unsigned long long)number(f->bytes + 8, 4));
    if (memcmp(f->bytes, head, HEAD) != 0)
        VB_FAIL(err, VB_E_DIFFERS, "%s: expected passages of this embedder, found another one's (of width %llu)", f->path,
                (unsigned long long)number(f->bytes + 12, 4));
    return VB_OK;
}

/* What stands from `place` on is no record: a torn tail, unless a record follows. */
static vb_status cut_tail(vb_recall_file *f, size_t place, vb_err *err)
{
    for (size_t at = place + 4; at + RECORD <= f->used; at += 4)
        if (record_at(f->bytes, f->used, at, f->width) > 0)
            VB_FAIL(err, VB_E_FORMAT, "%s: byte %zu: expected a passage, found damage in front of the one at byte %zu", f->path, place, at);
    vb_log(VB_LOG_NOTICE, "%s: a write was torn: %zu bytes behind the last of %lld passages are cut off", f->path, f->used - place,
           (long long)f->n);
    if (ftruncate(f->fd, (off_t)place) != 0) VB_FAIL(err, VB_E_IO, "%s: cannot be cut: %s", f->path, strerror(errno));
    f->used = place;
    return VB_OK;
}

static vb_status find_records(vb_recall_file *f, vb_err *err)
{
    for (size_t at = HEAD, len; at < f->used; at += len) {
        len = record_at(f->bytes, f->used, at, f->width);
        if (len == 0) return cut_tail(f, at, err);
        VB_TRY(take_room(f, 0, 1, err));
        f->records[f->n++] = at;
    }
    return VB_OK;
}

/* --- the rest ------------------------------------------------------------------------------------------ */

vb_status vb_recall_file_open(vb_recall_file **out, const char *path, const uint8_t embedder[32], int width, vb_err *err)
{
    vb_status status = VB_OK;
    size_t size = 0;
    *out = NULL;
    vb_recall_file *f = calloc(1, sizeof *f);
    if (f == NULL) VB_FAIL(err, VB_E_MEMORY, "recall: out of memory");
    f->fd = -1;
    f->width = width;
    if (path != NULL && (f->path = strdup(path)) == NULL) VB_TRY_OUT(status, vb_fail(err, VB_E_MEMORY, "recall: out of memory"));
    if (path != NULL) VB_TRY_OUT(status, open_file(f, &size, err));
    VB_TRY_OUT(status, read_all(f, size, err));
    VB_TRY_OUT(status, check_head(f, embedder, err));
    VB_TRY_OUT(status, find_records(f, err));
    *out = f;
    return VB_OK;
out:
    vb_recall_file_close(f, NULL);
    return status;
}

int64_t vb_recall_file_count(const vb_recall_file *file)
{
    return file->n;
}

void vb_recall_file_get(const vb_recall_file *file, int64_t index, vb_passage *out)
{
    const uint8_t *r = file->bytes + file->records[index];
    size_t len = number(r + 4, 4);
    *out = (vb_passage){number(r + 8, 8), number(r + 16, 8), (const char *)r + RECORD, len, NULL};
    out->vector = (const float *)(const void *)(r + RECORD + ((len + 4) & ~(size_t)3));
}

static void write_record(uint8_t *to, const vb_passage *p, size_t len, size_t place, int width)
{
    memset(to, 0, len);
    put(to, len, 4);
    put(to + 4, p->len, 4);
    put(to + 8, p->entity, 8);
    put(to + 16, p->tick, 8);
    memcpy(to + RECORD, p->text, p->len);
    memcpy(to + len - 4 * (size_t)width, p->vector, 4 * (size_t)width);
    check_of(to, len, place, to + CHECK);
}

vb_status vb_recall_file_append(vb_recall_file *file, const vb_passage *passages, int n, vb_err *err)
{
    size_t bytes = 0, at = file->used;
    for (int i = 0; i < n; i++) bytes += record_bytes(passages[i].len, file->width);
    VB_TRY(take_room(file, bytes, n, err));
    for (int i = 0; i < n; i++) {
        size_t len = record_bytes(passages[i].len, file->width);
        write_record(file->bytes + at, &passages[i], len, at, file->width);
        file->records[file->n + i] = at;
        at += len;
    }
    if (file->path != NULL) VB_TRY(write_at(file, file->bytes + file->used, bytes, file->used, err));
    file->used = at;
    file->n += n;
    return VB_OK;
}

vb_status vb_recall_file_close(vb_recall_file *file, vb_err *err)
{
    vb_status status = VB_OK;
    if (file == NULL) return VB_OK;
    if (file->fd >= 0 && fsync(file->fd) != 0) status = vb_fail(err, VB_E_IO, "%s: cannot write: %s", file->path, strerror(errno));
    if (file->fd >= 0) close(file->fd);
    free(file->path);
    free(file->bytes);
    free(file->records);
    free(file);
    return status;
}
