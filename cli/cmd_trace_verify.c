/* cmd_trace_verify.c - `verbatim trace verify`: whether a trace tells the truth. */
#include "commands.h"
#include "judge.h"
#include "out.h"

static int print_json(const vb_verified *v)
{
    return vb_print_json(json_pack(
        "{s:b, s:i, s:o, s:b, s:I, s:I, s:I, s:I, s:o, s:o}", "verified", !v->diff.differs, "format", v->version, "digest",
        vb_json_hex(v->digest, 32), "ended", v->ended, "given", (json_int_t)v->given, "chosen", (json_int_t)v->chosen,
        "checked", (json_int_t)v->checked, "taps", (json_int_t)v->taps, "signer",
        v->is_signed ? vb_json_hex(v->signer, 32) : json_null(), "diff", vb_json_diff(&v->diff)));
}

static void print_text(const vb_verified *v, const char *path)
{
    char hex[65];
    if (v->diff.differs) {
        vb_print_difference(&v->diff, path, "computed");
        return;
    }
    printf("%sverified%s: %lld given and %lld chosen tokens", vb_colour(stdout, "32"), vb_colour(stdout, "0"),
           (long long)v->given, (long long)v->chosen);
    if (v->checked < v->chosen) printf(", %lld of these computed", (long long)v->checked);
    if (v->taps > 0) printf(", %lld taps", (long long)v->taps);
    if (!v->ended) printf(", no end record");
    vb_hex_text(hex, v->digest, 32);
    printf("\n  digest %s\n", hex);
    vb_hex_text(hex, v->signer, 32);
    if (v->is_signed) printf("  signed by %s\n", hex);
}

int vb_cmd_trace_verify(const vb_args *args)
{
    vb_err err = {0};
    vb_verified verified = {0};
    uint8_t signer[32];
    vb_trace_verify_opts how = {.model = args->other_model, .sample = args->sample, .seed = args->sampling.seed};
    vb_status status = args->signer != NULL ? vb_trace_public_key(args->signer, signer, &err) : VB_OK;
    if (args->signer != NULL) how.signer = signer;
    if (status == VB_OK) status = vb_trace_verify(args->rest[0], &how, &args->model, &verified, &err);
    if (status < 0 && status != VB_E_DIFFERS) return vb_report(status, &err);
    int code = 0;
    if (args->json) code = print_json(&verified);
    else print_text(&verified, args->rest[0]);
    return code ? code : verified.diff.differs ? VB_EXIT_DIFFERS : VB_EXIT_OK;
}
