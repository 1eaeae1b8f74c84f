/* overview.c - all cases at a glance: what was compared, how much of it is the same, why the rest is not.
 *
 * Invariant: a row a case, in order; a row's link leads to the case of the same number.
 */
#include "page/parts.h"

#include <math.h>

typedef struct {
    int tokens, same; /* compared, of them the same */
    double drift;     /* largest; NAN: none */
} counts;

static counts count(const vb_page_case *c)
{
    counts k = {.drift = (double)NAN};
    for (int i = 0; i < vb_page_length(c); i++) {
        const vb_page_token *a = vb_page_token_at(c, 0, i), *b = vb_page_token_at(c, 1, i);
        int differs = vb_page_differs(c, i), compared = a != NULL && !a->given && (b != NULL || c->n_streams < 2);
        k.tokens += compared || differs;
        k.same += compared && !differs;
        if (c->drift != NULL && !isnan(c->drift[i]) && !(c->drift[i] <= k.drift)) k.drift = c->drift[i];
    }
    return k;
}

static void put_row(FILE *to, const vb_page_case *c, int number)
{
    counts k = count(c);
    fprintf(to, "<tr><td>%d</td><th><a href=\"#case%d\">", number + 1, number);
    if (c->title != NULL) vb_page_words(to, c->title);
    else fprintf(to, "case %d", number + 1);
    fprintf(to, "</a></th><td>%d</td><td>%d</td><td>", k.tokens, k.same);
    if (c->divergence >= 0) fprintf(to, "%d", c->first_position + c->divergence);
    else fputs("\u2013", to);
    if (isnan(k.drift)) fputs("</td><td>\u2013</td><td>", to);
    else fprintf(to, "</td><td>%.3g</td><td>", k.drift);
    vb_page_chip(to, c->verdict, c->tone);
    fputs("</td></tr>\n", to);
}

void vb_page_overview(FILE *to, const vb_page *page)
{
    fputs("<section><h2>Cases</h2><div class=\"wide\"><table class=\"numbers "
          "overview\"><thead><tr><th></th><th>prompt</th>"
          "<th>tokens</th><th>same</th><th>first difference</th><th>largest "
          "drift</th><th>verdict</th></tr></thead><tbody>\n",
          to);
    for (int i = 0; i < page->n_cases; i++) put_row(to, &page->cases[i], i);
    fputs("</tbody></table></div></section>\n", to);
}
