/* jinja_stmt.c - statements: text, {{ expressions }} and {% tags %} into rows of nodes.
 *
 * A body is parsed up to one of the words that may end it; whoever asked for the body takes that word. Tags that would
 * need other files (include, import, extends) are refused: a chat template is one text.
 */
#include "text/jinja_tree.h"

#include <string.h>

static vb_status row(vb_jparser *p, const char *const *ends, vb_jnode **out);

/* `%}`, statements and `{%` up to one of the words in `ends`, which stays the current token. */
static vb_status body(vb_jparser *p, const char *const *ends, vb_jnode **out)
{
    if (vb_j_at_op(p, ":")) VB_TRY(vb_j_next(p));
    if (p->now.type != VB_J_T_BLOCK_END) return vb_j_unexpected(p, "the end of the tag");
    VB_TRY(vb_j_next(p));
    VB_TRY(vb_j_deeper(p));
    VB_TRY(row(p, ends, out));
    p->depth--;
    if (p->now.type != VB_J_T_END) return VB_OK;
    char text[32];
    snprintf(text, sizeof text, "'%s'", ends[0]);
    return vb_j_unexpected(p, text);
}

/* A body with one possible end, which is taken too. */
static vb_status body_to(vb_jparser *p, const char *end, vb_jnode **out)
{
    const char *const ends[] = {end, NULL};
    VB_TRY(body(p, ends, out));
    return vb_j_next(p);
}

/* --- targets of assignments ---------------------------------------------------------------------------- */

static vb_status target_name(vb_jparser *p, int fields, vb_jnode **out)
{
    vb_jtoken token;
    VB_TRY(vb_j_primary(p, out));
    if ((*out)->kind == VB_J_N_TUPLE) {
        for (const vb_jnode *n = (*out)->a; n != NULL; n = n->next)
            if (n->kind != VB_J_N_NAME) return vb_j_unexpected(p, "names before this");
        return VB_OK;
    }
    if ((*out)->kind != VB_J_N_NAME) return vb_j_unexpected(p, "a name before this");
    if (!fields || !vb_j_at_op(p, ".")) return VB_OK;
    vb_jnode *space = *out;
    VB_TRY(vb_j_node(p, VB_J_N_FIELD, out));
    VB_TRY(vb_j_next(p));
    VB_TRY(vb_j_expect_name(p, &token));
    (*out)->a = space;
    (*out)->s = token.s;
    (*out)->len = token.len;
    return VB_OK;
}

static vb_status target(vb_jparser *p, int fields, vb_jnode **out)
{
    VB_TRY(target_name(p, fields, out));
    if (!vb_j_at_op(p, ",")) return VB_OK;
    vb_jnode *first = *out;
    VB_TRY(vb_j_node(p, VB_J_N_TUPLE, out));
    (*out)->a = first;
    vb_jnode **last = &first->next;
    while (vb_j_at_op(p, ",")) {
        VB_TRY(vb_j_next(p));
        if (p->now.type != VB_J_T_NAME || vb_j_at_name(p, "in")) break;
        VB_TRY(target_name(p, fields, last));
        last = &(*last)->next;
    }
    return VB_OK;
}

/* --- tags ---------------------------------------------------------------------------------------------- */

static vb_status parse_set(vb_jparser *p, vb_jnode **out)
{
    VB_TRY(vb_j_node(p, VB_J_N_SET, out));
    VB_TRY(vb_j_next(p));
    VB_TRY(target(p, 1, &(*out)->a));
    if (vb_j_at_op(p, "=")) {
        VB_TRY(vb_j_next(p));
        return vb_j_tuple(p, 1, &(*out)->b);
    }
    (*out)->kind = VB_J_N_SET_BLOCK;
    VB_TRY(vb_j_filters(p, &(*out)->b));
    return body_to(p, "endset", &(*out)->c);
}

static vb_status parse_for(vb_jparser *p, vb_jnode **out)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    VB_TRY(vb_j_node(p, VB_J_N_FOR, out));
    VB_TRY(vb_j_next(p));
    VB_TRY(target(p, 0, &(*out)->a));
    VB_TRY(vb_j_expect_word(p, "in"));
    VB_TRY(vb_j_tuple(p, 0, &(*out)->b));
    if (vb_j_at_name(p, "if")) {
        VB_TRY(vb_j_next(p));
        VB_TRY(vb_j_expression(p, &(*out)->e));
    }
    if (vb_j_at_name(p, "recursive")) {
        (*out)->op = 1;
        VB_TRY(vb_j_next(p));
    }
    p->loops++;
    VB_TRY(body(p, ends, &(*out)->c));
    p->loops--;
    int otherwise = vb_j_at_name(p, "else");
    VB_TRY(vb_j_next(p));
    return otherwise ? body_to(p, "endfor", &(*out)->d) : VB_OK;
}

