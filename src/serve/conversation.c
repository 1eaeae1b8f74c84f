/* conversation.c - messages of any API as a chat template's input.
 *
 * Templates expect arguments as objects, each call with an id, and each result with the id and the name of its call;
 * clients leave out what they please. A result without an id belongs to the first call of its name that has none yet.
 */
#include "serve/conversation.h"

#include "serve/text.h"

#include <stdlib.h>
#include <string.h>

enum { OPEN_MOST = 256 };

typedef struct {
    vb_conversation *to;
    json_t *open;   /* the latest calls without a result, [{"id", "name"}] */
    int calls;      /* so far */
    int short_ids;  /* 1: the template wants ids of nine characters */
} builder;

/* --- ids --------------------------------------------------------------------------------------------------- */

/* Nine letters and digits that only depend on the id. */
static json_t *short_id(const char *id)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    uint64_t h = 14695981039346656037u;
    char out[9];
    for (const char *p = id; *p != '\0'; p++) h = (h ^ (unsigned char)*p) * 1099511628211u;
    for (size_t i = 0; i < sizeof out; i++, h /= 62) out[i] = digits[h % 62];
    return json_stringn(out, sizeof out);
}

static json_t *id_of(builder *b, const json_t *given)
{
    const char *id = json_string_value(given);
    char made[24];
    snprintf(made, sizeof made, "call_%d", b->calls++);
    if (id == NULL || id[0] == '\0') id = made;
    return b->short_ids ? short_id(id) : json_string(id);
}

/* --- messages ------------------------------------------------------------------------------------------------ */

/* A content may be a text, or parts of which those of type text count. */
static json_t *content_of(const json_t *message)
{
    json_t *content = json_object_get(message, "content"), *part;
    size_t i;
    if (json_is_string(content)) return json_incref(content);
    vb_out joined = {0};
    json_array_foreach(content, i, part) {
        const char *text = json_string_value(json_object_get(part, "text"));
        if (text != NULL) vb_out_text(&joined, text);
    }
    json_t *text = json_stringn(joined.data != NULL ? joined.data : "", joined.len);
    vb_out_free(&joined);
    return text;
}

/* Arguments may come as text. */
static json_t *arguments_of(const json_t *function)
{
    json_t *given = json_object_get(function, "arguments");
    json_t *read = json_is_string(given) ? json_loads(json_string_value(given), 0, NULL) : NULL;
    if (json_is_object(read)) return read;
    json_decref(read);
    return given != NULL && !json_is_null(given) ? json_incref(given) : json_object();
}

static void add_calls(builder *b, json_t *to, const json_t *calls)
{
    size_t i;
    json_t *call, *list = json_array();
    json_array_foreach(calls, i, call) {
        const json_t *function = json_object_get(call, "function");
        const char *name = json_string_value(json_object_get(function, "name"));
        json_t *id = id_of(b, json_object_get(call, "id"));
        json_array_append_new(b->open, json_pack("{s:O, s:s}", "id", id, "name", name != NULL ? name : ""));
        if (json_array_size(b->open) > OPEN_MOST) json_array_remove(b->open, 0);
        json_array_append_new(list, json_pack("{s:o, s:s, s:{s:s, s:o}}", "id", id, "type", "function", "function", "name",
                                              name != NULL ? name : "", "arguments", arguments_of(function)));
    }
    if (json_array_size(list) > 0) json_object_set(to, "tool_calls", list);
    json_decref(list);
}

/* Which call this is the result of; -1: none that is known. */
static int call_of(const builder *b, const json_t *id, const char *name)
{
    size_t i;
    json_t *call;
    json_array_foreach(b->open, i, call) {
        const char *own = json_string_value(json_object_get(call, "name"));
        if (id != NULL ? json_equal(json_object_get(call, "id"), id) : name == NULL || strcmp(own, name) == 0) return (int)i;
    }
    return -1;
}

