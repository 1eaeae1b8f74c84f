/* openai_input.c - texts and token ids, one or several of them. */
#include "serve/openai.h"

#include <stdlib.h>
#include <string.h>

json_t *vb_openai_inputs(vb_request *r, const char *key, size_t most)
{
    json_t *input = vb_request_any(r, key);
    size_t n = json_array_size(input);
    if (json_is_string(input) || (n > 0 && json_is_integer(json_array_get(input, 0)))) return json_pack("[O]", input);
    if (n > most) vb_fault_set(&r->fault, 400, "%s: expected at most %zu texts, found %zu", key, most, n);
    else if (n == 0) vb_fault_set(&r->fault, 400, "%s: expected a text or a list that is not empty", key);
    else return json_incref(input);
    return NULL;
}

static int too_long(vb_request *r, int64_t n, int room)
{
    vb_fault_set(&r->fault, 400, "the input length exceeds the context length: at least %lld tokens of %d", (long long)n, room);
    return 0;
}

static int read_ids(vb_openai_input *out, vb_request *r, const json_t *list, int vocab)
{
    size_t i;
    json_t *id;
    out->ids = malloc((json_array_size(list) + 1) * sizeof *out->ids);
    if (out->ids == NULL) {
        vb_fault_set(&r->fault, 500, "out of memory");
        return 0;
    }
    json_array_foreach(list, i, id) {
        json_int_t n = json_integer_value(id);
        if (!json_is_integer(id)) vb_request_mistyped(r, "prompt", id, "int");
        else if (n < 0 || n >= vocab) vb_fault_set(&r->fault, 400, "token %lld is not one of the model's %d", (long long)n, vocab);
        else out->ids[i] = (vb_token)n;
    }
    return (int)i;
}

void vb_openai_input_read(vb_openai_input *out, vb_request *r, const json_t *value, const vb_host *host, int flags, int room)
{
    out->text = json_string_value(value);
    if (json_is_array(value)) {
        size_t n = json_array_size(value);
        out->n = n > (size_t)room ? too_long(r, (int64_t)n, room) : read_ids(out, r, value, host->info.vocab);
    } else if (out->text != NULL && vb_turn_too_long(host, strlen(out->text), room)) {
        too_long(r, (int64_t)room + 1, room);
    } else if (out->text != NULL) {
        int64_t n = vb_turn_tokenize(host, out->text, flags | VB_STOP_WHEN_FULL, &out->ids, &r->fault);
        out->n = n > room ? too_long(r, n, room) : (int)n;
    } else {
        vb_request_mistyped(r, "prompt", value, "string");
    }
    if (out->n <= 0) vb_fault_set(&r->fault, 400, "the prompt has no tokens");
}
