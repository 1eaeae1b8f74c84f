/* vocabulary_put.c - the keys, in the order of llama.cpp's converter. */
#include "convert/vocabulary_parts.h"

#include <ctype.h>
#include <string.h>

static void put_item(vb_gguf_writer *w, const char *text, size_t len)
{
    uint64_t n = len;
    vb_gguf_put_item(w, &n, sizeof n);
    vb_gguf_put_item(w, text, len);
}

static void put_tokens(const vb_vocabulary *v, vb_gguf_writer *w)
{
    vb_gguf_put_array(w, "tokenizer.ggml.tokens", VB_GGUF_STRING, v->n);
    for (uint64_t id = 0; id < v->n; id++) put_item(w, v->tokens[id].text.ptr, v->tokens[id].text.len);
    if (v->scored) vb_gguf_put_array(w, "tokenizer.ggml.scores", VB_GGUF_F32, v->n);
    for (uint64_t id = 0; v->scored && id < v->n; id++) vb_gguf_put_item(w, &v->tokens[id].score, 4);
    vb_gguf_put_array(w, "tokenizer.ggml.token_type", VB_GGUF_I32, v->n);
    for (uint64_t id = 0; id < v->n; id++) vb_gguf_put_item(w, &v->tokens[id].type, 4);
}

/* "left right": a space inside a half is written as U+0120. */
static void put_half(vb_gguf_writer *w, vb_text half)
{
    for (size_t i = 0; i < half.len; i++) {
        int space = half.ptr[i] == ' ';
        vb_gguf_put_item(w, space ? "\xc4\xa0" : half.ptr + i, space ? 2 : 1);
    }
}

static size_t half_bytes(vb_text half)
{
    size_t n = half.len;
    for (size_t i = 0; i < half.len; i++) n += half.ptr[i] == ' ';
    return n;
}

static void put_merges(const vb_vocabulary *v, vb_gguf_writer *w)
{
    if (!v->merges || v->json.n_merges == 0) return;
    vb_gguf_put_array(w, "tokenizer.ggml.merges", VB_GGUF_STRING, v->json.n_merges);
    for (uint64_t i = 0; i < v->json.n_merges; i++) {
        const vb_merge *m = &v->json.merges[i];
        uint64_t len = half_bytes(m->left) + 1 + half_bytes(m->right);
        vb_gguf_put_item(w, &len, sizeof len);
        put_half(w, m->left);
        vb_gguf_put_item(w, " ", 1);
        put_half(w, m->right);
    }
}

static void put_roles(const vb_vocabulary *v, vb_gguf_writer *w)
{
    static const char *const names[VB_ROLES] = {"bos", "eos",  "unknown", "seperator", "padding",
                                                NULL,  "mask", "eot",     "eom"};
    char key[64];
    for (int i = 0; i < v->n_ids; i++) {
        if (names[v->ids[i].role] == NULL) continue;
        snprintf(key, sizeof key, "tokenizer.ggml.%s_token_id", names[v->ids[i].role]);
        vb_gguf_put_u32(w, key, v->ids[i].id);
    }
    for (int i = 0; i < v->n_adds; i++) {
        if (v->adds[i].role > VB_ROLE_SEP || v->adds[i].role == VB_ROLE_UNK) continue;
        snprintf(key, sizeof key, "tokenizer.ggml.add_%s_token", vb_role_keys[v->adds[i].role]);
        vb_gguf_put_bool(w, key, v->adds[i].add);
    }
}

static void put_string(vb_gguf_writer *w, const char *key, const json_t *value)
{
    vb_gguf_put_text(w, key, json_string_value(value));
}

/* Template i's text and the name by which a key may call it, of letters and digits; NULL: it has none. */
static const json_t *named(const vb_vocabulary *v, size_t i, char name[65])
{
    const json_t *choice = json_array_get(v->template, i), *text = json_object_get(choice, "template");
    const char *given = json_string_value(json_object_get(choice, "name"));
    size_t n = given != NULL ? strlen(given) : 0;
    if (n == 0 || n > 64 || !json_is_string(text)) return NULL;
    for (size_t at = 0; at <= n; at++) name[at] = isalnum((unsigned char)given[at]) || at == n ? given[at] : '_';
    return text;
}

static void put_templates(const vb_vocabulary *v, vb_gguf_writer *w)
{
    const json_t *usual = NULL, *text;
    char name[65], key[128];
    uint64_t n = 0;
    for (size_t i = 0; i < json_array_size(v->template); i++) {
        if ((text = named(v, i, name)) == NULL) continue;
        snprintf(key, sizeof key, "tokenizer.chat_template.%s", name);
        if (strcmp(name, "default") == 0) usual = text;
        else put_string(w, key, text), n++;
    }
    if (n > 0) vb_gguf_put_array(w, "tokenizer.chat_templates", VB_GGUF_STRING, n);
    for (size_t i = 0; i < json_array_size(v->template); i++)
        if (named(v, i, name) != NULL && strcmp(name, "default") != 0) vb_gguf_put_item_text(w, name);
    if (usual != NULL) put_string(w, "tokenizer.chat_template", usual);
}

void vb_vocabulary_put(const vb_vocabulary *v, vb_gguf_writer *w)
{
    int bert = strcmp(v->model, "bert") == 0, t5 = strcmp(v->model, "t5") == 0;
    if (bert) vb_gguf_put_u32(w, "tokenizer.ggml.token_type_count", (uint32_t)v->type_count);
    vb_gguf_put_text(w, "tokenizer.ggml.model", v->model);
    if (v->pre != NULL) vb_gguf_put_text(w, "tokenizer.ggml.pre", v->pre);
    put_tokens(v, w);
    if (t5) {
        vb_gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", v->space_prefix);
        vb_gguf_put_u32(w, "tokenizer.ggml.token_type_count", (uint32_t)v->type_count);
        vb_gguf_put_bool(w, "tokenizer.ggml.remove_extra_whitespaces", v->shrinks_spaces);
        if (v->charsmap.len > 0) {
            vb_gguf_put_array(w, "tokenizer.ggml.precompiled_charsmap", VB_GGUF_U8, v->charsmap.len);
            vb_gguf_put_item(w, v->charsmap.ptr, v->charsmap.len);
        }
    }
    put_merges(v, w);
    put_roles(v, w);
    if (json_is_string(v->template)) put_string(w, "tokenizer.chat_template", v->template);
    else put_templates(v, w);
    if (v->lowercase) vb_gguf_put_bool(w, "tokenizer.ggml.normalizer.lowercase", 1);
    if (!t5 && v->space_prefix >= 0) vb_gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", v->space_prefix);
    if (v->add_bos_last >= 0) vb_gguf_put_bool(w, "tokenizer.ggml.add_bos_token", v->add_bos_last);
}
