/* cmd_doctor.c - `verbatim doctor`: the machine, whether each instruction set computes what the oracle computes, and
 * whether its devices do; with --prove also whether all conditions give the published answers, with --quorum whether
 * other machines say the same.
 */
#include "cli/prove.h"
#include "commands.h"
#include "devices.h"
#include "out.h"

#include <inttypes.h>
#include <string.h>

static const char *const isas[] = {"portable", "avx2", "avxvnni", "avx512", "neon"};
enum { N_ISAS = sizeof isas / sizeof isas[0] };

typedef struct {
    vb_status status;
    int64_t checks;
    char text[sizeof((vb_err *)0)->text];
} verdict;

typedef struct {
    vb_machine machine;
    verdict kernels[N_ISAS];
    char smollm2[512]; /* path; empty: not there */
    int64_t ollama, own;
    vb_devices devices; /* one that is refused is no failure: no layer is given to it */
    int failed; /* instruction sets whose kernels differ or cannot be judged */
    const vb_proving *proving; /* NULL: not asked for */
} findings;

static int count_model(void *ud, const vb_store_entry *entry)
{
    findings *f = ud;
    if (strcmp(entry->store, "ollama") == 0) f->ollama++;
    else f->own++;
    return 0;
}

static void find_smollm2(findings *f)
{
    vb_model *model = NULL;
    vb_model_opts opts = {.vocab_only = 1};
    vb_model_info info;
    if (vb_model_open(&model, "smollm2", &opts, NULL) != VB_OK) return;
    vb_model_describe(model, &info);
    snprintf(f->smollm2, sizeof f->smollm2, "%s", info.path);
    vb_model_close(model);
}

static void examine(findings *f, uint64_t seed)
{
    vb_machine_describe(&f->machine);
    for (int i = 0; i < N_ISAS; i++) {
        vb_err err = {0};
        verdict *v = &f->kernels[i];
        v->status = vb_kernel_check(isas[i], seed, &v->checks, &err);
        memcpy(v->text, err.text, sizeof v->text);
        f->failed += v->status < 0 && v->status != VB_E_UNSUPPORTED;
    }
    vb_store_list(count_model, f, NULL);
    find_smollm2(f);
}

static const char *verdict_name(vb_status status)
{
    return status == VB_OK ? "ok" : status == VB_E_UNSUPPORTED ? "absent" : "failed";
}

static void print_kernels(const findings *f)
{
    for (int i = 0; i < N_ISAS; i++) {
        const verdict *v = &f->kernels[i];
        const char *colour = v->status == VB_OK ? "32" : v->status == VB_E_UNSUPPORTED ? "2" : "31";
        printf("kernels   %-8s %s%s%s ", isas[i], vb_colour(stdout, colour), verdict_name(v->status),
               vb_colour(stdout, "0"));
        if (v->status == VB_OK) printf("(%" PRId64 " comparisons with the oracle, all equal bit for bit)\n", v->checks);
        else printf("(%s)\n", v->text[0] ? v->text : vb_status_name(v->status));
    }
}

static void print_devices(const vb_devices *d)
{
    const char *none = vb_devices_none(d);
    if (none != NULL) printf("device    %snone%s (%s)\n", vb_colour(stdout, "2"), vb_colour(stdout, "0"), none);
    for (int i = 0; i < d->n; i++) {
        const vb_device_entry *e = &d->entries[i];
        printf("device    %-8d %s%s%s (", e->index, vb_colour(stdout, e->qualified ? "32" : "31"),
               e->qualified ? "ok" : "refused", vb_colour(stdout, "0"));
        const char *text = e->qualified ? e->name : e->why;
        vb_put_escaped(stdout, text, strlen(text));
        puts(")");
    }
}

