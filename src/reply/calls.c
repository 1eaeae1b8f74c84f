/* calls.c - see calls.h. A reader tries one notation at the cursor and leaves it where it was if it is another one. */
#include "reply/calls.h"

#include "reply/literal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BAR "\xef\xbd\x9c"  /* U+FF5C */
#define SIGN "\xe2\x96\x81" /* U+2581 */

enum { NAME_MOST = 128, TAG_MOST = 64 };

typedef struct {
    json_t *calls;
    const json_t *tools;
} found;

/* --- calls ------------------------------------------------------------------------------------------------ */

static int add_call(json_t *calls, const char *name, const json_t *arguments)
{
    if (name == NULL || name[0] == '\0' || !json_is_object(arguments)) return 0;
    char *text = json_dumps(arguments, JSON_COMPACT);
    json_t *call = text != NULL ? json_pack("{s:s, s:s}", "name", name, "arguments", text) : NULL;
    free(text);
    return call != NULL && json_array_append_new(calls, call) == 0;
}

static const json_t *tool_named(const json_t *tools, const char *name)
{
    size_t i;
    json_t *tool;
    json_array_foreach(tools, i, tool) {
        const json_t *function = json_object_get(tool, "function");
        const char *own = json_string_value(json_object_get(function, "name"));
        if (own != NULL && strcmp(own, name) == 0) return function;
    }
    return NULL;
}

static const json_t *first_of(const json_t *object, const char *const *keys)
{
    for (; *keys != NULL; keys++)
        if (json_object_get(object, *keys) != NULL) return json_object_get(object, *keys);
    return NULL;
}

/* Arguments as an object, or as its text; absent ones are none. */
static int add_with(json_t *calls, const char *name, const json_t *arguments)
{
    json_t *made = NULL;
    if (arguments == NULL || json_is_null(arguments)) made = json_object();
    else if (json_is_string(arguments)) made = json_loads(json_string_value(arguments), 0, NULL);
    int added = add_call(calls, name, made != NULL ? made : arguments);
    json_decref(made);
    return added;
}

static int call_of_object(const found *f, const json_t *object)
{
    static const char *const names[] = {"name", "tool_name", "function", NULL};
    static const char *const arguments[] = {"arguments", "parameters", "args", NULL};
    const json_t *name = first_of(object, names), *function = json_object_get(object, "function");
    if (json_is_object(function)) return call_of_object(f, function);
    if (json_is_string(name)) return add_with(f->calls, json_string_value(name), first_of(object, arguments));
    void *only = json_object_size(object) == 1 ? json_object_iter((json_t *)object) : NULL;
    if (only == NULL || tool_named(f->tools, json_object_iter_key(only)) == NULL) return 0;
    return add_with(f->calls, json_object_iter_key(only), json_object_iter_value(only));
}

static int calls_of_json(const found *f, const json_t *value)
{
    size_t i;
    json_t *one;
    if (json_is_object(value)) return call_of_object(f, value);
    json_array_foreach(value, i, one) {
        if (!json_is_object(one) || !call_of_object(f, one)) return 0;
    }
    return json_array_size(value) > 0;
}

static int read_json(const found *f, vb_cursor *c)
{
    json_error_t end;
    if (c->at >= c->end || (*c->at != '{' && *c->at != '[')) return 0;
    json_t *value = json_loadb(c->at, (size_t)(c->end - c->at), JSON_DISABLE_EOF_CHECK, &end);
    int read = value != NULL && calls_of_json(f, value);
    if (read) c->at += end.position;
    json_decref(value);
    return read;
}

int vb_call_named(json_t *calls, const char *name, const char *text, size_t len)
{
    json_t *arguments = json_loadb(text, len, 0, NULL);
    int read = add_call(calls, name, arguments);
    json_decref(arguments);
    return read;
}

/* --- values without types --------------------------------------------------------------------------------- */

/* What the tool's schema says of an argument: is it a text? */
static int is_text(const found *f, const char *name, const char *key)
{
    const json_t *parameters = json_object_get(tool_named(f->tools, name), "parameters");
    const json_t *type = json_object_get(json_object_get(json_object_get(parameters, "properties"), key), "type");
    return json_is_string(type) && strcmp(json_string_value(type), "string") == 0;
}

