/* choices.c - looking at logits: the largest ones and log-probabilities over the whole vocabulary.
 *
 * log p(id) = (l - m) - log(sum over ids ascending of exp(l_i - m)), the sum and the last subtraction in binary64.
 */
#include "session/model.h"

#include "base/canon.h"
#include "base/canon64.h"
#include "base/fp.h"
#include "session/lanes.h"
#include "session/survey.h"

#include <string.h>

static double log_sum(const float *logits, int n, float m)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++) sum += (double)c_exp(logits[i] - m);
    return c64_log(sum);
}

VB_API float vb_logprob(const float *logits, int n_vocab, vb_token id)
{
    uint64_t fp = vb_fp_enter();
    float m = vb_highest(logits, n_vocab);
    float result = (float)((double)(logits[id] - m) - log_sum(logits, n_vocab, m));
    vb_fp_leave(fp);
    return result;
}

VB_API int vb_top_ids(const float *logits, int n_vocab, vb_token *ids, int k)
{
    vb_survey survey;
    if (k <= 0 || n_vocab <= 0) return 0;
    vb_survey_make(&survey, logits, n_vocab);
    return vb_survey_top(&survey, ids, k);
}

VB_API int vb_top(const vb_session *session, vb_choice *out, int k)
{
    enum { AT_ONCE = 256 };
    vb_token ids[AT_ONCE];
    int n_vocab;
    const float *logits = vb_session_logits(session, &n_vocab);
    if (logits == NULL || k <= 0) return 0;
    int n = vb_top_ids(logits, n_vocab, ids, k < AT_ONCE ? k : AT_ONCE);
    uint64_t fp = vb_fp_enter();
    float m = vb_highest(logits, n_vocab);
    double sum = log_sum(logits, n_vocab, m);
    for (int i = 0; i < n; i++)
        out[i] = (vb_choice){ids[i], logits[ids[i]], (float)((double)(logits[ids[i]] - m) - sum)};
    vb_fp_leave(fp);
    return n;
}
