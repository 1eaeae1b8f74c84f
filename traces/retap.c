/* retap.c - see retap.h.
 *
 *   recorded   token 7: [embd] [l_out 0] [l_out 1] .. [result_norm]      in the plan's order
 *                          ^ next[7]
 *   computed   embd of 5, 6, 7, 8; attn_norm 0 of 5, 6, 7, 8; ..; l_out 0 of 5, 6, 7, 8; ..
 *
 * Computing goes step by step over all tokens of a piece, so each token has its own place in its records. A value whose
 * name and layer are those of the record at that place is compared with it; others were not recorded.
 *
 * Invariant: a record is passed only by a value with its name and layer; what is left over was never computed.
 */
#include "traces/retap.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    size_t at; /* of the next tap record */
    int left;
} place;

struct vb_retap {
    const vb_rerun *rerun;
    place *next; /* [rerun->n] */
    vb_diff first;
};

/* The tap record at a place, which has been proved before. */
static int read_tap(const vb_retap *t, const place *p, vb_trace_tap *out, size_t *len)
{
    const vb_trace_reader *reader = &t->rerun->file.reader;
    const uint8_t *record = reader->data + p->at;
    vb_trace_record decoded;
    vb_trace_payload payload = {reader->version, VB_TRACE_TAP, record + VB_TRACE_PREFIX, vb_trace_u32(record)};
    if (p->left == 0 || vb_trace_decode(&decoded, &payload, reader->name, NULL) < 0) return 0;
    *out = decoded.as.tap;
    *len = (size_t)VB_TRACE_PREFIX + payload.n + VB_TRACE_LINK;
    return 1;
}

static vb_diff *differs(vb_retap *t, int position, const vb_trace_tap *was)
{
    if (t->first.differs && t->first.record <= position + 1) return NULL;
    t->first = (vb_diff){.differs = 1, .record = position + 1, .position = position};
    snprintf(t->first.field, sizeof t->first.field, "tap %.*s", (int)was->name.len, (const char *)was->name.data);
    return &t->first;
}

static float value_at(const vb_trace_tap *tap, int i, uint32_t *bits)
{
    float value;
    *bits = vb_trace_u32(tap->values + (size_t)i * 4);
    memcpy(&value, bits, sizeof value);
    return value;
}

static void compare_values(vb_retap *t, const vb_trace_tap *was, const vb_tap *now)
{
    vb_diff *d;
    uint32_t a, b;
    if (was->width != now->width) {
        if ((d = differs(t, now->position, was)) == NULL) return;
        snprintf(d->a, sizeof d->a, "layer %d, %d wide", was->layer, was->width);
        snprintf(d->b, sizeof d->b, "%d wide", now->width);
        return;
    }
    for (int i = 0; i < was->width; i++) {
        float old = value_at(was, i, &a);
        memcpy(&b, &now->x[i], sizeof b);
        if (a == b) continue;
        if ((d = differs(t, now->position, was)) == NULL) return;
        snprintf(d->a, sizeof d->a, "layer %d, element %d: %08x (%.9g)", was->layer, i, a, (double)old);
        snprintf(d->b, sizeof d->b, "%08x (%.9g)", b, (double)now->x[i]);
        return;
    }
}

static void on_tap(void *ud, const vb_tap *now)
{
    vb_retap *t = ud;
    vb_trace_tap was;
    size_t len;
    if (now->position >= t->rerun->n) return;
    place *p = &t->next[now->position];
    if (!read_tap(t, p, &was, &len)) return;
    if (was.layer != now->layer || was.name.len != strlen(now->name) ||
        memcmp(was.name.data, now->name, was.name.len) != 0)
        return;
    compare_values(t, &was, now);
    p->at += len;
    p->left--;
}

vb_status vb_retap_open(vb_retap **out, const vb_rerun *rerun, vb_session *session, vb_err *err)
{
    vb_retap *t = calloc(1, sizeof *t);
    *out = t;
    if (t != NULL) t->next = malloc((size_t)rerun->n * sizeof *t->next);
    if (t == NULL || t->next == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", rerun->file.reader.name);
    t->rerun = rerun;
    for (int i = 0; i < rerun->n; i++) t->next[i] = (place){rerun->tokens[i].taps, rerun->tokens[i].n_taps};
    return vb_session_tap(session, on_tap, t, err);
}

const vb_diff *vb_retap_verdict(vb_retap *t, int from, int to)
{
    vb_trace_tap was;
    size_t len;
    for (int i = from; i < to; i++) {
        vb_diff *d = read_tap(t, &t->next[i], &was, &len) ? differs(t, i, &was) : NULL;
        if (d == NULL) continue;
        snprintf(d->a, sizeof d->a, "layer %d", was.layer);
        snprintf(d->b, sizeof d->b, "none");
    }
    return &t->first;
}

void vb_retap_close(vb_retap *t)
{
    if (t == NULL) return;
    free(t->next);
    free(t);
}
