/* cast_open.c - a cast from JSON, with the models that it names. */
#include "cast/cast.h"
#include "cast/cast_json.h"

#include <string.h>

/* Everything that is opened for a cast and then belongs to it. */
typedef struct {
    vb_model *model, *embedder;
    vb_recall *recall;
} parts;

static vb_status open_recall(parts *p, const vb_cast_said *said, const vb_model_opts *how, vb_err *err)
{
    vb_model_opts with = how != NULL ? *how : (vb_model_opts){0};
    if (said->recall_model == NULL) return VB_OK;
    with.embeddings = 1;
    with.like_ggml = 0;
    VB_TRY(vb_model_open(&p->embedder, said->recall_model, &with, err));
    VB_TRY(vb_recall_open(&p->recall, said->recall_path, p->embedder, err));
    for (int i = 0; i < said->n_texts; i++) {
        const vb_cast_text *t = &said->texts[i];
        VB_TRY(vb_recall_add(p->recall, t->entity, t->tick, t->text, strlen(t->text), err));
    }
    return VB_OK;
}

static vb_status open_all(vb_cast **out, parts *p, const vb_cast_said *said, const vb_model_opts *how, vb_err *err)
{
    vb_cast_opts opts = said->opts;
    VB_TRY(vb_model_open(&p->model, said->model, how, err));
    VB_TRY(open_recall(p, said, how, err));
    opts.recall = p->recall;
    return vb_cast_open(out, p->model, &opts, err);
}

VB_API vb_status vb_cast_open_json(vb_cast **out, const char *text, size_t len, const vb_model_opts *how, vb_err *err)
{
    vb_cast_json *json;
    parts p = {0};
    *out = NULL;
    if (text == NULL) {
        text = vb_villager;
        len = strlen(vb_villager);
    }
    VB_TRY(vb_cast_json_read(&json, text, len, err));
    vb_status status = open_all(out, &p, vb_cast_json_said(json), how, err);
    vb_cast_json_close(json);
    if (status == VB_OK) {
        vb_cast_own(*out, p.model, p.embedder, p.recall);
        return VB_OK;
    }
    vb_recall_close(p.recall, NULL);
    vb_model_close(p.embedder);
    vb_model_close(p.model);
    return status;
}
