/* vocabulary.h - the tokenizer of a Hugging Face folder as the tokenizer.* keys of a GGUF file.
 *
 *   tokenizer.json           BPE, Unigram, WordPiece: pieces, merges, added tokens, normalizer, pre-tokenizer
 *   tokenizer.model          a SentencePiece model (protobuf); wins over tokenizer.json where a family asks for it
 *   vocab.json + merges.txt  BPE as GPT-2 stored it
 *   vocab.txt                WordPiece as BERT stored it
 *   added_tokens.json, tokenizer_config.json, chat_template.jinja, config.json: what stands beside them
 *
 * Keys, their order and their values are those of llama.cpp's converter, except that a SentencePiece-like BPE without
 * scores gets them from its merges. Everything that is read is checked; nothing of it is trusted.
 */
#ifndef VB_CONVERT_VOCABULARY_H
#define VB_CONVERT_VOCABULARY_H
#include "base/err.h"
#include "file/gguf_write.h"

typedef struct vb_vocabulary vb_vocabulary;

/* `arch` is general.architecture ("llama", "gemma3", ...); n_tokens are the rows that the vocabulary is to have, those
 * that nobody names become [PAD<id>]; 0: as many as the tokenizer has. */
vb_status vb_vocabulary_read(vb_vocabulary **out, const char *folder, const char *arch, uint64_t n_tokens, vb_err *err);
void vb_vocabulary_close(vb_vocabulary *v);

/* All tokenizer.* keys, in order; failures stay in the writer. */
void vb_vocabulary_put(const vb_vocabulary *v, vb_gguf_writer *w);

uint64_t vb_vocabulary_size(const vb_vocabulary *v);
const char *vb_vocabulary_model(const vb_vocabulary *v); /* tokenizer.ggml.model */
const char *vb_vocabulary_pre(const vb_vocabulary *v);   /* tokenizer.ggml.pre; NULL: none is written */

#endif
