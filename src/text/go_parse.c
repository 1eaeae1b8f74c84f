/* go_parse.c - statements: text, actions, if, with, range, define, block, template, break and continue.
 *
 * Variables are known from where they are set to the end of their block; a name that is not known is an error here, not
 * when it is read. A definition knows none from outside.
 */
#include "text/go_tree.h"

#include <string.h>

/* --- small things -------------------------------------------------------------------------------------- */

vb_status vb_g_node(vb_gparser *p, vb_gkind kind, vb_gnode **out)
{
    *out = vb_j_alloc(p->j, 1, sizeof **out);
    if (*out == NULL) return VB_E_MEMORY;
    (*out)->kind = kind;
    (*out)->at = p->now->at;
    return vb_j_step(p->j, 1);
}

vb_status vb_g_unexpected(vb_gparser *p, const char *where)
{
    int len = (int)(p->now->len > 40 ? 40 : p->now->len);
    p->j->at = p->now->at;
    if (p->now->type == VB_G_T_END) VB_J_BAD(p->j, "expected the end of %s, found that of the template", where);
    VB_J_BAD(p->j, "expected something else in %s, found '%.*s'", where, len, p->now->s);
}

void vb_g_skip(vb_gparser *p)
{
    while (p->now->type == VB_G_T_SPACE) p->now++;
}

static int is_word(const vb_gtoken *token, const char *word)
{
    return token->type == VB_G_T_WORD && token->len == strlen(word) && memcmp(token->s, word, token->len) == 0;
}

int vb_g_at_word(const vb_gparser *p, const char *word)
{
    return is_word(p->now, word);
}

vb_status vb_g_know(vb_gparser *p, const char *s, size_t len)
{
    if (p->n_vars == p->cap_vars) {
        size_t cap = p->cap_vars < 16 ? 16 : p->cap_vars * 2;
        void *vars = vb_j_alloc(p->j, cap, sizeof *p->vars);
        if (vars == NULL) return VB_E_MEMORY;
        if (p->n_vars > 0) memcpy(vars, p->vars, p->n_vars * sizeof *p->vars);
        p->vars = vars;
        p->cap_vars = cap;
    }
    p->vars[p->n_vars].s = s;
    p->vars[p->n_vars++].len = len;
    return VB_OK;
}

static vb_status deeper(vb_gparser *p)
{
    p->j->at = p->now->at;
    if (p->depth == VB_JINJA_MAX_NESTING)
        return vb_j_fail(p->j, VB_E_UNSUPPORTED, "expected nesting of at most %d, found a deeper one",
                         VB_JINJA_MAX_NESTING);
    p->depth++;
    return VB_OK;
}

/* }} */
static vb_status close_action(vb_gparser *p, const char *where)
{
    vb_g_skip(p);
    if (p->now->type != VB_G_T_CLOSE) return vb_g_unexpected(p, where);
    p->now++;
    return VB_OK;
}

/* --- definitions --------------------------------------------------------------------------------------- */

static int is_blank(const vb_jval *text)
{
    vb_jval rest = vb_j_trim(text, NULL, VB_J_TRIM_LEFT);
    return rest.len == 0;
}

/* Nothing but white space. */
static int is_empty(const vb_gnode *list)
{
    for (const vb_gnode *n = list->a; n != NULL; n = n->next)
        if (n->kind != VB_G_N_TEXT || !is_blank(&n->value)) return 0;
    return 1;
}

static vb_gtemplate *find_template(const vb_gparser *p, const vb_jval *name)
{
    vb_gtemplate *t = p->all;
    while (t != NULL && (t->name.len != name->len || memcmp(t->name.u.s, name->u.s, name->len) != 0)) t = t->next;
    return t;
}

/* Of two templates of one name, one must be empty; the other one counts. */
static vb_status add_template(vb_gparser *p, const vb_jval *name, vb_gnode *list)
{
    VB_TRY(vb_j_step(p->j, 8));
    vb_gtemplate *t = find_template(p, name), **last = &p->all;
    if (t != NULL) {
        p->j->at = list->at;
        if (!is_empty(t->list) && !is_empty(list))
            VB_J_BAD(p->j, "expected one template of the name '%.*s', found another one",
                     (int)(name->len > 60 ? 60 : name->len), name->u.s);
        if (!is_empty(list)) t->list = list;
        return VB_OK;
    }
    t = vb_j_alloc(p->j, 1, sizeof *t);
    if (t == NULL) return VB_E_MEMORY;
    t->name = *name;
    t->list = list;
    for (; *last != NULL; last = &(*last)->next) VB_TRY(vb_j_step(p->j, 1));
    *last = t;
    return VB_OK;
}

