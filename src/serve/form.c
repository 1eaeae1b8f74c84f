/* form.c - from what a client says about its answer's form to a grammar, and to biases. */
#include "serve/form.h"

#include <stdlib.h>
#include <string.h>

enum { BIASES_MOST = 1024 };

static vb_status open_schema(vb_grammar **out, const vb_model *model, const json_t *schema, vb_err *err)
{
    char *text = json_dumps(schema, JSON_COMPACT | JSON_ENCODE_ANY);
    vb_status s = text != NULL ? vb_grammar_open_schema(out, model, text, strlen(text), err) : VB_E_MEMORY;
    free(text);
    return s;
}

static void tell_unheld(const vb_grammar *grammar, vb_request *r)
{
    const char *keyword;
    char name[120];
    for (int i = 0; r != NULL && (keyword = vb_grammar_unheld(grammar, i)) != NULL; i++) {
        snprintf(name, sizeof name, "schema: %.100s", keyword);
        vb_request_ignore(r, name);
    }
}

int vb_form_open(vb_grammar **out, const vb_model *model, const vb_form *form, vb_fault *fault)
{
    vb_err err = {0};
    vb_status s = VB_OK;
    *out = NULL;
    if (form->gbnf != NULL) s = vb_grammar_open_gbnf(out, model, form->gbnf, strlen(form->gbnf), &err);
    else if (form->schema != NULL) s = open_schema(out, model, form->schema, &err);
    else if (form->json) s = vb_grammar_open_json(out, model, &err);
    if (s < 0) vb_fault_set(fault, s == VB_E_MEMORY ? 500 : 400, "%s", err.text[0] != '\0' ? err.text : "out of memory");
    else if (*out != NULL) tell_unheld(*out, form->request);
    return s == VB_OK;
}

/* A token's number as it is usually written, so that no two keys are the same token. */
static int token_of(const char *text, int vocab)
{
    char again[24];
    long id = strtol(text, NULL, 10);
    snprintf(again, sizeof again, "%ld", id);
    return strcmp(text, again) == 0 && id >= 0 && id < vocab ? (int)id : -1;
}

int vb_biases_read(vb_bias **out, int *n, const json_t *biases, int vocab, vb_fault *fault)
{
    const char *key;
    json_t *value;
    *n = 0;
    *out = calloc(json_object_size(biases) + 1, sizeof **out);
    if (*out == NULL) vb_fault_set(fault, 500, "out of memory");
    else if (biases != NULL && !json_is_object(biases)) vb_fault_set(fault, 400, "logit_bias: expected an object");
    else if (json_object_size(biases) > BIASES_MOST) vb_fault_set(fault, 400, "logit_bias: at most %d tokens", BIASES_MOST);
    if (fault->status != 0) return 0;
    json_object_foreach((json_t *)biases, key, value) {
        vb_bias b = {token_of(key, vocab), (float)json_number_value(value)};
        if (b.id < 0) vb_fault_set(fault, 400, "logit_bias: \"%.40s\" is not one of the model's %d tokens", key, vocab);
        else if (!json_is_number(value) || !(b.add >= -100.0f && b.add <= 100.0f))
            vb_fault_set(fault, 400, "logit_bias: expected numbers between -100 and 100");
        else (*out)[(*n)++] = b;
    }
    return fault->status == 0;
}
