/* openai_embeddings.c - /v1/embeddings: each text a job of its own, all at once; the last one to end answers.
 *
 *   "embedding": [floats], or with encoding_format "base64" the little-endian floats
 *
 * Invariant: `left` counts the jobs that have not ended and the route itself; who takes it to zero answers and frees.
 */
#include "serve/openai.h"

#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS_MOST = 2048 };

typedef struct embedding embedding;
typedef struct {
    vb_job job;
    embedding *all;
    vb_openai_input in;
} one;

struct embedding {
    vb_serve *serve;
    vb_exchange *exchange;
    vb_request request;
    vb_host *host;
    const char *model;
    int base64, dimensions, n;
    float *vectors; /* n rows of the model's width */
    atomic_int left;
    vb_fault fault; /* the scheduler's thread writes it, before it counts down */
    one inputs[];
};

/* --- the answer ------------------------------------------------------------------------------------------ */

/* The first floats, again of length 1. */
static void shorten(float *v, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)v[i] * (double)v[i];
    for (int i = 0; i < n && sum > 0; i++) v[i] = (float)((double)v[i] / sqrt(sum));
}

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

static void put_vector(vb_out *out, const embedding *e, int i)
{
    int width = e->host->info.width, n = e->dimensions > 0 ? e->dimensions : width;
    float *v = e->vectors + (size_t)i * (size_t)width;
    if (n < width) shorten(v, n);
    vb_js_open(out, '{');
    vb_js_put_string(out, "object", "embedding");
    vb_js_key(out, "embedding");
    if (e->base64) put_base64(out, v, n);
    if (!e->base64) vb_js_open(out, '[');
    for (int k = 0; k < n && !e->base64; k++) vb_js_float(out, v[k]);
    if (!e->base64) vb_js_close(out, ']');
    vb_js_put_int(out, "index", i);
    vb_js_close(out, '}');
}

static void put_all(vb_out *out, const embedding *e)
{
    int64_t tokens = 0;
    vb_js_open(out, '{');
    vb_js_put_string(out, "object", "list");
    vb_js_key(out, "data");
    vb_js_open(out, '[');
    for (int i = 0; i < e->n; i++) {
        put_vector(out, e, i);
        tokens += e->inputs[i].in.n;
    }
    vb_js_close(out, ']');
    vb_js_put_string(out, "model", e->model);
    vb_js_key(out, "usage");
    vb_js_open(out, '{');
    vb_js_put_int(out, "prompt_tokens", tokens);
    vb_js_put_int(out, "total_tokens", tokens);
    vb_js_close(out, '}');
    vb_openai_ignored_put(out, &e->request);
    vb_js_close(out, '}');
}

static void finish(embedding *e)
{
    vb_out out = {0};
    if (atomic_fetch_sub(&e->left, 1) > 1) return;
    if (e->request.fault.status == 0) e->request.fault = e->fault;
    if (e->request.fault.status == 0) {
        put_all(&out, e);
        vb_openai_answer(e->exchange, 200, &out);
    } else {
        vb_openai_fault(e->exchange, &e->request.fault);
    }
    if (e->host != NULL) vb_hosts_release(e->serve->hosts, e->host, VB_KEEP_DEFAULT);
    for (int i = 0; i < e->n; i++) free(e->inputs[i].in.ids);
    vb_request_close(&e->request);
    free(e->vectors);
    free(e);
}

/* --- jobs ------------------------------------------------------------------------------------------------ */

static void on_end(void *ud, const vb_job_end *end)
{
    embedding *e = ((one *)ud)->all;
    if (e->fault.status == 0) vb_turn_judge(end, &e->fault);
    if (end->why == VB_JOB_CANCELLED) vb_fault_set(&e->fault, 499, "request canceled");
    finish(e);
}

static void on_gone(void *ud)
{
    embedding *e = ud;
    for (int i = 0; i < e->n; i++) vb_job_cancel(&e->inputs[i].job);
    vb_scheduler_wake(e->serve->scheduler);
}

static void submit_all(embedding *e)
{
    vb_err err = {0};
    size_t width = (size_t)e->host->info.width;
    atomic_store(&e->left, e->n + 1);
    for (int i = 0; i < e->n; i++) {
        vb_job *j = &e->inputs[i].job;
        *j = (vb_job){.host = e->host, .ids = e->inputs[i].in.ids, .n = e->inputs[i].in.n, .top = -1, .embed = 1,
                      .embedding = e->vectors + (size_t)i * width, .on_end = on_end, .ud = &e->inputs[i]};
    }
    vb_exchange_on_gone(e->exchange, on_gone, e);
    for (int i = 0; i < e->n; i++) {
        if (vb_scheduler_submit(e->serve->scheduler, &e->inputs[i].job, &err) == VB_OK) continue;
        on_gone(e);
        vb_fault_set(&e->request.fault, 503, "%s", err.text);
        e->request.fault.retry_after = 5;
        atomic_fetch_sub(&e->left, e->n - i);
        break;
    }
    finish(e);
}

/* --- the request ----------------------------------------------------------------------------------------- */

static int reads(embedding *e, const json_t *inputs)
{
    vb_request *r = &e->request;
    int width = e->host->info.width;
    if (e->dimensions > width) vb_fault_set(&r->fault, 400, "dimensions must be between 1 and %d", width);
    e->vectors = calloc((size_t)e->n * (size_t)width, sizeof *e->vectors);
    if (e->vectors == NULL) vb_fault_set(&r->fault, 500, "out of memory");
    for (int i = 0; i < e->n && r->fault.status == 0; i++) {
        e->inputs[i].all = e;
        vb_openai_input_read(&e->inputs[i].in, r, json_array_get(inputs, (size_t)i), e->host, VB_ADD_SPECIAL,
                             e->host->context);
    }
    return r->fault.status == 0;
}

static embedding *new_embedding(vb_serve *s, vb_exchange *x, size_t n)
{
    embedding *e = calloc(1, sizeof *e + n * sizeof e->inputs[0]);
    if (e == NULL) return NULL;
    e->serve = s;
    e->exchange = x;
    e->n = (int)n;
    return e;
}

void vb_openai_embeddings(vb_serve *s, vb_exchange *x)
{
    vb_request r;
    vb_request_open(&r, x, "EmbedRequest");
    const char *model = vb_request_string(&r, "model", NULL);
    const char *form = vb_request_string(&r, "encoding_format", "float");
    int dimensions = (int)vb_request_int(&r, "dimensions", 0, 1, INT32_MAX);
    if (strcmp(form, "float") != 0 && strcmp(form, "base64") != 0)
        vb_fault_set(&r.fault, 400, "encoding_format must be \"float\" or \"base64\"");
    vb_request_any(&r, "user");
    json_t *inputs = r.fault.status == 0 ? vb_openai_inputs(&r, "input", INPUTS_MOST) : NULL;
    embedding *e = new_embedding(s, x, json_array_size(inputs));
    if (e == NULL || inputs == NULL) {
        vb_fault_set(&r.fault, 500, "out of memory");
        vb_openai_fault(x, &r.fault);
        vb_request_close(&r);
        free(e);
    } else {
        e->request = r;
        e->model = model;
        e->base64 = form[0] == 'b';
        e->dimensions = dimensions;
        if (vb_turn_host(s, model, 1, &e->host, &e->request.fault) && reads(e, inputs)) submit_all(e);
        else finish(e);
    }
    json_decref(inputs);
}
