/* native_text.c - llama-server's /tokenize, /detokenize and /apply-template: text to tokens and back, messages to text. */
#include "serve/native.h"
#include "serve/turn.h"

#include <stdlib.h>
#include <string.h>

/* --- models ---------------------------------------------------------------------------------------------- */

typedef struct {
    char name[VB_HOST_NAME];
    int64_t last_ns;
} last_used;

static void note_last(void *ud, const vb_host *host)
{
    last_used *l = ud;
    if (host->embeds || (l->name[0] != '\0' && host->last_ns <= l->last_ns)) return;
    strcpy(l->name, host->name);
    l->last_ns = host->last_ns;
}

static void refuse(vb_exchange *x, const vb_fault *fault)
{
    if (vb_serve_later(x, fault)) return;
    if (fault->retry_after > 0) vb_exchange_set(x, "Retry-After", "5");
    vb_serve_error(x, fault->status, fault->text);
}

vb_host *vb_native_host(vb_serve *s, vb_exchange *x, const char *name)
{
    last_used last = {0};
    vb_fault fault = {0};
    vb_host *host;
    if (name == NULL || name[0] == '\0') vb_hosts_each(s->hosts, note_last, &last);
    if (vb_turn_host(s, last.name[0] != '\0' ? last.name : name, 0, &host, &fault)) return host;
    refuse(x, &fault);
    return NULL;
}

/* --- a request ------------------------------------------------------------------------------------------- */

typedef struct {
    vb_request request;
    vb_exchange *exchange;
    vb_out out;
} call;

static int open_call(call *c, vb_exchange *x, const char *type)
{
    *c = (call){.exchange = x};
    return vb_request_open(&c->request, x, type);
}

/* Answers with what was written, or with the fault. */
static void close_call(call *c)
{
    if (c->request.fault.status != 0) {
        vb_out_free(&c->out);
        refuse(c->exchange, &c->request.fault);
    } else {
        vb_request_put_ignored(&c->request, &c->out);
        vb_js_close(&c->out, '}');
        vb_serve_json(c->exchange, 200, &c->out);
    }
    vb_request_close(&c->request);
}

/* The host of a request whose fields have all been read; NULL: the call is closed. */
static vb_host *host_of(vb_serve *s, call *c, const char *model)
{
    vb_host *host = c->request.fault.status == 0 ? vb_native_host(s, c->exchange, model) : NULL;
    if (host != NULL) return host;
    if (c->request.fault.status != 0) refuse(c->exchange, &c->request.fault);
    vb_request_close(&c->request);
    return NULL;
}

/* --- /tokenize ------------------------------------------------------------------------------------------- */

/* A piece that is no UTF-8 by itself is an array of bytes, as llama-server writes it. */
static int is_utf8(const char *text, size_t len)
{
    json_t *checked = json_stringn(text, len);
    json_decref(checked);
    return checked != NULL;
}

static void put_piece(vb_out *out, const vb_model *model, vb_token id)
{
    char piece[4096];
    int64_t n = vb_token_bytes(model, id, piece, sizeof piece);
    size_t len = n < 0 ? 0 : n > (int64_t)sizeof piece ? sizeof piece : (size_t)n;
    vb_js_open(out, '{');
    vb_js_put_int(out, "id", id);
    vb_js_key(out, "piece");
    if (is_utf8(piece, len)) {
        vb_js_string(out, piece, len);
    } else {
        vb_js_open(out, '[');
        for (size_t i = 0; i < len; i++) vb_js_int(out, (unsigned char)piece[i]);
        vb_js_close(out, ']');
    }
    vb_js_close(out, '}');
}

