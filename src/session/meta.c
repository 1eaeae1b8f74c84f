/* meta.c - metadata as text for people: numbers plainly, strings as they are, arrays shortened. */
#include "session/model.h"

#include <string.h>

enum { SHOWN_ITEMS = 8 };

/* Appends to a buffer of fixed size and counts on behind its end, so that the caller learns the length. */
typedef struct {
    char *buf;
    size_t cap, len;
} writer;

static void put(writer *w, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++, w->len++)
        if (w->len < w->cap) w->buf[w->len] = text[i];
}

static void put_number(writer *w, const vb_gguf_entry *e, uint64_t i)
{
    char text[64];
    int n;
    if (e->item == VB_GGUF_BOOL)
        n = snprintf(text, sizeof text, "%s", vb_gguf_item_int(e, i) ? "true" : "false");
    else if (e->item == VB_GGUF_F32 || e->item == VB_GGUF_F64)
        n = snprintf(text, sizeof text, "%.9g", vb_gguf_item_float(e, i));
    else if (e->item == VB_GGUF_U64)
        n = snprintf(text, sizeof text, "%llu", (unsigned long long)vb_gguf_item_int(e, i));
    else
        n = snprintf(text, sizeof text, "%lld", (long long)vb_gguf_item_int(e, i));
    put(w, text, (size_t)n);
}

static void put_items(writer *w, const vb_gguf_entry *e)
{
    const uint8_t *cursor = e->data;
    char more[48];
    put(w, "[", 1);
    for (uint64_t i = 0; i < e->n && i < SHOWN_ITEMS; i++) {
        if (i > 0) put(w, ", ", 2);
        if (e->item == VB_GGUF_STRING) {
            vb_text item = vb_gguf_next_string(&cursor);
            put(w, item.ptr, item.len);
        } else {
            put_number(w, e, i);
        }
    }
    if (e->n > SHOWN_ITEMS) {
        int n = snprintf(more, sizeof more, ", ... %llu in all", (unsigned long long)e->n);
        put(w, more, (size_t)n);
    }
    put(w, "]", 1);
}

static int64_t show(const vb_gguf_entry *e, char *buf, size_t cap)
{
    writer w = {buf, cap, 0};
    const uint8_t *cursor = e->data;
    if (e->type == VB_GGUF_ARRAY) {
        put_items(&w, e);
    } else if (e->type == VB_GGUF_STRING) {
        vb_text text = vb_gguf_next_string(&cursor);
        put(&w, text.ptr, text.len);
    } else {
        put_number(&w, e, 0);
    }
    return (int64_t)w.len;
}

VB_API const char *vb_model_stored(const vb_model *m, const char *what)
{
    if (strcmp(what, "system") == 0) return m->located.system;
    if (strcmp(what, "params") == 0) return m->located.params;
    if (strcmp(what, "messages") == 0) return m->located.messages;
    if (strcmp(what, "license") == 0) return m->located.license;
    return strcmp(what, "template") == 0 ? m->located.template_ : NULL;
}

VB_API int64_t vb_model_meta(const vb_model *m, const char *key, char *buf, size_t cap)
{
    const vb_gguf_entry *e = vb_gguf_find(m->gguf, key);
    return e == NULL ? VB_E_NOT_FOUND : show(e, buf, cap);
}

VB_API int64_t vb_model_meta_at(const vb_model *m, int index, const char **key, char *buf, size_t cap)
{
    if (index < 0 || index >= vb_gguf_n_entries(m->gguf)) return VB_E_NOT_FOUND;
    const vb_gguf_entry *e = vb_gguf_entry_at(m->gguf, index);
    *key = m->keys[index];
    return show(e, buf, cap);
}
