/* grammar.c - a place in a grammar, moved by tokens and shown as a mask.
 *
 *   core    network, known states, masks made lately: shared by all forks, one at a time uses it
 *   handle  one state; VB_STATE_NONE once an ending token was accepted
 *
 * A mask is one walk through the vocabulary's tree; where a byte may not stand the whole branch is skipped. A state's
 * mask never changes, so the last few are kept, which is all it takes inside of long texts.
 */
#include "grammar/grammar.h"

#include "grammar/stacks.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    MASKS = 32,                  /* kept */
    WORK_MOST = 20000000,        /* frames looked at by one call: some tenths of a second */
    STATES_BEFORE_TIDYING = 30000,
    FRAMES_BEFORE_TIDYING = 300000,
};

typedef struct {
    int state; /* VB_STATE_NONE: free */
    uint8_t *bits;
} known_mask;

typedef struct {
    pthread_mutex_t lock;
    vb_graph graph;
    vb_stacks stacks;
    const vb_trie *trie;
    vb_grammar *handles; /* all that share it */
    known_mask masks[MASKS];
    int turn; /* the mask that is given up next */
    const char *unheld[VB_UNHELD_MOST + 1];
    const char *kind; /* of the source */
    char *source;
    size_t source_len;
} core;

struct vb_grammar {
    core *core;
    int state;
    vb_grammar *next;
};

/* --- states --------------------------------------------------------------------------------------------------- */

/* Only states where somebody stands are worth keeping when there are many. */
static vb_status tidy(core *c, vb_err *err)
{
    int n = 0;
    c->stacks.work_most = c->stacks.work + WORK_MOST;
    if (c->stacks.n_states < STATES_BEFORE_TIDYING && c->stacks.n_frames < FRAMES_BEFORE_TIDYING) return VB_OK;
    for (vb_grammar *g = c->handles; g != NULL; g = g->next) n++;
    int **kept = malloc((size_t)n * sizeof *kept);
    if (kept == NULL) VB_FAIL(err, VB_E_MEMORY, "grammar: out of memory");
    n = 0;
    for (vb_grammar *g = c->handles; g != NULL; g = g->next)
        if (g->state >= 0) kept[n++] = &g->state;
    vb_status s = vb_stacks_keep(&c->stacks, kept, n, err);
    free(kept);
    c->stacks.work_most = c->stacks.work + WORK_MOST;
    for (int i = 0; i < MASKS; i++) c->masks[i].state = VB_STATE_NONE;
    return s;
}

/* The state behind the bytes; VB_STATE_NONE: they do not fit. */
static int walk(core *c, int state, const char *text, size_t len)
{
    for (size_t i = 0; i < len && state >= 0; i++) state = vb_stacks_step(&c->stacks, state, (uint8_t)text[i]);
    return state;
}

static int may_end(const core *c, int state)
{
    return state >= 0 && c->stacks.states[state].through;
}

static int ends(const vb_trie *t, vb_token id)
{
    for (int i = 0; i < t->n_ends; i++)
        if (t->ends[i] == id) return 1;
    return 0;
}

/* 1 and the state behind the token, 0: it does not fit; or what went wrong. */
static int behind(vb_grammar *g, vb_token id, int *state, vb_err *err)
{
    core *c = g->core;
    const vb_trie *t = c->trie;
    *state = VB_STATE_NONE;
    if (id < 0 || id >= t->n_vocab || g->state < 0) return 0;
    if (ends(t, id)) return may_end(c, g->state);
    uint32_t from = t->at[id], to = t->at[id + 1];
    if (from == to) return 0;
    *state = walk(c, g->state, t->texts + from, to - from);
    return *state == VB_STATE_FAILED ? (int)vb_stacks_error(&c->stacks, err) : *state >= 0;
}