/* if and its elifs: a chain through `c`, one level of nesting however long. */
static vb_status parse_if(vb_jparser *p, vb_jnode **out)
{
    static const char *const ends[] = {"endif", "elif", "else", NULL};
    for (;;) {
        VB_TRY(vb_j_node(p, VB_J_N_IF, out));
        VB_TRY(vb_j_next(p));
        VB_TRY(vb_j_tuple(p, 0, &(*out)->a));
        VB_TRY(body(p, ends, &(*out)->b));
        if (!vb_j_at_name(p, "elif")) break;
        (*out)->op = 1;
        out = &(*out)->c;
    }
    int otherwise = vb_j_at_name(p, "else");
    VB_TRY(vb_j_next(p));
    return otherwise ? body_to(p, "endif", &(*out)->c) : VB_OK;
}

static vb_status parameters(vb_jparser *p, vb_jnode **out)
{
    int defaults = 0;
    VB_TRY(vb_j_expect_op(p, "("));
    while (!vb_j_at_op(p, ")")) {
        vb_jtoken token;
        VB_TRY(vb_j_node(p, VB_J_N_NAME, out));
        VB_TRY(vb_j_expect_name(p, &token));
        (*out)->s = token.s;
        (*out)->len = token.len;
        if (vb_j_at_op(p, "=")) {
            defaults = 1;
            VB_TRY(vb_j_next(p));
            VB_TRY(vb_j_expression(p, &(*out)->b));
        } else if (defaults) {
            return vb_j_unexpected(p, "a default as for the parameters before");
        }
        out = &(*out)->next;
        if (!vb_j_at_op(p, ")")) VB_TRY(vb_j_expect_op(p, ","));
    }
    return vb_j_next(p);
}

/* The body of a macro or call block. It is a function: loops around it do not count inside, and what special names
 * it uses is its own. */
static vb_status macro_body(vb_jparser *p, const char *end, vb_jnode *macro)
{
    int loops = p->loops, uses = p->uses;
    p->loops = 0;
    p->uses = 0;
    VB_TRY(body_to(p, end, &macro->c));
    macro->op = p->uses;
    p->loops = loops;
    p->uses = uses;
    return VB_OK;
}

static vb_status parse_macro(vb_jparser *p, vb_jnode **out)
{
    vb_jtoken token;
    VB_TRY(vb_j_node(p, VB_J_N_MACRO, out));
    VB_TRY(vb_j_next(p));
    VB_TRY(vb_j_expect_name(p, &token));
    (*out)->s = token.s;
    (*out)->len = token.len;
    VB_TRY(parameters(p, &(*out)->a));
    return macro_body(p, "endmacro", *out);
}

static vb_status parse_call(vb_jparser *p, vb_jnode **out)
{
    VB_TRY(vb_j_node(p, VB_J_N_CALL_BLOCK, out));
    VB_TRY(vb_j_node(p, VB_J_N_MACRO, &(*out)->b));
    (*out)->b->s = "caller";
    (*out)->b->len = 6;
    VB_TRY(vb_j_next(p));
    if (vb_j_at_op(p, "(")) VB_TRY(parameters(p, &(*out)->b->a));
    VB_TRY(vb_j_expression(p, &(*out)->a));
    if ((*out)->a->kind != VB_J_N_CALL) return vb_j_unexpected(p, "a call before this");
    return macro_body(p, "endcall", (*out)->b);
}

static vb_status parse_filter(vb_jparser *p, vb_jnode **out)
{
    VB_TRY(vb_j_node(p, VB_J_N_FILTER_BLOCK, out));
    VB_TRY(vb_j_next(p));
    VB_TRY(vb_j_filter(p, &(*out)->a));
    VB_TRY(vb_j_filters(p, &(*out)->a));
    return body_to(p, "endfilter", &(*out)->c);
}

static vb_status parse_with(vb_jparser *p, vb_jnode **out)
{
    VB_TRY(vb_j_node(p, VB_J_N_WITH, out));
    VB_TRY(vb_j_next(p));
    for (vb_jnode **last = &(*out)->a; p->now.type != VB_J_T_BLOCK_END; last = &(*last)->next) {
        if ((*out)->a != NULL) VB_TRY(vb_j_expect_op(p, ","));
        VB_TRY(vb_j_node(p, VB_J_N_SET, last));
        VB_TRY(target_name(p, 0, &(*last)->a));
        VB_TRY(vb_j_expect_op(p, "="));
        VB_TRY(vb_j_expression(p, &(*last)->b));
    }
    return body_to(p, "endwith", &(*out)->c);
}

