/* text.c - the public text functions: argument checks around the tokenizer and the chat template. */
#include "session/model.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

static vb_status need_tokenizer(const vb_model *m, vb_err *err)
{
    if (m->tokenizer != NULL) return VB_OK;
    if (err != NULL) *err = m->no_tokenizer;
    return m->no_tokenizer.code;
}

VB_API int64_t vb_tokenize(const vb_model *m, const char *text, size_t len, int flags, vb_token *ids, size_t cap,
                           vb_err *err)
{
    VB_TRY(need_tokenizer(m, err));
    return vb_tokenizer_encode(m->tokenizer, text, len, flags, ids, cap, err);
}

VB_API int64_t vb_detokenize(const vb_model *m, const vb_token *ids, size_t n, int special, char *buf, size_t cap,
                             vb_err *err)
{
    VB_TRY(need_tokenizer(m, err));
    return vb_tokenizer_decode(m->tokenizer, ids, n, special, buf, cap, err);
}

VB_API int64_t vb_token_bytes(const vb_model *m, vb_token id, char *buf, size_t cap)
{
    VB_TRY(need_tokenizer(m, NULL));
    return vb_tokenizer_piece(m->tokenizer, id, buf, cap);
}

VB_API int vb_token_ends(const vb_model *m, vb_token id)
{
    return m->tokenizer != NULL && vb_tokenizer_ends(m->tokenizer, id);
}

VB_API int vb_token_controls(const vb_model *m, vb_token id)
{
    return m->tokenizer != NULL && vb_tokenizer_kind_of(m->tokenizer, id) == VB_TOKEN_CONTROL;
}

VB_API const char *vb_model_template(const vb_model *m, size_t *len)
{
    if (len != NULL) *len = m->template_.len;
    return m->template_.text;
}

/* The text of a special token for the template's variables; freed by the caller, NULL: none. */
static char *special_text(const vb_model *m, vb_token id)
{
    if (id < 0) return NULL;
    int64_t len = vb_tokenizer_piece(m->tokenizer, id, NULL, 0);
    char *text = len < 0 ? NULL : malloc((size_t)len + 1);
    if (text == NULL) return NULL;
    vb_tokenizer_piece(m->tokenizer, id, text, (size_t)len);
    text[len] = 0;
    return text;
}

static int64_t give(const vb_jinja_text *text, char *buf, size_t cap)
{
    size_t n = text->len < cap ? text->len : cap;
    if (n > 0) memcpy(buf, text->text, n);
    return (int64_t)text->len;
}

VB_API int64_t vb_template_render(const vb_model *m, const char *tmpl, size_t tmpl_len, const char *input,
                                  size_t input_len, char *buf, size_t cap, vb_err *err)
{
    vb_jinja_job job = {.tmpl = tmpl, .tmpl_len = tmpl_len, .input = input, .input_len = input_len};
    int go = m != NULL && tmpl == m->template_.text && m->template_.go;
    vb_jinja_text text = {0};
    char *bos = NULL, *eos = NULL;
    if (m != NULL && m->tokenizer != NULL) {
        job.bos = bos = special_text(m, vb_tokenizer_bos(m->tokenizer));
        job.eos = eos = special_text(m, vb_tokenizer_eos(m->tokenizer));
    }
    vb_status s = vb_chat_run(&job, go, &text, err);
    free(bos);
    free(eos);
    if (s < 0) return s;
    int64_t len = give(&text, buf, cap);
    vb_jinja_text_free(&text);
    return len;
}

/* Once a model: what renders a file that has no template of its own. */
static void announce(const vb_model *m)
{
    if (m->template_.instead == NULL || atomic_exchange(m->template_said, 1)) return;
    vb_log(VB_LOG_NOTICE, "%s has no chat template: rendering as %s", vb_gguf_path(m->gguf), m->template_.instead);
}

/* `input`: a conversation in JSON. */
static vb_status render(const vb_model *m, const char *input, size_t len, vb_jinja_text *out, vb_err *err)
{
    VB_TRY(need_tokenizer(m, err));
    announce(m);
    char *bos = special_text(m, vb_tokenizer_bos(m->tokenizer));
    char *eos = special_text(m, vb_tokenizer_eos(m->tokenizer));
    vb_chat_style style = {&m->template_, bos, eos};
    vb_status s = vb_chat_render_text(&style, input, len, out, err);
    free(bos);
    free(eos);
    if (s != VB_E_NOT_FOUND) return s;
    VB_FAIL(err, s, "%s: no chat template in the file and none known for \"%s\"; give the prompt as raw text",
            vb_gguf_path(m->gguf), m->arch_name);
}

VB_API int64_t vb_chat_render_json(const vb_model *m, const char *input, size_t len, char *buf, size_t cap, vb_err *err)
{
    vb_jinja_text text = {0};
    VB_TRY(render(m, input, len, &text, err));
    int64_t n = give(&text, buf, cap);
    vb_jinja_text_free(&text);
    return n;
}

VB_API int64_t vb_chat_encode_json(const vb_model *m, const char *input, size_t len, vb_token *ids, size_t cap, vb_err *err)
{
    vb_jinja_text text = {0};
    VB_TRY(render(m, input, len, &text, err));
    int64_t n = vb_encode_rendered(m->tokenizer, &text, ids, cap, err);
    vb_jinja_text_free(&text);
    return n;
}

VB_API int64_t vb_chat_render(const vb_model *m, const vb_message *msgs, size_t n, char *buf, size_t cap, vb_err *err)
{
    char *input;
    VB_TRY(vb_chat_input(&input, msgs, n, err));
    int64_t len = vb_chat_render_json(m, input, strlen(input), buf, cap, err);
    free(input);
    return len;
}

VB_API int64_t vb_chat_encode(const vb_model *m, const vb_message *msgs, size_t n, vb_token *ids, size_t cap,
                              vb_err *err)
{
    char *input;
    VB_TRY(vb_chat_input(&input, msgs, n, err));
    int64_t count = vb_chat_encode_json(m, input, strlen(input), ids, cap, err);
    free(input);
    return count;
}
