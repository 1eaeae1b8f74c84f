/* graph.h - rules as a network over bytes, with calls.
 *
 *   BYTES   one byte of an edge's range, then on from the edge's target
 *   SPLIT   on from any of the targets
 *   CALL    through another rule, then on
 *   REPEAT  through `body` between `least` and `most` times, then on
 *   END     back to the caller
 *
 * A code point becomes its UTF-8 bytes here, so that a token may begin or end in the middle of one.
 *
 * Invariants: no node can come back to itself by calls without a byte in between (a left recursion is refused), and
 * from every node that is not `dead` the end of its rule can be reached.
 */
#ifndef VB_GRAMMAR_GRAPH_H
#define VB_GRAMMAR_GRAPH_H
#include "grammar/expr.h"

enum { VB_GRAPH_NODES_MOST = 100000, VB_GRAPH_EDGES_MOST = 1000000 };

typedef enum { VB_NODE_BYTES, VB_NODE_SPLIT, VB_NODE_CALL, VB_NODE_REPEAT, VB_NODE_END } vb_node_kind;

typedef struct {
    uint8_t kind, dead;
    int next;    /* CALL, REPEAT: behind it; BYTES, SPLIT: the first edge or target */
    int n;       /* BYTES, SPLIT: how many */
    int to;      /* CALL: the rule's first node; REPEAT: the body's */
    int least, most;
} vb_node;

typedef struct {
    uint8_t lo, hi;
    int to;
} vb_edge;

typedef struct {
    vb_node *nodes;
    int n_nodes, cap_nodes;
    vb_edge *edges;
    int n_edges, cap_edges;
    int *targets;
    int n_targets, cap_targets;
    int start;
    uint8_t class_of[256]; /* bytes that no edge tells apart share a class */
    int n_classes;
} vb_graph;

/* `root`: the rule that the whole text is. Errors: a rule that is not defined, left recursion, nothing that could be
 * written, limits. */
vb_status vb_graph_make(vb_graph *g, const vb_rules *rules, int root, vb_err *err);
void vb_graph_free(vb_graph *g);

#endif
