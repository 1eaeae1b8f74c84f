/* classify.c - labels scored as answers.
 *
 *   prompt | very good        the first token of every label from the logits behind the prompt,
 *          | very bad         the others one after another, each label behind what it shares with the one before
 *          | so so
 *
 * Each log-probability is the number that it would be in any other order (docs/ARITHMETIC.md J6), and they are added in the
 * order of the tokens, so scores are the same bits everywhere. The prompt names the labels in the order of their bytes: who
 * names them in another order gets the same scores.
 */
#include "easy/easy.h"

#include "base/canon64.h"
#include "base/fp.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    vb_easy *e;
    const vb_easy_labels *labels;
    vb_easy_ids prompt, *label; /* label: [n] */
    vb_easy_score *scores;
    int *order; /* [n] labels in the order of their bytes */
    vb_err *err;
} scoring;

static vb_status check(const vb_easy_labels *labels, vb_err *err)
{
    if (labels->n < 2) VB_FAIL(err, VB_E_ARGUMENT, "classify: expected at least 2 labels, found %d", labels->n);
    for (int i = 0; i < labels->n; i++) {
        if (labels->labels[i][0] == '\0') VB_FAIL(err, VB_E_ARGUMENT, "classify: label %d: expected a text, found none", i);
        for (int k = 0; k < i; k++)
            if (strcmp(labels->labels[i], labels->labels[k]) == 0)
                VB_FAIL(err, VB_E_ARGUMENT, "classify: expected different labels, found '%.100s' twice", labels->labels[i]);
    }
    return VB_OK;
}

static void sort(const scoring *c)
{
    const char *const *label = c->labels->labels;
    for (int i = 0; i < c->labels->n; i++) {
        int k = i;
        for (; k > 0 && strcmp(label[c->order[k - 1]], label[i]) > 0; k--) c->order[k] = c->order[k - 1];
        c->order[k] = i;
    }
}

/* --- tokens ------------------------------------------------------------------------------------------------------- */

static vb_status encode_prompt(const scoring *c, const char *text, vb_easy_ids *ids)
{
    const vb_easy_labels *labels = c->labels;
    vb_easy_buf user = {0}, plain = {0}, list = {0};
    int fits = 1;
    if (labels->raw) return vb_easy_tokenize(c->e, text, VB_ADD_SPECIAL | VB_PARSE_SPECIAL, ids, c->err);
    for (int i = 0; i < labels->n && fits; i++)
        fits = (i == 0 || vb_easy_print(&list, ", ")) && vb_easy_print(&list, labels->labels[c->order[i]]);
    fits = fits && vb_easy_print(&user, "Text:\n") && vb_easy_print(&user, text) && vb_easy_print(&user, "\n\nLabels: ") &&
           vb_easy_print(&user, list.data) && vb_easy_print(&user, "\n\nAnswer with the label that fits the text best, and with "
                                                                   "nothing else.") &&
           vb_easy_print(&plain, "Text: ") && vb_easy_print(&plain, text) && vb_easy_print(&plain, "\nLabels: ") &&
           vb_easy_print(&plain, list.data) && vb_easy_print(&plain, "\nLabel:");
    vb_status s = fits ? vb_easy_encode(c->e, labels->system, user.data, plain.data, ids, c->err)
                       : vb_fail(c->err, VB_E_MEMORY, "classify: out of memory");
    free(user.data);
    free(plain.data);
    free(list.data);
    return s;
}

/* The tokens of `text` as they are behind a line end: those of both together, less those of the line end. */
static vb_status encode_label(const scoring *c, const char *text, vb_easy_ids *out)
{
    vb_easy_buf both = {0};
    vb_easy_ids line = {0};
    *out = (vb_easy_ids){0};
    int fits = vb_easy_print(&both, "\n") && vb_easy_print(&both, text);
    vb_status s = fits ? VB_OK : vb_fail(c->err, VB_E_MEMORY, "classify: out of memory");
    if (s == VB_OK) s = vb_easy_tokenize(c->e, "\n", 0, &line, c->err);
    if (s == VB_OK) s = vb_easy_tokenize(c->e, both.data, 0, out, c->err);
    int shared = s == VB_OK && line.n < out->n && memcmp(line.ids, out->ids, (size_t)line.n * sizeof *line.ids) == 0;
    if (shared) {
        out->n -= line.n;
        memmove(out->ids, out->ids + line.n, (size_t)out->n * sizeof *out->ids);
    } else if (s == VB_OK) { /* the line end has become part of a longer token */
        free(out->ids);
        s = vb_easy_tokenize(c->e, text, 0, out, c->err);
    }
    if (s == VB_OK && out->n == 0) s = vb_fail(c->err, VB_E_ARGUMENT, "classify: label '%.100s': expected a token, found none", text);
    free(line.ids);
    free(both.data);
    return s;
}

