/* form.h - the form that an answer is held to: a grammar, a JSON schema, any JSON object, or none. */
#ifndef VB_SERVE_FORM_H
#define VB_SERVE_FORM_H
#include "serve/request.h"

typedef struct {
    const char *gbnf;
    const json_t *schema; /* a JSON schema */
    int json;             /* 1: any JSON object */
    vb_request *request;  /* what a schema asks for and is not held is told there; NULL: nowhere */
} vb_form; /* all zero: any text */

/* *out is NULL if any text will do. 0: *fault says what is wrong with the form. */
int vb_form_open(vb_grammar **out, const vb_model *model, const vb_form *form, vb_fault *fault);
/* {"token": number, ...}, or NULL, as a list in the order of the object; to be freed in either case. */
int vb_biases_read(vb_bias **out, int *n, const json_t *biases, int vocab, vb_fault *fault);

#endif
