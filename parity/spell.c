/* spell.c - every token of a vocabulary by its bytes: what an engine that tells bytes and no ids may have meant.
 *
 *   sorted: ids in the order of their bytes, so that all tokens with the same bytes stand side by side
 *
 * Several tokens may have the same bytes (a byte token and a common one, a control token written out); which one was
 * meant is for the caller to decide.
 */
#include "parity/parity.h"

#include <stdlib.h>
#include <string.h>

enum { SPELLING_MAX = 4096 };

typedef struct {
    uint32_t at, len;
} spelling;

struct vb_speller {
    char *bytes;       /* of all tokens, one behind the other */
    spelling *by_id;
    vb_token *sorted;  /* by their bytes, then by id */
    int vocab;
};

vb_status vb_parity_no_memory(vb_err *err)
{
    if (err != NULL) {
        err->code = VB_E_MEMORY;
        snprintf(err->text, sizeof err->text, "parity: expected memory, found none left");
    }
    return VB_E_MEMORY;
}

static int compare(const char *a, size_t n, const char *b, size_t m)
{
    int c = memcmp(a, b, n < m ? n : m);
    return c != 0 ? c : (n > m) - (n < m);
}

static int by_bytes(const void *a, const void *b, void *ud)
{
    const vb_speller *s = ud;
    vb_token i = *(const vb_token *)a, j = *(const vb_token *)b;
    spelling x = s->by_id[i], y = s->by_id[j];
    int c = compare(s->bytes + x.at, x.len, s->bytes + y.at, y.len);
    return c != 0 ? c : (i > j) - (i < j);
}

static vb_status spell_all(vb_speller *s, const vb_model *model, vb_err *err)
{
    size_t used = 0, cap = 0;
    for (vb_token i = 0; i < s->vocab; i++) {
        if (cap - used < SPELLING_MAX) {
            char *more = realloc(s->bytes, cap = cap * 2 + 4 * SPELLING_MAX);
            if (more == NULL) return vb_parity_no_memory(err);
            s->bytes = more;
        }
        int64_t n = vb_token_bytes(model, i, s->bytes + used, SPELLING_MAX);
        if (n < 0 || n > SPELLING_MAX) n = 0;
        s->by_id[i] = (spelling){(uint32_t)used, (uint32_t)n};
        s->sorted[i] = i;
        used += (size_t)n;
    }
    qsort_r(s->sorted, (size_t)s->vocab, sizeof *s->sorted, by_bytes, s);
    return VB_OK;
}

vb_status vb_speller_open(vb_speller **out, const vb_model *model, vb_err *err)
{
    vb_model_info info;
    vb_speller *s = *out = calloc(1, sizeof *s);
    if (s == NULL) return vb_parity_no_memory(err);
    vb_model_describe(model, &info);
    s->vocab = info.vocab;
    s->by_id = calloc((size_t)s->vocab + 1, sizeof *s->by_id);
    s->sorted = calloc((size_t)s->vocab + 1, sizeof *s->sorted);
    vb_status status = s->by_id && s->sorted ? spell_all(s, model, err) : vb_parity_no_memory(err);
    if (status < 0) {
        vb_speller_close(s);
        *out = NULL;
    }
    return status;
}

void vb_speller_close(vb_speller *s)
{
    if (s == NULL) return;
    free(s->bytes);
    free(s->by_id);
    free(s->sorted);
    free(s);
}

int vb_speller_find(const vb_speller *s, const char *bytes, size_t len, const vb_token **ids)
{
    int low = 0, high = s->vocab, n = 0;
    while (low < high) {
        int mid = low + (high - low) / 2;
        spelling m = s->by_id[s->sorted[mid]];
        if (compare(s->bytes + m.at, m.len, bytes, len) < 0) low = mid + 1;
        else high = mid;
    }
    *ids = s->sorted + low;
    for (; len > 0 && low + n < s->vocab; n++) {
        spelling m = s->by_id[s->sorted[low + n]];
        if (compare(s->bytes + m.at, m.len, bytes, len) != 0) break;
    }
    return n;
}