static vb_status parse_print(vb_jparser *p, vb_jnode **out)
{
    VB_TRY(vb_j_node(p, VB_J_N_PRINT, out));
    VB_TRY(vb_j_next(p));
    for (vb_jnode **last = &(*out)->a; p->now.type != VB_J_T_BLOCK_END; last = &(*last)->next) {
        if ((*out)->a != NULL) VB_TRY(vb_j_expect_op(p, ","));
        VB_TRY(vb_j_expression(p, last));
    }
    return VB_OK;
}

/* Marks a piece of the answer for training; printed like any text. */
static vb_status parse_generation(vb_jparser *p, vb_jnode **out)
{
    VB_TRY(vb_j_node(p, VB_J_N_SCOPE, out));
    VB_TRY(vb_j_next(p));
    return body_to(p, "endgeneration", &(*out)->c);
}

static vb_status parse_autoescape(vb_jparser *p, vb_jnode **out)
{
    vb_jnode *ignored;
    VB_TRY(vb_j_node(p, VB_J_N_SCOPE, out));
    VB_TRY(vb_j_next(p));
    VB_TRY(vb_j_expression(p, &ignored));
    if (ignored->kind != VB_J_N_CONST || vb_j_truth(&ignored->value)) return vb_j_unexpected(p, "'false' before this");
    return body_to(p, "endautoescape", &(*out)->c);
}

/* Without inheritance a block is just its body. */
static vb_status parse_block(vb_jparser *p, vb_jnode **out)
{
    vb_jtoken token;
    VB_TRY(vb_j_node(p, VB_J_N_SCOPE, out));
    VB_TRY(vb_j_next(p));
    VB_TRY(vb_j_expect_name(p, &token));
    VB_TRY(body_to(p, "endblock", &(*out)->c));
    return p->now.type == VB_J_T_NAME ? vb_j_next(p) : VB_OK;
}

static vb_status parse_jump(vb_jparser *p, vb_jnode **out)
{
    if (p->loops == 0) return vb_j_unexpected(p, "this inside of a loop only");
    VB_TRY(vb_j_node(p, vb_j_at_name(p, "break") ? VB_J_N_BREAK : VB_J_N_CONTINUE, out));
    return vb_j_next(p);
}

static vb_status statement(vb_jparser *p, vb_jnode **out)
{
    static const struct {
        const char *word;
        vb_status (*parse)(vb_jparser *, vb_jnode **);
    } tags[] = {{"if", parse_if},         {"set", parse_set},     {"for", parse_for},
                {"macro", parse_macro},   {"call", parse_call},   {"filter", parse_filter},
                {"with", parse_with},     {"print", parse_print}, {"generation", parse_generation},
                {"break", parse_jump},    {"continue", parse_jump}, {"autoescape", parse_autoescape},
                {"block", parse_block}};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        if (!vb_j_at_name(p, tags[i].word)) continue;
        VB_TRY(tags[i].parse(p, out));
        if (p->now.type != VB_J_T_BLOCK_END) return vb_j_unexpected(p, "the end of the tag");
        return vb_j_next(p);
    }
    return vb_j_unexpected(p, "a tag that chat templates have");
}

static vb_status print_variable(vb_jparser *p, vb_jnode **out)
{
    VB_TRY(vb_j_next(p));
    VB_TRY(vb_j_node(p, VB_J_N_PRINT, out));
    VB_TRY(vb_j_tuple(p, 1, &(*out)->a));
    if (p->now.type != VB_J_T_VAR_END) return vb_j_unexpected(p, "'}}'");
    return vb_j_next(p);
}

static vb_status text(vb_jparser *p, vb_jnode **out)
{
    VB_TRY(vb_j_node(p, VB_J_N_TEXT, out));
    (*out)->value = (vb_jval){.type = VB_J_STR, .len = p->now.len, .u.s = p->now.s};
    return vb_j_next(p);
}

static int at_any(const vb_jparser *p, const char *const *words)
{
    for (; words != NULL && *words != NULL; words++)
        if (vb_j_at_name(p, *words)) return 1;
    return 0;
}

/* Statements up to `{%` and one of the words, or to the end of the template. */
static vb_status row(vb_jparser *p, const char *const *ends, vb_jnode **out)
{
    while (p->now.type != VB_J_T_END) {
        if (p->now.type == VB_J_T_TEXT) {
            VB_TRY(text(p, out));
        } else if (p->now.type == VB_J_T_VAR_BEGIN) {
            VB_TRY(print_variable(p, out));
        } else {
            VB_TRY(vb_j_next(p));
            if (at_any(p, ends)) return VB_OK;
            VB_TRY(statement(p, out));
        }
        out = &(*out)->next;
    }
    return VB_OK;
}

vb_status vb_j_parse(vb_jinja *j, vb_jnode **out)
{
    vb_jparser p = {.j = j, .lex = {.j = j}};
    *out = NULL;
    VB_TRY(vb_j_lex(&p.lex, &p.ahead));
    VB_TRY(vb_j_next(&p));
    return row(&p, NULL, out);
}
