/* parts.h - the pieces of a page, each written by a file of its own. */
#ifndef VB_PAGE_PARTS_H
#define VB_PAGE_PARTS_H
#include "page/page.h"

/* A style sheet or script, and its SHA-256 in base64, as a content security policy names it. */
typedef struct {
    const char *text;
    size_t len;
    char sha256[48];
} vb_page_asset;
void vb_page_style(vb_page_asset *out);
void vb_page_script(vb_page_asset *out);

/* Text, whatever its bytes: printable characters as they are, a newline as an arrow, all else as an escape. */
void vb_page_html(FILE *to, const char *text, size_t len);
void vb_page_words(FILE *to, const char *text);                 /* the same up to a NUL; nothing for NULL */
void vb_page_json(FILE *to, const char *text, size_t len);      /* as a JSON string that may stand in a script */
void vb_page_number(FILE *to, double value);                    /* as JSON; null if not finite */
void vb_page_chip(FILE *to, const char *verdict, vb_page_tone tone); /* a verdict's word on its colour */

/* What cases are made of. */
int vb_page_length(const vb_page_case *c); /* indices: tokens of the longer stream */
/* The token at an index, or NULL where the stream has none. */
const vb_page_token *vb_page_token_at(const vb_page_case *c, int stream, int index);
/* 1: two streams, and their tokens there are not the same, or one has ended. A hole is nothing to compare. */
int vb_page_differs(const vb_page_case *c, int index);
double vb_page_limit(const vb_page_envelope *envelope); /* drift above it is outside; NAN: not known */
double vb_page_margin(const vb_page_envelope *envelope); /* margins up to it are open; NAN: not known */

void vb_page_streams(FILE *to, const vb_page_case *c);
vb_status vb_page_plots(FILE *to, const vb_page *page, const vb_page_case *c);
vb_status vb_page_distribution(FILE *to, const vb_page *page);
void vb_page_heat(FILE *to, const vb_page_case *c);
/* The map's columns, and the largest value in one of them (NAN: none); `of` is one of the layers' two tables. */
enum { VB_PAGE_HEAT_COLUMNS = 240 };
int vb_page_heat_columns(const vb_page_layers *l);
double vb_page_heat_value(const vb_page_layers *l, const double *of, int layer, int column);
void vb_page_overview(FILE *to, const vb_page *page); /* a table of cases */
void vb_page_data(FILE *to, const vb_page *page);

#endif
