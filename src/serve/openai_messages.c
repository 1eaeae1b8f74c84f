/* openai_messages.c - a conversation as OpenAI's clients send it, as templates read it: role and content, calls and results.
 *
 *   messages of /v1/chat/completions   checked, and taken as they are
 *   items of /v1/responses             message          role, content
 *                                      function_call    tool_calls of a message of the assistant's
 *                                      its output       role "tool"
 *                                      reasoning        left out: what a model thought before is not shown to it again
 */
#include "serve/openai.h"

#include <string.h>

/* Text, or parts that have text. */
static int is_text(const json_t *content)
{
    size_t i;
    json_t *part;
    if (json_is_string(content)) return 1;
    json_array_foreach(content, i, part) {
        if (!json_is_string(json_object_get(part, "text"))) return 0;
    }
    return json_is_array(content);
}

static int has_image(const json_t *content)
{
    size_t i;
    json_t *part;
    json_array_foreach(content, i, part) {
        const char *type = json_string_value(json_object_get(part, "type"));
        if (type != NULL && (strcmp(type, "image_url") == 0 || strcmp(type, "input_image") == 0)) return 1;
    }
    return 0;
}

static void refuse_image(vb_request *r, const char *model)
{
    vb_fault_set(&r->fault, 400, "\"%.200s\" does not support vision", model != NULL ? model : "");
}

/* --- messages -------------------------------------------------------------------------------------------- */

/* OpenAI's newer name for the system's role is read as the old one, which templates know. */
static void check_message(vb_request *r, json_t *m, const char *model)
{
    const char *role = json_string_value(json_object_get(m, "role"));
    const json_t *content = json_object_get(m, "content");
    if (!json_is_object(m)) vb_request_mistyped(r, "messages", m, "openai.Message");
    else if (role == NULL) vb_fault_set(&r->fault, 400, "messages: expected a role in each");
    else if (has_image(content)) refuse_image(r, model);
    else if (content != NULL && !json_is_null(content) && !is_text(content))
        vb_fault_set(&r->fault, 400, "invalid message content type: expected text, or parts of type text");
    else vb_tooling_check_calls(r, m);
    if (role != NULL && strcmp(role, "developer") == 0) json_object_set_new(m, "role", json_string("system"));
}

json_t *vb_openai_messages(vb_request *r, const char *model)
{
    size_t i;
    json_t *messages = vb_request_list(r, "messages", "[]openai.Message"), *m;
    if (json_array_size(messages) == 0) vb_fault_set(&r->fault, 400, "[] is too short - 'messages'");
    json_array_foreach(messages, i, m) check_message(r, m, model);
    return messages;
}

/* --- items ----------------------------------------------------------------------------------------------- */

static void add_message(json_t *messages, const char *role, json_t *content)
{
    json_array_append_new(messages, json_pack("{s:s, s:o}", "role", role, "content", content));
}

/* Calls that follow each other are one message's. */
static void add_call(vb_request *r, json_t *messages, json_t *item)
{
    json_t *last = json_array_get(messages, json_array_size(messages) - 1), *name = json_object_get(item, "name");
    json_t *calls = json_object_get(last, "tool_calls"), *arguments = json_object_get(item, "arguments");
    if (!json_is_string(name)) vb_fault_set(&r->fault, 400, "input: expected a name in each function_call");
    if (calls == NULL) {
        calls = json_array();
        json_array_append_new(messages, json_pack("{s:s, s:s, s:o}", "role", "assistant", "content", "", "tool_calls", calls));
    }
    json_t *function = json_pack("{s:O?, s:O?}", "name", name, "arguments", arguments);
    json_array_append_new(calls, json_pack("{s:O?, s:s, s:o}", "id", json_object_get(item, "call_id"), "type", "function",
                                           "function", function));
}

static void add_result(vb_request *r, json_t *messages, json_t *item)
{
    json_t *output = json_object_get(item, "output");
    if (!is_text(output)) vb_fault_set(&r->fault, 400, "input: expected text as output of a function");
    json_array_append_new(messages, json_pack("{s:s, s:O?, s:O?}", "role", "tool", "tool_call_id",
                                              json_object_get(item, "call_id"), "content", output));
}

static void read_item(vb_request *r, const char *model, json_t *messages, json_t *item)
{
    const char *role = json_string_value(json_object_get(item, "role"));
    const char *type = json_string_value(json_object_get(item, "type"));
    json_t *content = json_object_get(item, "content");
    if (type != NULL && strcmp(type, "reasoning") == 0) return;
    if (type != NULL && strcmp(type, "function_call") == 0) add_call(r, messages, item);
    else if (type != NULL && strcmp(type, "function_call_output") == 0) add_result(r, messages, item);
    else if (has_image(content)) refuse_image(r, model);
    else if (type != NULL && strcmp(type, "message") != 0)
        vb_fault_set(&r->fault, 400, "input: expected items of type \"message\", found \"%.100s\"", type);
    else if (role == NULL || !is_text(content))
        vb_fault_set(&r->fault, 400, "input: expected items with a role, and text as content");
    else add_message(messages, strcmp(role, "developer") == 0 ? "system" : role, json_incref(content));
}

json_t *vb_openai_items(vb_request *r, const char *model, const char *instructions)
{
    size_t i;
    json_t *input = vb_request_any(r, "input"), *messages = json_array(), *item;
    if (instructions != NULL) add_message(messages, "system", json_string(instructions));
    if (json_is_string(input)) add_message(messages, "user", json_incref(input));
    else if (json_array_size(input) == 0) vb_fault_set(&r->fault, 400, "input: expected text, or items");
    json_array_foreach(input, i, item) read_item(r, model, messages, item);
    return messages;
}
