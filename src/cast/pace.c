/* pace.c - how much may be evaluated at once when a frame waits: the clock between the steps of an evaluation.
 *
 *   |--step--|--step--|--------step--------|-step-|      an evaluation can stop at each bar and go on later
 *                                  ^ deadline   ^ stops here
 *
 * A deadline is overshot by what is left of one step. How long the longest one takes was measured when the cast was opened:
 * for one session, for all of them, for a prompt. With a deadline as many sessions and tokens are evaluated together as keep
 * it below STEP_NS, or, where one session alone takes longer, below twice its time.
 *
 * Invariant: all of this decides when, never what.
 */
#include "cast/cast.h"

#include "base/os.h"

#include <string.h>

enum { STEP_NS = 400000, TRIALS = 3 };
#define LONG_NS INT64_C(50000000)

VB_API int64_t vb_cast_now(void)
{
    return (int64_t)vb_clock_ns();
}

/* An evaluation that was begun again, because another one displaced it, is not stopped any more. */
static int between(void *ud)
{
    vb_cast *c = ud;
    vb_group *g = &c->group;
    int64_t now = vb_cast_now();
    if (now - g->last > g->longest) g->longest = now - g->last;
    g->last = now;
    g->steps++;
    return c->may_stop && now >= g->deadline && g->steps < c->pace.steps;
}

static vb_status eval_watched(vb_cast *c, int64_t deadline, vb_err *err)
{
    vb_group *g = &c->group;
    vb_session *first = g->works[0].session;
    g->deadline = deadline;
    g->last = vb_cast_now();
    g->longest = 0;
    vb_session_between(first, between, c);
    vb_status s = vb_eval(g->works, g->n, err);
    vb_session_between(first, NULL, NULL);
    if (s == VB_OK && vb_cast_now() - g->last > g->longest) g->longest = vb_cast_now() - g->last; /* the last step */
    return s;
}

static double expected(const vb_pace *p, int sessions, int tokens)
{
    double by_sessions = p->session_ns * (sessions - 1), by_tokens = p->token_ns * (tokens - 1);
    return p->alone_ns + (by_sessions > by_tokens ? by_sessions : by_tokens);
}

/* The machine may be slower just now than it was, or shared. */
static void learn(vb_cast *c)
{
    vb_pace *p = &c->pace;
    double ratio = (double)c->group.longest / expected(p, c->group.n, c->group.tokens);
    if (ratio > 4) ratio = 4;
    p->scale += (ratio - p->scale) / 16;
    if (p->scale < 0.5) p->scale = 0.5;
}

vb_status vb_group_eval(vb_cast *c, int64_t deadline, vb_err *err)
{
    vb_status s = eval_watched(c, deadline, err);
    if (s == VB_OK && c->group.steps <= c->pace.steps) learn(c);
    return s;
}

void vb_pace_limits(const vb_cast *c, int *sessions, int *tokens)
{
    const vb_pace *p = &c->pace;
    double alone = p->alone_ns * p->scale, more = alone * 2 > STEP_NS ? alone : STEP_NS - alone;
    double s = 1 + more / (p->session_ns * p->scale), t = 1 + more / (p->token_ns * p->scale);
    if (s < *sessions) *sessions = (int)s;
    if (t < *tokens) *tokens = (int)t;
}

/* --- measuring ------------------------------------------------------------------------------------------------ */

/* So many sessions with one token each, the first one with `more` besides; at most the context's tokens. */
static vb_status trial(vb_cast *c, int sessions, int more, vb_err *err)
{
    vb_group *g = &c->group;
    vb_token *ids = c->lines[c->n_lines].tokens;
    memset(ids, 0, (size_t)c->context * sizeof *ids);
    g->n = g->tokens = g->steps = 0;
    for (int i = 0; i < sessions; i++) {
        int n = 1 + (more < c->context - 1 ? more : c->context - 1);
        more -= n - 1;
        VB_TRY(vb_session_rewind(c->slots[i].session, 0, err));
        g->works[g->n++] = (vb_work){.session = c->slots[i].session, .ids = ids, .n = n};
        g->tokens += n;
    }
    return eval_watched(c, INT64_MAX, err);
}

/* The longest step of the best of some trials; one has to do where they take long. */
static vb_status measure(vb_cast *c, int sessions, int more, double *ns, vb_err *err)
{
    int64_t begin = vb_cast_now();
    *ns = 0;
    for (int i = 0; i < TRIALS && (i == 0 || vb_cast_now() - begin < LONG_NS); i++) {
        VB_TRY(trial(c, sessions, more, err));
        if (i == 0 || (double)c->group.longest < *ns) *ns = (double)c->group.longest;
    }
    if (*ns < 1) *ns = 1;
    return VB_OK;
}

static double slope(double one, double many, int more)
{
    return many > one && more > 0 ? (many - one) / more : one / 64;
}

vb_status vb_pace_measure(vb_cast *c, vb_err *err)
{
    vb_pace *p = &c->pace;
    double all, prompt;
    int more = c->context - 1 < VB_CAST_CHUNK ? c->context - 1 : VB_CAST_CHUNK;
    VB_TRY(trial(c, c->n_slots, VB_CAST_CHUNK, err)); /* the largest evaluation there will be: memory is warm now */
    VB_TRY(measure(c, 1, 0, &p->alone_ns, err));
    p->steps = c->group.steps + 1;
    VB_TRY(measure(c, c->n_slots, 0, &all, err));
    VB_TRY(measure(c, 1, more, &prompt, err));
    p->session_ns = slope(p->alone_ns, all, c->n_slots - 1);
    p->token_ns = slope(p->alone_ns, prompt, more);
    p->scale = 1;
    c->may_stop = strcmp(c->info.player, "cpu") == 0 || strcmp(c->info.player, "vulkan") == 0;
    c->group.n = 0;
    for (int i = 0; i < c->n_slots; i++) VB_TRY(vb_session_rewind(c->slots[i].session, 0, err));
    return VB_OK;
}
