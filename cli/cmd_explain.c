/* cmd_explain.c - `verbatim explain`: the plan, as the library prints it. */
#include "commands.h"
#include "gpu.h"
#include "out.h"

int vb_cmd_explain(const vb_args *args)
{
    vb_err err = {0};
    vb_model *model = NULL;
    vb_status status = vb_open_with_bar(&model, args->rest[0], &args->model, args->json, &err);
    if (status == VB_OK) status = vb_model_explain(model, stdout, args->kernels, args->json, &err);
    vb_model_close(model);
    return status < 0 ? vb_report(status, &err) : VB_EXIT_OK;
}
