/* data.c - what the script tells about tokens, as JSON in a block that no browser runs.
 *
 *   {"limit": .., "margin": .., "cases": [{"from", "parted", "drift": [..], "heat": {..},
 *     "streams": [{"name", "bounds",
 *       "tokens": [[id, given, text, logprob, margin, note, [[id, bits, logprob, text], ..]] or null, ..]}]}]}
 *
 * Invariant: no "<" stands in it, so the block ends where it should (text.c).
 */
#include "page/parts.h"

#include <string.h>

static void put_text(FILE *to, const char *text)
{
    if (text != NULL) vb_page_json(to, text, strlen(text));
    else fputs("null", to);
}

static void put_choice(FILE *to, const vb_page_choice *choice)
{
    fprintf(to, "[%d,", choice->id);
    if (choice->has_bits) fprintf(to, "\"%08x\",", (unsigned)choice->bits);
    else fputs("null,", to);
    vb_page_number(to, choice->logprob);
    fputc(',', to);
    if (choice->text != NULL) vb_page_json(to, choice->text, choice->len);
    else fputs("null", to);
    fputc(']', to);
}

static void put_token(FILE *to, const vb_page_token *t)
{
    if (t->text == NULL) {
        fputs("null", to);
        return;
    }
    fprintf(to, "[%d,%d,", t->id, t->given);
    vb_page_json(to, t->text, t->len);
    fputc(',', to);
    vb_page_number(to, t->logprob);
    fputc(',', to);
    vb_page_number(to, t->margin);
    fputc(',', to);
    put_text(to, t->note);
    fputs(",[", to);
    for (int i = 0; i < t->n_top; i++) {
        if (i > 0) fputc(',', to);
        put_choice(to, &t->top[i]);
    }
    fputs("]]", to);
}

static void put_stream(FILE *to, const vb_page_stream *s)
{
    fputs("{\"name\":", to);
    put_text(to, s->name);
    fprintf(to, ",\"bounds\":%d,\"tokens\":[", s->bounds);
    for (int i = 0; i < s->n; i++) {
        if (i > 0) fputs(",\n", to);
        put_token(to, &s->tokens[i]);
    }
    fputs("]}", to);
}

static void put_numbers(FILE *to, const double *values, int n)
{
    fputc('[', to);
    for (int i = 0; values != NULL && i < n; i++) {
        if (i > 0) fputc(',', to);
        vb_page_number(to, values[i]);
    }
    fputc(']', to);
}

static void put_map(FILE *to, const vb_page_layers *l, const char *name, const double *of)
{
    int columns = vb_page_heat_columns(l);
    fprintf(to, ",\"%s\":[", name);
    for (int i = 0; of != NULL && i < l->layers * columns; i++) {
        if (i > 0) fputc(',', to);
        vb_page_number(to, vb_page_heat_value(l, of, i / columns, i % columns));
    }
    fputc(']', to);
}

static void put_layers(FILE *to, const vb_page_layers *l)
{
    int there = l->positions > 0 && l->layers > 0 && (l->largest != NULL || l->rms != NULL);
    if (!there) {
        fputs("null", to);
        return;
    }
    fprintf(to, "{\"layers\":%d,\"positions\":%d,\"columns\":%d,\"names\":[", l->layers, l->positions,
            vb_page_heat_columns(l));
    for (int i = 0; l->names != NULL && i < l->layers; i++) {
        if (i > 0) fputc(',', to);
        put_text(to, l->names[i]);
    }
    fputc(']', to);
    put_map(to, l, "largest", l->largest);
    put_map(to, l, "rms", l->rms);
    fputc('}', to);
}

static void put_case(FILE *to, const vb_page_case *c)
{
    fprintf(to, "{\"from\":%d,\"parted\":%d,\"drift\":", c->first_position, c->divergence);
    put_numbers(to, c->drift, vb_page_length(c));
    fputs(",\"heat\":", to);
    put_layers(to, &c->layers);
    fputs(",\"streams\":[", to);
    for (int s = 0; s < c->n_streams; s++) {
        if (s > 0) fputc(',', to);
        put_stream(to, &c->streams[s]);
    }
    fputs("]}", to);
}

void vb_page_data(FILE *to, const vb_page *page)
{
    fputs("<script type=\"application/json\" id=\"data\">{\"limit\":", to);
    vb_page_number(to, vb_page_limit(&page->envelope));
    fputs(",\"margin\":", to);
    vb_page_number(to, vb_page_margin(&page->envelope));
    fputs(",\"cases\":[", to);
    for (int i = 0; i < page->n_cases; i++) {
        if (i > 0) fputs(",\n", to);
        put_case(to, &page->cases[i]);
    }
    fputs("]}</script>\n", to);
}
