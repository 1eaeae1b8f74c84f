/* cmd_bake.c - `verbatim bake`: the lines of a script as a table, which a game ships with itself. The file appears when it
 * is whole; Ctrl-C and a full disk leave none.
 */
#include "commands.h"
#include "input.h"
#include "lines.h"
#include "out.h"
#include "perform.h"

#include <unistd.h>

static int finish(const vb_args *args, vb_cast *cast, const vb_performed *sum)
{
    vb_err err = {0};
    vb_table *table;
    vb_status status = vb_cast_bake_end(cast, args->out, &err);
    if (status == VB_OK) status = vb_table_open(&table, args->out, &err);
    if (status < 0) return vb_report(status, &err);
    long long entries = vb_table_count(table);
    vb_table_close(table);
    char digest[33];
    vb_hex_text(digest, sum->digest, sizeof sum->digest);
    if (args->json)
        return vb_print_json(json_pack("{s:o, s:I, s:I, s:I, s:s}", "table", vb_json_string(args->out), "lines",
                                       (json_int_t)sum->lines, "entries", (json_int_t)entries, "tokens",
                                       (json_int_t)sum->tokens, "digest", digest));
    printf("%lld lines, %lld in the table, digest %s\n", (long long)sum->lines, entries, digest);
    return 0;
}

int vb_cmd_bake(const vb_args *args)
{
    vb_err err = {0};
    vb_cast *cast;
    vb_performed sum;
    if (args->out == NULL) return vb_wrong("bake", "expected -o FILE, found none");
    if (!args->force && access(args->out, F_OK) == 0) {
        vb_say("%s: expected no such file, found one; --force replaces it", args->out);
        return VB_EXIT_IO;
    }
    vb_interrupt_catch();
    int code = vb_lines_open(&cast, args, args->cast, 0);
    if (code != 0) return code;
    vb_status status = vb_cast_bake(cast, &err);
    code = status < 0 ? vb_report(status, &err) : vb_perform(args, cast, args->rest[0], 0, &sum);
    if (code == 0) code = finish(args, cast, &sum);
    vb_cast_close(cast);
    return code;
}
