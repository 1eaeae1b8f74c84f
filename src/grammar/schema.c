/* schema.c - see schema.h: what a value of each type looks like. */
#include "grammar/schema_parts.h"

#include "grammar/number.h"
#include "grammar/pattern.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- keywords ------------------------------------------------------------------------------------------------- */

static void note_unheld(vb_schema *s, const json_t *schema)
{
    static const char *const names[] = {"not",
                                        "if",
                                        "dependentRequired",
                                        "dependentSchemas",
                                        "dependencies",
                                        "patternProperties",
                                        "propertyNames",
                                        "unevaluatedProperties",
                                        "unevaluatedItems",
                                        "contains",
                                        "multipleOf"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (json_object_get(schema, names[i]) != NULL) vb_rules_unheld(s->r, names[i]);
    if (json_is_true(json_object_get(schema, "uniqueItems"))) vb_rules_unheld(s->r, "uniqueItems");
}

vb_status vb_schema_count(vb_schema *s, const json_t *schema, const char *key, int missing, int *out)
{
    const json_t *value = json_object_get(schema, key);
    double n = json_number_value(value);
    *out = missing;
    if (value == NULL) return VB_OK;
    if (!json_is_number(value) || n < 0 || n != floor(n))
        VB_FAIL(s->err, VB_E_FORMAT, "schema: %s: expected a count, found another value", key);
    if (n > VB_GRAMMAR_REPEAT_MOST)
        VB_FAIL(s->err, VB_E_ARGUMENT, "schema: %s: expected at most %d, found %g", key, VB_GRAMMAR_REPEAT_MOST, n);
    *out = (int)n;
    return VB_OK;
}

/* --- strings and numbers -------------------------------------------------------------------------------------- */

static vb_status patterned(vb_schema *s, const json_t *schema, const char *pattern, int *out)
{
    vb_rules *r = s->r;
    if (json_object_get(schema, "minLength") != NULL) vb_rules_unheld(r, "minLength with pattern or format");
    if (json_object_get(schema, "maxLength") != NULL) vb_rules_unheld(r, "maxLength with pattern or format");
    VB_TRY(vb_pattern_read(out, &s->json, pattern, s->err));
    *out = vb_expr_then(r, vb_expr_text(r, "\""), *out);
    *out = vb_expr_then(r, *out, vb_expr_text(r, "\""));
    return VB_OK;
}

static vb_status string(vb_schema *s, const json_t *schema, int *out)
{
    const char *pattern = json_string_value(json_object_get(schema, "pattern"));
    const char *format = json_string_value(json_object_get(schema, "format"));
    int least, most;
    const char *by_format = format == NULL ? NULL : vb_pattern_of_format(format);
    if (pattern != NULL && by_format != NULL) vb_rules_unheld(s->r, "format with pattern");
    if (pattern != NULL || by_format != NULL) return patterned(s, schema, pattern != NULL ? pattern : by_format, out);
    VB_TRY(vb_schema_count(s, schema, "minLength", 0, &least));
    VB_TRY(vb_schema_count(s, schema, "maxLength", VB_GRAMMAR_UNBOUNDED, &most));
    if (least == 0 && most == VB_GRAMMAR_UNBOUNDED) {
        *out = vb_jg_string(&s->json);
        return VB_OK;
    }
    *out = VB_EXPR_NEVER;
    if (most != VB_GRAMMAR_UNBOUNDED && most < least) return VB_OK;
    int chars = vb_expr_repeat(s->r, vb_jg_char(&s->json), least, most);
    *out = vb_expr_then(s->r, vb_expr_then(s->r, vb_expr_text(s->r, "\""), chars), vb_expr_text(s->r, "\""));
    return VB_OK;
}

static vb_status bound(vb_schema *s, const json_t *schema, const char *key, double *out, int *there)
{
    const json_t *value = json_object_get(schema, key);
    *there = value != NULL && !json_is_boolean(value);
    if (!*there) return VB_OK;
    if (!json_is_number(value)) VB_FAIL(s->err, VB_E_FORMAT, "schema: %s: expected a number, found another value", key);
    *out = json_number_value(value);
    return VB_OK;
}

static vb_status number(vb_schema *s, const json_t *schema, int integer, int *out)
{
    vb_bounds b = {-HUGE_VAL, HUGE_VAL, 0, 0};
    double above = 0, below = 0;
    int has_least, has_most, has_above, has_below;
    VB_TRY(bound(s, schema, "minimum", &b.least, &has_least));
    VB_TRY(bound(s, schema, "maximum", &b.most, &has_most));
    VB_TRY(bound(s, schema, "exclusiveMinimum", &above, &has_above));
    VB_TRY(bound(s, schema, "exclusiveMaximum", &below, &has_below));
    if (has_above && above >= b.least) b = (vb_bounds){above, b.most, 1, 0};
    if (has_below && below <= b.most) b = (vb_bounds){b.least, below, b.above, 1};
    if (has_least && json_is_true(json_object_get(schema, "exclusiveMinimum"))) b.above = 1; /* as draft 4 says it */
    if (has_most && json_is_true(json_object_get(schema, "exclusiveMaximum"))) b.below = 1;
    if (has_least || has_most || has_above || has_below) return vb_number_between(out, &s->json, &b, integer, s->err);
    *out = integer ? vb_jg_integer(&s->json) : vb_jg_number(&s->json);
    return VB_OK;
}

/* --- types ---------------------------------------------------------------------------------------------------- */

static vb_status of_type(vb_schema *s, const json_t *schema, const char *type, int *out)
{
    if (strcmp(type, "object") == 0) return vb_schema_object(s, schema, out);
    if (strcmp(type, "array") == 0) return vb_schema_array(s, schema, out);
    if (strcmp(type, "string") == 0) return string(s, schema, out);
    if (strcmp(type, "number") == 0) return number(s, schema, 0, out);
    if (strcmp(type, "integer") == 0) return number(s, schema, 1, out);
    *out = vb_expr_text(s->r, "null");
    if (strcmp(type, "null") == 0) return VB_OK;
    if (strcmp(type, "boolean") != 0)
        VB_FAIL(s->err, VB_E_FORMAT, "schema: type: expected one of JSON's types, found '%.100s'", type);
    *out = vb_expr_or(s->r, vb_expr_text(s->r, "true"), vb_expr_text(s->r, "false"));
    return VB_OK;
}

/* The type that the keywords talk about; NULL: any. */
static const char *implied(const json_t *schema)
{
    static const struct {
        const char *key, *type;
    } rows[] = {{"properties", "object"},      {"additionalProperties", "object"},
                {"required", "object"},        {"minProperties", "object"},
                {"maxProperties", "object"},   {"items", "array"},
                {"prefixItems", "array"},      {"minItems", "array"},
                {"maxItems", "array"},         {"pattern", "string"},
                {"format", "string"},          {"minLength", "string"},
                {"maxLength", "string"},       {"minimum", "number"},
                {"maximum", "number"},         {"exclusiveMinimum", "number"},
                {"exclusiveMaximum", "number"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (json_object_get(schema, rows[i].key) != NULL) return rows[i].type;
    return NULL;
}

static vb_status by_type(vb_schema *s, const json_t *schema, int *out)
{
    const json_t *type = json_object_get(schema, "type");
    const char *name = json_is_string(type) ? json_string_value(type) : type == NULL ? implied(schema) : NULL;
    if (name != NULL) return of_type(s, schema, name, out);
    if (type == NULL) {
        *out = vb_jg_value(&s->json);
        return VB_OK;
    }
    if (!json_is_array(type))
        VB_FAIL(s->err, VB_E_FORMAT, "schema: type: expected a name or names, found another value");
    *out = VB_EXPR_NEVER;
    for (size_t i = 0; i < json_array_size(type); i++) {
        int one;
        name = json_string_value(json_array_get(type, i));
        if (name == NULL) VB_FAIL(s->err, VB_E_FORMAT, "schema: type: expected names, found another value");
        VB_TRY(of_type(s, schema, name, &one));
        *out = vb_expr_or(s->r, *out, one);
    }
    return VB_OK;
}

/* --- given values --------------------------------------------------------------------------------------------- */

static int is_of_type(const json_t *value, const char *type)
{
    if (json_is_integer(value)) return strcmp(type, "integer") == 0 || strcmp(type, "number") == 0;
    const char *name = json_is_object(value)   ? "object"
                       : json_is_array(value)  ? "array"
                       : json_is_string(value) ? "string"
                       : json_is_real(value)   ? "number"
                       : json_is_null(value)   ? "null"
                                               : "boolean";
    return strcmp(type, name) == 0;
}

/* Whether a listed value fits the type and the bounds beside the list. */
static int may_be(const json_t *schema, const json_t *value)
{
    const json_t *type = json_object_get(schema, "type"), *low = json_object_get(schema, "minimum"),
                 *high = json_object_get(schema, "maximum");
    int fits = type == NULL || (json_is_string(type) && is_of_type(value, json_string_value(type)));
    for (size_t i = 0; i < json_array_size(type) && !fits; i++) {
        const char *name = json_string_value(json_array_get(type, i));
        fits = name != NULL && is_of_type(value, name);
    }
    if (json_is_number(value) && low != NULL && json_number_value(value) < json_number_value(low)) fits = 0;
    if (json_is_number(value) && high != NULL && json_number_value(value) > json_number_value(high)) fits = 0;
    return fits;
}

static void listed(vb_schema *s, const json_t *schema, int *out)
{
    const json_t *all = json_object_get(schema, "enum"), *only = json_object_get(schema, "const");
    *out = VB_EXPR_NEVER;
    if (only != NULL && (all == NULL || json_is_array(all)) && may_be(schema, only)) {
        int in = all == NULL;
        for (size_t i = 0; i < json_array_size(all) && !in; i++) in = json_equal(json_array_get(all, i), only);
        if (in) *out = vb_jg_exactly(&s->json, only);
    }
    for (size_t i = 0; i < json_array_size(all) && only == NULL; i++)
        if (may_be(schema, json_array_get(all, i)))
            *out = vb_expr_or(s->r, *out, vb_jg_exactly(&s->json, json_array_get(all, i)));
}

/* --- schemas -------------------------------------------------------------------------------------------------- */

/* A plain reference is a rule, read once, so that schemas may refer to themselves. */
static vb_status refer(vb_schema *s, const char *ref, int *out)
{
    const json_t *target;
    int i = 0;
    VB_TRY(vb_schema_resolve(s, ref, &target));
    while (i < s->n_refs && s->refs[i].target != target) i++;
    if (i == VB_SCHEMA_REFS_MOST)
        VB_FAIL(s->err, VB_E_ARGUMENT, "schema: expected at most %d places that $ref leads to, found more",
                VB_SCHEMA_REFS_MOST);
    if (i == s->n_refs) {
        s->refs[i].target = target;
        s->refs[i].rule = vb_rule_new(s->r);
        s->n_refs++;
    }
    *out = vb_expr_rule(s->r, s->refs[i].rule);
    return VB_OK;
}

/* Each alternative, joined with what stands beside the list. */
static vb_status any_of(vb_schema *s, const json_t *schema, int *out)
{
    const json_t *first = json_object_get(schema, "anyOf"), *second = json_object_get(schema, "oneOf");
    int more = vb_schema_says_more(schema) || (first != NULL && second != NULL);
    const json_t *list = first != NULL ? first : second, *one;
    if (!json_is_array(list))
        VB_FAIL(s->err, VB_E_FORMAT, "schema: anyOf, oneOf: expected an array, found another value");
    json_t *rest = json_copy((json_t *)schema);
    if (rest == NULL || json_array_append_new(s->made, rest) < 0) VB_FAIL(s->err, VB_E_MEMORY, "schema: out of memory");
    json_object_del(rest, first != NULL ? "anyOf" : "oneOf");
    *out = VB_EXPR_NEVER;
    for (size_t i = 0; i < json_array_size(list); i++) {
        int expr;
        one = json_array_get(list, i);
        if (more) {
            VB_TRY(vb_schema_flat(s, one, &one));
            VB_TRY(vb_schema_join(s, rest, one, &one));
        }
        VB_TRY(vb_schema_expr(s, one, &expr));
        *out = vb_expr_or(s->r, *out, expr);
    }
    return VB_OK;
}

static vb_status expr_of(vb_schema *s, const json_t *schema, int *out)
{
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    if (ref != NULL && !vb_schema_says_more(schema) && json_object_get(schema, "allOf") == NULL &&
        json_object_get(schema, "anyOf") == NULL && json_object_get(schema, "oneOf") == NULL)
        return refer(s, ref, out);
    VB_TRY(vb_schema_flat(s, schema, &schema));
    *out = json_is_true(schema) ? vb_jg_value(&s->json) : VB_EXPR_NEVER;
    if (json_is_boolean(schema)) return VB_OK;
    note_unheld(s, schema);
    if (json_object_get(schema, "anyOf") != NULL || json_object_get(schema, "oneOf") != NULL)
        return any_of(s, schema, out);
    if (json_object_get(schema, "enum") == NULL && json_object_get(schema, "const") == NULL)
        return by_type(s, schema, out);
    listed(s, schema, out);
    return VB_OK;
}

vb_status vb_schema_expr(vb_schema *s, const json_t *schema, int *out)
{
    if (s->depth >= VB_GRAMMAR_DEPTH_MOST)
        VB_FAIL(s->err, VB_E_ARGUMENT,
                "schema: expected at most %d levels, found more (or a $ref that leads to itself)",
                VB_GRAMMAR_DEPTH_MOST);
    if (++s->nodes > VB_SCHEMA_NODES_MOST)
        VB_FAIL(s->err, VB_E_ARGUMENT, "schema: expected at most %d schemas, found more", VB_SCHEMA_NODES_MOST);
    VB_TRY(vb_rules_check(s->r, s->err));
    s->depth++;
    vb_status status = expr_of(s, schema, out);
    s->depth--;
    return status;
}

static vb_status read(vb_schema *s, int *root)
{
    int expr;
    *root = vb_rule_new(s->r);
    s->refs[s->n_refs].target = s->root;
    s->refs[s->n_refs++].rule = *root;
    for (; s->n_read < s->n_refs; s->n_read++) {
        VB_TRY(vb_schema_expr(s, s->refs[s->n_read].target, &expr));
        vb_rule_set(s->r, s->refs[s->n_read].rule, expr);
    }
    return vb_rules_check(s->r, s->err);
}

vb_status vb_schema_read(vb_rules *rules, int *root, const char *text, size_t len, vb_err *err)
{
    json_error_t where;
    if (len > VB_GRAMMAR_BYTES_MOST)
        VB_FAIL(err, VB_E_ARGUMENT, "schema: expected at most %d bytes, found %zu", VB_GRAMMAR_BYTES_MOST, len);
    vb_schema *s = calloc(1, sizeof *s);
    if (s == NULL) VB_FAIL(err, VB_E_MEMORY, "schema: out of memory");
    s->r = rules;
    s->err = err;
    s->root = json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &where);
    s->made = json_array();
    vb_jg_start(&s->json, rules);
    vb_status status;
    if (s->root == NULL) status = vb_fail(err, VB_E_FORMAT, "schema: line %d: %s", where.line, where.text);
    else status = read(s, root);
    json_decref(s->made);
    json_decref(s->root);
    free(s);
    return status;
}
