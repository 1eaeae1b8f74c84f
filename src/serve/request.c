/* request.c - fields, their types, and what is said when they are wrong. */
#include "serve/request.h"

#include "serve/hosts.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void vb_fault_set(vb_fault *fault, unsigned status, const char *format, ...)
{
    va_list args;
    if (fault->status != 0) return;
    fault->status = status;
    va_start(args, format);
    vsnprintf(fault->text, sizeof fault->text, format, args);
    va_end(args);
}

/* --- the whole ------------------------------------------------------------------------------------------- */

static const char *type_name(const json_t *value)
{
    if (json_is_string(value)) return "string";
    if (json_is_number(value)) return "number";
    if (json_is_boolean(value)) return "bool";
    return json_is_array(value) ? "array" : json_is_object(value) ? "object" : "null";
}

static void start(vb_request *r, json_t *root)
{
    r->root = root;
    r->left = json_copy(root);
    r->ignored = json_array();
    if (r->left == NULL || r->ignored == NULL) vb_fault_set(&r->fault, 500, "out of memory");
}

static int only_space(const char *text, size_t len)
{
    return strspn(text, " \t\r\n") >= len;
}

int vb_request_open(vb_request *r, vb_exchange *x, const char *type)
{
    size_t len;
    json_error_t why;
    const char *body = vb_exchange_body(x, &len);
    memset(r, 0, sizeof *r);
    snprintf(r->path, sizeof r->path, "%s", type);
    json_t *root = json_loadb(body, len, JSON_DECODE_ANY, &why);
    if (len == 0) vb_fault_set(&r->fault, 400, "missing request body");
    else if (root == NULL && (json_error_code(&why) == json_error_premature_end_of_input || only_space(body, len)))
        vb_fault_set(&r->fault, 400, "unexpected EOF");
    else if (root == NULL) vb_fault_set(&r->fault, 400, "invalid JSON at byte %d: %s", why.position, why.text);
    else if (!json_is_object(root))
        vb_fault_set(&r->fault, 400, "json: cannot unmarshal %s into Go value of type api.%s", type_name(root), type);
    if (r->fault.status != 0) {
        json_decref(root);
        root = json_object();
    }
    start(r, root);
    return r->fault.status == 0;
}

void vb_request_close(vb_request *r)
{
    json_decref(r->root);
    json_decref(r->left);
    json_decref(r->ignored);
    memset(r, 0, sizeof *r);
}

void vb_request_mistyped(vb_request *r, const char *key, const json_t *value, const char *go_type)
{
    vb_fault_set(&r->fault, 400, "json: cannot unmarshal %s into Go struct field %s.%s of type %s", type_name(value),
                 r->path, key, go_type);
}

void vb_request_part(vb_request *part, vb_request *r, const char *key)
{
    json_t *value = vb_request_any(r, key);
    memset(part, 0, sizeof *part);
    snprintf(part->path, sizeof part->path, "%.60s.%.30s", r->path, key);
    if (value != NULL && !json_is_object(value)) vb_request_mistyped(r, key, value, "map[string]interface {}");
    start(part, json_is_object(value) ? json_incref(value) : json_object());
}

void vb_request_ignore(vb_request *r, const char *key)
{
    json_array_append_new(r->ignored, json_string(key));
}

void vb_request_join(vb_request *r, vb_request *part)
{
    const char *prefix = strrchr(part->path, '.') + 1, *key;
    json_t *value;
    char name[160];
    json_object_foreach(part->left, key, value) {
        snprintf(name, sizeof name, "%s.%.100s", prefix, key);
        vb_request_ignore(r, name);
    }
    for (size_t i = 0; i < json_array_size(part->ignored); i++) {
        snprintf(name, sizeof name, "%s.%.100s", prefix, json_string_value(json_array_get(part->ignored, i)));
        vb_request_ignore(r, name);
    }
    if (r->fault.status == 0) r->fault = part->fault;
    vb_request_close(part);
}

char *vb_request_ignored(const vb_request *r)
{
    const char *key;
    json_t *value, *all = json_copy(r->ignored);
    json_object_foreach(r->left, key, value) {
        if (!json_is_null(value)) json_array_append_new(all, json_string(key));
    }
    char *text = json_array_size(all) > 0 ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    return text;
}

void vb_ignored_put(vb_out *out, const char *names)
{
    if (names == NULL) return;
    vb_js_key(out, "verbatim");
    vb_js_open(out, '{');
    vb_js_key(out, "ignored");
    vb_js_raw(out, names, strlen(names));
    vb_js_close(out, '}');
}

