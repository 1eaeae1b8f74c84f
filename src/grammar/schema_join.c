/* schema_join.c - several schemas that must all fit become one: $ref with neighbours, allOf, anyOf with neighbours.
 *
 *   keyword of one         taken over
 *   least, most            the narrower one
 *   type, enum             what both have
 *   properties, items      joined one by one, as {"allOf": [a, b]}, read when it is their turn
 *
 * Invariant: nothing of the schema given is changed; what is made belongs to `made`.
 */
#include "grammar/schema_parts.h"

#include <stdlib.h>
#include <string.h>

static vb_status no_memory(vb_schema *s)
{
    return vb_fail(s->err, VB_E_MEMORY, "schema: out of memory");
}

static vb_status count(vb_schema *s)
{
    if (++s->nodes > VB_SCHEMA_NODES_MOST)
        VB_FAIL(s->err, VB_E_ARGUMENT, "schema: expected at most %d schemas, found more", VB_SCHEMA_NODES_MOST);
    return VB_OK;
}

static vb_status keep(vb_schema *s, json_t *made, const json_t **out)
{
    *out = made;
    if (made == NULL || json_array_append_new(s->made, made) < 0) return no_memory(s);
    return count(s);
}

int vb_schema_says_more(const json_t *schema)
{
    static const char *const quiet[] = {
        "anyOf",     "oneOf",   "allOf",    "$ref",          "title",  "description", "default",    "examples",
        "example",   "$schema", "$id",      "$comment",      "$defs",  "definitions", "deprecated", "readOnly",
        "writeOnly", "$anchor", "nullable", "discriminator", "strict", "name"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)schema, key, value) {
        size_t i = 0;
        while (i < sizeof quiet / sizeof quiet[0] && strcmp(key, quiet[i]) != 0) i++;
        if (i == sizeof quiet / sizeof quiet[0]) return 1;
    }
    return 0;
}

/* --- references ----------------------------------------------------------------------------------------------- */

/* One step of a pointer: ~1 is /, ~0 is ~, %HH a byte. */
static int unescape(char *out, size_t cap, const char *from, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = from[i];
        if (n + 1 >= cap) return 0;
        if (c == '~' && i + 1 < len) c = from[++i] == '1' ? '/' : '~';
        else if (c == '%' && i + 2 < len) {
            char digits[3] = {from[i + 1], from[i + 2], 0};
            c = (char)strtol(digits, NULL, 16);
            i += 2;
        }
        out[n++] = c;
    }
    out[n] = 0;
    return 1;
}

vb_status vb_schema_resolve(vb_schema *s, const char *ref, const json_t **out)
{
    const json_t *at = s->root;
    const char *rest = ref;
    if (*rest != '#')
        VB_FAIL(s->err, VB_E_UNSUPPORTED, "schema: $ref: expected one inside the schema (#/...), found '%.100s'", ref);
    for (rest++; *rest == '/' && at != NULL;) {
        char step[256];
        size_t len = strcspn(rest + 1, "/");
        if (!unescape(step, sizeof step, rest + 1, len)) break;
        at = json_is_array(at) ? json_array_get(at, (size_t)strtoul(step, NULL, 10)) : json_object_get(at, step);
        rest += len + 1;
    }
    if (at == NULL || *rest != 0)
        VB_FAIL(s->err, VB_E_FORMAT, "schema: $ref: expected something at '%.100s', found nothing", ref);
    *out = at;
    return VB_OK;
}

/* --- joining two ---------------------------------------------------------------------------------------------- */

static json_t *both(json_t *a, json_t *b)
{
    return json_pack("{s:[O,O]}", "allOf", a, b);
}

static int array_has(const json_t *array, const json_t *value)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (json_equal(json_array_get(array, i), value)) return 1;
    return 0;
}

static int is_number_type(const json_t *type)
{
    return json_is_string(type) && strcmp(json_string_value(type), "number") == 0;
}