/* Behind the plain form, which ends with a colon, a blank stands in front of the label. */
static vb_status encode_labels(const scoring *c)
{
    int blank = !c->labels->raw && vb_model_template(c->e->model, NULL) == NULL;
    vb_status s = VB_OK;
    for (int i = 0; i < c->labels->n && s == VB_OK; i++) {
        vb_easy_buf text = {0};
        int fits = vb_easy_print(&text, blank ? " " : "") && vb_easy_print(&text, c->labels->labels[i]);
        if (fits) s = encode_label(c, text.data, &c->label[i]);
        else s = vb_fail(c->err, VB_E_MEMORY, "classify: out of memory");
        free(text.data);
    }
    return s;
}

/* --- scores ------------------------------------------------------------------------------------------------------- */

static vb_status add(const scoring *c, int i, int k)
{
    int n_vocab;
    const float *logits = vb_session_logits(c->e->session, &n_vocab);
    if (logits == NULL) VB_FAIL(c->err, VB_E_ARGUMENT, "classify: expected a model that gives logits, found one that does not");
    c->scores[i].sum += (double)vb_logprob(logits, n_vocab, c->label[i].ids[k]);
    return VB_OK;
}

/* The tokens behind the first of label i; `ids` holds the prompt and has room for a label. */
static vb_status add_rest(const scoring *c, vb_token *ids, int i)
{
    const vb_easy_ids *label = &c->label[i];
    memcpy(ids + c->prompt.n, label->ids, (size_t)label->n * sizeof *ids);
    for (int k = 1; k < label->n; k++) {
        if (vb_easy_stopping(c->e)) VB_FAIL(c->err, VB_E_STOPPED, "classify: it was cancelled");
        VB_TRY(vb_session_sync(c->e->session, ids, c->prompt.n + k, c->err));
        VB_TRY(add(c, i, k));
    }
    return VB_OK;
}

static vb_status score(const scoring *c)
{
    int longest = 0, n = c->labels->n;
    vb_status s = VB_OK;
    VB_TRY(vb_session_sync(c->e->session, c->prompt.ids, c->prompt.n, c->err));
    for (int i = 0; i < n; i++) {
        VB_TRY(add(c, i, 0));
        c->scores[i].tokens = c->label[i].n;
        if (c->label[i].n > longest) longest = c->label[i].n;
    }
    vb_token *ids = malloc(((size_t)c->prompt.n + (size_t)longest) * sizeof *ids);
    if (ids == NULL) VB_FAIL(c->err, VB_E_MEMORY, "classify: out of memory");
    memcpy(ids, c->prompt.ids, (size_t)c->prompt.n * sizeof *ids);
    for (int i = 0; i < n && s == VB_OK; i++) s = add_rest(c, ids, i);
    free(ids);
    return s;
}

/* Means, shares and the choice. */
static int choose(const scoring *c)
{
    int best = 0, n = c->labels->n, by_sum = c->labels->by_sum;
    vb_easy_score *x = c->scores;
    double total = 0;
    uint64_t fp = vb_fp_enter();
    for (int i = 0; i < n; i++) {
        x[i].mean = x[i].sum / x[i].tokens;
        if (by_sum ? x[i].sum > x[best].sum : x[i].mean > x[best].mean) best = i;
    }
    for (int i = 0; i < n; i++) {
        double below = by_sum ? x[i].sum - x[best].sum : x[i].mean - x[best].mean;
        x[i].probability = below < -700 ? 0 : c64_exp(below);
    }
    for (int i = 0; i < n; i++) total += x[c->order[i]].probability;
    for (int i = 0; i < n; i++) x[i].probability /= total;
    vb_fp_leave(fp);
    return best;
}

static vb_status classify(scoring *c, const char *text, int *best)
{
    sort(c);
    VB_TRY(encode_prompt(c, text, &c->prompt));
    VB_TRY(encode_labels(c));
    VB_TRY(score(c));
    *best = choose(c);
    return VB_OK;
}

VB_API int vb_easy_classify(vb_easy *e, const char *text, const vb_easy_labels *labels, vb_easy_score *scores, vb_err *err)
{
    vb_err own = {0};
    int best = 0;
    if (err == NULL) err = &own;
    scoring c = {.e = e, .labels = labels, .err = err};
    VB_TRY(vb_easy_begin(e, err));
    vb_status s = check(labels, err);
    if (s == VB_OK) {
        c.label = calloc((size_t)labels->n, sizeof *c.label);
        c.scores = calloc((size_t)labels->n, sizeof *c.scores);
        c.order = calloc((size_t)labels->n, sizeof *c.order);
        if (c.label == NULL || c.scores == NULL || c.order == NULL) s = vb_fail(err, VB_E_MEMORY, "classify: out of memory for %d labels", labels->n);
    }
    if (s == VB_OK) s = classify(&c, text, &best);
    if (s == VB_OK && scores != NULL) memcpy(scores, c.scores, (size_t)labels->n * sizeof *scores);
    for (int i = 0; c.label != NULL && i < labels->n; i++) free(c.label[i].ids);
    free(c.label);
    free(c.scores);
    free(c.order);
    free(c.prompt.ids);
    s = vb_easy_done(e, s, err);
    return s < 0 ? (int)s : best;
}
