/* fit.c - a value beside a schema, keyword by keyword; the first thing that does not fit is named with its place.
 *
 *   $.people[1].age: expected an integer, found "old"
 *
 * A keyword speaks about values of its own type alone, as JSON Schema has it. Those that are not here ask for nothing.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "easy/easy.h"

#include <math.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 200, MOST_STEPS = 1000000 };

typedef struct place {
    const struct place *in; /* NULL: the root */
    const char *name;       /* NULL: an index */
    size_t index;
} place;

typedef struct {
    const json_t *root;
    vb_err *err;
    int steps;
} fitting;

static vb_status fit(fitting *f, const json_t *schema, const json_t *value, const place *at, int depth);

/* --- what is said ------------------------------------------------------------------------------------------------- */

static void write_place(const place *at, char *buf, size_t cap)
{
    if (at == NULL) {
        snprintf(buf, cap, "$");
        return;
    }
    write_place(at->in, buf, cap);
    size_t n = strlen(buf);
    if (at->name != NULL) snprintf(buf + n, cap - n, ".%.60s", at->name);
    else snprintf(buf + n, cap - n, "[%zu]", at->index);
}

static void describe(const json_t *value, char *buf, size_t cap)
{
    char *text = json_is_object(value) || json_is_array(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
    if (text != NULL && strlen(text) < cap) snprintf(buf, cap, "%s", text);
    else snprintf(buf, cap, "%s", json_is_object(value) ? "an object" : json_is_array(value) ? "an array" : "a string");
    free(text);
}

static vb_status unfit(const fitting *f, const place *at, const char *expected, const json_t *value)
{
    char where[200], found[64];
    write_place(at, where, sizeof where);
    describe(value, found, sizeof found);
    VB_FAIL(f->err, VB_E_DIFFERS, "%s: expected %s, found %s", where, expected, found);
}

static vb_status malformed(const fitting *f, const char *keyword, const char *expected)
{
    VB_FAIL(f->err, VB_E_FORMAT, "schema: %s: expected %s, found another value", keyword, expected);
}

/* --- types and values --------------------------------------------------------------------------------------------- */

static int is_whole(const json_t *value)
{
    return json_is_integer(value) || (json_is_real(value) && floor(json_real_value(value)) == json_real_value(value));
}

static int is_type(const char *type, const json_t *value)
{
    if (strcmp(type, "object") == 0) return json_is_object(value);
    if (strcmp(type, "array") == 0) return json_is_array(value);
    if (strcmp(type, "string") == 0) return json_is_string(value);
    if (strcmp(type, "integer") == 0) return is_whole(value);
    if (strcmp(type, "number") == 0) return json_is_number(value);
    if (strcmp(type, "boolean") == 0) return json_is_boolean(value);
    return strcmp(type, "null") == 0 ? json_is_null(value) : -1;
}

static vb_status fit_type(fitting *f, const json_t *schema, const json_t *value, const place *at)
{
    const json_t *type = json_object_get(schema, "type");
    char expected[160] = "";
    size_t n = json_is_array(type) ? json_array_size(type) : 1;
    if (type == NULL) return VB_OK;
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_is_array(type) ? json_array_get(type, i) : type);
        int is = name == NULL ? -1 : is_type(name, value);
        if (is < 0) return malformed(f, "type", "one of JSON's types");
        if (is) return VB_OK;
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, "%s%s %s", used ? " or " : "", strchr("aio", name[0]) ? "an" : "a", name);
    }
    return unfit(f, at, expected, value);
}

static int equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

static vb_status fit_values(fitting *f, const json_t *schema, const json_t *value, const place *at)
{
    const json_t *constant = json_object_get(schema, "const"), *list = json_object_get(schema, "enum");
    char expected[300], one[64];
    if (constant != NULL && !equal(constant, value)) {
        describe(constant, one, sizeof one);
        return unfit(f, at, one, value);
    }
    if (list == NULL) return VB_OK;
    if (!json_is_array(list)) return malformed(f, "enum", "an array");
    snprintf(expected, sizeof expected, "one of");
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (equal(json_array_get(list, i), value)) return VB_OK;
        describe(json_array_get(list, i), one, sizeof one);
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, "%s%s", i ? ", " : " ", one);
    }
    return unfit(f, at, expected, value);
}

/* --- numbers ------------------------------------------------------------------------------------------------------ */

