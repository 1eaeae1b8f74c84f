/* conversation.h - messages of any API as a chat template's input. */
#ifndef VB_SERVE_CONVERSATION_H
#define VB_SERVE_CONVERSATION_H
#include "serve/tools.h"

typedef struct {
    json_t *input;    /* what vb_chat_render_json takes */
    json_t *messages; /* all of them */
} vb_conversation;

/* `tooling` NULL: neither tools nor thoughts. The store's system message goes before those that have none, the messages with
 * which it begins behind system's. To be closed in either case; 0: *fault says why not. */
int vb_conversation_open(vb_conversation *c, const vb_model *model, const json_t *messages, const vb_tooling *tooling,
                         vb_fault *fault);
void vb_conversation_close(vb_conversation *c);
/* How many messages may be dropped: all but system's and the last. */
size_t vb_conversation_droppable(const vb_conversation *c);
/* Without the oldest n messages that are not system's, and without results of calls that are then no longer there. Returns
 * the bytes of contents that are left. */
size_t vb_conversation_drop(vb_conversation *c, size_t n);
/* As text, to be freed. Its length, or a negative vb_status. */
int64_t vb_conversation_render(const vb_conversation *c, const vb_model *model, char **text, vb_err *err);
/* As ids; how many there are, also if there is no room for all of them. */
int64_t vb_conversation_encode(const vb_conversation *c, const vb_model *model, vb_token *ids, size_t cap, vb_err *err);

#endif
