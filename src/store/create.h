/* create.h - a model of our own from another one, or from a file, and what goes with it. */
#ifndef VB_STORE_CREATE_H
#define VB_STORE_CREATE_H
#include "store/store.h"

#include <jansson.h>

/* What the new model is to be, as /api/create asks for it; NULL: not said. */
typedef struct {
    const char *name;
    const char *from;       /* a model's name, or the path of a GGUF file that begins with a slash */
    json_t *files;    /* {name: digest} of blobs that are there; instead of `from` */
    json_t *adapters;
    const char *quantize, *template_, *system;
    const char *renderer, *parser, *requires; /* kept for others */
    json_t *license;    /* a text or a list of them */
    json_t *parameters; /* {option: value}; those of the base that are not named here stay */
    json_t *messages;   /* [{role, content}] */
} vb_recipe;

/* VB_E_ARGUMENT, VB_E_FORMAT, VB_E_UNSUPPORTED: the recipe is at fault; VB_E_NOT_FOUND: what it asks for is not there. */
vb_status vb_create(vb_store *store, const vb_recipe *recipe, const vb_listener *to, vb_err *err);

#endif
