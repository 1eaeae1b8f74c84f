/* reach.c - what a network can reach: ends (or a node is dead), ends without a byte, itself without a byte.
 *
 * Both kinds of ends are least fixed points, found backwards from END nodes over the arrows turned around, each arrow
 * once. Calls without a byte in front are then arrows between the first nodes of rules; a cycle of them is a left
 * recursion, which would call forever.
 */
#include "grammar/graph_parts.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    vb_graph *g;
    int *first, *from; /* arrows into node i come from from[first[i]] .. from[first[i + 1] - 1] */
    int *stack;        /* [nodes] */
    uint8_t *ends, *empty; /* [nodes] its end can be reached; by no byte at all */
} reach;

static void arrow(reach *r, int fill, int from, int to)
{
    if (fill) r->from[--r->first[to]] = from;
    else r->first[to]++;
}

static void arrows(reach *r, int fill)
{
    for (int i = 0; i < r->g->n_nodes; i++) {
        const vb_node *n = &r->g->nodes[i];
        if (n->kind == VB_NODE_CALL || n->kind == VB_NODE_REPEAT) {
            arrow(r, fill, i, n->to);
            arrow(r, fill, i, n->next);
        }
        for (int k = 0; k < n->n && n->kind == VB_NODE_BYTES; k++) arrow(r, fill, i, r->g->edges[n->next + k].to);
        for (int k = 0; k < n->n && n->kind == VB_NODE_SPLIT; k++) arrow(r, fill, i, r->g->targets[n->next + k]);
    }
}

static void turn_around(reach *r)
{
    arrows(r, 0);
    for (int i = 1; i <= r->g->n_nodes; i++) r->first[i] += r->first[i - 1];
    arrows(r, 1); /* each first[i] walks back to where its arrows begin */
}

static int passes(const vb_node *n, const uint8_t *on, int bytes)
{
    switch ((vb_node_kind)n->kind) {
    case VB_NODE_END:
    case VB_NODE_SPLIT: return 1;
    case VB_NODE_BYTES: return bytes;
    case VB_NODE_CALL: return on[n->to] && on[n->next];
    case VB_NODE_REPEAT: return on[n->next] && (n->least == 0 || on[n->to]);
    }
    return 0;
}

/* on[i]: the end of node i's rule can be reached; with `bytes` 0: without one. */
static void spread(reach *r, uint8_t *on, int bytes)
{
    int n = 0;
    for (int i = 0; i < r->g->n_nodes; i++) {
        on[i] = r->g->nodes[i].kind == VB_NODE_END;
        if (on[i]) r->stack[n++] = i;
    }
    while (n > 0) {
        int i = r->stack[--n];
        for (int k = r->first[i]; k < r->first[i + 1]; k++) {
            int p = r->from[k];
            if (on[p] || !passes(&r->g->nodes[p], on, bytes)) continue;
            on[p] = 1;
            r->stack[n++] = p;
        }
    }
}

/* --- left recursion ------------------------------------------------------------------------------------------- */

typedef struct {
    reach *r;
    int *calls;        /* first nodes that are called without a byte in front, one rule's behind the other's */
    int *begin, *end;  /* [nodes] of the rule that begins at a node: its share of `calls` */
    uint8_t *seen;     /* [nodes] */
    int n;
} leftmost;

static void visit(leftmost *l, int node, int *n)
{
    if (l->seen[node]) return;
    l->seen[node] = 1;
    l->r->stack[(*n)++] = node;
}

/* The calls that stand leftmost in the rule that begins at `entry`. */
static void find_calls(leftmost *l, int entry)
{
    reach *r = l->r;
    int n = 0;
    l->begin[entry] = l->n;
    visit(l, entry, &n);
    while (n > 0) {
        const vb_node *node = &r->g->nodes[r->stack[--n]];
        for (int k = 0; k < node->n && node->kind == VB_NODE_SPLIT; k++) visit(l, r->g->targets[node->next + k], &n);
        if (node->kind != VB_NODE_CALL && node->kind != VB_NODE_REPEAT) continue;
        l->calls[l->n++] = node->to;
        if (r->empty[node->to] || (node->kind == VB_NODE_REPEAT && node->least == 0)) visit(l, node->next, &n);
    }
    l->end[entry] = l->n;
}

/* Walks down from call to call; `seen` now: 1 on the way, 2 done. The stack holds the way. */
static int comes_back(leftmost *l, int entry)
{
    int *way = l->r->stack, n = 0;
    if (l->seen[entry] == 2) return 0;
    way[n++] = entry;
    l->seen[entry] = 1;
    while (n > 0) {
        int at = way[n - 1];
        if (l->begin[at] == l->end[at]) {
            l->seen[at] = 2;
            n--;
            continue;
        }
        int to = l->calls[l->begin[at]++];
        if (l->seen[to] == 1) return 1;
        if (l->seen[to] == 2) continue;
        l->seen[to] = 1;
        way[n++] = to;
    }
    return 0;
}

static int is_left_recursive(leftmost *l)
{
    vb_graph *g = l->r->g;
    for (int i = 0; i < g->n_nodes; i++) l->begin[i] = -1;
    for (int i = 0; i < g->n_nodes; i++) {
        const vb_node *n = &g->nodes[i];
        int calls = n->kind == VB_NODE_CALL || n->kind == VB_NODE_REPEAT;
        if (calls && l->begin[n->to] < 0) find_calls(l, n->to);
    }
    if (l->begin[g->start] < 0) find_calls(l, g->start);
    memset(l->seen, 0, (size_t)g->n_nodes);
    for (int i = 0; i < g->n_nodes; i++)
        if (l->begin[i] >= 0 && comes_back(l, i)) return 1;
    return 0;
}

static vb_status judge(reach *r, leftmost *l, vb_err *err)
{
    turn_around(r);
    spread(r, r->empty, 0);
    spread(r, r->ends, 1);
    for (int i = 0; i < r->g->n_nodes; i++) r->g->nodes[i].dead = !r->ends[i];
    if (is_left_recursive(l))
        VB_FAIL(err, VB_E_FORMAT, "grammar: a rule calls itself before anything is written (left recursion)");
    if (r->g->nodes[r->g->start].dead) VB_FAIL(err, VB_E_FORMAT, "grammar: there is no text that fits");
    return VB_OK;
}

vb_status vb_graph_settle(vb_graph *g, vb_err *err)
{
    size_t n = (size_t)g->n_nodes, arrows_most = 2 * n + (size_t)g->n_edges + (size_t)g->n_targets;
    reach r = {.g = g};
    leftmost l = {.r = &r};
    vb_status s = VB_OK;
    int *room = calloc(5 * n + 1 + arrows_most, sizeof *room);
    uint8_t *flags = calloc(3 * n, 1);
    if (room == NULL || flags == NULL) {
        s = vb_fail(err, VB_E_MEMORY, "grammar: out of memory for %zu states", n);
    } else {
        r.first = room;
        r.stack = r.first + n + 1;
        l.begin = r.stack + n;
        l.end = l.begin + n;
        l.calls = l.end + n; /* a node calls at most once */
        r.from = l.calls + n;
        r.ends = flags;
        r.empty = flags + n;
        l.seen = flags + 2 * n;
        s = judge(&r, &l, err);
    }
    free(room);
    free(flags);
    return s;
}
