/* embed.c - a text as one row of floats: its tokens' rows pooled and brought to length 1 (docs/ARITHMETIC.md J8).
 *
 *   tokens, part by part -> plan up to the final norm -> rows -> none | mean | first | last -> length 1, if asked for
 *
 * Pooling is computed here alone, in one order, whatever player made the rows; where a text is cut into parts cannot be
 * seen, for rows are added in increasing position and divided once.
 */
#include "session/model.h"

#include "base/canon.h"
#include "base/fp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

vb_pooling vb_pooling_of(const vb_model *m)
{
    static const vb_pooling kinds[] = {VB_POOLING_NONE, VB_POOLING_MEAN, VB_POOLING_CLS, VB_POOLING_LAST};
    if (m->params.pooling >= 0) return kinds[m->params.pooling];
    return m->plan.whole ? VB_POOLING_MEAN : VB_POOLING_LAST;
}

/* Row by row in increasing position. */
static void add_rows(float *sum, const float *rows, int n, int width)
{
    for (int t = 0; t < n; t++)
        for (int i = 0; i < width; i++) sum[i] = sum[i] + rows[(size_t)t * (size_t)width + (size_t)i];
}

/* E1 of x with itself. */
static float squares(const float *x, int n)
{
    float lane[16] = {0};
    for (int i = 0; i < n; i++) lane[i % 16] = lane[i % 16] + x[i] * x[i];
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++) lane[i] = lane[i] + lane[i + half];
    return lane[0];
}

/* A row of zeros has no direction and stays. */
static void to_length_one(float *x, int n)
{
    float sum = squares(x, n);
    if (sum == 0.0f) return;
    float r = 1.0f / sqrtf(sum);
    for (int i = 0; i < n; i++) x[i] = c_guard(x[i] * r);
}

/* One product behind the sum of all rows. */
static void divide(float *sum, int n, int width)
{
    float share = 1.0f / (float)n;
    for (int i = 0; i < width; i++) sum[i] = c_guard(sum[i] * share);
}

/* The next n tokens of the text; all their rows into `rows`, or nothing but the last one's. */
static vb_status evaluate(vb_session *s, const vb_embedding *e, int n, float *rows, int want, vb_err *err)
{
    vb_work work = {.session = s, .ids = e->ids + e->at, .n = n, .logits = rows, .want = want};
    if (e->at == 0) VB_TRY(vb_session_rewind(s, 0, err));
    return vb_eval(&work, 1, err);
}

/* Rows that are added up, or of which the first counts. */
static vb_status by_rows(vb_session *s, const vb_embedding *e, int n, vb_pooling pooling, vb_err *err)
{
    int width = s->model->plan.out_width;
    size_t bytes = (size_t)width * sizeof(float);
    float *rows = malloc((size_t)n * bytes);
    if (rows == NULL) VB_FAIL(err, VB_E_MEMORY, "embed: out of memory for %d tokens", n);
    vb_status status = evaluate(s, e, n, rows, n, err);
    if (e->at == 0) memset(e->out, 0, bytes);
    if (status == VB_OK && pooling == VB_POOLING_CLS && e->at == 0) memcpy(e->out, rows, bytes);
    if (status == VB_OK && pooling == VB_POOLING_MEAN) add_rows(e->out, rows, n, width);
    free(rows);
    return status;
}

static vb_status next_part(vb_session *s, const vb_embedding *e, int n, vb_pooling pooling, vb_err *err)
{
    int last = e->at + n == e->n, width = s->model->plan.out_width;
    if (pooling == VB_POOLING_NONE) return evaluate(s, e, n, e->out + (size_t)e->at * (size_t)width, n, err);
    if (pooling == VB_POOLING_LAST) return evaluate(s, e, n, e->out, last, err);
    if (pooling == VB_POOLING_CLS && e->at > 0) return evaluate(s, e, n, NULL, 0, err); /* the first row is there */
    return by_rows(s, e, n, pooling, err);
}

/* What is left to do when all tokens have been evaluated. */
static vb_status finish(const vb_session *s, const vb_embedding *e, vb_pooling pooling, vb_err *err)
{
    int width = s->model->plan.out_width, rows = pooling == VB_POOLING_NONE ? e->n : 1;
    if (pooling == VB_POOLING_MEAN) divide(e->out, e->n, width);
    for (int i = 0; pooling == VB_POOLING_MEAN && i < width; i++)
        if (!isfinite(e->out[i])) VB_FAIL(err, VB_E_FORMAT, "embed: the mean of %d tokens: not a finite number", e->n);
    for (int r = 0; e->normalize && r < rows; r++) to_length_one(e->out + (size_t)r * (size_t)width, width);
    return VB_OK;
}

static vb_status check(const vb_session *s, int n, vb_pooling pooling, vb_err *err)
{
    const char *path = vb_gguf_path(s->model->gguf);
    if (!s->model->plan.embeds)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: embed: expected an encoder or a model opened for embeddings, found neither", path);
    if (n < 1 || n > s->context)
        VB_FAIL(err, n < 1 ? VB_E_ARGUMENT : VB_E_FULL, "embed: expected 1 to %d tokens, found %d", s->context, n);
    if (pooling < VB_POOLING_DEFAULT || pooling > VB_POOLING_LAST)
        VB_FAIL(err, VB_E_ARGUMENT, "pooling: expected none, mean, cls or last, found %d", (int)pooling);
    return VB_OK;
}

VB_API vb_status vb_session_embed_part(vb_session *s, vb_embedding *e, int most, vb_err *err)
{
    VB_TRY(check(s, e->n, e->pooling, err));
    if (e->at < 0 || e->at > e->n || (e->at > 0 && e->at != s->n))
        VB_FAIL(err, VB_E_ARGUMENT, "embed: expected a text of which the session holds %d tokens, found %d", e->at, s->n);
    vb_pooling pooling = e->pooling == VB_POOLING_DEFAULT ? vb_pooling_of(s->model) : e->pooling;
    int left = e->n - e->at, n = s->model->plan.whole || most < 1 || most > left ? left : most;
    if (n == 0) return VB_OK;
    uint64_t fp = vb_fp_enter();
    vb_status status = next_part(s, e, n, pooling, err);
    if (status == VB_OK) e->at += n;
    if (status == VB_OK && e->at == e->n) status = finish(s, e, pooling, err);
    vb_fp_leave(fp);
    return status;
}

VB_API vb_status vb_session_embed(vb_session *s, const vb_token *ids, int n, vb_pooling pooling, int normalize, float *out,
                          vb_err *err)
{
    vb_embedding e = {.ids = ids, .n = n, .pooling = pooling, .normalize = normalize, .out = out};
    do VB_TRY(vb_session_embed_part(s, &e, s->batch, err));
    while (e.at < n);
    return VB_OK;
}