static vb_status template_name(vb_gparser *p, const char *where, vb_jval *out)
{
    vb_g_skip(p);
    if (p->now->type != VB_G_T_STRING && p->now->type != VB_G_T_RAW) return vb_g_unexpected(p, where);
    VB_TRY(vb_g_unquote(p, p->now, out));
    p->now++;
    return VB_OK;
}

enum { UP_TO_END = 1, UP_TO_ELSE = 2, UP_TO_EOF = 4 };
static vb_status parse_list(vb_gparser *p, int stops, vb_gnode **out, int *stop);

/* The body of a definition, up to its {{end}}. */
static vb_status definition(vb_gparser *p, const vb_jval *name)
{
    size_t base = p->base, n_vars = p->n_vars;
    int loops = p->loops, stop;
    vb_gnode *list;
    p->base = p->n_vars;
    p->loops = 0;
    VB_TRY(vb_g_know(p, "$", 1));
    VB_TRY(parse_list(p, UP_TO_END, &list, &stop));
    p->base = base;
    p->n_vars = n_vars;
    p->loops = loops;
    return add_template(p, name, list);
}

static vb_status parse_define(vb_gparser *p)
{
    vb_jval name;
    VB_TRY(template_name(p, "define", &name));
    VB_TRY(close_action(p, "define"));
    return definition(p, &name);
}

static vb_status parse_block(vb_gparser *p, vb_gnode **out)
{
    VB_TRY(vb_g_node(p, VB_G_N_TEMPLATE, out));
    VB_TRY(template_name(p, "block", &(*out)->value));
    VB_TRY(vb_g_pipeline(p, "block", VB_G_T_CLOSE, &(*out)->a));
    return definition(p, &(*out)->value);
}

static vb_status parse_template(vb_gparser *p, vb_gnode **out)
{
    VB_TRY(vb_g_node(p, VB_G_N_TEMPLATE, out));
    VB_TRY(template_name(p, "template", &(*out)->value));
    vb_g_skip(p);
    if (p->now->type == VB_G_T_CLOSE) return close_action(p, "template");
    return vb_g_pipeline(p, "template", VB_G_T_CLOSE, &(*out)->a);
}

/* --- branches ------------------------------------------------------------------------------------------ */

static const char *const words[] = {[VB_G_N_IF] = "if", [VB_G_N_WITH] = "with", [VB_G_N_RANGE] = "range"};

static vb_status parse_branch(vb_gparser *p, vb_gkind kind, vb_gnode **out);

/* `else if` stands for an else with an if in it, whose end is that of both. */
static vb_status parse_else(vb_gparser *p, vb_gkind kind, vb_gnode **out)
{
    int stop;
    vb_g_skip(p);
    if (kind != VB_G_N_RANGE && vb_g_at_word(p, words[kind])) {
        VB_TRY(vb_g_node(p, VB_G_N_LIST, out));
        p->now++;
        return parse_branch(p, kind, &(*out)->a);
    }
    VB_TRY(close_action(p, "else"));
    return parse_list(p, UP_TO_END, out, &stop);
}

static vb_status branch(vb_gparser *p, vb_gkind kind, vb_gnode *node)
{
    int stop;
    size_t n_vars = p->n_vars;
    VB_TRY(vb_g_pipeline(p, words[kind], VB_G_T_CLOSE, &node->a));
    p->loops += kind == VB_G_N_RANGE;
    VB_TRY(parse_list(p, UP_TO_END | UP_TO_ELSE, &node->b, &stop));
    p->loops -= kind == VB_G_N_RANGE;
    if (stop == UP_TO_ELSE) VB_TRY(parse_else(p, kind, &node->c));
    p->n_vars = n_vars;
    return VB_OK;
}

static vb_status parse_branch(vb_gparser *p, vb_gkind kind, vb_gnode **out)
{
    VB_TRY(vb_g_node(p, kind, out));
    VB_TRY(deeper(p));
    vb_status status = branch(p, kind, *out);
    p->depth--;
    return status;
}

