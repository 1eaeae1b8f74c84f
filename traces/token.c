/* token.c - see token.h. The digest is XXH3-128 over the logits as little-endian bits (ARITHMETIC J7); the largest come
 * in the order of vb_top_ids, ties to the lower id.
 */
#include "traces/token.h"

#include "base/hash.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "logits are hashed as they lie in memory");

void vb_trace_token_name(vb_trace_token *token, const vb_model *model, vb_token id, char *room)
{
    int64_t n = vb_token_bytes(model, id, room, VB_TRACE_TOKEN_TEXT_MOST);
    if (n < 0) n = 0;
    if (n > VB_TRACE_TOKEN_TEXT_MOST) n = VB_TRACE_TOKEN_TEXT_MOST;
    token->id = id;
    token->text = (vb_trace_text){(const uint8_t *)room, (size_t)n};
}

void vb_trace_token_logits(vb_trace_token *token, const float *logits, int vocab, int top)
{
    vb_token ids[VB_TRACE_TOP_MOST];
    vb_xxh128_of(logits, (size_t)vocab * sizeof *logits, token->logits);
    token->n_top = vb_top_ids(logits, vocab, ids, top);
    for (int i = 0; i < token->n_top; i++) {
        token->top[i].id = ids[i];
        memcpy(&token->top[i].bits, &logits[ids[i]], sizeof(float));
    }
}

void vb_trace_token_proof(vb_trace_token *token, const float *logits, int vocab, const uint8_t link[VB_TRACE_LINK])
{
    uint64_t seed = vb_trace_u32(link) | (uint64_t)vb_trace_u32(link + 4) << 32;
    vb_xxh128_seeded(logits, (size_t)vocab * sizeof *logits, seed, token->proof);
}
