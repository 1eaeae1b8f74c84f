/* ops.c - base/ops.def as lookups. */
#include "plan/plan.h"

static const struct {
    const char *name;
    int inputs;
} ops[VB_OPS] = {
#define VB_OP(ID, text, inputs, meaning) {text, inputs},
#include "base/ops.def"
};

const char *vb_op_name(vb_op op)
{
    return ops[op].name;
}

int vb_op_inputs(vb_op op)
{
    return ops[op].inputs;
}
