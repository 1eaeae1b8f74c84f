/* jinja_call.c - calls: arguments meet parameters here, of macros and of the rows of all tables.
 */
#include "text/jinja_eval.h"

#include <string.h>

const vb_jfunc *vb_j_find(const vb_jfunc *table, const char *name, size_t len)
{
    for (; table->name != NULL; table++)
        if (strlen(table->name) == len && memcmp(table->name, name, len) == 0) return table;
    return NULL;
}

/* --- functions of this program ------------------------------------------------------------------------- */

/* Index of parameter `name`, or -1. Sets *count to the number of parameters and *more if any others are taken. */
static int parameter(const char *params, const vb_jval *name, int *count, int *more)
{
    int index = -1;
    *count = *more = 0;
    while (*params) {
        size_t n = strcspn(params, " ");
        if (*params == '*')
            *more = 1;
        else if (name != NULL && name->len == n && memcmp(name->u.s, params, n) == 0)
            index = *count;
        if (*params != '*') (*count)++;
        params += n + (params[n] == ' ');
    }
    return index;
}

static vb_status bind_named(vb_jinja *j, const vb_jfunc *func, const vb_jargs *args, vb_jcall *c)
{
    int count, more;
    for (size_t i = 0; i < args->named.n; i++) {
        const vb_jpair *pair = &args->named.pairs[i];
        int at = parameter(func->params, &pair->key, &count, &more);
        if (at < 0 && more) continue;
        if (at < 0 || c->arg[at] != NULL)
            VB_J_BAD(j, "expected arguments of %s (%s), found '%.*s'", func->name, func->params,
                     (int)(pair->key.len > 60 ? 60 : pair->key.len), pair->key.u.s);
        c->arg[at] = &pair->value;
    }
    return VB_OK;
}

vb_status vb_j_call_func(vb_jinja *j, const vb_jfunc *func, const vb_jval *self, const vb_jargs *args, vb_jval *out)
{
    vb_jcall c = {.all = args};
    int count, more;
    if (self != NULL) c.self = *self;
    parameter(func->params, NULL, &count, &more);
    if (args->pos.n > (size_t)count && !more)
        VB_J_BAD(j, "expected at most %d arguments for %s, found %zu", count, func->name, args->pos.n);
    for (size_t i = 0; i < args->pos.n && i < (size_t)count; i++) c.arg[i] = &args->pos.items[i];
    VB_TRY(bind_named(j, func, args, &c));
    for (int i = 0; i < func->required; i++)
        if (c.arg[i] == NULL) VB_J_BAD(j, "expected at least %d arguments for %s", func->required, func->name);
    VB_TRY(vb_j_enter(j));
    vb_status status = func->call(j, &c, out);
    j->depth--;
    return status;
}

vb_status vb_j_filter_by_name(vb_jinja *j, const char *name, size_t len, const vb_jval *self, const vb_jargs *args,
                              vb_jval *out)
{
    const vb_jfunc *func = vb_j_find(vb_j_filters_text, name, len);
    if (func == NULL) func = vb_j_find(vb_j_filters_list, name, len);
    if (func == NULL) func = vb_j_find(vb_j_filters_pick, name, len);
    if (func == NULL) VB_J_BAD(j, "expected a filter, found '%.*s'", (int)(len > 60 ? 60 : len), name);
    return vb_j_call_func(j, func, self, args, out);
}

vb_status vb_j_test_by_name(vb_jinja *j, const char *name, size_t len, const vb_jval *self, const vb_jargs *args,
                            int *out)
{
    vb_jval result;
    const vb_jfunc *func = vb_j_find(vb_j_tests, name, len);
    if (func == NULL) VB_J_BAD(j, "expected a test, found '%.*s'", (int)(len > 60 ? 60 : len), name);
    VB_TRY(vb_j_call_func(j, func, self, args, &result));
    *out = vb_j_truth(&result);
    return VB_OK;
}

/* --- macros -------------------------------------------------------------------------------------------- */

static vb_status bind_positional(vb_jinja *j, const vb_jnode *node, const vb_jargs *args, vb_jscope *scope)
{
    size_t i = 0;
    vb_jval rest;
    for (const vb_jnode *p = node->a; p != NULL && i < args->pos.n; p = p->next, i++)
        VB_TRY(vb_j_set(j, scope, p->s, p->len, &args->pos.items[i]));
    if (i < args->pos.n && !(node->op & VB_J_USES_VARARGS))
        VB_J_BAD(j, "expected at most %zu arguments for this macro, found %zu", i, args->pos.n);
    if (!(node->op & VB_J_USES_VARARGS)) return VB_OK;
    VB_TRY(vb_j_list_new(j, VB_J_TUPLE, 0, &rest));
    for (; i < args->pos.n; i++) VB_TRY(vb_j_list_add(j, &rest, &args->pos.items[i]));
    return vb_j_set(j, scope, "varargs", 7, &rest);
}