VB_API vb_status vb_grammar_accept(vb_grammar *g, vb_token id, vb_err *err)
{
    int state = VB_STATE_NONE;
    pthread_mutex_lock(&g->core->lock);
    int s = tidy(g->core, err);
    if (s == VB_OK) s = behind(g, id, &state, err);
    if (s == 1) g->state = state;
    pthread_mutex_unlock(&g->core->lock);
    if (s == 0) VB_FAIL(err, VB_E_ARGUMENT, "grammar: expected a token that may stand here, found %d", (int)id);
    return s < 0 ? (vb_status)s : VB_OK;
}

VB_API vb_status vb_grammar_accept_text(vb_grammar *g, const char *text, size_t len, vb_err *err)
{
    core *c = g->core;
    pthread_mutex_lock(&c->lock);
    vb_status s = tidy(c, err);
    int state = s == VB_OK ? walk(c, g->state, text, len) : VB_STATE_NONE;
    if (s == VB_OK && state == VB_STATE_FAILED) s = vb_stacks_error(&c->stacks, err);
    else if (s == VB_OK && state < 0)
        s = vb_fail(err, VB_E_ARGUMENT, "grammar: expected a text that fits, found another");
    if (s == VB_OK) g->state = state;
    pthread_mutex_unlock(&c->lock);
    return s;
}

VB_API int vb_grammar_allows(vb_grammar *g, vb_token id, vb_err *err)
{
    int state;
    pthread_mutex_lock(&g->core->lock);
    int s = tidy(g->core, err);
    if (s == VB_OK) s = behind(g, id, &state, err);
    pthread_mutex_unlock(&g->core->lock);
    return s;
}

VB_API int vb_grammar_may_end(vb_grammar *g)
{
    pthread_mutex_lock(&g->core->lock);
    int may = g->state == VB_STATE_NONE || may_end(g->core, g->state);
    pthread_mutex_unlock(&g->core->lock);
    return may;
}

/* --- masks ---------------------------------------------------------------------------------------------------- */

static void allow(uint8_t *bits, vb_token id)
{
    bits[id >> 3] |= (uint8_t)(1u << (id & 7));
}

/* at[d]: the state in front of a byte at depth d. 0: failed */
static int fill(core *c, int state, uint8_t *bits)
{
    const vb_trie *t = c->trie;
    int at[VB_TRIE_TEXT_MOST + 1];
    memset(bits, 0, vb_mask_bytes(t->n_vocab));
    at[0] = state;
    for (int i = 0; i < t->n_nodes;) {
        const vb_trie_node *n = &t->nodes[i];
        int next = vb_stacks_step(&c->stacks, at[n->depth], n->byte);
        if (next == VB_STATE_FAILED) return 0;
        if (next < 0) {
            i = n->skip;
            continue;
        }
        at[n->depth + 1] = next;
        for (int k = 0; k < n->n; k++) allow(bits, t->order[n->first + k]);
        i++;
    }
    for (int i = 0; i < t->n_ends && may_end(c, state); i++) allow(bits, t->ends[i]);
    return 1;
}

/* The mask of a state, which stays until the next one is made; NULL: failed. */
static const uint8_t *mask_of(core *c, int state, vb_err *err)
{
    for (int i = 0; i < MASKS; i++)
        if (c->masks[i].state == state) return c->masks[i].bits;
    known_mask *m = &c->masks[c->turn];
    if (m->bits == NULL) m->bits = malloc(vb_mask_bytes(c->trie->n_vocab) + 1);
    m->state = VB_STATE_NONE;
    if (m->bits == NULL) vb_fail(err, VB_E_MEMORY, "grammar: out of memory");
    else if (!fill(c, state, m->bits)) vb_stacks_error(&c->stacks, err);
    else m->state = state;
    c->turn = (c->turn + 1) % MASKS;
    return m->state == state ? m->bits : NULL;
}

VB_API vb_status vb_grammar_mask(vb_grammar *g, uint8_t *mask, size_t bytes, vb_err *err)
{
    core *c = g->core;
    vb_err why = {.code = VB_OK};
    size_t needed = vb_mask_bytes(c->trie->n_vocab);
    if (bytes < needed) VB_FAIL(err, VB_E_ARGUMENT, "grammar: mask: expected %zu bytes, found %zu", needed, bytes);
    memset(mask, 0, bytes);
    pthread_mutex_lock(&c->lock);
    vb_status s = tidy(c, &why);
    if (s == VB_OK && g->state >= 0) {
        const uint8_t *bits = mask_of(c, g->state, &why);
        if (bits != NULL) memcpy(mask, bits, needed);
        else s = why.code;
    }
    pthread_mutex_unlock(&c->lock);
    if (s < 0 && err != NULL) *err = why;
    return s;
}

