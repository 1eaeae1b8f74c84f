/* go_data.c - the data that Ollama's templates see: JSON becomes values of fixed types.
 *
 *   .Messages[]   Role Content Thinking ToolCalls[] ToolName ToolCallID
 *   .ToolCalls[]  ID Function{Index Name Arguments{}}
 *   .Tools[]      Type Items Function{Name Description Parameters{Type Defs Items Required[] Properties{}}}
 *   .Properties{} AnyOf[] Type Items Description Enum[] Properties Required[]
 *
 * Types have a say in what a template prints: tools, arguments and properties print as JSON, in which keys of maps are
 * sorted and fields that are not in this table do not appear. So does Ollama show them to its models.
 */
#include "text/go_eval.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *name;   /* in templates */
    const char *in;     /* in requests */
    const char *also;   /* there too; NULL: it has no other name */
    const char *out;    /* in JSON that a template writes */
    vb_gtype type;
    int omit;           /* left out there when empty */
} field;

static const field message_fields[] = {
    {"Role", "role", NULL, "Role", VB_G_TEXT, 0},
    {"Content", "content", NULL, "Content", VB_G_TEXT, 0},
    {"Thinking", "thinking", NULL, "Thinking", VB_G_TEXT, 0},
    {"Images", "images", NULL, "Images", VB_G_LIST, 0},
    {"ToolCalls", "tool_calls", NULL, "ToolCalls", VB_G_CALLS, 0},
    {"ToolName", "tool_name", "name", "ToolName", VB_G_TEXT, 0},
    {"ToolCallID", "tool_call_id", NULL, "ToolCallID", VB_G_TEXT, 0},
    {0}};
static const field call_fields[] = {
    {"ID", "id", NULL, "ID", VB_G_TEXT, 0}, {"Function", "function", NULL, "Function", VB_G_CALLED, 0}, {0}};
static const field called_fields[] = {
    {"Index", "index", NULL, "Index", VB_G_INT, 0},
    {"Name", "name", NULL, "Name", VB_G_TEXT, 0},
    {"Arguments", "arguments", NULL, "Arguments", VB_G_ARGUMENTS, 0},
    {0}};
static const field tool_fields[] = {
    {"Type", "type", NULL, "type", VB_G_TEXT, 0},
    {"Items", "items", NULL, "items", VB_G_ANY, 1},
    {"Function", "function", NULL, "function", VB_G_FUNCTION, 0},
    {0}};
static const field function_fields[] = {
    {"Name", "name", NULL, "name", VB_G_TEXT, 0},
    {"Description", "description", NULL, "description", VB_G_TEXT, 0},
    {"Parameters", "parameters", NULL, "parameters", VB_G_PARAMETERS, 0},
    {0}};
static const field parameters_fields[] = {
    {"Type", "type", NULL, "type", VB_G_TEXT, 0},
    {"Defs", "$defs", NULL, "$defs", VB_G_ANY, 1},
    {"Items", "items", NULL, "items", VB_G_ANY, 1},
    {"Required", "required", NULL, "required", VB_G_STRINGS, 1},
    {"Properties", "properties", NULL, "properties", VB_G_PROPERTIES, 0},
    {0}};
static const field property_fields[] = {
    {"AnyOf", "anyOf", NULL, "anyOf", VB_G_PROPERTY_LIST, 1},
    {"Type", "type", NULL, "type", VB_G_TYPES, 1},
    {"Items", "items", NULL, "items", VB_G_ANY, 1},
    {"Description", "description", NULL, "description", VB_G_TEXT, 1},
    {"Enum", "enum", NULL, "enum", VB_G_LIST, 1},
    {"Properties", "properties", NULL, "properties", VB_G_NESTED, 1},
    {"Required", "required", NULL, "required", VB_G_STRINGS, 1},
    {0}};

