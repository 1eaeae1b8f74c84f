/* sampler.c - choosing a token: a pure function of (logits, settings, seed, stream, position), ARITHMETIC J6.
 *
 *   logits -> biases -> penalties -> mask -> sorted candidates -> top_k -> typical -> top_p -> min_p -> temperature -> draw
 *
 * Candidates are sorted by logit descending, then id ascending; every sum is binary64 in candidate order. The sort
 * works on 64-bit keys that are all different, so any sorting method gives the same order.
 */
#include "session/sampler.h"

#include "base/canon.h"
#include "base/canon64.h"
#include "base/fp.h"
#include "base/philox.h"
#include "grammar/grammar.h"
#include "session/survey.h"
#include "session/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int id;
    float l; /* logit */
    float p; /* exp(l - l_0) */
} candidate;

static vb_status in_range(const char *name, float value, float min, float max, vb_err *err)
{
    if (value >= min && value <= max) return VB_OK; /* false for NaN */
    VB_FAIL(err, VB_E_ARGUMENT, "%s: expected %g to %g, found %g", name, (double)min, (double)max, (double)value);
}

VB_API vb_status vb_sampling_check(const vb_sampling *s, vb_err *err)
{
    VB_TRY(in_range("temperature", s->temperature, 0.0f, 100.0f, err));
    VB_TRY(in_range("top_p", s->top_p, 0.0f, 1.0f, err));
    VB_TRY(in_range("min_p", s->min_p, 0.0f, 1.0f, err));
    VB_TRY(in_range("typical", s->typical, 0.0f, 1.0f, err));
    VB_TRY(in_range("presence penalty", s->presence, -100.0f, 100.0f, err));
    VB_TRY(in_range("frequency penalty", s->frequency, -100.0f, 100.0f, err));
    if (s->repeat != 0.0f) VB_TRY(in_range("repeat penalty", s->repeat, 0.01f, 100.0f, err));
    if (s->top_k < 0) VB_FAIL(err, VB_E_ARGUMENT, "top_k: expected 0 or more, found %d", s->top_k);
    if (s->repeat_last < -1) VB_FAIL(err, VB_E_ARGUMENT, "repeat_last: expected -1 or more, found %d", s->repeat_last);
    return VB_OK;
}

/* --- biases (J6 0a) ------------------------------------------------------------------------------------------ */

static vb_status check_biases(const vb_sample_from *from, vb_err *err)
{
    for (int i = 0; i < from->n_biases; i++) {
        const vb_bias *b = &from->biases[i];
        if (b->id < 0 || b->id >= from->n_vocab)
            VB_FAIL(err, VB_E_ARGUMENT, "bias: expected a token below %d, found %d", from->n_vocab, b->id);
        VB_TRY(in_range("bias", b->add, -100.0f, 100.0f, err));
    }
    return VB_OK;
}

static void add_biases(float *logits, const vb_sample_from *from)
{
    for (int i = 0; i < from->n_biases; i++) logits[from->biases[i].id] = logits[from->biases[i].id] + from->biases[i].add;
}

/* --- penalties (J6 a) --------------------------------------------------------------------------------------- */

static int has_penalties(const vb_sampling *s)
{
    return (s->repeat != 0.0f && s->repeat != 1.0f) || s->presence != 0.0f || s->frequency != 0.0f;
}

static float penalised(float l, int count, const vb_sampling *s)
{
    if (s->repeat != 0.0f && s->repeat != 1.0f) l = l > 0.0f ? l * (1.0f / s->repeat) : l * s->repeat;
    if (s->frequency != 0.0f) l = l - (float)count * s->frequency;
    if (s->presence != 0.0f) l = l - s->presence;
    return l;
}

/* Each distinct id of the window once, with its count; windows are short, so counting again is cheap enough. */
static void penalise(float *logits, int n_vocab, const vb_token *past, int n_past, const vb_sampling *s)
{
    int window = s->repeat_last == 0 ? 64 : s->repeat_last;
    const vb_token *end = past + n_past;
    const vb_token *start = window < 0 || window > n_past ? past : end - window;
    for (const vb_token *t = start; t < end; t++) {
        int count = 0, first = 1;
        for (const vb_token *u = start; u < end && first; u++) {
            if (*u != *t) continue;
            if (u < t) first = 0;
            count++;
        }
        if (first && *t >= 0 && *t < n_vocab) logits[*t] = penalised(logits[*t], count, s);
    }
}

