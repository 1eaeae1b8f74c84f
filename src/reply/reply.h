/* reply.h - what a model writes, taken apart: its thoughts, its answer, the tools that it calls.
 *
 *   <think>Rain?</think> Let me look. <tool_call>{"name": "weather", "arguments": {"city": "Bern"}}</tool_call>
 *          thinking      content                  a call
 *
 * Each family writes them between marks of its own; which ones is seen in its chat template (styles.c). Text comes in
 * pieces of any size and leaves as soon as it can no longer turn out to be a mark; a call leaves when it is whole
 * (calls.c). Invariant: what looks like a call and cannot be read as one comes out as content, so nothing is lost.
 */
#ifndef VB_REPLY_REPLY_H
#define VB_REPLY_REPLY_H
#include "base/err.h"
#include "reply/styles.h"

#include <jansson.h>

typedef struct {
    const char *name, *arguments; /* arguments: a JSON object */
} vb_reply_call;

/* What has become certain; valid until the next call. */
typedef struct {
    const char *content, *thinking; /* may be empty */
    size_t content_len, thinking_len;
    const vb_reply_call *calls;
    int n_calls;
} vb_reply_piece;

typedef struct vb_reply vb_reply;

typedef struct {
    const vb_reply_style *style;
    const json_t *tools; /* [{"type", "function": {"name", "parameters"}}]; NULL: calls are not looked for */
    int most_calls;      /* further ones are left out; 0: no limit */
    const char *prompt;  /* the end of what the model was given, with control tokens: it may have opened a thought */
    size_t prompt_len;
    const char *begun;   /* the reply's own beginning, by vb_reply_demand; NULL: the model begins */
} vb_reply_opts;

vb_status vb_reply_open(vb_reply **out, const vb_reply_opts *opts, vb_err *err);
vb_status vb_reply_add(vb_reply *r, const char *text, size_t len, vb_reply_piece *out, vb_err *err);
/* The last text, and what was held back. */
vb_status vb_reply_end(vb_reply *r, const char *text, size_t len, vb_reply_piece *out, vb_err *err);
int vb_reply_thinks(const vb_reply *r); /* 1: what comes next is thought, as far as is known */
void vb_reply_close(vb_reply *r);

/* Calls that must be made: what the prompt ends with, and a grammar (GBNF) for all that follows. `name`: the only tool
 * that may be called, or NULL. `one`: a single call. Both texts are to be freed. */
vb_status vb_reply_demand(const vb_reply_style *style, const json_t *tools, const char *name, int one, char **prompt,
                          char **gbnf, vb_err *err);
/* What ends a thought that this prompt has opened; NULL: it has not opened one. */
const char *vb_reply_unthink(const vb_reply_style *style, const char *prompt, size_t len);

#endif
