/* jinja_exec.c - statements print into j->out and set variables of j->scope.
 *
 * A break or continue travels as j->flow: every row of statements stops while it is set, the loop takes it back.
 */
#include "text/jinja_eval.h"

#include <string.h>

enum { FLOW_NONE, FLOW_BREAK, FLOW_CONTINUE };

vb_status vb_j_scope_new(vb_jinja *j, vb_jscope *parent, vb_jscope **out)
{
    *out = vb_j_alloc(j, 1, sizeof **out);
    if (*out == NULL) return VB_E_MEMORY;
    (*out)->parent = parent;
    return VB_OK;
}

vb_status vb_j_set(vb_jinja *j, vb_jscope *scope, const char *name, size_t len, const vb_jval *value)
{
    VB_TRY(vb_j_step(j, 1 + scope->n / 32));
    for (size_t i = 0; i < scope->n; i++) {
        if (scope->vars[i].len != len || memcmp(scope->vars[i].s, name, len) != 0) continue;
        scope->vars[i].value = *value;
        return VB_OK;
    }
    if (scope->n == scope->cap) {
        size_t cap = scope->cap < 4 ? 4 : scope->cap * 2;
        vb_jvar *vars = vb_j_alloc(j, cap, sizeof *vars);
        if (vars == NULL) return VB_E_MEMORY;
        if (scope->n > 0) memcpy(vars, scope->vars, scope->n * sizeof *vars);
        scope->vars = vars;
        scope->cap = cap;
    }
    scope->vars[scope->n++] = (vb_jvar){name, len, *value};
    return VB_OK;
}

vb_status vb_j_capture(vb_jinja *j, const vb_jnode *row, vb_jscope *scope, vb_jval *out)
{
    vb_jbuf buf = {0}, *outer_out = j->out;
    vb_jscope *outer_scope = j->scope;
    j->out = &buf;
    j->scope = scope;
    vb_status status = vb_j_exec(j, row);
    j->out = outer_out;
    j->scope = outer_scope;
    *out = vb_j_done(&buf);
    return status;
}

/* --- assignments --------------------------------------------------------------------------------------- */

static vb_status assign(vb_jinja *j, vb_jscope *scope, const vb_jnode *target, const vb_jval *value);

static vb_status unpack(vb_jinja *j, vb_jscope *scope, const vb_jnode *target, const vb_jval *value)
{
    vb_jval list;
    size_t want = 0, i = 0;
    VB_TRY(vb_j_items(j, value, &list));
    for (const vb_jnode *n = target->a; n != NULL; n = n->next) want++;
    if (want != list.u.list->n) VB_J_BAD(j, "expected %zu values for these names, found %zu", want, list.u.list->n);
    for (const vb_jnode *n = target->a; n != NULL; n = n->next, i++)
        VB_TRY(assign(j, scope, n, &list.u.list->items[i]));
    return VB_OK;
}

static vb_status assign_field(vb_jinja *j, const vb_jnode *target, const vb_jval *value)
{
    vb_jval space, key = {.type = VB_J_STR, .len = target->len, .u.s = target->s};
    VB_TRY(vb_j_eval(j, target->a, &space));
    j->at = target->at;
    if (space.type == VB_J_UNDEF) return vb_j_undefined(j, &space);
    if (space.type != VB_J_SPACE)
        VB_J_BAD(j, "expected a namespace before the dot, found a %s", vb_j_type_name(&space));
    return vb_j_dict_set(j, space.u.dict, &key, value);
}

static vb_status assign(vb_jinja *j, vb_jscope *scope, const vb_jnode *target, const vb_jval *value)
{
    j->at = target->at;
    if (target->kind == VB_J_N_NAME) return vb_j_set(j, scope, target->s, target->len, value);
    if (target->kind == VB_J_N_FIELD) return assign_field(j, target, value);
    VB_TRY(vb_j_enter(j));
    vb_status status = unpack(j, scope, target, value);
    j->depth--;
    return status;
}

static vb_status exec_set(vb_jinja *j, const vb_jnode *node)
{
    vb_jval value;
    VB_TRY(vb_j_eval(j, node->b, &value));
    return assign(j, j->scope, node->a, &value);
}

/* Captured text through the filters of a filter or set block. */
static vb_status filtered(vb_jinja *j, const vb_jnode *filters, vb_jval *value)
{
    vb_jval outer = j->filter_input;
    j->filter_input = *value;
    vb_status status = vb_j_eval(j, filters, value);
    j->filter_input = outer;
    return status;
}

