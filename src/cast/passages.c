/* passages.c - a long text in pieces that a model can embed (see passages.h).
 *
 *      First sentence. Second one.  | A third, which did not fit any more. | ...
 */
#include "cast/passages.h"

#include "cast/letters.h"
#include "cast/stop.h"

enum { WINDOW = 4096 }; /* bytes in which the end of a sentence is looked for */

typedef struct {
    const vb_model *model;
    int most;
    const char *text;
    size_t all;
    vb_err *err;
} source;

/* *fits: the text [from, to) has at most `most` tokens. */
static vb_status measure(const source *s, size_t from, size_t to, int *fits)
{
    vb_token ids[VB_PASSAGE_TOKENS];
    int64_t n = vb_tokenize(s->model, s->text + from, to - from, VB_ADD_SPECIAL | VB_STOP_WHEN_FULL, ids, (size_t)s->most, s->err);
    *fits = n <= s->most;
    return n < 0 ? (vb_status)n : VB_OK;
}

static size_t sentence_at(const source *s, size_t at)
{
    size_t left = s->all - at;
    size_t end = vb_sentence_end(s->text + at, left < WINDOW ? left : WINDOW, left < WINDOW ? VB_TEXT_ENDED : VB_TEXT_CUT);
    return end == 0 && left < WINDOW ? s->all : at + end;
}

/* The largest end in (from, to) that fits, behind a word if there is one, else behind a character, in any case behind one. */
static vb_status cut_words(const source *s, size_t from, size_t *to)
{
    vb_reading r = {s->text, *to, 1};
    size_t low = from, high = *to, len, blank = from;
    vb_read(&r, from, &len);
    low += len;
    while (low < high) {
        int fits;
        size_t middle = low + (high - low) / 2;
        while (middle > low && ((unsigned char)s->text[middle] & 0xC0) == 0x80) middle--;
        if (middle == low) break;
        VB_TRY(measure(s, from, middle, &fits));
        if (fits) low = middle;
        else high = middle;
    }
    for (size_t at = from; at < low; at += len)
        if (vb_is_space(vb_read(&r, at, &len))) blank = at;
    *to = blank > from ? blank : low;
    return VB_OK;
}

vb_status vb_passage_next(const vb_model *model, int most, const char *text, size_t all, size_t *at, size_t *from, size_t *len,
                          vb_err *err)
{
    source s = {model, most, text, all, err};
    size_t end;
    int fits = 1;
    *from = *at;
    *len = all - *at;
    vb_line_trim(text, from, len, 0);
    s.all = *from + *len;
    for (end = *from; fits && end < s.all;) {
        size_t next = sentence_at(&s, end);
        if (next == end) next = end + WINDOW < s.all ? end + WINDOW : s.all;
        VB_TRY(measure(&s, *from, next, &fits));
        if (!fits && end == *from) {
            VB_TRY(cut_words(&s, *from, &next));
            end = next;
        }
        if (fits) end = next;
    }
    *at = *len == 0 ? all : end;
    *len = end - *from;
    vb_line_trim(text, from, len, 0);
    return VB_OK;
}
