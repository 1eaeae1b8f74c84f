/* ollama_wire.c - Ollama's requests and replies, the same whether they were recorded or came just now.
 *
 *   /api/generate {prompt, raw: true}    a raw prompt
 *   /api/generate {prompt, system}       one user message through the chat template
 *   /api/chat     {messages}             messages through the chat template
 *
 * A reply is one object or a stream of them, a line each; text and tokens add up, the last one says "done". What a
 * request leaves out has Ollama's default, so that vb_answer.sampling says how it really sampled.
 */
#include "parity/wire.h"

#include <stdlib.h>
#include <string.h>

#define TRY(call)                                    \
    do {                                             \
        vb_status try_status = (call);               \
        if (try_status < 0) return try_status;       \
    } while (0)

static const vb_sampling ollama_default = {.temperature = 0.8f, .top_p = 0.9f, .typical = 1, .repeat = 1, .top_k = 40,
                                           .repeat_last = 64};

static const struct {
    const char *name;
    size_t at;
} real_options[] = {
    {"temperature", offsetof(vb_sampling, temperature)}, {"top_p", offsetof(vb_sampling, top_p)},
    {"min_p", offsetof(vb_sampling, min_p)},             {"typical_p", offsetof(vb_sampling, typical)},
    {"repeat_penalty", offsetof(vb_sampling, repeat)},   {"presence_penalty", offsetof(vb_sampling, presence)},
    {"frequency_penalty", offsetof(vb_sampling, frequency)},
};
/* Whole numbers and what is meant for speed and memory. */
static const char *const other_options[] = {"top_k", "repeat_last_n", "seed", "num_predict", "num_ctx", "stop",
                                            "num_keep", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread",
                                            "draft_num_predict"};

static int is_known(const char *name)
{
    for (size_t i = 0; i < sizeof real_options / sizeof real_options[0]; i++)
        if (strcmp(real_options[i].name, name) == 0) return 1;
    for (size_t i = 0; i < sizeof other_options / sizeof other_options[0]; i++)
        if (strcmp(other_options[i], name) == 0) return 1;
    return 0;
}

static vb_status options_read(vb_answer *a, const json_t *options, vb_err *err)
{
    int64_t top_k = a->sampling.top_k, last = a->sampling.repeat_last, seed = -1, predict = a->num_predict, ctx = 0;
    const char *name;
    json_t *value;
    for (size_t i = 0; i < sizeof real_options / sizeof real_options[0]; i++) {
        float *at = (float *)(void *)((char *)&a->sampling + real_options[i].at);
        TRY(vb_member_real(at, options, real_options[i].name, err));
    }
    TRY(vb_member_int(&top_k, options, "top_k", -1, INT32_MAX, err));
    TRY(vb_member_int(&last, options, "repeat_last_n", -1, INT32_MAX, err));
    TRY(vb_member_int(&seed, options, "seed", INT64_MIN, INT64_MAX, err));
    TRY(vb_member_int(&predict, options, "num_predict", -2, INT32_MAX, err));
    TRY(vb_member_int(&ctx, options, "num_ctx", 0, INT32_MAX, err));
    TRY(vb_member_texts(&a->stops, &a->n_stops, options, "stop", err));
    a->sampling.top_k = top_k < 0 ? 0 : (int)top_k;
    a->sampling.repeat_last = (int)last;
    if (last == 0) a->sampling.repeat = a->sampling.presence = a->sampling.frequency = 0; /* looks at no token */
    a->seeded = seed >= 0;
    a->sampling.seed = seed >= 0 ? (uint64_t)seed : 0;
    a->num_predict = predict < 0 ? -1 : (int)predict;
    a->num_ctx = (int)ctx;
    json_object_foreach((json_t *)(uintptr_t)options, name, value)
        if (!is_known(name)) TRY(vb_unknown_add(a, name, value, err));
    return VB_OK;
}

