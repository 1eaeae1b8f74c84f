/* distribution.c - how the drift of all cases is distributed: a histogram over quarters of decades, beside the
 * envelope.
 *
 * Invariant: every drift that is not NAN is counted in exactly one bar; zero, and what is nearly zero, in the first.
 */
#include "page/parts.h"

#include <math.h>
#include <stdlib.h>

enum {
    LOWEST = -9,
    HIGHEST = 4,
    A_DECADE = 4,
    BARS_MOST = (HIGHEST - LOWEST) * A_DECADE + 1,
    HEIGHT = 110,
    FEWEST = 8
};

typedef struct {
    double *values; /* ascending */
    int n;
    int low, high, bars; /* decades that hold those above zero; one bar more, for zero */
} values;

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static vb_status collect(const vb_page *page, values *out)
{
    size_t most = 1;
    for (int i = 0; i < page->n_cases; i++) most += (size_t)vb_page_length(&page->cases[i]);
    out->values = malloc(most * sizeof(double));
    if (out->values == NULL) return VB_E_MEMORY;
    for (int i = 0; i < page->n_cases; i++) {
        const vb_page_case *c = &page->cases[i];
        for (int k = 0; c->drift != NULL && k < vb_page_length(c); k++)
            if (!isnan(c->drift[k])) out->values[out->n++] = c->drift[k];
    }
    qsort(out->values, (size_t)out->n, sizeof(double), ascending);
    return VB_OK;
}

static int decade(double value, int up)
{
    int d = value > 0 ? (int)(up ? ceil(log10(value)) : floor(log10(value))) : 0;
    return d < LOWEST ? LOWEST : d > HIGHEST ? HIGHEST : d;
}

static void fit(values *v, const vb_page_envelope *e)
{
    double low = 0, high = v->values[v->n - 1], limit = vb_page_limit(e);
    for (int i = v->n - 1; i >= 0 && v->values[i] > 0; i--) low = v->values[i];
    if (limit > high) high = limit;
    if (limit > 0 && !(limit > low && low > 0)) low = limit;
    v->high = decade(high, 1);
    v->low = low > 0 ? decade(low, 0) : v->high - 1;
    if (v->low > v->high - 2) v->low = v->high - 2;
    v->bars = (v->high - v->low) * A_DECADE + 1;
}

static double place(const values *v, double value)
{
    double at = value > 0 ? (log10(value) - v->low) * A_DECADE + 1 : 0;
    return at < 0 ? 0 : at > v->bars - 1e-6 ? v->bars - 1e-6 : at;
}

static void bars(FILE *to, const values *v, double limit)
{
    int counts[BARS_MOST + 2 * A_DECADE] = {0}, most = 1;
    for (int i = 0; i < v->n; i++) counts[(int)place(v, v->values[i])]++;
    for (int i = 0; i < v->bars; i++)
        if (counts[i] > most) most = counts[i];
    for (int i = 0; i < v->bars; i++) {
        double height = (double)(HEIGHT - 8) * counts[i] / most;
        const char *style = !isnan(limit) && i > place(v, limit) ? "outside" : "inside";
        if (counts[i] > 0)
            fprintf(to,
                    "<rect class=\"%s\" x=\"%d.1\" width=\".8\" y=\"%.1f\" height=\"%.1f\"><title>%d</title></rect>",
                    style, i, HEIGHT - 2 - height, height, counts[i]);
    }
}

static void mark(FILE *to, const values *v, double value, const char *style)
{
    if (value > 0) fprintf(to, "<path class=\"%s\" d=\"M%.2f 0V%d\"/>", style, place(v, value), HEIGHT - 2);
}

static void axis(FILE *to, const values *v)
{
    fputs("<svg class=\"ticks\" aria-hidden=\"true\"><text x=\"0\" y=\"12\">0</text>", to);
    for (int d = v->low; d <= v->high - 1; d++)
        fprintf(to, "<text x=\"%.2f%%\" y=\"12\">%g</text>", 100.0 * ((d - v->low) * A_DECADE + 1) / v->bars,
                pow(10, d));
    fputs("</svg>\n", to);
}

static void sentence(FILE *to, const vb_page *page, const values *v)
{
    const vb_page_envelope *e = &page->envelope;
    fprintf(to, "<figcaption><b>Drift of all %d compared tokens</b> median %.3g, 95 %% below %.3g, largest %.3g.", v->n,
            v->values[v->n / 2], v->values[(int)((v->n - 1) * 0.95)], v->values[v->n - 1]);
    if (e->known) {
        fprintf(to, " Envelope of rounding: median %.3g, 95 %% below %.3g, largest %.3g", e->median, e->p95, e->most);
        fputs(e->how != NULL ? " (" : "", to);
        vb_page_words(to, e->how);
        fputs(e->how != NULL ? ")." : ".", to);
    }
    fputs("</figcaption>", to);
}

vb_status vb_page_distribution(FILE *to, const vb_page *page)
{
    values v = {0};
    vb_status s = collect(page, &v);
    if (s == VB_OK && v.n >= FEWEST && v.values[v.n - 1] > 0) {
        fputs("<figure class=\"distribution\">", to);
        fit(&v, &page->envelope);
        sentence(to, page, &v);
        fprintf(to,
                "<svg class=\"field\" viewBox=\"0 0 %d %d\" height=\"%d\" preserveAspectRatio=\"none\" role=\"img\" "
                "aria-label=\"distribution of drift\">",
                v.bars, HEIGHT, HEIGHT);
        bars(to, &v, vb_page_limit(&page->envelope));
        fprintf(to, "<path class=\"base\" d=\"M0 %dH%d\"/>", HEIGHT - 2, v.bars);
        mark(to, &v, page->envelope.known ? page->envelope.median : 0, "limit faint");
        mark(to, &v, vb_page_limit(&page->envelope), "limit");
        fputs("</svg>", to);
        axis(to, &v);
        fputs("</figure>\n", to);
    }
    free(v.values);
    return s;
}
