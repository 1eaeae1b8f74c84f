/* cmd_trace_diff.c - `verbatim trace diff`: where two recordings part; with --taps also inside the model.
 *
 *   differs in the header: plan              what was set up otherwise; the tokens are compared all the same
 *   differs in record 7 (position 6): top    the first record that is not the same
 *   first value that differs: l_out ...      the first element of the first step, as bits on both sides
 *   layer  value  largest  rms ...           how far each named value drifts over all positions
 */
#include "commands.h"
#include "judge.h"
#include "out.h"
#include "trace_lines.h"

#include <string.h>

static double as_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return (double)x;
}

static const vb_diff *first_of(const vb_contrast *c)
{
    return c->header.differs ? &c->header : &c->tokens;
}

/* --- JSON ------------------------------------------------------------------------------------------------- */

static json_t *element_json(uint32_t bits)
{
    char text[9];
    snprintf(text, sizeof text, "%08x", bits);
    return json_pack("{s:s, s:f}", "bits", text, "value", as_float(bits));
}

static json_t *first_json(const vb_contrast *c)
{
    const vb_tap_diff *f = &c->first;
    if (c->differing == 0) return json_null();
    return json_pack("{s:s, s:i, s:i, s:i, s:o, s:o}", "name", f->name, "layer", f->layer, "position", f->position,
                     "element", f->element, "a", element_json(f->a), "b", element_json(f->b));
}

static json_t *taps_json(const vb_contrast *c)
{
    json_t *drift = json_array();
    for (int i = 0; i < c->n_drift; i++) {
        const vb_drift *d = &c->drift[i];
        json_array_append_new(drift, json_pack("{s:i, s:s, s:f, s:f, s:I, s:I}", "layer", d->layer, "name", d->name, "max",
                                               d->max, "rms", d->rms, "differing", (json_int_t)d->differing, "elements",
                                               (json_int_t)d->elements));
    }
    return json_pack("{s:i, s:I, s:I, s:I, s:o, s:o}", "positions", c->positions, "values", (json_int_t)c->compared,
                     "differing", (json_int_t)c->differing, "unmatched", (json_int_t)c->unmatched, "first", first_json(c),
                     "drift", drift);
}

static int print_json(const vb_contrast *c, int taps)
{
    json_t *value = vb_json_diff(first_of(c));
    json_object_set_new(value, "equal", json_boolean(!first_of(c)->differs && c->differing == 0));
    json_object_set_new(value, "fields", json_integer(c->fields));
    json_object_set_new(value, "tokens", vb_json_diff(&c->tokens));
    if (taps) json_object_set_new(value, "taps", taps_json(c));
    return vb_print_json(value);
}

/* --- text ------------------------------------------------------------------------------------------------- */

static void print_layer(int layer)
{
    if (layer < 0) printf("%5s", "-");
    else printf("%5d", layer);
}

static void print_drift(const vb_contrast *c)
{
    int width = 5;
    for (int i = 0; i < c->n_drift; i++)
        if ((int)strlen(c->drift[i].name) > width) width = (int)strlen(c->drift[i].name);
    printf("drift over %d position%s\nlayer  %-*s  %12s  %12s  elements that differ\n", c->positions,
           c->positions == 1 ? "" : "s", width, "value", "largest", "rms");
    for (int i = 0; i < c->n_drift; i++) {
        const vb_drift *d = &c->drift[i];
        print_layer(d->layer);
        printf("  %-*s  %12.6g  %12.6g  %lld of %lld\n", width, d->name, d->max, d->rms, (long long)d->differing,
               (long long)d->elements);
    }
}

static void print_taps(const vb_contrast *c, const char *a, const char *b)
{
    const vb_tap_diff *f = &c->first;
    if (c->compared == 0) {
        printf("no values to compare: %lld that only one of them has\n", (long long)c->unmatched);
        return;
    }
    if (c->differing == 0)
        printf("%sequal%s inside: %lld values of %d positions\n", vb_colour(stdout, "32"), vb_colour(stdout, "0"),
               (long long)c->compared, c->positions);
    else {
        printf("first value that %sdiffers%s: %s", vb_colour(stdout, "31"), vb_colour(stdout, "0"), f->name);
        if (f->layer >= 0) printf(", layer %d", f->layer);
        printf(", position %d, element %d\n  %s: %08x (%.9g)\n  %s: %08x (%.9g)\n", f->position, f->element, a, f->a,
               as_float(f->a), b, f->b, as_float(f->b));
    }
    if (c->unmatched > 0) printf("%lld values that only one of them has\n", (long long)c->unmatched);
    if (c->differing > 0) print_drift(c);
}

static void print_text(const vb_contrast *c, const vb_args *args)
{
    const char *a = args->rest[0], *b = args->rest[1];
    if (c->header.differs) {
        vb_print_difference(&c->header, a, b);
        if (c->fields > 1) printf("and in %d more field%s of the header\n", c->fields - 1, c->fields == 2 ? "" : "s");
    }
    if (c->tokens.differs) vb_print_difference(&c->tokens, a, b);
    else
        printf("%sequal%s: %lld records%s\n", vb_colour(stdout, "32"), vb_colour(stdout, "0"), (long long)c->tokens.records,
               c->header.differs ? " but for the header" : "");
    if (args->diff_taps) print_taps(c, a, b);
}

static int show(const vb_contrast *c, const vb_args *args)
{
    int code = args->html != NULL ? vb_trace_page(args->html, args->rest[0], args->rest[1], first_of(c)) : VB_EXIT_OK;
    if (code != VB_EXIT_OK || (args->html != NULL && strcmp(args->html, "-") == 0)) return code;
    if (args->json) code = print_json(c, args->diff_taps);
    else print_text(c, args);
    return code;
}

int vb_cmd_trace_diff(const vb_args *args)
{
    vb_err err = {0};
    vb_contrast c;
    vb_status status = vb_trace_contrast(args->rest[0], args->rest[1], args->diff_taps, &c, &err);
    int code = status == VB_OK || status == VB_E_DIFFERS ? show(&c, args) : vb_report(status, &err);
    vb_contrast_free(&c);
    return code != VB_EXIT_OK ? code : status == VB_E_DIFFERS ? VB_EXIT_DIFFERS : VB_EXIT_OK;
}
