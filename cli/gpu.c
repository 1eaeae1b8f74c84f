/* gpu.c - see gpu.h. */
#include "gpu.h"

#include "bar.h"
#include "out.h"
#include "torn.h"

static int show(void *ud, uint64_t done, uint64_t all)
{
    vb_bar_show(ud, "weights to the GPU", done, all);
    return 1;
}

vb_status vb_open_with_bar(vb_model **out, const char *model, const vb_model_opts *opts, int silent, vb_err *err)
{
    vb_bar bar = vb_bar_begin(silent);
    vb_torn_watch();
    vb_model_opts with = *opts;
    with.gpu_progress = show;
    with.gpu_progress_ud = &bar;
    vb_status status = vb_model_open(out, model, &with, err);
    vb_bar_end(&bar);
    return status;
}

json_t *vb_json_gpu(const vb_session *session)
{
    vb_model_info info;
    vb_stats stats;
    vb_model_describe(vb_session_model(session), &info);
    vb_session_stats(session, &stats);
    if (info.device == NULL) return json_null();
    return json_pack("{s:o, s:o, s:i, s:I, s:I, s:I}", "device", vb_json_string(info.device), "about",
                     vb_json_string(info.device_about), "layers", info.device_layers, "bytes",
                     (json_int_t)info.device_bytes, "rows", (json_int_t)stats.device_rows, "cpu_rows",
                     (json_int_t)stats.cpu_rows);
}
