/* sentence.c - the end of the first sentence.
 *
 *      He said "No!" and left.   Then he came back.
 *               ~~^~                                  a group of marks, and the closing marks that belong to it
 *                   ^^^^                              what follows decides: the sentence goes on
 *
 *   walk     character by character; quotation marks are opened and closed on the way
 *   group    marks that stand together: full stops, or others (! ? 。 ...) with or without full stops, or an ellipsis
 *   closers  quotation marks, brackets, apostrophes behind them
 *   verdict  a full stop asks the word before it and what follows, an ellipsis what follows, others nothing but a closing
 *            mark: "No!" and left
 *
 * A verdict waits until all that it asks for is there. All is read from the text from its beginning, so the place of a cut
 * cannot be seen: a text that goes on can only turn "not known yet" into something.
 *
 * Inside a quotation that began in the middle of a sentence nothing ends it, unless the quotation is never closed. A
 * quotation mark that closes nothing closes one in front of the text and ends the sentence at once. So does an empty line.
 */
#include "cast/abbreviations.h"
#include "cast/quotes.h"
#include "cast/stop.h"

enum { LONGEST_WORD = 40, LONGEST_ADDRESS = 200 }; /* bytes: of a word that a list may have, behind a slash */
typedef enum { GOES_ON, ENDS, WAITS } verdict;
typedef enum { FULL_STOP, ELLIPSIS, TERM } group_kind;

typedef struct {
    vb_reading r;
    vb_quotes q;
    uint32_t left;            /* the character before `at`; VB_AT_END at the beginning */
    size_t at, end, fallback; /* fallback: the first end inside a quotation */
    size_t began;             /* where the first word stands */
    int said;                 /* there has been one */
    int brackets, singles;    /* that are open */
    unsigned stars, bars;     /* '*' and '_' so far */
} walker;

typedef struct {
    group_kind kind;
    size_t from, to; /* the marks; later with the closers */
    int closed;      /* a closer closed what was opened in this text */
    int stray;       /* a closer closed what was not */
} group;

/* --- what follows -------------------------------------------------------------------------------------- */

static uint32_t peek(const walker *w, size_t at)
{
    size_t len;
    return vb_read(&w->r, at, &len);
}

/* The first character behind white space; VB_AT_END if an empty line comes first. */
static uint32_t peek_past(const walker *w, size_t *at)
{
    size_t len, breaks = 0;
    uint32_t c = vb_read(&w->r, *at, &len), before = 0;
    for (; vb_is_space(c); c = vb_read(&w->r, *at, &len)) {
        breaks += (vb_is_break(c) && !(c == '\n' && before == '\r')) + (size_t)(c == 0x2029);
        if (breaks > 1) return VB_AT_END;
        before = c;
        *at += len;
    }
    return c;
}

/* The word at `at`, as far as a list may have it; 0: its end is not known yet. */
static int word_at(const walker *w, size_t at, size_t *len)
{
    size_t step;
    *len = 0;
    while (*len < LONGEST_WORD) {
        uint32_t c = vb_read(&w->r, at + *len, &step);
        if (c == VB_NOT_KNOWN) return 0;
        if (!vb_is_word(c)) return 1;
        *len += step;
    }
    return 1;
}

static verdict unless_lower(uint32_t c)
{
    if (c == VB_NOT_KNOWN) return WAITS;
    return vb_is_lower(c) || c == ',' || c == ';' || c == ':' ? GOES_ON : ENDS;
}

/* --- a full stop --------------------------------------------------------------------------------------- */

/* The word before it: letters, digits, and dots and hyphens between them. What stands behind an apostrophe is none. */
static size_t word_before(const walker *w, size_t end)
{
    size_t from = end;
    while (from > 0 && end - from < LONGEST_WORD) {
        size_t at = vb_read_back(&w->r, from);
        uint32_t c = peek(w, at);
        if (vb_is_apostrophe(c)) return end;
        if (!vb_is_word(c) && c != '.' && c != '-') break;
        from = at;
    }
    while (from < end && (w->r.text[from] == '.' || w->r.text[from] == '-')) from++;
    return from;
}

