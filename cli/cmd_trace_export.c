/* cmd_trace_export.c - `verbatim trace export`: a recording for programs that do not read its format. */
#include "commands.h"
#include "out.h"

int vb_cmd_trace_export(const vb_args *args)
{
    vb_err err = {0};
    if (!args->jsonl && !args->json) return vb_wrong("trace export", "expected --jsonl, found no form to export to");
    vb_status status = vb_trace_show(args->rest[0], stdout, 1, &err);
    return status < 0 ? vb_report(status, &err) : VB_EXIT_OK;
}
