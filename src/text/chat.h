/* chat.h - which template renders a conversation, and rendering one.
 *
 *   the store's                  in Go's language; of a model that was opened by its name in a store, unless Ollama would
 *                                prefer the file's own (vb_chat_template_stored)
 *   the file's own               tokenizer.chat_template, else of several named ones "default" or the first
 *   "ollama", if asked for       ChatML, as Ollama takes it for a file without a template
 *   the family's usual one       by special tokens of the vocabulary: ChatML, Llama 3, Gemma, Granite; by
 *                                architecture: Llama 2
 *   none                         rendering fails
 *
 * Who renders with anything but the file's own says so, by the name in `instead`.
 */
#ifndef VB_TEXT_CHAT_H
#define VB_TEXT_CHAT_H
#include "file/gguf.h"
#include "text/jinja.h"

typedef struct {
    const char *text; /* not NUL-terminated; lies in the file or in the program; NULL: there is none */
    size_t len;
    const char *source;  /* "file", "ollama", "family" or "none" */
    int go;              /* 1: in Go's language, not in Jinja */
    int can;             /* a sum of VB_CAN_... */
    const char *instead; /* whose template it is if not the file's own; else NULL */
    uint8_t digest[32]; /* SHA-256 of the text; zero: none */
} vb_chat_template;

/* `template_as` as in vb_model_opts, NULL or "ollama". `has_token` says whether the vocabulary holds this token. */
vb_status vb_chat_template_choose(vb_chat_template *out, const vb_gguf *g, const char *arch, const char *template_as,
                                  int (*has_token)(const void *ud, const char *text), const void *ud, vb_err *err);

/* A store has this template for the model, in Go's language; it takes the place of what was chosen. Not if the file's own
 * is one that Ollama prefers: it knows more of tools and thoughts. Nor if the store's is a stand-in for a renderer that is
 * built into Ollama. */
void vb_chat_template_stored(vb_chat_template *tmpl, const char *stored, int stands_in);

/* Renders; `go`: the job's template is in Go's language. The input may say otherwise ("language": "go" or "jinja"), or bring
 * a template of its own ("template", in Go's language). VB_E_NOT_FOUND: there is no template. */
vb_status vb_chat_run(const vb_jinja_job *job, int go, vb_jinja_text *out, vb_err *err);

typedef struct {
    const vb_chat_template *tmpl;
    const char *bos, *eos; /* texts of these tokens, NULL if the vocabulary has none */
} vb_chat_style;
/* Messages as a template's input, with an assistant's turn opened at the end; to be freed. */
vb_status vb_chat_input(char **out, const vb_message *msgs, size_t n, vb_err *err);
/* `input` through the template, by vb_chat_run. Spans with data hold what the messages said; encode them without control tokens. Release
 * *out with vb_jinja_text_free. */
vb_status vb_chat_render_text(const vb_chat_style *style, const char *input, size_t len, vb_jinja_text *out, vb_err *err);

#endif