static json_t *as_list(json_t *value)
{
    return json_is_array(value) ? json_incref(value) : json_pack("[O]", value);
}

/* What both lists have; an integer is a number. */
static json_t *common(json_t *a, json_t *b, int types)
{
    json_t *x = as_list(a), *y = as_list(b), *out = json_array();
    json_t *integer = json_string("integer"), *number = json_string("number");
    for (size_t i = 0; i < json_array_size(x); i++) {
        json_t *value = json_array_get(x, i);
        int in = array_has(y, value) || (types && json_equal(value, integer) && array_has(y, number));
        if (in) json_array_append(out, value);
        else if (types && is_number_type(value) && array_has(y, integer)) json_array_append(out, integer);
    }
    json_decref(x);
    json_decref(y);
    json_decref(integer);
    json_decref(number);
    return out;
}

static json_t *united(json_t *a, json_t *b)
{
    json_t *out = json_is_array(a) ? json_copy(a) : json_array();
    for (size_t i = 0; i < json_array_size(b); i++)
        if (!array_has(out, json_array_get(b, i))) json_array_append(out, json_array_get(b, i));
    return out;
}

/* A property that only one side names must fit what the other says of all others. */
static json_t *with_others(json_t *property, const json_t *other)
{
    json_t *others = json_object_get(other, "additionalProperties");
    return others == NULL || json_is_true(others) ? json_incref(property) : both(property, others);
}

static json_t *properties(const json_t *a, const json_t *b)
{
    json_t *x = json_object_get(a, "properties"), *y = json_object_get(b, "properties"), *out = json_object(), *value;
    const char *key;
    json_object_foreach(x, key, value) {
        json_t *other = json_object_get(y, key);
        json_object_set_new(out, key, other != NULL ? both(value, other) : with_others(value, b));
    }
    json_object_foreach(y, key, value) {
        if (json_object_get(x, key) == NULL) json_object_set_new(out, key, with_others(value, a));
    }
    return out;
}

static int one_of(const char *key, const char *const *keys)
{
    for (; *keys != NULL; keys++)
        if (strcmp(key, *keys) == 0) return 1;
    return 0;
}

/* The value of a keyword that both have; NULL: out of memory. */
static json_t *joined(vb_schema *s, const char *key, json_t *a, json_t *b)
{
    static const char *const least[] = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", NULL};
    static const char *const most[] = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", NULL};
    static const char *const schemas[] = {"items", "additionalProperties", "additionalItems", NULL};
    static const char *const alone[] = {"pattern", "format", "prefixItems", "multipleOf", "uniqueItems", NULL};
    if (json_equal(a, b)) return json_incref(a);
    if (one_of(key, least)) return json_incref(json_number_value(a) > json_number_value(b) ? a : b);
    if (one_of(key, most)) return json_incref(json_number_value(a) < json_number_value(b) ? a : b);
    if (one_of(key, schemas)) return both(a, b);
    if (strcmp(key, "type") == 0 || strcmp(key, "enum") == 0) return common(a, b, *key == 't');
    if (strcmp(key, "required") == 0) return united(a, b);
    for (int i = 0; alone[i] != NULL; i++)
        if (strcmp(key, alone[i]) == 0) vb_rules_unheld(s->r, alone[i]);
    return json_incref(a);
}

/* "const" as the enum of one value. */
static json_t *without_const(const json_t *schema)
{
    json_t *copy = json_copy((json_t *)schema), *value = json_object_get(copy, "const");
    if (value == NULL) return copy;
    json_t *only = json_pack("[O]", value), *all = json_object_get(copy, "enum");
    json_object_set_new(copy, "enum", all != NULL ? common(all, only, 0) : json_incref(only));
    json_decref(only);
    json_object_del(copy, "const");
    return copy;
}

