/* modelfile.h - a Modelfile as a recipe. */
#ifndef VB_STORE_MODELFILE_H
#define VB_STORE_MODELFILE_H
#include "store/create.h"

/* Reads it; *out is an object with the fields of a recipe that it says, "from" as it stands there. `name` is the file's,
 * for messages. */
vb_status vb_modelfile_parse(json_t **out, const char *text, size_t len, const char *name, vb_err *err);
/* A recipe that points into `said`, which must live as long. */
void vb_recipe_of(vb_recipe *out, const char *name, json_t *said);

#endif
