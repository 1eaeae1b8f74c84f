/* survey.c - the k largest of many logits.
 *
 *   pass     the largest of each block of 256
 *   select   the k-th largest of these: k logits at least reach it
 *   gather   from the blocks that reach it, in order of ids, into a sorted row of k
 *
 * A maximum does not depend on the order of comparing, so that no answer depends on blocks or lanes.
 */
#include "session/survey.h"

#include "session/lanes.h"

#include <math.h>
#include <string.h>

enum { LANES = VB_LANES, BLOCK = 16 * LANES, STEP = 4 * LANES };

typedef float four __attribute__((vector_size(16)));
typedef int32_t four_bits __attribute__((vector_size(16)));

/* The larger one of each lane; y where x is a NaN. */
static inline four larger(four x, four y)
{
#ifdef __SSE2__
    return __builtin_ia32_maxps(x, y);
#else
    four_bits more = x > y;
    return (four)(((four_bits)x & more) | ((four_bits)y & ~more));
#endif
}

/* The largest of n floats, n a multiple of LANES. Each lane of `zeros` stays zero, or becomes a NaN. */
static float largest(const float *x, int n, four zeros[4])
{
    four m[4], z[4];
    float lane[4];
    for (int k = 0; k < 4; k++) m[k] = (four){-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    memcpy(z, zeros, sizeof z);
    for (int i = 0; i < n; i += LANES) {
        four y[4];
        memcpy(y, x + i, sizeof y);
        m[0] = larger(y[0], m[0]);
        m[1] = larger(y[1], m[1]);
        m[2] = larger(y[2], m[2]);
        m[3] = larger(y[3], m[3]);
        z[0] += y[0] * 0.0f;
        z[1] += y[1] * 0.0f;
        z[2] += y[2] * 0.0f;
        z[3] += y[3] * 0.0f;
    }
    memcpy(zeros, z, sizeof z);
    m[0] = larger(larger(m[0], m[1]), larger(m[2], m[3]));
    memcpy(lane, &m[0], sizeof lane);
    for (int k = 1; k < 4; k++) lane[0] = lane[k] > lane[0] ? lane[k] : lane[0];
    return lane[0];
}

void vb_survey_make(vb_survey *s, const float *logits, int n)
{
    four zeros[4] = {{0}};
    float lane[LANES], zero = 0.0f;
    s->logits = logits;
    s->n = n;
    s->block = (n / BLOCK / VB_SURVEY_BLOCKS + 1) * BLOCK;
    s->blocks = 0;
    for (int at = 0; at < n; at += s->block) {
        int left = n - at < s->block ? n - at : s->block, whole = left / LANES * LANES;
        float m = largest(logits + at, whole, zeros);
        for (int i = at + whole; i < at + left; i++) {
            m = logits[i] > m ? logits[i] : m;
            zero += logits[i] * 0.0f;
        }
        s->most[s->blocks++] = m;
    }
    memcpy(lane, zeros, sizeof lane);
    for (int k = 0; k < LANES; k++) zero += lane[k];
    s->finite = zero == 0.0f;
}

/* The k-th largest of n, which change their places (Hoare's FIND). */
static float select(float *x, int n, int k)
{
    for (int low = 0, high = n - 1; low < high;) {
        float pivot = x[(low + high) / 2];
        int i = low, j = high;
        while (i <= j) {
            while (x[i] > pivot) i++;
            while (x[j] < pivot) j--;
            if (i > j) break;
            float swap = x[i];
            x[i++] = x[j];
            x[j--] = swap;
        }
        if (k - 1 <= j) high = j;
        else if (k - 1 >= i) low = i;
        else break;
    }
    return x[k - 1];
}

/* Into the sorted row of at most k ids, of which there are n. */
static int insert(vb_token *ids, int n, int k, const float *logits, int id)
{
    if (n == k && !(logits[id] > logits[ids[k - 1]])) return n;
    int at = n < k ? n++ : k - 1;
    for (; at > 0 && logits[id] > logits[ids[at - 1]]; at--) ids[at] = ids[at - 1];
    ids[at] = id;
    return n;
}

int vb_survey_top(const vb_survey *s, vb_token *ids, int k)
{
    float most[VB_SURVEY_BLOCKS], least = -INFINITY;
    int n = 0;
    memcpy(most, s->most, (size_t)s->blocks * sizeof *most);
    if (k <= s->blocks) least = select(most, s->blocks, k);
    for (int b = 0; b < s->blocks; b++) {
        int at = b * s->block, end = at + s->block < s->n ? at + s->block : s->n;
        if (!(s->most[b] >= least)) continue;
        for (; at + STEP <= end; at += STEP) {
            if (!vb_any_from(s->logits + at, least)) continue;
            for (int i = at; i < at + STEP; i++)
                if (s->logits[i] >= least) n = insert(ids, n, k, s->logits, i);
        }
        for (; at < end; at++)
            if (s->logits[at] >= least) n = insert(ids, n, k, s->logits, at);
        if (n == k && s->logits[ids[k - 1]] > least) least = s->logits[ids[k - 1]];
    }
    return n;
}
