/* step.c - all slots together, for as long as there is time.
 *
 *   start: free slots take lines that wait --> choose: whoever has logits, a token each --> evaluate the others' tokens
 *      ^                                                                                        |      in one vb_eval
 *      '----------------------------------------------------------------------------------------'
 *
 * Prompts and next tokens are evaluated together. An evaluation that the deadline interrupts is asked for again in the next
 * call and goes on where it was (vb_session_between). Everything else is short: the clock is looked at between two choices and
 * two starts.
 *
 * Invariant: between two calls no evaluation runs, no thread of ours waits and nothing is half done but in work areas that
 * may be lost.
 */
#include "cast/cast.h"

#include <limits.h>

typedef struct {
    int64_t deadline;
    int left;   /* tokens that may be chosen */
    int worked; /* 1: something was done, however late it is */
} budget;

static int is_spent(const budget *b)
{
    return b->left <= 0 || (b->worked && b->deadline != INT64_MAX && vb_cast_now() >= b->deadline);
}

/* --- ends of lines --------------------------------------------------------------------------------------------- */

static void name_of(const vb_cast *c, const vb_saying *line, uint8_t name[32])
{
    vb_namer_begin(c->namer, &line->key, c->roles[line->role].is.name, (uint64_t)line->n_prompt);
    vb_namer_add(c->namer, line->tokens, (size_t)line->n_prompt);
    vb_namer_end(c->namer, name);
}

static void keep_in_table(vb_cast *c, const vb_saying *line)
{
    uint8_t name[32];
    vb_line l;
    if (c->bake == NULL || line->failed < 0 || c->bake_err.code < 0) return;
    vb_saying_describe(c, line, &l);
    vb_said said = {l.text, l.len, l.end, l.attempts, l.prompt_tokens, l.tokens};
    name_of(c, line, name);
    vb_bake_add(c->bake, name, &said, &c->bake_err);
}

void vb_saying_complete(vb_cast *c, vb_saying *line)
{
    line->state = VB_SAYING_DONE;
    keep_in_table(c, line);
    if (line->entity >= 0) vb_past_settle(c, line->entity);
}

static void complete(vb_cast *c, vb_saying *line)
{
    vb_saying_complete(c, line);
    vb_row_add(c, &c->done, line);
    c->unfinished--;
}

int vb_saying_is_baked(vb_cast *c, vb_saying *line)
{
    uint8_t name[32];
    vb_err err;
    if (c->table == NULL) return 0;
    name_of(c, line, name);
    if (!vb_table_find(c->table, name, &line->said)) return 0;
    line->baked = 1;
    line->end = line->said.end;
    if (vb_past_remember(c, line, line->said.text, line->said.len, &err) < 0) vb_saying_fail(line, &err);
    return 1;
}

/* --- starting -------------------------------------------------------------------------------------------------- */

static vb_slot_of *free_slot(vb_cast *c)
{
    for (int i = 0; i < c->n_slots; i++)
        if (c->slots[i].line < 0) return &c->slots[i];
    return NULL;
}

/* A line whose prompt is known leaves the row: it speaks, is in the table, or has failed. */
static void start(vb_cast *c, vb_slot_of *slot, vb_saying *line, const vb_err *failed)
{
    vb_err err;
    vb_row_remove(c, &c->waiting, line);
    if (failed != NULL) vb_saying_fail(line, failed);
    else if (vb_saying_is_baked(c, line)) line->state = VB_SAYING_DONE;
    else if (vb_slot_begin(c, slot, line, &err) < 0) vb_slot_fail(c, slot, &err);
    if (line->state == VB_SAYING_DONE) complete(c, line);
}

