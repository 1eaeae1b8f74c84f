/* go_exec.c - statements print into j->out and move the dot.
 *
 * A break or continue travels as j->flow: lists stop while it is set, the range takes it back. Variables live on a
 * stack that is cut back where their block ends.
 */
#include "text/go_eval.h"

#include <string.h>

enum { FLOW_NONE, FLOW_BREAK, FLOW_CONTINUE };

static vb_status print(vb_go *g, const vb_gnode *node, const vb_jval *dot)
{
    vb_jval value;
    VB_TRY(vb_g_eval(g, node->a, dot, &value));
    if (node->a->b != NULL) return VB_OK; /* it was set, not printed */
    if (value.type == VB_J_STR) return vb_j_add_str(g->j, g->j->out, &value);
    if (value.type == VB_J_NONE) return vb_j_add_text(g->j, g->j->out, "<no value>");
    return vb_g_add_value(g, g->j->out, &value);
}

static vb_status branch(vb_go *g, const vb_gnode *node, const vb_jval *dot)
{
    size_t n_vars = g->n_vars;
    vb_jval value;
    VB_TRY(vb_g_eval(g, node->a, dot, &value));
    if (vb_g_truth(&value)) VB_TRY(vb_g_exec(g, node->b, node->kind == VB_G_N_WITH ? &value : dot));
    else if (node->c != NULL) VB_TRY(vb_g_exec(g, node->c, dot));
    g->n_vars = n_vars;
    return VB_OK;
}

/* --- range --------------------------------------------------------------------------------------------- */

/* Two variables get place and item, one the item. New ones lie on top of the stack already. */
static vb_status set_vars(vb_go *g, const vb_gnode *pipe, const vb_jval *place, const vb_jval *item)
{
    const vb_gnode *first = pipe->b;
    if (first == NULL) return VB_OK;
    if (!pipe->flag) {
        g->vars[g->n_vars - 1].value = *item;
        if (first->next != NULL) g->vars[g->n_vars - 2].value = *place;
        return VB_OK;
    }
    VB_TRY(vb_g_assign(g, first, first->next != NULL ? place : item));
    return first->next != NULL ? vb_g_assign(g, first->next, item) : VB_OK;
}

static vb_status once(vb_go *g, const vb_gnode *node, const vb_jval *place, const vb_jval *item, int *stop)
{
    size_t n_vars = g->n_vars;
    VB_TRY(vb_j_step(g->j, 1));
    VB_TRY(set_vars(g, node->a, place, item));
    VB_TRY(vb_g_exec(g, node->b, item));
    g->n_vars = n_vars;
    *stop = g->j->flow == FLOW_BREAK;
    g->j->flow = FLOW_NONE;
    return VB_OK;
}

static vb_status range_numbers(vb_go *g, const vb_gnode *node, int64_t n)
{
    int stop = 0;
    if (node->a->b != NULL && node->a->b->next != NULL)
        VB_J_BAD(g->j, "expected one variable for a range over a number, found two");
    for (int64_t i = 0; i < n && !stop; i++) {
        vb_jval number = vb_j_int(i);
        VB_TRY(once(g, node, &vb_j_none, &number, &stop));
    }
    return VB_OK;
}

static vb_status range_items(vb_go *g, const vb_gnode *node, const vb_jval *v)
{
    size_t n = vb_g_count(v);
    int stop = 0;
    for (size_t i = 0; i < n && !stop; i++) {
        vb_jval place = v->type == VB_J_LIST ? vb_j_int((int64_t)i) : v->u.dict->pairs[i].key;
        vb_jval item = v->type == VB_J_LIST ? v->u.list->items[i] : v->u.dict->pairs[i].value;
        VB_TRY(once(g, node, &place, &item, &stop));
    }
    return VB_OK;
}

static vb_status range(vb_go *g, const vb_gnode *node, const vb_jval *dot)
{
    size_t n_vars = g->n_vars;
    vb_jval value;
    VB_TRY(vb_g_eval(g, node->a, dot, &value));
    g->j->at = node->at;
    int has_items = value.type == VB_J_LIST || (value.type == VB_J_DICT && !vb_g_is_struct(&value));
    if (value.type != VB_J_INT && value.type != VB_J_NONE && !has_items)
        VB_J_BAD(g->j, "expected something to go through, found %s", vb_g_type_name(&value));
    int none = value.type == VB_J_INT ? value.u.i <= 0 : vb_g_count(&value) == 0;
    if (none && node->c != NULL) VB_TRY(vb_g_exec(g, node->c, dot));
    else if (value.type == VB_J_INT) VB_TRY(range_numbers(g, node, value.u.i));
    else VB_TRY(range_items(g, node, &value));
    g->n_vars = n_vars;
    return VB_OK;
}

/* --- other templates ----------------------------------------------------------------------------------- */

static vb_status find_template(vb_go *g, const vb_jval *name, const vb_gtemplate **out)
{
    for (*out = g->all; *out != NULL; *out = (*out)->next) {
        VB_TRY(vb_j_step(g->j, 1));
        if ((*out)->name.len == name->len && memcmp((*out)->name.u.s, name->u.s, name->len) == 0) return VB_OK;
    }
    VB_J_BAD(g->j, "expected a template that has been defined, found '%.*s'", (int)(name->len > 60 ? 60 : name->len),
             name->u.s);
}

/* It sees no variable but $, which is what it was given. */
static vb_status run_template(vb_go *g, const vb_gnode *node, const vb_jval *dot)
{
    const vb_gtemplate *t;
    vb_jval given = vb_j_none;
    VB_TRY(find_template(g, &node->value, &t));
    if (node->a != NULL) VB_TRY(vb_g_eval(g, node->a, dot, &given));
    size_t base = g->base, n_vars = g->n_vars;
    g->base = g->n_vars;
    VB_TRY(vb_g_push(g, "$", 1, &given));
    VB_TRY(vb_g_exec(g, t->list, &given));
    g->base = base;
    g->n_vars = n_vars;
    return VB_OK;
}

/* --- statements ---------------------------------------------------------------------------------------- */

static vb_status exec_one(vb_go *g, const vb_gnode *node, const vb_jval *dot)
{
    g->j->at = node->at;
    switch (node->kind) {
    case VB_G_N_TEXT: return vb_j_add_str(g->j, g->j->out, &node->value);
    case VB_G_N_ACTION: return print(g, node, dot);
    case VB_G_N_IF:
    case VB_G_N_WITH: return branch(g, node, dot);
    case VB_G_N_RANGE: return range(g, node, dot);
    case VB_G_N_TEMPLATE: return run_template(g, node, dot);
    default: g->j->flow = node->kind == VB_G_N_BREAK ? FLOW_BREAK : FLOW_CONTINUE; return VB_OK;
    }
}

vb_status vb_g_exec(vb_go *g, const vb_gnode *list, const vb_jval *dot)
{
    VB_TRY(vb_j_enter(g->j));
    for (const vb_gnode *n = list->a; n != NULL && g->j->flow == FLOW_NONE; n = n->next) VB_TRY(exec_one(g, n, dot));
    g->j->depth--;
    return VB_OK;
}