static int all_digits(const walker *w, size_t from, size_t to)
{
    size_t len;
    for (size_t at = from; at < to; at += len)
        if (!vb_is_digit(vb_read(&w->r, at, &len))) return 0;
    return from < to;
}

/* One by itself, in lower case. */
static int is_letter(const walker *w, size_t from, size_t to)
{
    size_t len;
    return from < to && vb_is_lower(vb_read(&w->r, from, &len)) && from + len == to;
}

/* "1. Get up", "am 3. Mai", "3. května". */
static verdict behind_number(const walker *w, const group *g, size_t from)
{
    size_t next = g->to, len;
    uint32_t c = peek_past(w, &next);
    if (from == w->began) return GOES_ON;
    if (g->from - from > 2) return ENDS;
    if (c == VB_NOT_KNOWN) return WAITS;
    if (vb_is_lower(c)) return GOES_ON;
    if (!vb_is_upper(c)) return ENDS;
    if (!word_at(w, next, &len)) return WAITS;
    return vb_abbr_month(w->r.text + next, len) ? GOES_ON : ENDS;
}

/* "z. B.", "d. h.": a letter with a full stop behind it. */
static verdict behind_letter(const walker *w, const group *g)
{
    size_t next = g->to, len;
    uint32_t c = peek_past(w, &next);
    if (c == VB_NOT_KNOWN) return WAITS;
    if (!vb_is_word(c)) return ENDS;
    vb_read(&w->r, next, &len);
    c = peek(w, next + len);
    if (c == VB_NOT_KNOWN) return WAITS;
    return vb_is_dot(c) ? GOES_ON : ENDS;
}

static verdict behind_abbreviation(const walker *w, const group *g, vb_abbr kind)
{
    size_t next = g->to, len;
    if (kind == VB_ABBR_INSIDE) return GOES_ON;
    uint32_t c = peek_past(w, &next);
    if (c == VB_NOT_KNOWN) return WAITS;
    if (kind == VB_ABBR_NUMBER) return vb_is_digit(c) || c == '#' ? GOES_ON : ENDS;
    if (vb_is_lower(c) || vb_is_digit(c) || vb_is_bracket(c, 0)) return GOES_ON;
    if (kind == VB_ABBR_OPEN || !vb_is_upper(c)) return ENDS;
    if (!word_at(w, next, &len)) return WAITS;
    return vb_abbr_starts(w->r.text + next, len) ? ENDS : GOES_ON;
}

/* What stands right behind it: "3.14", "e.g", "a.b/c", "etc.,". */
static verdict touching(uint32_t c)
{
    if (c == VB_NOT_KNOWN) return WAITS;
    if (vb_is_word(c) || vb_is_apostrophe(c)) return GOES_ON;
    switch (c) {
    case ',': case ';': case ':': case '-': case '/': case '\\': case '@': case '=': case '&': case '#': case '%': case '+':
    case '~': case '_': case 0x2010: case 0x2011:
        return GOES_ON;
    default: return ENDS;
    }
}

static verdict full_stop(const walker *w, const group *g)
{
    verdict v = touching(peek(w, g->to));
    if (v != ENDS) return v;
    size_t from = word_before(w, g->from), next = g->to;
    vb_abbr kind = vb_abbr_of(w->r.text + from, g->from - from);
    if (all_digits(w, from, g->from)) v = behind_number(w, g, from);
    else if (kind != VB_ABBR_NONE) v = behind_abbreviation(w, g, kind);
    else if (is_letter(w, from, g->from)) v = behind_letter(w, g);
    if (v != ENDS || !g->closed) return v;
    return unless_lower(peek_past(w, &next));
}

/* --- groups -------------------------------------------------------------------------------------------- */

/* "wait ... what", "wait...What" go on, "Wait... What" does not. */
static verdict ellipsis(const walker *w, const group *g)
{
    size_t next = g->to;
    if (vb_is_word(peek(w, next))) return GOES_ON;
    return unless_lower(peek_past(w, &next));
}

