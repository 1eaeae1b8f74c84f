/* cmd_quorum.c - `verbatim trace quorum FILE...`: recordings of one performance by several machines; who stands against
 * the majority, and from which record on.
 */
#include "cli/prove.h"
#include "commands.h"
#include "out.h"
#include "prove/quorum.h"

#include <stdlib.h>
#include <string.h>

static void print_side(const char *path, const char *value)
{
    fputs("  ", stdout);
    vb_put_escaped(stdout, path, strlen(path));
    fputs(value != NULL ? ": " : "", stdout);
    if (value != NULL) vb_put_escaped(stdout, value, strlen(value));
    putchar('\n');
}

static void print_text(const vb_quorum *q, char *const *paths, const int *side, int n)
{
    const vb_diff *d = &q->first;
    if (!d->differs) {
        printf("%sequal%s: %d traces, %lld records\n", vb_colour(stdout, "32"), vb_colour(stdout, "0"), n,
               (long long)d->records);
        return;
    }
    printf("%sdiffers%s in ", vb_colour(stdout, "31"), vb_colour(stdout, "0"));
    if (d->record == 0) printf("the header");
    else printf("record %lld (position %lld)", (long long)d->record, (long long)d->position);
    printf(": %s; %d of %d agree%s\n", d->field, q->agree, n, q->majority ? "" : ", which is no majority");
    int named = 0;
    for (int i = 0; i < n; i++)
        if (side[i] != q->leader) print_side(paths[i], named++ == 0 ? d->b : NULL);
    puts("against");
    print_side(paths[q->leader], d->a);
}

static int print_json(const vb_quorum *q, char *const *paths, const int *side, int n)
{
    const vb_diff *d = &q->first;
    json_t *files = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(files, json_pack("{s:o, s:b, s:i}", "path", vb_json_string(paths[i]), "agrees",
                                               side[i] == q->leader, "equal_to", side[i]));
    json_t *all = json_pack("{s:b, s:b, s:i, s:o}", "equal", !d->differs, "majority", q->majority, "agree", q->agree,
                            "files", files);
    if (all != NULL && d->differs)
        json_object_update_new(all, json_pack("{s:I, s:I, s:o, s:o, s:o}", "record", (json_int_t)d->record, "position",
                                              (json_int_t)d->position, "field", vb_json_string(d->field), "a",
                                              vb_json_string(d->a), "b", vb_json_string(d->b)));
    return vb_print_json(all);
}

int vb_print_quorum(char *const *paths, int n, int json)
{
    vb_err err = {0};
    vb_quorum q;
    int code = 0, *side = calloc((size_t)n, sizeof *side);
    if (side == NULL) return vb_no_memory();
    vb_status status = vb_quorum_traces((const char *const *)paths, n, side, &q, &err);
    if (status < 0 && status != VB_E_DIFFERS) code = vb_report(status, &err);
    else if (json) code = print_json(&q, paths, side, n);
    else print_text(&q, paths, side, n);
    free(side);
    return code ? code : status < 0 ? VB_EXIT_DIFFERS : VB_EXIT_OK;
}

int vb_cmd_trace_quorum(const vb_args *args)
{
    return vb_print_quorum(args->rest, args->n_rest, args->json);
}
