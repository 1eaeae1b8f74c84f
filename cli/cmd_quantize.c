/* cmd_quantize.c - `verbatim quantize`: a model with its weights in other formats, and what each tensor lost.
 *
 *   on a terminal   a line on stderr that is written again and again: how far it is, of which tensor
 *   stdout          a line a tensor, in the end a line for all; with --json one object
 */
#include "bar.h"
#include "commands.h"
#include "quantize/quantize.h"
#include "input.h"
#include "out.h"
#include "torn.h"

static int tell(void *ud, const char *tensor, uint64_t done, uint64_t total)
{
    vb_bar_show(ud, tensor, done, total);
    return vb_interrupted();
}

/* --- the report ------------------------------------------------------------------------------------------------ */

static double share(const vb_quantized *q)
{
    return q->size > 0 ? q->rms / q->size : 0.0;
}

static void put_tensor(const vb_quantized *q)
{
    printf("%-40s %-6s %-6s", q->name, q->from->name, q->to->name);
    if (q->copied) printf(" %10s %9s %10s %10s\n", "-", "-", "-", "-");
    else printf(" %10.3e %8.4f%% %10.3e %10.8f%s%s\n", q->rms, 100 * share(q), q->max, q->cosine,
                q->weighted ? "  by importance" : "", q->fallback ? "  fallback" : "");
}

static int put_table(const vb_quantize_report *r)
{
    const vb_quantized *a = &r->all;
    printf("%-40s %-6s %-6s %10s %9s %10s %10s\n", "tensor", "from", "to", "rms error", "of size", "max error", "cosine");
    for (int64_t i = 0; i < r->n; i++) put_tensor(&r->tensors[i]);
    printf("%-40s %13s %10.3e %8.4f%% %10.3e %10.8f\n", "all that changed", "", a->rms, 100 * share(a), a->max, a->cosine);
    printf("%lld tensors, ", (long long)r->n);
    vb_put_bytes(stdout, r->bytes_before);
    printf(" -> ");
    vb_put_bytes(stdout, a->bytes);
    printf("\n");
    return VB_EXIT_OK;
}

static json_t *errors_of(const vb_quantized *q)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "rms", vb_json_real(q->rms), "relative", vb_json_real(share(q)), "max",
                     vb_json_real(q->max), "cosine", vb_json_real(q->cosine));
}

static json_t *json_tensor(const vb_quantized *q)
{
    json_t *shape = json_array();
    int n = 4;
    while (n > 1 && q->ne[n - 1] == 1) n--;
    for (int i = 0; i < n; i++) json_array_append_new(shape, json_integer((json_int_t)q->ne[i]));
    return json_pack("{s:o, s:o, s:s, s:s, s:I, s:b, s:b, s:o}", "name", vb_json_string(q->name), "shape", shape, "from",
                     q->from->name, "to", q->to->name, "bytes", (json_int_t)q->bytes, "fallback", q->fallback,
                     "by_importance", q->weighted, "error", q->copied ? json_null() : errors_of(q));
}

static int put_json(const vb_args *args, const vb_mixture *mix, const vb_quantize_report *r)
{
    json_t *tensors = json_array();
    for (int64_t i = 0; i < r->n; i++) json_array_append_new(tensors, json_tensor(&r->tensors[i]));
    return vb_print_json(json_pack("{s:o, s:o, s:s, s:I, s:I, s:I, s:o, s:o}", "in", vb_json_string(args->rest[0]), "out",
                                   vb_json_string(args->rest[1]), "type", mix->name, "bytes_before",
                                   (json_int_t)r->bytes_before, "bytes", (json_int_t)r->all.bytes, "requantized",
                                   (json_int_t)r->requantized, "error", errors_of(&r->all), "tensors", tensors));
}

static void say_notices(const vb_quantize_job *job, const vb_quantize_report *r)
{
    int fallbacks = 0;
    for (int64_t i = 0; i < r->n; i++) fallbacks += r->tensors[i].fallback;
    if (r->requantized > 0)
        vb_say("%s: %lld tensors were quantised before (%s); what that lost is not in the errors", job->in,
               (long long)r->requantized, r->requantized_from);
    if (fallbacks > 0)
        vb_say("%s: %d tensors have rows of another length than whole blocks and take the nearest format that fits",
               job->in, fallbacks);
    if (r->without > 0)
        vb_say("%s: says nothing about %lld tensors; they are encoded without it", job->imatrix, (long long)r->without);
}

int vb_cmd_quantize(const vb_args *args)
{
    vb_bar bar = vb_bar_begin(args->json);
    vb_quantize_report report;
    vb_err err = {0};
    const vb_mixture *mix = args->type != NULL ? vb_mix_find(args->type) : NULL;
    if (mix == NULL) {
        char names[256];
        vb_mix_names(names, sizeof names);
        return vb_wrong("quantize", "--type: expected one of %s, found %s", names, args->type != NULL ? args->type : "none");
    }
    vb_quantize_job job = {args->rest[0], args->rest[1], mix, args->imatrix, args->model.threads, args->pure, args->force,
                           tell, &bar};
    vb_interrupt_catch();
    vb_torn_watch();
    vb_status s = vb_quantize(&job, &report, &err);
    vb_bar_end(&bar);
    int code = s == VB_OK ? VB_EXIT_OK : vb_report(s, &err);
    if (s == VB_OK) say_notices(&job, &report);
    if (s == VB_OK) code = args->json ? put_json(args, mix, &report) : put_table(&report);
    vb_quantize_report_free(&report);
    return s == VB_E_STOPPED ? VB_EXIT_INTERRUPTED : code;
}