static int is_parameter(const vb_jnode *node, const vb_jval *name)
{
    for (const vb_jnode *p = node->a; p != NULL; p = p->next)
        if (p->len == name->len && memcmp(p->s, name->u.s, p->len) == 0) return 1;
    return 0;
}

static int is_set(const vb_jscope *scope, const char *name, size_t len)
{
    const vb_jscope own = {scope->vars, scope->n, scope->cap, NULL};
    return vb_j_lookup(&own, name, len) != NULL;
}

static vb_status bind_macro_named(vb_jinja *j, const vb_jnode *node, const vb_jargs *args, vb_jscope *scope)
{
    vb_jval others;
    VB_TRY(vb_j_dict_new(j, VB_J_DICT, 0, &others));
    for (size_t i = 0; i < args->named.n; i++) {
        const vb_jpair *pair = &args->named.pairs[i];
        int caller = vb_j_is_str(&pair->key, "caller") && (node->op & VB_J_USES_CALLER);
        int len = (int)(pair->key.len > 60 ? 60 : pair->key.len);
        if (is_parameter(node, &pair->key) || caller) {
            if (is_set(scope, pair->key.u.s, pair->key.len))
                VB_J_BAD(j, "expected one value for the argument '%.*s', found two", len, pair->key.u.s);
            VB_TRY(vb_j_set(j, scope, pair->key.u.s, pair->key.len, &pair->value));
        } else if (node->op & VB_J_USES_KWARGS) {
            VB_TRY(vb_j_dict_set(j, others.u.dict, &pair->key, &pair->value));
        } else {
            VB_J_BAD(j, "expected an argument of this macro, found '%.*s'", len, pair->key.u.s);
        }
    }
    return node->op & VB_J_USES_KWARGS ? vb_j_set(j, scope, "kwargs", 6, &others) : VB_OK;
}

/* Defaults are evaluated at each call, in the macro's scope, so they may use parameters before them. */
static vb_status bind_defaults(vb_jinja *j, const vb_jnode *node, vb_jscope *scope)
{
    static const char missing[] = "expected a value for every argument of a macro that it uses, found none";
    for (const vb_jnode *p = node->a; p != NULL; p = p->next) {
        if (is_set(scope, p->s, p->len)) continue;
        vb_jval value = vb_j_undef(missing, sizeof missing - 1, VB_J_OWNER_MESSAGE);
        if (p->b != NULL) VB_TRY(vb_j_eval(j, p->b, &value));
        VB_TRY(vb_j_set(j, scope, p->s, p->len, &value));
    }
    if (!(node->op & VB_J_USES_CALLER) || is_set(scope, "caller", 6)) return VB_OK;
    vb_jval nobody = vb_j_undef("caller", 6, VB_J_OWNER_NOBODY);
    return vb_j_set(j, scope, "caller", 6, &nobody);
}

static vb_status call_macro(vb_jinja *j, const vb_jmacro *macro, const vb_jargs *args, vb_jval *out)
{
    vb_jscope *scope, *outer = j->scope;
    VB_TRY(vb_j_scope_new(j, macro->scope, &scope));
    VB_TRY(bind_positional(j, macro->node, args, scope));
    VB_TRY(bind_macro_named(j, macro->node, args, scope));
    j->scope = scope;
    vb_status status = bind_defaults(j, macro->node, scope);
    j->scope = outer;
    VB_TRY(status);
    return vb_j_capture(j, macro->node->c, scope, out);
}

/* --- anything ------------------------------------------------------------------------------------------ */

/* A joiner gives nothing the first time, its text from then on. */
static void call_joiner(vb_jlist *joiner, vb_jval *out)
{
    *out = joiner->pos++ == 0 ? vb_j_text("") : joiner->items[0];
}

vb_status vb_j_call(vb_jinja *j, const vb_jval *what, const vb_jargs *args, vb_jval *out)
{
    switch (what->type) {
    case VB_J_UNDEF: return vb_j_undefined(j, what);
    case VB_J_FUNC: return vb_j_call_func(j, what->u.func, NULL, args, out);
    case VB_J_METHOD: return vb_j_call_func(j, what->u.bound->func, &what->u.bound->self, args, out);
    case VB_J_MACRO: return call_macro(j, what->u.macro, args, out);
    case VB_J_LOOP: return vb_j_loop_call(j, what->u.loop, args, out);
    case VB_J_JOINER: call_joiner(what->u.list, out); return VB_OK;
    default: VB_J_BAD(j, "expected something that can be called, found a %s", vb_j_type_name(what));
    }
}
