/* trace_page.c - a trace, or two and where they part, as a page (`trace show --html`, `trace diff --html`).
 *
 * Two performances are compared index by index. Drift is how far apart the logits are that both kept; it is told up to
 * the first token that is not the same, because behind it the two compute different things.
 */
#include "trace_lines.h"

#include "out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { FACTS_MOST = 64, VALUE = 160 };

typedef struct {
    vb_trace_lines a, b;
    vb_page_fact facts[FACTS_MOST];
    char values[FACTS_MOST][2][VALUE], keys[FACTS_MOST][32];
    int n_facts;
    double *drift;
    char title[VALUE], what[2][VALUE], reason[512], note[VALUE];
    vb_page_case one;
    vb_page page;
} builder;

/* --- facts ----------------------------------------------------------------------------------------------- */

/* Those that are no part of the performance. */
static int is_information(const char *key)
{
    static const char *const keys[] = {"format", "created",    "threads",    "verbatim",   "player", "isa",
                                       "cpu",    "model_path", "model_name", "model_arch", "prompt"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(key, keys[i]) == 0) return 1;
    return 0;
}

static void value_text(char *out, const char *key, json_t *value)
{
    const char *bits = json_string_value(json_object_get(value, "bits"));
    *out = '\0';
    if (bits != NULL) snprintf(out, VALUE, "%.9g (%s)", json_number_value(json_object_get(value, "value")), bits);
    else if (json_is_integer(value)) snprintf(out, VALUE, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_string(value)) snprintf(out, VALUE, "%s", json_string_value(value));
    if (strspn(out, "0") == 64) snprintf(out, VALUE, "none");
    if (strcmp(key, "created") == 0) {
        struct tm parts;
        time_t seconds = (time_t)(strtoull(out, NULL, 10) / 1000000000u);
        if (gmtime_r(&seconds, &parts) != NULL) strftime(out, VALUE, "%Y-%m-%d %H:%M:%S UTC", &parts);
    }
}

/* `both`: two traces; `lone`: 1 if a value that only one of them has is a difference (an older format lacks some). */
static void add_fact(builder *w, const char *key, json_t *a, json_t *b, int both, int lone)
{
    int i = w->n_facts;
    if (i == FACTS_MOST || (a == NULL && b == NULL)) return;
    snprintf(w->keys[i], sizeof w->keys[i], "%s", key);
    for (char *p = w->keys[i]; *p != '\0'; p++)
        if (*p == '_') *p = ' ';
    value_text(w->values[i][0], key, a);
    value_text(w->values[i][1], key, b);
    int differs = a == NULL || b == NULL ? lone : strcmp(w->values[i][0], w->values[i][1]) != 0;
    w->facts[i] = (vb_page_fact){w->keys[i], w->values[i][0], both ? w->values[i][1] : NULL,
                                 both && differs && !is_information(key)};
    w->n_facts++;
}

static void add_facts(builder *w, int both)
{
    const char *key;
    json_t *value;
    static const char *const of_end[] = {"reason", "dropped_bytes", "tokens", "digest"};
    json_object_foreach(w->a.header, key, value) if (strcmp(key, "record") != 0)
        add_fact(w, key, value, json_object_get(w->b.header, key), both, 0);
    for (int i = 0; i < 4; i++)
        add_fact(w, of_end[i], json_object_get(w->a.end, of_end[i]), json_object_get(w->b.end, of_end[i]), both, 1);
}

/* The first value inside the model that is not the same, as bits on both sides. */
static void add_first(builder *w, const vb_trace_element *e)
{
    char layer[32] = "";
    float values[2];
    memcpy(&values[0], &e->a, sizeof values[0]);
    memcpy(&values[1], &e->b, sizeof values[1]);
    if (w->n_facts == FACTS_MOST) return;
    if (e->tap->layer >= 0) snprintf(layer, sizeof layer, " of layer %d", e->tap->layer);
    int i = w->n_facts++;
    snprintf(w->keys[i], sizeof w->keys[i], "first value that differs");
    snprintf(w->values[i][0], VALUE, "%08x (%.9g), %.60s%s, position %d, element %d", e->a, (double)values[0],
             e->tap->name, layer, e->tap->position, e->element);
    snprintf(w->values[i][1], VALUE, "%08x (%.9g)", e->b, (double)values[1]);
    w->facts[i] = (vb_page_fact){w->keys[i], w->values[i][0], w->values[i][1], 1};
    w->page.n_facts = w->n_facts;
}

/* --- where they part ------------------------------------------------------------------------------------- */

/* The names of the fields that are not the same, separated by commas; "" if all are. */
static void differing_fields(const builder *w, int index, char *out, size_t cap)
{
    static const char *const fields[] = {"record", "id", "text", "logits", "top"};
    json_t *a = json_array_get(w->a.records, (size_t)index), *b = json_array_get(w->b.records, (size_t)index);
    size_t len = 0;
    *out = '\0';
    for (int i = 0; i < 5 && len < cap; i++) {
        json_t *x = json_object_get(a, fields[i]), *y = json_object_get(b, fields[i]);
        if (x == y || json_equal(x, y)) continue;
        len +=
            (size_t)snprintf(out + len, cap - len, "%s%s", len > 0 ? ", " : "", i == 0 ? "given or chosen" : fields[i]);
    }
}