/* A type is a struct (it has fields), or a list or map of items of another one. */
static const struct {
    const char *name;
    vb_jtype kind;
    const field *fields;
    vb_gtype item;
} types[] = {
    [VB_G_ANY] = {"interface {}", VB_J_NONE, NULL, VB_G_ANY},
    [VB_G_TEXT] = {"string", VB_J_STR, NULL, VB_G_ANY},
    [VB_G_INT] = {"int", VB_J_INT, NULL, VB_G_ANY},
    [VB_G_STRINGS] = {"[]string", VB_J_LIST, NULL, VB_G_TEXT},
    [VB_G_LIST] = {"[]interface {}", VB_J_LIST, NULL, VB_G_ANY},
    [VB_G_MESSAGES] = {"list of messages", VB_J_LIST, NULL, VB_G_MESSAGE},
    [VB_G_MESSAGE] = {"message", VB_J_DICT, message_fields, VB_G_ANY},
    [VB_G_CALLS] = {"list of tool calls", VB_J_LIST, NULL, VB_G_CALL},
    [VB_G_CALL] = {"tool call", VB_J_DICT, call_fields, VB_G_ANY},
    [VB_G_CALLED] = {"tool call's function", VB_J_DICT, called_fields, VB_G_ANY},
    [VB_G_ARGUMENTS] = {"map of arguments", VB_J_DICT, NULL, VB_G_ANY},
    [VB_G_TOOLS] = {"list of tools", VB_J_LIST, NULL, VB_G_TOOL},
    [VB_G_TOOL] = {"tool", VB_J_DICT, tool_fields, VB_G_ANY},
    [VB_G_FUNCTION] = {"tool's function", VB_J_DICT, function_fields, VB_G_ANY},
    [VB_G_PARAMETERS] = {"tool's parameters", VB_J_DICT, parameters_fields, VB_G_ANY},
    [VB_G_PROPERTIES] = {"map of properties", VB_J_DICT, NULL, VB_G_PROPERTY},
    [VB_G_PROPERTY] = {"property", VB_J_DICT, property_fields, VB_G_ANY},
    [VB_G_PROPERTY_LIST] = {"list of properties", VB_J_LIST, NULL, VB_G_PROPERTY},
    [VB_G_NESTED] = {"map of properties", VB_J_DICT, NULL, VB_G_PROPERTY},
    [VB_G_TYPES] = {"list of types", VB_J_LIST, NULL, VB_G_TEXT},
};

const char *vb_g_type_name(const vb_jval *v)
{
    static const char *const scalars[] = {[VB_J_NONE] = "nil", [VB_J_BOOL] = "bool", [VB_J_INT] = "int",
                                          [VB_J_FLOAT] = "float64", [VB_J_STR] = "string"};
    if (v->type == VB_J_LIST) return v->owner == VB_G_ANY ? "[]interface {}" : types[v->owner].name;
    if (v->type == VB_J_DICT) return v->owner == VB_G_ANY ? "map[string]interface {}" : types[v->owner].name;
    return scalars[v->type];
}

int vb_g_is_struct(const vb_jval *v)
{
    return v->type == VB_J_DICT && types[v->owner].fields != NULL;
}

const char *vb_g_json_name(const vb_jval *v, size_t i, int *omit)
{
    *omit = types[v->owner].fields[i].omit;
    return types[v->owner].fields[i].out;
}

size_t vb_g_count(const vb_jval *v)
{
    if (v->type == VB_J_LIST) return v->u.list != NULL ? v->u.list->n : 0;
    return v->type == VB_J_DICT && v->u.dict != NULL ? v->u.dict->n : 0;
}

/* --- reading ------------------------------------------------------------------------------------------- */

static vb_status mistyped(vb_go *g, const char *expected, const vb_jval *found)
{
    VB_FAIL(g->j->err, VB_E_FORMAT, "chat template input: expected %s, found a %s", expected, vb_j_type_name(found));
}

