/* cmd_rm.c - `verbatim rm`: names of our own store, and the blobs that no other name needs. */
#include "commands.h"
#include "out.h"
#include "store/source.h"

/* Goes on behind a name that is not there; the exit code is that of the first failure. */
int vb_cmd_rm(const vb_args *args)
{
    vb_store *store;
    vb_err err = {0};
    json_t *gone = json_array();
    int code = VB_EXIT_OK;
    vb_status s = vb_store_open(&store, NULL, &err);
    if (s != VB_OK) code = vb_report(s, &err);
    for (int i = 0; store != NULL && i < args->n_rest; i++) {
        s = vb_origin_remove(store, args->rest[i], &err);
        int failed = s == VB_OK ? VB_EXIT_OK : vb_report(s, &err);
        if (code == VB_EXIT_OK) code = failed;
        if (failed != VB_EXIT_OK) continue;
        vb_say("deleted '%s'", args->rest[i]);
        json_array_append_new(gone, json_string(args->rest[i]));
    }
    vb_store_close(store);
    if (args->json) {
        int printed = vb_print_json(json_pack("{s:O}", "deleted", gone));
        if (code == VB_EXIT_OK) code = printed;
    }
    json_decref(gone);
    return code;
}
