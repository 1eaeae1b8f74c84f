/* cmd_logits.c - `verbatim logits`: every logit of a list of tokens, to a file and into one digest.
 *
 *   FILE: token 0: vocab x f32 | token 1: vocab x f32 | ...      little-endian, no header
 *
 * Rows leave memory as soon as they are written, so any number of tokens takes the room of one evaluation.
 */
#include "commands.h"
#include "gpu.h"
#include "input.h"
#include "out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "logits are written as they lie in memory");

typedef struct {
    vb_session *session;
    vb_digest *digest;
    FILE *file; /* NULL: the digest alone */
    const char *path;
    float *rows; /* [batch, vocab] */
    int batch, vocab;
} evaluation;

static int read_tokens(const vb_model *model, const vb_args *args, vb_ids *ids)
{
    if (args->tokens_file) return vb_read_json_ids(args->tokens_file, ids);
    if (args->tokens) return vb_parse_ids("logits: --tokens", args->tokens, ids);
    return vb_encode(model, args->prompt, strlen(args->prompt), VB_ADD_SPECIAL | VB_PARSE_SPECIAL, ids);
}

static int write_failed(const evaluation *e)
{
    vb_say("%s: cannot write: %s", e->path, strerror(errno));
    return VB_EXIT_IO;
}

static int evaluate(const evaluation *e, const vb_ids *ids, vb_err *err)
{
    for (size_t at = 0; at < ids->n;) {
        int n = ids->n - at < (size_t)e->batch ? (int)(ids->n - at) : e->batch;
        size_t count = (size_t)n * (size_t)e->vocab;
        vb_work work = {e->session, ids->ids + at, n, e->rows, n};
        vb_status status = vb_eval(&work, 1, err);
        if (status < 0) return vb_report(status, err);
        vb_digest_add(e->digest, e->rows, count * sizeof *e->rows);
        if (e->file && fwrite(e->rows, sizeof *e->rows, count, e->file) != count) return write_failed(e);
        if (vb_interrupted()) return VB_EXIT_INTERRUPTED;
        at += (size_t)n;
    }
    return 0;
}

static int print(const evaluation *e, const vb_args *args, const vb_ids *ids)
{
    uint8_t digest[16];
    char text[33];
    vb_digest_get(e->digest, digest);
    vb_hex_text(text, digest, 16);
    if (args->json)
        return vb_print_json(json_pack("{s:s, s:i, s:i, s:o, s:o}", "digest", text, "tokens", (int)ids->n, "vocab",
                                       e->vocab, "out", vb_json_string(e->path), "gpu", vb_json_gpu(e->session)));
    puts(text);
    return 0;
}

static int open_evaluation(evaluation *e, vb_model *model, const vb_args *args, int n_tokens, vb_err *err)
{
    vb_model_info info;
    vb_session_opts opts = args->session;
    vb_model_describe(model, &info);
    e->vocab = info.vocab;
    e->batch = args->batch ? args->batch : 32;
    if (e->batch > n_tokens) e->batch = n_tokens;
    if (opts.context == 0) opts.context = n_tokens;
    opts.batch = e->batch;
    vb_status status = vb_session_open(&e->session, model, &opts, err);
    if (status == VB_OK) status = vb_digest_open(&e->digest, err);
    if (status < 0) return vb_report(status, err);
    e->rows = calloc((size_t)e->batch * (size_t)e->vocab, sizeof *e->rows);
    if (e->rows == NULL) return vb_no_memory();
    e->path = args->out;
    if (e->path != NULL && (e->file = fopen(e->path, "wb")) == NULL) return write_failed(e);
    return 0;
}

static int logits(vb_model *model, const vb_args *args, const vb_ids *ids)
{
    evaluation e = {0};
    vb_err err = {0};
    int code = open_evaluation(&e, model, args, (int)ids->n, &err);
    if (code == 0) code = evaluate(&e, ids, &err);
    if (e.file && fclose(e.file) != 0 && code == 0) code = write_failed(&e);
    if (code == 0) code = print(&e, args, ids);
    free(e.rows);
    vb_digest_close(e.digest);
    vb_session_close(e.session);
    return code;
}

int vb_cmd_logits(const vb_args *args)
{
    vb_err err = {0};
    vb_model *model = NULL;
    vb_ids ids = {0};
    int sources = (args->tokens != NULL) + (args->tokens_file != NULL) + (args->prompt != NULL);
    if (sources != 1)
        return vb_wrong("logits", "expected one of --tokens, --tokens-file and --prompt, found %d of them", sources);
    vb_status status = vb_open_with_bar(&model, args->rest[0], &args->model, args->json, &err);
    if (status < 0) return vb_report(status, &err);
    int code = vb_need_logits_of(model);
    if (code == 0) code = read_tokens(model, args, &ids);
    if (code == 0 && (ids.n == 0 || ids.n > INT32_MAX))
        code = vb_wrong("logits", "expected 1 token or more, found %zu", ids.n);
    vb_interrupt_catch();
    if (code == 0) code = logits(model, args, &ids);
    free(ids.ids);
    vb_model_close(model);
    return code;
}
