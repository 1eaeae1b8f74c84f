/* diff.h - where two traces, or a trace and a run, part. Each function that compares returns 1 and describes the
 * first difference in *out, or returns 0 and leaves it alone. */
#ifndef VB_TRACES_DIFF_H
#define VB_TRACES_DIFF_H
#include "traces/read.h"

/* Compares one field of the header, or all that are compared; `b` is what was found instead. */
int vb_trace_diff_field(vb_diff *out, const vb_trace_header *a, const vb_trace_header *b, const vb_trace_field *field);
int vb_trace_diff_header(vb_diff *out, const vb_trace_header *a, const vb_trace_header *b);
int vb_trace_diff_rules(vb_diff *out, const vb_trace_rules *a, const vb_trace_rules *b);
int vb_trace_diff_token(vb_diff *out, int64_t record, const vb_trace_token *a, const vb_trace_token *b);
/* Two traces that have been opened, to their ends. */
vb_status vb_trace_diff_readers(vb_trace_reader *a, vb_trace_reader *b, vb_diff *out, vb_err *err);
/* Their taps, from the beginning (readers that have read nothing behind the header): counts, first difference, drift. */
vb_status vb_taps_diff(vb_trace_reader a, vb_trace_reader b, vb_contrast *out, vb_err *err);

#endif
