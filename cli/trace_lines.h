/* trace_lines.h - a trace in memory, read through the door that everybody has: vb_trace_show's JSON lines. */
#ifndef VB_CLI_TRACE_LINES_H
#define VB_CLI_TRACE_LINES_H
#include "page/page.h"

#include <jansson.h>

/* Where a tap's line stands; its values are read when they are needed. */
typedef struct {
    int position, layer;
    const char *name;
    long at;
} vb_tap_line;

typedef struct {
    const char *path;
    FILE *lines;
    json_t *header, *end; /* end: or the record of a cut */
    json_t *records;      /* the tokens */
    json_t *kept, *names; /* own texts that stand nowhere else; names: of taps */
    vb_page_token *tokens;
    vb_page_choice *choices;
    int n;
    vb_tap_line *taps;
    int n_taps;
} vb_trace_lines;

/* 0, or an exit code after saying why. Close it in any case. Texts of the choices come from the recorded model if it
 * is still there with the same tokenizer. */
int vb_trace_lines_open(vb_trace_lines *t, const char *path);
void vb_trace_lines_close(vb_trace_lines *t);
/* A header's string, "" if it is none. */
const char *vb_trace_lines_word(const vb_trace_lines *t, const char *key);

/* The first element that is not the same, as both sides have it; tap NULL: none. */
typedef struct {
    const vb_tap_line *tap;
    int element;
    uint32_t a, b;
} vb_trace_element;

/* Drift of every named value that both hold, for positions before `until`: rows of `n` positions, to be freed by the
 * call that follows. 0, or an exit code after saying why. */
int vb_trace_layers(const vb_trace_lines *a, const vb_trace_lines *b, int until, int n, vb_page_layers *out,
                    vb_trace_element *first);
void vb_trace_layers_free(vb_page_layers *layers);

/* The page of one trace (b NULL) or two. 0, or an exit code after saying why. */
int vb_trace_page(const char *html, const char *a, const char *b, const vb_diff *diff);

#endif