static vb_status message_add(vb_answer *a, const char *role, const char *content, vb_err *err)
{
    vb_answer_message *grown = realloc(a->messages, ((size_t)a->n_messages + 1) * sizeof *grown);
    if (!grown) return vb_parity_fail(err, VB_E_MEMORY, "answer: out of memory");
    a->messages = grown;
    vb_answer_message *m = &grown[a->n_messages++];
    memset(m, 0, sizeof *m);
    TRY(vb_text_set(&m->role, role, err));
    return vb_text_set(&m->content, content, err);
}

static vb_status messages_read(vb_answer *a, const json_t *list, vb_err *err)
{
    const json_t *m;
    size_t i;
    if (!json_is_array(list)) return vb_parity_fail(err, VB_E_FORMAT, "request: expected \"messages\", found none");
    json_array_foreach(list, i, m)
    {
        const char *role = json_string_value(json_object_get(m, "role"));
        const char *content = json_string_value(json_object_get(m, "content"));
        if (!role || !content)
            return vb_parity_fail(err, VB_E_FORMAT, "message %zu: expected \"role\" and \"content\" as texts", i);
        TRY(message_add(a, role, content, err));
    }
    return VB_OK;
}

/* Fields of a request that change the answer and that verbatim has no counterpart for. */
static vb_status others_read(vb_answer *a, const json_t *request, vb_err *err)
{
    static const char *const names[] = {"suffix", "template", "context", "format", "images", "think", "tools"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const json_t *value = json_object_get(request, names[i]);
        int empty = !value || json_is_null(value) || json_is_false(value);
        if (json_is_array(value)) empty = json_array_size(value) == 0;
        if (json_is_string(value)) empty = json_string_length(value) == 0;
        if (!empty) TRY(vb_unknown_add(a, names[i], value, err));
    }
    return VB_OK;
}

static vb_status question_read(vb_answer *a, const char *endpoint, const json_t *request, vb_err *err)
{
    const char *prompt = json_string_value(json_object_get(request, "prompt"));
    const char *system = json_string_value(json_object_get(request, "system"));
    a->chat = 1;
    if (strcmp(endpoint, "/api/chat") == 0) return messages_read(a, json_object_get(request, "messages"), err);
    if (strcmp(endpoint, "/api/generate") != 0)
        return vb_parity_fail(err, VB_E_FORMAT, "expected /api/generate, /api/chat or /completion, found %s", endpoint);
    if (!prompt) return vb_parity_fail(err, VB_E_FORMAT, "request: expected \"prompt\" as a text, found none");
    if (json_is_true(json_object_get(request, "raw"))) {
        a->chat = 0;
        return vb_text_set(&a->prompt, prompt, err);
    }
    if (system && *system) TRY(message_add(a, "system", system, err));
    return message_add(a, "user", prompt, err);
}

vb_status vb_ollama_request_read(vb_answer *a, const char *endpoint, const json_t *request, vb_err *err)
{
    a->sampling = ollama_default;
    TRY(vb_text_set(&a->engine, "ollama", err));
    TRY(vb_member_text(&a->model, request, "model", err));
    TRY(question_read(a, endpoint, request, err));
    TRY(options_read(a, json_object_get(request, "options"), err));
    return others_read(a, request, err);
}

static vb_done done_of(const char *reason)
{
    if (reason && strcmp(reason, "stop") == 0) return VB_DONE_STOP;
    if (reason && strcmp(reason, "length") == 0) return VB_DONE_LENGTH;
    return VB_DONE_UNKNOWN;
}

