/* cmd_show.c - `verbatim show`: what a model file holds and what a run will take. A file whose architecture verbatim
 * cannot run is shown as far as it can be read.
 */
#include "commands.h"
#include "out.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    vb_model *model;
    vb_model_info info;
    const vb_args *args;
    int runs;         /* 0: the vocabulary was read, the model cannot be run */
    int contexts[4];  /* context sizes to estimate, zero-terminated */
} view;

static int open_view(view *v)
{
    vb_err err = {0}, worse = {0};
    vb_model_opts opts = v->args->model;
    vb_status status = vb_model_open(&v->model, v->args->rest[0], &opts, &err);
    v->runs = status == VB_OK;
    if (status == VB_E_UNSUPPORTED) {
        opts.vocab_only = 1;
        if ((status = vb_model_open(&v->model, v->args->rest[0], &opts, &worse)) < 0) err = worse;
        else vb_say("note: %s", err.text);
    }
    if (status < 0) return vb_report(status, &err);
    vb_model_describe(v->model, &v->info);
    return 0;
}

/* 2048 tokens, the default context, and all the model was trained for; or the one asked for. */
static void choose_contexts(view *v)
{
    int trained = v->info.context, n = 0;
    if (!v->runs) return;
    if (v->args->session.context) {
        v->contexts[0] = v->args->session.context;
        return;
    }
    if (trained > 2048) v->contexts[n++] = 2048;
    if (trained > 8192) v->contexts[n++] = 8192;
    v->contexts[n] = trained;
}

static uint64_t session_bytes(const view *v, int context)
{
    vb_session_opts opts = v->args->session;
    opts.context = context;
    return vb_session_bytes(v->model, &opts);
}

/* The value of entry `index`, shortened; *key NULL at the end. Free the result. */
static char *meta_value(const view *v, int index, const char **key)
{
    *key = NULL;
    int64_t n = vb_model_meta_at(v->model, index, key, NULL, 0);
    if (n < 0) return NULL;
    char *value = calloc(1, (size_t)n + 1);
    if (value != NULL) vb_model_meta_at(v->model, index, key, value, (size_t)n + 1);
    return value;
}

static void print_metadata(const view *v)
{
    const char *key;
    char *value;
    puts("metadata");
    for (int i = 0; (value = meta_value(v, i, &key)) != NULL; i++) {
        size_t n = strlen(value), shown = n > 100 ? 100 : n;
        while (shown < n && shown > 0 && ((unsigned char)value[shown] & 0xc0) == 0x80) shown--;
        fputs("  ", stdout);
        vb_put_escaped(stdout, key, strlen(key));
        fputs(" = ", stdout);
        vb_put_escaped(stdout, value, shown);
        if (shown < n) printf(" ... (%zu bytes)", n);
        putchar('\n');
        free(value);
    }
}

static void print_tensors(const view *v)
{
    vb_tensor_info t;
    puts("tensors");
    for (int i = 0; vb_model_tensor_at(v->model, i, &t); i++) {
        fputs("  ", stdout);
        vb_put_escaped(stdout, t.name, strlen(t.name));
        printf(" %s", t.format);
        for (int d = 0; d < t.n_dims; d++) printf("%s%" PRIu64, d ? " x " : " ", t.ne[d]);
        printf(", %" PRIu64 " bytes at %" PRIu64 "\n", t.bytes, t.offset);
    }
}

static void print_memory(const view *v)
{
    fputs("memory    weights ", stdout);
    vb_put_bytes(stdout, v->info.weight_bytes);
    fputs(" (mapped from the file)\n", stdout);
    for (int i = 0; i < 4 && v->contexts[i]; i++) {
        printf("          session of %d tokens ", v->contexts[i]);
        vb_put_bytes(stdout, session_bytes(v, v->contexts[i]));
        putchar('\n');
    }
}

static void print_fingerprint(const view *v)
{
    char fingerprint[80];
    if (vb_model_fingerprint(v->model, fingerprint, sizeof fingerprint, NULL) > 0) printf("bits      %s\n", fingerprint);
}

