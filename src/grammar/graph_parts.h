/* graph_parts.h - the steps of vb_graph_make, which stand in files of their own. */
#ifndef VB_GRAMMAR_GRAPH_PARTS_H
#define VB_GRAMMAR_GRAPH_PARTS_H
#include "grammar/graph.h"

/* A node is added at the end; -1: out of memory or above the limit. */
int vb_graph_node(vb_graph *g, vb_node node);
int vb_graph_edge(vb_graph *g, uint8_t lo, uint8_t hi, int to); /* of the node that is added next; 0: failed */
int vb_graph_target(vb_graph *g, int to);
/* utf8.c: one code point of the sorted, disjoint ranges, then `next`. Gives the node, or -1. */
int vb_graph_points(vb_graph *g, const vb_range *ranges, int n, int next);
/* reach.c: marks the dead nodes, refuses left recursion. */
vb_status vb_graph_settle(vb_graph *g, vb_err *err);

#endif
