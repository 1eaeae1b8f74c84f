/* ollama.h - what the routes of Ollama's API share. */
#ifndef VB_SERVE_OLLAMA_H
#define VB_SERVE_OLLAMA_H
#include "serve/embedding.h"

void vb_ollama_generate(vb_serve *s, vb_exchange *x);
void vb_ollama_chat(vb_serve *s, vb_exchange *x);
void vb_ollama_embed(vb_serve *s, vb_exchange *x);
void vb_ollama_embeddings(vb_serve *s, vb_exchange *x);
void vb_ollama_tags(vb_serve *s, vb_exchange *x);
void vb_ollama_show(vb_serve *s, vb_exchange *x);
void vb_ollama_ps(vb_serve *s, vb_exchange *x);

/* --- requests --- */
/* The fields that generate and chat have in common: model, keep_alive, log-probabilities. */
void vb_ollama_common(vb_request *r, vb_ask *ask);
/* The options, behind those that the store has for the model; s NULL: without these. */
void vb_ollama_options(vb_serve *s, vb_request *r, vb_ask *ask);
/* images and shift: refused, and told as ignored. */
void vb_ollama_refuse(vb_request *r, const char *model);
/* Only to load or unload: answers and returns 1, or returns 0 with a fault. */
int vb_ollama_load(vb_serve *s, vb_exchange *x, vb_request *r, const vb_ask *ask, int chat);

/* --- answers --- */
/* {"error": ...} */
void vb_ollama_fault(vb_exchange *x, const vb_fault *fault);
/* Opens the object with its fields model and created_at. */
void vb_ollama_open(vb_out *out, const char *model);
/* RFC 3339 with nanoseconds; ns since 1970, -1: now. */
void vb_ollama_put_time(vb_out *out, const char *key, int64_t ns);
/* registry/library/name:tag, as errors call a model. */
const char *vb_ollama_full_name(const char *model, char *buf, size_t cap);
/* The answer to generate or chat: streamed or whole. Takes over the request and leaves an empty one. */
void vb_ollama_answer(vb_serve *s, vb_exchange *x, vb_request *r, const vb_ask *ask, int chat);

#endif
