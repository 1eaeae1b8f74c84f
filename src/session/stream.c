/* stream.c - the text of tokens as it becomes certain.
 *
 *   bytes of a token -> [ held back ] -> ready
 *
 * Held back are an unfinished UTF-8 character and whatever may still turn out to be a stop text. Invariant: what is
 * ready is whole UTF-8 characters, U+FFFD for a byte that belongs to none, and never a byte of a stop text.
 */
#include "base/utf8.h"
#include "session/model.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    char *data;
    size_t len, cap;
} bytes;

struct vb_stream {
    const vb_model *model;
    char **stops;
    int n_stops;
    vb_token *shown; /* control tokens that are text here */
    int n_shown;
    bytes held, ready;
};

static vb_status reserve(bytes *b, size_t more, vb_err *err)
{
    if (b->len + more <= b->cap) return VB_OK;
    size_t cap = (b->len + more) * 2;
    char *data = realloc(b->data, cap);
    if (data == NULL) VB_FAIL(err, VB_E_MEMORY, "text: out of memory for %zu bytes", cap);
    b->data = data;
    b->cap = cap;
    return VB_OK;
}

static int is_shown(const vb_stream *t, vb_token id)
{
    for (int i = 0; i < t->n_shown; i++)
        if (t->shown[i] == id) return 1;
    return 0;
}

static vb_status hold(vb_stream *t, vb_token id, vb_err *err)
{
    const vb_tokenizer *k = t->model->tokenizer;
    if (k == NULL || (vb_tokenizer_kind_of(k, id) == VB_TOKEN_CONTROL && !is_shown(t, id))) return VB_OK;
    int64_t n = vb_tokenizer_piece(k, id, NULL, 0);
    if (n <= 0) return VB_OK;
    VB_TRY(reserve(&t->held, (size_t)n, err));
    vb_tokenizer_piece(k, id, t->held.data + t->held.len, (size_t)n);
    t->held.len += (size_t)n;
    return VB_OK;
}

/* The earliest stop text, or len if there is none; *partial: from where the rest may still become one. */
static size_t find_stop(const vb_stream *t, size_t *partial)
{
    const bytes *b = &t->held;
    size_t found = b->len;
    *partial = b->len;
    for (int i = 0; i < t->n_stops; i++) {
        const char *stop = t->stops[i];
        size_t n = strlen(stop);
        for (size_t at = 0; n > 0 && at < b->len; at++) {
            size_t left = b->len - at < n ? b->len - at : n;
            if (memcmp(b->data + at, stop, left) != 0) continue;
            if (left == n && at < found) found = at;
            if (left < n && at < *partial) *partial = at;
            break;
        }
    }
    return found;
}

static void put(vb_stream *t, const char *text, size_t len)
{
    memcpy(t->ready.data + t->ready.len, text, len);
    t->ready.len += len;
}

/* Moves whole characters of the first `certain` bytes to `ready`; at the `end` also an unfinished one. */
static vb_status release(vb_stream *t, size_t certain, int end, vb_err *err)
{
    size_t at = 0;
    t->ready.len = 0;
    VB_TRY(reserve(&t->ready, 3 * certain + 1, err)); /* each byte may become U+FFFD */
    while (at < certain) {
        int n = vb_utf8_character(t->held.data + at, certain - at);
        if (n == 0 && !end) break;
        if (n > 0) put(t, t->held.data + at, (size_t)n);
        else put(t, "\xef\xbf\xbd", 3);
        at += n > 0 ? (size_t)n : 1;
    }
    t->held.len -= at;
    if (at > 0) memmove(t->held.data, t->held.data + at, t->held.len);
    return VB_OK;
}

VB_API vb_status vb_stream_show(vb_stream *t, vb_token id, vb_err *err)
{
    vb_token *shown = realloc(t->shown, ((size_t)t->n_shown + 1) * sizeof *shown);
    if (shown == NULL) VB_FAIL(err, VB_E_MEMORY, "text: out of memory for a control token");
    t->shown = shown;
    t->shown[t->n_shown++] = id;
    return VB_OK;
}

VB_API vb_status vb_stream_add(vb_stream *t, vb_token id, vb_streamed *out, vb_err *err)
{
    size_t partial;
    VB_TRY(hold(t, id, err));
    size_t stop = find_stop(t, &partial);
    int stopped = stop < t->held.len;
    if (stopped) t->held.len = stop;
    VB_TRY(release(t, stopped ? stop : partial, stopped, err));
    *out = (vb_streamed){.text = t->ready.data, .len = t->ready.len, .stopped = stopped};
    return VB_OK;
}

VB_API vb_status vb_stream_end(vb_stream *t, vb_streamed *out, vb_err *err)
{
    VB_TRY(release(t, t->held.len, 1, err));
    *out = (vb_streamed){.text = t->ready.data, .len = t->ready.len};
    return VB_OK;
}

static vb_status copy_stops(vb_stream *t, const char *const *stops, int n, vb_err *err)
{
    t->stops = calloc((size_t)n + 1, sizeof *t->stops);
    if (t->stops == NULL) VB_FAIL(err, VB_E_MEMORY, "text: out of memory for %d stop texts", n);
    for (; t->n_stops < n; t->n_stops++) {
        t->stops[t->n_stops] = strdup(stops[t->n_stops]);
        if (t->stops[t->n_stops] == NULL) VB_FAIL(err, VB_E_MEMORY, "text: out of memory for a stop text");
    }
    return VB_OK;
}

VB_API vb_status vb_stream_open(vb_stream **out, const vb_model *model, const char *const *stops, int n_stops, vb_err *err)
{
    vb_stream *t = calloc(1, sizeof *t);
    *out = NULL;
    if (t == NULL) VB_FAIL(err, VB_E_MEMORY, "text: out of memory");
    t->model = model;
    vb_status s = copy_stops(t, stops, n_stops, err);
    if (s < 0) {
        vb_stream_close(t);
        return s;
    }
    *out = t;
    return VB_OK;
}

VB_API void vb_stream_close(vb_stream *t)
{
    if (t == NULL) return;
    for (int i = 0; i < t->n_stops; i++) free(t->stops[i]);
    free(t->stops);
    free(t->shown);
    free(t->held.data);
    free(t->ready.data);
    free(t);
}
