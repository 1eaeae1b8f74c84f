/* tools.c - tools, the choice among them, and thoughts, as requests ask for them. */
#include "serve/tools.h"

#include <stdlib.h>
#include <string.h>

void vb_tooling_free(vb_tooling *t)
{
    json_decref(t->tools);
    t->tools = NULL;
}

void vb_tooling_settle(vb_tooling *t, const vb_model *model, vb_reply_style *style)
{
    size_t len = 0;
    const char *tmpl = vb_model_template(model, &len);
    vb_reply_recognise(style, tmpl, len);
    if (t->required) t->think = -1;
    if (t->think == 0 && t->thinks && style->thinks) t->think = 1;
}

/* --- tools ------------------------------------------------------------------------------------------------ */

/* A tool as chats have it; /v1/responses leaves the inner object out. */
static json_t *tool_of(json_t *given)
{
    json_t *function = json_object_get(given, "function");
    if (json_is_object(function)) return json_incref(given);
    json_t *flat = json_copy(given);
    json_object_del(flat, "type");
    return json_pack("{s:s, s:o}", "type", "function", "function", flat);
}

static void read_tools(vb_tooling *t, vb_request *r)
{
    json_t *list = vb_request_list(r, "tools", "[]api.Tool"), *one;
    size_t i;
    if (json_array_size(list) == 0) return; /* what some clients send always */
    t->tools = json_array();
    json_array_foreach(list, i, one) {
        const char *type = json_string_value(json_object_get(one, "type"));
        json_t *tool = json_is_object(one) ? tool_of(one) : NULL;
        const char *name = json_string_value(json_object_get(json_object_get(tool, "function"), "name"));
        if (!json_is_object(one)) vb_request_mistyped(r, "tools", one, "api.Tool");
        else if (type != NULL && strcmp(type, "function") != 0)
            vb_fault_set(&r->fault, 400, "tools: expected the type function, found \"%.100s\"", type);
        else if (name == NULL || name[0] == '\0') vb_fault_set(&r->fault, 400, "tools: expected a function with a name in each");
        json_array_append_new(t->tools, tool != NULL ? tool : json_null());
    }
}

/* "none", "auto", "required", {"type": "function", "function": {"name"}} or, in responses, {"type", "name"}. */
static void read_choice(vb_tooling *t, vb_request *r)
{
    const json_t *choice = vb_request_any(r, "tool_choice");
    const char *word = json_string_value(choice);
    if (choice == NULL || (word != NULL && strcmp(word, "auto") == 0)) return;
    if (word != NULL && strcmp(word, "none") == 0) {
        vb_tooling_free(t);
        return;
    }
    const json_t *function = json_object_get(choice, "function");
    t->name = json_string_value(json_object_get(function != NULL ? function : choice, "name"));
    t->required = 1;
    if (word != NULL ? strcmp(word, "required") != 0 : t->name == NULL)
        vb_fault_set(&r->fault, 400, "tool_choice: expected none, auto, required, or the name of a function");
    else if (t->tools == NULL) vb_fault_set(&r->fault, 400, "tool_choice: expected tools to choose from, found none");
}

static int are_arguments(const json_t *value)
{
    if (value == NULL || json_is_null(value) || json_is_object(value)) return 1;
    json_t *read = json_is_string(value) ? json_loads(json_string_value(value), 0, NULL) : NULL;
    int good = json_is_object(read) || (json_is_string(value) && json_string_length(value) == 0);
    json_decref(read);
    return good;
}

void vb_tooling_check_calls(vb_request *r, const json_t *message)
{
    json_t *calls = json_object_get(message, "tool_calls"), *call;
    size_t i;
    if (calls == NULL || json_is_null(calls)) return;
    if (!json_is_array(calls)) vb_request_mistyped(r, "messages.tool_calls", calls, "[]api.ToolCall");
    json_array_foreach(calls, i, call) {
        const json_t *function = json_object_get(call, "function");
        if (!json_is_object(call)) vb_request_mistyped(r, "messages.tool_calls", call, "api.ToolCall");
        else if (!json_is_string(json_object_get(function, "name")))
            vb_fault_set(&r->fault, 400, "messages.tool_calls: expected a function with a name in each");
        else if (!are_arguments(json_object_get(function, "arguments"))) vb_fault_set(&r->fault, 400, "invalid tool call arguments");
    }
}

/* --- thoughts --------------------------------------------------------------------------------------------- */

/* How much thought: one of the words that models know. 0: there is no such word. */
static int read_effort(vb_tooling *t, const char *word)
{
    static const struct {
        const char *said, *meant;
    } words[] = {{"none", NULL},   {"minimal", "low"}, {"low", "low"}, {"medium", "medium"},
                 {"high", "high"}, {"xhigh", "high"},  {"max", "high"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(word, words[i].said) != 0) continue;
        t->effort = words[i].meant;
        t->think = words[i].meant != NULL ? 1 : -1;
        return 1;
    }
    return 0;
}

void vb_tooling_ollama(vb_tooling *t, vb_request *r)
{
    *t = (vb_tooling){.thinks = 1};
    read_tools(t, r);
    const json_t *think = vb_request_any(r, "think");
    const char *word = json_string_value(think);
    if (json_is_boolean(think)) t->think = json_is_true(think) ? 1 : -1;
    else if (word != NULL && (word[0] == '\0' || read_effort(t, word))) return;
    else if (think != NULL)
        vb_fault_set(&r->fault, 400, "think must be a boolean or string (\"high\", \"medium\", \"low\", \"max\", true, or false)");
}

void vb_tooling_openai(vb_tooling *t, vb_request *r)
{
    vb_request reasoning;
    *t = (vb_tooling){0};
    read_tools(t, r);
    read_choice(t, r);
    t->one = !vb_request_bool(r, "parallel_tool_calls", 1);
    t->more = vb_request_any(r, "chat_template_kwargs");
    if (t->more != NULL && !json_is_object(t->more)) vb_request_mistyped(r, "chat_template_kwargs", t->more, "map[string]interface {}");
    const char *word = vb_request_string(r, "reasoning_effort", NULL);
    vb_request_part(&reasoning, r, "reasoning");
    word = vb_request_string(&reasoning, "effort", word);
    vb_request_any(&reasoning, "summary");
    vb_request_join(r, &reasoning);
    if (word != NULL && !read_effort(t, word))
        vb_fault_set(&r->fault, 400, "invalid reasoning value: \"%.100s\" (must be \"high\", \"medium\", \"low\", \"max\", or \"none\")",
                     word);
}