static vb_status exec_set_block(vb_jinja *j, const vb_jnode *node)
{
    vb_jval value;
    vb_jscope *scope;
    VB_TRY(vb_j_scope_new(j, j->scope, &scope));
    VB_TRY(vb_j_capture(j, node->c, scope, &value));
    if (node->b != NULL) VB_TRY(filtered(j, node->b, &value));
    return assign(j, j->scope, node->a, &value);
}

/* --- printing ------------------------------------------------------------------------------------------ */

static vb_status print_value(vb_jinja *j, const vb_jval *value)
{
    vb_jval text;
    VB_TRY(vb_j_str(j, value, &text));
    return vb_j_add_str(j, j->out, &text);
}

static vb_status exec_print(vb_jinja *j, const vb_jnode *node)
{
    for (const vb_jnode *n = node->a; n != NULL; n = n->next) {
        vb_jval value;
        VB_TRY(vb_j_eval(j, n, &value));
        j->at = n->at;
        VB_TRY(print_value(j, &value));
    }
    return VB_OK;
}

static vb_status exec_filter_block(vb_jinja *j, const vb_jnode *node)
{
    vb_jval value;
    vb_jscope *scope;
    VB_TRY(vb_j_scope_new(j, j->scope, &scope));
    VB_TRY(vb_j_capture(j, node->c, scope, &value));
    VB_TRY(filtered(j, node->a, &value));
    return print_value(j, &value);
}

/* --- scopes and macros --------------------------------------------------------------------------------- */

static vb_status exec_in(vb_jinja *j, const vb_jnode *row, vb_jscope *scope)
{
    vb_jscope *outer = j->scope;
    j->scope = scope;
    vb_status status = vb_j_exec(j, row);
    j->scope = outer;
    return status;
}

/* Values of `with` are seen from outside: `with a = 1, b = a` does not see the new a. */
static vb_status exec_with(vb_jinja *j, const vb_jnode *node)
{
    vb_jscope *scope;
    VB_TRY(vb_j_scope_new(j, j->scope, &scope));
    for (const vb_jnode *n = node->a; n != NULL; n = n->next) {
        vb_jval value;
        VB_TRY(vb_j_eval(j, n->b, &value));
        VB_TRY(assign(j, scope, n->a, &value));
    }
    return exec_in(j, node->c, scope);
}

static vb_status macro_value(vb_jinja *j, const vb_jnode *node, vb_jval *out)
{
    vb_jmacro *macro = vb_j_alloc(j, 1, sizeof *macro);
    if (macro == NULL) return VB_E_MEMORY;
    macro->node = node;
    macro->scope = j->scope;
    *out = (vb_jval){.type = VB_J_MACRO, .u.macro = macro};
    return VB_OK;
}

static vb_status exec_macro(vb_jinja *j, const vb_jnode *node)
{
    vb_jval macro;
    VB_TRY(macro_value(j, node, &macro));
    return vb_j_set(j, j->scope, node->s, node->len, &macro);
}

/* The body becomes a macro that the called one gets as its argument `caller`. */
static vb_status exec_call_block(vb_jinja *j, const vb_jnode *node)
{
    vb_jval callee, body, result, name = vb_j_text("caller");
    vb_jargs args = {0};
    VB_TRY(macro_value(j, node->b, &body));
    VB_TRY(vb_j_eval(j, node->a->a, &callee));
    VB_TRY(vb_j_eval_args(j, node->a->b, &args));
    VB_TRY(vb_j_dict_set(j, &args.named, &name, &body));
    j->at = node->a->at;
    VB_TRY(vb_j_call(j, &callee, &args, &result));
    return print_value(j, &result);
}

/* --- loops --------------------------------------------------------------------------------------------- */

/* The items for which the loop's `if` is true. It sees the loop's names, not `loop` itself. */
static vb_status select_items(vb_jinja *j, const vb_jnode *node, vb_jval *list)
{
    vb_jval all = *list, test;
    vb_jscope *outer = j->scope, *scope;
    vb_status status = VB_OK;
    VB_TRY(vb_j_scope_new(j, outer, &scope));
    VB_TRY(vb_j_list_new(j, VB_J_LIST, 0, list));
    j->scope = scope;
    for (size_t i = 0; i < all.u.list->n; i++) {
        scope->n = 0;
        VB_TRY_OUT(status, assign(j, scope, node->a, &all.u.list->items[i]));
        VB_TRY_OUT(status, vb_j_eval(j, node->e, &test));
        if (vb_j_truth(&test)) VB_TRY_OUT(status, vb_j_list_add(j, list, &all.u.list->items[i]));
    }
out:
    j->scope = outer;
    return status;
}