void vb_native_tokenize(vb_serve *s, vb_exchange *x)
{
    call c;
    vb_token *ids = NULL;
    if (!open_call(&c, x, "TokenizeRequest")) {
        close_call(&c);
        return;
    }
    const char *text = vb_request_string(&c.request, "content", "");
    int flags = vb_request_bool(&c.request, "add_special", 0) ? VB_ADD_SPECIAL : 0;
    if (vb_request_bool(&c.request, "parse_special", 1)) flags |= VB_PARSE_SPECIAL;
    int pieces = vb_request_bool(&c.request, "with_pieces", 0);
    vb_host *host = host_of(s, &c, vb_request_string(&c.request, "model", NULL));
    if (host == NULL) return;
    int64_t n = vb_turn_tokenize(host, text, flags, &ids, &c.request.fault);
    vb_js_open(&c.out, '{');
    vb_js_key(&c.out, "tokens");
    vb_js_open(&c.out, '[');
    for (int64_t i = 0; i < n; i++) {
        if (pieces) put_piece(&c.out, host->model, ids[i]);
        else vb_js_int(&c.out, ids[i]);
    }
    vb_js_close(&c.out, ']');
    free(ids);
    vb_hosts_release(s->hosts, host, VB_KEEP_DEFAULT);
    close_call(&c);
}

/* --- /detokenize ----------------------------------------------------------------------------------------- */

static vb_token *read_ids(call *c, const json_t *list, int vocab)
{
    size_t n = json_array_size(list), i;
    const json_t *value;
    vb_token *ids = malloc((n + 1) * sizeof *ids);
    if (ids == NULL) vb_fault_set(&c->request.fault, 500, "out of memory");
    for (i = 0; ids != NULL && i < n; i++) {
        value = json_array_get(list, i);
        json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        if (id < 0 || id >= vocab) {
            vb_fault_set(&c->request.fault, 400, "tokens: expected ids from 0 to %d", vocab - 1);
            break;
        }
        ids[i] = (vb_token)id;
    }
    return ids;
}

static void put_text(call *c, const vb_host *host, const vb_token *ids, size_t n)
{
    vb_err err = {0};
    int64_t len = vb_detokenize(host->model, ids, n, 1, NULL, 0, &err);
    char *text = len >= 0 ? malloc((size_t)len + 1) : NULL;
    if (text != NULL) len = vb_detokenize(host->model, ids, n, 1, text, (size_t)len, &err);
    if (len < 0) vb_fault_set(&c->request.fault, vb_turn_status((vb_status)len), "%s", err.text);
    else if (text == NULL) vb_fault_set(&c->request.fault, 500, "out of memory");
    else {
        vb_js_open(&c->out, '{');
        vb_js_key(&c->out, "content");
        vb_js_string(&c->out, text, (size_t)len);
    }
    free(text);
}

void vb_native_detokenize(vb_serve *s, vb_exchange *x)
{
    call c;
    if (!open_call(&c, x, "DetokenizeRequest")) {
        close_call(&c);
        return;
    }
    const json_t *list = vb_request_list(&c.request, "tokens", "[]int");
    vb_host *host = host_of(s, &c, vb_request_string(&c.request, "model", NULL));
    if (host == NULL) return;
    vb_token *ids = read_ids(&c, list, host->info.vocab);
    if (c.request.fault.status == 0) put_text(&c, host, ids, json_array_size(list));
    free(ids);
    vb_hosts_release(s->hosts, host, VB_KEEP_DEFAULT);
    close_call(&c);
}

/* --- /apply-template ------------------------------------------------------------------------------------- */

void vb_native_apply_template(vb_serve *s, vb_exchange *x)
{
    call c;
    char *text = NULL;
    size_t len = 0;
    if (!open_call(&c, x, "ApplyTemplateRequest")) {
        close_call(&c);
        return;
    }
    vb_tooling tooling;
    vb_tooling_openai(&tooling, &c.request);
    const json_t *messages = vb_request_list(&c.request, "messages", "[]api.Message");
    if (messages == NULL && c.request.fault.status == 0) vb_fault_set(&c.request.fault, 400, "'messages' is required");
    vb_host *host = host_of(s, &c, vb_request_string(&c.request, "model", NULL));
    if (host == NULL) {
        vb_tooling_free(&tooling);
        return;
    }
    if (vb_turn_render(host->model, messages, &tooling, &text, &len, &c.request.fault)) {
        vb_js_open(&c.out, '{');
        vb_js_key(&c.out, "prompt");
        vb_js_string(&c.out, text, len);
    }
    free(text);
    vb_tooling_free(&tooling);
    vb_hosts_release(s->hosts, host, VB_KEEP_DEFAULT);
    close_call(&c);
}