static void print_text(const findings *f)
{
    const vb_machine *m = &f->machine;
    printf("verbatim  %s, arithmetic %d\n", vb_version(), VB_ARITHMETIC_VERSION);
    printf("processor %s\nfeatures  %s\n", m->cpu, m->features);
    printf("topology  %d cores, %d threads, %d packages, %d NUMA nodes, L2 ", m->cores, m->threads, m->packages,
           m->numa_nodes);
    vb_put_bytes(stdout, m->l2_bytes);
    fputs(", L3 ", stdout);
    vb_put_bytes(stdout, m->l3_bytes);
    fputs("\nmemory    ", stdout);
    vb_put_bytes(stdout, m->memory_bytes);
    fputs(", available ", stdout);
    vb_put_bytes(stdout, m->available_bytes);
    putchar('\n');
    print_kernels(f);
    print_devices(&f->devices);
    printf("smollm2   %s\n", f->smollm2[0] ? f->smollm2 : "absent (make model fetches it)");
    printf("stores    %" PRId64 " models of Ollama, %" PRId64 " of verbatim\n", f->ollama, f->own);
    if (f->proving != NULL) vb_proving_print(f->proving);
}

static int print_json(const findings *f)
{
    const vb_machine *m = &f->machine;
    json_t *kernels = json_array();
    for (int i = 0; i < N_ISAS; i++) {
        const verdict *v = &f->kernels[i];
        json_array_append_new(kernels, json_pack("{s:s, s:s, s:I, s:o}", "isa", isas[i], "verdict",
                                                 verdict_name(v->status), "comparisons", (json_int_t)v->checks, "text",
                                                 vb_json_string(v->text)));
    }
    json_t *machine = json_pack(
        "{s:o, s:s, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:I}", "cpu", vb_json_string(m->cpu), "features",
        m->features, "cores", m->cores, "threads", m->threads, "packages", m->packages, "numa_nodes", m->numa_nodes,
        "l2_bytes", (json_int_t)m->l2_bytes, "l3_bytes", (json_int_t)m->l3_bytes, "memory_bytes",
        (json_int_t)m->memory_bytes, "available_bytes", (json_int_t)m->available_bytes);
    json_t *all = json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:{s:I, s:I}}", "version", vb_version(), "arithmetic",
                            VB_ARITHMETIC_VERSION, "machine", machine, "kernels", kernels, "devices",
                            vb_devices_json(&f->devices), "smollm2",
                            vb_json_string(f->smollm2[0] ? f->smollm2 : NULL), "stores", "ollama",
                            (json_int_t)f->ollama, "verbatim", (json_int_t)f->own);
    if (all != NULL && f->proving != NULL) json_object_set_new(all, "proof", vb_proving_json(f->proving));
    return vb_print_json(all);
}

static int wrong_arguments(const vb_args *args)
{
    if (args->quorum && !args->prove && args->n_rest == 0)
        return vb_wrong("doctor", "--quorum: expected trace files, or --prove under mpirun, found neither");
    if (args->n_rest > 0 && (args->prove || !args->quorum))
        return vb_wrong("doctor", "expected no file%s, found '%s'", args->prove ? " beside --prove" : " without --quorum",
                        args->rest[0]);
    return 0;
}

int vb_cmd_doctor(const vb_args *args)
{
    findings f = {0};
    vb_proving proving;
    int code = wrong_arguments(args);
    if (code != 0) return code;
    if (args->n_rest > 0) return vb_print_quorum(args->rest, args->n_rest, args->json);
    if (args->prove) {
        vb_proving_run(&proving, args->every);
        f.proving = &proving;
        if (proving.status == VB_E_STOPPED) return VB_EXIT_INTERRUPTED;
    }
    if (args->quorum) return vb_proving_gather(&proving, args->json);
    if (vb_devices_find(&f.devices) < 0) return vb_no_memory();
    examine(&f, args->sampling.seed);
    if (args->json) code = print_json(&f);
    else print_text(&f);
    vb_devices_free(&f.devices);
    if (code == 0 && args->prove) code = vb_proving_code(&proving);
    return code ? code : f.failed ? VB_EXIT_DIFFERS : VB_EXIT_OK;
}
