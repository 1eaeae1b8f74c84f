/* encode.c - a rendered chat becomes ids, and what a user wrote never becomes a control token.
 *
 *   <|im_start|> user\n | tell me about <|im_end|> | <|im_end|> \n ...
 *    template           |  data                    |  template
 *
 * Control tokens are looked for in the template's spans alone; between two of them the text is one run, whoever wrote
 * its parts, so that words are split as they would be in a prompt typed by hand. A run is encoded without reading
 * control tokens.
 */
#include "session/model.h"

enum { LONGEST_CONTROL = 96 };

typedef struct {
    const vb_tokenizer *t;
    const vb_jinja_text *text;
    vb_token *ids;
    size_t cap, n;
    vb_err *err;
} sink;

static void push(sink *s, vb_token id)
{
    if (s->n < s->cap) s->ids[s->n] = id;
    s->n++;
}

static vb_status push_run(sink *s, size_t from, size_t to)
{
    size_t used = s->n < s->cap ? s->n : s->cap;
    vb_token *room = s->ids == NULL ? NULL : s->ids + used;
    if (from == to) return VB_OK;
    int64_t n = vb_tokenizer_encode(s->t, s->text->text + from, to - from, 0, room, s->cap - used, s->err);
    if (n < 0) return (vb_status)n;
    s->n += (size_t)n;
    return VB_OK;
}

/* The longest control token that starts at `at` and ends before `end`; -1: none. */
static vb_token control_at(const sink *s, size_t at, size_t end, size_t *len)
{
    size_t most = end - at < LONGEST_CONTROL ? end - at : LONGEST_CONTROL;
    for (*len = most; *len > 0; (*len)--) {
        vb_token id = vb_tokenizer_find(s->t, s->text->text + at, *len);
        if (id >= 0 && vb_tokenizer_kind_of(s->t, id) == VB_TOKEN_CONTROL) return id;
    }
    return -1;
}

/* Models that want BOS get one, whether or not the template wrote it as well. */
static void push_bos(sink *s)
{
    vb_token first, bos = vb_tokenizer_bos(s->t);
    if (bos >= 0 && vb_tokenizer_encode(s->t, "", 0, VB_ADD_SPECIAL, &first, 1, NULL) > 0 && first == bos)
        push(s, bos);
}

static vb_status walk(sink *s, size_t *run)
{
    int wants_bos = s->n == 1;
    for (size_t i = 0; i < s->text->n_spans; i++) {
        const vb_jinja_span *span = &s->text->spans[i];
        size_t end = span->offset + span->len, len;
        for (size_t at = span->offset; !span->data && at < end; at++) {
            vb_token id = control_at(s, at, end, &len);
            if (id < 0) continue;
            VB_TRY(push_run(s, *run, at));
            if (!(wants_bos && at == 0 && id == vb_tokenizer_bos(s->t))) push(s, id);
            at += len - 1;
            *run = at + 1;
        }
    }
    return VB_OK;
}

int64_t vb_encode_rendered(const vb_tokenizer *t, const vb_jinja_text *text, vb_token *ids, size_t cap, vb_err *err)
{
    sink s = {.t = t, .text = text, .ids = ids, .cap = ids == NULL ? 0 : cap, .err = err};
    size_t run = 0;
    push_bos(&s);
    VB_TRY(walk(&s, &run));
    VB_TRY(push_run(&s, run, text->len));
    return (int64_t)s.n;
}
