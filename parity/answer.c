/* answer.c - the life of an answer: filled piece by piece, given back in one go. */
#include "parity/wire.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

vb_status vb_parity_fail(vb_err *err, vb_status code, const char *fmt, ...)
{
    va_list args;
    if (err == NULL) return code;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    err->code = code;
    return code;
}

static void free_texts(char **list, int n)
{
    for (int i = 0; i < n; i++) free(list[i]);
    free(list);
}

static void free_tokens(vb_answer_token *tokens, int n)
{
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < tokens[i].n_top; k++) free(tokens[i].top[k].bytes);
        free(tokens[i].top);
        free(tokens[i].chosen.bytes);
    }
    free(tokens);
}

void vb_answer_free(vb_answer *a)
{
    for (int i = 0; i < a->n_messages; i++) {
        free(a->messages[i].role);
        free(a->messages[i].content);
    }
    free(a->messages);
    free_texts(a->stops, a->n_stops);
    free_texts(a->unknown, a->n_unknown);
    free_tokens(a->tokens, a->n_tokens);
    free(a->engine);
    free(a->version);
    free(a->source);
    free(a->model);
    free(a->chat_template);
    free(a->prompt);
    free(a->prompt_ids);
    free(a->rendered);
    free(a->text);
    free(a->done_reason);
    free(a->ids);
    memset(a, 0, sizeof *a);
}

void vb_answers_free(vb_answers *answers)
{
    for (int i = 0; i < answers->n; i++) vb_answer_free(&answers->item[i]);
    free(answers->item);
    memset(answers, 0, sizeof *answers);
}

void vb_answer_start(vb_answer *a)
{
    memset(a, 0, sizeof *a);
    a->num_predict = -1;
    a->prompt_tokens = a->generated = -1;
}

vb_status vb_text_set(char **slot, const char *text, vb_err *err)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy) return vb_parity_fail(err, VB_E_MEMORY, "answer: out of memory");
    free(*slot);
    *slot = copy;
    return VB_OK;
}

vb_status vb_text_add(char ***list, int *n, const char *text, vb_err *err)
{
    char *copy = strdup(text);
    char **grown = copy ? realloc(*list, ((size_t)*n + 1) * sizeof *grown) : NULL;
    if (!grown) {
        free(copy);
        return vb_parity_fail(err, VB_E_MEMORY, "answer: out of memory");
    }
    grown[(*n)++] = copy;
    *list = grown;
    return VB_OK;
}

vb_status vb_answer_append(vb_answer *a, const char *text, size_t len, vb_err *err)
{
    char *grown = realloc(a->text, a->len + len + 1);
    if (!grown) return vb_parity_fail(err, VB_E_MEMORY, "answer: out of memory");
    memcpy(grown + a->len, text, len);
    a->text = grown;
    a->len += len;
    a->text[a->len] = '\0';
    return VB_OK;
}
