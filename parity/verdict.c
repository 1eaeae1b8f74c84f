/* verdict.c - why two answers differ, in the order in which one cause hides the next.
 *
 *   other weights > other prompt (template, tokenizer) > other settings > a gap at a token > another end
 *
 * A gap is how much the two engines' views of one pair of tokens differ where each prefers its own. Rounding explains
 * gaps up to the envelope's limit and nothing beyond; nothing is called rounding without having been measured.
 */
#include "parity/parity.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

static const char *const names[] = {"same",    "rounding", "template differs", "tokenizer differs", "model blob differs",
                                    "sampler or option differs", "stop condition", "unexplained"};

const char *vb_verdict_name(vb_verdict verdict)
{
    return names[verdict];
}

/* What f16 in attention alone moves in a model where nothing spreads (vb_contributions on one without eight-bit rounding:
 * up to 0.009 nat). Drift below it says nothing, and a gap is made of two drifts. */
static const double f16_drift = 0.01;

/* Twice the 99th percentile: drift's tail falls about exponentially, so that one of ten thousand positions is beyond. */
double vb_envelope_limit(const vb_envelope *e)
{
    return 2.0 * e->margin.p99 + 2.0 * f16_drift;
}

/* A whole certificate's drift. Another engine may differ in more than last bits (f16 where we have f32), so the middle
 * and the tail may be two and a half times what last bits alone do here. */
int vb_envelope_holds(const vb_envelope *e, const vb_spread *drift)
{
    return drift->n == 0 || (drift->median <= 2.5 * e->drift.median + f16_drift && drift->p95 <= 2.5 * e->drift.p95 + f16_drift);
}

__attribute__((format(printf, 4, 5)))
static void say(vb_judgement *j, vb_verdict verdict, int64_t at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    j->verdict = verdict;
    j->at = at;
    vsnprintf(j->why, sizeof j->why, fmt, args);
    va_end(args);
}

static int prompt_differs(vb_judgement *j, const vb_answer *a, const vb_aligned *x)
{
    long long at = (long long)x->prompt_at;
    if (x->prompt == VB_PROMPT_TEMPLATE && at >= 0)
        say(j, VB_VERDICT_TEMPLATE, at, "the renderings of the chat part at byte %lld%s", at,
            a->rendered ? "" : "; as ChatML it has the number of tokens that they counted");
    else if (x->prompt == VB_PROMPT_TEMPLATE)
        say(j, VB_VERDICT_TEMPLATE, -1, "the chat has %d tokens here and %lld there", x->n_ours, (long long)a->prompt_tokens);
    else if (x->prompt == VB_PROMPT_TOKENIZER && at >= 0)
        say(j, VB_VERDICT_TOKENIZER, at, "the prompt's token %lld is another one", at);
    else if (x->prompt == VB_PROMPT_TOKENIZER)
        say(j, VB_VERDICT_TOKENIZER, -1, "the prompt has %d tokens here and %lld there", x->n_ours, (long long)a->prompt_tokens);
    else if (x->foreign >= 0)
        say(j, VB_VERDICT_TOKENIZER, x->foreign, "no token of this vocabulary spells token %d of their answer", x->foreign);
    else return 0;
    return 1;
}

/* Settings that make an answer differ from the greedy one. NULL: none. */
static const char *setting_of(const vb_sampling *s)
{
    if (s->temperature > 0.0f && s->top_k != 1) return "temperature";
    if (s->repeat > 0.0f && (s->repeat < 1.0f || s->repeat > 1.0f)) return "repeat penalty";
    if (s->presence > 0.0f || s->presence < 0.0f) return "presence penalty";
    if (s->frequency > 0.0f || s->frequency < 0.0f) return "frequency penalty";
    return NULL;
}

/* The first token that is not their own likeliest; -1: none. */
static int first_drawn(const vb_answer *a, const vb_aligned *x)
{
    for (int i = 0; i < x->n; i++) {
        const vb_answer_token *t = &a->tokens[i];
        if (x->token[i].judged && t->n_top > 0 && t->chosen.logprob < t->top[0].logprob - 1e-6) return i;
    }
    return -1;
}

static int sampler_differs(vb_judgement *j, const vb_answer *a, const vb_aligned *x)
{
    const char *setting = setting_of(&a->sampling);
    int drawn = first_drawn(a, x);
    if (drawn >= 0)
        say(j, VB_VERDICT_SAMPLER, drawn, "token %d is not the likeliest in their own list: it was drawn, or a penalty chose it",
            drawn);
    else if (setting != NULL && j->largest_gap > 0)
        say(j, VB_VERDICT_SAMPLER, x->first, "their %s is on, and ours is greedy", setting);
    else return 0;
    return 1;
}

