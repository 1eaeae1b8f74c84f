/* cmd_tokenize.c - `verbatim tokenize` and `verbatim detokenize`; both need the vocabulary alone. */
#include "commands.h"
#include "input.h"
#include "out.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int open_vocabulary(const vb_args *args, vb_model **model)
{
    vb_err err = {0};
    vb_model_opts opts = {.vocab_only = 1};
    vb_status status = vb_model_open(model, args->rest[0], &opts, &err);
    return status < 0 ? vb_report(status, &err) : 0;
}

/* The text on the command line, or standard input for "-". */
static int read_text(const vb_args *args, vb_buffer *text)
{
    const char *word = args->rest[1];
    int code = strcmp(word, "-") == 0 ? vb_read_all("-", text) : vb_buffer_add(text, word, strlen(word));
    return code == 0 && args->hex ? vb_unhex_text("tokenize", text) : code;
}

static json_t *piece(const vb_model *model, vb_token id)
{
    int64_t n = vb_token_bytes(model, id, NULL, 0);
    char *bytes = n < 0 ? NULL : malloc((size_t)n + 1);
    if (bytes == NULL) return NULL;
    vb_token_bytes(model, id, bytes, (size_t)n);
    json_t *text = vb_json_text(bytes, (size_t)n);
    free(bytes);
    return text;
}

static int print_ids_json(const vb_model *model, const vb_ids *ids)
{
    json_t *numbers = json_array(), *pieces = json_array();
    for (size_t i = 0; i < ids->n; i++) {
        json_array_append_new(numbers, json_integer(ids->ids[i]));
        json_array_append_new(pieces, piece(model, ids->ids[i]));
    }
    return vb_print_json(json_pack("{s:I, s:o, s:o}", "count", (json_int_t)ids->n, "ids", numbers, "pieces", pieces));
}

static void print_ids(const vb_ids *ids)
{
    putchar('[');
    for (size_t i = 0; i < ids->n; i++) printf("%s%d", i ? ", " : "", ids->ids[i]);
    puts("]");
}

int vb_cmd_tokenize(const vb_args *args)
{
    vb_model *model = NULL;
    vb_buffer text = {0};
    vb_ids ids = {0};
    int flags = (args->add_special ? VB_ADD_SPECIAL : 0) | (args->parse_special ? VB_PARSE_SPECIAL : 0);
    int code = read_text(args, &text);
    if (code == 0) code = open_vocabulary(args, &model);
    if (code == 0) code = vb_encode(model, text.data, text.len, flags, &ids);
    if (code == 0 && args->json) code = print_ids_json(model, &ids);
    else if (code == 0) print_ids(&ids);
    free(ids.ids);
    free(text.data);
    vb_model_close(model);
    return code;
}

static int read_ids(const vb_args *args, vb_ids *ids)
{
    vb_buffer text = {0};
    int code = 0;
    for (int i = 1; code == 0 && i < args->n_rest; i++) {
        if (strcmp(args->rest[i], "-") == 0) {
            code = vb_read_all("-", &text);
            if (code == 0) code = vb_parse_ids("detokenize", text.data, ids);
        } else code = vb_parse_ids("detokenize", args->rest[i], ids);
    }
    free(text.data);
    return code;
}

static int print_text(const vb_args *args, const char *text, size_t len)
{
    if (args->json) return vb_print_json(json_pack("{s:o}", "text", vb_json_text(text, len)));
    if (args->hex) {
        for (size_t i = 0; i < len; i++) printf("%02x", (unsigned char)text[i]);
        putchar('\n');
        return 0;
    }
    fwrite(text, 1, len, stdout);
    if (isatty(STDOUT_FILENO)) putchar('\n');
    return 0;
}

int vb_cmd_detokenize(const vb_args *args)
{
    vb_err err = {0};
    vb_model *model = NULL;
    vb_ids ids = {0};
    char *text = NULL;
    int64_t len = 0;
    int code = read_ids(args, &ids);
    if (code == 0) code = open_vocabulary(args, &model);
    if (code == 0 && (len = vb_detokenize(model, ids.ids, ids.n, !args->hide_special, NULL, 0, &err)) < 0)
        code = vb_report((vb_status)len, &err);
    if (code == 0 && (text = malloc((size_t)len + 1)) == NULL) code = vb_no_memory();
    if (code == 0) {
        vb_detokenize(model, ids.ids, ids.n, !args->hide_special, text, (size_t)len, &err);
        code = print_text(args, text, (size_t)len);
    }
    free(text);
    free(ids.ids);
    vb_model_close(model);
    return code;
}