/* The best few are found without sorting all; a mask of vocabularies up to 2^18 needs no memory but the stack's. */
enum { FEW = 256, MASK_ON_STACK = 32 << 10 };

/* --- candidates (J6 b, c) ----------------------------------------------------------------------------------- */

/* Grows as the logit falls; -0 and +0 are one value. */
static uint32_t falling(float l)
{
    uint32_t bits = asu(l + 0.0f);
    return bits >> 31 ? bits : ~(bits | 0x80000000u);
}

/* Stable radix sort of (key << 32 | id) by key, eight bits at a time; ids start in ascending order. */
static void sort_keys(uint64_t *keys, uint64_t *spare, int n)
{
    for (int shift = 32; shift < 64; shift += 8) {
        size_t start[257] = {0};
        for (int i = 0; i < n; i++) start[((keys[i] >> shift) & 255) + 1]++;
        for (int d = 0; d < 256; d++) start[d + 1] += start[d];
        for (int i = 0; i < n; i++) spare[start[(keys[i] >> shift) & 255]++] = keys[i];
        uint64_t *swap = keys;
        keys = spare;
        spare = swap;
    }
}

static void sorted(candidate *c, uint64_t *keys, const float *logits, int n, int keep)
{
    for (int i = 0; i < n; i++) keys[i] = (uint64_t)falling(logits[i]) << 32 | (uint32_t)i;
    sort_keys(keys, keys + n, n);
    for (int i = 0; i < keep; i++) c[i].id = (int)(uint32_t)keys[i];
}

static void best_few(candidate *c, const vb_survey *survey, int keep)
{
    vb_token ids[FEW];
    vb_survey_top(survey, ids, keep);
    for (int i = 0; i < keep; i++) c[i] = (candidate){.id = ids[i], .l = survey->logits[ids[i]]};
}

/* What the filters look at; the draw has its own. */
static void weigh(candidate *c, int n)
{
    for (int i = 0; i < n; i++) c[i].p = c_exp(c[i].l - c[0].l);
}

/* --- filters (J6 e, f, g) ------------------------------------------------------------------------------------ */

static double sum_p(const candidate *c, int n)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++) sum += (double)c[i].p;
    return sum;
}

/* Surprise grows in candidate order, so its distance from the entropy falls and then grows: the nearest are taken from there
 * to both sides, no sorting needed.
 *
 *   0 ... low == next ... high ############ right ... n      low to high: equally far; of these the lesser come first
 */
typedef struct {
    const candidate *c;
    double sum, log_sum, entropy;
} weighing;

static double share(const weighing *w, int i)
{
    return (double)w->c[i].p / w->sum;
}

static double surprise(const weighing *w, int i)
{
    return w->log_sum - (double)(w->c[i].l - w->c[0].l);
}

static double distance(const weighing *w, int i)
{
    return fabs(surprise(w, i) - w->entropy);
}

/* The first of the candidates that are as far as the one before `end`. */
static int first_as_far(const weighing *w, int end)
{
    int first = end > 0 ? end - 1 : 0;
    while (first > 0 && distance(w, first - 1) == distance(w, end - 1)) first--;
    return first;
}

/* Keeps the candidates whose surprise is nearest to the entropy, in candidate order. */
static int keep_typical(candidate *c, int n, float typical)
{
    double sum = sum_p(c, n), mass = 0.0;
    weighing w = {c, sum, c64_log(sum), 0.0};
    int right = 0, kept;
    for (int i = 0; i < n; i++) w.entropy += share(&w, i) * surprise(&w, i);
    while (right < n && surprise(&w, right) < w.entropy) right++;
    int high = right, low = first_as_far(&w, high), next = low;
    for (kept = 0; kept < n && (kept == 0 || !(mass > (double)typical)); kept++) {
        int is_left = next < high && (right == n || distance(&w, next) <= distance(&w, right));
        mass += share(&w, is_left ? next++ : right++);
        if (next < high || !is_left) continue;
        high = low;
        low = next = first_as_far(&w, high);
    }
    for (int i = low, to = 0; i < right; i++)
        if (i < next || i >= high) c[to++] = c[i];
    return kept;
}