static void weigh_gaps(vb_judgement *j, const vb_aligned *x, double limit)
{
    for (int i = 0; i < x->n; i++) {
        const vb_aligned_token *t = &x->token[i];
        if (t->gap <= 0) continue;
        if (t->gap > j->largest_gap) {
            j->largest_gap = t->gap;
            j->largest_at = i;
        }
        if (t->gap > limit) j->outside++;
        else j->inside++;
    }
}

/* How the end differs: 0 not at all, 1 by rounding, 2 otherwise. */
static int end_differs(vb_judgement *j, const vb_answer *a, const vb_aligned *x, double limit)
{
    if (!x->readable || x->n < a->n_tokens || x->n_end == 0) return 0;
    double lead = (double)x->end[0].logprob - x->end_best;
    if (a->done == VB_DONE_STOP && a->n_stops == 0 && lead > limit) {
        say(j, VB_VERDICT_STOP, x->n, "they ended behind token %d, where our best end lies %.3f nat below our best token",
            x->n - 1, lead);
        return 2;
    }
    if (a->done == VB_DONE_LENGTH && a->num_predict > 0 && a->generated >= 0 && a->generated < a->num_predict &&
        (a->num_ctx == 0 || x->n_fed < a->num_ctx - 1)) {
        say(j, VB_VERDICT_STOP, x->n, "they were to give %d tokens and stopped after %lld, for length", a->num_predict,
            (long long)a->generated);
        return 2;
    }
    return a->done == VB_DONE_STOP && a->n_stops == 0 && lead > 0;
}

static void judge_tokens(vb_judgement *j, const vb_model *model, const vb_answer *a, const vb_aligned *x, double limit)
{
    int i = j->largest_at;
    const vb_aligned_token *t = &x->token[i];
    if (j->outside > 0 && a->n_unknown > 0)
        say(j, VB_VERDICT_SAMPLER, i, "at token %d the gap is %.3f nat, more than rounding's %.3f, and %s is not known here", i,
            j->largest_gap, limit, a->unknown[0]);
    else if (j->outside > 0 && t->n_top > 0 && vb_token_ends(model, t->top[0].id))
        say(j, VB_VERDICT_STOP, i, "we would have ended in front of token %d, by %.3f nat more than rounding explains", i,
            j->largest_gap - limit);
    else if (j->outside > 0)
        say(j, VB_VERDICT_UNEXPLAINED, i, "at token %d the gap is %.3f nat, and rounding explains %.3f", i, j->largest_gap, limit);
    else if (!x->token[x->first].judged)
        say(j, VB_VERDICT_ROUNDING, x->first, "first inside token %d, shown as one and several here; gaps are at most %.3f, rounding "
            "explains %.3f", x->first, j->largest_gap, limit);
    else
        say(j, VB_VERDICT_ROUNDING, x->first, "first at token %d: our margin is %.3f, theirs %.3f nat; gaps are at most %.3f, "
            "rounding explains %.3f", x->first, x->token[x->first].our_margin, x->token[x->first].their_margin, j->largest_gap,
            limit);
}

void vb_judge_answer(vb_judgement *j, const vb_model *model, const uint8_t sha256[32], const vb_answer *a, const vb_aligned *x,
              const vb_envelope *e)
{
    double limit = vb_envelope_limit(e);
    *j = (vb_judgement){.verdict = VB_VERDICT_SAME, .at = -1};
    weigh_gaps(j, x, limit);
    if (a->has_sha256 && sha256 != NULL && memcmp(a->sha256, sha256, 32) != 0) {
        say(j, VB_VERDICT_MODEL, -1, "their weights have another SHA-256");
        return;
    }
    /* Asked in their words, a question must be answered as theirs was: another template excuses no gap. */
    int excused = !(x->readable && j->outside > 0 && first_drawn(a, x) < 0);
    if ((excused && prompt_differs(j, a, x)) || sampler_differs(j, a, x)) return;
    if (j->inside + j->outside > 0) {
        judge_tokens(j, model, a, x, limit);
        return;
    }
    if (x->readable && x->n < a->n_tokens)
        say(j, VB_VERDICT_SAME, x->n, "the same as far as it can be read: token %d holds bytes that they did not tell", x->n);
    int end = end_differs(j, a, x, limit);
    if (end == 1) say(j, VB_VERDICT_ROUNDING, x->n, "all tokens are the same; whether to end there is a matter of rounding");
}
