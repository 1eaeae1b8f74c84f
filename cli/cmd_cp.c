/* cmd_cp.c - `verbatim cp`: another name for a model, in our own store. */
#include "commands.h"
#include "out.h"
#include "store/source.h"

int vb_cmd_cp(const vb_args *args)
{
    vb_store *store;
    vb_err err = {0};
    vb_status s = vb_store_open(&store, NULL, &err);
    if (s == VB_OK) s = vb_origin_copy(store, args->rest[0], args->rest[1], NULL, &err);
    vb_store_close(store);
    if (s != VB_OK) return vb_report(s, &err);
    vb_say("copied '%s' to '%s'", args->rest[0], args->rest[1]);
    if (!args->json) return VB_EXIT_OK;
    return vb_print_json(json_pack("{s:s, s:s}", "source", args->rest[0], "destination", args->rest[1]));
}
