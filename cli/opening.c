/* opening.c - the system message first, then what the store has. */
#include "opening.h"

#include "out.h"

#include <stdlib.h>
#include <string.h>

/* A role that lives as long as the program; NULL: no such role. */
static const char *role_of(const json_t *message)
{
    static const char *const roles[] = {"system", "user", "assistant", "tool"};
    const char *said = json_string_value(json_object_get(message, "role"));
    for (size_t i = 0; said != NULL && i < sizeof roles / sizeof roles[0]; i++)
        if (strcmp(said, roles[i]) == 0) return roles[i];
    return NULL;
}

int vb_opening_read(vb_opening *out, const vb_model *model, const char *system)
{
    const char *text = vb_model_stored(model, "messages");
    const char *own = vb_model_stored(model, "system");
    if (system == NULL && own != NULL && own[0] != '\0') system = own;
    out->n = 0;
    out->stored = text != NULL ? json_loads(text, 0, NULL) : NULL;
    out->messages = calloc(json_array_size(out->stored) + 2, sizeof *out->messages);
    if (out->messages == NULL) return vb_no_memory();
    if (system != NULL) out->messages[out->n++] = (vb_message){"system", system};
    for (size_t i = 0; i < json_array_size(out->stored); i++) {
        const json_t *m = json_array_get(out->stored, i);
        const char *role = role_of(m), *content = json_string_value(json_object_get(m, "content"));
        if (role != NULL && content != NULL) out->messages[out->n++] = (vb_message){role, content};
    }
    return 0;
}

void vb_opening_free(vb_opening *opening)
{
    free(opening->messages);
    json_decref(opening->stored);
}
