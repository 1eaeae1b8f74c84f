/* details.c - a model's figures from its file and manifest, remembered while neither changes. */
#include "serve/details.h"

#include "reply/styles.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct entry {
    struct entry *next;
    char *door;
    int64_t size;
    uint8_t digest[32]; /* of the manifest, which says more than the weights */
    vb_details details;
} entry;

struct vb_details_cache {
    pthread_mutex_t lock;
    entry *first;
};

/* --- reading --------------------------------------------------------------------------------------------- */

static int can(const vb_model *model)
{
    vb_model_info info;
    vb_reply_style style;
    size_t len = 0;
    const char *tmpl = vb_model_template(model, &len);
    vb_model_describe(model, &info);
    vb_reply_recognise(&style, tmpl, len);
    return (info.template_can & VB_CAN_INSERT) | (style.tools ? VB_CAN_TOOLS : 0) | (style.thinks ? VB_CAN_THINK : 0);
}

void vb_details_read(const vb_model *model, vb_details *out)
{
    out->can = can(model);
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
        free(e->door);
        free(e);
    }
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static void read_model(const vb_catalogued *from, const char *door, vb_details *out)
{
    vb_model_opts opts = {.vocab_only = 1, .template_as = from->ollama ? "ollama" : NULL};
    vb_model *model;
    if (vb_model_open(&model, door, &opts, NULL) < 0) return;
    vb_details_read(model, out);
    vb_model_close(model);
}

/* The entry of that door, a new one if there is none; under the lock. */
static entry *entry_of(vb_details_cache *cache, const char *door)
{
    entry *e = cache->first;
    while (e != NULL && strcmp(e->door, door) != 0) e = e->next;
    if (e != NULL) return e;
    e = calloc(1, sizeof *e);
    if (e == NULL || (e->door = strdup(door)) == NULL) {
        free(e);
        return NULL;
    }
    e->size = -1;
    e->next = cache->first;
    return cache->first = e;
}

void vb_details_get(vb_details_cache *cache, const vb_catalogued *model, vb_details *out)
{
    struct stat st = {0};
    memset(out, 0, sizeof *out);
    if (strcmp(model->path, VB_MODEL_EMBEDDED) != 0 && stat(model->path, &st) != 0) return;
    char buf[VB_HOST_NAME + 64];
    uint8_t digest[32] = {0};
    if (model->layered) memcpy(digest, model->digest, sizeof digest);
    const char *door = vb_catalogue_door(model, buf, sizeof buf);
    int64_t modified = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    pthread_mutex_lock(&cache->lock);
    entry *e = entry_of(cache, door);
    int changed = e != NULL && (e->size != st.st_size || e->details.modified_ns != modified);
    if (changed || (e != NULL && memcmp(e->digest, digest, sizeof digest) != 0)) {
        memset(&e->details, 0, sizeof e->details);
        read_model(model, door, &e->details);
        e->details.modified_ns = modified;
        memcpy(e->digest, digest, sizeof digest);
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
