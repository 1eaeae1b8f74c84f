/* cmd_trace_sign.c - `verbatim trace keygen|sign`: who stands for a recording. */
#include "commands.h"
#include "out.h"

int vb_cmd_trace_keygen(const vb_args *args)
{
    vb_err err = {0};
    char path[4096], hex[65];
    uint8_t key[32];
    if ((size_t)snprintf(path, sizeof path, "%s.pub", args->rest[0]) >= sizeof path)
        return vb_wrong("trace keygen", "FILE: expected at most %zu bytes, found more", sizeof path - 5);
    vb_status status = vb_trace_keygen(args->rest[0], &err);
    if (status == VB_OK) status = vb_trace_public_key(path, key, &err);
    if (status < 0) return vb_report(status, &err);
    if (args->json)
        return vb_print_json(json_pack("{s:o, s:o, s:o}", "private", vb_json_string(args->rest[0]), "public",
                                       vb_json_string(path), "key", vb_json_hex(key, sizeof key)));
    vb_hex_text(hex, key, sizeof key);
    printf("%s\n", hex);
    vb_say("%s is the private key, keep it to yourself; %s is the public one", args->rest[0], path);
    return vb_out_flush();
}

int vb_cmd_trace_sign(const vb_args *args)
{
    vb_err err = {0};
    if (args->sign == NULL) return vb_wrong("trace sign", "--key: expected a private key, found none");
    vb_status status = vb_trace_sign(args->rest[0], args->sign, &err);
    if (status < 0) return vb_report(status, &err);
    return args->json ? vb_print_json(json_pack("{s:o}", "signed", vb_json_string(args->rest[0]))) : VB_EXIT_OK;
}
