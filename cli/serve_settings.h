/* serve_settings.h - the settings of a server: the command line, then VERBATIM_X, then OLLAMA_X, then the default. */
#ifndef VB_CLI_SERVE_SETTINGS_H
#define VB_CLI_SERVE_SETTINGS_H
#include "opts.h"
#include "serve/serve.h"

typedef struct {
    vb_serve_opts serve;
    vb_texts origins;
    char host[256], origin_text[2048];
} vb_serve_settings;

/* 0, or an exit code after saying what was expected. `out` must live as long as the server. */
int vb_serve_settings_read(vb_serve_settings *out, const vb_args *args);

#endif