static int keep_top_p(const candidate *c, int n, float top_p)
{
    double enough = (double)top_p * sum_p(c, n), sum = 0.0;
    int kept = 0;
    while (kept < n && (kept == 0 || sum < enough)) sum += (double)c[kept++].p;
    return kept;
}

static int keep_min_p(candidate *c, int n, float min_p)
{
    int kept = 1;
    for (int i = 1; i < n; i++)
        if (c[i].p >= min_p) c[kept++] = c[i];
    return kept;
}

/* --- the draw (J6 h, i) --------------------------------------------------------------------------------------- */

static double uniform(const vb_sampling *s, int position)
{
    uint32_t key[2] = {(uint32_t)s->seed, (uint32_t)(s->seed >> 32)}, word[4];
    uint32_t counter[4] = {(uint32_t)s->stream, (uint32_t)(s->stream >> 32), (uint32_t)position, 0};
    vb_philox4x32_10(key, counter, word);
    return (double)(word[0] >> 8) * 0x1p-24;
}

static vb_token draw(candidate *c, int n, const vb_sampling *s, int position)
{
    float inverse = 1.0f / s->temperature, top = c[0].l;
    for (int i = 0; i < n; i++) c[i].p = c_exp((c[i].l - top) * inverse);
    double target = uniform(s, position) * sum_p(c, n), sum = 0.0;
    int last = 0;
    for (int i = 0; i < n; i++) {
        sum += (double)c[i].p;
        if (sum > target) return c[i].id;
        if (c[i].p > 0.0f) last = i;
    }
    return c[last].id;
}

static int is_typical(const vb_sampling *s)
{
    return s->typical > 0.0f && s->typical < 1.0f;
}

static vb_token choose(candidate *c, int n, const vb_sampling *s, int position)
{
    int top_p = s->top_p > 0.0f && s->top_p < 1.0f;
    if (is_typical(s) || top_p || s->min_p > 0.0f) weigh(c, n);
    if (is_typical(s)) n = keep_typical(c, n, s->typical);
    if (top_p) n = keep_top_p(c, n, s->top_p);
    if (s->min_p > 0.0f) n = keep_min_p(c, n, s->min_p);
    return draw(c, n, s, position);
}

/* Up to FEW candidates need no memory but the stack's. */
static vb_token draw_few(const vb_sample_from *from, const vb_survey *survey, int keep, const vb_sampling *s)
{
    candidate c[FEW];
    best_few(c, survey, keep);
    return choose(c, keep, s, from->n_past);
}

/* Where all candidates are sorted: keys twice, and the candidates. */
enum { SORTING = 32 };
_Static_assert(2 * sizeof(uint64_t) + sizeof(candidate) <= SORTING, "what vb_sample_input promises is enough");

static vb_status draw_many(const vb_sample_from *from, int keep, const vb_sampling *s, vb_token *out, vb_err *err)
{
    int n = from->n_vocab;
    uint64_t *keys = from->sorting != NULL ? from->sorting : malloc(SORTING * (size_t)n);
    if (keys == NULL) VB_FAIL(err, VB_E_MEMORY, "sampling: out of memory for %d candidates", n);
    candidate *c = (candidate *)(void *)(keys + 2 * (size_t)n);
    sorted(c, keys, from->logits, n, keep);
    for (int i = 0; i < keep; i++) c[i].l = from->logits[c[i].id];
    *out = choose(c, keep, s, from->n_past);
    if (keys != from->sorting) free(keys);
    return VB_OK;
}

/* Below 2^-60 the temperature's reciprocal would overflow. */
static int is_greedy(const vb_sampling *s)
{
    return s->temperature < 0x1p-60f;
}

/* The last of the logits, those of tokens that a mask leaves out, are no candidates: `left` are. */
static vb_status sample(const vb_sample_from *from, const vb_survey *survey, int left, const vb_sampling *s, vb_token *out,
                        vb_err *err)
{
    int keep = s->top_k > 0 && s->top_k < left ? s->top_k : left;
    if (is_greedy(s)) vb_survey_top(survey, out, 1);
    else if (keep <= FEW) *out = draw_few(from, survey, keep, s);
    else return draw_many(from, keep, s, out, err);
    return VB_OK;
}

