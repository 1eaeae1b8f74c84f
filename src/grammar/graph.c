/* graph.c - expressions to nodes, from the end to the beginning: what follows is there before what stands in front.
 *
 *   compile(a b, next) = compile(a, compile(b, next))
 */
#include "grammar/graph_parts.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    vb_graph *g;
    const vb_rules *rules;
    int *entry; /* [rules] */
} maker;

static int grow(void **data, int *cap, int n, int most, size_t size)
{
    if (n < *cap) return 1;
    if (n >= most) return 0;
    int wanted = n < 32 ? 64 : n * 2;
    void *larger = realloc(*data, (size_t)wanted * size);
    if (larger == NULL) return 0;
    *data = larger;
    *cap = wanted;
    return 1;
}

int vb_graph_node(vb_graph *g, vb_node node)
{
    void *room = g->nodes;
    int ok = grow(&room, &g->cap_nodes, g->n_nodes, VB_GRAPH_NODES_MOST, sizeof node);
    g->nodes = room;
    if (!ok) return -1;
    g->nodes[g->n_nodes] = node;
    return g->n_nodes++;
}

int vb_graph_edge(vb_graph *g, uint8_t lo, uint8_t hi, int to)
{
    void *room = g->edges;
    int ok = to >= 0 && grow(&room, &g->cap_edges, g->n_edges, VB_GRAPH_EDGES_MOST, sizeof *g->edges);
    g->edges = room;
    if (ok) g->edges[g->n_edges++] = (vb_edge){lo, hi, to};
    return ok;
}

int vb_graph_target(vb_graph *g, int to)
{
    void *room = g->targets;
    int ok = to >= 0 && grow(&room, &g->cap_targets, g->n_targets, VB_GRAPH_EDGES_MOST, sizeof *g->targets);
    g->targets = room;
    if (ok) g->targets[g->n_targets++] = to;
    return ok;
}

/* --- expressions --------------------------------------------------------------------------------------------- */

static int compile(maker *m, int expr, int next);

static int literal(maker *m, const vb_expr *e, int next)
{
    for (int i = e->b - 1; i >= 0 && next >= 0; i--) {
        uint8_t byte = (uint8_t)m->rules->bytes[e->a + i];
        vb_node node = {.kind = VB_NODE_BYTES, .next = m->g->n_edges, .n = 1};
        next = vb_graph_edge(m->g, byte, byte, next) ? vb_graph_node(m->g, node) : -1;
    }
    return next;
}

static int choice(maker *m, const vb_expr *e, int next)
{
    int n = 0, *to = NULL, ok = 1;
    for (int child = e->a; child >= 0; child = m->rules->exprs[child].before) n++;
    to = malloc((size_t)n * sizeof *to);
    if (to == NULL) return -1;
    n = 0;
    for (int child = e->a; child >= 0; child = m->rules->exprs[child].before) to[n++] = compile(m, child, next);
    vb_node node = {.kind = VB_NODE_SPLIT, .next = m->g->n_targets, .n = n};
    while (n > 0 && ok) ok = vb_graph_target(m->g, to[--n]);
    free(to);
    return ok ? vb_graph_node(m->g, node) : -1;
}

/* The loop's node comes first, so that its body can lead back to it. */
static int loop(maker *m, const vb_expr *e, int next)
{
    int split = vb_graph_node(m->g, (vb_node){.kind = VB_NODE_SPLIT, .n = 2});
    int body = split < 0 ? -1 : compile(m, e->a, split);
    if (body < 0) return -1;
    m->g->nodes[split].next = m->g->n_targets;
    if (!vb_graph_target(m->g, body) || !vb_graph_target(m->g, next)) return -1;
    return e->b == 0 ? split : body;
}

