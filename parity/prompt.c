/* prompt.c - do both engines read the same question? Compared is as much as the other one tells: its rendering byte by
 * byte, its ids token by token, or only how many there are.
 *
 * Where a chat was rendered by another template, the question is asked again in their words, so that their answer can
 * still be compared: their rendering if they told it, or else ChatML, which Ollama takes for models that come without a
 * template of its own kind, if that has as many tokens as they counted.
 */
#include "parity/parity.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char chatml[] =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{{ '<|im_start|>assistant\\n' }}";

typedef struct {
    const vb_model *model;
    const vb_answer *answer;
    vb_aligned *out;
    vb_err *err;
} asked;

static vb_message *messages_of(const vb_answer *a)
{
    vb_message *msgs = calloc((size_t)a->n_messages + 1, sizeof *msgs);
    for (int i = 0; msgs != NULL && i < a->n_messages; i++)
        msgs[i] = (vb_message){a->messages[i].role, a->messages[i].content};
    return msgs;
}

static int64_t our_ids(const asked *q, vb_token *ids, size_t cap)
{
    const vb_answer *a = q->answer;
    if (!a->chat)
        return vb_tokenize(q->model, a->prompt, strlen(a->prompt), VB_ADD_SPECIAL | VB_PARSE_SPECIAL, ids, cap, q->err);
    vb_message *msgs = messages_of(a);
    if (msgs == NULL) return vb_parity_no_memory(q->err);
    int64_t n = vb_chat_encode(q->model, msgs, (size_t)a->n_messages, ids, cap, q->err);
    free(msgs);
    return n;
}

/* What our template makes of the chat. Free it. NULL: no memory, or the template failed. */
static char *our_rendering(const asked *q)
{
    vb_message *msgs = messages_of(q->answer);
    size_t n_msgs = (size_t)q->answer->n_messages;
    int64_t n = msgs == NULL ? -1 : vb_chat_render(q->model, msgs, n_msgs, NULL, 0, q->err);
    char *text = n < 0 ? NULL : calloc((size_t)n + 1, 1);
    if (text != NULL) vb_chat_render(q->model, msgs, n_msgs, text, (size_t)n, q->err);
    free(msgs);
    return text;
}

static char *chatml_rendering(const asked *q)
{
    json_t *list = json_array(), *input = json_pack("{s:o, s:b}", "messages", list, "add_generation_prompt", 1);
    for (int i = 0; i < q->answer->n_messages; i++) {
        const vb_answer_message *m = &q->answer->messages[i];
        json_array_append_new(list, json_pack("{s:s, s:s}", "role", m->role, "content", m->content));
    }
    char *json = input == NULL ? NULL : json_dumps(input, 0), *text = NULL;
    int64_t n = json == NULL ? -1 : vb_template_render(q->model, chatml, sizeof chatml - 1, json, strlen(json), NULL, 0, NULL);
    if (n >= 0 && (text = calloc((size_t)n + 1, 1)) != NULL)
        vb_template_render(q->model, chatml, sizeof chatml - 1, json, strlen(json), text, (size_t)n, NULL);
    free(json);
    json_decref(input);
    return text;
}

/* Renderings may or may not begin with the BOS token, which the tokenizer adds where it is missing. Its bytes, or 0. */
static size_t bos_of(const asked *q, const char *text)
{
    char bos[256];
    vb_model_info info;
    vb_model_describe(q->model, &info);
    int64_t n = info.bos < 0 ? 0 : vb_token_bytes(q->model, info.bos, bos, sizeof bos);
    return n > 0 && n <= (int64_t)sizeof bos && strncmp(text, bos, (size_t)n) == 0 ? (size_t)n : 0;
}

/* The byte where two texts part; -1: nowhere. */
static int64_t parts(const char *a, const char *b)
{
    int64_t at = 0;
    while (a[at] != '\0' && a[at] == b[at]) at++;
    return a[at] == b[at] ? -1 : at;
}