static vb_status parse_jump(vb_gparser *p, vb_gkind kind, vb_gnode **out)
{
    VB_TRY(vb_g_node(p, kind, out));
    p->j->at = p->now->at;
    if (p->loops == 0) VB_J_BAD(p->j, "expected break and continue inside range, found one outside");
    return close_action(p, kind == VB_G_N_BREAK ? "break" : "continue");
}

/* --- statements ---------------------------------------------------------------------------------------- */

static vb_status parse_action(vb_gparser *p, vb_gnode **out)
{
    VB_TRY(vb_g_node(p, VB_G_N_ACTION, out));
    return vb_g_pipeline(p, "an action", VB_G_T_CLOSE, &(*out)->a);
}

/* Behind {{. *out stays NULL for an end or else, which *stop tells, and for definitions. */
static vb_status parse_statement(vb_gparser *p, vb_gnode **out, int *stop)
{
    const vb_gtoken *word = p->now++;
    if (is_word(word, "if")) return parse_branch(p, VB_G_N_IF, out);
    if (is_word(word, "with")) return parse_branch(p, VB_G_N_WITH, out);
    if (is_word(word, "range")) return parse_branch(p, VB_G_N_RANGE, out);
    if (is_word(word, "template")) return parse_template(p, out);
    if (is_word(word, "block")) return parse_block(p, out);
    if (is_word(word, "break")) return parse_jump(p, VB_G_N_BREAK, out);
    if (is_word(word, "continue")) return parse_jump(p, VB_G_N_CONTINUE, out);
    if (is_word(word, "define") && p->base == 0 && p->depth == 1) return parse_define(p);
    *stop = is_word(word, "end") ? UP_TO_END : is_word(word, "else") ? UP_TO_ELSE : 0;
    if (*stop == UP_TO_END) return close_action(p, "end");
    if (*stop == UP_TO_ELSE) return VB_OK;
    p->now = word;
    return parse_action(p, out);
}

static vb_status parse_one(vb_gparser *p, vb_gnode **out, int *stop)
{
    if (p->now->type == VB_G_T_TEXT) {
        VB_TRY(vb_g_node(p, VB_G_N_TEXT, out));
        (*out)->value = (vb_jval){.type = VB_J_STR, .len = p->now->len, .u.s = p->now->s};
        p->now++;
        return VB_OK;
    }
    p->now++; /* {{ */
    vb_g_skip(p);
    return parse_statement(p, out, stop);
}

static vb_status parse_rows(vb_gparser *p, int stops, vb_gnode *list, int *stop)
{
    vb_gnode **last = &list->a;
    for (*stop = 0; *stop == 0;) {
        const vb_gtoken *from = p->now;
        if (from->type == VB_G_T_END && (stops & UP_TO_EOF)) return VB_OK;
        if (from->type == VB_G_T_END) VB_J_BAD(p->j, "expected {{end}}, found the end of the template");
        VB_TRY(parse_one(p, last, stop));
        p->j->at = from->at;
        if (*stop != 0 && !(stops & *stop))
            VB_J_BAD(p->j, "expected no %s here, found one", *stop == UP_TO_END ? "end" : "else");
        while (*last != NULL) last = &(*last)->next;
    }
    return VB_OK;
}

static vb_status parse_list(vb_gparser *p, int stops, vb_gnode **out, int *stop)
{
    VB_TRY(vb_g_node(p, VB_G_N_LIST, out));
    VB_TRY(deeper(p));
    vb_status status = parse_rows(p, stops, *out, stop);
    p->depth--;
    return status;
}

vb_status vb_g_parse(vb_jinja *j, vb_gtemplate **out)
{
    vb_gparser p = {.j = j};
    vb_gtoken *tokens;
    vb_gnode *list;
    vb_jval none = vb_j_text("");
    int stop;
    VB_TRY(vb_g_lex(j, &tokens));
    p.now = tokens;
    VB_TRY(vb_g_know(&p, "$", 1));
    VB_TRY(parse_list(&p, UP_TO_EOF, &list, &stop));
    VB_TRY(add_template(&p, &none, list));
    *out = find_template(&p, &none);
    vb_gtemplate *others = p.all; /* the whole file's becomes the first */
    if (*out == others) return VB_OK;
    while (others->next != *out) others = others->next;
    others->next = (*out)->next;
    (*out)->next = p.all;
    return VB_OK;
}
