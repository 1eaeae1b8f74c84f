/* judge.c - see judge.h. */
#include "judge.h"

#include "out.h"

#include <string.h>

json_t *vb_json_diff(const vb_diff *diff)
{
    json_t *value = json_pack("{s:b, s:I}", "equal", !diff->differs, "records", (json_int_t)diff->records);
    if (value != NULL && diff->differs)
        json_object_update_new(value, json_pack("{s:I, s:I, s:o, s:o, s:o}", "record", (json_int_t)diff->record,
                                                "position", (json_int_t)diff->position, "field",
                                                vb_json_string(diff->field), "a", vb_json_string(diff->a), "b",
                                                vb_json_string(diff->b)));
    return value;
}

void vb_print_difference(const vb_diff *diff, const char *a, const char *b)
{
    printf("%sdiffers%s in ", vb_colour(stdout, "31"), vb_colour(stdout, "0"));
    if (diff->record == 0) printf("the header");
    else if (diff->position < 0) printf("record %lld", (long long)diff->record);
    else printf("record %lld (position %lld)", (long long)diff->record, (long long)diff->position);
    printf(": %s\n  %s: ", diff->field, a);
    vb_put_escaped(stdout, diff->a, strlen(diff->a));
    printf("\n  %s: ", b);
    vb_put_escaped(stdout, diff->b, strlen(diff->b));
    putchar('\n');
}

static void print_text(const vb_diff *diff, const char *a, const char *b)
{
    if (diff->differs) vb_print_difference(diff, a, b);
    else printf("%sequal%s: %lld records\n", vb_colour(stdout, "32"), vb_colour(stdout, "0"), (long long)diff->records);
}

int vb_diff_verdict(const vb_args *args, vb_status status, const vb_err *err, const vb_diff *diff, const char *b)
{
    if (status < 0 && status != VB_E_DIFFERS) return vb_report(status, err);
    int code = 0;
    if (args->json) code = vb_print_json(vb_json_diff(diff));
    else print_text(diff, args->rest[0], b);
    return code ? code : diff->differs ? VB_EXIT_DIFFERS : VB_EXIT_OK;
}
