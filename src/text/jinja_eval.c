/* jinja_eval.c - the value of an expression.
 *
 * vb_j_eval enters one level per node, which bounds recursion and counts steps; j->at follows the node at work, so
 * that whatever fails below knows its line.
 */
#include "text/jinja_eval.h"

#include <string.h>

const vb_jval *vb_j_lookup(const vb_jscope *scope, const char *name, size_t len)
{
    for (; scope != NULL; scope = scope->parent)
        for (size_t i = 0; i < scope->n; i++)
            if (scope->vars[i].len == len && memcmp(scope->vars[i].s, name, len) == 0) return &scope->vars[i].value;
    return NULL;
}

static vb_status eval_name(vb_jinja *j, const vb_jnode *node, vb_jval *out)
{
    const vb_jval *found = vb_j_lookup(j->scope, node->s, node->len);
    size_t passed = 0; /* variables looked at, at most */
    for (const vb_jscope *scope = j->scope; scope != NULL; scope = scope->parent) passed += scope->n;
    VB_TRY(vb_j_step(j, passed / 32));
    if (found != NULL) {
        *out = *found;
        return VB_OK;
    }
    const vb_jfunc *func = vb_j_find(vb_j_globals, node->s, node->len);
    *out = func != NULL ? (vb_jval){.type = VB_J_FUNC, .u.func = func}
                        : vb_j_undef(node->s, node->len, VB_J_OWNER_NOBODY);
    return VB_OK;
}

static vb_status eval_list(vb_jinja *j, const vb_jnode *node, vb_jval *out)
{
    VB_TRY(vb_j_list_new(j, node->kind == VB_J_N_TUPLE ? VB_J_TUPLE : VB_J_LIST, 0, out));
    for (const vb_jnode *n = node->a; n != NULL; n = n->next) {
        vb_jval item;
        VB_TRY(vb_j_eval(j, n, &item));
        VB_TRY(vb_j_list_add(j, out, &item));
    }
    return VB_OK;
}

static vb_status eval_dict(vb_jinja *j, const vb_jnode *node, vb_jval *out)
{
    VB_TRY(vb_j_dict_new(j, VB_J_DICT, 0, out));
    for (const vb_jnode *n = node->a; n != NULL; n = n->next->next) {
        vb_jval key, value;
        VB_TRY(vb_j_eval(j, n, &key));
        VB_TRY(vb_j_eval(j, n->next, &value));
        j->at = n->at;
        VB_TRY(vb_j_dict_set(j, out->u.dict, &key, &value));
    }
    return VB_OK;
}

static vb_status add_star(vb_jinja *j, const vb_jval *value, const vb_jval *pos)
{
    vb_jval list;
    VB_TRY(vb_j_items(j, value, &list));
    for (size_t i = 0; i < list.u.list->n; i++) VB_TRY(vb_j_list_add(j, pos, &list.u.list->items[i]));
    return VB_OK;
}

static vb_status add_named(vb_jinja *j, const vb_jval *value, vb_jdict *named)
{
    if (value->type != VB_J_DICT) VB_J_BAD(j, "expected a dict behind `**`, found a %s", vb_j_type_name(value));
    for (size_t i = 0; i < value->u.dict->n; i++) {
        const vb_jpair *pair = &value->u.dict->pairs[i];
        VB_TRY(vb_j_need_str(j, &pair->key, "texts as names of arguments"));
        VB_TRY(vb_j_dict_set(j, named, &pair->key, &pair->value));
    }
    return VB_OK;
}

vb_status vb_j_eval_args(vb_jinja *j, const vb_jnode *row, vb_jargs *out)
{
    vb_jval pos = {.type = VB_J_LIST, .u.list = &out->pos};
    for (; row != NULL; row = row->next) {
        vb_jval value;
        VB_TRY(vb_j_eval(j, row->a, &value));
        j->at = row->at;
        if (row->op == '*') {
            VB_TRY(add_star(j, &value, &pos));
        } else if (row->op == 'd') {
            VB_TRY(add_named(j, &value, &out->named));
        } else if (row->s != NULL) {
            vb_jval name = {.type = VB_J_STR, .len = row->len, .u.s = row->s};
            VB_TRY(vb_j_dict_set(j, &out->named, &name, &value));
        } else {
            VB_TRY(vb_j_list_add(j, &pos, &value));
        }
    }
    return VB_OK;
}