/* Tokens that are left out stand behind all others, at minus infinity. Returns how many are left. */
static int leave_out(float *logits, int n, const uint8_t *mask)
{
    int left = 0;
    for (int i = 0; i < n; i++) {
        if (vb_mask_has(mask, i)) left++;
        else logits[i] = -INFINITY;
    }
    return left;
}

/* On a copy of the logits, with biases, penalties and mask applied. */
static vb_status sample_copy(const vb_sample_from *from, float *copy, const vb_sampling *s, vb_token *out, vb_err *err)
{
    int n = from->n_vocab, left = n;
    memcpy(copy, from->logits, (size_t)n * sizeof *copy);
    add_biases(copy, from);
    if (has_penalties(s)) penalise(copy, n, from->past, from->n_past, s);
    if (from->mask != NULL) left = leave_out(copy, n, from->mask);
    if (left == 0) VB_FAIL(err, VB_E_NOT_FOUND, "sampling: the grammar allows no token");
    vb_sample_from changed = {.logits = copy, .n_vocab = n, .n_past = from->n_past, .sorting = from->sorting};
    vb_survey survey;
    vb_survey_make(&survey, copy, n);
    return sample(&changed, &survey, left, s, out, err);
}

static vb_status sample_changed(const vb_sample_from *from, const vb_sampling *s, vb_token *out, vb_err *err)
{
    if (from->room != NULL) return sample_copy(from, from->room, s, out, err);
    float *copy = malloc((size_t)from->n_vocab * sizeof *copy);
    if (copy == NULL) VB_FAIL(err, VB_E_MEMORY, "sampling: out of memory for %d logits", from->n_vocab);
    vb_status status = sample_copy(from, copy, s, out, err);
    free(copy);
    return status;
}

static vb_status sample_checked(const vb_sample_from *from, const vb_sampling *s, vb_token *out, vb_err *err)
{
    vb_survey survey;
    int n = from->n_vocab, changed = has_penalties(s) || from->mask != NULL || from->n_biases > 0;
    vb_survey_make(&survey, from->logits, n);
    for (int i = 0; i < n && !survey.finite; i++)
        if (!isfinite(from->logits[i])) VB_FAIL(err, VB_E_ARGUMENT, "sampling: logit %d is not a finite number", i);
    return changed ? sample_changed(from, s, out, err) : sample(from, &survey, n, s, out, err);
}

vb_status vb_sample_among(const vb_sample_from *from, const vb_sampling *s, vb_token *out, vb_err *err)
{
    int n = from->n_vocab;
    if (n < 1 || from->n_past < 0) VB_FAIL(err, VB_E_ARGUMENT, "sampling: expected logits, found %d", n);
    VB_TRY(vb_sampling_check(s, err));
    VB_TRY(check_biases(from, err));
    uint64_t fp = vb_fp_enter();
    vb_status status = sample_checked(from, s, out, err);
    vb_fp_leave(fp);
    return status;
}

VB_API vb_status vb_sample_logits(const float *logits, int n_vocab, const vb_token *past, int n_past,
                                  const vb_sampling *s, vb_token *out, vb_err *err)
{
    vb_sample_from from = {.logits = logits, .n_vocab = n_vocab, .past = past, .n_past = n_past};
    return vb_sample_among(&from, s, out, err);
}

static vb_status from_session(vb_sample_from *from, const vb_session *session, vb_err *err)
{
    memset(from, 0, sizeof *from);
    from->logits = vb_session_logits(session, &from->n_vocab);
    from->past = vb_session_tokens(session, &from->n_past);
    VB_TRY(vb_need_logits(vb_session_model(session), err));
    if (from->logits == NULL)
        VB_FAIL(err, VB_E_ARGUMENT, "sampling: the session has no logits; evaluate a token first");
    return VB_OK;
}

