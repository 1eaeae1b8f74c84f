/* encode_fit.c - searching for scales: weighted least squares over candidates.
 *
 * A candidate is a slightly larger or smaller scale. It gives each x its nearest code q; for these codes the best
 * scale is known in closed form, and so is what it gains:
 *
 *   x ~ s q          s = sum(w x q) / sum(w q q)                      gain = s sum(w x q)
 *   x ~ s q + m      two equations with sum(w), sum(w q), ...         gain = s sum(w x q) + m sum(w x)
 *
 * What is left is sum(w x x) - gain, so the largest gain wins. Sums run over eight lanes and a fixed tree: the same on
 * every machine, and quick on those with vectors.
 */
#include "quantize/encode_parts.h"

enum { LANES = 8, SIGNED_STEPS = 9, UNEVEN_STEPS = 7, POSITIVE_STEPS = 4, ROUNDS = 5 };

static inline float total(const float s[LANES])
{
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/* The number farthest from zero, with its sign. */
static float farthest(const float *x, int n)
{
    float low = x[0], high = x[0];
    for (int i = 1; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    return -low > high ? low : high;
}

/* --- around zero ----------------------------------------------------------------------------------------------- */

typedef struct {
    float xq, qq;
} pair;

static inline pair signed_sums(const float *x, const float *w, int n, float by, float top)
{
    float xq[LANES] = {0}, qq[LANES] = {0};
    for (int i = 0; i < n; i += LANES)
        for (int k = 0; k < LANES; k++) {
            float q = code_of(by * x[i + k], -top, top - 1.0f), wq = w[i + k] * q;
            xq[k] += wq * x[i + k];
            qq[k] += wq * q;
        }
    return (pair){total(xq), total(qq)};
}

float vb_fit_signed(const float *x, const float *w, int n, int top)
{
    float far = farthest(x, n), best = 0.0f;
    if (far == 0.0f) return 0.0f;
    float scale = -far / (float)top;
    for (int s = -SIGNED_STEPS; s <= SIGNED_STEPS; s++) {
        float by = -((float)top + 0.1f * (float)s) / far;
        pair p = n == 32 ? signed_sums(x, w, 32, by, (float)top) : signed_sums(x, w, 16, by, (float)top);
        if (p.qq <= 0.0f || p.xq * p.xq <= best * p.qq) continue;
        scale = p.xq / p.qq;
        best = scale * p.xq;
    }
    return scale;
}

/* --- from the least on ----------------------------------------------------------------------------------------- */

typedef struct {
    float q, qq, xq;
} triple;

static inline triple affine_sums(const float *x, const float *w, int n, const float how[3])
{
    float by = how[0], low = how[1], top = how[2], q1[LANES] = {0}, qq[LANES] = {0}, xq[LANES] = {0};
    for (int i = 0; i < n; i += LANES)
        for (int k = 0; k < LANES; k++) {
            float q = code_of(by * (x[i + k] - low), 0.0f, top), wq = w[i + k] * q;
            q1[k] += wq;
            qq[k] += wq * q;
            xq[k] += wq * x[i + k];
        }
    return (triple){total(q1), total(qq), total(xq)};
}

/* What is left with a scale and an offset. */
static inline float affine_rest(const float *x, const float *w, int n, const float how[3])
{
    float scale = how[0], low = how[1], top = how[2], by = inverse(scale), rest[LANES] = {0};
    for (int i = 0; i < n; i += LANES)
        for (int k = 0; k < LANES; k++) {
            float q = code_of(by * (x[i + k] - low), 0.0f, top), d = scale * q + low - x[i + k];
            rest[k] += w[i + k] * (d * d);
        }
    return total(rest);
}

/* Scale and offset (at most 0) for the codes behind the sums; 0: there are none. */
static int solve(const triple *t, float sum_w, float sum_x, float how[2])
{
    float det = sum_w * t->qq - t->q * t->q;
    if (det <= 0.0f) return 0;
    how[0] = (sum_w * t->xq - sum_x * t->q) / det;
    how[1] = (t->qq * sum_x - t->q * t->xq) / det;
    if (how[1] > 0.0f) {
        how[0] = t->xq / t->qq;
        how[1] = 0.0f;
    }
    return how[0] > 0.0f;
}

/* The next candidates begin at the best offset so far. */
float vb_fit_affine(const float *x, const float *w, int n, const vb_fit_grid *grid, float *min)
{
    float low = 0.0f, high = x[0], sum_w = 0.0f, sum_x = 0.0f, top = (float)grid->top;
    for (int i = 0; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        sum_w += w[i];
        sum_x += w[i] * x[i];
    }
    *min = -low;
    if (high <= low) return 0.0f;
    float scale = (high - low) / top, best = affine_rest(x, w, n, (const float[3]){scale, low, top});
    for (int s = -grid->steps; s <= grid->steps; s++) {
        float how[3] = {(top + grid->step * (float)s) / (high - low), low, top};
        triple t = n == 32 ? affine_sums(x, w, 32, how) : affine_sums(x, w, 16, how);
        if (!solve(&t, sum_w, sum_x, how)) continue;
        float rest = n == 32 ? affine_rest(x, w, 32, how) : affine_rest(x, w, 16, how);
        if (rest >= best) continue;
        best = rest;
        scale = how[0];
        low = how[1];
    }
    *min = -low;
    return scale;
}

/* --- uneven steps ---------------------------------------------------------------------------------------------- */

const float vb_uneven_steps[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/* The nearest steps, as nearest_step finds them: the lowest, and a difference for each border that is passed. */
static inline void nearest_steps(const float *x, float by, float q[LANES])
{
    for (int k = 0; k < LANES; k++) q[k] = vb_uneven_steps[0];
    for (int i = 0; i < 15; i++) {
        float border = (vb_uneven_steps[i] + vb_uneven_steps[i + 1]) * 0.5f;
        float more = vb_uneven_steps[i + 1] - vb_uneven_steps[i];
        for (int k = 0; k < LANES; k++) q[k] += by * x[k] >= border ? more : 0.0f;
    }
}

static pair uneven_sums(const float *x, const float *w, int n, float by)
{
    float xq[LANES] = {0}, qq[LANES] = {0}, q[LANES];
    for (int i = 0; i < n; i += LANES) {
        nearest_steps(x + i, by, q);
        for (int k = 0; k < LANES; k++) {
            float wq = w[i + k] * q[k];
            xq[k] += wq * x[i + k];
            qq[k] += wq * q[k];
        }
    }
    return (pair){total(xq), total(qq)};
}

/* The farthest number becomes the lowest step, or about that; the candidate -UNEVEN_STEPS - 1 makes it the highest. */
float vb_fit_uneven(const float *x, const float *w, int n)
{
    float far = farthest(x, n), best = 0.0f;
    if (far == 0.0f) return 0.0f;
    float scale = -far / 127.0f;
    for (int s = -UNEVEN_STEPS - 1; s <= UNEVEN_STEPS; s++) {
        pair p = uneven_sums(x, w, n, (s < -UNEVEN_STEPS ? 127.0f : (float)s - 127.0f) / far);
        if (p.qq <= 0.0f || p.xq * p.xq <= best * p.qq) continue;
        scale = p.xq / p.qq;
        best = scale * p.xq;
    }
    return scale;
}

/* --- scales of scales ------------------------------------------------------------------------------------------ */

static pair positive_sums(const float *x, const float *w, int n, const float how[2])
{
    pair p = {0.0f, 0.0f};
    for (int i = 0; i < n; i++) {
        float q = code_of(how[0] * x[i], 0.0f, how[1]);
        p.xq += w[i] * q * x[i];
        p.qq += w[i] * q * q;
    }
    return p;
}

/* The best candidate, then codes and scale in turn until neither changes the other. */
float vb_fit_positive(const float *x, const float *w, int n, int top)
{
    float far = farthest(x, n), best = 0.0f, scale = far / (float)top;
    for (int s = -POSITIVE_STEPS; s <= POSITIVE_STEPS && far > 0.0f; s++) {
        float how[2] = {((float)top + 0.1f * (float)s) / far, (float)top};
        pair p = positive_sums(x, w, n, how);
        if (p.qq <= 0.0f || p.xq * p.xq <= best * p.qq) continue;
        scale = p.xq / p.qq;
        best = scale * p.xq;
    }
    for (int round = 0; round < ROUNDS; round++) {
        float how[2] = {inverse(scale), (float)top};
        pair p = positive_sums(x, w, n, how);
        if (p.qq <= 0.0f || p.xq * p.xq <= best * p.qq) break;
        scale = p.xq / p.qq;
        best = scale * p.xq;
    }
    return scale;
}

/* --- blocks ---------------------------------------------------------------------------------------------------- */

static float power_of(const float *x, int n)
{
    float sum[LANES] = {0};
    for (int i = 0; i < n; i += LANES)
        for (int k = 0; k < LANES; k++) sum[k] += x[i + k] * x[i + k];
    return total(sum) / (float)n;
}

static void weigh_without(vb_block *b, const vb_block_shape *s)
{
    for (int i = 0; i < s->n; i += s->sub) {
        float power = power_of(b->x + i, s->sub), mean = __builtin_sqrtf(power);
        for (int j = i; j < i + s->sub; j++)
            b->w[j] = s->without == VB_WEIGH_SIZE ? mean + __builtin_fabsf(b->x[j])
                                                  : 0.25f * power + b->x[j] * b->x[j];
    }
}

/* By the largest importance of the block, so that only relations count. */
static void weigh(vb_block *b, const float *importance, float most, const vb_block_shape *s)
{
    float power = s->power < 0.0f ? -s->power * power_of(b->x, s->n) : s->power / b->unit / b->unit;
    for (int i = 0; i < s->n; i++) {
        float w = importance[i] / most;
        b->w[i] = s->plainly ? w : w * __builtin_sqrtf(power + b->x[i] * b->x[i]);
    }
}

void vb_block_take(vb_block *b, const float *x, const float *importance, const vb_block_shape *shape)
{
    float far = __builtin_fabsf(farthest(x, shape->n));
    b->unit = far < 0x1p-60f ? 0.0f : asf(asu(far) & 0x7f800000u);
    for (int i = 0; i < shape->n; i++) b->x[i] = x[i] * inverse(b->unit);
    float most = importance != NULL ? farthest(importance, shape->n) : 0.0f;
    if (most > 0.0f) weigh(b, importance, most, shape);
    else weigh_without(b, shape);
}
