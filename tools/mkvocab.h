/* mkvocab.h - the tokenizer.* keys of a made model: invented, or copied from another file. */
#ifndef VB_TOOLS_MKVOCAB_H
#define VB_TOOLS_MKVOCAB_H
#include "file/gguf_write.h"

/* A byte-level BPE of n tokens. */
enum { VB_VOCAB_LEAST = 960 };
void vb_vocab_invent(vb_gguf_writer *w, int n);
/* All tokenizer.* keys of `from`, and how many tokens they name. */
vb_status vb_vocab_copy(vb_gguf_writer *w, const vb_gguf *from, int *n, vb_err *err);

#endif
