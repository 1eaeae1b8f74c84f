/* go_look.c - what a template shows of itself: which of Ollama's names it mentions, whether it shows what was thought.
 *
 *   {{ range .Messages }} ... {{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}
 *                                               ^ first and last text of the nearest list around it, in a range over
 *                                                 messages: a template with both can show what was thought
 */
#include "text/go_tree.h"

#include <string.h>

static int is_name(const vb_gnode *name, const char *text)
{
    return name != NULL && name->len == strlen(text) && memcmp(name->s, text, name->len) == 0;
}

/* --- names --------------------------------------------------------------------------------------------- */

typedef struct {
    vb_jinja *j;
    vb_go_facts *facts;
    int *response;
} looker;

static void note(const looker *l, const vb_gnode *name)
{
    const struct {
        const char *text;
        int *flag;
    } known[] = {{"messages", &l->facts->messages}, {"tools", &l->facts->tools}, {"toolcalls", &l->facts->calls},
                 {"suffix", &l->facts->suffix}, {"response", l->response}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].text) == name->len && strncasecmp(known[i].text, name->s, name->len) == 0)
            *known[i].flag = 1;
}

static vb_status look(const looker *l, const vb_gnode *node);

static vb_status look_row(const looker *l, const vb_gnode *row)
{
    for (const vb_gnode *n = row; n != NULL; n = n->next) VB_TRY(look(l, n));
    return VB_OK;
}

static vb_status look_into(const looker *l, const vb_gnode *node)
{
    switch (node->kind) {
    case VB_G_N_FIELD:
    case VB_G_N_VARIABLE:
        for (const vb_gnode *n = node->a; n != NULL; n = n->next) note(l, n);
        return VB_OK;
    case VB_G_N_TEMPLATE:
        l->j->at = node->at;
        if (node->a == NULL) VB_J_BAD(l->j, "expected data for a template, found none");
        return look(l, node->a);
    case VB_G_N_LIST:
    case VB_G_N_ACTION:
    case VB_G_N_PIPE:
    case VB_G_N_COMMAND: return look_row(l, node->a);
    case VB_G_N_IF:
    case VB_G_N_WITH:
    case VB_G_N_RANGE:
        VB_TRY(look(l, node->a));
        VB_TRY(look(l, node->b));
        return node->c != NULL ? look(l, node->c) : VB_OK;
    default: return VB_OK;
    }
}

static vb_status look(const looker *l, const vb_gnode *node)
{
    VB_TRY(vb_j_enter(l->j));
    vb_status status = look_into(l, node);
    l->j->depth--;
    return status;
}

/* --- thinking ------------------------------------------------------------------------------------------ */

typedef struct frame {
    const vb_gnode *node;
    const struct frame *up;
} frame;

typedef struct {
    int opens, closes; /* there is a text before what was thought, and one behind it */
} marks;

static void visit(const vb_gnode *node, const frame *up, marks *m);

static int mentions(const vb_gnode *node, const char *text)
{
    if (node->kind == VB_G_N_FIELD) return is_name(node->a, text);
    if (node->kind != VB_G_N_PIPE && node->kind != VB_G_N_COMMAND) return 0;
    for (const vb_gnode *n = node->a; n != NULL; n = n->next)
        if (mentions(n, text)) return 1;
    return 0;
}

static const vb_gnode *nearest(const frame *f, vb_gkind kind)
{
    while (f != NULL && f->node->kind != kind) f = f->up;
    return f != NULL ? f->node : NULL;
}

static void set_mark(int *mark, const vb_gnode *node)
{
    if (node->kind == VB_G_N_TEXT) *mark = vb_j_trim(&node->value, NULL, VB_J_TRIM_LEFT).len > 0;
}

static void visit_thinking(const frame *f, marks *m)
{
    const vb_gnode *range = nearest(f, VB_G_N_RANGE), *list = nearest(f, VB_G_N_LIST);
    if (range == NULL || list == NULL || list->a == NULL || !mentions(range->a, "Messages")) return;
    const vb_gnode *last = list->a;
    while (last->next != NULL) last = last->next;
    set_mark(&m->opens, list->a);
    set_mark(&m->closes, last);
}

static void visit_row(const vb_gnode *row, const frame *up, marks *m)
{
    for (const vb_gnode *n = row; n != NULL; n = n->next) visit(n, up, m);
}

static void visit(const vb_gnode *node, const frame *up, marks *m)
{
    frame here = {node, up};
    if (node->kind == VB_G_N_FIELD && is_name(node->a, "Thinking")) visit_thinking(&here, m);
    if (node->kind == VB_G_N_LIST || (node->kind >= VB_G_N_ACTION && node->kind <= VB_G_N_COMMAND))
        visit_row(node->a, &here, m);
    if (node->kind < VB_G_N_IF || node->kind > VB_G_N_RANGE) return;
    visit_row(node->b, &here, m);
    visit_row(node->c, &here, m);
}

vb_status vb_g_facts(vb_jinja *j, const vb_gtemplate *all, vb_go_facts *out, int *response)
{
    looker l = {j, out, response};
    marks m = {0};
    *out = (vb_go_facts){0};
    *response = 0;
    for (const vb_gtemplate *t = all; t != NULL; t = t->next) VB_TRY(look(&l, t->list));
    visit(all->list, NULL, &m); /* as deep as the parser let it be */
    out->thinking = m.opens && m.closes;
    return VB_OK;
}

/* --- cutting ------------------------------------------------------------------------------------------- */

/* 0: nothing is left of it. */
static int cut_pipe(vb_gnode *pipe, int *cut)
{
    for (vb_gnode *c = pipe->a; c != NULL; c = c->next) {
        vb_gnode **link = &c->a;
        while (*link != NULL) {
            vb_gnode *operand = *link;
            int keep = !*cut && (operand->kind != VB_G_N_PIPE || cut_pipe(operand, cut));
            for (vb_gnode *n = operand->a; keep && operand->kind == VB_G_N_FIELD && n != NULL; n = n->next)
                if (is_name(n, "Response")) *cut = 1;
            if (keep) link = &operand->next;
            else *link = operand->next;
        }
        if (c->a == NULL) return 0;
    }
    return 1;
}

static void cut_list(vb_gnode *list, int *cut)
{
    vb_gnode **link = &list->a;
    while (*link != NULL && !*cut) {
        vb_gnode *node = *link;
        int keep = node->kind != VB_G_N_ACTION || cut_pipe(node->a, cut);
        int branches = node->kind == VB_G_N_IF || node->kind == VB_G_N_WITH || node->kind == VB_G_N_RANGE;
        if (branches) cut_list(node->b, cut);
        if (branches && *cut) node->c = NULL;
        if (branches && node->c != NULL) cut_list(node->c, cut);
        if (keep) link = &node->next;
        else *link = node->next;
    }
    *link = NULL;
}

void vb_g_cut(vb_gtemplate *whole)
{
    int cut = 0;
    cut_list(whole->list, &cut);
}