static double logit_drift(const vb_page_token *a, const vb_page_token *b)
{
    double most = (double)NAN;
    for (int i = 0; i < a->n_top; i++)
        for (int k = 0; k < b->n_top; k++) {
            float x, y;
            memcpy(&x, &a->top[i].bits, sizeof x);
            memcpy(&y, &b->top[k].bits, sizeof y);
            double d = fabs((double)x - (double)y);
            if (a->top[i].id == b->top[k].id && !(d <= most)) most = d;
        }
    return most;
}

/* Fills drift and the first difference; returns how many positions had the same tokens before them. */
static int find_difference(builder *w)
{
    int n = w->a.n > w->b.n ? w->a.n : w->b.n, same = 1, until = n;
    w->one.divergence = -1;
    for (int i = 0; i < n; i++) {
        int both = i < w->a.n && i < w->b.n;
        char fields[96];
        differing_fields(w, i, fields, sizeof fields);
        if (*fields != '\0' && w->one.divergence < 0) {
            w->one.divergence = i;
            if (both) snprintf(w->note, sizeof w->note, "differs in %s", fields);
        }
        w->drift[i] = both && same ? logit_drift(&w->a.tokens[i], &w->b.tokens[i]) : (double)NAN;
        if (same && (!both || w->a.tokens[i].id != w->b.tokens[i].id)) until = i, same = 0;
    }
    if (*w->note != '\0') w->a.tokens[w->one.divergence].note = w->b.tokens[w->one.divergence].note = w->note;
    return until;
}

static void tell(builder *w, const vb_diff *diff)
{
    w->page.verdict = diff->differs ? "differs" : "equal";
    w->page.tone = diff->differs ? VB_PAGE_BAD : VB_PAGE_GOOD;
    w->page.reason = w->reason;
    if (!diff->differs) snprintf(w->reason, sizeof w->reason, "%lld records, bit for bit.", (long long)diff->records);
    else if (diff->record == 0 && w->one.divergence >= 0)
        snprintf(w->reason, sizeof w->reason,
                 "In the header: %s: %s and %s. The first token that differs has position %d.", diff->field, diff->a,
                 diff->b, w->one.divergence);
    else if (diff->record == 0)
        snprintf(w->reason, sizeof w->reason, "In the header: %s: %s and %s.", diff->field, diff->a, diff->b);
    else
        snprintf(w->reason, sizeof w->reason, "First in record %lld (position %lld): %s: %s and %s.",
                 (long long)diff->record, (long long)diff->position, diff->field, diff->a, diff->b);
}

/* --- the page -------------------------------------------------------------------------------------------- */

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static vb_page_stream stream_of(const vb_trace_lines *t, char what[VALUE])
{
    snprintf(what, VALUE, "%s, %s %s", vb_trace_lines_word(t, "model_name"), vb_trace_lines_word(t, "player"),
             vb_trace_lines_word(t, "isa"));
    return (vb_page_stream){.name = file_name(t->path), .what = what, .tokens = t->tokens, .n = t->n, .bounds = 1};
}

static int fill(builder *w, const char *a, const char *b, const vb_diff *diff)
{
    int code = vb_trace_lines_open(&w->a, a), n = w->a.n;
    if (code == 0 && b != NULL) code = vb_trace_lines_open(&w->b, b);
    if (code != 0) return code;
    if (w->b.n > n) n = w->b.n;
    if (b != NULL) snprintf(w->title, sizeof w->title, "%.70s and %.70s", file_name(a), file_name(b));
    else snprintf(w->title, sizeof w->title, "%.140s", file_name(a));
    add_facts(w, b != NULL);
    w->one.streams[0] = stream_of(&w->a, w->what[0]);
    w->one.n_streams = b != NULL ? 2 : 1;
    w->one.divergence = -1;
    w->page = (vb_page){.kind = b != NULL ? "trace diff" : "trace",
                        .title = w->title,
                        .facts = w->facts,
                        .n_facts = w->n_facts,
                        .cases = &w->one,
                        .n_cases = 1,
                        .drift_what = "largest difference of the logits that both kept"};
    if (b == NULL) return 0;
    w->one.streams[1] = stream_of(&w->b, w->what[1]);
    w->one.drift = w->drift = malloc(((size_t)n + 1) * sizeof(double));
    if (w->drift == NULL) return vb_no_memory();
    int until = find_difference(w);
    vb_trace_element first;
    tell(w, diff);
    code = vb_trace_layers(&w->a, &w->b, until, n, &w->one.layers, &first);
    if (first.tap != NULL) add_first(w, &first);
    return code;
}

static int is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return b != NULL && stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int vb_trace_page(const char *html, const char *a, const char *b, const vb_diff *diff)
{
    vb_err err = {0};
    if (is_same_file(html, a) || is_same_file(html, b))
        return vb_wrong("--html", "expected a file for the page, found a trace: %s", html);
    builder *w = calloc(1, sizeof *w);
    if (w == NULL) return vb_no_memory();
    int code = fill(w, a, b, diff);
    vb_status status = code == 0 ? vb_page_save(html, &w->page, &err) : VB_OK;
    if (status < 0) code = vb_report(status, &err);
    vb_trace_layers_free(&w->one.layers);
    vb_trace_lines_close(&w->a);
    vb_trace_lines_close(&w->b);
    free(w->drift);
    free(w);
    return code;
}
