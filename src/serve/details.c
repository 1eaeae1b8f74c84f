/* details.c - a model's figures from its file, remembered by path, size and time of change. */
#include "serve/details.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct entry {
    struct entry *next;
    char *path;
    int64_t size;
    vb_details details;
} entry;

struct vb_details_cache {
    pthread_mutex_t lock;
    entry *first;
};

/* --- reading --------------------------------------------------------------------------------------------- */

/* GGUF's general.file_type by its number. */
static const char *file_type(int64_t n)
{
    static const char *const names[] = {
        "F32",  "F16",     "Q4_0",   "Q4_1",   NULL,     NULL,    NULL,     "Q8_0",   "Q5_0",    "Q5_1",
        "Q2_K", "Q3_K_S",  "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K",   "IQ2_XXS",
        "IQ2_XS", "Q2_K_S", "IQ3_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ3_M", "IQ2_S",  "IQ2_M",
        "IQ4_XS", "IQ1_M", "BF16"};
    return n >= 0 && n < (int64_t)(sizeof names / sizeof names[0]) ? names[n] : NULL;
}

/* As Ollama writes counts: 134.52M, 7B, 1.2B. */
static void human(uint64_t n, char *text, size_t cap)
{
    double b = (double)n / 1e9, m = (double)n / 1e6;
    if (n >= 1000000000) snprintf(text, cap, floor(b) == b ? "%.0fB" : "%.1fB", b);
    else if (n >= 1000000) snprintf(text, cap, floor(m) == m ? "%.0fM" : "%.2fM", m);
    else if (n >= 1000) snprintf(text, cap, "%.0fK", (double)n / 1e3);
    else snprintf(text, cap, "%llu", (unsigned long long)n);
}

static int64_t number(const vb_model *model, const char *arch, const char *key, int64_t otherwise)
{
    char name[128], text[32];
    snprintf(name, sizeof name, "%s%s%s", arch, arch[0] != '\0' ? "." : "", key);
    int64_t n = vb_model_meta(model, name, text, sizeof text - 1);
    if (n <= 0 || n >= (int64_t)sizeof text) return otherwise;
    text[n] = '\0';
    return strtoll(text, NULL, 10);
}

void vb_details_read(const vb_model *model, vb_details *out)
{
    vb_model_info info;
    vb_model_describe(model, &info);
    const char *type = file_type(number(model, "", "general.file_type", -1));
    snprintf(out->family, sizeof out->family, "%s", info.arch);
    snprintf(out->format, sizeof out->format, "%s", type != NULL ? type : info.format);
    human(info.parameters, out->parameters, sizeof out->parameters);
    out->context = (int)number(model, info.arch, "context_length", 0);
    out->width = (int)number(model, info.arch, "embedding_length", 0);
    out->embeds = number(model, info.arch, "pooling_type", -1) >= 0;
    vb_model_sha256(model, out->sha256, NULL);
}

/* --- remembering ----------------------------------------------------------------------------------------- */

vb_details_cache *vb_details_open(void)
{
    vb_details_cache *c = calloc(1, sizeof *c);
    if (c != NULL) pthread_mutex_init(&c->lock, NULL);
    return c;
}

void vb_details_close(vb_details_cache *cache)
{
    if (cache == NULL) return;
    while (cache->first != NULL) {
        entry *e = cache->first;
        cache->first = e->next;
        free(e->path);
        free(e);
    }
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static void read_file(const char *path, vb_details *out)
{
    static const vb_model_opts opts = {.vocab_only = 1};
    vb_model *model;
    if (vb_model_open(&model, path, &opts, NULL) < 0) return;
    vb_details_read(model, out);
    vb_model_close(model);
}

/* The entry of that path, a new one if there is none; under the lock. */
static entry *entry_of(vb_details_cache *cache, const char *path)
{
    entry *e = cache->first;
    while (e != NULL && strcmp(e->path, path) != 0) e = e->next;
    if (e != NULL) return e;
    e = calloc(1, sizeof *e);
    if (e == NULL || (e->path = strdup(path)) == NULL) {
        free(e);
        return NULL;
    }
    e->size = -1;
    e->next = cache->first;
    return cache->first = e;
}

void vb_details_get(vb_details_cache *cache, const vb_catalogued *model, vb_details *out)
{
    struct stat st;
    memset(out, 0, sizeof *out);
    if (stat(model->path, &st) != 0) return;
    int64_t modified = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    pthread_mutex_lock(&cache->lock);
    entry *e = entry_of(cache, model->path);
    if (e != NULL && (e->size != st.st_size || e->details.modified_ns != modified)) {
        memset(&e->details, 0, sizeof e->details);
        read_file(model->path, &e->details);
        e->details.modified_ns = modified;
        e->size = st.st_size;
    }
    if (e != NULL) *out = e->details;
    pthread_mutex_unlock(&cache->lock);
}

/* --- writing --------------------------------------------------------------------------------------------- */

void vb_details_put(vb_out *out, const vb_details *d, int all)
{
    vb_js_key(out, "details");
    vb_js_open(out, '{');
    vb_js_put_string(out, "parent_model", "");
    vb_js_put_string(out, "format", "gguf");
    vb_js_put_string(out, "family", d->family);
    vb_js_key(out, "families");
    vb_js_open(out, '[');
    vb_js_string(out, d->family, strlen(d->family));
    vb_js_close(out, ']');
    vb_js_put_string(out, "parameter_size", d->parameters);
    vb_js_put_string(out, "quantization_level", d->format);
    if (all) {
        vb_js_put_int(out, "context_length", d->context);
        vb_js_put_int(out, "embedding_length", d->width);
    }
    vb_js_close(out, '}');
}
