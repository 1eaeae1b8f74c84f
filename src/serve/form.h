/* form.h - the form that an answer is held to: a grammar, or none. */
#ifndef VB_SERVE_FORM_H
#define VB_SERVE_FORM_H
#include "serve/request.h"

typedef struct {
    const char *gbnf; /* NULL: any text */
} vb_form;

/* *out is NULL if any text will do. 0: *fault says what is wrong with the form. */
int vb_form_open(vb_grammar **out, const vb_model *model, const vb_form *form, vb_fault *fault);

#endif
