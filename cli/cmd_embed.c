/* cmd_embed.c - `verbatim embed`: one embedding a text, from arguments or, line by line, from standard input.
 *
 *   text   numbers separated by blanks, a line a text; without pooling a line a token and an empty line behind a text
 *   JSON   {"width", "pooling", "embeddings": [{"tokens", "embedding"}]}
 *
 * Nine digits say a float exactly, so nothing is lost in print.
 */
#include "commands.h"
#include "gpu.h"
#include "input.h"
#include "out.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    vb_model *model;
    vb_session *session;
    const vb_args *args;
    vb_pooling pooling;
    int width, context, n; /* n: texts so far */
    float *rows;           /* [context or 1][width] */
    json_t *list;          /* with --json */
} embedding;

static const char *pooling_name(vb_pooling p)
{
    static const char *const names[] = {"default", "none", "mean", "cls", "last"};
    return names[p];
}

static json_t *row_json(const float *x, int n)
{
    json_t *row = json_array();
    for (int i = 0; i < n; i++) json_array_append_new(row, json_real((double)x[i]));
    return row;
}

static int add_json(embedding *e, int tokens, int rows)
{
    json_t *value = e->pooling == VB_POOLING_NONE ? json_array() : row_json(e->rows, e->width);
    for (int r = 0; e->pooling == VB_POOLING_NONE && r < rows; r++)
        json_array_append_new(value, row_json(e->rows + (size_t)r * (size_t)e->width, e->width));
    json_t *item = json_pack("{s:i, s:o}", "tokens", tokens, "embedding", value);
    return item == NULL || json_array_append_new(e->list, item) < 0 ? vb_no_memory() : 0;
}

static int print_rows(const embedding *e, int rows)
{
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < e->width; i++)
            printf("%.9g%c", (double)e->rows[(size_t)r * (size_t)e->width + (size_t)i], i + 1 < e->width ? ' ' : '\n');
    if (e->pooling == VB_POOLING_NONE) putchar('\n');
    return vb_out_flush();
}

static int embed_ids(embedding *e, const vb_ids *ids)
{
    vb_err err = {0};
    if (ids->n == 0) return vb_wrong("embed", "text %d: expected 1 token or more, found none", e->n);
    if (ids->n > (size_t)e->context)
        return vb_wrong("embed", "text %d: expected at most %d tokens, found %zu", e->n, e->context, ids->n);
    int n = (int)ids->n;
    vb_status status = vb_session_embed(e->session, ids->ids, n, e->pooling, e->args->normalize, e->rows, &err);
    if (status < 0) return vb_report(status, &err);
    int rows = e->pooling == VB_POOLING_NONE ? n : 1;
    e->n++;
    return e->args->json ? add_json(e, n, rows) : print_rows(e, rows);
}

static int embed_text(embedding *e, const char *text, size_t len)
{
    vb_ids ids = {0};
    int code = vb_encode(e->model, text, len, VB_ADD_SPECIAL, &ids);
    if (code == 0) code = embed_ids(e, &ids);
    free(ids.ids);
    return vb_interrupted() && code == 0 ? VB_EXIT_INTERRUPTED : code;
}

static int embed_lines(embedding *e)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    int code = 0;
    while (code == 0 && (len = getline(&line, &cap, stdin)) >= 0) {
        if (len > 0 && line[len - 1] == '\n') len--;
        code = embed_text(e, line, (size_t)len);
    }
    free(line);
    if (code == 0 && ferror(stdin)) {
        vb_say("standard input: cannot read");
        code = VB_EXIT_IO;
    }
    return code;
}

static int embed_tokens(embedding *e)
{
    vb_ids ids = {0};
    int code = e->args->tokens_file ? vb_read_json_ids(e->args->tokens_file, &ids)
                                    : vb_parse_ids("embed: --tokens", e->args->tokens, &ids);
    if (code == 0) code = embed_ids(e, &ids);
    free(ids.ids);
    return code;
}

static int embed_all(embedding *e)
{
    char **texts = e->args->rest + 1;
    int n = e->args->n_rest - 1, code = 0;
    if (e->args->tokens || e->args->tokens_file) return embed_tokens(e);
    if (n == 0 || (n == 1 && strcmp(texts[0], "-") == 0)) return embed_lines(e);
    for (int i = 0; i < n && code == 0; i++) code = embed_text(e, texts[i], strlen(texts[i]));
    return code;
}

static int open_all(embedding *e)
{
    vb_err err = {0};
    vb_model_info info;
    vb_stats stats;
    vb_model_opts opts = e->args->model;
    opts.embeddings = 1;
    vb_status status = vb_open_with_bar(&e->model, e->args->rest[0], &opts, e->args->json, &err);
    if (status == VB_OK) status = vb_session_open(&e->session, e->model, &e->args->session, &err);
    if (status < 0) return vb_report(status, &err);
    vb_model_describe(e->model, &info);
    vb_session_stats(e->session, &stats);
    e->pooling = e->args->pooling ? (vb_pooling)e->args->pooling : info.pooling;
    e->width = info.width;
    e->context = stats.context;
    size_t rows = e->pooling == VB_POOLING_NONE ? (size_t)e->context : 1;
    e->rows = calloc(rows, (size_t)e->width * sizeof *e->rows);
    if (e->args->json) e->list = json_array();
    return e->rows == NULL || (e->args->json && e->list == NULL) ? vb_no_memory() : 0;
}

int vb_cmd_embed(const vb_args *args)
{
    embedding e = {.args = args};
    int sources = (args->tokens != NULL) + (args->tokens_file != NULL) + (args->n_rest > 1);
    if (sources > 1) return vb_wrong("embed", "expected texts, --tokens or --tokens-file, found %d of them", sources);
    vb_interrupt_catch();
    int code = open_all(&e);
    if (code == 0) code = embed_all(&e);
    if (code == 0 && args->json) {
        code = vb_print_json(json_pack("{s:i, s:s, s:O}", "width", e.width, "pooling", pooling_name(e.pooling),
                                       "embeddings", e.list));
    }
    json_decref(e.list);
    free(e.rows);
    vb_session_close(e.session);
    vb_model_close(e.model);
    return code;
}
