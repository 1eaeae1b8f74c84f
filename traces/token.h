/* token.h - what a record says about a token, taken from a model and its logits. Recording and replaying both look
 * through these functions, so they cannot see different things. */
#ifndef VB_TRACES_TOKEN_H
#define VB_TRACES_TOKEN_H
#include "traces/format.h"

/* Id and text; the text is written to `room` of VB_TRACE_TOKEN_TEXT_MOST bytes and cut there. */
void vb_trace_token_name(vb_trace_token *token, const vb_model *model, vb_token id, char *room);
/* The digest of all logits and the `top` largest. */
void vb_trace_token_logits(vb_trace_token *token, const float *logits, int vocab, int top);
/* The proof of all logits, which depends on the link before the token's record. */
void vb_trace_token_proof(vb_trace_token *token, const float *logits, int vocab, const uint8_t link[VB_TRACE_LINK]);

#endif