static vb_status run_loop(vb_jinja *j, vb_jloop *loop)
{
    const vb_jnode *node = loop->node;
    vb_jval self = {.type = VB_J_LOOP, .u.loop = loop};
    vb_jscope *scope;
    VB_TRY(vb_j_scope_new(j, loop->outside, &scope));
    for (loop->index = 0; loop->index < loop->items->n; loop->index++) {
        scope->n = 0;
        VB_TRY(vb_j_step(j, 1));
        VB_TRY(vb_j_set(j, scope, "loop", 4, &self));
        VB_TRY(assign(j, scope, node->a, &loop->items->items[loop->index]));
        VB_TRY(exec_in(j, node->c, scope));
        int flow = j->flow;
        j->flow = FLOW_NONE;
        if (flow == FLOW_BREAK) return VB_OK;
    }
    if (loop->items->n > 0 || node->d == NULL) return VB_OK;
    return exec_in(j, node->d, scope);
}

static vb_status loop_over(vb_jinja *j, const vb_jnode *node, vb_jscope *outside, const vb_jval *what, int depth)
{
    vb_jval list;
    VB_TRY(vb_j_items(j, what, &list));
    if (node->e != NULL) VB_TRY(select_items(j, node, &list));
    vb_jloop *loop = vb_j_alloc(j, 1, sizeof *loop);
    if (loop == NULL) return VB_E_MEMORY;
    loop->node = node;
    loop->outside = outside;
    loop->items = list.u.list;
    loop->depth = depth;
    return run_loop(j, loop);
}

static vb_status exec_for(vb_jinja *j, const vb_jnode *node)
{
    vb_jval what;
    VB_TRY(vb_j_eval(j, node->b, &what));
    j->at = node->b->at;
    return loop_over(j, node, j->scope, &what, 0);
}

vb_status vb_j_loop_call(vb_jinja *j, vb_jloop *loop, const vb_jargs *args, vb_jval *out)
{
    if (!loop->node->op) VB_J_BAD(j, "expected a loop marked `recursive`, found one that is not");
    if (args->pos.n != 1 || args->named.n > 0) VB_J_BAD(j, "expected one argument for loop(), found another number");
    vb_jbuf buf = {0}, *outer_out = j->out;
    vb_jscope *outer_scope = j->scope;
    VB_TRY(vb_j_enter(j));
    j->out = &buf;
    j->scope = loop->outside;
    vb_status status = loop_over(j, loop->node, loop->outside, &args->pos.items[0], loop->depth + 1);
    j->out = outer_out;
    j->scope = outer_scope;
    j->depth--;
    *out = vb_j_done(&buf);
    return status;
}

/* --- rows ---------------------------------------------------------------------------------------------- */

static vb_status exec_if(vb_jinja *j, const vb_jnode *node)
{
    for (;;) {
        vb_jval test;
        VB_TRY(vb_j_eval(j, node->a, &test));
        if (vb_j_truth(&test)) return vb_j_exec(j, node->b);
        if (!node->op) return vb_j_exec(j, node->c);
        node = node->c;
    }
}

static vb_status exec_kind(vb_jinja *j, const vb_jnode *node)
{
    vb_jscope *scope;
    switch (node->kind) {
    case VB_J_N_TEXT: return vb_j_add_str(j, j->out, &node->value);
    case VB_J_N_PRINT: return exec_print(j, node);
    case VB_J_N_IF: return exec_if(j, node);
    case VB_J_N_FOR: return exec_for(j, node);
    case VB_J_N_SET: return exec_set(j, node);
    case VB_J_N_SET_BLOCK: return exec_set_block(j, node);
    case VB_J_N_MACRO: return exec_macro(j, node);
    case VB_J_N_CALL_BLOCK: return exec_call_block(j, node);
    case VB_J_N_FILTER_BLOCK: return exec_filter_block(j, node);
    case VB_J_N_WITH: return exec_with(j, node);
    case VB_J_N_SCOPE:
        VB_TRY(vb_j_scope_new(j, j->scope, &scope));
        return exec_in(j, node->c, scope);
    default: j->flow = node->kind == VB_J_N_BREAK ? FLOW_BREAK : FLOW_CONTINUE; return VB_OK;
    }
}

vb_status vb_j_exec(vb_jinja *j, const vb_jnode *row)
{
    for (; row != NULL && j->flow == FLOW_NONE; row = row->next) {
        j->at = row->at;
        VB_TRY(vb_j_enter(j));
        vb_status status = exec_kind(j, row);
        j->depth--;
        VB_TRY(status);
    }
    return VB_OK;
}
