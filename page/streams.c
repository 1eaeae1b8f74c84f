/* streams.c - the tokens, as text that can be read.
 *
 *   40 |  a  | The | sky | is  | blue      a cell an index: above what the first stream says there, below the second
 *      |  b  | The | sky | was | blue      the background says how unlikely the token was, a frame that the two differ
 *
 * A row ends behind a newline of the text, before the first difference, which needs room for its flag, or after ROW
 * tokens, so that a browser lays out only the rows in view.
 * Invariant: cells stand in the order of indices and there is one for each; the script finds them by counting.
 */
#include "page/parts.h"

#include <math.h>
#include <string.h>

enum { ROW = 96 };

int vb_page_length(const vb_page_case *c)
{
    int n = 0;
    for (int i = 0; i < c->n_streams; i++)
        if (c->streams[i].n > n) n = c->streams[i].n;
    return n;
}

const vb_page_token *vb_page_token_at(const vb_page_case *c, int stream, int index)
{
    const vb_page_stream *s = &c->streams[stream];
    return stream < c->n_streams && index < s->n && s->tokens[index].text != NULL ? &s->tokens[index] : NULL;
}

int vb_page_differs(const vb_page_case *c, int index)
{
    const vb_page_token *a = vb_page_token_at(c, 0, index), *b = vb_page_token_at(c, 1, index);
    if (c->n_streams < 2) return 0;
    if (a == NULL || b == NULL) return index >= c->streams[0].n || index >= c->streams[1].n;
    if (a->id >= 0 && b->id >= 0) return a->id != b->id;
    return a->len != b->len || memcmp(a->text, b->text, a->len) != 0;
}

/* 0: likely, nothing to see .. 7: below one in a hundred. */
static int unlikely(double logprob)
{
    static const double steps[] = {0.9, 0.7, 0.5, 0.3, 0.1, 0.03, 0.01};
    int step = 0;
    if (isnan(logprob)) return 0;
    while (step < 7 && exp(logprob) < steps[step]) step++;
    return step;
}

static void put_token(FILE *to, const vb_page_token *t, int differs)
{
    if (t == NULL) {
        fputs("<span class=\"t hole\"></span>", to);
        return;
    }
    fprintf(to, "<span class=\"t%s%s%s", t->given ? " given" : "", differs ? " x" : "", t->note != NULL ? " note" : "");
    if (!t->given && unlikely(t->logprob)) fprintf(to, " q%d", unlikely(t->logprob));
    fputs("\">", to);
    vb_page_html(to, t->text, t->len);
    fputs("</span>", to);
}

static void put_cell(FILE *to, const vb_page_case *c, int index)
{
    int differs = vb_page_differs(c, index), first = index == c->divergence;
    fprintf(to, "<span class=\"c%s\"%s>", first ? " first" : "", index == 0 ? " tabindex=\"0\"" : "");
    for (int s = 0; s < c->n_streams; s++) put_token(to, vb_page_token_at(c, s, index), differs);
    fputs("</span>", to);
}

static int ends_row(const vb_page_case *c, int index)
{
    for (int s = 0; s < c->n_streams; s++) {
        const vb_page_token *t = vb_page_token_at(c, s, index);
        if (t != NULL && t->len > 0 && t->text[t->len - 1] == '\n') return 1;
    }
    return 0;
}

static void put_legend(FILE *to, const vb_page_case *c)
{
    static const char *const steps[] = {"90 %", "70 %", "50 %", "30 %", "10 %", "3 %", "1 %"};
    int bounds = c->streams[0].bounds || (c->n_streams > 1 && c->streams[1].bounds);
    fprintf(to, "<p class=\"legend\"><span>%s</span>",
            bounds ? "probability among the kept choices below" : "probability below");
    for (int i = 0; i < 7; i++) fprintf(to, "<span class=\"t q%d\">%s</span>", i + 1, steps[i]);
    fputs("<span class=\"t given\">given</span>", to);
    if (c->n_streams > 1) fputs("<span class=\"t x\">differs</span>", to);
    fprintf(to,
            "<span class=\"keys\"><kbd>\u2190</kbd> <kbd>\u2192</kbd> <kbd>\u2191</kbd> <kbd>\u2193</kbd> "
            "move%s</span></p>\n",
            c->n_streams > 1 ? ", <kbd>d</kbd> first difference, <kbd>n</kbd> <kbd>p</kbd> next and previous mark"
                             : "");
}

static void put_names(FILE *to, const vb_page_case *c)
{
    fputs("<ul class=\"names\">", to);
    for (int s = 0; s < c->n_streams; s++) {
        fputs("<li>", to);
        if (c->n_streams > 1) fprintf(to, "<b class=\"s%d\">%c</b> ", s, 'a' + s);
        vb_page_words(to, c->streams[s].name);
        if (c->streams[s].what != NULL) fputs(" <small>", to);
        vb_page_words(to, c->streams[s].what);
        fputs(c->streams[s].what != NULL ? "</small></li>" : "</li>", to);
    }
    fputs("</ul>\n", to);
}

static void open_row(FILE *to, const vb_page_case *c, int index)
{
    fprintf(to, "<div class=\"r\"><span class=\"g\">%d</span>", c->first_position + index);
    if (c->n_streams > 1) fputs("<span class=\"ab\"><b class=\"s0\">a</b><b class=\"s1\">b</b></span>", to);
    fputs("<div class=\"l\">", to);
}

void vb_page_streams(FILE *to, const vb_page_case *c)
{
    int n = vb_page_length(c), in_row = 0;
    put_names(to, c);
    put_legend(to, c);
    fprintf(to, "<div class=\"streams%s\" role=\"group\" aria-label=\"tokens\">\n", c->n_streams > 1 ? " two" : "");
    for (int i = 0; i < n; i++) {
        if (in_row == 0) open_row(to, c, i);
        put_cell(to, c, i);
        in_row = ends_row(c, i) || in_row + 1 == ROW || i + 1 == c->divergence ? 0 : in_row + 1;
        if (in_row == 0) fputs("</div></div>\n", to);
    }
    fputs(in_row ? "</div></div>\n</div>\n" : "</div>\n", to);
}
