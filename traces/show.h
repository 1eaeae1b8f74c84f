/* show.h - an opened trace as text for people or as JSON lines. */
#ifndef VB_TRACES_SHOW_H
#define VB_TRACES_SHOW_H
#include "traces/read.h"

vb_status vb_trace_show_reader(vb_trace_reader *reader, FILE *to, int json, vb_err *err);

#endif
