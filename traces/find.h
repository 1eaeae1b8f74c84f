/* find.h - the model that a trace was recorded from. */
#ifndef VB_TRACES_FIND_H
#define VB_TRACES_FIND_H
#include "traces/read.h"

/* Opens `given`, or without it what stands at the recorded path if that still has the recorded SHA-256, or the model with
 * this SHA-256 in a local store. Player, ISA and threads come from `opts` (may be NULL), the arithmetic from the trace.
 * A model given by name may be another than the recorded one. */
vb_status vb_trace_find_model(vb_model **out, const vb_trace_reader *trace, const char *given, const vb_model_opts *opts,
                              vb_err *err);

#endif
