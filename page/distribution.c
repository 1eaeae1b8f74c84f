/* distribution.c - how the drift of all cases is distributed: a histogram over quarters of decades, beside the envelope.
 *
 * Invariant: every drift that is not NAN is counted in exactly one bar; zero, and what is nearly zero, in the first.
 */
#include "page/parts.h"

#include <math.h>
#include <stdlib.h>

enum { LOWEST = -6, HIGHEST = 2, A_DECADE = 4, BARS = (HIGHEST - LOWEST) * A_DECADE + 1, HEIGHT = 110, FEWEST = 8 };

typedef struct {
    double *values; /* ascending */
    int n;
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

static double place(double value)
{
    double at = value > 0 ? (log10(value) - LOWEST) * A_DECADE + 1 : 0;
    return at < 0 ? 0 : at > BARS - 1 ? BARS - 1 : at;
}

static void bars(FILE *to, const values *v, double limit)
{
    int counts[BARS] = {0}, most = 1;
    for (int i = 0; i < v->n; i++) counts[(int)place(v->values[i])]++;
    for (int i = 0; i < BARS; i++)
        if (counts[i] > most) most = counts[i];
    for (int i = 0; i < BARS; i++) {
        double height = (double)(HEIGHT - 8) * counts[i] / most;
        const char *style = !isnan(limit) && i > place(limit) ? "outside" : "inside";
        if (counts[i] > 0)
            fprintf(to, "<rect class=\"%s\" x=\"%d.1\" width=\".8\" y=\"%.1f\" height=\"%.1f\"><title>%d</title></rect>",
                    style, i, HEIGHT - 2 - height, height, counts[i]);
    }
}

static void mark(FILE *to, double value, const char *style)
{
    if (value > 0) fprintf(to, "<path class=\"%s\" d=\"M%.2f 0V%d\"/>", style, place(value), HEIGHT - 2);
}

static void axis(FILE *to)
{
    fputs("<p class=\"ends\"><span>0</span>", to);
    for (int d = LOWEST + 1; d <= HIGHEST; d += 1) fprintf(to, "<span>%g</span>", pow(10, d));
    fputs("</p>\n", to);
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
    if (s == VB_OK && v.n >= FEWEST) {
        fputs("<figure class=\"distribution\">", to);
        sentence(to, page, &v);
        fprintf(to, "<svg class=\"field\" viewBox=\"0 0 %d %d\" height=\"%d\" preserveAspectRatio=\"none\" role=\"img\" "
                    "aria-label=\"distribution of drift\">", BARS, HEIGHT, HEIGHT);
        bars(to, &v, vb_page_limit(&page->envelope));
        fprintf(to, "<path class=\"base\" d=\"M0 %dH%d\"/>", HEIGHT - 2, BARS);
        mark(to, page->envelope.known ? page->envelope.median : 0, "limit faint");
        mark(to, vb_page_limit(&page->envelope), "limit");
        fputs("</svg>", to);
        axis(to);
        fputs("</figure>\n", to);
    }
    free(v.values);
    return s;
}
