/* tree.c - traces as a family: who branches from whom.
 *
 *   a.trace   [header] [0] [1] [2] [3] [4] ..
 *                               \ link before 3
 *   b.trace   [header: parent = that link, parent_at = 3] [0] [1] [2] [3'] ..
 *
 * A link names all that was recorded before it, so no name and no path is needed to find a parent, wherever it lies. If
 * several files begin alike, the first one given is the parent.
 */
#include "traces/read.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_MOST = 64, LINK = VB_TRACE_LINK };

typedef struct {
    vb_trace_node node;
    uint8_t (*links)[LINK]; /* before each token, and behind the last */
    int cap, parent;        /* parent: an index, -1 none */
    char text[TEXT_MOST];
    vb_err err;
} member;

typedef struct {
    member *members;
    int n;
    int (*fn)(void *ud, const vb_trace_node *node);
    void *ud;
} family;

/* --- reading --------------------------------------------------------------------------------------------- */

static vb_status add_link(member *m, const uint8_t *link, vb_err *err)
{
    if (m->node.tokens == m->cap) {
        int cap = m->cap > 0 ? m->cap * 2 : 256;
        uint8_t(*more)[LINK] = realloc(m->links, (size_t)cap * sizeof *more);
        if (more == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory for %d links", m->node.path, cap);
        m->links = more;
        m->cap = cap;
    }
    memcpy(m->links[m->node.tokens], link, LINK);
    return VB_OK;
}

/* Whole characters only: a piece that does not fit ends the text. */
static void add_text(member *m, const vb_trace_text *text)
{
    if (text->len > TEXT_MOST - m->node.text_len) return;
    if (text->len > 0) memcpy(m->text + m->node.text_len, text->data, text->len);
    m->node.text_len += text->len;
}

static vb_status read_tokens(member *m, vb_trace_reader *reader, vb_err *err)
{
    vb_trace_node *node = &m->node;
    vb_trace_record record;
    for (int more = 1; more;) {
        size_t before;
        int ended = reader->ended;
        do {
            before = reader->at;
            VB_TRY(vb_trace_next_any(reader, &record, &more, err));
        } while (more && (record.type == VB_TRACE_TAP || record.type == VB_TRACE_SIGNATURE));
        if (!ended) VB_TRY(add_link(m, reader->data + before - LINK, err));
        if (!more || record.type == VB_TRACE_END) continue;
        node->given += !record.as.token.chosen;
        if (node->tokens >= node->at) add_text(m, &record.as.token.text);
        node->tokens++;
    }
    return VB_OK;
}

static vb_status read_member(member *m, vb_err *err)
{
    vb_trace_file file;
    VB_TRY(vb_trace_file_open(&file, m->node.path, err));
    vb_trace_reader *reader = &file.reader;
    m->node.at = reader->header.parent_at;
    memcpy(m->node.parent_link, reader->header.parent, LINK);
    vb_status s = read_tokens(m, reader, err);
    m->node.ended = reader->ended;
    memcpy(m->node.digest, reader->data + reader->link, LINK);
    vb_trace_file_close(&file);
    return s;
}

/* --- the family ------------------------------------------------------------------------------------------ */

static int find_parent(const family *f, const member *child)
{
    static const uint8_t none[LINK];
    if (child->node.error != NULL || memcmp(child->node.parent_link, none, LINK) == 0) return -1;
    for (int i = 0; i < f->n; i++) {
        const member *m = &f->members[i];
        if (m == child || m->node.error != NULL || m->node.tokens < child->node.at) continue;
        if (memcmp(m->links[child->node.at], child->node.parent_link, LINK) == 0) return i;
    }
    return -1;
}

/* The branch of `parent` that comes behind (at, index) in the order of positions; -1: none. */
static int next_branch(const family *f, int parent, int at, int index)
{
    int best = -1;
    for (int i = 0; i < f->n; i++) {
        int here = f->members[i].node.at;
        if (f->members[i].parent != parent || here < at || (here == at && i <= index)) continue;
        if (best < 0 || here < f->members[best].node.at) best = i;
    }
    return best;
}

/* The member, then its branches with theirs; down by `parent`, so without a stack. */
static vb_status walk(family *f, int root)
{
    for (int at = root; at >= 0;) {
        int next = next_branch(f, at, -1, -1);
        if (f->fn(f->ud, &f->members[at].node) != 0) return VB_E_STOPPED;
        while (next < 0 && at != root) {
            int up = f->members[at].parent;
            next = next_branch(f, up, f->members[at].node.at, at);
            at = up;
        }
        if (next >= 0) f->members[next].node.depth = f->members[at].node.depth + 1;
        at = next;
    }
    return VB_OK;
}

static vb_status read_family(family *f, const char *const *paths, vb_err *err)
{
    for (int i = 0; i < f->n; i++) {
        member *m = &f->members[i];
        m->node.path = paths[i];
        m->node.text = m->text;
        vb_status s = read_member(m, &m->err);
        if (s == VB_E_MEMORY) VB_FAIL(err, s, "%s", m->err.text);
        if (s < 0) m->node.error = m->err.text;
    }
    for (int i = 0; i < f->n; i++) {
        member *m = &f->members[i];
        m->parent = find_parent(f, m);
        if (m->parent >= 0) m->node.parent = paths[m->parent];
    }
    return VB_OK;
}

VB_API vb_status vb_trace_tree(const char *const *paths, int n, int (*fn)(void *ud, const vb_trace_node *node), void *ud,
                               vb_err *err)
{
    family f = {.members = calloc((size_t)n + 1, sizeof *f.members), .n = n, .fn = fn, .ud = ud};
    if (f.members == NULL) VB_FAIL(err, VB_E_MEMORY, "out of memory for %d traces", n);
    vb_status s = read_family(&f, paths, err);
    for (int i = 0; s == VB_OK && i < n; i++)
        if (f.members[i].parent < 0) s = walk(&f, i);
    for (int i = 0; i < n; i++) free(f.members[i].links);
    free(f.members);
    if (s == VB_E_STOPPED) VB_FAIL(err, s, "stopped");
    return s;
}