static vb_status keep(const asked *q, int64_t n)
{
    free(q->out->prompt_ids);
    q->out->n_prompt = 0;
    q->out->prompt_ids = calloc((size_t)n + 1, sizeof *q->out->prompt_ids);
    if (q->out->prompt_ids == NULL) return vb_parity_no_memory(q->err);
    q->out->n_prompt = (int)n;
    return VB_OK;
}

/* Their rendering becomes the prompt, if it has as many tokens as they counted. 1: it did. */
static int ask_in_their_words(const asked *q, const char *text, vb_status *status)
{
    int flags = bos_of(q, text) > 0 ? VB_PARSE_SPECIAL : VB_ADD_SPECIAL | VB_PARSE_SPECIAL;
    int64_t n = vb_tokenize(q->model, text, strlen(text), flags, NULL, 0, q->err);
    if (n <= 0 || (q->answer->prompt_tokens >= 0 && n != q->answer->prompt_tokens)) return 0;
    *status = keep(q, n);
    if (*status == VB_OK) vb_tokenize(q->model, text, strlen(text), flags, q->out->prompt_ids, (size_t)n, q->err);
    return 1;
}

static vb_status other_template(const asked *q, const char *theirs)
{
    vb_status status = VB_OK;
    char *ours = our_rendering(q);
    if (ours == NULL) return vb_parity_no_memory(q->err);
    size_t skip = bos_of(q, theirs) == 0 ? bos_of(q, ours) : 0;
    int64_t at = parts(ours + skip, theirs);
    if (at >= 0 && ask_in_their_words(q, theirs, &status)) {
        q->out->prompt = VB_PROMPT_TEMPLATE;
        q->out->prompt_at = at;
        q->out->readable = 1;
    } else if (at >= 0) {
        q->out->prompt = q->answer->rendered != NULL || q->answer->chat ? VB_PROMPT_TEMPLATE : VB_PROMPT_TOKENIZER;
        q->out->prompt_at = q->answer->rendered != NULL ? at : -1;
    }
    free(ours);
    return status;
}

/* The first token that differs from theirs, as far as they told; -2: none does, -1: only the number differs. */
static int64_t ids_part(const asked *q)
{
    const vb_answer *a = q->answer;
    int64_t n = q->out->n_prompt, at = 0;
    if (a->prompt_tokens < 0) return -2;
    if (a->prompt_ids == NULL) return a->prompt_tokens == n ? -2 : -1;
    while (at < n && at < a->prompt_tokens && q->out->prompt_ids[at] == a->prompt_ids[at]) at++;
    return at == n && at == a->prompt_tokens ? -2 : at;
}

static vb_status compare(const asked *q)
{
    vb_status status = VB_OK;
    if (q->answer->chat && q->answer->rendered != NULL) {
        status = other_template(q, q->answer->rendered);
        if (status < 0 || q->out->prompt != VB_PROMPT_SAME) return status;
    }
    int64_t at = ids_part(q);
    q->out->readable = at == -2;
    if (at == -2) return VB_OK;
    q->out->prompt = VB_PROMPT_TOKENIZER;
    q->out->prompt_at = at;
    if (!q->answer->chat || q->answer->rendered != NULL) return VB_OK;
    char *guess = chatml_rendering(q);
    if (guess != NULL) status = other_template(q, guess);
    free(guess);
    return status;
}

vb_status vb_align_prompt(vb_aligned *out, const vb_model *model, const vb_answer *answer, vb_err *err)
{
    asked q = {model, answer, out, err};
    int64_t n = our_ids(&q, NULL, 0);
    if (n < 0) return (vb_status)n;
    vb_status status = keep(&q, n);
    if (status == VB_OK) n = our_ids(&q, out->prompt_ids, (size_t)n);
    if (n < 0) return (vb_status)n;
    out->n_ours = (int)n;
    return status == VB_OK ? compare(&q) : status;
}
