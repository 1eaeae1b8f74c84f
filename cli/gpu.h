/* gpu.h - models of which a GPU computes some layers: a bar while weights are copied, and what came of it as JSON. */
#ifndef VB_CLI_GPU_H
#define VB_CLI_GPU_H
#include "verbatim.h"

#include <jansson.h>

/* vb_model_open, with a bar on stderr unless silent. */
vb_status vb_open_with_bar(vb_model **out, const char *model, const vb_model_opts *opts, int silent, vb_err *err);
/* {"device", "about", "layers", "bytes", "rows", "cpu_rows"}: rows are tokens times layers; null: there is no GPU. */
json_t *vb_json_gpu(const vb_session *session);

#endif