/* A value that is written as it is: JSON where the schema does not want a text, else a text. */
static void set_plain(const found *f, json_t *arguments, const char *name, const char *key, vb_cursor value)
{
    size_t len;
    if (value.at < value.end && *value.at == '\n') value.at++;
    if (value.at < value.end && value.end[-1] == '\n') value.end--;
    len = (size_t)(value.end - value.at);
    json_t *made = is_text(f, name, key) ? NULL : json_loadb(value.at, len, JSON_DECODE_ANY, NULL);
    json_object_set_new(arguments, key, made != NULL ? made : json_stringn(value.at, len));
}

/* --- tags -------------------------------------------------------------------------------------------------- */

typedef struct {
    char name[TAG_MOST], value[NAME_MOST]; /* <name=value> or <name name="value" ...>; the name with what stands before it */
    int text; /* 1: it has string="true" */
} tag;

static int copy(char *to, size_t cap, const char *from, const char *end)
{
    size_t n = (size_t)(end - from);
    if (n == 0 || n >= cap) return 0;
    memcpy(to, from, n);
    to[n] = '\0';
    return 1;
}

/* An opening tag whose name ends with one of two words. */
static int read_tag(vb_cursor *c, const char *word, const char *other, tag *out)
{
    const char *close = c->at < c->end && *c->at == '<' ? memchr(c->at, '>', (size_t)(c->end - c->at)) : NULL;
    if (close == NULL) return 0;
    const char *name = c->at + 1, *at = name;
    while (at < close && *at != '=' && *at != ' ') at++;
    size_t n = (size_t)(at - name), w = strlen(word), o = strlen(other);
    int fits = (n >= w && memcmp(at - w, word, w) == 0) || (n >= o && memcmp(at - o, other, o) == 0);
    if (!fits || at == close || *name == '/' || !copy(out->name, sizeof out->name, name, at)) return 0;
    const char *value = at + 1, *end = close;
    if (*at == ' ') {
        if (close - value < 7 || memcmp(value, "name=\"", 6) != 0) return 0;
        value += 6;
        end = memchr(value, '"', (size_t)(close - value));
    }
    if (end == NULL || !copy(out->value, sizeof out->value, value, end)) return 0;
    out->text = memmem(end, (size_t)(close - end), "string=\"true\"", 13) != NULL;
    c->at = close + 1;
    return 1;
}

/* What stands up to `mark`, and the cursor behind it; without one, all that is left. */
static vb_cursor up_to(vb_cursor *c, const char *mark)
{
    const char *end = memmem(c->at, (size_t)(c->end - c->at), mark, strlen(mark));
    vb_cursor part = {c->at, end != NULL ? end : c->end};
    c->at = end != NULL ? end + strlen(mark) : c->end;
    return part;
}

static vb_cursor up_to_close(vb_cursor *c, const tag *t)
{
    char mark[TAG_MOST + 4];
    snprintf(mark, sizeof mark, "</%s>", t->name);
    return up_to(c, mark);
}

static int read_tags(const found *f, vb_cursor *c)
{
    tag function, parameter;
    if (!read_tag(c, "function", "invoke", &function)) return 0;
    vb_cursor inside = up_to_close(c, &function);
    vb_cursor_blanks(&inside);
    if (inside.at < inside.end && *inside.at == '{')
        return vb_call_named(f->calls, function.value, inside.at, (size_t)(inside.end - inside.at));
    json_t *arguments = json_object();
    while (read_tag(&inside, "parameter", "param", &parameter)) {
        vb_cursor value = up_to_close(&inside, &parameter);
        if (parameter.text) json_object_set_new(arguments, parameter.value, json_stringn(value.at, (size_t)(value.end - value.at)));
        else set_plain(f, arguments, function.value, parameter.value, value);
        vb_cursor_blanks(&inside);
    }
    int read = inside.at == inside.end && add_call(f->calls, function.value, arguments);
    json_decref(arguments);
    return read;
}

/* --- a name in front ---------------------------------------------------------------------------------------- */

static int read_name(vb_cursor *c, char name[NAME_MOST])
{
    const char *from;
    size_t n = vb_cursor_name(c, &from);
    return copy(name, NAME_MOST, from, from + n);
}

