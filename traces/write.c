/* write.c - see write.h.
 *
 *   pending  [ 32 bytes: head or last link ][ record ][ record ] ...
 *              already in the file (or the  \---- one write() ----/
 *              head, which goes with them)
 *
 * Invariant: between two calls the file holds whole records only. A process killed inside write() loses at most
 * those records; a write that fails half-way is cut back to `size`.
 */
#include "traces/write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void release(vb_trace_writer *w)
{
    vb_trace_bytes_free(&w->pending);
    free(w->path);
    w->path = NULL;
    w->fd = -1;
}

vb_status vb_trace_writer_open(vb_trace_writer *w, const char *path, vb_err *err)
{
    memset(w, 0, sizeof *w);
    w->fd = -1;
    w->path = strdup(path);
    vb_trace_encode_head(&w->pending);
    if (w->path != NULL && !w->pending.failed) return VB_OK;
    vb_trace_writer_discard(w);
    VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", path);
}

vb_status vb_trace_writer_append(vb_trace_writer *w, const char *path, uint64_t size, const uint8_t link[VB_TRACE_LINK],
                                 vb_err *err)
{
    memset(w, 0, sizeof *w);
    w->path = strdup(path);
    w->size = size;
    vb_trace_bytes_continue(&w->pending, link);
    w->fd = w->path != NULL ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    if (w->fd >= 0 && !w->pending.failed && lseek(w->fd, 0, SEEK_END) == (off_t)size) return VB_OK;
    vb_status s = w->path == NULL || w->pending.failed
                      ? vb_fail(err, VB_E_MEMORY, "%s: out of memory", path)
                      : vb_fail(err, VB_E_IO, "%s: cannot append: %s", path,
                                w->fd < 0 ? strerror(errno) : "its size has changed");
    if (w->fd >= 0) close(w->fd);
    release(w);
    return s;
}

static vb_status create(vb_trace_writer *w, vb_err *err)
{
    w->fd = open(w->path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (w->fd >= 0) return VB_OK;
    w->failed = 1;
    if (errno == EEXIST)
        VB_FAIL(err, VB_E_IO, "%s: expected no such file, found one; traces are never overwritten", w->path);
    VB_FAIL(err, VB_E_IO, "%s: cannot create: %s", w->path, strerror(errno));
}

/* The number of bytes that reached the file; less than n only with errno set. */
static size_t write_all(int fd, const uint8_t *data, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t k = write(fd, data + done, n - done);
        if (k > 0) done += (size_t)k;
        else if (k == 0 || errno != EINTR) {
            if (k == 0) errno = EIO;
            break;
        }
    }
    return done;
}

static vb_status give_up(vb_trace_writer *w, size_t done, vb_err *err)
{
    int reason = errno;
    w->failed = 1;
    const char *rest = "";
    if (ftruncate(w->fd, (off_t)w->size) != 0) rest = "; an unfinished record stays at its end";
    VB_FAIL(err, VB_E_IO, "%s: cannot write at byte %llu: %s%s", w->path, (unsigned long long)(w->size + done),
            strerror(reason), rest);
}

vb_status vb_trace_writer_write(vb_trace_writer *w, vb_err *err)
{
    if (w->failed) VB_FAIL(err, VB_E_IO, "%s: an earlier write failed; the trace ends before this record", w->path);
    if (w->pending.failed) {
        w->failed = 1;
        VB_FAIL(err, VB_E_MEMORY, "%s: out of memory for a record", w->path);
    }
    if (w->fd < 0) VB_TRY(create(w, err));
    size_t from = w->size == 0 ? 0 : VB_TRACE_LINK, n = w->pending.len - from;
    size_t done = write_all(w->fd, w->pending.data + from, n);
    if (done < n) return give_up(w, done, err);
    w->size += n;
    memmove(w->pending.data, w->pending.data + w->pending.len - VB_TRACE_LINK, VB_TRACE_LINK);
    w->pending.len = VB_TRACE_LINK;
    return VB_OK;
}

vb_status vb_trace_writer_close(vb_trace_writer *w, int sync, vb_err *err)
{
    vb_status s = VB_OK;
    if (sync && fsync(w->fd) != 0) s = vb_fail(err, VB_E_IO, "%s: cannot bring it to the disk: %s", w->path, strerror(errno));
    if (close(w->fd) != 0 && s == VB_OK)
        s = vb_fail(err, VB_E_IO, "%s: cannot close: %s", w->path, strerror(errno));
    release(w);
    return s;
}

void vb_trace_writer_discard(vb_trace_writer *w)
{
    if (w->fd >= 0) {
        close(w->fd);
        unlink(w->path);
    }
    release(w);
}
