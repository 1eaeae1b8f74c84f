/* utf8.c - ranges of code points as edges over UTF-8 bytes.
 *
 *   range     split so that each piece has one length and, from the second byte on, whole blocks or one leading byte
 *   [é-ß]     c3 [..]          one edge for the first byte, one for the second
 *   [ࠀ-￿]     e0 [a0-bf] [80-bf] | [e1-ec] [80-bf] [80-bf] | ...
 *
 * Surrogates are no code points and have no bytes.
 */
#include "grammar/graph_parts.h"

enum { MOST_EDGES = 64 };

/* Edges of the first byte, collected before they are added, as a node's edges stand side by side. */
typedef struct {
    vb_graph *g;
    int next, failed;
    int whole[4]; /* [k]: the node behind which k continuation bytes of any value follow; -1: not made yet */
} points;

static int one_edge(points *p, uint32_t lo, uint32_t hi, int to)
{
    vb_node node = {.kind = VB_NODE_BYTES, .next = p->g->n_edges, .n = 1};
    int made = vb_graph_edge(p->g, (uint8_t)lo, (uint8_t)hi, to) ? vb_graph_node(p->g, node) : -1;
    if (made < 0) p->failed = 1;
    return made;
}

/* Any k continuation bytes. */
static int any_tail(points *p, int k)
{
    if (k == 0) return p->next;
    if (p->whole[k] < 0) p->whole[k] = one_edge(p, 0x80, 0xbf, any_tail(p, k - 1));
    return p->whole[k];
}

typedef struct {
    uint8_t lo, hi;
    int to;
} head;
typedef struct {
    head heads[MOST_EDGES];
    int n;
} heads;

static void put(points *p, heads *h, uint32_t lo, uint32_t hi, int to)
{
    if (h->n == MOST_EDGES) p->failed = 1;
    else h->heads[h->n++] = (head){(uint8_t)lo, (uint8_t)hi, to};
}

static int node_of(points *p, const heads *h)
{
    vb_node node = {.kind = VB_NODE_BYTES, .next = p->g->n_edges, .n = h->n};
    for (int i = 0; i < h->n; i++)
        if (!vb_graph_edge(p->g, h->heads[i].lo, h->heads[i].hi, h->heads[i].to)) p->failed = 1;
    int made = p->failed ? -1 : vb_graph_node(p->g, node);
    if (made < 0) p->failed = 1;
    return made;
}

/* The continuation bytes of values lo .. hi below 64^k, as a node. */
static int tail(points *p, uint32_t lo, uint32_t hi, int k)
{
    heads h = {.n = 0};
    if (k == 0) return p->next;
    uint32_t unit = 1u << 6 * (k - 1);
    if (lo == 0 && hi == (unit << 6) - 1) return any_tail(p, k);
    uint32_t first = lo / unit, last = hi / unit, from = lo % unit, to = hi % unit;
    if (first == last) return one_edge(p, 0x80 + first, 0x80 + first, tail(p, from, to, k - 1));
    int partly = from > 0, partly_last = to < unit - 1;
    if (partly) put(p, &h, 0x80 + first, 0x80 + first, tail(p, from, unit - 1, k - 1));
    if (first + (uint32_t)partly + (uint32_t)partly_last <= last)
        put(p, &h, 0x80 + first + (uint32_t)partly, 0x80 + last - (uint32_t)partly_last, any_tail(p, k - 1));
    if (partly_last) put(p, &h, 0x80 + last, 0x80 + last, tail(p, 0, to, k - 1));
    return node_of(p, &h);
}

/* Code points of one encoded length, k continuation bytes behind a first byte that begins at `mark`. */
static void add_length(points *p, heads *h, vb_range r, int k, uint32_t mark)
{
    uint32_t unit = 1u << 6 * k, first = r.lo / unit, last = r.hi / unit, from = r.lo % unit, to = r.hi % unit;
    if (k == 0) {
        put(p, h, r.lo, r.hi, p->next);
        return;
    }
    if (first == last) {
        put(p, h, mark + first, mark + first, tail(p, from, to, k));
        return;
    }
    int partly = from > 0, partly_last = to < unit - 1;
    if (partly) put(p, h, mark + first, mark + first, tail(p, from, unit - 1, k));
    if (first + (uint32_t)partly + (uint32_t)partly_last <= last)
        put(p, h, mark + first + (uint32_t)partly, mark + last - (uint32_t)partly_last, any_tail(p, k));
    if (partly_last) put(p, h, mark + last, mark + last, tail(p, 0, to, k));
}

static void add_range(points *p, heads *h, vb_range r)
{
    static const struct {
        uint32_t lo, hi, mark;
        int tail;
    } parts[] = {{0, 0x7f, 0, 0}, {0x80, 0x7ff, 0xc0, 1}, {0x800, 0xd7ff, 0xe0, 2}, {0xe000, 0xffff, 0xe0, 2},
                 {0x10000, 0x10ffff, 0xf0, 3}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        vb_range part = {r.lo > parts[i].lo ? r.lo : parts[i].lo, r.hi < parts[i].hi ? r.hi : parts[i].hi};
        if (part.lo <= part.hi) add_length(p, h, part, parts[i].tail, parts[i].mark);
    }
}

/* Up to MOST_EDGES edges stand in one node; more become several nodes side by side. */
int vb_graph_points(vb_graph *g, const vb_range *ranges, int n, int next)
{
    points p = {g, next, 0, {next, -1, -1, -1}};
    int nodes[256], k = 0;
    for (int i = 0; i < n && !p.failed;) {
        heads h = {.n = 0};
        while (i < n && h.n + 15 <= MOST_EDGES) add_range(&p, &h, ranges[i++]);
        if (k == 256) return -1;
        nodes[k++] = node_of(&p, &h);
    }
    if (p.failed) return -1;
    if (k == 1) return nodes[0];
    vb_node split = {.kind = VB_NODE_SPLIT, .next = g->n_targets, .n = k};
    for (int i = 0; i < k; i++)
        if (!vb_graph_target(g, nodes[i])) return -1;
    return vb_graph_node(g, split);
}
