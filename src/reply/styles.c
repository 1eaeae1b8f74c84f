/* styles.c - which marks a template's models write: the first row whose sign stands in it.
 *
 * Marks that are parts of others, or general, stand below those that are special.
 */
#include "reply/styles.h"

#include <ctype.h>
#include <string.h>

#define BAR "\xef\xbd\x9c"  /* U+FF5C */
#define SIGN "\xe2\x96\x81" /* U+2581 */

/* name, named, key, text, json, behind, end */
static const vb_call_tags lines = {"<function=", ">\n", "<parameter=", ">\n", ">\n", "\n</parameter>\n", "</function>"};
static const vb_call_tags invocation = {"<invoke name=\"", "\">\n", "<parameter name=\"", "\">", "\">", "</parameter>\n", "</invoke>"};
static const vb_call_tags prefixed = {
    "<atem:invoke name=\"", "\">\n", "<atem:parameter name=\"", "\">", "\">", "</atem:parameter>\n", "</atem:invoke>"};
static const vb_call_tags typed = {
    "<" BAR "DSML" BAR "invoke name=\"", "\">\n", "<" BAR "DSML" BAR "parameter name=\"", "\" string=\"true\">",
    "\" string=\"false\">", "</" BAR "DSML" BAR "parameter>\n", "</" BAR "DSML" BAR "invoke>"};
static const vb_call_tags keys = {
    "", "\n", "<arg_key>", "</arg_key>\n<arg_value>", "</arg_key>\n<arg_value>", "</arg_value>\n", ""};

static const vb_call_marks channels = {
    .sign = "<|channel|>", .open = "<|message|>", .close = "<|call|>", .inner = {"<|channel|>", "<|constrain|>", "<|start|>", "<|end|>"},
    .before = "<|channel|>commentary to=functions.",
    .behind = " <|constrain|>json<|message|>"};

static const vb_call_marks all_calls[] = {
    {.sign = "<|tool_call>call:", .open = "<|tool_call>", .close = "<tool_call|>", .inner = {"<|\"|>", "<|channel>", "<channel|>"}},
    {.sign = "[ARGS]", .open = "[TOOL_CALLS]", .inner = {"[ARGS]", "[CALL_ID]"}, .list = 1, .before = "", .behind = "[ARGS]"},
    {.sign = "[TOOL_CALLS]", .open = "[TOOL_CALLS]", .list = 1},
    {.sign = "tool['type'] + '<" BAR "tool" SIGN "sep" BAR ">",
     .open = "<" BAR "tool" SIGN "call" SIGN "begin" BAR ">", .close = "<" BAR "tool" SIGN "call" SIGN "end" BAR ">",
     .drop = {"<" BAR "tool" SIGN "calls" SIGN "begin" BAR ">", "<" BAR "tool" SIGN "calls" SIGN "end" BAR ">"},
     .inner = {"<" BAR "tool" SIGN "sep" BAR ">"}, .before = "function<" BAR "tool" SIGN "sep" BAR ">", .behind = "\n```json\n"},
    {.sign = "<" BAR "tool" SIGN "call" SIGN "begin" BAR ">",
     .open = "<" BAR "tool" SIGN "call" SIGN "begin" BAR ">", .close = "<" BAR "tool" SIGN "call" SIGN "end" BAR ">",
     .drop = {"<" BAR "tool" SIGN "calls" SIGN "begin" BAR ">", "<" BAR "tool" SIGN "calls" SIGN "end" BAR ">"},
     .inner = {"<" BAR "tool" SIGN "sep" BAR ">"}, .before = "", .behind = "<" BAR "tool" SIGN "sep" BAR ">"},
    {.sign = "<|tool_call_argument_begin|>", .open = "<|tool_call_begin|>", .close = "<|tool_call_end|>",
     .drop = {"<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"}, .inner = {"<|tool_call_argument_begin|>"},
     .before = "functions.", .behind = ":0<|tool_call_argument_begin|>"},
    {.sign = "<|tool_call:begin|>", .open = "<|tool_call:begin|>", .close = "<|tool_call:end|>",
     .drop = {"<|tool_calls|>", "<|calls|>", "<|content|>"}, .inner = {"<|tool_call:name|>", "<|tool_call:args|>"}},
    {.sign = "<' + dsml_token + 'function_calls>", .open = "<" BAR "DSML" BAR "function_calls>",
     .close = "</" BAR "DSML" BAR "function_calls>", .inner = {BAR "DSML" BAR}, .lead = "\n", .tags = &typed},
    {.sign = "<' + dsml_token + 'tool_calls>", .open = "<" BAR "DSML" BAR "tool_calls>",
     .close = "</" BAR "DSML" BAR "tool_calls>", .inner = {BAR "DSML" BAR}, .lead = "\n", .tags = &typed},
    {.sign = "<|START_ACTION|>", .open = "<|START_ACTION|>", .close = "<|END_ACTION|>",
     .drop = {"<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"},
     .list = 1, .name_key = "tool_name", .arguments_key = "parameters"},
    {.sign = "tools_prefix|>", .open = "<|tools_prefix|>", .close = "<|tools_suffix|>", .list = 1},
    {.sign = "<minimax:tool_call>", .open = "<minimax:tool_call>", .close = "</minimax:tool_call>", .lead = "\n",
     .tags = &invocation},
    {.sign = "<seed:tool_call>", .open = "<seed:tool_call>", .close = "</seed:tool_call>", .lead = "\n", .tags = &lines},
    {.sign = "<atem:function_calls>", .open = "<atem:function_calls>", .close = "</atem:function_calls>", .lead = "\n",
     .tags = &prefixed},
    {.sign = "<tool_calls>", .open = "<tool_calls>", .close = "</tool_calls>", .list = 1},
    {.sign = "<TOOLCALL>", .open = "<TOOLCALL>", .close = "</TOOLCALL>", .list = 1},
    {.sign = "<tool_call>\\n<function=", .open = "<tool_call>", .close = "</tool_call>", .lead = "\n", .tags = &lines},
    {.sign = "<tool_call>\n<function=", .open = "<tool_call>", .close = "</tool_call>", .lead = "\n", .tags = &lines},
    {.sign = "<arg_key>", .open = "<tool_call>", .close = "</tool_call>", .lead = "", .tags = &keys},
    {.sign = "<tool_call>", .open = "<tool_call>", .close = "</tool_call>", .lead = "\n"},
    {.sign = "<|tool_call_start|>", .open = "<|tool_call_start|>", .close = "<|tool_call_end|>", .list = 1},
    {.sign = "<|tool_call|>", .open = "<|tool_call|>", .close = "<|/tool_call|>", .list = 1,
     .drop = {"<response>", "</response>"}},
    {.sign = "<|function_call|>", .open = "<|function_call|>", .close = "<|message_sep|>"},
    {.sign = "'role': 'function call'", .open = "function call<|role_sep|>\n", .close = "<|message_sep|>",
     .inner = {"<|role_sep|>"}},
    {.sign = "<toolcall>", .open = "<toolcall>", .close = "</toolcall>"},
    {.sign = "<function_call>", .open = "<function_call>", .close = "</function_call>"},
    {.sign = "Action: ```json", .open = "Action:", .list = 1, .name_key = "tool_name", .arguments_key = "parameters"},
    {.sign = " functools[", .open = " functools", .list = 1},
    {.sign = "<function=", .open = "<function=", .close = "</function>", .whole = 1, .before = "<function=", .behind = ">"},
    {.sign = "<function name=", .open = "<function name=", .close = "</function>", .whole = 1,
     .before = "<function name=\"", .behind = "\">"},
    {.sign = "<|python_tag|>", .open = "<|python_tag|>", .bare = 1, .arguments_key = "parameters"},
    {.sign = "{\"name\": function name, \"parameters\"", .bare = 1, .arguments_key = "parameters"},
};
static const vb_call_marks bare = {.bare = 1};