void vb_request_put_ignored(const vb_request *r, vb_out *out)
{
    char *names = vb_request_ignored(r);
    vb_ignored_put(out, names);
    free(names);
}

/* --- fields ---------------------------------------------------------------------------------------------- */

json_t *vb_request_any(vb_request *r, const char *key)
{
    json_t *value = json_object_get(r->root, key);
    json_object_del(r->left, key);
    return json_is_null(value) ? NULL : value;
}

const char *vb_request_string(vb_request *r, const char *key, const char *otherwise)
{
    json_t *value = vb_request_any(r, key);
    if (value == NULL) return otherwise;
    if (json_is_string(value)) return json_string_value(value);
    vb_request_mistyped(r, key, value, "string");
    return otherwise;
}

int vb_request_bool(vb_request *r, const char *key, int otherwise)
{
    json_t *value = vb_request_any(r, key);
    if (value == NULL) return otherwise;
    if (json_is_boolean(value)) return json_is_true(value);
    vb_request_mistyped(r, key, value, "bool");
    return otherwise;
}

int64_t vb_request_int(vb_request *r, const char *key, int64_t otherwise, int64_t min, int64_t max)
{
    json_t *value = vb_request_any(r, key);
    double real = json_number_value(value);
    if (value == NULL) return otherwise;
    if (!json_is_integer(value) && !(json_is_real(value) && floor(real) == real && fabs(real) < 9e15)) {
        vb_request_mistyped(r, key, value, "int");
        return otherwise;
    }
    int64_t n = json_is_integer(value) ? (int64_t)json_integer_value(value) : (int64_t)real;
    if (n >= min && n <= max) return n;
    vb_fault_set(&r->fault, 400, "%s must be between %lld and %lld", key, (long long)min, (long long)max);
    return otherwise;
}

double vb_request_number(vb_request *r, const char *key, double otherwise, double min, double max)
{
    json_t *value = vb_request_any(r, key);
    if (value == NULL) return otherwise;
    double n = json_number_value(value);
    if (!json_is_number(value)) vb_request_mistyped(r, key, value, "float64");
    else if (n < min || n > max) vb_fault_set(&r->fault, 400, "%s must be between %g and %g", key, min, max);
    else return n;
    return otherwise;
}

json_t *vb_request_list(vb_request *r, const char *key, const char *go_type)
{
    json_t *value = vb_request_any(r, key);
    if (value == NULL || json_is_array(value)) return value;
    vb_request_mistyped(r, key, value, go_type);
    return NULL;
}

/* --- durations ------------------------------------------------------------------------------------------- */

static int64_t clamp(double ns)
{
    return ns < 0 || ns >= 9e18 ? VB_KEEP_FOREVER : (int64_t)ns;
}

/* Numbers with units, one behind another: "1h30m", "-1s", "300ms". NAN: no such text. */
static double duration(const char *text)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 6e10}, {"h", 3.6e12}};
    double sum = 0, sign = text[0] == '-' ? -1 : 1;
    text += text[0] == '-' || text[0] == '+';
    if (strcmp(text, "0") == 0) return 0;
    if (text[0] == '\0') return (double)NAN;
    while (*text != '\0') {
        char *end;
        size_t i = 0;
        if (strchr("0123456789.", text[0]) == NULL) return (double)NAN;
        double n = strtod(text, &end);
        size_t len = strcspn(end, "0123456789.");
        while (i < sizeof units / sizeof units[0] &&
               (strlen(units[i].name) != len || strncmp(end, units[i].name, len) != 0))
            i++;
        if (end == text || i == sizeof units / sizeof units[0]) return (double)NAN;
        sum += n * units[i].ns;
        text = end + len;
    }
    return sign * sum;
}

int64_t vb_keep_of(const char *text)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end != text && *end == '\0') return clamp(seconds * 1e9);
    double ns = duration(text);
    return isnan(ns) ? VB_KEEP_DEFAULT : clamp(ns);
}

int64_t vb_request_keep(vb_request *r, const char *key)
{
    json_t *value = vb_request_any(r, key);
    if (value == NULL) return VB_KEEP_DEFAULT;
    if (json_is_number(value)) return clamp(json_number_value(value) * 1e9);
    if (!json_is_string(value)) {
        vb_fault_set(&r->fault, 400, "Unsupported type: %s", type_name(value));
        return VB_KEEP_DEFAULT;
    }
    double ns = duration(json_string_value(value));
    if (!isnan(ns)) return clamp(ns);
    vb_fault_set(&r->fault, 400, "time: invalid duration \"%.100s\"", json_string_value(value));
    return VB_KEEP_DEFAULT;
}
