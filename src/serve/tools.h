/* tools.h - what a request says of tools and thoughts, and how an answer tells of them, in the words of three APIs.
 *
 *   tools.c         fields of requests             conversation.c  messages with calls and results, for the template
 *   tools_answer.c  calls in answers
 */
#ifndef VB_SERVE_TOOLS_H
#define VB_SERVE_TOOLS_H
#include "reply/reply.h"
#include "serve/request.h"

typedef struct {
    json_t *tools;      /* [{"type", "function": {"name", ...}}], ours; NULL: none */
    int required, one;  /* a call must be made; at most one may */
    const char *name;   /* of the tool that must be called; NULL: any */
    int think;          /* 1: yes, -1: no, 0: nothing was said */
    int thinks;         /* 1: if nothing was said, a model that can think does */
    const char *effort; /* "low", "medium", "high"; NULL: nothing was said */
    const json_t *more; /* further variables of the template; NULL: none */
    const char *template_; /* of the request, in Go's language; NULL: the model's */
    const char *suffix;    /* what stands behind a gap, before which the last message stands; NULL: there is no gap */
    int continues;         /* 1: an earlier answer stands before the messages */
} vb_tooling;

/* tools and think, of Ollama's requests. */
void vb_tooling_ollama(vb_tooling *t, vb_request *r);
/* tools, tool_choice, parallel_tool_calls, reasoning_effort and reasoning, of OpenAI's, and llama-server's
 * chat_template_kwargs. */
void vb_tooling_openai(vb_tooling *t, vb_request *r);
/* The calls of a message that is given: a fault if they are not as they should be. */
void vb_tooling_check_calls(vb_request *r, const json_t *message);
void vb_tooling_free(vb_tooling *t);
/* The model's style, and what was not said about thoughts. */
void vb_tooling_settle(vb_tooling *t, const vb_model *model, vb_reply_style *style);

/* An id for a call: "call_0123abcd". */
void vb_call_id(char id[16]);
/* Calls as an array that is open: OpenAI's, arguments as text, or Ollama's, as an object. `first`: the index of the first. */
void vb_calls_put_openai(vb_out *out, const vb_reply_call *calls, int n, int first);
void vb_calls_put_ollama(vb_out *out, const vb_reply_call *calls, int n, int first);

#endif
