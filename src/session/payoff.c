/* payoff.c - see payoff.h.
 *
 *   gain(b) = (1 + p1 + p1 p2 + ... + p1..p(b-1)) / (cost(b) + (b-1) draft)          in tokens per token time
 *
 * p: how often a proposal with such an agreement came true; each accepted token lengthens the agreement of the next.
 * The odds are learned from every token, whether anything was evaluated ahead or not, so text that begins to repeat is
 * noticed for nothing; those of the draft model, which must be asked, drift back to hope. cost(b): time of an
 * evaluation of b tokens over that of one.
 *
 * Unknown costs are hoped to be low and so get tried. What trying and bad luck may cost is bounded by a credit in token
 * times: every token adds a little, every round adds what it won or lost; without credit nothing is drafted until some
 * guesses in a row have come true on paper. That is also the hysteresis: a loser waits for dozens of tokens or for text
 * that repeats, a winner may lose a few times.
 */
#include "session/payoff.h"

static const double FIRST_CREDIT = 1.0, CREDIT_PER_TOKEN = 0.01, MOST_CREDIT = 4.0, LEAST_CREDIT = -3.0;
static const double HOPED_SLOPE = 0.3, FIXED_SLOPE = 0.25, FIXED_DRAFT = 0.1, HOPED_DRAFT = 0.15, WORTH_IT = 1.08;
/* How often proposals of a class come true before any was tried. */
static const double hoped[VB_MATCH_CLASSES] = {0.6, 0.25, 0.35, 0.45, 0.5, 0.6, 0.75, 0.85, 0.95};
enum { STALE = 256, MEMORY = 48, STREAK = 6, COLD = 3 };

static int class_of(int match)
{
    static const int least[VB_MATCH_CLASSES] = {0, 1, 3, 4, 5, 7, 10, 16, 32};
    int c = 0;
    while (c + 1 < VB_MATCH_CLASSES && match >= least[c + 1]) c++;
    return c;
}

void vb_payoff_start(vb_payoff *f, int timed)
{
    *f = (vb_payoff){.timed = timed, .credit = FIRST_CREDIT};
    for (int i = 0; i < VB_MATCH_CLASSES; i++) f->odds[i] = (vb_odds){hoped[i] * 6.0, 6.0};
}

static int known(const vb_payoff *f, int batch)
{
    return f->batch[batch].ns > 0.0 && f->tokens - f->batch[batch].seen < STALE;
}

/* Between known sizes along the line that joins them; beyond them half as steep, so that larger ones get tried. */
static double cost(const vb_payoff *f, int batch)
{
    if (!f->timed) return 1.0 + FIXED_SLOPE * (batch - 1);
    double one = f->batch[1].ns;
    int low = batch, high = batch;
    while (low > 1 && !known(f, low)) low--;
    while (high <= VB_BATCH_MOST && !known(f, high)) high++;
    double from = low > 1 ? f->batch[low].ns / one : 1.0;
    if (low == batch) return from;
    double slope = low > 1 ? 0.5 * (from - 1.0) / (low - 1) : HOPED_SLOPE;
    if (high <= VB_BATCH_MOST) slope = (f->batch[high].ns / one - from) / (high - low);
    return from + slope * (batch - low);
}

static double draft_cost(const vb_payoff *f)
{
    if (!f->timed) return FIXED_DRAFT;
    return f->draft.ns > 0.0 ? f->draft.ns / f->batch[1].ns : HOPED_DRAFT;
}

int vb_payoff_choose(const vb_payoff *f, int match, int most, double *gain)
{
    double expected = 1.0, chance = 1.0, draft = match == 0 ? draft_cost(f) : 0.0;
    int best = 0;
    *gain = 1.0;
    if (f->timed && (f->credit <= 0.0 || f->batch[1].ns <= 0.0)) return 0;
    if (most > VB_DRAFT_MOST) most = VB_DRAFT_MOST;
    for (int k = 1; k <= most; k++) {
        const vb_odds *o = &f->odds[match == 0 ? 0 : class_of(match + k - 1)];
        chance *= o->hits / o->tries;
        expected += chance;
        double g = expected / (cost(f, k + 1) + k * draft);
        if (g < WORTH_IT || g <= *gain) continue;
        *gain = g;
        best = k;
    }
    return best;
}

/* Reading many tokens at once is cheaper than one by one: about half. */
int vb_payoff_may_lag(const vb_payoff *f, int lag)
{
    return !f->timed || lag <= VB_BATCH_MOST / 2 || 0.5 * lag * draft_cost(f) <= f->credit;
}

/* A row of guesses that came true on paper buys another try. */
void vb_payoff_learn(vb_payoff *f, int match, int hit)
{
    vb_odds *o = &f->odds[class_of(match)];
    f->streak = hit ? f->streak + 1 : 0;
    if (f->streak >= STREAK && f->credit < FIRST_CREDIT) {
        f->credit = FIRST_CREDIT;
        f->streak = 0;
    }
    o->tries += 1.0;
    o->hits += hit ? 1.0 : 0.0;
    if (o->tries <= MEMORY) return;
    o->hits *= 0.5;
    o->tries *= 0.5;
}

/* The first ones are cold: the least of them counts. Later a mean that forgets, without what is far out. */
static void average(vb_cost *c, double ns)
{
    c->n++;
    if (c->ns <= 0.0 || (c->n <= COLD && ns < c->ns)) c->ns = ns;
    else if (c->n > COLD) c->ns += ((ns < 2.0 * c->ns ? ns : 2.0 * c->ns) - c->ns) / 4.0;
}

void vb_payoff_timed(vb_payoff *f, int batch, double ns)
{
    vb_cost *c = &f->batch[batch];
    if (batch > 1 && !known(f, batch)) *c = (vb_cost){0};
    c->seen = f->tokens;
    average(c, ns);
}

void vb_payoff_draft_timed(vb_payoff *f, int tokens, double ns)
{
    average(&f->draft, ns / tokens);
}

void vb_payoff_settle(vb_payoff *f, int batch, int kept, int drafted, double ns)
{
    f->tokens += kept;
    f->credit += CREDIT_PER_TOKEN * kept;
    vb_odds *o = &f->odds[0];
    if (batch == 1) o->hits += (hoped[0] * o->tries - o->hits) / STALE;
    if (batch > 1) f->credit += kept - (f->timed ? ns / f->batch[1].ns : cost(f, batch) + drafted * draft_cost(f));
    if (f->credit > MOST_CREDIT) f->credit = MOST_CREDIT;
    if (f->credit < LEAST_CREDIT) f->credit = LEAST_CREDIT;
}
