/* server_ask.h - a question to the `verbatim serve` (or Ollama) that is running. */
#ifndef VB_CLI_SERVER_ASK_H
#define VB_CLI_SERVER_ASK_H
#include "opts.h"

#include <jansson.h>

/* The server is where the same options and environment would start one. `body` (taken over) NULL: GET, else POST. Returns 0
 * and the reply, or an exit code after saying what went wrong. */
int vb_server_ask(const vb_args *args, const char *path, json_t *body, json_t **reply);

#endif
