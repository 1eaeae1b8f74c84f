/* input.h - what comes in: whole files, standard input, lists of token ids, and Ctrl-C. */
#ifndef VB_CLI_INPUT_H
#define VB_CLI_INPUT_H
#include "verbatim.h"

#include <jansson.h>

enum { VB_INPUT_MAX = 64 << 20 }; /* bytes of a prompt, template or token list */

/* A growing buffer with a NUL behind its bytes. Free `data`. */
typedef struct {
    char *data;
    size_t len, cap;
} vb_buffer;
int vb_buffer_add(vb_buffer *buffer, const char *data, size_t len); /* 0, or VB_EXIT_MEMORY */

/* A growing list of token ids. Free `ids`. */
typedef struct {
    vb_token *ids;
    size_t n, cap;
} vb_ids;

/* The following return 0, or an exit code after saying what is wrong. Path "-" is standard input. */
int vb_read_all(const char *path, vb_buffer *out);
/* The word of the command line, or for "-" standard input without its last newline. A NUL byte in it is refused. */
int vb_read_text(const char *what, const char *word, vb_buffer *out);
int vb_parse_ids(const char *what, const char *text, vb_ids *out); /* "1,2,3", "1 2 3", "[1, 2, 3]" */
int vb_read_json_ids(const char *path, vb_ids *out);               /* a JSON array of whole numbers */
int vb_unhex_text(const char *what, vb_buffer *text);              /* hexadecimal digits to bytes, in place */
/* 0, or the exit code after saying that the model is an encoder. */
int vb_need_logits_of(const vb_model *model);
int vb_encode(const vb_model *model, const char *text, size_t len, int flags, vb_ids *out);

/* Ctrl-C raises a flag instead of ending the program; a second one before the flag is lowered ends it. */
void vb_interrupt_catch(void);
int vb_interrupted(void);
void vb_interrupt_clear(void);

#endif
