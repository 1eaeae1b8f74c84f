/* folder.h - a Hugging Face folder: its settings (config.json) and its tensors, whichever files hold them.
 *
 *   model.safetensors.index.json     names the files of a sharded model; else
 *   model.safetensors                or model-00001-of-00005.safetensors and its neighbours; else
 *   pytorch_model.bin.index.json     and pytorch_model*.bin in the same ways
 *
 * Settings of a language model inside a larger one (text_config) stand above those around it.
 */
#ifndef VB_CONVERT_FOLDER_H
#define VB_CONVERT_FOLDER_H
#include "convert/source.h"

#include <jansson.h>

typedef struct {
    char path[4096];
    char name[256]; /* the last part of the path */
    char class_name[96]; /* architectures[0] of config.json */
    json_t *config;
    vb_source *source;
} vb_folder;
vb_status vb_folder_open(vb_folder *out, const char *path, vb_err *err);
void vb_folder_close(vb_folder *f);

/* A setting by the first of several names ("n_ctx|n_positions") that it has; NULL: none has it, or it is null. A name
 * may lead into an object: "rope_parameters.rope_theta". */
const json_t *vb_setting(const json_t *config, const char *names);
/* The same as a number. VB_E_NOT_FOUND, with err filled, where there is none; VB_E_FORMAT if it is something else or
 * outside [least, most]. */
vb_status vb_setting_int(const vb_folder *f, const char *names, int64_t least, int64_t most, int64_t *out, vb_err *err);
vb_status vb_setting_real(const vb_folder *f, const char *names, double *out, vb_err *err);
int vb_setting_is(const json_t *config, const char *names, const char *text);

#endif
