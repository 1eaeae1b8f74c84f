/* answer.c - a prompt becomes tokens, and what the model says behind them an answer.
 *
 *   text --vb_tokenize----.
 *                          >-- ids -- vb_session_sync -- vb_generate -- e->text, on_text
 *   chat --vb_chat_encode-'
 */
#include "easy/easy.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* --- tokens ------------------------------------------------------------------------------------------------------- */

/* Room for n ids, or what is wrong with n. */
static vb_status take(vb_easy_ids *out, int64_t n, vb_err *err)
{
    *out = (vb_easy_ids){0};
    if (n < 0) return (vb_status)n;
    if (n > INT_MAX) VB_FAIL(err, VB_E_FULL, "prompt: expected at most %d tokens, found %lld", INT_MAX, (long long)n);
    out->ids = malloc(((size_t)n + 1) * sizeof *out->ids);
    if (out->ids == NULL) VB_FAIL(err, VB_E_MEMORY, "prompt: out of memory for %lld tokens", (long long)n);
    out->n = (int)n;
    return VB_OK;
}

vb_status vb_easy_tokenize(const vb_easy *e, const char *text, int flags, vb_easy_ids *out, vb_err *err)
{
    size_t len = strlen(text);
    VB_TRY(take(out, vb_tokenize(e->model, text, len, flags, NULL, 0, err), err));
    vb_tokenize(e->model, text, len, flags, out->ids, (size_t)out->n, err);
    return VB_OK;
}

static vb_status encode_chat(const vb_easy *e, const vb_message *messages, size_t n, vb_easy_ids *out, vb_err *err)
{
    VB_TRY(take(out, vb_chat_encode(e->model, messages, n, NULL, 0, err), err));
    vb_chat_encode(e->model, messages, n, out->ids, (size_t)out->n, err);
    return VB_OK;
}

vb_status vb_easy_encode(const vb_easy *e, const char *system, const char *user, const char *plain, vb_easy_ids *out, vb_err *err)
{
    const char *own = vb_model_stored(e->model, "system");
    vb_easy_buf text = {0};
    *out = (vb_easy_ids){0};
    if (system == NULL) system = own;
    if (system != NULL && system[0] == '\0') system = NULL;
    if (vb_model_template(e->model, NULL) != NULL) {
        vb_message messages[] = {{"system", system}, {"user", user}};
        return encode_chat(e, system != NULL ? messages : messages + 1, system != NULL ? 2 : 1, out, err);
    }
    int fits = system == NULL || (vb_easy_print(&text, system) && vb_easy_print(&text, "\n\n"));
    vb_status s = fits && vb_easy_print(&text, plain) ? vb_easy_tokenize(e, text.data, VB_ADD_SPECIAL, out, err)
                                                      : vb_fail(err, VB_E_MEMORY, "prompt: out of memory");
    free(text.data);
    return s;
}

/* --- the answer --------------------------------------------------------------------------------------------------- */

typedef struct {
    vb_easy *e;
    const vb_easy_how *how;
    int no_memory;
} telling;

static int on_text(void *ud, const char *text, size_t len)
{
    telling *t = ud;
    if (!vb_easy_put(&t->e->text, text, len)) return t->no_memory = 1;
    if (vb_easy_stopping(t->e)) return 1;
    return t->how->on_text != NULL ? t->how->on_text(t->how->ud, text, len) : 0;
}

static vb_status generate(vb_easy *e, const char *prompt, const vb_easy_how *how, vb_generated *done, vb_err *err)
{
    telling t = {e, how, 0};
    vb_trace *trace = NULL;
    vb_trace_opts recorded = {.sampling = how->sampling, .prompt = prompt, .grammar = how->grammar};
    vb_generation g = {.sampling = how->sampling, .max_tokens = how->max_tokens, .stops = how->stops,
                       .n_stops = how->n_stops, .grammar = how->grammar, .on_text = on_text, .ud = &t};
    if (how->trace != NULL) VB_TRY(vb_trace_open(&trace, how->trace, e->session, &recorded, err));
    g.trace = trace;
    vb_status s = vb_generate(e->session, &g, done, err);
    vb_status closed = trace != NULL ? vb_trace_close(trace, s == VB_OK ? err : NULL) : VB_OK;
    if (s == VB_OK && t.no_memory) s = vb_fail(err, VB_E_MEMORY, "answer: out of memory for its text");
    if (s == VB_OK && vb_easy_stopping(e)) s = vb_fail(err, VB_E_STOPPED, "answer: it was cancelled");
    return s == VB_OK ? closed : s;
}

vb_status vb_easy_answer_ids(vb_easy *e, const vb_easy_ids *ids, const char *prompt, const vb_easy_how *how, vb_easy_answer *out,
                             vb_err *err)
{
    vb_stats before, after;
    vb_generated done = {0};
    e->text.len = 0;
    if (!vb_easy_put(&e->text, "", 0)) VB_FAIL(err, VB_E_MEMORY, "answer: out of memory");
    if (ids->n == 0) VB_FAIL(err, VB_E_ARGUMENT, "prompt: expected a token or more, found none");
    vb_session_stats(e->session, &before);
    VB_TRY(vb_session_sync(e->session, ids->ids, ids->n, err));
    vb_session_stats(e->session, &after);
    vb_status s = generate(e, prompt, how, &done, err);
    *out = (vb_easy_answer){.text = e->text.data, .len = e->text.len, .prompt_tokens = ids->n,
                            .known_tokens = (int)(after.reused - before.reused), .tokens = done.tokens, .end = done.end};
    return s;
}

/* What the three public ways share: `ids` made with the status `s`, answered, freed. */
static vb_status finish(vb_easy *e, vb_status s, vb_easy_ids *ids, const char *prompt, const vb_easy_how *how,
                        vb_easy_answer *out, vb_err *err)
{
    static const vb_easy_how defaults;
    vb_easy_answer ignored;
    if (s == VB_OK)
        s = vb_easy_answer_ids(e, ids, prompt, how != NULL ? how : &defaults, out != NULL ? out : &ignored, err);
    free(ids->ids);
    return vb_easy_done(e, s, err);
}

VB_API vb_status vb_easy_generate(vb_easy *e, const char *prompt, const vb_easy_how *how, vb_easy_answer *out, vb_err *err)
{
    vb_err own = {0};
    vb_easy_ids ids;
    if (err == NULL) err = &own;
    VB_TRY(vb_easy_begin(e, err));
    vb_status s = vb_easy_tokenize(e, prompt, VB_ADD_SPECIAL | VB_PARSE_SPECIAL, &ids, err);
    return finish(e, s, &ids, prompt, how, out, err);
}

VB_API vb_status vb_easy_prompt(vb_easy *e, const char *text, const vb_easy_how *how, vb_easy_answer *out, vb_err *err)
{
    vb_err own = {0};
    vb_easy_ids ids;
    if (err == NULL) err = &own;
    VB_TRY(vb_easy_begin(e, err));
    vb_status s = vb_easy_encode(e, how != NULL ? how->system : NULL, text, text, &ids, err);
    return finish(e, s, &ids, text, how, out, err);
}

VB_API vb_status vb_easy_chat(vb_easy *e, const vb_message *messages, size_t n, const vb_easy_how *how, vb_easy_answer *out,
                              vb_err *err)
{
    vb_err own = {0};
    vb_easy_ids ids;
    if (err == NULL) err = &own;
    VB_TRY(vb_easy_begin(e, err));
    vb_status s = encode_chat(e, messages, n, &ids, err);
    return finish(e, s, &ids, n > 0 ? messages[n - 1].content : NULL, how, out, err);
}
