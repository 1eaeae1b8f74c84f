/* heat.c - drift by layer and position, as a map of colours, and by layer as a table.
 *
 *   layer 0  ..........#..     a column a position, or several; a colour a step of the logarithm between the least
 *   layer 1  ..........##.     drift above zero and the largest, nothing for zero
 *   layer 2  ..........###
 *
 * Invariant: cells are as the data that the script shows for them (data.c walks the same columns), and neighbours of
 * one colour are drawn as one, so that the map is small where nothing happens.
 */
#include "page/parts.h"

#include <math.h>

enum { COLUMNS = VB_PAGE_HEAT_COLUMNS, STEPS = 9 };

int vb_page_heat_columns(const vb_page_layers *l)
{
    return l->positions < COLUMNS ? l->positions : COLUMNS;
}

double vb_page_heat_value(const vb_page_layers *l, const double *of, int layer, int column)
{
    int columns = vb_page_heat_columns(l);
    int from = (int)((int64_t)column * l->positions / columns),
        to = (int)((int64_t)(column + 1) * l->positions / columns);
    double found = (double)NAN;
    for (int i = from; of != NULL && i < to; i++) {
        double v = of[(size_t)layer * (size_t)l->positions + (size_t)i];
        if (!isnan(v) && !(v <= found)) found = v;
    }
    return found;
}

typedef struct {
    double low, high;
} range;

static range range_of(const vb_page_layers *l, const double *of)
{
    range r = {(double)INFINITY, 0};
    for (int64_t i = 0; i < (int64_t)l->layers * l->positions; i++) {
        if (of[i] > 0 && of[i] < r.low) r.low = of[i];
        if (of[i] > r.high && isfinite(of[i])) r.high = of[i];
    }
    return r;
}

/* 0: nothing, 1 .. STEPS by the logarithm. */
static int step_of(const range *r, double value)
{
    if (!(value > 0)) return 0;
    if (!(r->high > r->low)) return STEPS;
    int step = 1 + (int)(STEPS * log(value / r->low) / log(r->high / r->low));
    return step > STEPS ? STEPS : step < 1 ? 1 : step;
}

static void put_layer(FILE *to, const vb_page_layers *l, const double *of, const range *r, int layer)
{
    int columns = vb_page_heat_columns(l);
    for (int x = 0, until; x < columns; x = until) {
        int step = step_of(r, vb_page_heat_value(l, of, layer, x));
        for (until = x + 1; until < columns; until++)
            if (step_of(r, vb_page_heat_value(l, of, layer, until)) != step) break;
        if (step > 0)
            fprintf(to, "<rect class=\"h%d\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"1\"/>", step, x, layer, until - x);
    }
}

/* The number that stands beside a row: of "layer 3, ..." it is 3; -1: none. */
static int number_of(const vb_page_layers *l, int row)
{
    int number = row;
    if (row < 0 || row >= l->layers) return -1;
    return l->names == NULL || sscanf(l->names[row], "layer %d", &number) == 1 ? number : -1;
}

static void put_axis(FILE *to, const vb_page_layers *l, int each)
{
    int most = 0;
    for (int i = 0; i < l->layers; i++)
        if (number_of(l, i) > most) most = number_of(l, i);
    int every = most > 7 ? (most + 5) / 6 : 1;
    fprintf(to, "<svg class=\"axis\" width=\"52\" height=\"%d\" aria-hidden=\"true\">", l->layers * each);
    for (int i = 0; i < l->layers; i++) {
        int number = number_of(l, i);
        if (number >= 0 && number % every == 0 && number != number_of(l, i - 1))
            fprintf(to, "<text x=\"46\" y=\"%d\">%d</text>", i * each + each / 2 + 4, number);
    }
    fputs("</svg>", to);
}