static vb_status fit_bound(fitting *f, const json_t *schema, const char *keyword, const json_t *value, const place *at)
{
    const json_t *bound = json_object_get(schema, keyword);
    double x = json_number_value(value), b = json_number_value(bound);
    int upper = strstr(keyword, "aximum") != NULL, strict = keyword[0] == 'e';
    char expected[64];
    if (bound == NULL || (strict && json_is_boolean(bound))) return VB_OK;
    if (!json_is_number(bound)) return malformed(f, keyword, "a number");
    if (!strict) strict = json_is_true(json_object_get(schema, upper ? "exclusiveMaximum" : "exclusiveMinimum")); /* draft 4 */
    if (upper ? (strict ? x < b : x <= b) : (strict ? x > b : x >= b)) return VB_OK;
    snprintf(expected, sizeof expected, "a number %s%s %.15g", upper ? "below" : "above", strict ? "" : " or equal to", b);
    return unfit(f, at, expected, value);
}

static vb_status fit_number(fitting *f, const json_t *schema, const json_t *value, const place *at)
{
    static const char *const bounds[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"};
    const json_t *step = json_object_get(schema, "multipleOf");
    char expected[64];
    for (size_t i = 0; i < 4; i++) VB_TRY(fit_bound(f, schema, bounds[i], value, at));
    if (step == NULL) return VB_OK;
    if (!(json_number_value(step) > 0)) return malformed(f, "multipleOf", "a number above 0");
    double q = json_number_value(value) / json_number_value(step);
    if (fabs(q - nearbyint(q)) <= 1e-9 * (fabs(q) > 1 ? fabs(q) : 1)) return VB_OK;
    snprintf(expected, sizeof expected, "a multiple of %.15g", json_number_value(step));
    return unfit(f, at, expected, value);
}

/* --- counts ------------------------------------------------------------------------------------------------------- */

static vb_status fit_count(fitting *f, const json_t *schema, const char *const keywords[2], const char *what, size_t n,
                           const place *at)
{
    char where[200];
    for (int i = 0; i < 2; i++) {
        const json_t *bound = json_object_get(schema, keywords[i]);
        double b = json_number_value(bound);
        if (bound == NULL) continue;
        if (!json_is_number(bound) || b < 0) return malformed(f, keywords[i], "a count");
        if (i == 0 ? (double)n >= b : (double)n <= b) continue;
        write_place(at, where, sizeof where);
        VB_FAIL(f->err, VB_E_DIFFERS, "%s: expected at %s %.15g %s, found %zu", where, i == 0 ? "least" : "most", b, what, n);
    }
    return VB_OK;
}

/* --- strings ------------------------------------------------------------------------------------------------------ */

static vb_status match(fitting *f, const char *pattern, const json_t *value, int *found)
{
    int error;
    PCRE2_SIZE place_;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_DOLLAR_ENDONLY, &error, &place_,
                                     NULL);
    if (code == NULL) VB_FAIL(f->err, VB_E_FORMAT, "schema: pattern: expected a regular expression, found '%.100s'", pattern);
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    int n = PCRE2_ERROR_NOMEMORY;
    if (limits != NULL && data != NULL) {
        pcre2_set_match_limit(limits, 1000000);
        n = pcre2_match(code, (PCRE2_SPTR)json_string_value(value), json_string_length(value), 0, 0, data, limits);
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(limits);
    pcre2_code_free(code);
    if (n < 0 && n != PCRE2_ERROR_NOMATCH)
        VB_FAIL(f->err, VB_E_UNSUPPORTED, "schema: pattern: '%.100s' takes too long", pattern);
    *found = n >= 0;
    return VB_OK;
}

/* The usual forms; wider than what a grammar writes for them. */
static const char *format_pattern(const char *format)
{
#define DATE "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
#define TIME "([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\\.[0-9]+)?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define BYTE "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
    static const char *const formats[][2] = {
        {"date", "^" DATE "$"},
        {"time", "^" TIME "$"},
        {"date-time", "^" DATE "[Tt]" TIME "$"},
        {"uuid", "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"},
        {"email", "^[^@ ]+@[^@ ]+\\.[^@ .]+$"},
        {"ipv4", "^" BYTE "(\\." BYTE "){3}$"},
    };
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(formats[i][0], format) == 0) return formats[i][1];
    return NULL;
}

