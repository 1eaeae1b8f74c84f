/* passages.h - a long text in pieces that a model can embed. */
#ifndef VB_CAST_PASSAGES_H
#define VB_CAST_PASSAGES_H
#include "base/err.h"

enum { VB_PASSAGE_TOKENS = 128 };

/* The next passage at or behind *at, which moves behind it: as many sentences as fit into `most` tokens, with what the model
 * adds around a text; of a sentence that does not fit by itself as many words, or characters. *len 0: there is no more. */
vb_status vb_passage_next(const vb_model *model, int most, const char *text, size_t all, size_t *at, size_t *from, size_t *len,
                          vb_err *err);

#endif