static void put_map(FILE *to, const vb_page_layers *l, const double *of, const range *r)
{
    int each = l->layers <= 12 ? 14 : l->layers <= 32 ? 9 : 6;
    fputs("<div class=\"plot\">", to);
    put_axis(to, l, each);
    fprintf(to,
            "<svg class=\"field heat\" viewBox=\"0 0 %d %d\" height=\"%d\" preserveAspectRatio=\"none\" role=\"img\" "
            "aria-label=\"drift by layer and position\">",
            vb_page_heat_columns(l), l->layers, l->layers * each);
    for (int i = 0; i < l->layers; i++) put_layer(to, l, of, r, i);
    fputs("</svg></div>\n", to);
}

static void put_name(FILE *to, const vb_page_layers *l, int layer)
{
    if (l->names != NULL) vb_page_words(to, l->names[layer]);
    else fprintf(to, "layer %d", layer);
}

/* Where values part first: the earliest position, and there the first layer. */
static void put_first(FILE *to, const vb_page_case *c, const double *of)
{
    const vb_page_layers *l = &c->layers;
    for (int i = 0; i < l->positions; i++)
        for (int layer = 0; layer < l->layers; layer++) {
            double v = of[(size_t)layer * (size_t)l->positions + (size_t)i];
            if (!(v > 0)) continue;
            fputs("; first in ", to);
            put_name(to, l, layer);
            fprintf(to, " at position %d, by %.3g", c->first_position + i, v);
            return;
        }
}

static void put_legend(FILE *to, const range *r)
{
    fputs("<p class=\"legend\"><output class=\"reading\">point at a cell</output><span class=\"scale\">", to);
    fprintf(to, "<span>%.2g</span><svg width=\"%d\" height=\"10\" aria-hidden=\"true\">", r->low, STEPS * 14);
    for (int i = 0; i < STEPS; i++)
        fprintf(to, "<rect class=\"h%d\" x=\"%d\" width=\"14\" height=\"10\"/>", i + 1, i * 14);
    fprintf(to, "</svg><span>%.2g</span></span></p>\n", r->high);
}

static void put_number(FILE *to, double value)
{
    if (isnan(value)) fputs("<td>\u2013</td>", to);
    else fprintf(to, "<td>%.3g</td>", value);
}

static void put_row(FILE *to, const vb_page_layers *l, int layer)
{
    double largest = (double)NAN, squares = 0;
    int n = 0, at = -1;
    for (int i = 0; i < l->positions; i++) {
        size_t k = (size_t)layer * (size_t)l->positions + (size_t)i;
        if (l->largest != NULL && !isnan(l->largest[k]) && !(l->largest[k] <= largest)) largest = l->largest[k], at = i;
        if (l->rms != NULL && !isnan(l->rms[k])) squares += l->rms[k] * l->rms[k], n++;
    }
    fputs("<tr><th>", to);
    put_name(to, l, layer);
    fputs("</th>", to);
    put_number(to, largest);
    put_number(to, at < 0 ? (double)NAN : at);
    put_number(to, n > 0 ? sqrt(squares / n) : (double)NAN);
    fputs("</tr>\n", to);
}

static void put_table(FILE *to, const vb_page_layers *l)
{
    fputs(
        "<details><summary>Drift of every layer as numbers</summary><table class=\"numbers\"><thead><tr><th>layer</th>"
        "<th>largest</th><th>at index</th><th>rms</th></tr></thead><tbody>\n",
        to);
    for (int i = 0; i < l->layers; i++) put_row(to, l, i);
    fputs("</tbody></table></details>\n", to);
}

void vb_page_heat(FILE *to, const vb_page_case *c)
{
    const vb_page_layers *l = &c->layers;
    const double *of = l->largest != NULL ? l->largest : l->rms;
    if (of == NULL || l->layers < 1 || l->positions < 1) return;
    range r = range_of(l, of);
    fprintf(to, "<figure><figcaption><b>Drift by layer</b> %s difference of each layer's values, first layer on top",
            of == l->largest ? "largest" : "rms");
    if (r.high > 0) put_first(to, c, of);
    else fputs(": none, every bit is the same", to);
    fputs("</figcaption>\n", to);
    if (r.high > 0) {
        put_map(to, l, of, &r);
        put_legend(to, &r);
    }
    put_table(to, l);
    fputs("</figure>\n", to);
}