static const vb_thought_marks all_thoughts[] = {
    {"<seed:think>", "<seed:think>", "</seed:think>"},
    {"[/THINK]", "[THINK]", "[/THINK]"},
    {"<|START_THINKING|>", "<|START_THINKING|>", "<|END_THINKING|>"},
    {"inner_prefix|>", "<|inner_prefix|>", "<|inner_suffix|>"},
    {"<|channel>thought", "<|channel>thought", "<channel|>"},
    {"[BEGIN FINAL RESPONSE]", "Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"},
    {"</think>", "<think>", "</think>"},
    {"<think>", "<think>", "</think>"},
    {"thinking_start_token", "<think>", "</think>"},
};

static int says(const char *tmpl, size_t len, const char *what)
{
    return memmem(tmpl, len, what, strlen(what)) != NULL;
}

/* Does it name the variable `tools`, or in Go's language the field `.Tools`? Names that only begin or end so do not count. */
static int names_tools(const char *tmpl, size_t len)
{
    for (size_t i = 1; i + 6 < len; i++) {
        if (memcmp(tmpl + i, "tools", 5) != 0 && memcmp(tmpl + i - 1, ".Tools", 6) != 0) continue;
        unsigned char before = (unsigned char)tmpl[i - 1], behind = (unsigned char)tmpl[i + 5];
        int in_name = isalnum(before) || before == '_' || before == '<' || before == '/' || before == '\'';
        if (!in_name && !isalnum(behind) && behind != '_' && strchr(" )|}%,.[:\n=-", behind) != NULL) return 1;
    }
    return 0;
}

void vb_reply_recognise(vb_reply_style *out, const char *tmpl, size_t len)
{
    *out = (vb_reply_style){.calls = &bare};
    if (tmpl == NULL) return;
    out->tools = names_tools(tmpl, len);
    out->channels = says(tmpl, len, "<|channel|>") && says(tmpl, len, "<|message|>") && says(tmpl, len, "analysis");
    out->thinks = out->channels;
    if (out->channels) {
        out->calls = &channels;
        return;
    }
    for (size_t i = 0; out->calls == &bare && i < sizeof all_calls / sizeof *all_calls; i++)
        if (says(tmpl, len, all_calls[i].sign)) out->calls = &all_calls[i];
    for (size_t i = 0; out->thoughts == NULL && i < sizeof all_thoughts / sizeof *all_thoughts; i++)
        if (says(tmpl, len, all_thoughts[i].sign)) out->thoughts = &all_thoughts[i];
    out->thinks = out->thoughts != NULL;
}

const char *vb_reply_mark(const vb_reply_style *style, int calls, int index)
{
    const vb_call_marks *c = style->calls;
    const vb_thought_marks *t = style->thoughts;
    const char *own[] = {t != NULL ? t->open : NULL, t != NULL ? t->close : NULL, c->open, c->close};
    const struct {
        const char *const *list;
        int n;
    } parts[] = {{own, 4}, {c->drop, VB_MARKS_DROPPED}, {c->inner, VB_MARKS_INNER}, {own, 2}, {c->drop, VB_MARKS_DROPPED}};
    int all = calls || style->channels, first = all ? 0 : 3, end = all ? 3 : 5;
    for (int p = first; p < end; p++)
        for (int i = 0; i < parts[p].n; i++)
            if (parts[p].list[i] != NULL && index-- == 0) return parts[p].list[i];
    return NULL;
}