static void add_result(builder *b, json_t *to, const json_t *message)
{
    const char *id = json_string_value(json_object_get(message, "tool_call_id"));
    const char *name = json_string_value(json_object_get(message, "tool_name"));
    if (name == NULL) name = json_string_value(json_object_get(message, "name"));
    json_t *given = id == NULL || id[0] == '\0' ? NULL : b->short_ids ? short_id(id) : json_string(id);
    int at = call_of(b, given, name);
    const json_t *call = at >= 0 ? json_array_get(b->open, (size_t)at) : NULL;
    if (given == NULL && call != NULL) given = json_incref(json_object_get(call, "id"));
    if (given != NULL) json_object_set_new(to, "tool_call_id", given);
    if (name == NULL) name = json_string_value(json_object_get(call, "name"));
    if (name != NULL) json_object_set_new(to, "name", json_string(name));
    if (at >= 0) json_array_remove(b->open, (size_t)at);
}

/* Each template has its own name for it. */
static void add_thought(json_t *to, const json_t *message)
{
    static const char *const names[] = {"thinking", "reasoning", "reasoning_content"};
    for (size_t i = 0; i < 3; i++) {
        json_t *thought = json_object_get(message, names[i]);
        if (!json_is_string(thought) || json_string_length(thought) == 0) continue;
        for (size_t k = 0; k < 3; k++) json_object_set(to, names[k], thought);
        return;
    }
}

static void add_message(builder *b, const json_t *message)
{
    const char *role = json_string_value(json_object_get(message, "role"));
    json_t *content = content_of(message), *to = json_object();
    if (role == NULL) role = "";
    json_object_set_new(to, "role", json_string(role));
    json_object_set_new(to, "content", content);
    if (strcmp(role, "assistant") == 0) add_thought(to, message);
    if (strcmp(role, "assistant") == 0) add_calls(b, to, json_object_get(message, "tool_calls"));
    if (strcmp(role, "tool") == 0) add_result(b, to, message);
    json_array_append_new(b->to->messages, to);
}

static int is_role(const json_t *message, const char *role)
{
    const char *own = json_string_value(json_object_get(message, "role"));
    return own != NULL && strcmp(own, role) == 0;
}

/* What the store wants to be said first, where nothing of that kind is. */
static void add_system(builder *b, const vb_model *model, const json_t *all)
{
    size_t i;
    json_t *m;
    json_array_foreach(all, i, m) {
        if (is_role(m, "system")) return;
    }
    const char *text = vb_model_stored(model, "system");
    if (text == NULL || text[0] == '\0') return;
    json_t *message = json_pack("{s:s, s:s}", "role", "system", "content", text);
    add_message(b, message);
    json_decref(message);
}

/* How the store wants a conversation to begin. */
static void add_stored(builder *b, const vb_model *model)
{
    const char *text = vb_model_stored(model, "messages");
    json_t *list = text != NULL ? json_loads(text, 0, NULL) : NULL, *m;
    size_t i;
    json_array_foreach(list, i, m) {
        if (json_is_object(m)) add_message(b, m);
    }
    json_decref(list);
}

/* --- the input ------------------------------------------------------------------------------------------------ */

static void add_tooling(json_t *input, const vb_tooling *t)
{
    json_t *extra = json_is_object(t->more) ? json_copy((json_t *)t->more) : json_object();
    if (t->tools != NULL) json_object_set(input, "tools", t->tools);
    if (t->think != 0) json_object_set_new(extra, "enable_thinking", json_boolean(t->think > 0));
    if (t->think != 0) json_object_set_new(extra, "thinking", json_boolean(t->think > 0));
    if (t->effort != NULL) json_object_set_new(extra, "reasoning_effort", json_string(t->effort));
    if (json_object_size(extra) > 0) json_object_set(input, "kwargs", extra);
    json_decref(extra);
    if (t->template_ != NULL) json_object_set_new(input, "template", json_string(t->template_));
}

