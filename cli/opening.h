/* opening.h - how a conversation with a model begins: a system message and the messages that its store has for it. */
#ifndef VB_CLI_OPENING_H
#define VB_CLI_OPENING_H
#include "verbatim.h"

#include <jansson.h>

typedef struct {
    vb_message *messages; /* with a free place behind the last */
    size_t n;
    json_t *stored;
} vb_opening;

/* `system` NULL: the store's. 0, or an exit code; to be freed in either case. */
int vb_opening_read(vb_opening *out, const vb_model *model, const char *system);
void vb_opening_free(vb_opening *opening);

#endif
