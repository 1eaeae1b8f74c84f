/* partners.c - from options to answers: files are read, live engines are asked one question after the other. */
#include "partners.h"

#include "out.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int vb_partner_live(const vb_args *args)
{
    return args->ollama != NULL || args->llama_server != NULL;
}

int vb_partners_named(const vb_args *args)
{
    return (args->ollama != NULL) + (args->llama_server != NULL) + (args->recordings.n > 0);
}

/* Room for n more, which count when they are filled. */
static int grow(vb_answers *list, int n)
{
    vb_answer *grown = realloc(list->item, ((size_t)list->n + (size_t)n) * sizeof *grown);
    if (grown == NULL) return vb_no_memory();
    list->item = grown;
    return 0;
}

static int read_recording(vb_answers *out, const char *path)
{
    vb_err err = {0};
    vb_answers some;
    vb_status status = vb_answers_read(&some, path, &err);
    if (status < 0) return vb_report(status, &err);
    int code = grow(out, some.n);
    if (code != 0) {
        vb_answers_free(&some);
        return code;
    }
    memcpy(out->item + out->n, some.item, (size_t)some.n * sizeof *some.item);
    out->n += some.n;
    free(some.item);
    return 0;
}

static int ask_one(vb_answers *out, const vb_args *args, const char *model, const vb_asked *asked)
{
    vb_err err = {0};
    vb_partner partner = {.url = args->ollama ? args->ollama : args->llama_server, .model = model,
                          .patience = args->timeout};
    vb_message messages[2] = {{"system", args->system}, {"user", asked->text}};
    int skip = args->system == NULL;
    vb_question question = {.prompt = asked->raw ? asked->text : NULL, .messages = messages + skip,
                            .n_messages = (size_t)(2 - skip), .num_predict = args->max_tokens,
                            .num_ctx = args->session.context, .stops = args->stops.text, .n_stops = args->stops.n};
    int code = grow(out, 1);
    if (code != 0) return code;
    vb_answer *answer = &out->item[out->n];
    vb_status status = args->ollama ? vb_ollama_ask(answer, &partner, &question, &err)
                                    : vb_llama_server_ask(answer, &partner, &question, &err);
    if (status == VB_OK) out->n++;
    else code = vb_report(status, &err);
    return status != VB_OK && partner.failed ? VB_EXIT_NETWORK : code;
}

int vb_partners_ask(vb_answers *out, const vb_args *args, const char *model, const vb_asked *questions, int n)
{
    int shown = isatty(STDERR_FILENO) && vb_partner_live(args), code = 0;
    memset(out, 0, sizeof *out);
    for (int i = 0; code == 0 && i < args->recordings.n; i++) code = read_recording(out, args->recordings.text[i]);
    for (int i = 0; code == 0 && vb_partner_live(args) && i < n; i++) {
        if (shown) fprintf(stderr, "\rasking %d of %d", i + 1, n);
        code = vb_interrupted() ? VB_EXIT_INTERRUPTED : ask_one(out, args, model, &questions[i]);
        if (shown && (i + 1 == n || code != 0)) fputs("\r\033[K", stderr);
    }
    if (code != 0) vb_answers_free(out);
    return code;
}
