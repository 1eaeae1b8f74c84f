/* split.c - sections by the plan's layers, marked by a text, unmarked by what the device lacks (see split.h). */
#include "gpu/split.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

vb_status vb_gpu_split_open(vb_gpu_split *out, const vb_plan *plan, vb_err *err)
{
    *out = (vb_gpu_split){.plan = plan};
    out->of = malloc(((size_t)plan->n_steps + 1) * sizeof *out->of);
    if (out->of == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory for %d steps", plan->n_steps);
    for (int i = 0; i < plan->n_steps; i++) {
        if (i == 0 || plan->steps[i].layer != plan->steps[i - 1].layer)
            out->of[out->n++] = (vb_gpu_section){.first = i, .layer = plan->steps[i].layer, .lacks = -1};
        out->of[out->n - 1].n++;
    }
    return VB_OK;
}

void vb_gpu_split_close(vb_gpu_split *s)
{
    free(s->of);
    *s = (vb_gpu_split){0};
}

/* --- asking ---------------------------------------------------------------------------------------------------- */

static void ask_layers(vb_gpu_split *s, int from, int to)
{
    for (int i = 0; i < s->n; i++)
        if (s->of[i].layer >= from && s->of[i].layer <= to) s->of[i].asked = 1;
}

/* What stands behind the last layer. */
static void ask_output(vb_gpu_split *s)
{
    for (int i = s->n - 1; i >= 0 && s->of[i].layer < 0; i--) s->of[i].asked = 1;
}

static void ask_last(vb_gpu_split *s, int layers)
{
    if (layers == 0) return;
    ask_layers(s, layers < s->plan->layers ? s->plan->layers - layers : 0, INT_MAX);
    ask_output(s);
}

/* A number at *at, or -1. */
static int number(const char **at)
{
    long value = 0;
    const char *begin = *at;
    for (; **at >= '0' && **at <= '9' && value < INT_MAX / 16; (*at)++) value = 10 * value + (**at - '0');
    return *at == begin || (**at >= '0' && **at <= '9') ? -1 : (int)value;
}

/* "5", "0-5" or "output" at *at; 0: it is something else. */
static int ask_item(vb_gpu_split *s, const char **at)
{
    if (strncmp(*at, "output", 6) == 0) {
        *at += 6;
        ask_output(s);
        return 1;
    }
    int from = number(at), to = from;
    if (from >= 0 && **at == '-') {
        (*at)++;
        to = number(at);
    }
    if (from < 0 || to < from || to >= s->plan->layers) return 0;
    ask_layers(s, from, to);
    return 1;
}

vb_status vb_gpu_split_ask(vb_gpu_split *s, const char *layers, vb_err *err)
{
    const char *at = layers;
    int count = number(&at), fine = 1;
    for (int i = 0; i < s->n; i++) s->of[i].asked = strcmp(layers, "all") == 0 || strcmp(layers, "auto") == 0;
    if (s->n > 0 && s->of[0].asked) return VB_OK;
    if (count >= 0 && *at == '\0') {
        ask_last(s, count);
        return VB_OK;
    }
    for (at = layers; fine; at++) {
        fine = ask_item(s, &at);
        if (*at != ',') break;
    }
    if (fine && *at == '\0') return VB_OK;
    VB_FAIL(err, VB_E_ARGUMENT, "gpu layers: expected auto, all, a number of layers, or layers from 0 to %d as in "
            "\"0-5,9,output\", found \"%s\"", s->plan->layers - 1, layers);
}

/* --- looking --------------------------------------------------------------------------------------------------- */

static int is_able(const vb_gpu_split *s, const vb_gpu *g, const vb_gpu_weights *w, const vb_step *step)
{
    if (step->weight != NULL && !vb_gpu_weights_fit(w, step->weight)) return 0;
    return vb_gpu_has_step(g, s->plan, step);
}

void vb_gpu_split_look(vb_gpu_split *s, const vb_gpu *g, const vb_gpu_weights *w)
{
    for (int i = 0; i < s->n; i++) {
        vb_gpu_section *section = &s->of[i];
        section->lacks = -1;
        for (int k = section->first + section->n - 1; k >= section->first; k--) {
            if (!is_able(s, g, w, &s->plan->steps[k])) section->lacks = k;
        }
    }
}

/* --- telling --------------------------------------------------------------------------------------------------- */

vb_gpu_section *vb_gpu_split_at(const vb_gpu_split *s, int i)
{
    return &s->of[s->n - 1 - i];
}

static int is_layer(const vb_gpu_split *s, int i)
{
    return i < s->n && s->of[i].asked && s->of[i].layer >= 0;
}

static size_t put(char *buf, size_t cap, size_t at, const char *before, const char *text)
{
    int n = at < cap ? snprintf(buf + at, cap - at, "%s%s", at > 0 ? before : "", text) : 0;
    return at + (size_t)(n > 0 ? n : 0);
}

static size_t put_layers(const vb_gpu_split *s, char *buf, size_t cap)
{
    char some[32];
    size_t at = 0;
    for (int i = 0, end; i < s->n; i = end) {
        for (end = i; is_layer(s, end); end++) continue;
        if (end > i && end - i == 1) snprintf(some, sizeof some, "%d", s->of[i].layer);
        else if (end > i) snprintf(some, sizeof some, "%d-%d", s->of[i].layer, s->of[end - 1].layer);
        if (end > i && at == 0) at = put(buf, cap, at, "", "layers ");
        if (end > i) at = put(buf, cap, at, at == 7 ? "" : ", ", some);
        end += end == i;
    }
    return at;
}

void vb_gpu_split_text(const vb_gpu_split *s, char *buf, size_t cap)
{
    buf[0] = 0;
    size_t at = put_layers(s, buf, cap);
    int input = s->n > 0 && s->of[0].layer < 0 && s->of[0].asked;
    int output = s->n > 1 && s->of[s->n - 1].layer < 0 && s->of[s->n - 1].asked;
    if (input) at = put(buf, cap, at, output ? ", " : " and ", "the input");
    if (output) at = put(buf, cap, at, " and ", "the output");
    if (at == 0) put(buf, cap, at, "", "nothing");
}
