/* vocabulary.c - may one model draft for another? Only if an id is the same text for both.
 *
 * Templates, merges and scores may differ: drafts are ids. Makers fill vocabularies up to round sizes, so one may end
 * a little earlier than the other; a draft of an id that the other lacks is dropped.
 */
#include "session/model.h"

#include <string.h>

enum { FILLING = 1024, TEXT_MOST = 1024 };

static int same_token(const vb_model *a, const vb_model *b, vb_token id)
{
    char x[TEXT_MOST], y[TEXT_MOST];
    int64_t n = vb_tokenizer_piece(a->tokenizer, id, x, sizeof x);
    int64_t m = vb_tokenizer_piece(b->tokenizer, id, y, sizeof y);
    if (n != m || vb_tokenizer_kind_of(a->tokenizer, id) != vb_tokenizer_kind_of(b->tokenizer, id)) return 0;
    return n <= 0 || memcmp(x, y, n < TEXT_MOST ? (size_t)n : TEXT_MOST) == 0;
}

VB_API vb_status vb_draft_check(const vb_model *a, const vb_model *draft, vb_err *err)
{
    const char *name = vb_gguf_path(a->gguf), *other = vb_gguf_path(draft->gguf);
    int n = a->plan.vocab, m = draft->plan.vocab, least = n < m ? n : m;
    VB_TRY(vb_need_logits(a, err));
    VB_TRY(vb_need_logits(draft, err));
    if (a == draft) return VB_OK;
    if (n - m > FILLING || m - n > FILLING)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: draft for %s: expected a vocabulary of %d tokens, found %d", other, name, n,
                m);
    if (a->tokenizer == NULL || draft->tokenizer == NULL) {
        if (a->tokenizer == draft->tokenizer && n == m) return VB_OK;
        VB_FAIL(err, VB_E_ARGUMENT, "%s: draft for %s: expected both to have a tokenizer, found one", other, name);
    }
    if (vb_tokenizer_size(a->tokenizer) < least) least = vb_tokenizer_size(a->tokenizer);
    if (vb_tokenizer_size(draft->tokenizer) < least) least = vb_tokenizer_size(draft->tokenizer);
    for (vb_token id = 0; id < least; id++)
        if (!same_token(a, draft, id))
            VB_FAIL(err, VB_E_ARGUMENT, "%s: draft for %s: expected the same tokens, found token %d to be another",
                    other, name, id);
    return VB_OK;
}
