/* write.h - encoded records into a file, so that the file is whole at every moment. */
#ifndef VB_TRACES_WRITE_H
#define VB_TRACES_WRITE_H
#include "traces/format.h"

typedef struct {
    int fd; /* -1: not made yet */
    char *path;
    uint64_t size;          /* bytes in the file: all whole records */
    vb_trace_bytes pending; /* the head or the last link, then records not yet written */
    int failed;
} vb_trace_writer;

/* Encodes the head. Encode records into `pending`, then call write; the first write makes the file, which must not
 * exist, so that a file is never without its header for longer than between two system calls. */
vb_status vb_trace_writer_open(vb_trace_writer *w, const char *path, vb_err *err);
/* To go on behind the last record of a file of `size` bytes, whose link that is. */
vb_status vb_trace_writer_append(vb_trace_writer *w, const char *path, uint64_t size, const uint8_t link[VB_TRACE_LINK],
                                 vb_err *err);
/* Writes all that is pending at once. After a failure the file ends with the last whole record and every further
 * call fails. */
vb_status vb_trace_writer_write(vb_trace_writer *w, vb_err *err);
/* Brings the bytes to the disk if asked to, and closes. */
vb_status vb_trace_writer_close(vb_trace_writer *w, int sync, vb_err *err);
/* Closes and removes the file, if it was made: a trace that could not be opened leaves nothing behind. */
void vb_trace_writer_discard(vb_trace_writer *w);

#endif
