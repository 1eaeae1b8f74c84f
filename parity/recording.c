/* recording.c - answers that were recorded: the reader of a file with one exchange or many.
 *
 *   {"ollama_version": "...", "model": "...", "cases": [EXCHANGE, ...]}    or one EXCHANGE
 *   EXCHANGE = {"endpoint" or "path": "/api/chat", "request": {...}, "response": {...} or "body": "what came back"}
 */
#include "parity/wire.h"

#include <stdlib.h>
#include <string.h>

static vb_status response_read(vb_answer *a, const char *endpoint, const json_t *exchange, vb_err *err)
{
    const json_t *reply = json_object_get(exchange, "response"), *body = json_object_get(exchange, "body");
    int done = 0;
    if (json_is_string(body) && strcmp(endpoint, "/completion") != 0)
        return vb_ollama_replies_read(a, json_string_value(body), json_string_length(body), err);
    if (!json_is_object(reply))
        return vb_parity_fail(err, VB_E_FORMAT, "expected a \"response\" or a \"body\", found neither");
    if (strcmp(endpoint, "/completion") == 0) return vb_llama_reply_read(a, reply, err);
    return vb_ollama_reply_read(a, reply, &done, err);
}

static vb_status request_read(vb_answer *a, const char *endpoint, const json_t *request, vb_err *err)
{
    if (strcmp(endpoint, "/completion") != 0) return vb_ollama_request_read(a, endpoint, request, err);
    return vb_member_text(&a->prompt, request, "prompt", err);
}

static vb_status exchange_read(vb_answer *a, const json_t *exchange, vb_err *err)
{
    const char *endpoint = json_string_value(json_object_get(exchange, "endpoint"));
    const json_t *request = json_object_get(exchange, "request");
    if (!endpoint) endpoint = json_string_value(json_object_get(exchange, "path"));
    if (!endpoint || !json_is_object(request))
        return vb_parity_fail(err, VB_E_FORMAT, "expected an \"endpoint\" and a \"request\", found less");
    vb_answer_start(a);
    vb_status status = request_read(a, endpoint, request, err);
    return status < 0 ? status : response_read(a, endpoint, exchange, err);
}

/* What the whole file says of each of its cases. */
static vb_status frame_read(vb_answer *a, const char *path, const json_t *root, vb_err *err)
{
    vb_status status = vb_text_set(&a->source, path, err);
    if (status == VB_OK && !a->version) status = vb_member_text(&a->version, root, "ollama_version", err);
    if (status == VB_OK && !a->model) status = vb_member_text(&a->model, root, "model", err);
    return status;
}

static vb_status cases_read(vb_answers *out, const char *path, const json_t *root, vb_err *err)
{
    const json_t *cases = json_object_get(root, "cases");
    size_t n = cases ? json_array_size(cases) : 1;
    vb_err why = {0};
    if (!json_is_object(root) || n == 0 || n > 1000000)
        return vb_parity_fail(err, VB_E_FORMAT, "%s: expected a recording with cases, found none", path);
    out->item = calloc(n, sizeof *out->item);
    if (!out->item) return vb_parity_fail(err, VB_E_MEMORY, "%s: out of memory", path);
    for (size_t i = 0; i < n; i++) {
        out->n = (int)i + 1;
        vb_status status = exchange_read(&out->item[i], cases ? json_array_get(cases, i) : root, &why);
        if (status == VB_OK) status = frame_read(&out->item[i], path, root, &why);
        if (status == VB_E_IO) status = VB_E_FORMAT; /* a recorded refusal */
        if (status < 0) return vb_parity_fail(err, status, "%s: case %zu: %.400s", path, i, why.text);
    }
    return VB_OK;
}

vb_status vb_answers_read(vb_answers *out, const char *path, vb_err *err)
{
    json_error_t where;
    memset(out, 0, sizeof *out);
    json_t *root = json_load_file(path, JSON_ALLOW_NUL, &where);
    if (!root) {
        int unread = json_error_code(&where) == json_error_cannot_open_file;
        return vb_parity_fail(err, unread ? VB_E_NOT_FOUND : VB_E_FORMAT, "%s: line %d: %s", path, where.line, where.text);
    }
    vb_status status = cases_read(out, path, root, err);
    json_decref(root);
    if (status < 0) vb_answers_free(out);
    return status;
}
