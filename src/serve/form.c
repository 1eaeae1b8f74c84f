/* form.c - from what a client says about its answer's form to a grammar. */
#include "serve/form.h"

#include <string.h>

int vb_form_open(vb_grammar **out, const vb_model *model, const vb_form *form, vb_fault *fault)
{
    vb_err err = {0};
    *out = NULL;
    if (form->gbnf == NULL) return 1;
    if (vb_grammar_open_gbnf(out, model, form->gbnf, strlen(form->gbnf), &err) == VB_OK) return 1;
    vb_fault_set(fault, err.code == VB_E_MEMORY ? 500 : 400, "%s", err.text);
    return 0;
}
