/* go_eval.c - pipelines, commands, operands and fields.
 *
 * The value of a command becomes the last operand of the next one. Whoever is not a function takes none.
 */
#include "text/go_eval.h"

#include <string.h>

int vb_g_truth(const vb_jval *v)
{
    switch (v->type) {
    case VB_J_NONE: return 0;
    case VB_J_LIST: return vb_g_count(v) > 0;
    case VB_J_DICT: return vb_g_is_struct(v) || vb_g_count(v) > 0;
    default: return vb_j_truth(v);
    }
}

/* --- variables ----------------------------------------------------------------------------------------- */

vb_status vb_g_push(vb_go *g, const char *s, size_t len, const vb_jval *value)
{
    VB_TRY(vb_j_step(g->j, 1));
    if (g->n_vars == g->cap_vars) {
        size_t cap = g->cap_vars < 16 ? 16 : g->cap_vars * 2;
        vb_gvar *vars = vb_j_alloc(g->j, cap, sizeof *vars);
        if (vars == NULL) return VB_E_MEMORY;
        if (g->n_vars > 0) memcpy(vars, g->vars, g->n_vars * sizeof *vars);
        g->vars = vars;
        g->cap_vars = cap;
    }
    g->vars[g->n_vars++] = (vb_gvar){s, len, *value};
    return VB_OK;
}

static vb_status find(vb_go *g, const vb_gnode *node, vb_jval **out)
{
    for (size_t i = g->n_vars; i > g->base; i--) {
        vb_gvar *var = &g->vars[i - 1];
        if (var->len != node->len || memcmp(var->s, node->s, node->len) != 0) continue;
        *out = &var->value;
        return vb_j_step(g->j, 1 + (g->n_vars - i) / 8);
    }
    int len = (int)(node->len > 60 ? 60 : node->len);
    VB_J_BAD(g->j, "expected a variable that has been set, found '%.*s'", len, node->s);
}

vb_status vb_g_assign(vb_go *g, const vb_gnode *variable, const vb_jval *value)
{
    vb_jval *to;
    VB_TRY(find(g, variable, &to));
    *to = *value;
    return VB_OK;
}

/* --- fields -------------------------------------------------------------------------------------------- */

/* v.a.b.c. Of nothing all fields are nothing, but not of an entry of a map that is nothing. */
static vb_status walk_fields(vb_go *g, const vb_jval *v, const vb_gnode *names, vb_jval *out)
{
    *out = *v;
    for (const vb_gnode *n = names; n != NULL; n = n->next) {
        vb_jval from = *out;
        int found, len = (int)(n->len > 60 ? 60 : n->len);
        *out = vb_j_none;
        g->j->at = n->at;
        if (from.type == VB_J_NONE && n == names) return VB_OK;
        if (from.type == VB_J_NONE) VB_J_BAD(g->j, "expected something that has a field %.*s, found nil", len, n->s);
        VB_TRY(vb_g_field(g, &from, n->s, n->len, out, &found));
        if (!found)
            VB_J_BAD(g->j, "expected something that has a field %.*s, found %s", len, n->s, vb_g_type_name(&from));
    }
    return VB_OK;
}

/* --- operands ------------------------------------------------------------------------------------------ */

static vb_status call(vb_go *g, const vb_gnode *node, const vb_jval *dot, const vb_gnode *operands, const vb_jval *last,
                      vb_jval *out);

static vb_status evaluate(vb_go *g, const vb_gnode *node, const vb_jval *dot, vb_jval *out)
{
    vb_jval base, *var;
    g->j->at = node->at;
    switch (node->kind) {
    case VB_G_N_DOT: *out = *dot; return VB_OK;
    case VB_G_N_NIL: *out = vb_j_none; return VB_OK;
    case VB_G_N_CONST: *out = node->value; return VB_OK;
    case VB_G_N_FIELD: return walk_fields(g, dot, node->a, out);
    case VB_G_N_PIPE: return vb_g_eval(g, node, dot, out);
    case VB_G_N_CALL: return call(g, node, dot, NULL, NULL, out);
    case VB_G_N_VARIABLE:
        VB_TRY(find(g, node, &var));
        base = *var;
        return walk_fields(g, &base, node->a, out);
    default:
        VB_TRY(evaluate(g, node->b, dot, &base));
        return walk_fields(g, &base, node->a, out);
    }
}

static vb_status operand(vb_go *g, const vb_gnode *node, const vb_jval *dot, vb_jval *out)
{
    VB_TRY(vb_j_enter(g->j));
    vb_status status = evaluate(g, node, dot, out);
    g->j->depth--;
    return status;
}

/* --- calls --------------------------------------------------------------------------------------------- */

/* `and` and `or`: the first value that settles it, or the last one. */
static vb_status call_short(vb_go *g, const vb_gnode *node, const vb_jval *dot, const vb_gnode *operands,
                            const vb_jval *last, vb_jval *out)
{
    for (const vb_gnode *n = operands; n != NULL; n = n->next) {
        VB_TRY(operand(g, n, dot, out));
        if (vb_g_truth(out) == node->func->stops) return VB_OK;
    }
    if (last != NULL) *out = *last;
    return VB_OK;
}

static vb_status call(vb_go *g, const vb_gnode *node, const vb_jval *dot, const vb_gnode *operands, const vb_jval *last,
                      vb_jval *out)
{
    const vb_gfunc *f = node->func;
    size_t n = last != NULL, i = 0;
    for (const vb_gnode *o = operands; o != NULL; o = o->next) n++;
    g->j->at = node->at;
    if (n < (size_t)f->least || (f->most >= 0 && n > (size_t)f->most))
        VB_J_BAD(g->j, "expected %s%d operands for %s, found %zu", f->most == f->least ? "" : "another number than ",
                 f->most == f->least ? f->least : (int)n, f->name, n);
    if (f->call == NULL) return call_short(g, node, dot, operands, last, out);
    vb_jval *args = vb_j_alloc(g->j, n + 1, sizeof *args);
    if (args == NULL) return VB_E_MEMORY;
    for (const vb_gnode *o = operands; o != NULL; o = o->next) VB_TRY(operand(g, o, dot, &args[i++]));
    if (last != NULL) args[i++] = *last;
    g->j->at = node->at;
    return f->call(g, args, n, out);
}

static vb_status command(vb_go *g, const vb_gnode *c, const vb_jval *dot, const vb_jval *last, vb_jval *out)
{
    const vb_gnode *first = c->a;
    if (first->kind == VB_G_N_CALL) return call(g, first, dot, first->next, last, out);
    g->j->at = first->at;
    if (first->kind == VB_G_N_NIL) VB_J_BAD(g->j, "expected a value or a call, found nil");
    if (first->next != NULL || last != NULL) VB_J_BAD(g->j, "expected a function before operands, found a value");
    return operand(g, first, dot, out);
}

vb_status vb_g_eval(vb_go *g, const vb_gnode *pipe, const vb_jval *dot, vb_jval *out)
{
    vb_jval value, *last = NULL;
    VB_TRY(vb_j_enter(g->j));
    for (const vb_gnode *c = pipe->a; c != NULL; c = c->next) {
        vb_jval next;
        VB_TRY(command(g, c, dot, last, &next));
        value = next;
        last = &value;
    }
    g->j->depth--;
    *out = value;
    for (const vb_gnode *v = pipe->b; v != NULL; v = v->next)
        VB_TRY(pipe->flag ? vb_g_assign(g, v, out) : vb_g_push(g, v->s, v->len, out));
    return VB_OK;
}