static vb_status eval_item(vb_jinja *j, const vb_jnode *node, vb_jval *out)
{
    vb_jval object, key, part[3] = {vb_j_none, vb_j_none, vb_j_none};
    VB_TRY(vb_j_eval(j, node->a, &object));
    if (node->b->kind != VB_J_N_SLICE) {
        VB_TRY(vb_j_eval(j, node->b, &key));
        j->at = node->at;
        return vb_j_item(j, &object, &key, out);
    }
    if (node->b->a != NULL) VB_TRY(vb_j_eval(j, node->b->a, &part[0]));
    if (node->b->b != NULL) VB_TRY(vb_j_eval(j, node->b->b, &part[1]));
    if (node->b->c != NULL) VB_TRY(vb_j_eval(j, node->b->c, &part[2]));
    j->at = node->at;
    return vb_j_slice(j, &object, part, out);
}

static vb_status eval_attr(vb_jinja *j, const vb_jnode *node, vb_jval *out)
{
    vb_jval object;
    VB_TRY(vb_j_eval(j, node->a, &object));
    j->at = node->at;
    return vb_j_attr(j, &object, node->s, node->len, out);
}

static vb_status eval_call(vb_jinja *j, const vb_jnode *node, vb_jval *out)
{
    vb_jval callee;
    vb_jargs args = {0};
    VB_TRY(vb_j_eval(j, node->a, &callee));
    if (callee.type == VB_J_UNDEF) {
        j->at = node->a->at;
        return vb_j_undefined(j, &callee);
    }
    VB_TRY(vb_j_eval_args(j, node->b, &args));
    j->at = node->at;
    return vb_j_call(j, &callee, &args, out);
}

static vb_status eval_filter(vb_jinja *j, const vb_jnode *node, vb_jval *out)
{
    vb_jval self = j->filter_input;
    vb_jargs args = {0};
    if (node->a != NULL) VB_TRY(vb_j_eval(j, node->a, &self));
    VB_TRY(vb_j_eval_args(j, node->b, &args));
    j->at = node->at;
    return vb_j_filter_by_name(j, node->s, node->len, &self, &args, out);
}

static vb_status eval_test(vb_jinja *j, const vb_jnode *node, vb_jval *out)
{
    vb_jval self;
    vb_jargs args = {0};
    int truth;
    VB_TRY(vb_j_eval(j, node->a, &self));
    VB_TRY(vb_j_eval_args(j, node->b, &args));
    j->at = node->at;
    VB_TRY(vb_j_test_by_name(j, node->s, node->len, &self, &args, &truth));
    *out = vb_j_bool(truth);
    return VB_OK;
}

static vb_status eval_sign(vb_jinja *j, const vb_jnode *node, vb_jval *out)
{
    VB_TRY(vb_j_eval(j, node->a, out));
    j->at = node->at;
    if (out->type == VB_J_UNDEF) return vb_j_undefined(j, out);
    if (!vb_j_is_number(out)) VB_J_BAD(j, "expected a number behind the sign, found a %s", vb_j_type_name(out));
    int sign = node->kind == VB_J_N_NEG ? -1 : 1;
    if (out->type == VB_J_FLOAT) {
        *out = vb_j_float(sign < 0 ? -out->u.f : out->u.f);
        return VB_OK;
    }
    if (__builtin_mul_overflow(out->u.i, sign, &out->u.i))
        VB_J_BAD(j, "expected an integer of 64 bits, found a larger one");
    out->type = VB_J_INT;
    return VB_OK;
}