/* The two sides of a gap, as the templates that have one take them. */
static void add_gap(vb_conversation *c, const char *suffix)
{
    const json_t *last = json_array_get(c->messages, json_array_size(c->messages) - 1);
    json_object_set(c->input, "prompt", json_object_get(last, "content"));
    json_object_set_new(c->input, "suffix", json_string(suffix));
}

static void add_messages(builder *b, const vb_model *model, const json_t *messages, int continues, vb_fault *fault)
{
    size_t i, first = 0;
    json_t *m;
    add_system(b, model, messages);
    while (first < json_array_size(messages) && is_role(json_array_get(messages, first), "system")) first++;
    json_array_foreach(messages, i, m) {
        if (!json_is_object(m)) vb_fault_set(fault, 400, "messages: expected objects");
        if (i == first && !continues) add_stored(b, model);
        add_message(b, m);
    }
}

int vb_conversation_open(vb_conversation *c, const vb_model *model, const json_t *messages, const vb_tooling *tooling,
                         vb_fault *fault)
{
    size_t len = 0;
    const char *tmpl = vb_model_template(model, &len);
    builder b = {.to = c, .open = json_array()};
    b.short_ids = tmpl != NULL && memmem(tmpl, len, "length 9", 8) != NULL;
    memset(c, 0, sizeof *c);
    c->messages = json_array();
    add_messages(&b, model, messages, tooling != NULL && tooling->continues, fault);
    json_decref(b.open);
    c->input = json_pack("{s:O, s:b}", "messages", c->messages, "add_generation_prompt", 1);
    if (tooling != NULL) add_tooling(c->input, tooling);
    if (tooling != NULL && tooling->suffix != NULL) add_gap(c, tooling->suffix);
    if (c->input == NULL) vb_fault_set(fault, 500, "out of memory");
    return fault->status == 0;
}

void vb_conversation_close(vb_conversation *c)
{
    json_decref(c->input);
    json_decref(c->messages);
    memset(c, 0, sizeof *c);
}

size_t vb_conversation_droppable(const vb_conversation *c)
{
    size_t n = 0, i;
    json_t *m;
    json_array_foreach(c->messages, i, m) n += !is_role(m, "system") && i + 1 < json_array_size(c->messages);
    return n;
}

size_t vb_conversation_drop(vb_conversation *c, size_t n)
{
    json_t *kept = json_array(), *m;
    size_t i, bytes = 0, last = json_array_size(c->messages);
    int cut = n > 0; /* nothing has been kept behind what was dropped */
    json_array_foreach(c->messages, i, m) {
        int system = is_role(m, "system"), orphan = n == 0 && cut && i + 1 < last && is_role(m, "tool");
        if (!system && !orphan) cut &= n > 0;
        if (!system && n > 0) n--;
        else if (!orphan) {
            json_array_append(kept, m);
            bytes += json_string_length(json_object_get(m, "content"));
        }
    }
    json_object_set_new(c->input, "messages", kept);
    return bytes;
}

static char *text_of(const vb_conversation *c)
{
    return json_dumps(c->input, JSON_COMPACT | JSON_PRESERVE_ORDER);
}

int64_t vb_conversation_render(const vb_conversation *c, const vb_model *model, char **text, vb_err *err)
{
    char *input = text_of(c);
    int64_t n = input != NULL ? vb_chat_render_json(model, input, strlen(input), NULL, 0, err) : VB_E_MEMORY;
    *text = n >= 0 ? malloc((size_t)n + 1) : NULL;
    if (*text != NULL) n = vb_chat_render_json(model, input, strlen(input), *text, (size_t)n, err);
    else if (n >= 0) n = VB_E_MEMORY;
    if (*text != NULL && n >= 0) (*text)[n] = '\0';
    free(input);
    return n;
}

int64_t vb_conversation_encode(const vb_conversation *c, const vb_model *model, vb_token *ids, size_t cap, vb_err *err)
{
    char *input = text_of(c);
    int64_t n = input != NULL ? vb_chat_encode_json(model, input, strlen(input), ids, cap, err) : VB_E_MEMORY;
    free(input);
    return n;
}