static int by_id(const void *a, const void *b)
{
    const vb_token *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* The best top_k tokens that are allowed, in order of their ids; fewer if they are not among the best few of all: half as
 * many again, because inside of texts most are allowed and elsewhere even many more would not do. */
static int best_allowed(const vb_survey *survey, int top_k, vb_grammar *grammar, vb_token *out, vb_err *err)
{
    vb_token best[FEW];
    int few = top_k + top_k / 2 + 8, k = 0;
    int n = vb_survey_top(survey, best, few < survey->n ? few : survey->n);
    for (int i = 0; i < n && k < top_k; i++) {
        int allowed = vb_grammar_allows(grammar, best[i], err);
        if (allowed < 0) return allowed;
        if (allowed) out[k++] = best[i];
    }
    qsort(out, (size_t)k, sizeof *out, by_id);
    return k;
}

/* With a top_k the candidates are few, and a mask of all tokens is not needed to find them. 1: chosen, 0: they were not
 * found. */
static int within_few(const vb_sample_from *from, const vb_sampling *s, vb_grammar *grammar, vb_token *out, vb_err *err)
{
    vb_token ids[FEW], at = 0;
    float logits[FEW];
    vb_survey survey;
    if (s->top_k <= 0 || s->top_k > FEW / 2 || has_penalties(s) || from->n_biases > 0) return 0;
    vb_survey_make(&survey, from->logits, from->n_vocab);
    if (!survey.finite) return 0;
    int n = best_allowed(&survey, s->top_k, grammar, ids, err);
    if (n < s->top_k) return n < 0 ? n : 0;
    for (int i = 0; i < n; i++) logits[i] = from->logits[ids[i]];
    vb_sample_from few = {.logits = logits, .n_vocab = n, .n_past = from->n_past};
    VB_TRY(vb_sample_among(&few, s, &at, err));
    *out = ids[at];
    return 1;
}

/* Greedy choice needs no mask where the best of all tokens is allowed: it is the best of those that are, too. */
static int within_one(const vb_sample_from *from, const vb_sampling *s, vb_grammar *grammar, vb_token *out, vb_err *err)
{
    VB_TRY(vb_sample_among(from, s, out, err));
    return vb_grammar_allows(grammar, *out, err);
}

static vb_status sample_masked(const vb_sample_from *from, const vb_sampling *s, vb_grammar *grammar, uint8_t *mask,
                               vb_token *out, vb_err *err)
{
    vb_sample_from masked = *from;
    masked.mask = mask;
    VB_TRY(vb_grammar_mask(grammar, mask, vb_mask_bytes(from->n_vocab), err));
    return vb_sample_among(&masked, s, out, err);
}

vb_status vb_sample_within(const vb_sample_from *from, const vb_sampling *s, vb_grammar *grammar, vb_token *out,
                           vb_err *err)
{
    uint8_t small[MASK_ON_STACK], *mask = small;
    size_t bytes = vb_mask_bytes(from->n_vocab);
    VB_TRY(vb_sampling_check(s, err));
    int done = is_greedy(s) ? within_one(from, s, grammar, out, err) : within_few(from, s, grammar, out, err);
    if (done != 0) return done < 0 ? (vb_status)done : VB_OK;
    if (bytes > sizeof small) mask = malloc(bytes);
    if (mask == NULL) VB_FAIL(err, VB_E_MEMORY, "sampling: out of memory for a mask");
    vb_status status = sample_masked(from, s, grammar, mask, out, err);
    if (mask != small) free(mask);
    return status;
}

VB_API vb_status vb_sample_biased(const vb_session *session, const vb_sampling *s, const vb_bias *biases, int n,
                                  vb_grammar *grammar, vb_token *out, vb_err *err)
{
    vb_sample_from from;
    VB_TRY(from_session(&from, session, err));
    from.biases = biases;
    from.n_biases = n;
    return grammar != NULL ? vb_sample_within(&from, s, grammar, out, err) : vb_sample_among(&from, s, out, err);
}

VB_API vb_status vb_sample_masked(const vb_session *session, const vb_sampling *s, vb_grammar *grammar, vb_token *out,
                                  vb_err *err)
{
    return vb_sample_biased(session, s, NULL, 0, grammar, out, err);
}

VB_API vb_status vb_sample(const vb_session *session, const vb_sampling *s, vb_token *out, vb_err *err)
{
    return vb_sample_biased(session, s, NULL, 0, NULL, out, err);
}

VB_API vb_status vb_sample_given(const vb_sample_input *in, const vb_sampling *s, vb_token *out, vb_err *err)
{
    vb_sample_from from = {.logits = in->logits, .n_vocab = in->n_vocab, .past = in->past, .n_past = in->n_past,
                           .biases = in->biases, .n_biases = in->n_biases, .room = in->room, .sorting = in->sorting};
    return in->grammar != NULL ? vb_sample_within(&from, s, in->grammar, out, err) : vb_sample_among(&from, s, out, err);
}
