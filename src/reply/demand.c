/* demand.c - calls that must be made: how the prompt opens one, and the grammar of all that follows.
 *
 *   prompt  ... <tool_call>\n       marks are given, for a grammar writes no control tokens
 *   GBNF    root ::= call ("\n</tool_call>\n<tool_call>\n" call){0,15} ("\n</tool_call>")?
 *           call ::= %json {"anyOf": [{"properties": {"name": {"const": "f"}, "arguments": the schema of f}}, ...]}
 *
 *   where the name stands in front of the JSON:
 *           root ::= "f" "[ARGS]" %json the schema of f | ...
 *   where arguments have tags:
 *           call ::= "<function=f>\n" "<parameter=a>\n" text "\n</parameter>\n" ("<parameter=b>\n" %json ...)? "</function>" | ...
 */
#include "reply/reply.h"

#include <stdlib.h>
#include <string.h>

enum { CALLS_MOST = 16 };

typedef struct {
    const vb_call_marks *marks;
    const json_t *tools;
    const char *name; /* of the only tool that may be called; NULL: any of them */
    int one;
} demand;

static const json_t *function_at(const demand *d, size_t i)
{
    return json_object_get(json_array_get(d->tools, i), "function");
}

static const char *name_at(const demand *d, size_t i)
{
    const char *name = json_string_value(json_object_get(function_at(d, i), "name"));
    return name != NULL ? name : "";
}

static int may_be_called(const demand *d, size_t i)
{
    return d->name == NULL || strcmp(name_at(d, i), d->name) == 0;
}

/* The only tool that may be called; -1: there are several, or none. */
static int only_one(const demand *d)
{
    int found = -1;
    for (size_t i = 0; i < json_array_size(d->tools); i++) {
        if (!may_be_called(d, i)) continue;
        if (found >= 0 && d->name == NULL) return -1;
        found = (int)i;
    }
    return found;
}

/* --- schemas ------------------------------------------------------------------------------------------------ */

/* A schema that moves into another one: its references to itself begin with `root` instead of "#". */
static void move_refs(json_t *schema, const char *root)
{
    const char *key;
    json_t *value;
    size_t i;
    json_array_foreach(schema, i, value) move_refs(value, root);
    json_object_foreach(schema, key, value) {
        const char *ref = json_string_value(value);
        if (strcmp(key, "$ref") != 0 || ref == NULL || ref[0] != '#') move_refs(value, root);
        else json_object_set_new(schema, key, json_sprintf("%s%s", root, ref + 1));
    }
}

/* Any object for a tool that does not say what it takes. */
static json_t *schema_of(const demand *d, size_t i)
{
    json_t *schema = json_object_get(function_at(d, i), "parameters");
    if (!json_is_object(schema) || json_object_size(schema) == 0) return json_pack("{s:s}", "type", "object");
    return json_deep_copy(schema);
}

static json_t *call_schema(const demand *d, size_t i, const char *root, size_t place)
{
    const char *name = d->marks->name_key != NULL ? d->marks->name_key : "name";
    const char *arguments = d->marks->arguments_key != NULL ? d->marks->arguments_key : "arguments";
    char moved[96];
    json_t *schema = schema_of(d, i);
    snprintf(moved, sizeof moved, "%s/anyOf/%zu/properties/%s", root, place, arguments);
    move_refs(schema, moved);
    return json_pack("{s:s, s:{s:{s:s}, s:o}, s:[s, s], s:b}", "type", "object", "properties", name, "const", name_at(d, i),
                     arguments, schema, "required", name, arguments, "additionalProperties", 0);
}

static json_t *any_call(const demand *d, const char *root)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(d->tools); i++)
        if (may_be_called(d, i)) json_array_append_new(list, call_schema(d, i, root, json_array_size(list)));
    return json_pack("{s:o}", "anyOf", list);
}

/* --- the grammar -------------------------------------------------------------------------------------------- */

static void write_quoted(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '\n') fputs("\\n", out);
        else if (*text == '"' || *text == '\\') fprintf(out, "\\%c", *text);
        else fputc(*text, out);
    }
    fputs("\" ", out);
}

/* The same with line ends that may be left out. */
static void write_loosely(FILE *out, const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");
        char *line = strndup(text, n);
        if (n > 0 && line != NULL) write_quoted(out, line);
        free(line);
        text += n;
        if (*text == '\n') fputs("\"\\n\"? ", out);
        text += *text == '\n';
    }
}

static void write_schema(FILE *out, json_t *schema)
{
    char *text = json_dumps(schema, JSON_COMPACT);
    fprintf(out, "%%json %s", text != NULL ? text : "");
    free(text);
    json_decref(schema);
}

/* Several calls in their marks; the last one's may be closed. */
static void write_row(FILE *out, const demand *d, int several)
{
    const vb_call_marks *m = d->marks;
    fputs("root ::= call", out);
    if (several) {
        fputs(" (\"\\n\"? ", out);
        write_quoted(out, m->close);
        fputs("\"\\n\"? ", out);
        write_quoted(out, m->open);
        write_quoted(out, m->lead != NULL ? m->lead : "");
        fprintf(out, "call){0,%d}", CALLS_MOST - 1);
    }
    if (m->close != NULL) fputs(" (\"\\n\"? ", out);
    if (m->close != NULL) write_quoted(out, m->close);
    fputs(m->close != NULL ? ")?\ncall ::= " : "\ncall ::= ", out);
}