static size_t code_points(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t n = 0;
    for (size_t i = 0; i < json_string_length(value); i++) n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

static vb_status fit_string(fitting *f, const json_t *schema, const json_t *value, const place *at)
{
    static const char *const lengths[] = {"minLength", "maxLength"};
    const char *pattern = json_string_value(json_object_get(schema, "pattern"));
    const char *format = json_string_value(json_object_get(schema, "format"));
    char expected[160];
    int found = 1;
    VB_TRY(fit_count(f, schema, lengths, "characters", code_points(value), at));
    if (pattern != NULL) VB_TRY(match(f, pattern, value, &found));
    snprintf(expected, sizeof expected, "a text that matches '%.100s'", pattern != NULL ? pattern : "");
    if (!found) return unfit(f, at, expected, value);
    if (format == NULL || format_pattern(format) == NULL) return VB_OK;
    VB_TRY(match(f, format_pattern(format), value, &found));
    snprintf(expected, sizeof expected, "a text of the form '%.40s'", format);
    return found ? VB_OK : unfit(f, at, expected, value);
}

/* --- objects and arrays ------------------------------------------------------------------------------------------- */

static vb_status fit_required(fitting *f, const json_t *schema, const json_t *value, const place *at)
{
    const json_t *required = json_object_get(schema, "required");
    char where[200];
    if (required != NULL && !json_is_array(required)) return malformed(f, "required", "an array");
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));
        if (name == NULL) return malformed(f, "required", "names");
        if (json_object_get(value, name) != NULL) continue;
        write_place(at, where, sizeof where);
        VB_FAIL(f->err, VB_E_DIFFERS, "%s: expected a member \"%.60s\", found none", where, name);
    }
    return VB_OK;
}

static vb_status fit_object(fitting *f, const json_t *schema, const json_t *value, const place *at, int depth)
{
    static const char *const counts[] = {"minProperties", "maxProperties"};
    const json_t *named = json_object_get(schema, "properties"), *others = json_object_get(schema, "additionalProperties");
    const char *name;
    json_t *member;
    char where[200];
    if (named != NULL && !json_is_object(named)) return malformed(f, "properties", "an object");
    VB_TRY(fit_required(f, schema, value, at));
    VB_TRY(fit_count(f, schema, counts, "members", json_object_size(value), at));
    json_object_foreach((json_t *)value, name, member) {
        place here = {at, name, 0};
        const json_t *own = json_object_get(named, name);
        if (own != NULL) VB_TRY(fit(f, own, member, &here, depth));
        else if (others != NULL && !json_is_false(others)) VB_TRY(fit(f, others, member, &here, depth));
        else if (others != NULL) {
            write_place(&here, where, sizeof where);
            VB_FAIL(f->err, VB_E_DIFFERS, "%s: expected no such member, found one", where);
        }
    }
    return VB_OK;
}

static vb_status fit_unique(fitting *f, const json_t *value, const place *at)
{
    size_t n = json_array_size(value);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++) {
            place here = {at, NULL, i};
            if (++f->steps > MOST_STEPS) VB_FAIL(f->err, VB_E_UNSUPPORTED, "schema: too much to compare");
            if (equal(json_array_get(value, i), json_array_get(value, k)))
                return unfit(f, &here, "an element that no other is equal to", json_array_get(value, i));
        }
    return VB_OK;
}

static vb_status fit_array(fitting *f, const json_t *schema, const json_t *value, const place *at, int depth)
{
    static const char *const counts[] = {"minItems", "maxItems"};
    const json_t *list = json_object_get(schema, "prefixItems"), *each = json_object_get(schema, "items");
    if (json_is_array(each)) { /* as drafts before 2020 say it */
        list = each;
        each = json_object_get(schema, "additionalItems");
    }
    VB_TRY(fit_count(f, schema, counts, "elements", json_array_size(value), at));
    for (size_t i = 0; i < json_array_size(value); i++) {
        place here = {at, NULL, i};
        const json_t *own = i < json_array_size(list) ? json_array_get(list, i) : each;
        if (own != NULL) VB_TRY(fit(f, own, json_array_get(value, i), &here, depth));
    }
    return json_is_true(json_object_get(schema, "uniqueItems")) ? fit_unique(f, value, at) : VB_OK;
}

/* --- schemas of schemas ------------------------------------------------------------------------------------------- */

