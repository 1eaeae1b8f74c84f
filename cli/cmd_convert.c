/* cmd_convert.c - `verbatim convert`: a Hugging Face folder becomes a GGUF file, which is opened once to see that it runs.
 *
 * A file that is there is kept unless --force is given. Ctrl-C leaves nothing.
 */
#include "bar.h"
#include "commands.h"
#include "convert/convert.h"
#include "input.h"
#include "out.h"
#include "torn.h"

#include <string.h>
#include <sys/stat.h>

typedef struct {
    vb_bar bar;
    json_t *notes;
} view;

static int on_progress(void *ud, const char *tensor, uint64_t done, uint64_t total)
{
    view *v = ud;
    vb_bar_show(&v->bar, tensor, done, total);
    return vb_interrupted();
}

static void on_note(void *ud, const char *line)
{
    view *v = ud;
    vb_bar_end(&v->bar);
    if (v->notes != NULL)
        json_array_append_new(v->notes, vb_json_string(line));
    else
        vb_say("%s", line);
}

static int check_target(const vb_args *args)
{
    struct stat there;
    if (args->out == NULL) return vb_wrong("convert", "--out: expected the file to write, found none");
    if (stat(args->out, &there) != 0) return 0;
    if (!S_ISREG(there.st_mode))
        return vb_wrong("convert", "--out: expected a regular file or none, found another at %s", args->out);
    if (args->force) return 0;
    vb_say("%s: expected no file, found one (--force replaces it)", args->out);
    return VB_EXIT_USAGE;
}

static int find_mix(const vb_args *args, vb_convert_job *job)
{
    char names[256];
    if (args->type == NULL || strcmp(args->type, "auto") == 0) return 0;
    job->mix = vb_mix_find(args->type);
    job->pure = args->pure;
    vb_mix_names(names, sizeof names);
    if (job->mix != NULL) return 0;
    return vb_wrong("convert", "--type: expected auto or one of %s, found %s", names, args->type);
}

/* What stands in the file must be a model that runs. */
static int open_once(const char *path)
{
    vb_err err = {0};
    vb_model *model = NULL;
    vb_status status = vb_model_open(&model, path, NULL, &err);
    vb_model_close(model);
    if (status == VB_OK) return 0;
    vb_say("%s: written, but it cannot be run: %s", path, err.text);
    return vb_exit_code(status);
}

static int tell(const vb_args *args, const vb_convert_result *r, json_t *notes)
{
    if (args->json)
        return vb_print_json(json_pack("{s:o, s:s, s:s, s:I, s:I, s:I, s:s, s:o}", "file", vb_json_string(args->out),
                                       "architecture", r->arch, "class", r->class_name, "tensors",
                                       (json_int_t)r->tensors, "tokens", (json_int_t)r->tokens, "bytes",
                                       (json_int_t)r->bytes, "type", r->type, "notes", notes));
    printf("%s: %s, %lld tensors, %s, ", args->out, r->arch, (long long)r->tensors, r->type);
    vb_put_bytes(stdout, r->bytes);
    printf(", %lld tokens\n", (long long)r->tokens);
    return VB_EXIT_OK;
}

int vb_cmd_convert(const vb_args *args)
{
    vb_err err = {0};
    vb_convert_result result;
    view v = {.bar = vb_bar_begin(args->json), .notes = args->json ? json_array() : NULL};
    vb_convert_job job = {.folder = args->rest[0], .out = args->out, .threads = args->model.threads,
                          .progress = on_progress, .note = on_note, .ud = &v};
    int code = check_target(args);
    if (code == 0) code = find_mix(args, &job);
    vb_interrupt_catch();
    vb_torn_watch();
    vb_status status = code == 0 ? vb_convert(&job, &result, &err) : VB_OK;
    vb_bar_end(&v.bar);
    if (status < 0) code = vb_report(status, &err);
    if (code == 0) code = open_once(args->out);
    if (code == 0) return tell(args, &result, v.notes);
    json_decref(v.notes);
    return code;
}