vb_status vb_ollama_reply_read(vb_answer *a, const json_t *reply, int *done, vb_err *err)
{
    const json_t *error = json_object_get(reply, "error"), *text = json_object_get(reply, "response");
    const json_t *message = json_object_get(reply, "message"), *debug = json_object_get(reply, "_debug_info");
    if (error) return vb_parity_fail(err, VB_E_IO, "it says: %s", json_is_string(error) ? json_string_value(error) : "?");
    if (!json_is_object(reply)) return vb_parity_fail(err, VB_E_FORMAT, "reply: expected an object");
    if (!text) text = json_object_get(message, "content");
    if (text && !json_is_string(text)) return vb_parity_fail(err, VB_E_FORMAT, "reply: expected a text");
    if (text) TRY(vb_answer_append(a, json_string_value(text), json_string_length(text), err));
    TRY(vb_tokens_read(a, json_object_get(reply, "logprobs"), err));
    TRY(vb_member_text(&a->rendered, debug, "rendered_template", err));
    TRY(vb_member_text(&a->done_reason, reply, "done_reason", err));
    TRY(vb_member_int(&a->prompt_tokens, reply, "prompt_eval_count", 0, INT32_MAX, err));
    TRY(vb_member_int(&a->generated, reply, "eval_count", 0, INT32_MAX, err));
    if (json_is_true(json_object_get(reply, "done"))) *done = 1;
    a->done = done_of(a->done_reason);
    return VB_OK;
}

vb_status vb_ollama_replies_read(vb_answer *a, const char *body, size_t len, vb_err *err)
{
    int done = 0;
    for (size_t at = 0; at < len && !done;) {
        json_error_t where;
        json_t *line = json_loadb(body + at, len - at, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &where);
        if (!line) return vb_parity_fail(err, VB_E_FORMAT, "byte %zu: expected JSON: %s", at + (size_t)where.position, where.text);
        vb_status status = vb_ollama_reply_read(a, line, &done, err);
        json_decref(line);
        if (status < 0) return status;
        at += (size_t)where.position;
        while (at < len && strchr(" \r\n\t", body[at])) at++;
    }
    if (!done) return vb_parity_fail(err, VB_E_FORMAT, "expected a last object with \"done\": true, found the end");
    return VB_OK;
}

/* "FROM /models/blobs/sha256-941f..." names the weights by their digest. */
static void digest_read(vb_answer *a, const char *modelfile)
{
    const char *at = modelfile ? strstr(modelfile, "\nFROM ") : NULL;
    const char *end = at ? at + 1 + strcspn(at + 1, "\n") : NULL;
    at = at ? strstr(at, "sha256") : NULL;
    if (!at || at >= end || end - at < 7 + 64) return;
    at += 7;
    if (strspn(at, "0123456789abcdefABCDEF") < 64) return;
    for (int i = 0; i < 32; i++) {
        char pair[3] = {at[2 * i], at[2 * i + 1], '\0'};
        a->sha256[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    a->has_sha256 = 1;
}

/* "stop    "<|im_end|>"" lines of the model's own parameters; they hold unless the request says otherwise. */
static vb_status parameters_read(vb_answer *a, const char *lines, vb_err *err)
{
    char text[256];
    for (const char *at = lines; at && *at; at += strcspn(at, "\n"), at += *at == '\n') {
        if (strncmp(at, "stop ", 5) != 0) continue;
        const char *from = at + 5 + strspn(at + 5, " \"");
        size_t len = strcspn(from, "\n");
        while (len > 0 && (from[len - 1] == '"' || from[len - 1] == ' ')) len--;
        if (len == 0 || len >= sizeof text) continue;
        memcpy(text, from, len);
        text[len] = '\0';
        TRY(vb_text_add(&a->stops, &a->n_stops, text, err));
    }
    return VB_OK;
}

vb_status vb_ollama_show_read(vb_answer *a, const json_t *show, vb_err *err)
{
    int own_stops = a->n_stops > 0;
    TRY(vb_member_text(&a->chat_template, show, "template", err));
    digest_read(a, json_string_value(json_object_get(show, "modelfile")));
    if (own_stops) return VB_OK;
    return parameters_read(a, json_string_value(json_object_get(show, "parameters")), err);
}