static vb_status eval_logic(vb_jinja *j, const vb_jnode *node, vb_jval *out)
{
    VB_TRY(vb_j_eval(j, node->a, out));
    if (vb_j_truth(out) == (node->kind == VB_J_N_OR)) return VB_OK;
    return vb_j_eval(j, node->b, out);
}

static vb_status compare(vb_jinja *j, int op, const vb_jval *a, const vb_jval *b, int *out)
{
    int order;
    if (op == '=' || op == '!') {
        VB_TRY(vb_j_equal(j, a, b, out));
        *out = *out == (op == '=');
        return VB_OK;
    }
    if (op == 'i' || op == 'n') {
        VB_TRY(vb_j_contains(j, b, a, out));
        *out = *out == (op == 'i');
        return VB_OK;
    }
    VB_TRY(vb_j_order(j, a, b, &order));
    *out = op == '<' ? order < 0 : op == 'l' ? order <= 0 : op == '>' ? order > 0 : order >= 0;
    return VB_OK;
}

/* a < b < c means a < b and b < c. */
static vb_status eval_compare(vb_jinja *j, const vb_jnode *node, vb_jval *out)
{
    vb_jval left, right;
    int truth = 1;
    VB_TRY(vb_j_eval(j, node->a, &left));
    for (const vb_jnode *n = node->b; n != NULL && truth; n = n->next) {
        VB_TRY(vb_j_eval(j, n->a, &right));
        j->at = n->at;
        VB_TRY(compare(j, n->op, &left, &right, &truth));
        left = right;
    }
    *out = vb_j_bool(truth);
    return VB_OK;
}

static vb_status eval_cond(vb_jinja *j, const vb_jnode *node, vb_jval *out)
{
    static const char message[] = "expected a value, found an `if` without `else` that is not true";
    VB_TRY(vb_j_eval(j, node->b, out));
    if (vb_j_truth(out)) return vb_j_eval(j, node->a, out);
    if (node->c != NULL) return vb_j_eval(j, node->c, out);
    *out = vb_j_undef(message, sizeof message - 1, VB_J_OWNER_MESSAGE);
    return VB_OK;
}

static vb_status eval_binary(vb_jinja *j, const vb_jnode *node, vb_jval *out)
{
    vb_jval a, b;
    VB_TRY(vb_j_eval(j, node->a, &a));
    VB_TRY(vb_j_eval(j, node->b, &b));
    j->at = node->at;
    return vb_j_binary(j, node->op, &a, &b, out);
}

static vb_status eval_kind(vb_jinja *j, const vb_jnode *node, vb_jval *out)
{
    switch (node->kind) {
    case VB_J_N_CONST: *out = node->value; return VB_OK;
    case VB_J_N_NAME: return eval_name(j, node, out);
    case VB_J_N_TUPLE:
    case VB_J_N_LIST: return eval_list(j, node, out);
    case VB_J_N_DICT: return eval_dict(j, node, out);
    case VB_J_N_ATTR: return eval_attr(j, node, out);
    case VB_J_N_ITEM: return eval_item(j, node, out);
    case VB_J_N_CALL: return eval_call(j, node, out);
    case VB_J_N_FILTER: return eval_filter(j, node, out);
    case VB_J_N_TEST: return eval_test(j, node, out);
    case VB_J_N_NOT:
        VB_TRY(vb_j_eval(j, node->a, out));
        *out = vb_j_bool(!vb_j_truth(out));
        return VB_OK;
    case VB_J_N_NEG:
    case VB_J_N_POS: return eval_sign(j, node, out);
    case VB_J_N_AND:
    case VB_J_N_OR: return eval_logic(j, node, out);
    case VB_J_N_COMPARE: return eval_compare(j, node, out);
    case VB_J_N_COND: return eval_cond(j, node, out);
    default: return eval_binary(j, node, out);
    }
}

vb_status vb_j_eval(vb_jinja *j, const vb_jnode *node, vb_jval *out)
{
    j->at = node->at;
    VB_TRY(vb_j_enter(j));
    vb_status status = eval_kind(j, node, out);
    j->depth--;
    return status;
}