/* 1: lines were started, or finished without being spoken. */
static int start_some(vb_cast *c, budget *b)
{
    vb_slot_of *slot = free_slot(c);
    int started = 0;
    for (int i = c->waiting.first, next; i >= 0 && slot != NULL && !is_spent(b); i = next) {
        vb_saying *line = &c->lines[i];
        vb_err err;
        next = line->next;
        vb_status s = vb_saying_prepare(c, line, &err);
        if (s == VB_OK && line->n_prompt == 0) continue;
        start(c, slot, line, s < 0 ? &err : NULL);
        started = b->worked = 1;
        slot = free_slot(c);
    }
    return started;
}

/* --- choosing -------------------------------------------------------------------------------------------------- */

static int choose_some(vb_cast *c, budget *b)
{
    int chosen = 0;
    for (int i = 0; i < c->n_slots; i++) {
        vb_slot_of *s = &c->slots[i];
        if (s->line < 0 || vb_slot_missing(c, s) > 0) continue;
        if (is_spent(b)) return chosen;
        vb_saying *line = &c->lines[s->line];
        vb_slot_choose(c, s);
        b->left--;
        chosen = b->worked = 1;
        if (line->state == VB_SAYING_DONE) complete(c, line);
    }
    return chosen;
}

/* --- evaluating ------------------------------------------------------------------------------------------------ */

/* From the slot that comes next, as many as may be evaluated together. */
static void gather(vb_cast *c, int in_time)
{
    vb_group *g = &c->group;
    int sessions = c->n_slots, tokens = c->n_slots + VB_CAST_CHUNK;
    if (in_time) vb_pace_limits(c, &sessions, &tokens);
    g->n = g->tokens = g->steps = 0;
    for (int k = 0, first = c->turn; k < c->n_slots; k++) {
        int i = (first + k) % c->n_slots;
        const vb_slot_of *s = &c->slots[i];
        int missing = vb_slot_missing(c, s), left = tokens - g->tokens;
        if (s->line < 0 || missing <= 0) continue;
        c->turn = i;
        if (g->n == sessions || left == 0) return;
        const vb_saying *line = &c->lines[s->line];
        int n = missing < left ? missing : left;
        g->works[g->n++] = (vb_work){.session = s->session, .ids = line->tokens + line->n - missing, .n = n};
        g->tokens += n;
    }
}

static vb_slot_of *slot_of(vb_cast *c, const vb_session *session)
{
    vb_slot_of *s = c->slots;
    while (s->session != session) s++;
    return s;
}

/* Whose evaluation fails is found by evaluating each alone. */
static void eval_alone(vb_cast *c)
{
    for (int i = 0; i < c->group.n; i++) {
        vb_err err;
        vb_slot_of *s = slot_of(c, c->group.works[i].session);
        if (vb_eval(&c->group.works[i], 1, &err) >= 0) continue;
        vb_saying *line = &c->lines[s->line];
        vb_slot_fail(c, s, &err);
        complete(c, line);
    }
}

/* 1: done, or failed; 0: there is nothing to evaluate, or the deadline has come. */
static int evaluate(vb_cast *c, budget *b)
{
    if (c->group.n == 0) gather(c, b->deadline != INT64_MAX);
    if (c->group.n == 0) return 0;
    vb_status s = vb_group_eval(c, b->deadline, NULL);
    b->worked = 1;
    if (s == VB_E_STOPPED) return 0;
    if (s < 0) eval_alone(c);
    c->group.n = 0;
    return 1;
}

VB_API int vb_cast_step(vb_cast *c, int max_tokens, int64_t deadline_ns, vb_err *err)
{
    budget b = {.deadline = deadline_ns == 0 ? INT64_MAX : deadline_ns, .left = max_tokens == 0 ? INT_MAX : max_tokens};
    if (max_tokens < 0) VB_FAIL(err, VB_E_ARGUMENT, "step: expected 0 tokens or more, found %d", max_tokens);
    for (int more = 1; more && !is_spent(&b);) {
        more = c->group.n > 0 ? 0 : choose_some(c, &b);
        if (!is_spent(&b)) more |= start_some(c, &b);
        if (!is_spent(&b)) more |= evaluate(c, &b);
    }
    return c->unfinished;
}
