/* trie.c - see trie.h. Tokens are sorted by their bytes; a node begins wherever one differs from the one before. */
#include "grammar/trie.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES_MOST = 1 << 28 };

static vb_status read_texts(vb_trie *t, vb_trie_text_fn text, void *ud, vb_err *err)
{
    size_t cap = 0, n = 0;
    for (vb_token id = 0; id < t->n_vocab; id++) {
        if (cap - n < VB_TRIE_TEXT_MOST) {
            cap = cap * 2 + (1 << 16);
            char *room = cap > BYTES_MOST ? NULL : realloc(t->texts, cap);
            if (room == NULL) VB_FAIL(err, VB_E_MEMORY, "grammar: out of memory for the vocabulary's texts");
            t->texts = room;
        }
        int64_t len = text(ud, id, t->texts + n, VB_TRIE_TEXT_MOST);
        t->at[id] = (uint32_t)n;
        if (len < 0) t->ends[t->n_ends++] = id;
        if (len <= 0 || len > VB_TRIE_TEXT_MOST) continue;
        t->order[t->n_tokens++] = id;
        n += (size_t)len;
    }
    t->at[t->n_vocab] = (uint32_t)n;
    return VB_OK;
}

static int length(const vb_trie *t, vb_token id)
{
    return (int)(t->at[id + 1] - t->at[id]);
}

/* By bytes; what begins another stands in front of it; the same texts by id. */
static int by_text(const void *a, const void *b, void *ud)
{
    const vb_trie *t = ud;
    vb_token x = *(const vb_token *)a, y = *(const vb_token *)b;
    int n = length(t, x), m = length(t, y);
    int order = memcmp(t->texts + t->at[x], t->texts + t->at[y], (size_t)(n < m ? n : m));
    if (order != 0) return order;
    return n != m ? n - m : x < y ? -1 : 1;
}

static int common(const vb_trie *t, vb_token x, vb_token y)
{
    int n = length(t, x) < length(t, y) ? length(t, x) : length(t, y), i = 0;
    while (i < n && t->texts[t->at[x] + (uint32_t)i] == t->texts[t->at[y] + (uint32_t)i]) i++;
    return i;
}

/* open[d]: the node at depth d on the way to the last token. */
static void add_nodes(vb_trie *t, int *open)
{
    int deep = 0;
    for (int i = 0; i < t->n_tokens; i++) {
        vb_token id = t->order[i];
        int n = length(t, id), same = i == 0 ? 0 : common(t, t->order[i - 1], id);
        while (deep > same) t->nodes[open[--deep]].skip = t->n_nodes;
        for (; deep < n; deep++) {
            open[deep] = t->n_nodes;
            t->nodes[t->n_nodes++] = (vb_trie_node){
                .first = i, .depth = (uint16_t)deep, .byte = (uint8_t)t->texts[t->at[id] + (uint32_t)deep]};
        }
        vb_trie_node *last = &t->nodes[open[n - 1]];
        if (last->n == 0) last->first = i;
        last->n++;
        if (n > t->depth) t->depth = n;
    }
    while (deep > 0) t->nodes[open[--deep]].skip = t->n_nodes;
}

static size_t count_nodes(const vb_trie *t)
{
    size_t n = 0;
    for (int i = 0; i < t->n_tokens; i++)
        n += (size_t)(length(t, t->order[i]) - (i == 0 ? 0 : common(t, t->order[i - 1], t->order[i])));
    return n;
}

static vb_status make(vb_trie *t, vb_trie_text_fn text, void *ud, vb_err *err)
{
    int open[VB_TRIE_TEXT_MOST];
    size_t n = (size_t)t->n_vocab;
    t->order = calloc(n + 1, sizeof *t->order);
    t->ends = calloc(n + 1, sizeof *t->ends);
    t->at = calloc(n + 1, sizeof *t->at);
    if (t->order == NULL || t->ends == NULL || t->at == NULL)
        VB_FAIL(err, VB_E_MEMORY, "grammar: out of memory for %zu tokens", n);
    VB_TRY(read_texts(t, text, ud, err));
    qsort_r(t->order, (size_t)t->n_tokens, sizeof *t->order, by_text, t);
    t->nodes = calloc(count_nodes(t) + 1, sizeof *t->nodes);
    if (t->nodes == NULL) VB_FAIL(err, VB_E_MEMORY, "grammar: out of memory for %zu tokens", n);
    add_nodes(t, open);
    return VB_OK;
}

vb_status vb_trie_make(vb_trie *t, int n_vocab, vb_trie_text_fn text, void *ud, vb_err *err)
{
    memset(t, 0, sizeof *t);
    t->n_vocab = n_vocab;
    vb_status s = make(t, text, ud, err);
    if (s < 0) vb_trie_free(t);
    return s;
}

void vb_trie_free(vb_trie *t)
{
    free(t->nodes);
    free(t->order);
    free(t->ends);
    free(t->texts);
    free(t->at);
    memset(t, 0, sizeof *t);
}
