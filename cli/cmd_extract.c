/* cmd_extract.c - `verbatim extract`: what a text says, as JSON that fits a schema; with --from, the JSON that an answer of
 * any model holds, repaired where its form wants it.
 *
 *   text   the JSON
 *   JSON   {"value", "repairs"}, and of a model's answer {"tokens", "prompt_tokens"}
 */
#include "verbatim_easy.h"

#include "commands.h"
#include "input.h"
#include "out.h"

#include <stdlib.h>
#include <string.h>

static json_t *repair_names(int repairs)
{
    json_t *list = json_array();
    for (int bit = 1; vb_easy_repair_name(bit) != NULL; bit <<= 1)
        if (repairs & bit) json_array_append_new(list, json_string(vb_easy_repair_name(bit)));
    return list;
}

/* `answer` NULL: no model was asked. */
static int print(const vb_args *args, const char *text, size_t len, int repairs, const vb_easy_answer *answer)
{
    if (!args->json) {
        fwrite(text, 1, len, stdout);
        putchar('\n');
        return vb_out_flush();
    }
    json_t *value = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    json_t *all = json_pack("{s:o, s:o}", "value", value, "repairs", repair_names(repairs));
    if (all != NULL && answer != NULL) {
        json_object_set_new(all, "tokens", json_integer(answer->tokens));
        json_object_set_new(all, "prompt_tokens", json_integer(answer->prompt_tokens));
    }
    return vb_print_json(all);
}

static int from_text(const vb_args *args, const char *text, const char *schema)
{
    vb_err err = {0};
    int repairs = 0, code;
    int64_t n = vb_easy_json(text, schema, NULL, 0, &repairs, &err);
    if (n < 0) return vb_report((vb_status)n, &err);
    char *json = malloc((size_t)n + 1);
    if (json == NULL) return vb_no_memory();
    vb_easy_json(text, schema, json, (size_t)n, &repairs, &err);
    code = print(args, json, (size_t)n, repairs, NULL);
    free(json);
    return code;
}

static void note_unheld(const vb_easy *e, const vb_args *args, const char *schema)
{
    vb_grammar *grammar;
    const char *keyword;
    if (vb_grammar_open_schema(&grammar, vb_easy_model(e), schema, strlen(schema), NULL) < 0) return;
    for (int i = 0; (keyword = vb_grammar_unheld(grammar, i)) != NULL; i++)
        vb_say("note: %s: \"%s\" is not held, only checked if docs/EASY.md names it", args->schema, keyword);
    vb_grammar_close(grammar);
}

static int from_model(const vb_args *args, const char *text, const char *schema)
{
    vb_err err = {0};
    vb_easy *e = NULL;
    vb_easy_answer answer;
    vb_easy_opts opts = {.model = args->model, .session = args->session};
    vb_easy_how how = {.sampling = args->sampling, .max_tokens = args->max_tokens, .system = args->system};
    vb_status status = vb_easy_open(&e, args->rest[0], &opts, &err);
    int code = status < 0 ? vb_report(status, &err) : vb_need_logits_of(vb_easy_model(e));
    if (code == 0) {
        status = vb_easy_extract(e, text, schema, &how, &answer, &err);
        if (status == VB_OK) note_unheld(e, args, schema);
        code = status < 0 ? vb_report(status, &err) : print(args, answer.text, answer.len, 0, &answer);
    }
    vb_easy_close(e);
    return code;
}

int vb_cmd_extract(const vb_args *args)
{
    vb_buffer text = {0}, schema = {0};
    int wanted = args->from != NULL ? 0 : 2, code = 0;
    if (args->n_rest != wanted)
        return vb_wrong("extract", args->from != NULL ? "--from: expected no MODEL and no TEXT, found %d of them"
                                                      : "expected MODEL and TEXT, or --from FILE, found %d of them", args->n_rest);
    if (args->schema == NULL) return vb_wrong("extract", "--schema: expected a file, found none");
    if (strcmp(args->schema, "-") == 0) return vb_wrong("extract", "--schema: expected a file, found standard input");
    code = vb_read_all(args->schema, &schema);
    if (code == 0) code = args->from != NULL ? vb_read_all(args->from, &text) : vb_read_text("extract", args->rest[1], &text);
    if (code == 0 && (memchr(text.data, '\0', text.len) != NULL || memchr(schema.data, '\0', schema.len) != NULL))
        code = vb_wrong("extract", "expected text, found a NUL byte");
    if (code == 0) code = args->from != NULL ? from_text(args, text.data, schema.data) : from_model(args, text.data, schema.data);
    free(text.data);
    free(schema.data);
    return code;
}
