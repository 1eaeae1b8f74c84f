/* chat.h - a conversation on a terminal. */
#ifndef VB_CLI_CHAT_H
#define VB_CLI_CHAT_H
#include "input.h"
#include "opts.h"

int vb_chat(vb_session *session, vb_session *draft, const vb_args *args);
int vb_encode_chat(const vb_model *model, const vb_message *messages, size_t n, vb_ids *out);

#endif
