/* cmd_trace.c - `verbatim trace show`: what a recording holds. */
#include "commands.h"
#include "out.h"
#include "trace_lines.h"

int vb_cmd_trace_show(const vb_args *args)
{
    vb_err err = {0};
    if (args->html != NULL) return vb_trace_page(args->html, args->rest[0], NULL, NULL);
    vb_status status = vb_trace_show(args->rest[0], stdout, args->json, &err);
    return status < 0 ? vb_report(status, &err) : VB_EXIT_OK;
}
