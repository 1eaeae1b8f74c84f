/* go.h - chat templates in Go's text/template language, run as Ollama runs them.
 *
 *   source -> go_lex.c -> tokens -> go_parse.c, go_pipe.c -> tree -> go_exec.c, go_eval.c -> text
 *   input  -> JSON -> values -> go_data.c: the types that Ollama's templates see       go_func.c, go_print.c, go_json.c
 *
 * The input is that of jinja.h and goes on where Ollama's templates know more:
 *
 *   messages, tools        role, content, thinking, tool_calls, tool_name, tool_call_id
 *   think                  true, false or a level as "low"; absent: kwargs.enable_thinking, kwargs.reasoning_effort
 *   prompt, suffix         the two sides of a gap, instead of messages
 *
 * Ollama's rules around the language: consecutive messages of one role are joined; .System is all of the system's
 * messages; a template that never mentions .Messages is run once a turn with .System, .Prompt and .Response, the last
 * time only up to .Response; one that mentions neither gets .Response at its end.
 *
 * Values, limits, and the marks that keep a user's text from becoming a control token are those of jinja_value.h.
 */
#ifndef VB_TEXT_GO_H
#define VB_TEXT_GO_H
#include "text/jinja.h"

/* As vb_jinja_render; bos and eos have no names in this language. */
vb_status vb_go_render(const vb_jinja_job *job, vb_jinja_text *out, vb_err *err);

/* What a template shows of itself. */
typedef struct {
    int messages, tools, calls, suffix; /* 1: it mentions .Messages, .Tools, .ToolCalls, .Suffix */
    int thinking; /* 1: it writes .Thinking of messages between two texts */
} vb_go_facts;
/* Also says whether a template is written correctly, without running it. */
vb_status vb_go_look(const char *tmpl, size_t tmpl_len, vb_go_facts *out, vb_err *err);

#endif
