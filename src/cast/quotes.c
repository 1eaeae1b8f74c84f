/* quotes.c - which quotation mark opens, and the marks around a line.
 *
 *   "..."  “...”  „...“  ”...”  «...»  »...«  ‹...›  「...」  『...』
 *
 * The same mark opens in one language and closes in another, so that its neighbours decide: a mark that stands where a
 * word begins opens, one that stands behind something closes. One that is open is closed by the next mark that can.
 */
#include "cast/quotes.h"

#include "cast/stop.h"

/* --- roles --------------------------------------------------------------------------------------------- */

enum { EITHER = 1, LEFT, RIGHT, ONLY_LEFT, ONLY_RIGHT }; /* the side of quoted text where a mark usually stands */

static int side_of(uint32_t c)
{
    switch (c) {
    case '"': case 0xFF02: return EITHER;
    case 0xAB: case 0x201C: case 0x201E: case 0x201F: case 0x2039: case 0x2E42: return LEFT;
    case 0xBB: case 0x201D: case 0x203A: return RIGHT;
    case 0x3008: case 0x300A: case 0x300C: case 0x300E: case 0x301D: case 0xFE41: case 0xFE43: case 0xFF62: return ONLY_LEFT;
    case 0x3009: case 0x300B: case 0x300D: case 0x300F: case 0x301E: case 0x301F: case 0xFE42: case 0xFE44: case 0xFF63:
        return ONLY_RIGHT;
    default: return 0;
    }
}

int vb_is_quote(uint32_t c)
{
    return side_of(c) != 0;
}

int vb_is_apostrophe(uint32_t c)
{
    return c == '\'' || c == 0x2018 || c == 0x2019 || c == 0xFF07;
}

static int closes(uint32_t open, uint32_t c)
{
    switch (open) {
    case 0x201C: case 0x201F: case 0x201D: return c == 0x201D;
    case 0x201E: case 0x2E42: return c == 0x201C || c == 0x201D || c == '"';
    case 0xAB: return c == 0xBB;
    case 0xBB: return c == 0xAB || c == 0xBB;
    case 0x2039: return c == 0x203A;
    case 0x203A: return c == 0x2039 || c == 0x203A;
    case 0x301D: return c == 0x301E || c == 0x301F;
    case '"': case 0xFF02: return c == open;
    default: return c == open + 1; /* the pairs of East Asia */
    }
}

static int find_open(const vb_quotes *q, uint32_t c)
{
    for (int i = q->n - 1; i >= 0; i--)
        if (closes(q->open[i].mark, c)) return i;
    return -1;
}

/* Where a word may begin. */
static int begins(uint32_t left)
{
    int side = side_of(left);
    return left == VB_AT_END || vb_is_space(left) || vb_is_bracket(left, 0) || left == 0x2013 || left == 0x2014 ||
           side == LEFT || side == ONLY_LEFT;
}

vb_quote_role vb_quote_role_of(const vb_quotes *q, uint32_t mark, uint32_t left, uint32_t right)
{
    int side = side_of(mark), first = begins(left);
    if (find_open(q, mark) >= 0) return VB_QUOTE_CLOSES;
    if (side == ONLY_LEFT) return VB_QUOTE_OPENS;
    if (side == ONLY_RIGHT) return VB_QUOTE_STRAY;
    if (side == LEFT && first) return VB_QUOTE_OPENS;
    if (!first && (side == RIGHT || vb_is_term(left) || vb_is_dot(left) || left == 0x2026))
        if (side != LEFT) return VB_QUOTE_STRAY;
    if (right == VB_NOT_KNOWN) return VB_QUOTE_UNKNOWN;
    if (right == VB_AT_END || vb_is_space(right)) return VB_QUOTE_STRAY;
    return first || vb_is_word(right) ? VB_QUOTE_OPENS : VB_QUOTE_STRAY;
}

void vb_quote_pass(vb_quotes *q, uint32_t mark, vb_quote_role role, size_t at, size_t *opened)
{
    if (role == VB_QUOTE_CLOSES) {
        q->n = find_open(q, mark);
        if (opened != NULL) *opened = q->open[q->n].at;
    } else if (role == VB_QUOTE_OPENS && q->n < VB_QUOTES_DEEP) {
        q->open[q->n].mark = mark;
        q->open[q->n].at = at;
        q->n++;
    }
}

/* --- around a line ------------------------------------------------------------------------------------- */

enum { MOST_AROUND = 64 }; /* pairs that are taken away: the time for a text of nothing else has a bound */

typedef struct {
    vb_reading r;
    uint32_t first, last, before_last;
    size_t last_at, first_len;
    vb_quote_role first_role, last_role;
    size_t matched;      /* what the last mark closes */
    int closed, singles; /* closed: the first mark was; singles: apostrophes where a word begins */
} edges;

static void look(edges *e)
{
    vb_quotes q = {.n = 0};
    uint32_t left = VB_AT_END;
    size_t len, next_len, opened = (size_t)-1;
    for (size_t at = 0; at < e->r.len; at += len) {
        uint32_t c = vb_read(&e->r, at, &len), right = vb_read(&e->r, at + len, &next_len);
        vb_quote_role role = VB_QUOTE_UNKNOWN;
        if (vb_is_quote(c)) {
            role = vb_quote_role_of(&q, c, left, right);
            opened = (size_t)-1;
            vb_quote_pass(&q, c, role, at, &opened);
            if (opened == 0) e->closed = 1;
        }
        if (vb_is_apostrophe(c) && begins(left) && right != VB_AT_END && !vb_is_space(right)) e->singles++;
        if (at == 0) e->first = c, e->first_role = role, e->first_len = len;
        e->before_last = left;
        e->last = left = c;
        e->last_role = role;
        e->last_at = at;
        e->matched = opened;
    }
}

static int ends_speech(uint32_t c)
{
    return vb_is_term(c) || vb_is_dot(c) || c == 0x2026;
}

/* How much is to be taken away: 1 the first mark, 2 the last one, 3 both, 0 nothing. */
static int around(const edges *e)
{
    int single = vb_is_apostrophe(e->last) && ends_speech(e->before_last);
    if (e->last_at > 0 && vb_is_quote(e->last) && e->last_role == VB_QUOTE_CLOSES && e->matched == 0) return 3;
    if (vb_is_quote(e->first) && (e->first_role == VB_QUOTE_STRAY || !e->closed)) return 1;
    if (vb_is_quote(e->last) && e->last_role == VB_QUOTE_STRAY) return 2;
    if (single && vb_is_apostrophe(e->first) && e->singles == 1) return 3;
    return single && e->singles == 0 ? 2 : 0;
}

static void trim(const char *text, size_t *from, size_t *len)
{
    vb_reading r = {text, *from + *len, 1};
    size_t end = r.len, n;
    while (*from < end && vb_is_space(vb_read(&r, *from, &n))) *from += n;
    while (end > *from && vb_is_space(vb_read(&r, vb_read_back(&r, end), &n))) end -= n;
    *len = end - *from;
}

void vb_line_trim(const char *text, size_t *from, size_t *len, int quotes)
{
    trim(text, from, len);
    for (int i = 0; quotes && *len > 0 && i < MOST_AROUND; i++, trim(text, from, len)) {
        edges e = {.r = {text + *from, *len, 1}};
        look(&e);
        int which = around(&e);
        if (which == 0) break;
        size_t cut = which & 1 ? e.first_len : 0, end = which & 2 ? e.last_at : *len;
        *from += cut;
        *len = end - cut;
    }
}
