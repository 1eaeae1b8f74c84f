/* replay.c - runs a trace again and compares every choice: the prompt is given, everything else must come out of itself.
 *
 * A replay renders nothing, so it does not look at the template, nor at the reason of the end or a signature: whether a
 * trace can be believed is the question of traces/verify.c.
 */
#include "traces/rerun.h"

VB_API vb_status vb_trace_replay_to(const char *path, int to, const char *model, const vb_model_opts *opts, vb_diff *out,
                                    vb_err *err)
{
    vb_diff ignored;
    vb_rerun r;
    vb_status s = vb_rerun_open(&r, path, out != NULL ? out : &ignored, err);
    if (s == VB_OK && (to < 0 || to > r.n))
        s = vb_fail(err, VB_E_ARGUMENT, "%s: expected a position from 0 to %d, found %d", path, r.n, to);
    if (s == VB_OK) s = vb_rerun_model(&r, NULL, model, opts, err);
    if (s == VB_OK && !r.out->differs) s = vb_rerun_compare(&r, to == 0 ? r.n : to, err);
    if (s == VB_OK) s = vb_rerun_verdict(&r, err);
    vb_rerun_close(&r);
    return s;
}

VB_API vb_status vb_trace_replay(const char *path, const char *model, const vb_model_opts *opts, vb_diff *out, vb_err *err)
{
    return vb_trace_replay_to(path, 0, model, opts, out, err);
}
