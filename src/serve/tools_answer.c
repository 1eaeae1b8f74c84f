/* tools_answer.c - calls in answers. */
#include "serve/tools.h"

#include "serve/turn.h"

#include <stdio.h>
#include <string.h>

void vb_call_id(char id[16])
{
    snprintf(id, 16, "call_%08x", (unsigned)vb_turn_seed());
}

static void put_head(vb_out *out, const char *id, int index)
{
    vb_js_put_string(out, "id", id);
    vb_js_put_int(out, "index", index);
}

void vb_calls_put_openai(vb_out *out, const vb_reply_call *calls, int n, int first)
{
    char id[16];
    for (int i = 0; i < n; i++) {
        vb_call_id(id);
        vb_js_open(out, '{');
        put_head(out, id, first + i);
        vb_js_put_string(out, "type", "function");
        vb_js_key(out, "function");
        vb_js_open(out, '{');
        vb_js_put_string(out, "name", calls[i].name);
        vb_js_put_string(out, "arguments", calls[i].arguments);
        vb_js_close(out, '}');
        vb_js_close(out, '}');
    }
}

void vb_calls_put_ollama(vb_out *out, const vb_reply_call *calls, int n, int first)
{
    char id[16];
    for (int i = 0; i < n; i++) {
        vb_call_id(id);
        vb_js_open(out, '{');
        vb_js_put_string(out, "id", id);
        vb_js_key(out, "function");
        vb_js_open(out, '{');
        vb_js_put_int(out, "index", first + i);
        vb_js_put_string(out, "name", calls[i].name);
        vb_js_key(out, "arguments");
        vb_js_raw(out, calls[i].arguments, strlen(calls[i].arguments));
        vb_js_close(out, '}');
        vb_js_close(out, '}');
    }
}
