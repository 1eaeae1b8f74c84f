/* cmd_classify.c - `verbatim classify`: which of some labels fits a text, by what the model would answer.
 *
 *   text   the label
 *   JSON   {"label", "scores": [{"label", "tokens", "sum", "mean", "probability"}]}, in the order they were named
 */
#include "verbatim_easy.h"

#include "commands.h"
#include "input.h"
#include "out.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    char *text; /* the labels' own, cut at the commas */
    const char **label;
    int n;
} label_list;

static const char *trimmed(char *text)
{
    size_t n = strlen(text);
    while (n > 0 && text[n - 1] == ' ') text[--n] = '\0';
    return text + strspn(text, " ");
}

static int cut_labels(const vb_args *args, label_list *out)
{
    const char *list = args->labels;
    if (list == NULL) return vb_wrong("classify", "--labels: expected A,B,..., found none");
    out->text = strdup(list);
    out->label = calloc(strlen(list) + 1, sizeof *out->label);
    if (out->text == NULL || out->label == NULL) return vb_no_memory();
    for (char *at = out->text; at != NULL;) {
        char *end = strchr(at, ',');
        if (end != NULL) *end = '\0';
        out->label[out->n++] = trimmed(at);
        at = end != NULL ? end + 1 : NULL;
    }
    return 0;
}

static int print(const vb_args *args, const label_list *labels, const vb_easy_score *scores, int best)
{
    if (!args->json) {
        puts(labels->label[best]);
        return vb_out_flush();
    }
    json_t *list = json_array();
    for (int i = 0; i < labels->n; i++)
        json_array_append_new(list, json_pack("{s:o, s:i, s:o, s:o, s:o}", "label", vb_json_string(labels->label[i]), "tokens",
                                              scores[i].tokens, "sum", vb_json_real(scores[i].sum), "mean",
                                              vb_json_real(scores[i].mean), "probability", vb_json_real(scores[i].probability)));
    return vb_print_json(json_pack("{s:o, s:o}", "label", vb_json_string(labels->label[best]), "scores", list));
}

static int classify(const vb_args *args, const label_list *labels, const char *text)
{
    vb_err err = {0};
    vb_easy *e = NULL;
    vb_easy_opts opts = {.model = args->model, .session = args->session};
    vb_easy_labels how = {labels->label, labels->n, args->system, args->raw, args->by};
    vb_easy_score *scores = calloc((size_t)labels->n, sizeof *scores);
    if (scores == NULL) return vb_no_memory();
    vb_status status = vb_easy_open(&e, args->rest[0], &opts, &err);
    int code = status < 0 ? vb_report(status, &err) : vb_need_logits_of(vb_easy_model(e));
    if (code == 0) {
        int best = vb_easy_classify(e, text, &how, scores, &err);
        code = best < 0 ? vb_report((vb_status)best, &err) : print(args, labels, scores, best);
    }
    vb_easy_close(e);
    free(scores);
    return code;
}

int vb_cmd_classify(const vb_args *args)
{
    label_list labels = {0};
    vb_buffer text = {0};
    int code = args->raw && args->system ? vb_wrong("classify", "--system: expected no --raw, which has no system message")
                                         : cut_labels(args, &labels);
    if (code == 0) code = vb_read_text("classify", args->rest[1], &text);
    if (code == 0) code = classify(args, &labels, text.data);
    free(labels.text);
    free(labels.label);
    free(text.data);
    return code;
}
