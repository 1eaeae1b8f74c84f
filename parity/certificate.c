/* certificate.c - many answers, one envelope, a verdict each.
 *
 *   align every answer -> take a sample of the texts, evenly -> measure the envelope on it -> judge every answer
 *
 * The sample is as many texts as hold the wanted number of positions; where there are too few of them each is disturbed
 * several times, so that one short answer has an envelope of its own, too.
 */
#include "parity/parity.h"

#include <stdlib.h>

enum { SAMPLE = 384, SEEDS_MAX = 8 };

typedef struct {
    vb_certificate *out;
    vb_model *model;
    const uint8_t *sha256;
    const vb_certify_opts *opts;
    vb_err *err;
} certifier;

static vb_status stopped(const certifier *c, int done, int all)
{
    if (c->opts->progress == NULL || c->opts->progress(c->opts->ud, done, all) == 0) return VB_OK;
    if (c->err != NULL) {
        c->err->code = VB_E_STOPPED;
        snprintf(c->err->text, sizeof c->err->text, "parity: stopped after %d of %d steps", done, all);
    }
    return VB_E_STOPPED;
}

static vb_status align_all(const certifier *c)
{
    vb_speller *speller;
    vb_status status = vb_speller_open(&speller, c->model, c->err);
    for (int i = 0; i < c->out->n && status == VB_OK; i++) {
        status = vb_align(&c->out->aligned[i], c->model, speller, &c->out->answers->item[i], c->err);
        if (status == VB_OK) status = stopped(c, i + 1, c->out->n + 1);
    }
    vb_speller_close(speller);
    return status;
}

static int positions(const vb_aligned *a)
{
    return a->readable && a->n_fed > a->n_prompt ? a->n_fed - a->n_prompt : 0;
}

static vb_status measure(const certifier *c)
{
    int n = c->out->n, wanted = c->opts->sample > 0 ? c->opts->sample : SAMPLE, all = 0, used = 0, held = 0, seen = 0;
    vb_envelope_text *texts = calloc((size_t)n + 1, sizeof *texts);
    if (texts == NULL) return vb_parity_no_memory(c->err);
    for (int i = 0; i < n; i++) all += positions(&c->out->aligned[i]);
    for (int i = 0; i < n; i++) {
        const vb_aligned *a = &c->out->aligned[i];
        seen += positions(a);
        /* Take this text if the sample lags behind its share of what has been seen. */
        if (positions(a) == 0 || (int64_t)held * all >= (int64_t)wanted * seen) continue;
        texts[used++] = (vb_envelope_text){a->fed, a->n_fed, a->n_prompt};
        held += positions(a);
    }
    int seeds = held > 0 ? (wanted + held - 1) / held : 0;
    vb_status status = vb_envelope_measure(&c->out->envelope, c->model, texts, used, seeds < SEEDS_MAX ? seeds : SEEDS_MAX, c->err);
    free(texts);
    return status;
}

static vb_status gather(const certifier *c)
{
    int n = 0;
    double *drift = NULL;
    for (int i = 0; i < c->out->n; i++) c->out->tokens += c->out->aligned[i].judged;
    if ((drift = calloc((size_t)c->out->tokens + 1, sizeof *drift)) == NULL) return vb_parity_no_memory(c->err);
    for (int i = 0; i < c->out->n; i++) {
        const vb_aligned *a = &c->out->aligned[i];
        c->out->agreed += a->agreed;
        c->out->joined += a->joined;
        for (int k = 0; k < a->n; k++) {
            if (!a->token[k].judged) continue;
            drift[n++] = a->token[k].drift;
            c->out->open += a->token[k].our_margin < c->out->limit;
        }
    }
    c->out->drift = vb_spread_of(drift, n);
    free(drift);
    return VB_OK;
}

static vb_status judge_all(const certifier *c)
{
    vb_certificate *out = c->out;
    out->limit = vb_envelope_limit(&out->envelope);
    vb_status status = gather(c);
    for (int i = 0; i < out->n && status == VB_OK; i++) {
        vb_judge_answer(&out->judged[i], c->model, c->sha256, &out->answers->item[i], &out->aligned[i], &out->envelope);
        out->verdicts[out->judged[i].verdict]++;
        out->apart += out->judged[i].inside + out->judged[i].outside;
        out->outside += out->judged[i].outside;
    }
    out->holds = vb_envelope_holds(&out->envelope, &out->drift);
    out->explained = out->holds && out->verdicts[VB_VERDICT_UNEXPLAINED] == 0;
    return status;
}

vb_status vb_certify(vb_certificate *out, vb_model *model, const uint8_t *sha256, const vb_answers *answers,
                     const vb_certify_opts *opts, vb_err *err)
{
    certifier c = {out, model, sha256, opts, err};
    *out = (vb_certificate){.answers = answers, .n = answers->n};
    out->aligned = calloc((size_t)out->n + 1, sizeof *out->aligned);
    out->judged = calloc((size_t)out->n + 1, sizeof *out->judged);
    vb_status status = out->aligned && out->judged ? align_all(&c) : vb_parity_no_memory(err);
    if (status == VB_OK) status = measure(&c);
    if (status == VB_OK) status = stopped(&c, out->n + 1, out->n + 1);
    if (status == VB_OK) status = judge_all(&c);
    if (status < 0) vb_certificate_free(out);
    return status;
}

void vb_certificate_free(vb_certificate *c)
{
    for (int i = 0; i < c->n && c->aligned != NULL; i++) vb_aligned_free(&c->aligned[i]);
    free(c->aligned);
    free(c->judged);
    *c = (vb_certificate){0};
}
