/* embed.c - a text as one row of floats: its tokens' rows pooled and brought to length 1 (docs/ARITHMETIC.md J8).
 *
 *   tokens -> plan up to the final norm -> rows [n][width] -> none | mean | first | last -> length 1, if asked for
 *
 * Pooling is computed here alone, in one order, whatever player made the rows.
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

/* Row by row in increasing position, then one product. */
static void mean(float *out, const float *rows, int n, int width)
{
    float share = 1.0f / (float)n;
    memset(out, 0, (size_t)width * sizeof *out);
    for (int t = 0; t < n; t++)
        for (int i = 0; i < width; i++) out[i] = out[i] + rows[(size_t)t * (size_t)width + (size_t)i];
    for (int i = 0; i < width; i++) out[i] = c_guard(out[i] * share);
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

static vb_status pool(float *out, const float *rows, int n, int width, vb_pooling how)
{
    if (how == VB_POOLING_MEAN) mean(out, rows, n, width);
    if (how == VB_POOLING_CLS) memcpy(out, rows, (size_t)width * sizeof *out);
    for (int i = 0; i < width; i++)
        if (!isfinite(out[i])) return VB_E_FORMAT;
    return VB_OK;
}

/* The rows of all tokens, or of the last one. */
static vb_status evaluate(vb_session *s, const vb_token *ids, int n, float *rows, int want, vb_err *err)
{
    vb_work work = {.session = s, .ids = ids, .n = n, .logits = rows, .want = want};
    VB_TRY(vb_session_rewind(s, 0, err));
    return vb_eval(&work, 1, err);
}

static vb_status by_rows(vb_session *s, const vb_token *ids, int n, vb_pooling pooling, float *out, vb_err *err)
{
    int width = s->model->plan.out_width;
    float *rows = malloc((size_t)n * (size_t)width * sizeof *rows);
    if (rows == NULL) VB_FAIL(err, VB_E_MEMORY, "embed: out of memory for %d tokens", n);
    vb_status status = evaluate(s, ids, n, rows, n, err);
    if (status == VB_OK && pool(out, rows, n, width, pooling) < 0)
        status = vb_fail(err, VB_E_FORMAT, "embed: the mean of %d tokens: not a finite number", n);
    free(rows);
    return status;
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

VB_API vb_status vb_session_embed(vb_session *s, const vb_token *ids, int n, vb_pooling pooling, int normalize, float *out,
                          vb_err *err)
{
    int width = s->model->plan.out_width;
    VB_TRY(check(s, n, pooling, err));
    if (pooling == VB_POOLING_DEFAULT) pooling = vb_pooling_of(s->model);
    int rows = pooling == VB_POOLING_NONE ? n : 1;
    vb_status status;
    uint64_t fp = vb_fp_enter();
    if (pooling == VB_POOLING_NONE || pooling == VB_POOLING_LAST)
        status = evaluate(s, ids, n, out, rows, err);
    else
        status = by_rows(s, ids, n, pooling, out, err);
    for (int r = 0; status == VB_OK && normalize && r < rows; r++) to_length_one(out + (size_t)r * (size_t)width, width);
    vb_fp_leave(fp);
    return status;
}
