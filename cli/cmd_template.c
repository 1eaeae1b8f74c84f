/* cmd_template.c - `verbatim template`: a chat template and a JSON input in, the prompt out, byte for byte. */
#include "commands.h"
#include "input.h"
#include "out.h"

#include <stdlib.h>
#include <string.h>

static int print(const vb_args *args, const char *text, size_t len)
{
    if (args->json) return vb_print_json(json_pack("{s:o}", "prompt", vb_json_text(text, len)));
    fwrite(text, 1, len, stdout);
    return 0;
}

/* What a template refuses is a fault of its input, not of the command line. */
static int refused(vb_status status, const vb_err *err)
{
    int code = vb_report(status, err);
    return code == VB_EXIT_USAGE ? VB_EXIT_INPUT : code;
}

static int render(const vb_model *model, const vb_args *args, const char *source, size_t source_len,
                  const vb_buffer *input)
{
    vb_err err = {0};
    int64_t len = vb_template_render(model, source, source_len, input->data, input->len, NULL, 0, &err);
    if (len < 0) return refused((vb_status)len, &err);
    char *text = malloc((size_t)len + 1);
    if (text == NULL) return vb_no_memory();
    len = vb_template_render(model, source, source_len, input->data, input->len, text, (size_t)len, &err);
    int code = len < 0 ? refused((vb_status)len, &err) : print(args, text, (size_t)len);
    free(text);
    return code;
}

static int render_model(const vb_args *args, const vb_buffer *input)
{
    vb_err err = {0};
    vb_model *model = NULL;
    vb_model_opts opts = {.vocab_only = 1, .template_as = args->model.template_as};
    size_t len = 0;
    vb_status status = vb_model_open(&model, args->rest[0], &opts, &err);
    if (status < 0) return vb_report(status, &err);
    const char *source = vb_model_template(model, &len);
    int code = VB_EXIT_INPUT;
    if (source != NULL) code = render(model, args, source, len, input);
    else vb_say("%s: expected a chat template, found none (use --template FILE)", args->rest[0]);
    vb_model_close(model);
    return code;
}

int vb_cmd_template(const vb_args *args)
{
    vb_buffer input = {0}, source = {0};
    int expected = args->template_file ? 1 : 2;
    if (args->n_rest != expected)
        return vb_wrong("template", "expected %s, found %d argument%s",
                        args->template_file ? "INPUT.json beside --template" : "MODEL and INPUT.json", args->n_rest,
                        args->n_rest == 1 ? "" : "s");
    int code = vb_read_all(args->rest[expected - 1], &input);
    if (code == 0 && args->template_file) {
        code = vb_read_all(args->template_file, &source);
        if (code == 0) code = render(NULL, args, source.data, source.len, &input);
    } else if (code == 0) code = render_model(args, &input);
    free(source.data);
    free(input.data);
    return code;
}
