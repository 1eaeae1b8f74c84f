/* cmd_trace.c - `verbatim trace show|diff`: what a recording holds, and where two part. */
#include "commands.h"
#include "judge.h"
#include "out.h"
#include "trace_lines.h"

int vb_cmd_trace_show(const vb_args *args)
{
    vb_err err = {0};
    if (args->html != NULL) return vb_trace_page(args->html, args->rest[0], NULL, NULL);
    vb_status status = vb_trace_show(args->rest[0], stdout, args->json, &err);
    return status < 0 ? vb_report(status, &err) : VB_EXIT_OK;
}

int vb_cmd_trace_diff(const vb_args *args)
{
    vb_err err = {0};
    vb_diff diff = {0};
    vb_status status = vb_trace_diff(args->rest[0], args->rest[1], &diff, &err);
    int code = args->html != NULL && (status == VB_OK || status == VB_E_DIFFERS)
                   ? vb_trace_page(args->html, args->rest[0], args->rest[1], &diff) : VB_EXIT_OK;
    if (code != VB_EXIT_OK) return code;
    return vb_diff_verdict(args, status, &err, &diff, args->rest[1]);
}