/* name <arg_key>k</arg_key> <arg_value>v</arg_value> ... */
static int read_keys(const found *f, vb_cursor *c)
{
    char name[NAME_MOST], key[NAME_MOST];
    vb_cursor at = *c;
    if (!read_name(&at, name)) return 0;
    vb_cursor_blanks(&at);
    int alone = at.at == at.end && tool_named(f->tools, name) != NULL;
    if (!alone && memmem(at.at, (size_t)(at.end - at.at), "<arg_key>", 9) != at.at) return 0;
    json_t *arguments = json_object();
    int good = 1;
    while (good && vb_cursor_skip(&at, "<arg_key>")) {
        vb_cursor k = up_to(&at, "</arg_key>");
        vb_cursor_blanks(&at);
        good = copy(key, sizeof key, k.at, k.end) && vb_cursor_skip(&at, "<arg_value>");
        if (good) set_plain(f, arguments, name, key, up_to(&at, "</arg_value>"));
        vb_cursor_blanks(&at);
    }
    good = good && add_call(f->calls, name, arguments);
    if (good) c->at = at.at;
    json_decref(arguments);
    return good;
}

/* The name among the marks in front of its arguments: "function<sep>f", "functions.f:0", "id<|tool_call:name|>f", "f[CALL_ID]1". */
static int name_in_front(vb_cursor head, char name[NAME_MOST])
{
    static const char *const before[] = {"<|tool_call:name|>", "function<" BAR "tool" SIGN "sep" BAR ">", "functions."};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        const char *at = memmem(head.at, (size_t)(head.end - head.at), before[i], strlen(before[i]));
        if (at != NULL) head.at = at + strlen(before[i]);
    }
    vb_cursor_blanks(&head);
    return read_name(&head, name);
}

static int read_named(const found *f, vb_cursor *c)
{
    char name[NAME_MOST];
    const char *brace = memchr(c->at, '{', (size_t)(c->end - c->at));
    if (brace == NULL || brace == c->at) return 0;
    vb_cursor at = {brace, c->end};
    json_error_t end;
    json_t *arguments = json_loadb(at.at, (size_t)(at.end - at.at), JSON_DISABLE_EOF_CHECK, &end);
    int read = arguments != NULL && name_in_front((vb_cursor){c->at, brace}, name) && add_call(f->calls, name, arguments);
    if (read) c->at = brace + end.position;
    json_decref(arguments);
    vb_cursor_blanks(c);
    if (read) vb_cursor_skip(c, "```");
    return read;
}

/* call:name{...}, name(k=v) */
static int read_function(const found *f, vb_cursor *c)
{
    char name[NAME_MOST];
    vb_cursor at = *c;
    int call = vb_cursor_skip(&at, "call:");
    if (!read_name(&at, name) || at.at >= at.end || *at.at != (call ? '{' : '(')) return 0;
    json_t *arguments = vb_literal_read(&at, 0);
    int read = add_call(f->calls, name, arguments);
    if (read) c->at = at.at;
    json_decref(arguments);
    return read;
}

/* [f(...), g(...)] */
static int read_functions(const found *f, vb_cursor *c)
{
    vb_cursor at = *c;
    if (!vb_cursor_skip(&at, "[")) return 0;
    do {
        vb_cursor_blanks(&at);
        if (!read_function(f, &at)) return 0;
        vb_cursor_blanks(&at);
    } while (vb_cursor_skip(&at, ","));
    if (!vb_cursor_skip(&at, "]")) return 0;
    c->at = at.at;
    return 1;
}

/* --- all of it ---------------------------------------------------------------------------------------------- */

static int all_known(const found *f)
{
    size_t i;
    json_t *call;
    json_array_foreach(f->calls, i, call) {
        if (tool_named(f->tools, json_string_value(json_object_get(call, "name"))) == NULL) return 0;
    }
    return 1;
}

int vb_calls_read(json_t *calls, const json_t *tools, int known, const char *text, size_t len)
{
    found f = {json_array(), tools};
    vb_cursor c = {text, text + len};
    int good = memchr(text, '\0', len) == NULL; /* JSON's readers would stop there */
    vb_cursor_blanks(&c);
    if (vb_cursor_skip(&c, "```")) vb_cursor_skip(&c, "json");
    for (vb_cursor_blanks(&c); good && c.at < c.end; vb_cursor_blanks(&c)) {
        good = read_json(&f, &c) || read_tags(&f, &c) || read_functions(&f, &c) || read_function(&f, &c) ||
               read_keys(&f, &c) || read_named(&f, &c);
        vb_cursor_blanks(&c);
        while (vb_cursor_skip(&c, ",") || vb_cursor_skip(&c, ";") || vb_cursor_skip(&c, "```")) vb_cursor_blanks(&c);
    }
    good = good && json_array_size(f.calls) > 0 && (!known || all_known(&f)) && json_array_extend(calls, f.calls) == 0;
    json_decref(f.calls);
    return good;
}
