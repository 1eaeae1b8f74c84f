/* number.h - numbers between bounds, as expressions over their digits. */
#ifndef VB_GRAMMAR_NUMBER_H
#define VB_GRAMMAR_NUMBER_H
#include "grammar/json.h"

typedef struct {
    double least, most;       /* infinite: none */
    int above, below;         /* 1: the bound itself is left out */
} vb_bounds;

/* VB_E_UNSUPPORTED: a bound that no number of up to 18 digits in front of the point can keep. */
vb_status vb_number_between(int *out, vb_jg_rules *j, const vb_bounds *b, int integer, vb_err *err);

#endif