/* --- objects -------------------------------------------------------------------------------------------------- */

static void close_core(core *c)
{
    vb_stacks_close(&c->stacks);
    vb_graph_free(&c->graph);
    for (int i = 0; i < MASKS; i++) free(c->masks[i].bits);
    pthread_mutex_destroy(&c->lock);
    free(c->source);
    free(c);
}

static vb_status open_core(core **out, const vb_rules *rules, int root, const vb_trie *trie, vb_err *err)
{
    core *c = calloc(1, sizeof *c);
    if (c == NULL) VB_FAIL(err, VB_E_MEMORY, "grammar: out of memory");
    c->trie = trie;
    for (int i = 0; i < rules->n_unheld; i++) c->unheld[i] = rules->unheld[i];
    for (int i = 0; i < MASKS; i++) c->masks[i].state = VB_STATE_NONE;
    pthread_mutex_init(&c->lock, NULL);
    vb_status s = vb_graph_make(&c->graph, rules, root, err);
    if (s == VB_OK) s = vb_stacks_open(&c->stacks, &c->graph, err);
    if (s < 0) {
        close_core(c);
        return s;
    }
    *out = c;
    return VB_OK;
}

/* A further handle on the core. */
static vb_status join(vb_grammar **out, core *c, int state, vb_err *err)
{
    vb_grammar *g = calloc(1, sizeof *g);
    if (g == NULL) VB_FAIL(err, VB_E_MEMORY, "grammar: out of memory");
    *g = (vb_grammar){c, state, c->handles};
    c->handles = g;
    *out = g;
    return VB_OK;
}

vb_status vb_grammar_make(vb_grammar **out, const vb_rules *rules, int root, const vb_trie *trie, vb_err *err)
{
    core *c = NULL;
    *out = NULL;
    VB_TRY(open_core(&c, rules, root, trie, err));
    c->stacks.work_most = WORK_MOST;
    int state = vb_stacks_start(&c->stacks);
    vb_status s = state < 0 ? vb_stacks_error(&c->stacks, err) : join(out, c, state, err);
    if (s < 0) close_core(c);
    return s;
}

vb_status vb_grammar_remember(vb_grammar *g, const char *kind, const char *text, size_t len, vb_err *err)
{
    core *c = g->core;
    c->source = malloc(len + 1);
    if (c->source == NULL) VB_FAIL(err, VB_E_MEMORY, "grammar: out of memory");
    memcpy(c->source, text, len);
    c->source_len = len;
    c->kind = kind;
    return VB_OK;
}

VB_API const char *vb_grammar_source(const vb_grammar *g, const char **kind, size_t *len)
{
    *kind = g->core->kind;
    *len = g->core->source_len;
    return g->core->source;
}

VB_API const char *vb_grammar_unheld(const vb_grammar *g, int index)
{
    return index >= 0 && index < VB_UNHELD_MOST ? g->core->unheld[index] : NULL;
}

VB_API vb_status vb_grammar_fork(vb_grammar **out, vb_grammar *g, vb_err *err)
{
    *out = NULL;
    pthread_mutex_lock(&g->core->lock);
    vb_status s = join(out, g->core, g->state, err);
    pthread_mutex_unlock(&g->core->lock);
    return s;
}

VB_API void vb_grammar_close(vb_grammar *g)
{
    if (g == NULL) return;
    core *c = g->core;
    pthread_mutex_lock(&c->lock);
    vb_grammar **link = &c->handles;
    while (*link != g) link = &(*link)->next;
    *link = g->next;
    int last = c->handles == NULL;
    pthread_mutex_unlock(&c->lock);
    free(g);
    if (last) close_core(c);
}
