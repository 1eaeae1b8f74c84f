/* plots.c - margins and drift along the tokens, as SVG.
 *
 *   y: decades, and at the bottom a line of its own for zero      x: the index, stretched to the width of the page
 *
 *   10 |      .   .          a dot a token, warm where the margin lies below the envelope: there any engine may choose
 *    1 |. . .   .            otherwise
 *   .1 |- - - - - - - - -    the envelope
 *    0 |________|_________   the first difference
 *
 * More tokens than the page has columns share a column, which shows what matters: the least margin, the largest drift.
 * Invariant: a plot has at most COLUMNS marks a series, whatever the number of tokens.
 */
#include "page/parts.h"

#include <math.h>
#include <stdlib.h>

enum { COLUMNS = 1000, WIDTH = 1000, DECADES_MOST = 12 };

typedef struct {
    int n, height;
    int low, high; /* decades: 10^low is a little above the line of zero */
    FILE *to;
} plot;

typedef struct {
    double *values; /* NAN: none */
    int n;
} series;

double vb_page_limit(const vb_page_envelope *e)
{
    if (!e->known) return (double)NAN;
    return isfinite(e->limit) && e->limit > 0 ? e->limit : e->most;
}

double vb_page_margin(const vb_page_envelope *e)
{
    return e->known && isfinite(e->margin) && e->margin > 0 ? e->margin : vb_page_limit(e);
}

static double y_of(const plot *p, double value)
{
    double part = (log10(value) - p->low + 0.7) / (p->high - p->low + 0.7);
    if (!(value > 0) || part < 0) part = 0;
    return p->height - 4 - part * (p->height - 12);
}

static double x_of(const plot *p, double index)
{
    return (index + 0.5) * WIDTH / p->n;
}

/* Decades that hold all values above zero. */
static void fit(plot *p, const series *s, int n_series, double limit)
{
    double low = limit > 0 ? limit : (double)INFINITY, high = limit > 0 ? limit : 0;
    for (int k = 0; k < n_series; k++)
        for (int i = 0; i < s[k].n; i++) {
            if (s[k].values[i] > 0 && s[k].values[i] < low) low = s[k].values[i];
            if (s[k].values[i] > high && isfinite(s[k].values[i])) high = s[k].values[i];
        }
    p->high = high > 0 ? (int)ceil(log10(high)) : 0;
    p->low = isfinite(low) ? (int)floor(log10(low)) : p->high - 1;
    if (p->low >= p->high) p->low = p->high - 1;
    if (p->low < p->high - DECADES_MOST) p->low = p->high - DECADES_MOST;
}

/* The value of the column that `index` opens: of `step` values the least, or the largest. */
static double pick(const series *s, int index, int step, int largest)
{
    double found = (double)NAN;
    for (int i = index; i < index + step && i < s->n; i++) {
        double v = s->values[i];
        if (!isnan(v) && (isnan(found) || (largest ? v > found : v < found))) found = v;
    }
    return found;
}

static int step_of(int n)
{
    return (n + COLUMNS - 1) / COLUMNS;
}

/* Dots: strokes of no length with round ends keep their shape however wide the plot is stretched. Draws those on one
 * side of `limit` (all if it is NAN). */
static void dots(const plot *p, const series *s, const char *style, double limit, int below)
{
    int step = step_of(s->n);
    fprintf(p->to, "<path class=\"dot %s\" d=\"", style);
    for (int i = 0; i < s->n; i += step) {
        double v = pick(s, i, step, 0);
        if (isnan(v) || (below ? !(v <= limit) : v <= limit)) continue;
        fprintf(p->to, "M%.1f %.1fh0", x_of(p, i + (step - 1) / 2.0), y_of(p, v));
    }
    fputs("\"/>", p->to);
}

static void stems(const plot *p, const series *s, const char *style, double limit, int above)
{
    int step = step_of(s->n);
    fprintf(p->to, "<path class=\"stem %s\" d=\"", style);
    for (int i = 0; i < s->n; i += step) {
        double v = pick(s, i, step, 1);
        if (isnan(v) || (above ? !(v > limit) : v > limit)) continue;
        fprintf(p->to, "M%.1f %dV%.1f", x_of(p, i + (step - 1) / 2.0), p->height - 2, y_of(p, v));
    }
    fputs("\"/>", p->to);
}

static void level(const plot *p, double value, const char *style)
{
    if (value > 0) fprintf(p->to, "<path class=\"%s\" d=\"M0 %.1fH%d\"/>", style, y_of(p, value), WIDTH);
}