/* "www.fox.org/a?b" */
static int in_address(const walker *w, const group *g)
{
    size_t at = g->from;
    while (at > 0 && g->from - at < LONGEST_ADDRESS && w->r.text[at] != '/' && !vb_is_space((unsigned char)w->r.text[at])) at--;
    return w->r.text[at] == '/' && vb_is_word(peek(w, g->to));
}

static verdict term(const walker *w, const group *g)
{
    size_t next = g->to;
    if (in_address(w, g)) return GOES_ON;
    return g->closed ? unless_lower(peek_past(w, &next)) : ENDS;
}

static int is_greek(uint32_t c)
{
    return (c >= 0x386 && c <= 0x3FF) || (c >= 0x1F00 && c <= 0x1FFF);
}

/* Behind a Greek letter a semicolon asks. */
static int ends_here(uint32_t c, uint32_t left)
{
    return vb_is_dot(c) || vb_is_term(c) || c == 0x2026 || (c == ';' && is_greek(left));
}

/* The marks that stand together; 0: there may come more. */
static int read_group(const walker *w, group *g)
{
    size_t len, dots = 0, others = 0, points = 0;
    uint32_t c = vb_read(&w->r, w->at, &len), left = w->left;
    *g = (group){.from = w->at, .to = w->at};
    for (; ends_here(c, left); c = vb_read(&w->r, g->to, &len)) {
        dots += (size_t)vb_is_dot(c);
        points += c == 0x2026;
        others += !vb_is_dot(c) && c != 0x2026;
        left = c;
        g->to += len;
    }
    g->kind = others > 0 ? TERM : dots == 1 && points == 0 ? FULL_STOP : ELLIPSIS;
    return c != VB_NOT_KNOWN;
}

/* One quotation mark right behind a group. 1: it belongs to it; 0: it does not; -1: not known yet. */
static int take_quote(walker *w, group *g, uint32_t c, size_t len)
{
    vb_quote_role role = vb_quote_role_of(&w->q, c, '.', peek(w, g->to + len));
    if (role == VB_QUOTE_UNKNOWN) return -1;
    if (role == VB_QUOTE_OPENS) return 0;
    vb_quote_pass(&w->q, c, role, g->to, NULL);
    g->closed |= role == VB_QUOTE_CLOSES;
    g->stray |= role == VB_QUOTE_STRAY;
    return 1;
}

/* The same of any other mark that closes something. */
static int take_other(walker *w, group *g, uint32_t c, size_t len)
{
    uint32_t next = peek(w, g->to + len);
    if (vb_is_bracket(c, 1)) {
        g->closed |= w->brackets > 0;
        w->brackets -= w->brackets > 0;
        return 1;
    }
    if (c == '*' && w->stars % 2 == 1) return w->stars++, 1;
    if (c == '_' && w->bars % 2 == 1) return w->bars++, 1;
    if (!vb_is_apostrophe(c) || c == 0x2018) return 0;
    if (next == VB_NOT_KNOWN) return -1;
    if (vb_is_word(next)) return 0;
    g->closed |= w->singles > 0;
    w->singles -= w->singles > 0;
    return 1;
}

/* « Bonjour. » has a space before its end. */
static int take_spaced(walker *w, group *g)
{
    size_t next = g->to, len;
    uint32_t mark = w->q.n > 0 ? w->q.open[w->q.n - 1].mark : 0, c = peek_past(w, &next);
    if (mark != 0xAB && mark != 0x2039) return 0;
    if (c == VB_NOT_KNOWN) return -1;
    if (c != (mark == 0xAB ? 0xBBu : 0x203Au)) return 0;
    vb_read(&w->r, next, &len);
    vb_quote_pass(&w->q, c, VB_QUOTE_CLOSES, next, NULL);
    g->closed = 1;
    g->to = next + len;
    return 1;
}

