/* params.h - the options that a stored model may bring along: their names and types. */
#ifndef VB_STORE_PARAMS_H
#define VB_STORE_PARAMS_H
#include "verbatim.h"

#include <jansson.h>

/* A value from text, as a Modelfile writes it; "stop" becomes a list. VB_E_ARGUMENT: no such option, or not its type. */
vb_status vb_param_read(json_t **out, const char *key, const char *text, vb_err *err);
/* Is it of its option's type? Options that nobody knows may be anything. */
vb_status vb_params_check(json_t *params, vb_err *err);
/* 1: of former times; said and left out. */
int vb_param_is_old(const char *key);

#endif
