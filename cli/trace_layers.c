/* trace_layers.c - how far apart two recordings are inside the model: a row a named value, a column a position.
 *
 * Values are compared only where both sides computed the same thing: at positions before the first token that differs.
 * Invariant: rows stand in the order in which the first recording names them, so what parts first stands above.
 */
#include "trace_lines.h"

#include "out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int same_value(const vb_tap_line *a, const vb_tap_line *b)
{
    return a->layer == b->layer && strcmp(a->name, b->name) == 0;
}

/* One line's values as bits; free *values. Returns how many. */
static int read_values(const vb_trace_lines *t, const vb_tap_line *tap, uint32_t **values)
{
    char *line = NULL;
    size_t cap = 0;
    json_t *record = fseek(t->lines, tap->at, SEEK_SET) == 0 && getline(&line, &cap, t->lines) > 0
                         ? json_loads(line, 0, NULL)
                         : NULL;
    const char *hex = json_string_value(json_object_get(record, "bits"));
    size_t n = hex != NULL ? strlen(hex) / 8 : 0;
    *values = malloc(n * sizeof **values + 1);
    for (size_t i = 0; *values != NULL && i < n; i++) {
        char digits[9] = {0};
        memcpy(digits, hex + 8 * i, 8);
        (*values)[i] = (uint32_t)strtoul(digits, NULL, 16);
    }
    json_decref(record);
    free(line);
    return *values != NULL ? (int)n : -1;
}

static double apart(uint32_t a, uint32_t b)
{
    float x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    return a == b ? 0 : fabs((double)x - (double)y);
}

typedef struct {
    const vb_trace_lines *a, *b;
    vb_page_layers *out;
    vb_trace_element *first;
} comparison;

/* Fills the cell of one value at one position. */
static int compare(comparison *c, const vb_tap_line *x, const vb_tap_line *y, size_t cell)
{
    uint32_t *u = NULL, *v = NULL;
    int n = read_values(c->a, x, &u), m = read_values(c->b, y, &v), code = n < 0 || m < 0 ? vb_no_memory() : 0;
    double largest = 0, squares = 0;
    for (int i = 0; code == 0 && n == m && i < n; i++) {
        double d = apart(u[i], v[i]);
        if (!(d <= largest)) largest = d;
        squares += d * d;
        if (u[i] != v[i] && c->first->tap == NULL) *c->first = (vb_trace_element){x, i, u[i], v[i]};
    }
    ((double *)c->out->largest)[cell] = n == m && n > 0 ? largest : (double)NAN;
    ((double *)c->out->rms)[cell] = n == m && n > 0 ? sqrt(squares / n) : (double)NAN;
    free(u);
    free(v);
    return code;
}

/* The row of a tap, looked for from `hint` on: taps come in the order of rows, over and over. -1: none. */
static int row_of(const vb_tap_line *const *rows, int n, const vb_tap_line *tap, int hint)
{
    for (int i = 0; i < n; i++) {
        int row = (hint + i) % n;
        if (same_value(rows[row], tap)) return row;
    }
    return -1;
}

/* The named values of `t`, each once. Returns how many, -1 without memory; free *rows. */
static int find_rows(const vb_trace_lines *t, const vb_tap_line ***rows)
{
    int n = 0;
    *rows = malloc(((size_t)t->n_taps + 1) * sizeof **rows);
    for (int i = 0, row = -1; *rows != NULL && i < t->n_taps; i++) {
        row = row_of(*rows, n, &t->taps[i], row + 1);
        if (row < 0) (*rows)[row = n++] = &t->taps[i];
    }
    return *rows != NULL ? n : -1;
}

/* The tap of `t` for the same value at the same position; *from moves on as positions do. */
static const vb_tap_line *find_tap(const vb_trace_lines *t, const vb_tap_line *tap, int *from)
{
    while (*from < t->n_taps && t->taps[*from].position < tap->position) ++*from;
    for (int i = *from; i < t->n_taps && t->taps[i].position == tap->position; i++)
        if (same_value(&t->taps[i], tap)) return &t->taps[i];
    return NULL;
}

static int name_rows(const vb_tap_line *const *rows, int n, const char **names)
{
    char name[160];
    for (int i = 0; i < n; i++) {
        if (rows[i]->layer >= 0) snprintf(name, sizeof name, "layer %d, %s", rows[i]->layer, rows[i]->name);
        else snprintf(name, sizeof name, "%s", rows[i]->name);
        names[i] = strdup(name);
        if (names[i] == NULL) return vb_no_memory();
    }
    return 0;
}

static int allocate(vb_page_layers *out, int rows, int n)
{
    size_t cells = (size_t)rows * (size_t)n;
    double *largest = malloc((cells + 1) * sizeof *largest), *rms = malloc((cells + 1) * sizeof *rms);
    *out = (vb_page_layers){rows, n, calloc((size_t)rows + 1, sizeof(char *)), largest, rms};
    if (largest == NULL || rms == NULL || out->names == NULL) return vb_no_memory();
    for (size_t i = 0; i < cells; i++) largest[i] = rms[i] = (double)NAN;
    return 0;
}

static int fill(comparison *c, const vb_tap_line *const *rows, int until)
{
    int from = 0, code = 0;
    for (int i = 0, row = -1; i < c->a->n_taps && c->a->taps[i].position < until && code == 0; i++) {
        const vb_tap_line *tap = &c->a->taps[i], *twin = find_tap(c->b, tap, &from);
        row = row_of(rows, c->out->layers, tap, row + 1);
        if (twin == NULL || row < 0 || tap->position >= c->out->positions) continue;
        code = compare(c, tap, twin, (size_t)row * (size_t)c->out->positions + (size_t)tap->position);
    }
    return code;
}

int vb_trace_layers(const vb_trace_lines *a, const vb_trace_lines *b, int until, int n, vb_page_layers *out,
                    vb_trace_element *first)
{
    const vb_tap_line **rows = NULL;
    *out = (vb_page_layers){0};
    *first = (vb_trace_element){0};
    if (a->n_taps == 0 || b->n_taps == 0) return 0;
    int n_rows = find_rows(a, &rows), code = n_rows < 0 ? vb_no_memory() : allocate(out, n_rows, n);
    if (code == 0) code = name_rows(rows, n_rows, (const char **)out->names);
    if (code == 0) code = fill(&(comparison){a, b, out, first}, rows, until);
    free(rows);
    return code;
}

void vb_trace_layers_free(vb_page_layers *layers)
{
    for (int i = 0; layers->names != NULL && i < layers->layers; i++) free((char *)layers->names[i]);
    free((void *)layers->names);
    free((void *)layers->largest);
    free((void *)layers->rms);
}
