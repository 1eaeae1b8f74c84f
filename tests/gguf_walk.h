/* gguf_walk.h - uses everything an opened GGUF file offers, so that a wrong bound meets the sanitizers. Returns a sum
 * over what it read, which keeps the compiler from leaving the reads out.
 */
#ifndef VB_TESTS_GGUF_WALK_H
#define VB_TESTS_GGUF_WALK_H
#include "file/gguf.h"

#include <stdlib.h>
#include <string.h>

static inline uint64_t walk_items(const vb_gguf_entry *e)
{
    const uint8_t *cursor = e->data;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < e->n; i++) {
        if (e->item == VB_GGUF_STRING) {
            vb_text text = vb_gguf_next_string(&cursor);
            sum += text.len > 0 ? (uint64_t)(uint8_t)text.ptr[0] + (uint8_t)text.ptr[text.len - 1] : 0;
        } else {
            sum += (uint64_t)vb_gguf_item_int(e, i) + (vb_gguf_item_float(e, i) > 0.5);
        }
    }
    return sum;
}

static inline uint64_t walk_getters(const vb_gguf *g, const char *key)
{
    int64_t integer = 0;
    double real = 0;
    int truth = 0;
    vb_text text = {"", 0};
    const vb_gguf_entry *array;
    vb_err err;
    uint64_t sum = 0;
    if (vb_gguf_int(g, key, INT64_MIN, INT64_MAX, &integer, &err) == VB_OK) sum += (uint64_t)integer;
    if (vb_gguf_float(g, key, &real, &err) == VB_OK) sum += real > 0;
    if (vb_gguf_bool(g, key, &truth, &err) == VB_OK) sum += (uint64_t)truth;
    if (vb_gguf_string(g, key, &text, &err) == VB_OK && text.len > 0) sum += (uint8_t)text.ptr[text.len - 1];
    for (int kind = VB_GGUF_INTS; kind <= VB_GGUF_STRINGS; kind++)
        sum += vb_gguf_array(g, key, (vb_gguf_kind)kind, &array, &err) == VB_OK;
    return sum;
}

static inline uint64_t walk_gguf(const vb_gguf *g)
{
    uint64_t sum = (uint64_t)vb_gguf_version(g) + (uint64_t)vb_gguf_parts(g) + vb_gguf_part(g, 0)->size;
    for (int64_t i = 0; i < vb_gguf_n_entries(g); i++) {
        const vb_gguf_entry *e = vb_gguf_entry_at(g, i);
        char *key = strndup(e->key.ptr, e->key.len);
        if (key == NULL || vb_gguf_find(g, key) != e) abort();
        sum += walk_items(e) + walk_getters(g, key) + strlen(vb_gguf_type_name(e->type));
        free(key);
    }
    for (int64_t i = 0; i < vb_gguf_n_tensors(g); i++) {
        const vb_gguf_tensor *t = vb_gguf_tensor_at(g, i);
        const uint8_t *bytes = t->data;
        if (vb_gguf_tensor_find(g, t->name) != t) abort();
        sum += (uint64_t)bytes[0] + bytes[t->bytes - 1] + t->elements + (uint64_t)t->format->block;
    }
    return sum;
}

#endif
