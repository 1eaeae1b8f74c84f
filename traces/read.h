/* read.h - a trace's records, one after the other, each proved by the chain before it is handed out. */
#ifndef VB_TRACES_READ_H
#define VB_TRACES_READ_H
#include "base/os.h"
#include "traces/format.h"

typedef struct {
    const char *name; /* for error texts */
    const uint8_t *data;
    size_t size, at; /* at: end of the last whole record */
    size_t link;     /* where the last link before the end record stands: the trace's digest */
    size_t seal;     /* where the seal of the information stands */
    int version;
    vb_trace_header header;
    vb_trace_rules rules; /* of version 3 */
    int64_t records; /* read so far: header, tokens and end; the others belong to the one before them */
    int32_t tokens;  /* of them tokens; also the next position */
    int64_t taps;
    int ended;       /* the end record was read */
    int is_signed;   /* and a signature, by `signer`, that fits */
    uint8_t signer[32];
} vb_trace_reader;

/* Checks the head and reads header, information and rules. The bytes must outlive the reader. */
vb_status vb_trace_reader_start(vb_trace_reader *r, const char *name, const uint8_t *data, size_t size, vb_err *err);
/* The next record: a token, a tap, the end or a signature. *more is 0 when there is none: either all was read or the
 * file was cut, and then its last `size - at` bytes are no whole record. */
vb_status vb_trace_next_any(vb_trace_reader *r, vb_trace_record *out, int *more, vb_err *err);
/* The same, passing over taps and signature (which are proved all the same). */
vb_status vb_trace_next(vb_trace_reader *r, vb_trace_record *out, int *more, vb_err *err);
/* "ended without an end record; the last 17 bytes are no whole record"; "" if nothing is missing. */
void vb_trace_cut_text(char *buf, size_t cap, const vb_trace_reader *r);
/* The same as a warning to the log, if the trace was read to its end and was cut. */
void vb_trace_say_cut(const vb_trace_reader *r);

/* The same of a mapped file. */
typedef struct {
    vb_map map;
    vb_trace_reader reader;
} vb_trace_file;
vb_status vb_trace_file_open(vb_trace_file *f, const char *path, vb_err *err);
void vb_trace_file_close(vb_trace_file *f);

#endif
