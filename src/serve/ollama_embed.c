/* ollama_embed.c - POST /api/embed, and the older /api/embeddings for one text. */
#include "serve/ollama.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    vb_exchange *x;
    char *model, *ignored;
    int old;        /* /api/embeddings */
    int dimensions; /* 0: all */
} answer;

static void free_answer(answer *a)
{
    free(a->model);
    free(a->ignored);
    free(a);
}

/* The first n numbers of a row, of length 1 again if they are not all. */
static void put_row(vb_out *out, const float *row, int n, int width)
{
    double sum = 0, scale = 1;
    for (int i = 0; n < width && i < n; i++) sum += (double)row[i] * (double)row[i];
    if (sum > 0) scale = 1 / sqrt(sum);
    vb_js_open(out, '[');
    for (int i = 0; i < n; i++) vb_js_float(out, n < width ? (float)((double)row[i] * scale) : row[i]);
    vb_js_close(out, ']');
}

static void put_rows(vb_out *out, const answer *a, const vb_embedded *e)
{
    int n = a->dimensions > 0 && a->dimensions < e->width ? a->dimensions : e->width;
    vb_js_key(out, "embeddings");
    vb_js_open(out, '[');
    for (int i = 0; i < e->n; i++) put_row(out, e->rows + (size_t)i * (size_t)e->width, n, e->width);
    vb_js_close(out, ']');
    vb_js_put_int(out, "total_duration", e->total_ns);
    vb_js_put_int(out, "load_duration", e->load_ns);
    vb_js_put_int(out, "prompt_eval_count", e->prompt_tokens);
}

static void on_done(void *ud, const vb_embedded *e)
{
    answer *a = ud;
    vb_out out = {0};
    if (e->fault.status != 0) {
        vb_ollama_fault(a->x, &e->fault);
        free_answer(a);
        return;
    }
    vb_js_open(&out, '{');
    if (!a->old) vb_js_put_string(&out, "model", a->model);
    if (!a->old) put_rows(&out, a, e);
    if (a->old) vb_js_key(&out, "embedding");
    if (a->old && e->n > 0) put_row(&out, e->rows, e->width, e->width);
    else if (a->old) vb_js_raw(&out, "[]", 2);
    vb_ignored_put(&out, a->ignored);
    vb_js_close(&out, '}');
    vb_serve_json(a->x, 200, &out);
    free_answer(a);
}

/* One text or several as a list; an empty text alone is none. To be released. */
static json_t *read_input(vb_request *r, const char *key)
{
    json_t *input = vb_request_any(r, key), *list = json_array(), *one;
    size_t i;
    if (json_is_string(input) && json_string_length(input) > 0) json_array_append(list, input);
    else if (input != NULL && !json_is_string(input) && !json_is_array(input))
        vb_fault_set(&r->fault, 400, "invalid input type");
    json_array_foreach(input, i, one) {
        if (!json_is_string(one)) vb_fault_set(&r->fault, 400, "invalid input type");
        json_array_append(list, one);
    }
    return list;
}

static void start(vb_serve *s, vb_exchange *x, vb_request *r, answer *a)
{
    vb_embed_ask ask = {.model = vb_request_string(r, "model", ""), .keep_ns = vb_request_keep(r, "keep_alive"),
                        .truncate = vb_request_bool(r, "truncate", 1)};
    json_t *input = read_input(r, a->old ? "prompt" : "input");
    a->dimensions = a->old ? 0 : (int)vb_request_int(r, "dimensions", 0, 0, 1 << 20);
    a->model = strdup(ask.model);
    vb_request_bool(r, "stream", 0); /* some clients say it everywhere */
    a->ignored = vb_request_ignored(r);
    a->x = x;
    ask.input = input;
    if (a->model == NULL) vb_fault_set(&r->fault, 500, "out of memory");
    if (r->fault.status != 0 || !vb_embedding_start(s, x, &ask, on_done, a, &r->fault)) {
        vb_ollama_fault(x, &r->fault);
        free_answer(a);
    }
    json_decref(input);
}

static void embed(vb_serve *s, vb_exchange *x, int old)
{
    vb_request r;
    answer *a = calloc(1, sizeof *a);
    int ok = vb_request_open(&r, x, old ? "EmbeddingRequest" : "EmbedRequest");
    if (a == NULL) vb_fault_set(&r.fault, 500, "out of memory");
    if (ok && a != NULL) {
        a->old = old;
        start(s, x, &r, a);
    } else {
        vb_ollama_fault(x, &r.fault);
        free(a);
    }
    vb_request_close(&r);
}

void vb_ollama_embed(vb_serve *s, vb_exchange *x)
{
    embed(s, x, 0);
}

void vb_ollama_embeddings(vb_serve *s, vb_exchange *x)
{
    embed(s, x, 1);
}