/* "#/a/b~1c" inside the root; NULL: it is not there. */
static const json_t *referred(const fitting *f, const char *ref)
{
    const json_t *at = f->root;
    char name[200];
    if (*ref++ != '#') return NULL;
    while (*ref == '/' && at != NULL) {
        size_t n = 0;
        for (ref++; *ref != '\0' && *ref != '/' && n + 1 < sizeof name; ref++) {
            int escaped = ref[0] == '~' && (ref[1] == '0' || ref[1] == '1');
            name[n++] = escaped ? (ref[1] == '0' ? '~' : '/') : *ref;
            ref += escaped;
        }
        name[n] = '\0';
        at = json_is_array(at) ? json_array_get(at, (size_t)strtoul(name, NULL, 10)) : json_object_get(at, name);
    }
    return *ref == '\0' ? at : NULL;
}

/* How many of the list's schemas fit; the others' complaints are dropped. */
static vb_status count_fits(fitting *f, const json_t *list, const json_t *value, const place *at, int depth, int *fits)
{
    vb_err dropped = {0};
    fitting quiet = *f;
    *fits = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        quiet.err = &dropped;
        vb_status s = fit(&quiet, json_array_get(list, i), value, at, depth);
        f->steps = quiet.steps;
        if (s < 0 && s != VB_E_DIFFERS) {
            if (f->err != NULL) *f->err = dropped;
            return s;
        }
        *fits += s == VB_OK;
    }
    return VB_OK;
}

static vb_status fit_choices(fitting *f, const json_t *schema, const json_t *value, const place *at, int depth)
{
    const json_t *any = json_object_get(schema, "anyOf"), *one = json_object_get(schema, "oneOf"), *not = json_object_get(schema, "not");
    const json_t *all = json_object_get(schema, "allOf");
    int fits = 1;
    for (size_t i = 0; i < json_array_size(all); i++) VB_TRY(fit(f, json_array_get(all, i), value, at, depth));
    if (json_array_size(any) == 1) VB_TRY(fit(f, json_array_get(any, 0), value, at, depth));
    else if (any != NULL) VB_TRY(count_fits(f, any, value, at, depth, &fits));
    if (fits == 0) return unfit(f, at, "a value of one of the forms in anyOf", value);
    fits = 1;
    if (one != NULL) VB_TRY(count_fits(f, one, value, at, depth, &fits));
    if (fits != 1) return unfit(f, at, "a value of exactly one of the forms in oneOf", value);
    if (not == NULL) return VB_OK;
    json_t *list = json_pack("[O]", not);
    vb_status s = list != NULL ? count_fits(f, list, value, at, depth, &fits) : vb_fail(f->err, VB_E_MEMORY, "schema: out of memory");
    json_decref(list);
    VB_TRY(s);
    return fits ? unfit(f, at, "a value that is not of the form in not", value) : VB_OK;
}

static vb_status fit(fitting *f, const json_t *schema, const json_t *value, const place *at, int depth)
{
    if (json_is_true(schema)) return VB_OK;
    if (json_is_false(schema)) return unfit(f, at, "nothing", value);
    if (!json_is_object(schema)) VB_FAIL(f->err, VB_E_FORMAT, "schema: expected an object, found another value");
    if (++depth > DEEPEST) VB_FAIL(f->err, VB_E_UNSUPPORTED, "schema: expected at most %d schemas inside another, found more", DEEPEST);
    if (++f->steps > MOST_STEPS) VB_FAIL(f->err, VB_E_UNSUPPORTED, "schema: too much to compare");
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    if (ref != NULL) {
        const json_t *to = referred(f, ref);
        if (to == NULL) VB_FAIL(f->err, VB_E_FORMAT, "schema: $ref: expected a place inside the schema, found '%.100s'", ref);
        VB_TRY(fit(f, to, value, at, depth));
    }
    VB_TRY(fit_type(f, schema, value, at));
    VB_TRY(fit_values(f, schema, value, at));
    VB_TRY(fit_choices(f, schema, value, at, depth));
    if (json_is_number(value)) return fit_number(f, schema, value, at);
    if (json_is_string(value)) return fit_string(f, schema, value, at);
    if (json_is_object(value)) return fit_object(f, schema, value, at, depth);
    return json_is_array(value) ? fit_array(f, schema, value, at, depth) : VB_OK;
}

vb_status vb_easy_fit(const json_t *schema, const json_t *value, vb_err *err)
{
    fitting f = {schema, err, 0};
    return fit(&f, schema, value, NULL, 0);
}
