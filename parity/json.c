/* json.c - members of a JSON object by name, with a type and a range, and the rows of tokens that engines send. */
#include "parity/wire.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static vb_status no_memory(vb_err *err)
{
    return vb_parity_fail(err, VB_E_MEMORY, "answer: out of memory");
}

static const char *type_of(const json_t *value)
{
    static const char *const names[] = {"an object", "an array", "a text", "a whole number",
                                        "a number",  "true",     "false",  "null"};
    return names[json_typeof(value)];
}

/* The member, or NULL if it is missing or null. */
static const json_t *member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

static vb_status unexpected(vb_err *err, const char *name, const char *expected, const json_t *found)
{
    return vb_parity_fail(err, VB_E_FORMAT, "\"%s\": expected %s, found %s", name, expected, type_of(found));
}

vb_status vb_member_text(char **out, const json_t *object, const char *name, vb_err *err)
{
    const json_t *value = member(object, name);
    if (!value) return VB_OK;
    if (!json_is_string(value)) return unexpected(err, name, "a text", value);
    return vb_text_set(out, json_string_value(value), err);
}

vb_status vb_member_real(float *out, const json_t *object, const char *name, vb_err *err)
{
    const json_t *value = member(object, name);
    if (!value) return VB_OK;
    if (!json_is_number(value)) return unexpected(err, name, "a number", value);
    *out = (float)json_number_value(value);
    return VB_OK;
}

vb_status vb_member_int(int64_t *out, const json_t *object, const char *name, int64_t low, int64_t high, vb_err *err)
{
    const json_t *value = member(object, name);
    if (!value) return VB_OK;
    if (!json_is_integer(value)) return unexpected(err, name, "a whole number", value);
    int64_t found = json_integer_value(value);
    if (found < low || found > high)
        return vb_parity_fail(err, VB_E_FORMAT,
                              "\"%s\": expected a number from %" PRId64 " to %" PRId64 ", found %" PRId64, name, low,
                              high, found);
    *out = found;
    return VB_OK;
}

vb_status vb_member_ids(vb_token **out, int *n, const json_t *object, const char *name, vb_err *err)
{
    const json_t *list = member(object, name), *value;
    size_t i, count = json_array_size(list);
    if (!list) return VB_OK;
    if (!json_is_array(list) || count > INT32_MAX) return unexpected(err, name, "an array of token ids", list);
    vb_token *ids = malloc((count + 1) * sizeof *ids);
    if (!ids) return no_memory(err);
    json_array_foreach(list, i, value)
    {
        json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        if (id < 0 || id > INT32_MAX) {
            free(ids);
            return unexpected(err, name, "an array of token ids", value);
        }
        ids[i] = (vb_token)id;
    }
    free(*out);
    *out = ids;
    *n = (int)count;
    return VB_OK;
}

vb_status vb_member_texts(char ***out, int *n, const json_t *object, const char *name, vb_err *err)
{
    const json_t *list = member(object, name), *value;
    size_t i;
    if (!list) return VB_OK;
    if (json_is_string(list)) return vb_text_add(out, n, json_string_value(list), err);
    if (!json_is_array(list)) return unexpected(err, name, "an array of texts", list);
    json_array_foreach(list, i, value)
    {
        if (!json_is_string(value)) return unexpected(err, name, "an array of texts", value);
        vb_status status = vb_text_add(out, n, json_string_value(value), err);
        if (status < 0) return status;
    }
    return VB_OK;
}

vb_status vb_unknown_add(vb_answer *a, const char *name, const json_t *value, vb_err *err)
{
    char line[256];
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (!text) return no_memory(err);
    snprintf(line, sizeof line, "%s=%s", name, text);
    free(text);
    return vb_text_add(&a->unknown, &a->n_unknown, line, err);
}

/* --- rows of tokens ------------------------------------------------------------------------------------------ */

static vb_status bytes_read(vb_answer_choice *out, const json_t *list, vb_err *err)
{
    const json_t *value;
    size_t i;
    out->len = json_array_size(list);
    out->bytes = malloc(out->len + 1);
    if (!out->bytes) return no_memory(err);
    out->bytes[out->len] = '\0';
    json_array_foreach(list, i, value)
    {
        json_int_t byte = json_is_integer(value) ? json_integer_value(value) : -1;
        if (byte < 0 || byte > 255) return unexpected(err, "bytes", "an array of bytes", value);
        out->bytes[i] = (char)byte;
    }
    return VB_OK;
}

static vb_status choice_read(vb_answer_choice *out, const json_t *row, vb_err *err)
{
    const json_t *bytes = member(row, "bytes"), *token = member(row, "token"), *logprob = member(row, "logprob");
    int64_t id = -1;
    out->logprob = json_is_number(logprob) ? json_number_value(logprob) : (double)NAN;
    vb_status status = vb_member_int(&id, row, "id", 0, INT32_MAX, err);
    out->id = (vb_token)id;
    if (status < 0) return status;
    if (json_is_array(bytes)) return bytes_read(out, bytes, err);
    if (!json_is_string(token))
        return vb_parity_fail(err, VB_E_FORMAT, "a token: expected \"bytes\" or \"token\", found neither");
    out->len = json_string_length(token);
    out->bytes = malloc(out->len + 1);
    if (!out->bytes) return no_memory(err);
    memcpy(out->bytes, json_string_value(token), out->len + 1);
    return VB_OK;
}

static vb_status top_read(vb_answer_token *out, const json_t *rows, vb_err *err)
{
    const json_t *row;
    size_t i, n = json_array_size(rows);
    if (n == 0) return VB_OK;
    if (n > 100000) return vb_parity_fail(err, VB_E_FORMAT, "\"top_logprobs\": expected at most 100000, found %zu", n);
    out->top = calloc(n, sizeof *out->top);
    if (!out->top) return no_memory(err);
    json_array_foreach(rows, i, row)
    {
        out->n_top++;
        vb_status status = choice_read(&out->top[i], row, err);
        if (status < 0) return status;
    }
    return VB_OK;
}

static vb_status token_read(vb_answer *a, const json_t *row, vb_err *err)
{
    vb_answer_token *token = &a->tokens[a->n_tokens++];
    memset(token, 0, sizeof *token);
    vb_status status = choice_read(&token->chosen, row, err);
    return status < 0 ? status : top_read(token, member(row, "top_logprobs"), err);
}

vb_status vb_tokens_read(vb_answer *a, const json_t *rows, vb_err *err)
{
    const json_t *row;
    size_t i, n = json_array_size(rows);
    if (!rows || json_is_null(rows)) return VB_OK;
    if (!json_is_array(rows)) return unexpected(err, "logprobs", "an array", rows);
    if (n == 0) return VB_OK;
    if (n > (size_t)(INT32_MAX - a->n_tokens)) return vb_parity_fail(err, VB_E_FORMAT, "\"logprobs\": too many");
    vb_answer_token *grown = realloc(a->tokens, ((size_t)a->n_tokens + n) * sizeof *grown);
    if (!grown) return no_memory(err);
    a->tokens = grown;
    json_array_foreach(rows, i, row)
    {
        vb_status status = token_read(a, row, err);
        if (status < 0) return status;
    }
    return VB_OK;
}
