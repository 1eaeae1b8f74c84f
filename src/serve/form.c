/* form.c - from what a client says about its answer's form to a grammar. */
#include "serve/form.h"

#include <stdlib.h>
#include <string.h>

static vb_status open_schema(vb_grammar **out, const vb_model *model, const vb_form *form, vb_err *err)
{
    const char *keyword;
    char name[120], *text = json_dumps(form->schema, JSON_COMPACT);
    vb_status s = text != NULL ? vb_grammar_open_schema(out, model, text, strlen(text), err) : VB_E_MEMORY;
    free(text);
    for (int i = 0; s == VB_OK && form->request != NULL && (keyword = vb_grammar_unheld(*out, i)) != NULL; i++) {
        snprintf(name, sizeof name, "schema: %.100s", keyword);
        vb_request_ignore(form->request, name);
    }
    return s;
}

int vb_form_open(vb_grammar **out, const vb_model *model, const vb_form *form, vb_fault *fault)
{
    vb_err err = {0};
    vb_status s = VB_OK;
    *out = NULL;
    if (form->gbnf != NULL) s = vb_grammar_open_gbnf(out, model, form->gbnf, strlen(form->gbnf), &err);
    else if (form->schema != NULL) s = open_schema(out, model, form, &err);
    else if (form->json) s = vb_grammar_open_json(out, model, &err);
    if (s < 0) vb_fault_set(fault, s == VB_E_MEMORY ? 500 : 400, "%s", err.text[0] != '\0' ? err.text : "out of memory");
    return s == VB_OK;
}
