/* trace_lines.c - see trace_lines.h.
 *
 * The lines go through a temporary file: values of taps may be many times larger than all the rest, so only their
 * places are kept. A trace holds the largest logits and no more, so a probability here is the share among those that it
 * kept.
 */
#include "trace_lines.h"

#include "out.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *vb_trace_lines_word(const vb_trace_lines *t, const char *key)
{
    const char *word = json_string_value(json_object_get(t->header, key));
    return word != NULL ? word : "";
}

static const char *keep(vb_trace_lines *t, const char *bytes, size_t len)
{
    json_t *text = json_stringn_nocheck(bytes, len);
    if (text == NULL || json_array_append_new(t->kept, text) < 0) return NULL;
    return json_string_value(text);
}

/* A text, or the bytes of one that is not UTF-8. */
static int read_text(vb_trace_lines *t, json_t *value, const char **text, size_t *len)
{
    const char *hex = json_string_value(json_object_get(value, "bytes"));
    *text = json_string_value(value);
    *len = json_string_length(value);
    if (hex == NULL) return *text != NULL ? 0 : vb_no_memory();
    char *bytes = malloc(strlen(hex) / 2 + 1);
    unsigned byte;
    for (*len = 0; bytes != NULL && sscanf(hex + 2 * *len, "%2x", &byte) == 1; ++*len) bytes[*len] = (char)byte;
    *text = bytes != NULL ? keep(t, bytes, *len) : NULL;
    free(bytes);
    return *text != NULL ? 0 : vb_no_memory();
}

/* A trace has many taps and few names. */
static const char *intern(vb_trace_lines *t, const char *name)
{
    if (json_object_get(t->names, name) == NULL && json_object_set_new(t->names, name, json_string(name)) < 0)
        return NULL;
    return json_string_value(json_object_get(t->names, name));
}

static int add_tap(vb_trace_lines *t, json_t *line, long at)
{
    const char *name = json_string_value(json_object_get(line, "name"));
    vb_tap_line *grown = realloc(t->taps, ((size_t)t->n_taps + 1) * sizeof *grown);
    if (grown == NULL) return vb_no_memory();
    t->taps = grown;
    name = intern(t, name != NULL ? name : "?");
    if (name == NULL) return vb_no_memory();
    grown[t->n_taps++] = (vb_tap_line){(int)json_integer_value(json_object_get(line, "position")),
                                       (int)json_integer_value(json_object_get(line, "layer")), name, at};
    return 0;
}

static int add_line(vb_trace_lines *t, json_t *line, long at)
{
    const char *type = json_string_value(json_object_get(line, "record"));
    if (type == NULL) return 0;
    if (strcmp(type, "tap") == 0) return add_tap(t, line, at);
    if (strcmp(type, "header") == 0) t->header = json_incref(line);
    if (strcmp(type, "end") == 0 || strcmp(type, "cut") == 0) t->end = json_incref(line);
    if (strcmp(type, "given") == 0 || strcmp(type, "chosen") == 0)
        return json_array_append(t->records, line) < 0 ? vb_no_memory() : 0;
    return 0;
}

static int read_lines(vb_trace_lines *t)
{
    char *line = NULL;
    size_t cap = 0;
    int code = 0;
    rewind(t->lines);
    for (long at = 0; code == 0 && getline(&line, &cap, t->lines) > 0; at = ftell(t->lines)) {
        json_t *value = json_loads(line, JSON_ALLOW_NUL, NULL);
        code = value != NULL ? add_line(t, value, at) : vb_no_memory();
        json_decref(value);
    }
    free(line);
    return code;
}

/* --- tokens ---------------------------------------------------------------------------------------------- */

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int fill_choice(vb_trace_lines *t, vb_page_choice *out, json_t *logit, const vb_model *vocab)
{
    char text[512];
    const char *bits = json_string_value(json_object_get(logit, "bits"));
    *out = (vb_page_choice){.id = (vb_token)json_integer_value(json_object_get(logit, "id")),
                            .has_bits = 1,
                            .bits = bits != NULL ? (uint32_t)strtoul(bits, NULL, 16) : 0};
    int64_t n = vocab != NULL ? vb_token_bytes(vocab, out->id, text, sizeof text) : -1;
    if (n < 0 || n > (int64_t)sizeof text) return 0;
    out->text = keep(t, text, (size_t)n);
    out->len = (size_t)n;
    return out->text != NULL ? 0 : vb_no_memory();
}

