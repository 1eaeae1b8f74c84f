/* openai_embeddings.c - /v1/embeddings.
 *
 *   "embedding": [floats], or with encoding_format "base64" the little-endian floats. With `dimensions` the first ones of
 *   them, again of length 1.
 */
#include "serve/embedding.h"
#include "serve/openai.h"

#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    vb_exchange *exchange;
    vb_request request;
    const char *model;
    int base64, dimensions;
} asked;

static void free_asked(asked *a)
{
    vb_request_close(&a->request);
    free(a);
}

/* --- the answer ------------------------------------------------------------------------------------------ */

static void put_base64(vb_out *out, const float *v, int n)
{
    size_t bytes = (size_t)n * sizeof *v, len = (bytes + 2) / 3 * 4;
    char *text = malloc(len + 1);
    if (text == NULL) {
        out->failed = 1;
        return;
    }
    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)v, (int)bytes);
    vb_js_string(out, text, len);
    free(text);
}

static void put_floats(vb_out *out, const float *v, int n)
{
    vb_js_open(out, '[');
    for (int i = 0; i < n; i++) vb_js_float(out, v[i]);
    vb_js_close(out, ']');
}

static void put_vector(vb_out *out, const asked *a, const float *v, int n)
{
    double sum = 0;
    float *short_one = malloc((size_t)n * sizeof *v);
    if (short_one == NULL) {
        out->failed = 1;
        return;
    }
    for (int i = 0; i < n; i++) sum += (double)v[i] * (double)v[i];
    for (int i = 0; i < n; i++) short_one[i] = a->dimensions > 0 && sum > 0 ? (float)((double)v[i] / sqrt(sum)) : v[i];
    if (a->base64) put_base64(out, short_one, n);
    else put_floats(out, short_one, n);
    free(short_one);
}

static void put_all(vb_out *out, const asked *a, const vb_embedded *e)
{
    int width = a->dimensions > 0 ? a->dimensions : e->width;
    vb_js_open(out, '{');
    vb_js_put_string(out, "object", "list");
    vb_js_key(out, "data");
    vb_js_open(out, '[');
    for (int i = 0; i < e->n; i++) {
        vb_js_open(out, '{');
        vb_js_put_string(out, "object", "embedding");
        vb_js_key(out, "embedding");
        put_vector(out, a, e->rows + (size_t)i * (size_t)e->width, width);
        vb_js_put_int(out, "index", i);
        vb_js_close(out, '}');
    }
    vb_js_close(out, ']');
    vb_js_put_string(out, "model", a->model);
    vb_js_key(out, "usage");
    vb_js_open(out, '{');
    vb_js_put_int(out, "prompt_tokens", e->prompt_tokens);
    vb_js_put_int(out, "total_tokens", e->prompt_tokens);
    vb_js_close(out, '}');
    vb_request_put_ignored(&a->request, out);
    vb_js_close(out, '}');
}

static void on_done(void *ud, const vb_embedded *e)
{
    asked *a = ud;
    vb_out out = {0};
    vb_fault fault = e->fault;
    if (a->dimensions > e->width) vb_fault_set(&fault, 400, "dimensions must be between 1 and %d", e->width);
    if (fault.status != 0) {
        vb_openai_fault(a->exchange, &fault);
    } else {
        put_all(&out, a, e);
        vb_openai_answer(a->exchange, 200, &out);
    }
    free_asked(a);
}

/* --- the request ----------------------------------------------------------------------------------------- */

static json_t *read_asked(asked *a, vb_embed_ask *ask)
{
    vb_request *r = &a->request;
    json_t *input = NULL;
    a->model = ask->model = vb_request_string(r, "model", NULL);
    a->dimensions = (int)vb_request_int(r, "dimensions", 0, 1, INT32_MAX);
    const char *form = vb_request_string(r, "encoding_format", "float");
    a->base64 = strcmp(form, "base64") == 0;
    if (!a->base64 && strcmp(form, "float") != 0)
        vb_fault_set(&r->fault, 400, "encoding_format must be \"float\" or \"base64\"");
    vb_request_any(r, "user");
    ask->keep_ns = vb_request_keep(r, "keep_alive");
    ask->priority = vb_exchange_priority(a->exchange);
    if (r->fault.status == 0) ask->input = input = vb_openai_inputs(r, "input", VB_INPUTS_MOST);
    return input;
}

void vb_openai_embeddings(vb_serve *s, vb_exchange *x)
{
    vb_embed_ask ask = {0};
    vb_fault none = {.status = 500, .text = "out of memory"}, *fault = &none;
    json_t *input = NULL;
    int started = 0;
    asked *a = calloc(1, sizeof *a);
    if (a != NULL) {
        a->exchange = x;
        fault = &a->request.fault;
        if (vb_request_open(&a->request, x, "EmbedRequest")) input = read_asked(a, &ask);
        started = fault->status == 0 && vb_embedding_start(s, x, &ask, on_done, a, fault);
    }
    json_decref(input);
    if (started) return;
    vb_openai_fault(x, fault);
    if (a != NULL) free_asked(a);
}