static void print_text(const view *v)
{
    const vb_model_info *info = &v->info;
    char digest[65];
    const char *name = info->name && *info->name ? info->name : "(no name)";
    fputs("model     ", stdout);
    vb_put_escaped(stdout, name, strlen(name));
    fputs("\npath      ", stdout);
    vb_put_escaped(stdout, info->path, strlen(info->path));
    fputs("\nfamily    ", stdout);
    vb_put_escaped(stdout, info->arch, strlen(info->arch));
    printf(", %s, %" PRIu64 " parameters\n", info->format, info->parameters);
    if (v->runs)
        printf("shape     %d layers, width %d, %d heads, %d key/value heads, context %d\n", info->layers, info->width,
               info->heads, info->kv_heads, info->context);
    printf("tokens    %d, BOS %d, EOS %d\n", info->vocab, info->bos, info->eos);
    vb_hex_text(digest, info->template_digest, 32);
    printf("template  %s%s%s\n", info->template_source, strcmp(info->template_source, "none") ? ", SHA-256 " : "",
           strcmp(info->template_source, "none") ? digest : "");
    vb_hex_text(digest, info->plan_digest, 32);
    if (v->runs) printf("plan      SHA-256 %s\n", digest);
    if (v->runs) print_fingerprint(v);
    if (v->runs) print_memory(v);
    print_metadata(v);
    if (v->args->tensors) print_tensors(v);
}

static json_t *tensors_json(const view *v)
{
    json_t *array = json_array();
    vb_tensor_info t;
    for (int i = 0; vb_model_tensor_at(v->model, i, &t); i++) {
        json_t *shape = json_array();
        for (int d = 0; d < t.n_dims; d++) json_array_append_new(shape, json_integer((json_int_t)t.ne[d]));
        json_array_append_new(array, json_pack("{s:o, s:s, s:o, s:I, s:I}", "name",
                                               vb_json_string(t.name), "format", t.format, "shape",
                                               shape, "bytes", (json_int_t)t.bytes, "offset", (json_int_t)t.offset));
    }
    return array;
}

static json_t *memory_json(const view *v)
{
    json_t *sessions = json_array();
    for (int i = 0; i < 4 && v->contexts[i]; i++)
        json_array_append_new(sessions, json_pack("{s:i, s:I}", "context", v->contexts[i], "bytes",
                                                  (json_int_t)session_bytes(v, v->contexts[i])));
    return json_pack("{s:I, s:o}", "weights", (json_int_t)v->info.weight_bytes, "sessions", sessions);
}

static json_t *metadata_json(const view *v)
{
    json_t *object = json_object();
    const char *key;
    char *value;
    for (int i = 0; (value = meta_value(v, i, &key)) != NULL; i++) {
        json_object_set_new(object, key, vb_json_string(value));
        free(value);
    }
    return object;
}

static int print_json(const view *v)
{
    char fingerprint[80];
    const vb_model_info *info = &v->info;
    json_t *all = json_pack("{s:o, s:o, s:o, s:o, s:b, s:I, s:I}", "path", vb_json_string(info->path), "name",
                            vb_json_string(info->name), "arch", vb_json_string(info->arch), "format",
                            vb_json_string(info->format), "runs", v->runs, "parameters",
                            (json_int_t)info->parameters, "file_bytes", (json_int_t)info->file_bytes);
    json_t *shape = json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "layers", info->layers, "width", info->width,
                              "heads", info->heads, "kv_heads", info->kv_heads, "context", info->context, "vocab",
                              info->vocab, "bos", info->bos, "eos", info->eos);
    if (all == NULL || shape == NULL || json_object_update(all, shape) < 0) return vb_no_memory();
    json_decref(shape);
    json_object_set_new(all, "template", json_pack("{s:s, s:o}", "source", info->template_source, "sha256",
                                                   vb_json_hex(info->template_digest, 32)));
    json_object_set_new(all, "tokenizer_sha256", vb_json_hex(info->tokenizer_digest, 32));
    if (v->runs) json_object_set_new(all, "plan_sha256", vb_json_hex(info->plan_digest, 32));
    if (v->runs && vb_model_fingerprint(v->model, fingerprint, sizeof fingerprint, NULL) > 0)
        json_object_set_new(all, "fingerprint", json_string(fingerprint));
    if (v->runs) json_object_set_new(all, "memory", memory_json(v));
    json_object_set_new(all, "metadata", metadata_json(v));
    if (v->args->tensors) json_object_set_new(all, "tensors", tensors_json(v));
    return vb_print_json(all);
}

int vb_cmd_show(const vb_args *args)
{
    view v = {.args = args};
    int code = open_view(&v);
    if (code == 0) {
        choose_contexts(&v);
        if (args->json) code = print_json(&v);
        else print_text(&v);
    }
    vb_model_close(v.model);
    return code;
}
