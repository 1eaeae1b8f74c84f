/* json.c - the scan, then jansson. The scan knows strings, brackets and commas only: what else may be wrong is left to
 * the parser, which then meets a bounded text. */
#include "convert/json.h"

#include "base/os.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    size_t depth, containers, values, text;
} measure;

/* Behind the string that starts at `at`. */
static size_t skip_string(const char *data, size_t size, size_t at)
{
    for (at++; at < size && data[at] != '"'; at++)
        if (data[at] == '\\') at++;
    return at;
}

/* Where a limit is passed, or `size`. */
static size_t scan(const char *data, size_t size, measure *m)
{
    for (size_t i = 0; i < size; i++) {
        const size_t from = i;
        const char c = data[i];
        if (c == '"') i = skip_string(data, size, i);
        else if (c == ',') m->values++;
        else if (c == '[' || c == '{') m->depth++, m->containers++, m->values++;
        else if ((c == ']' || c == '}') && m->depth > 0) m->depth--;
        if (i - from > m->text) m->text = i - from;
        if (m->depth > VB_JSON_DEPTH || m->containers > VB_JSON_CONTAINERS || m->values > VB_JSON_VALUES ||
            m->text > VB_JSON_TEXT)
            return from;
    }
    return size;
}

static vb_status measured(const char *data, size_t size, const char *name, vb_err *err)
{
    measure m = {0};
    size_t at = scan(data, size, &m);
    if (at >= size) return VB_OK;
    if (m.text > VB_JSON_TEXT)
        VB_FAIL(err, VB_E_FORMAT, "%s: byte %zu: expected a text of at most %d bytes, found more", name, at,
                VB_JSON_TEXT);
    if (m.depth > VB_JSON_DEPTH)
        VB_FAIL(err, VB_E_FORMAT, "%s: byte %zu: expected at most %d levels of nesting, found more", name, at,
                VB_JSON_DEPTH);
    VB_FAIL(err, VB_E_FORMAT, "%s: byte %zu: expected at most %d arrays and objects and %d values, found more", name,
            at, VB_JSON_CONTAINERS, VB_JSON_VALUES);
}

/* model_max_length is often 10^30: an integer loses the digits that no integer holds, in a copy of the text. */
static void shorten(char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '"') i = skip_string(data, size, i);
        size_t end = i;
        while (end < size && data[end] >= '0' && data[end] <= '9') end++;
        if (end - i > 18 && end < size && strchr(".eE", data[end]) == NULL) memset(data + i + 18, ' ', end - i - 18);
        while (end < size && end > i && strchr(".eE+-0123456789", data[end]) != NULL) end++;
        if (end > i) i = end - 1;
    }
}

static json_t *load(const char *data, size_t size, json_error_t *why)
{
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
    json_t *root = json_loadb(data, size, flags, why);
    if (root != NULL || json_error_code(why) != json_error_numeric_overflow) return root;
    char *copy = malloc(size);
    if (copy == NULL) return NULL;
    memcpy(copy, data, size);
    shorten(copy, size);
    root = json_loadb(copy, size, flags, why);
    free(copy);
    return root;
}

vb_status vb_json_parse(json_t **out, const char *data, size_t size, const char *name, vb_err *err)
{
    *out = NULL;
    if (size > VB_JSON_BYTES)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected at most %d bytes, found %zu", name, VB_JSON_BYTES, size);
    VB_TRY(measured(data, size, name, err));
    json_error_t why;
    json_t *root = load(data, size, &why);
    if (root == NULL) VB_FAIL(err, VB_E_FORMAT, "%s: byte %d: expected JSON: %.160s", name, why.position, why.text);
    if (!json_is_object(root)) {
        json_decref(root);
        VB_FAIL(err, VB_E_FORMAT, "%s: expected a JSON object", name);
    }
    *out = root;
    return VB_OK;
}

vb_status vb_json_file(json_t **out, const char *path, vb_err *err)
{
    char *text;
    size_t len;
    *out = NULL;
    if (access(path, F_OK) != 0) VB_FAIL(err, VB_E_NOT_FOUND, "%s: expected a file, found none", path);
    VB_TRY(vb_file_read(path, VB_JSON_BYTES, &text, &len, err));
    vb_status s = vb_json_parse(out, text, len, path, err);
    free(text);
    return s;
}
