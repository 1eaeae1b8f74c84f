/* catalogue.c - names, and the stores that hold them. */
#include "serve/catalogue.h"

#include <stdio.h>
#include <string.h>

static const char *without(const char *text, const char *beginning)
{
    size_t n = strlen(beginning);
    return strncmp(text, beginning, n) == 0 ? text + n : text;
}

int vb_catalogue_spell(const char *asked, char name[VB_HOST_NAME])
{
    static const char registry[] = "registry" ".ollama.ai/", library[] = "library/";
    const char *rest = without(without(asked, registry), library);
    const char *slash = strrchr(rest, '/'), *last = slash != NULL ? slash + 1 : rest;
    if (last[0] == '\0' || last[0] == ':' || strchr(last, '@') != NULL) return 0;
    for (const char *c = rest; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || *c == '\\' || *c == 0x7f) return 0;
    int n = snprintf(name, VB_HOST_NAME, "%s%s", rest, strchr(last, ':') != NULL ? "" : ":latest");
    return n < VB_HOST_NAME;
}

void vb_catalogue_full(const char *name, char *buf, size_t cap)
{
    const char *slash = strchr(name, '/');
    int parts = slash == NULL ? 0 : strchr(slash + 1, '/') == NULL ? 1 : 2;
    snprintf(buf, cap, "%s%s%s", parts < 2 ? "registry" ".ollama.ai/" : "", parts < 1 ? "library/" : "", name);
}

const char *vb_catalogue_door(const vb_catalogued *model, char *buf, size_t cap)
{
    if (!model->layered) return model->path;
    vb_catalogue_full(model->name, buf, cap);
    return buf;
}

typedef struct {
    const char *name; /* wanted; NULL: all */
    vb_catalogued *found;
    int n;
    int (*fn)(void *ud, const vb_catalogued *model);
    void *ud;
} visit;

static int take(vb_catalogued *out, const vb_store_entry *e)
{
    out->bytes = e->bytes;
    out->changed_ns = e->changed_ns;
    out->ollama = strcmp(e->store, "ollama") == 0;
    out->layered = e->digest != NULL;
    if (out->layered) memcpy(out->digest, e->digest, sizeof out->digest);
    return vb_catalogue_spell(e->name, out->name) &&
           snprintf(out->path, sizeof out->path, "%s", e->path) < (int)sizeof out->path;
}

static int one(void *ud, const vb_store_entry *e)
{
    visit *v = ud;
    vb_catalogued *model = v->found;
    if (!take(model, e)) return 0;
    if (v->name == NULL) return v->fn(v->ud, model);
    v->n = strcmp(model->name, v->name) == 0;
    return v->n;
}

/* The model that the library brings along is in no store, and so in no list of what they hold. */
static int embedded(const char *name, vb_catalogued *out)
{
    if (strcmp(name, "tales-1m:latest") != 0) return 0;
    *out = (vb_catalogued){.name = "tales-1m:latest", .path = VB_MODEL_EMBEDDED};
    return 1;
}

int vb_catalogue_find(const char *name, vb_catalogued *out)
{
    visit v = {.name = name, .found = out};
    vb_store_list(one, &v, NULL);
    return v.n || embedded(name, out);
}

void vb_catalogue_each(int (*fn)(void *ud, const vb_catalogued *model), void *ud)
{
    vb_catalogued model;
    visit v = {.found = &model, .fn = fn, .ud = ud};
    vb_store_list(one, &v, NULL);
}
