/* openai_ask.c - the fields that OpenAI's routes share. What is not said is as Ollama has it behind these routes:
 * temperature 1, top_p 1, top_k 40. */
#include "serve/openai.h"

#include "serve/record.h"

#include <string.h>

/* stop: a text or a list of texts. */
static void read_stops(vb_ask *ask, vb_request *r)
{
    json_t *stop = vb_request_any(r, "stop"), *one;
    size_t i;
    if (json_is_string(stop)) ask->stops[ask->n_stops++] = json_string_value(stop);
    else if (stop != NULL && !json_is_array(stop)) vb_request_mistyped(r, "stop", stop, "[]string");
    json_array_foreach(stop, i, one) {
        if (!json_is_string(one)) vb_request_mistyped(r, "stop", one, "string");
        else if (ask->n_stops == VB_STOPS_MOST) vb_fault_set(&r->fault, 400, "stop: at most %d texts", VB_STOPS_MOST);
        else if (json_string_length(one) > 0) ask->stops[ask->n_stops++] = json_string_value(one);
    }
    if (ask->n_stops == 1 && ask->stops[0][0] == '\0') ask->n_stops = 0;
}

static float number(vb_request *r, const char *key, double otherwise, double min, double max)
{
    return (float)vb_request_number(r, key, otherwise, min, max);
}

void vb_openai_ask(vb_ask *ask, vb_request *r)
{
    vb_sampling *s = &ask->sampling;
    ask->model = vb_request_string(r, "model", NULL);
    s->temperature = number(r, "temperature", 1, 0, 100);
    s->top_p = number(r, "top_p", 1, 0, 1);
    s->min_p = number(r, "min_p", 0, 0, 1);
    s->typical = number(r, "typical_p", 1, 0, 1);
    s->top_k = (int)vb_request_int(r, "top_k", 40, 0, INT32_MAX);
    s->presence = number(r, "presence_penalty", 0, -100, 100);
    s->frequency = number(r, "frequency_penalty", 0, -100, 100);
    s->repeat = number(r, "repeat_penalty", 1, 0.01, 100);
    s->repeat_last = (int)vb_request_int(r, "repeat_last_n", 64, -1, INT32_MAX);
    json_t *seed = vb_request_any(r, "seed");
    if (seed != NULL && !json_is_integer(seed)) vb_request_mistyped(r, "seed", seed, "int");
    s->seed = seed != NULL ? (uint64_t)json_integer_value(seed) : vb_turn_seed();
    ask->choices = (int)vb_request_int(r, "n", 1, 1, VB_CHOICES_MOST);
    ask->top = -1;
    ask->form.request = r;
    ask->form.gbnf = vb_request_string(r, "grammar", NULL);
    ask->biases = vb_request_any(r, "logit_bias");
    ask->keep_ns = vb_request_keep(r, "keep_alive");
    ask->digest = vb_record_asked(r);
    read_stops(ask, r);
}

void vb_openai_limit(vb_ask *ask, vb_request *r, const char *const *keys)
{
    int64_t most = -1;
    for (; *keys != NULL; keys++) {
        int64_t n = vb_request_int(r, *keys, -1, -1, INT32_MAX);
        if (most < 0) most = n;
    }
    ask->max_tokens = most < 0 ? 0 : most == 0 ? -1 : (int)most;
}

/* {"type": "text"}, {"type": "json_object"}, or {"type": "json_schema"} with the schema: in chats within "json_schema". */
void vb_openai_format(vb_ask *ask, vb_request *r, const json_t *format, const char *key)
{
    const char *type = json_string_value(json_object_get(format, "type"));
    const json_t *within = json_object_get(format, "json_schema");
    const json_t *schema = json_object_get(within != NULL ? within : format, "schema");
    if (format == NULL || (type != NULL && strcmp(type, "text") == 0)) return;
    if (type == NULL) vb_request_mistyped(r, key, format, "*openai.ResponseFormat");
    else if (strcmp(type, "json_object") == 0 && schema == NULL) ask->form.json = 1;
    else if (strcmp(type, "json_schema") != 0 && strcmp(type, "json_object") != 0)
        vb_fault_set(&r->fault, 400, "%s: expected type text, json_object or json_schema, found \"%.100s\"", key, type);
    else if (!json_is_object(schema) && !json_is_boolean(schema)) vb_fault_set(&r->fault, 400, "%s: expected a schema", key);
    else ask->form.schema = schema;
}