static int repeat(maker *m, const vb_expr *e, int next)
{
    if (e->c == VB_GRAMMAR_UNBOUNDED && e->b <= 1) return loop(m, e, next);
    if (e->b == 0 && e->c == 1) {
        int body = compile(m, e->a, next);
        vb_node node = {.kind = VB_NODE_SPLIT, .next = m->g->n_targets, .n = 2};
        return vb_graph_target(m->g, body) && vb_graph_target(m->g, next) ? vb_graph_node(m->g, node) : -1;
    }
    int end = vb_graph_node(m->g, (vb_node){.kind = VB_NODE_END});
    int body = end < 0 ? -1 : compile(m, e->a, end);
    if (body < 0) return -1;
    return vb_graph_node(m->g,
                         (vb_node){.kind = VB_NODE_REPEAT, .next = next, .to = body, .least = e->b, .most = e->c});
}

static int compile(maker *m, int expr, int next)
{
    const vb_expr *e = &m->rules->exprs[expr];
    if (next < 0) return -1;
    switch (e->kind) {
    case VB_EMPTY: return next;
    case VB_NEVER: return vb_graph_node(m->g, (vb_node){.kind = VB_NODE_BYTES});
    case VB_LITERAL: return literal(m, e, next);
    case VB_CLASS: return vb_graph_points(m->g, m->rules->ranges + e->a, e->b, next);
    case VB_RULE: return vb_graph_node(m->g, (vb_node){.kind = VB_NODE_CALL, .next = next, .to = e->a});
    case VB_SEQUENCE:
        for (int child = e->a; child >= 0; child = m->rules->exprs[child].before) next = compile(m, child, next);
        return next;
    case VB_CHOICE: return choice(m, e, next);
    case VB_REPEAT: return repeat(m, e, next);
    }
    return -1;
}

/* --- the whole ----------------------------------------------------------------------------------------------- */

static vb_status compile_rules(maker *m, vb_err *err)
{
    for (int i = 0; i < m->rules->n_rules; i++) {
        if (m->rules->rules[i] < 0) VB_FAIL(err, VB_E_FORMAT, "grammar: rule %d: expected a definition, found none", i);
        int end = vb_graph_node(m->g, (vb_node){.kind = VB_NODE_END});
        m->entry[i] = end < 0 ? -1 : compile(m, m->rules->rules[i], end);
        if (m->entry[i] < 0)
            VB_FAIL(err, VB_E_ARGUMENT, "grammar: expected at most %d states, found more", VB_GRAPH_NODES_MOST);
    }
    for (int i = 0; i < m->g->n_nodes; i++)
        if (m->g->nodes[i].kind == VB_NODE_CALL) m->g->nodes[i].to = m->entry[m->g->nodes[i].to];
    return VB_OK;
}

static void find_classes(vb_graph *g)
{
    uint8_t begins[257] = {0};
    for (int i = 0; i < g->n_edges; i++) begins[g->edges[i].lo] = begins[g->edges[i].hi + 1] = 1;
    for (int byte = 0, k = 0; byte < 256; byte++) {
        k += byte > 0 && begins[byte];
        g->class_of[byte] = (uint8_t)k;
        g->n_classes = k + 1;
    }
}

vb_status vb_graph_make(vb_graph *g, const vb_rules *rules, int root, vb_err *err)
{
    maker m = {g, rules, malloc(((size_t)rules->n_rules + 1) * sizeof(int))};
    memset(g, 0, sizeof *g);
    vb_status s = m.entry == NULL ? vb_fail(err, VB_E_MEMORY, "grammar: out of memory") : vb_rules_check(rules, err);
    if (s == VB_OK) s = compile_rules(&m, err);
    if (s == VB_OK) {
        g->start = m.entry[root];
        find_classes(g);
        s = vb_graph_settle(g, err);
    }
    free(m.entry);
    if (s < 0) vb_graph_free(g);
    return s;
}

void vb_graph_free(vb_graph *g)
{
    free(g->nodes);
    free(g->edges);
    free(g->targets);
    memset(g, 0, sizeof *g);
}