/* A token that was chosen, but not kept among the largest, is less likely than the last of them. */
static void fill_logprobs(vb_page_token *token, vb_page_choice *top, int n)
{
    double best = n > 0 ? (double)float_of(top[0].bits) : 0, sum = 0;
    int found = 0;
    for (int i = 0; i < n; i++) sum += exp((double)float_of(top[i].bits) - best);
    for (int i = 0; i < n; i++) {
        top[i].logprob = (double)float_of(top[i].bits) - best - log(sum);
        if (!found) token->logprob = top[i].logprob;
        found |= top[i].id == token->id;
    }
    if (n > 1) token->margin = best - (double)float_of(top[1].bits);
}

static int fill_token(vb_trace_lines *t, int index, const vb_model *vocab, vb_page_choice *room)
{
    vb_page_token *token = &t->tokens[index];
    json_t *record = json_array_get(t->records, (size_t)index), *top = json_object_get(record, "top"), *logit;
    size_t i;
    int code = read_text(t, json_object_get(record, "text"), &token->text, &token->len);
    token->id = (vb_token)json_integer_value(json_object_get(record, "id"));
    token->given = top == NULL;
    token->logprob = token->margin = (double)NAN;
    token->top = room;
    token->n_top = (int)json_array_size(top);
    json_array_foreach(top, i, logit) if (code == 0) code = fill_choice(t, &room[i], logit, vocab);
    fill_logprobs(token, room, token->n_top);
    return code;
}

/* The vocabulary of the recorded model, if its file is there and still says the same. */
static vb_model *open_vocab(const vb_trace_lines *t)
{
    vb_model *model = NULL;
    vb_model_info info;
    char hex[65];
    if (vb_model_open(&model, vb_trace_lines_word(t, "model_path"), &(vb_model_opts){.vocab_only = 1}, NULL) < 0)
        return NULL;
    vb_model_describe(model, &info);
    vb_hex_text(hex, info.tokenizer_digest, sizeof info.tokenizer_digest);
    if (strcmp(hex, vb_trace_lines_word(t, "tokenizer")) == 0) return model;
    vb_model_close(model);
    return NULL;
}

static int fill_tokens(vb_trace_lines *t)
{
    size_t n_choices = 1, used = 0, i;
    json_t *record;
    json_array_foreach(t->records, i, record) n_choices += json_array_size(json_object_get(record, "top"));
    t->n = (int)json_array_size(t->records);
    t->tokens = calloc((size_t)t->n + 1, sizeof *t->tokens);
    t->choices = calloc(n_choices, sizeof *t->choices);
    if (t->tokens == NULL || t->choices == NULL) return vb_no_memory();
    vb_model *vocab = open_vocab(t);
    int code = 0;
    for (int k = 0; k < t->n && code == 0; k++) {
        code = fill_token(t, k, vocab, t->choices + used);
        used += (size_t)t->tokens[k].n_top;
    }
    vb_model_close(vocab);
    return code;
}

int vb_trace_lines_open(vb_trace_lines *t, const char *path)
{
    vb_err err = {0};
    *t = (vb_trace_lines){
        .path = path, .lines = tmpfile(), .records = json_array(), .kept = json_array(), .names = json_object()};
    if (t->lines == NULL) {
        vb_say("%s: cannot make a temporary file: %s", path, strerror(errno));
        return VB_EXIT_IO;
    }
    if (t->records == NULL || t->kept == NULL || t->names == NULL) return vb_no_memory();
    vb_status status = vb_trace_show(path, t->lines, 1, &err);
    if (status < 0) return vb_report(status, &err);
    int code = read_lines(t);
    return code ? code : fill_tokens(t);
}

void vb_trace_lines_close(vb_trace_lines *t)
{
    if (t->lines != NULL) fclose(t->lines);
    json_decref(t->header);
    json_decref(t->end);
    json_decref(t->records);
    json_decref(t->kept);
    json_decref(t->names);
    free(t->tokens);
    free(t->choices);
    free(t->taps);
}