/* Alternatives of both sides: each with each. */
static vb_status cross(vb_schema *s, json_t *to, const json_t *a, const json_t *b)
{
    json_t *out = json_array();
    size_t n = json_array_size(a), m = json_array_size(b);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < m && n * m <= VB_SCHEMA_NODES_MOST; k++)
            json_array_append_new(out, both(json_array_get(a, i), json_array_get(b, k)));
    json_object_set_new(to, "anyOf", out);
    s->nodes += n * m > VB_SCHEMA_NODES_MOST ? VB_SCHEMA_NODES_MOST : (int)(n * m);
    return count(s);
}

/* anyOf and oneOf are one list of alternatives here. */
static vb_status alternatives(vb_schema *s, json_t *to, const json_t *from)
{
    static const char *const names[] = {"anyOf", "oneOf"};
    for (int i = 0; i < 2; i++) {
        json_t *more = json_object_get(from, names[i]), *here = json_object_get(to, "anyOf");
        if (more == NULL) continue;
        if (here == NULL) json_object_set(to, "anyOf", more);
        else VB_TRY(cross(s, to, here, more));
    }
    return VB_OK;
}

vb_status vb_schema_join(vb_schema *s, const json_t *a, const json_t *b, const json_t **out)
{
    const char *key;
    json_t *value;
    if (json_is_false(a) || json_is_true(b)) {
        *out = a;
        return VB_OK;
    }
    if (json_is_false(b) || json_is_true(a)) {
        *out = b;
        return VB_OK;
    }
    json_t *x = without_const(a), *y = without_const(b), *to = json_copy(x);
    json_object_del(to, "anyOf");
    json_object_del(to, "oneOf");
    vb_status status = keep(s, to, out);
    if (status == VB_OK) status = alternatives(s, to, x);
    if (status == VB_OK) status = alternatives(s, to, y);
    json_object_foreach(y, key, value) {
        json_t *here = json_object_get(to, key);
        if (strcmp(key, "anyOf") == 0 || strcmp(key, "oneOf") == 0 || strcmp(key, "properties") == 0) continue;
        if (here == NULL) json_object_set(to, key, value);
        else json_object_set_new(to, key, joined(s, key, here, value));
    }
    if (json_object_get(x, "properties") != NULL || json_object_get(y, "properties") != NULL)
        json_object_set_new(to, "properties", properties(x, y));
    json_decref(x);
    json_decref(y);
    return status;
}

/* --- one without $ref and allOf ------------------------------------------------------------------------------- */

static vb_status flat(vb_schema *s, const json_t *schema, const json_t **out)
{
    const json_t *part, *all = json_object_get(schema, "allOf"), *ref = json_object_get(schema, "$ref");
    json_t *rest = json_copy((json_t *)schema);
    json_object_del(rest, "allOf");
    json_object_del(rest, "$ref");
    VB_TRY(keep(s, rest, out));
    if (json_is_string(ref)) {
        VB_TRY(vb_schema_resolve(s, json_string_value(ref), &part));
        VB_TRY(vb_schema_flat(s, part, &part));
        VB_TRY(vb_schema_join(s, part, *out, out));
    }
    for (size_t i = 0; i < json_array_size(all); i++) {
        VB_TRY(vb_schema_flat(s, json_array_get(all, i), &part));
        VB_TRY(vb_schema_join(s, *out, part, out));
    }
    return VB_OK;
}

vb_status vb_schema_flat(vb_schema *s, const json_t *schema, const json_t **out)
{
    *out = schema;
    if (json_is_boolean(schema)) return VB_OK;
    if (!json_is_object(schema))
        VB_FAIL(s->err, VB_E_FORMAT, "schema: expected an object or a boolean, found another value");
    if (json_object_get(schema, "$ref") == NULL && json_object_get(schema, "allOf") == NULL) return VB_OK;
    if (s->depth >= VB_GRAMMAR_DEPTH_MOST)
        VB_FAIL(s->err, VB_E_ARGUMENT,
                "schema: expected at most %d levels, found more (or a $ref that leads to itself)",
                VB_GRAMMAR_DEPTH_MOST);
    s->depth++;
    vb_status status = flat(s, schema, out);
    s->depth--;
    return status;
}
