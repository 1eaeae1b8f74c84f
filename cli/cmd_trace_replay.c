/* cmd_trace_replay.c - `verbatim trace replay`: whether a run still gives the same. */
#include "commands.h"
#include "judge.h"

int vb_cmd_trace_replay(const vb_args *args)
{
    vb_err err = {0};
    vb_diff diff = {0};
    vb_status status = vb_trace_replay_to(args->rest[0], args->to, args->other_model, &args->model, &diff, &err);
    return vb_diff_verdict(args, status, &err, &diff, "now");
}
