/* details.c - a model's figures from its file, remembered by path, size and time of change. */
#include "serve/details.h"

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

void vb_details_read(const vb_model *model, vb_details *out)
{
    vb_figures_of(model, &out->figures);
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
    vb_js_put_string(out, "family", d->figures.family);
    vb_js_key(out, "families");
    vb_js_open(out, '[');
    vb_js_string(out, d->figures.family, strlen(d->figures.family));
    vb_js_close(out, ']');
    vb_js_put_string(out, "parameter_size", d->figures.parameters);
    vb_js_put_string(out, "quantization_level", d->figures.format);
    if (all) {
        vb_js_put_int(out, "context_length", d->figures.context);
        vb_js_put_int(out, "embedding_length", d->figures.width);
    }
    vb_js_close(out, '}');
}
