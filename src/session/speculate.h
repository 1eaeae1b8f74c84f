/* speculate.h - logits for the next choice, sometimes before they are needed.
 *
 * The loop asks for the logits behind the session's last token. Speculation may evaluate that token together with
 * tokens that it expects behind it; when the loop then chooses just these, their logits are already there. What the
 * loop chooses decides, so a wrong guess costs time and nothing else: logits do not depend on the batch.
 */
#ifndef VB_SESSION_SPECULATE_H
#define VB_SESSION_SPECULATE_H
#include "session/model.h"

typedef struct vb_speculation vb_speculation;

/* Before the first token of a generation; checks what the caller asked for. */
vb_status vb_speculate_begin(vb_session *s, const vb_generation *how, vb_err *err);
/* The logits of the session's last token; `left` more tokens will be chosen at most. */
vb_status vb_speculate_logits(vb_session *s, const vb_generation *how, int left, vb_err *err);
/* The session as if nothing had been evaluated ahead. */
void vb_speculate_end(vb_session *s);
void vb_speculation_close(vb_speculation *p);
uint64_t vb_speculation_bytes(int context, int vocab); /* at most */

#endif