static void open_plot(const plot *p, const char *name)
{
    FILE *to = p->to;
    int every = (p->high - p->low) / 5 + 1;
    fprintf(to, "<div class=\"plot\"><svg class=\"axis\" width=\"52\" height=\"%d\" aria-hidden=\"true\">", p->height);
    for (int d = p->high; d >= p->low; d -= every)
        fprintf(to, "<text x=\"46\" y=\"%.1f\">%g</text>", y_of(p, pow(10, d)) + 4, pow(10, d));
    fprintf(to, "<text x=\"46\" y=\"%d\">0</text></svg>", p->height);
    fprintf(to,
            "<svg class=\"field %s\" viewBox=\"0 0 %d %d\" height=\"%d\" preserveAspectRatio=\"none\" role=\"img\" "
            "aria-label=\"%s\">",
            name, WIDTH, p->height, p->height, name);
    for (int d = p->high; d >= p->low; d -= every) level(p, pow(10, d), "grid");
    fprintf(to, "<path class=\"base\" d=\"M0 %dH%d\"/>", p->height - 2, WIDTH);
}

static void close_plot(const plot *p, const vb_page_case *c)
{
    if (c->divergence >= 0)
        fprintf(p->to, "<path class=\"parted\" d=\"M%.1f 0V%d\"/>", x_of(p, c->divergence), p->height);
    fprintf(p->to, "<path class=\"cursor\" d=\"M-9 0V%d\"/></svg></div>", p->height);
}

static void caption(FILE *to, const char *what, const char *text)
{
    fprintf(to, "<figure><figcaption><b>%s</b> ", what);
    vb_page_words(to, text);
    fputs("</figcaption>", to);
}

static void margins(FILE *to, const vb_page *page, const vb_page_case *c, const series *s)
{
    plot p = {.n = vb_page_length(c), .height = 124, .to = to};
    double limit = vb_page_margin(&page->envelope);
    fit(&p, s, c->n_streams, limit);
    caption(to, "Margin", "how far the best choice is ahead of the second");
    open_plot(&p, "margin");
    level(&p, limit, "limit");
    for (int k = c->n_streams - 1; k >= 0; k--) {
        dots(&p, &s[k], k == 0 ? "s0" : "s1", limit, 0);
        if (!isnan(limit)) dots(&p, &s[k], k == 0 ? "s0 low" : "s1 low", limit, 1);
    }
    close_plot(&p, c);
    fputs("</figure>\n", to);
}

static int any_above(const series *s, double least)
{
    for (int i = 0; i < s->n; i++)
        if (s->values[i] > least) return 1;
    return 0;
}

static void drift(FILE *to, const vb_page *page, const vb_page_case *c, const series *s)
{
    plot p = {.n = s->n, .height = 100, .to = to};
    double limit = vb_page_limit(&page->envelope);
    fit(&p, s, 1, limit);
    caption(to, "Drift", page->drift_what);
    if (!any_above(s, 0)) {
        fputs("<p>None: wherever the two were compared, every bit is the same.</p></figure>\n", to);
        return;
    }
    open_plot(&p, "drift");
    level(&p, limit, "limit");
    stems(&p, s, "inside", limit, 0);
    if (!isnan(limit)) stems(&p, s, "outside", limit, 1);
    close_plot(&p, c);
    fputs("</figure>\n", to);
}

static int fill_margins(const vb_page_case *c, int stream, series *out)
{
    out->n = stream < c->n_streams ? c->streams[stream].n : 0;
    out->values = malloc(((size_t)out->n + 1) * sizeof(double));
    for (int i = 0; out->values != NULL && i < out->n; i++) {
        const vb_page_token *t = vb_page_token_at(c, stream, i);
        out->values[i] = t == NULL || t->given ? (double)NAN : t->margin;
    }
    return out->values != NULL;
}

static void ends(FILE *to, const vb_page_case *c)
{
    fprintf(to, "<p class=\"ends\"><span>%d</span><span>position</span><span>%d</span></p>\n", c->first_position,
            c->first_position + vb_page_length(c) - 1);
}

vb_status vb_page_plots(FILE *to, const vb_page *page, const vb_page_case *c)
{
    series s[2] = {{0}}, d = {(double *)c->drift, c->drift != NULL ? vb_page_length(c) : 0};
    int whole = fill_margins(c, 0, &s[0]) && fill_margins(c, 1, &s[1]);
    int has_margins = whole && (any_above(&s[0], -(double)INFINITY) || any_above(&s[1], -(double)INFINITY));
    if (has_margins) margins(to, page, c, s);
    if (whole && any_above(&d, -(double)INFINITY)) drift(to, page, c, &d);
    if (has_margins || any_above(&d, -(double)INFINITY)) ends(to, c);
    free(s[0].values);
    free(s[1].values);
    return whole ? VB_OK : VB_E_MEMORY;
}