static void write_named(FILE *out, const demand *d)
{
    const char *between = "";
    fputs("root ::= ", out);
    for (size_t i = 0; i < json_array_size(d->tools); i++) {
        if (!may_be_called(d, i)) continue;
        fputs(between, out);
        write_quoted(out, name_at(d, i));
        write_quoted(out, d->marks->behind);
        write_schema(out, schema_of(d, i));
        between = " | ";
    }
}

static void write_list(FILE *out, const demand *d)
{
    json_t *list = json_pack("{s:s, s:o, s:i, s:i}", "type", "array", "items", any_call(d, "#/items"), "minItems", 1, "maxItems",
                             d->one ? 1 : CALLS_MOST);
    write_row(out, d, 0);
    write_schema(out, list);
}

static int is_required(const json_t *schema, const char *key)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(schema, "required"), i, one) {
        if (json_is_string(one) && strcmp(json_string_value(one), key) == 0) return 1;
    }
    return 0;
}

/* A text stands as it is, one of several where the schema lists them; all else is JSON. */
static void write_value(FILE *out, const json_t *schema, const json_t *value, const char *key)
{
    size_t i;
    const json_t *list = json_object_get(value, "enum");
    json_t *one;
    const char *type = json_string_value(json_object_get(value, "type"));
    if (strpbrk(key, "/~%") != NULL) { /* no reference leads there */
        fputs("%json {}", out);
        return;
    }
    if (type == NULL || strcmp(type, "string") != 0) {
        json_t *whole = json_deep_copy(schema);
        move_refs(whole, "#/$defs/whole");
        write_schema(out, json_pack("{s:o, s:{s:o}}", "$ref", json_sprintf("#/$defs/whole/properties/%s", key), "$defs", "whole", whole));
        return;
    }
    if (json_array_size(list) == 0) fputs("text", out);
    json_array_foreach(list, i, one) {
        fputs(i == 0 ? "(" : "| ", out);
        write_quoted(out, json_is_string(one) ? json_string_value(one) : "");
    }
    if (json_array_size(list) > 0) fputs(")", out);
}

static void write_arguments(FILE *out, const vb_call_tags *t, const json_t *schema)
{
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(schema, "properties"), key, value) {
        const char *type = json_string_value(json_object_get(value, "type"));
        fputs("(", out);
        write_loosely(out, t->key);
        write_quoted(out, key);
        write_loosely(out, type != NULL && strcmp(type, "string") == 0 ? t->text : t->json);
        write_value(out, schema, value, key);
        fputs(" ", out);
        write_loosely(out, t->behind);
        fputs(is_required(schema, key) ? ") " : ")? ", out);
    }
}

static void write_tagged(FILE *out, const demand *d)
{
    const vb_call_tags *t = d->marks->tags;
    const char *between = "";
    write_row(out, d, !d->one);
    for (size_t i = 0; i < json_array_size(d->tools); i++) {
        if (!may_be_called(d, i)) continue;
        json_t *schema = schema_of(d, i);
        fputs(between, out);
        write_loosely(out, t->name);
        write_quoted(out, name_at(d, i));
        write_loosely(out, t->named);
        write_arguments(out, t, schema);
        write_loosely(out, t->end);
        between = "| ";
        json_decref(schema);
    }
    fputs("\ntext ::= ([^<] | \"<\" [^/<])*", out);
}

static void write_demand(FILE *prompt, FILE *gbnf, const demand *d, const char *open)
{
    const vb_call_marks *m = d->marks;
    int only = only_one(d);
    fputs(open, prompt);
    if (m->before != NULL && only >= 0) {
        fprintf(prompt, "%s%s%s", m->before, name_at(d, (size_t)only), m->behind);
        fputs("root ::= ", gbnf);
        write_schema(gbnf, schema_of(d, (size_t)only));
    } else if (m->before != NULL) {
        fputs(m->before, prompt);
        write_named(gbnf, d);
    } else if (m->tags != NULL) {
        fputs(m->lead, prompt);
        write_tagged(gbnf, d);
    } else if (m->list && open[0] != '\0') {
        write_list(gbnf, d);
    } else {
        fputs(m->lead != NULL ? m->lead : "", prompt);
        write_row(gbnf, d, !d->one && m->close != NULL && open[0] != '\0');
        write_schema(gbnf, any_call(d, "#"));
    }
}

vb_status vb_reply_demand(const vb_reply_style *style, const json_t *tools, const char *name, int one, char **prompt,
                          char **gbnf, vb_err *err)
{
    demand d = {style->calls, tools, name, one};
    size_t sizes[2];
    *prompt = *gbnf = NULL;
    if (json_array_size(tools) == 0 || (name != NULL && only_one(&d) < 0))
        VB_FAIL(err, VB_E_ARGUMENT, "tool_choice: expected one of the tools, found \"%.100s\"", name != NULL ? name : "required");
    FILE *first = open_memstream(prompt, &sizes[0]), *second = open_memstream(gbnf, &sizes[1]);
    int marked = d.marks->open != NULL && !d.marks->whole && !d.marks->bare && !style->channels;
    if (first != NULL && second != NULL) write_demand(first, second, &d, marked ? d.marks->open : "");
    int failed = first == NULL || fclose(first) != 0;
    failed |= second == NULL || fclose(second) != 0;
    if (!failed) return VB_OK;
    free(*prompt);
    free(*gbnf);
    *prompt = *gbnf = NULL;
    VB_FAIL(err, VB_E_MEMORY, "reply: out of memory");
}
