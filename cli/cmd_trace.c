/* cmd_trace.c - `verbatim trace show|diff|replay`: what a recording holds, where two part, whether a run still gives
 * the same.
 */
#include "commands.h"
#include "out.h"
#include "trace_lines.h"

#include <string.h>

int vb_cmd_trace_show(const vb_args *args)
{
    vb_err err = {0};
    if (args->html != NULL) return vb_trace_page(args->html, args->rest[0], NULL, NULL);
    vb_status status = vb_trace_show(args->rest[0], stdout, args->json, &err);
    return status < 0 ? vb_report(status, &err) : VB_EXIT_OK;
}

static int print_json(const vb_diff *diff)
{
    json_t *value = json_pack("{s:b, s:I}", "equal", !diff->differs, "records", (json_int_t)diff->records);
    if (value != NULL && diff->differs)
        json_object_update_new(value, json_pack("{s:I, s:I, s:o, s:o, s:o}", "record", (json_int_t)diff->record,
                                                "position", (json_int_t)diff->position, "field",
                                                vb_json_string(diff->field), "a", vb_json_string(diff->a), "b",
                                                vb_json_string(diff->b)));
    return vb_print_json(value);
}

static void print_text(const vb_diff *diff, const char *a, const char *b)
{
    if (!diff->differs) {
        printf("%sequal%s: %lld records\n", vb_colour(stdout, "32"), vb_colour(stdout, "0"), (long long)diff->records);
        return;
    }
    printf("%sdiffers%s in ", vb_colour(stdout, "31"), vb_colour(stdout, "0"));
    if (diff->record == 0) printf("the header");
    else printf("record %lld (position %lld)", (long long)diff->record, (long long)diff->position);
    printf(": %s\n  %s: ", diff->field, a);
    vb_put_escaped(stdout, diff->a, strlen(diff->a));
    printf("\n  %s: ", b);
    vb_put_escaped(stdout, diff->b, strlen(diff->b));
    putchar('\n');
}

/* A difference is a result, not a failure: it is data on stdout and exit code 1. */
static int judge(const vb_args *args, vb_status status, const vb_err *err, const vb_diff *diff, const char *b)
{
    if (status < 0 && status != VB_E_DIFFERS) return vb_report(status, err);
    int code = 0;
    if (args->json) code = print_json(diff);
    else print_text(diff, args->rest[0], b);
    return code ? code : diff->differs ? VB_EXIT_DIFFERS : VB_EXIT_OK;
}

int vb_cmd_trace_diff(const vb_args *args)
{
    vb_err err = {0};
    vb_diff diff = {0};
    vb_status status = vb_trace_diff(args->rest[0], args->rest[1], &diff, &err);
    int code = args->html != NULL && (status == VB_OK || status == VB_E_DIFFERS)
                   ? vb_trace_page(args->html, args->rest[0], args->rest[1], &diff) : VB_EXIT_OK;
    if (code != VB_EXIT_OK) return code;
    return judge(args, status, &err, &diff, args->rest[1]);
}

int vb_cmd_trace_replay(const vb_args *args)
{
    vb_err err = {0};
    vb_diff diff = {0};
    vb_status status = vb_trace_replay(args->rest[0], args->other_model, &args->model, &diff, &err);
    return judge(args, status, &err, &diff, "now");
}