static int by_key(const void *a, const void *b)
{
    const vb_jval *x = &((const vb_jpair *)a)->key, *y = &((const vb_jpair *)b)->key;
    int order = memcmp(x->u.s, y->u.s, x->len < y->len ? x->len : y->len);
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* Maps are sorted once and for all: they are printed, written and walked through in that order. */
static vb_status sort(vb_go *g, vb_jdict *dict)
{
    VB_TRY(vb_j_step(g->j, 1 + dict->n / 4));
    if (dict->n > 1) qsort(dict->pairs, dict->n, sizeof *dict->pairs, by_key);
    return VB_OK;
}

/* In place: numbers are floats, keys sorted. */
static vb_status read_any(vb_go *g, vb_jval *v)
{
    vb_status status = VB_OK;
    VB_TRY(vb_j_enter(g->j));
    if (v->type == VB_J_INT) *v = vb_j_float((double)v->u.i);
    if (v->type == VB_J_DICT) status = sort(g, v->u.dict);
    for (size_t i = 0; v->type == VB_J_DICT && status == VB_OK && i < v->u.dict->n; i++)
        status = read_any(g, &v->u.dict->pairs[i].value);
    for (size_t i = 0; v->type == VB_J_LIST && status == VB_OK && i < v->u.list->n; i++)
        status = read_any(g, &v->u.list->items[i]);
    g->j->depth--;
    return status;
}

/* A text, nothing, or parts of which those with a text count. */
static vb_status read_text(vb_go *g, const vb_jval *json, vb_jval *out)
{
    vb_jval key = vb_j_text("text"), *text;
    vb_jbuf buf = {0};
    *out = json->type == VB_J_STR ? *json : vb_j_text("");
    if (json->type == VB_J_STR || json->type == VB_J_NONE) return VB_OK;
    if (json->type != VB_J_LIST) return mistyped(g, "a text", json);
    for (size_t i = 0; i < json->u.list->n; i++) {
        const vb_jval *part = &json->u.list->items[i];
        if (part->type != VB_J_DICT) return mistyped(g, "parts of a content", part);
        VB_TRY(vb_j_dict_find(g->j, part->u.dict, &key, &text));
        if (text != NULL && text->type == VB_J_STR) VB_TRY(vb_j_add_str(g->j, &buf, text));
    }
    *out = vb_j_done(&buf);
    return VB_OK;
}

static vb_status read_list(vb_go *g, vb_jval *json, vb_gtype type, vb_jval *out)
{
    vb_jval one;
    *out = (vb_jval){.type = VB_J_LIST, .owner = (int)type};
    if (json->type == VB_J_NONE) return VB_OK;
    if (json->type != VB_J_LIST) return mistyped(g, "a list", json);
    VB_TRY(vb_j_list_new(g->j, VB_J_LIST, json->u.list->n, out));
    out->owner = (int)type;
    for (size_t i = 0; i < json->u.list->n; i++) {
        VB_TRY(vb_g_read(g, &json->u.list->items[i], types[type].item, &one));
        VB_TRY(vb_j_list_add(g->j, out, &one));
    }
    return VB_OK;
}

static vb_status read_map(vb_go *g, vb_jval *json, vb_gtype type, vb_jval *out)
{
    *out = (vb_jval){.type = VB_J_DICT, .owner = (int)type};
    if (json->type == VB_J_NONE) return VB_OK;
    if (json->type != VB_J_DICT) return mistyped(g, "an object", json);
    vb_jdict *from = json->u.dict;
    VB_TRY(vb_j_dict_new(g->j, VB_J_DICT, from->n, out));
    out->owner = (int)type;
    for (size_t i = 0; i < from->n; i++) {
        vb_jpair *to = &out->u.dict->pairs[out->u.dict->n++];
        to->key = from->pairs[i].key;
        VB_TRY(vb_g_read(g, &from->pairs[i].value, types[type].item, &to->value));
    }
    return type == VB_G_NESTED ? VB_OK : sort(g, out->u.dict);
}

/* Arguments may come as the text of a JSON object. */
static vb_status read_arguments(vb_go *g, vb_jval *json, vb_jval *out)
{
    vb_jval parsed = vb_j_none;
    if (json->type == VB_J_STR && json->len > 0) VB_TRY(vb_j_from_json(g->j, json->u.s, json->len, 1, &parsed));
    return read_map(g, json->type == VB_J_STR ? &parsed : json, VB_G_ARGUMENTS, out);
}

static vb_status read_types(vb_go *g, vb_jval *json, vb_jval *out)
{
    vb_jval text = *json;
    if (json->type != VB_J_STR) return read_list(g, json, VB_G_TYPES, out);
    VB_TRY(vb_j_list_new(g->j, VB_J_LIST, 1, out));
    out->owner = VB_G_TYPES;
    return vb_j_list_add(g->j, out, &text);
}

/* A struct has all of its fields, whatever the JSON has. */
static vb_status read_struct(vb_go *g, const vb_jval *json, vb_gtype type, vb_jval *out)
{
    if (json->type != VB_J_DICT && json->type != VB_J_NONE) return mistyped(g, "an object", json);
    VB_TRY(vb_j_dict_new(g->j, VB_J_DICT, 8, out));
    out->owner = (int)type;
    for (const field *f = types[type].fields; f->name != NULL; f++) {
        vb_jpair *to = &out->u.dict->pairs[out->u.dict->n++];
        vb_jval key = vb_j_text(f->in), *found = NULL, none = vb_j_none;
        if (json->type == VB_J_DICT) VB_TRY(vb_j_dict_find(g->j, json->u.dict, &key, &found));
        if (f->also != NULL) key = vb_j_text(f->also);
        if (found == NULL && f->also != NULL && json->type == VB_J_DICT)
            VB_TRY(vb_j_dict_find(g->j, json->u.dict, &key, &found));
        to->key = vb_j_text(f->name);
        VB_TRY(vb_g_read(g, found != NULL ? found : &none, f->type, &to->value));
    }
    return VB_OK;
}

static vb_status read_value(vb_go *g, vb_jval *json, vb_gtype type, vb_jval *out)
{
    if (type == VB_G_TEXT) return read_text(g, json, out);
    if (type == VB_G_TYPES) return read_types(g, json, out);
    if (type == VB_G_ARGUMENTS) return read_arguments(g, json, out);
    if (types[type].fields != NULL) return read_struct(g, json, type, out);
    if (types[type].kind == VB_J_LIST) return read_list(g, json, type, out);
    if (types[type].kind == VB_J_DICT) return read_map(g, json, type, out);
    *out = *json;
    if (type == VB_G_ANY) return read_any(g, out);
    if (json->type == VB_J_NONE) *out = vb_j_int(0);
    return out->type == VB_J_INT ? VB_OK : mistyped(g, "a whole number", json);
}

vb_status vb_g_read(vb_go *g, vb_jval *json, vb_gtype type, vb_jval *out)
{
    VB_TRY(vb_j_enter(g->j));
    vb_status status = read_value(g, json, type, out);
    g->j->depth--;
    return status;
}

/* --- fields -------------------------------------------------------------------------------------------- */

/* Ollama 0.14 and later print .Function and .Function.Parameters as Go prints structs, which no template means. */
static int has_own_text(const vb_jval *v)
{
    if (v->type != VB_J_LIST && v->type != VB_J_DICT) return 0;
    if (v->owner >= VB_G_TOOLS && v->owner <= VB_G_PROPERTIES) return 1;
    return v->owner == VB_G_ARGUMENTS || v->owner == VB_G_TYPES;
}

static vb_status add_types(vb_go *g, vb_jbuf *buf, const vb_jval *v)
{
    size_t n = vb_g_count(v);
    if (n > 1) VB_TRY(vb_j_add_text(g->j, buf, "["));
    for (size_t i = 0; i < n; i++) {
        if (i > 0) VB_TRY(vb_j_add_text(g->j, buf, " "));
        VB_TRY(vb_j_add_str(g->j, buf, &v->u.list->items[i]));
    }
    return n > 1 ? vb_j_add_text(g->j, buf, "]") : VB_OK;
}

vb_status vb_g_own_text(vb_go *g, vb_jbuf *buf, const vb_jval *v, int *has)
{
    *has = has_own_text(v);
    if (!*has) return VB_OK;
    if (v->owner == VB_G_TYPES) return add_types(g, buf, v);
    if (v->type == VB_J_DICT && v->u.dict == NULL) return vb_j_add_text(g->j, buf, "{}");
    return vb_g_add_json(g, buf, v);
}

static const char *script_name(const vb_jval *type)
{
    static const char *const names[][2] = {
        {"string", "string"}, {"number", "number"}, {"integer", "number"}, {"boolean", "boolean"},
        {"array", "any[]"}, {"object", "Record<string, any>"}, {"null", "null"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (vb_j_is_str(type, names[i][0])) return names[i][1];
    return "any";
}

vb_status vb_g_script_type(vb_go *g, const vb_jval *property, vb_jbuf *buf)
{
    const vb_jval *any_of = &property->u.dict->pairs[0].value, *list = &property->u.dict->pairs[1].value;
    size_t n = vb_g_count(any_of), m = n > 0 ? n : vb_g_count(list);
    if (m == 0) return vb_j_add_text(g->j, buf, "any");
    VB_TRY(vb_j_enter(g->j));
    for (size_t i = 0; i < m; i++) {
        if (i > 0) VB_TRY(vb_j_add_text(g->j, buf, " | "));
        if (n > 0) VB_TRY(vb_g_script_type(g, &any_of->u.list->items[i], buf));
        else VB_TRY(vb_j_add_text(g->j, buf, script_name(&list->u.list->items[i])));
    }
    g->j->depth--;
    return VB_OK;
}

static vb_status method(vb_go *g, const vb_jval *v, const vb_jval *name, vb_jval *out, int *found)
{
    vb_jbuf buf = {0};
    *found = 0;
    if (vb_j_is_str(name, "String")) VB_TRY(vb_g_own_text(g, &buf, v, found));
    else if (v->owner == VB_G_PROPERTY && vb_j_is_str(name, "ToTypeScriptType")) {
        *found = 1;
        VB_TRY(vb_g_script_type(g, v, &buf));
    }
    *out = vb_j_done(&buf);
    return VB_OK;
}

vb_status vb_g_entry(vb_go *g, const vb_jval *map, const vb_jval *key, vb_jval *out)
{
    vb_jval *found = NULL, none = vb_j_none;
    *out = vb_j_none;
    if (map->u.dict != NULL) VB_TRY(vb_j_dict_find(g->j, map->u.dict, key, &found));
    if (found != NULL) *out = *found;
    else if (types[map->owner].item == VB_G_PROPERTY) return vb_g_read(g, &none, VB_G_PROPERTY, out);
    return VB_OK;
}

vb_status vb_g_field(vb_go *g, const vb_jval *v, const char *name, size_t len, vb_jval *out, int *found)
{
    vb_jval key = {.type = VB_J_STR, .len = len, .u.s = name}, *entry;
    *found = 0;
    if (v->type != VB_J_DICT && v->type != VB_J_LIST) return VB_OK;
    VB_TRY(method(g, v, &key, out, found));
    if (*found || v->type != VB_J_DICT) return VB_OK;
    *found = 1;
    if (!vb_g_is_struct(v)) return vb_g_entry(g, v, &key, out);
    VB_TRY(vb_j_dict_find(g->j, v->u.dict, &key, &entry));
    *found = entry != NULL;
    if (entry != NULL) *out = *entry;
    return VB_OK;
}
