/* quorum.c - the vote of many traces, by comparing few pairs.
 *
 *   1  each file with file 0: the least of the first differing records is where the vote is taken
 *   2  at that record, each file joins the first one that it is still equal to
 *   3  the largest side leads
 *
 * Two files whose first difference lies behind a record are equal in it, so no pair is compared by hand.
 */
#include "prove/quorum.h"

#include <string.h>

/* Where `a` and `b` part; -1: nowhere. */
static vb_status part(const char *a, const char *b, vb_diff *out, vb_err *err)
{
    vb_err ignored;
    *out = (vb_diff){.record = -1};
    vb_status status = vb_trace_diff(a, b, out, &ignored);
    if (status < 0 && status != VB_E_DIFFERS) {
        if (err != NULL) *err = ignored;
        return status;
    }
    if (!out->differs) out->record = -1;
    return VB_OK;
}

static vb_status find_record(const char *const *paths, int n, vb_quorum *out, vb_err *err)
{
    vb_diff d;
    for (int i = 0; i < n; i++) {
        vb_status status = part(paths[0], paths[i], &d, err);
        if (status < 0) return status;
        if (i == 0 || (d.differs && (!out->first.differs || d.record < out->first.record))) out->first = d;
    }
    return VB_OK;
}

/* The first file whose record is the same as that of file i. */
static vb_status join(const char *const *paths, int i, int *side, int64_t record, vb_err *err)
{
    vb_diff d;
    for (side[i] = 0; side[i] < i; side[i]++) {
        if (side[side[i]] != side[i]) continue;
        vb_status status = part(paths[side[i]], paths[i], &d, err);
        if (status < 0 || !d.differs || d.record > record) return status;
    }
    return VB_OK;
}

static void count(const int *side, int n, vb_quorum *out)
{
    for (int i = 0; i < n; i++) {
        int agree = 0;
        for (int k = 0; k < n; k++) agree += side[k] == i;
        if (agree <= out->agree) continue;
        out->agree = agree;
        out->leader = i;
    }
    out->majority = out->agree > n / 2;
}

vb_status vb_quorum_traces(const char *const *paths, int n, int *side, vb_quorum *out, vb_err *err)
{
    *out = (vb_quorum){0};
    memset(side, 0, (size_t)n * sizeof *side);
    vb_status status = find_record(paths, n, out, err);
    if (status < 0) return status;
    for (int i = 0; i < n && out->first.differs; i++) {
        status = join(paths, i, side, out->first.record, err);
        if (status < 0) return status;
    }
    count(side, n, out);
    if (!out->first.differs) return VB_OK;
    int other = 0;
    while (side[other] == out->leader) other++;
    status = part(paths[out->leader], paths[other], &out->first, err);
    return status < 0 ? status : VB_E_DIFFERS;
}