/* 0: not known yet. */
static int take_closers(walker *w, group *g)
{
    for (;;) {
        size_t len;
        uint32_t c = vb_read(&w->r, g->to, &len);
        if (c == VB_NOT_KNOWN) return 0;
        int taken = vb_is_quote(c) ? take_quote(w, g, c, len) : take_other(w, g, c, len);
        if (taken < 0) return 0;
        if (taken == 0) break;
        g->to += len;
        if (g->stray) return 1;
    }
    return take_spaced(w, g) >= 0;
}

static verdict judge(const walker *w, const group *g)
{
    if (g->stray) return ENDS;
    if (g->kind == TERM) return term(w, g);
    return g->kind == ELLIPSIS ? ellipsis(w, g) : full_stop(w, g);
}

/* A group at w->at. */
static verdict pass_group(walker *w)
{
    group g;
    if (!read_group(w, &g)) return WAITS;
    if (!w->said) {
        w->at = g.to;
        w->left = '.';
        return GOES_ON;
    }
    if (!take_closers(w, &g)) return WAITS;
    verdict v = judge(w, &g);
    w->at = w->end = g.to;
    w->left = '.';
    int inside = w->q.n > 0 && w->q.open[w->q.n - 1].at > w->began;
    if (v == ENDS && inside && !g.stray) {
        if (w->fallback == 0) w->fallback = g.to;
        return GOES_ON;
    }
    return v;
}

/* --- the walk ------------------------------------------------------------------------------------------ */

static verdict pass_quote(walker *w, uint32_t c, size_t len)
{
    vb_quote_role role = vb_quote_role_of(&w->q, c, w->left, peek(w, w->at + len));
    if (role == VB_QUOTE_UNKNOWN) return WAITS;
    vb_quote_pass(&w->q, c, role, w->at, NULL);
    w->left = c;
    w->at += len;
    w->end = w->at;
    return role == VB_QUOTE_STRAY ? ENDS : GOES_ON;
}

/* White space: an empty line ends what has been said. */
static verdict pass_space(walker *w)
{
    size_t next = w->at;
    uint32_t c = peek_past(w, &next);
    if (c == VB_NOT_KNOWN) return WAITS;
    int empty_line = next < w->r.len && c == VB_AT_END;
    w->end = w->at;
    if (empty_line && w->said) return ENDS;
    for (size_t len; empty_line && vb_is_space(vb_read(&w->r, next, &len));) next += len;
    w->left = ' ';
    w->at = next;
    return GOES_ON;
}

/* Letters do, and pictures: a sentence needs one. */
static int speaks(uint32_t c)
{
    return vb_is_word(c) || (c > 0x7F && !vb_is_bracket(c, 0) && !vb_is_apostrophe(c) && c != 0xBF && c != 0xA1);
}

static void pass_other(walker *w, uint32_t c, size_t len)
{
    uint32_t next = peek(w, w->at + len);
    int word = vb_is_word(w->left);
    if (!w->said && speaks(c)) {
        w->said = 1;
        w->began = w->at;
    }
    w->brackets += vb_is_bracket(c, 0);
    w->brackets -= vb_is_bracket(c, 1) && w->brackets > 0;
    w->singles += vb_is_apostrophe(c) && !word && !vb_is_space(next);
    w->stars += c == '*';
    w->bars += c == '_';
    w->left = c;
    w->at += len;
}

static verdict pass(walker *w)
{
    size_t len;
    uint32_t c = vb_read(&w->r, w->at, &len);
    if (vb_is_space(c)) return pass_space(w);
    if (vb_is_quote(c)) return pass_quote(w, c, len);
    if (ends_here(c, w->left)) return pass_group(w);
    pass_other(w, c, len);
    return GOES_ON;
}

size_t vb_sentence_end(const char *text, size_t len, vb_text_state state)
{
    walker w = {.r = vb_reading_of(text, len, state != VB_TEXT_GROWS), .left = VB_AT_END};
    verdict v = GOES_ON;
    while (v == GOES_ON && w.at < w.r.len) v = pass(&w);
    if (v == ENDS) return w.end;
    return v == GOES_ON && w.r.over ? w.fallback : 0;
}
