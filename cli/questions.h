/* questions.h - what another engine is asked: from a file, or the set that stands ready. */
#ifndef VB_CLI_QUESTIONS_H
#define VB_CLI_QUESTIONS_H
#include "input.h"

typedef struct {
    const char *text;
    int raw; /* 1: as it is, 0: through the chat template */
} vb_asked;

typedef struct {
    vb_asked *item;
    int n;
    vb_buffer text; /* what the items point into */
} vb_questions;

/* One a line of FILE, empty lines left out; NULL: the ready ones, half of them chats. `raw`: all of them as they are.
 * Returns 0, or an exit code after saying what is wrong. */
int vb_questions_read(vb_questions *out, const char *path, int raw);
void vb_questions_free(vb_questions *questions);

#endif
