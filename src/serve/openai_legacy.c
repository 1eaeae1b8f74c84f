/* openai_legacy.c - log-probabilities of /v1/completions.
 *
 *   tokens         ["Hi", "bytes:\xe2\x80", ...]     bytes that are no text alone are written out
 *   token_logprobs [null, -1.25, ...]                null: a prompt's first token
 *   top_logprobs   [null, {"Hi": -1.25, ...}, ...]   the best ones, and the token itself
 *   text_offset    [0, 2, ...]                       characters before it; control tokens are no text
 */
#include "serve/openai.h"

#include <string.h>
#include <utf8proc.h>

enum { TOKEN_BYTES = 256 };

typedef struct {
    char bytes[TOKEN_BYTES];
    size_t len;
} spelled;

static void spell(spelled *s, const vb_model *model, vb_token id)
{
    int64_t n = vb_token_bytes(model, id, s->bytes, sizeof s->bytes);
    s->len = n < 0 ? 0 : n > TOKEN_BYTES ? TOKEN_BYTES : (size_t)n;
}

static int is_text(const spelled *s)
{
    utf8proc_int32_t c;
    for (size_t at = 0; at < s->len;) {
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s->bytes + at, (utf8proc_ssize_t)(s->len - at), &c);
        if (n <= 0) return 0;
        at += (size_t)n;
    }
    return 1;
}

/* As a value, or as a key. */
static void put_name(vb_out *out, const spelled *s, int key)
{
    vb_out name = {0};
    if (is_text(s)) {
        vb_js_string(out, s->bytes, s->len);
    } else {
        vb_out_text(&name, "bytes:");
        for (size_t i = 0; i < s->len; i++) vb_out_format(&name, "\\x%02x", (unsigned char)s->bytes[i]);
        vb_js_string(out, name.data, name.len);
        vb_out_free(&name);
    }
    if (key) vb_out_bytes(out, ":", 1);
}

static int64_t characters(const spelled *s)
{
    int64_t n = 0;
    for (size_t i = 0; i < s->len; i++) n += ((unsigned char)s->bytes[i] & 0xc0) != 0x80;
    return n;
}

/* Tokens may be spelled alike; then the better one stands for both. */
static void put_tops(vb_out *out, const vb_model *model, const vb_job_token *token)
{
    spelled names[VB_TOP_MOST + 1];
    vb_js_open(out, '{');
    for (int i = 0; i <= token->n_top; i++) {
        int known = 0;
        spell(&names[i], model, i < token->n_top ? token->top[i].id : token->id);
        for (int k = 0; k < i; k++)
            known |= names[k].len == names[i].len && memcmp(names[k].bytes, names[i].bytes, names[i].len) == 0;
        if (known) continue;
        put_name(out, &names[i], 1);
        vb_js_float(out, i < token->n_top ? token->top[i].logprob : token->logprob);
    }
    vb_js_close(out, '}');
}

void vb_openai_legacy_add(vb_openai_legacy *l, const vb_model *model, const vb_job_token *token, int known)
{
    spelled s;
    char text[TOKEN_BYTES];
    spell(&s, model, token->id);
    put_name(&l->tokens, &s, 0);
    vb_js_int(&l->offsets, l->chars);
    if (known) {
        vb_js_float(&l->values, token->logprob);
        put_tops(&l->tops, model, token);
    } else {
        vb_js_null(&l->values);
        vb_js_null(&l->tops);
    }
    if (vb_detokenize(model, &token->id, 1, 0, text, sizeof text, NULL) != 0) l->chars += characters(&s);
}

void vb_openai_legacy_put(vb_out *out, vb_openai_legacy *l)
{
    vb_js_key(out, "logprobs");
    vb_js_open(out, '{');
    vb_openai_list_put(out, "tokens", &l->tokens);
    vb_openai_list_put(out, "token_logprobs", &l->values);
    vb_openai_list_put(out, "top_logprobs", &l->tops);
    vb_openai_list_put(out, "text_offset", &l->offsets);
    if (l->content.len > 0) vb_openai_list_put(out, "content", &l->content);
    vb_js_close(out, '}');
}

void vb_openai_legacy_clear(vb_openai_legacy *l)
{
    vb_out_free(&l->tokens);
    vb_out_free(&l->values);
    vb_out_free(&l->tops);
    vb_out_free(&l->offsets);
    vb_out_free(&l->content);
}
