/* vocabulary.c - which files there are, in which order they are asked, and what single families add.
 *
 *   read       config.json, tokenizer_config.json, added_tokens.json, then the first tokenizer that there is
 *   tokens     vocabulary_tokens.c        special    vocabulary_special.c
 *   split      vocabulary_pre.c           put        vocabulary_put.c
 */
#include "convert/vocabulary_parts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utf8proc.h>

enum { FILE_MOST = 128 << 20 };

static const char *path_of(vb_vocabulary *v, const char *file)
{
    char path[4200];
    int n = snprintf(path, sizeof path, "%s/%s", v->folder, file);
    return n > 0 && (size_t)n < sizeof path ? vb_arena_text(&v->arena, path, (size_t)n) : NULL;
}

static int there(vb_vocabulary *v, const char *file)
{
    const char *path = path_of(v, file);
    return path != NULL && access(path, F_OK) == 0;
}

static vb_status optional(vb_vocabulary *v, const char *file, json_t **out, vb_err *err)
{
    vb_err why;
    const char *path = path_of(v, file);
    if (path == NULL) VB_FAIL(err, VB_E_ARGUMENT, "%.64s...: expected a shorter path", v->folder);
    vb_status s = vb_json_file(out, path, &why);
    if (s == VB_E_NOT_FOUND) return VB_OK;
    if (s < 0) VB_FAIL(err, s, "%s", why.text);
    return VB_OK;
}

/* --- tokenizers ------------------------------------------------------------------------------------------------- */

static int is_utf8(vb_text text)
{
    utf8proc_int32_t c;
    const uint8_t *at = (const uint8_t *)text.ptr;
    for (size_t left = text.len; left > 0;) {
        utf8proc_ssize_t n = utf8proc_iterate(at, (utf8proc_ssize_t)left, &c);
        if (n <= 0) return 0;
        at += n;
        left -= (size_t)n;
    }
    return 1;
}

/* tokenizer_config.json and added_tokens.json may name tokens that tokenizer.json lacks. */
static vb_status join(vb_vocabulary *v, vb_err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(v->added, key, value)
    {
        json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        if (id < 0) VB_FAIL(err, VB_E_FORMAT, "%s/added_tokens.json: \"%.64s\": expected an id", v->folder, key);
        if (vb_vocab_find(&v->json.vocab, key, strlen(key)) >= 0) continue;
        VB_TRY(vb_tokenizer_json_add(&v->json, (vb_text){key, strlen(key)}, (uint64_t)id, VB_PIECE_ADDED, err));
    }
    json_object_foreach(json_object_get(v->tokenizer_config, "added_tokens_decoder"), key, value)
    {
        const json_t *content = json_object_get(value, "content");
        vb_text text = {json_string_value(content), json_string_length(content)};
        char *end;
        long long id = strtoll(key, &end, 10);
        if (text.ptr == NULL || id < 0 || *end != 0)
            VB_FAIL(err, VB_E_FORMAT,
                    "%s/tokenizer_config.json: added_tokens_decoder: \"%.32s\": expected an id with a text", v->folder,
                    key);
        int is = json_is_true(json_object_get(value, "special")) ? VB_PIECE_SPECIAL : VB_PIECE_ADDED;
        VB_TRY(vb_tokenizer_json_add(&v->json, text, (uint64_t)id, is, err));
    }
    return vb_tokenizer_json_index(&v->json, err);
}

static vb_status read_json(vb_vocabulary *v, vb_err *err)
{
    const char *path = path_of(v, "tokenizer.json");
    json_t *root;
    VB_TRY(vb_json_file(&root, path, err));
    VB_TRY(vb_tokenizer_json_read(&v->json, root, path, err));
    return v->from == VB_FROM_SPM ? VB_OK : join(v, err);
}

static vb_status read_spm(vb_vocabulary *v, vb_err *err)
{
    const char *path = path_of(v, "tokenizer.model");
    VB_TRY(vb_file_read(path, FILE_MOST, &v->text, &v->len, err));
    VB_TRY(vb_spm_model_read(&v->spm, (const uint8_t *)v->text, v->len, path, err));
    for (uint64_t id = 0; id < v->spm.n; id++)
        if (!is_utf8(v->spm.pieces[id].text))
            VB_FAIL(err, VB_E_FORMAT, "%s: piece %llu: expected UTF-8", path, (unsigned long long)id);
    v->from = VB_FROM_SPM;
    return there(v, "tokenizer.json") ? read_json(v, err) : VB_OK;
}

/* Older files: tokens with a role are special, and so are the usual ones; no other file says so. */
static vb_status mark_special(vb_vocabulary *v, const char *text, vb_err *err)
{
    int32_t id = text != NULL ? vb_vocab_find(&v->json.vocab, text, strlen(text)) : -1;
    vb_text token = {text, id >= 0 ? strlen(text) : 0};
    return id >= 0 ? vb_tokenizer_json_add(&v->json, token, (uint64_t)id, VB_PIECE_SPECIAL, err) : VB_OK;
}

static vb_status mark_roles(vb_vocabulary *v, json_t *settings, vb_err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(settings, key, value)
    {
        size_t len = strlen(key);
        if (len < 7 || strcmp(key + len - 6, "_token") != 0) continue;
        const json_t *content = json_is_object(value) ? json_object_get(value, "content") : value;
        VB_TRY(mark_special(v, json_string_value(content), err));
    }
    return VB_OK;
}

static vb_status mark_all(vb_vocabulary *v, vb_err *err)
{
    static const char *const usual[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<|endoftext|>"};
    VB_TRY(optional(v, "special_tokens_map.json", &v->extra[0], err));
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) VB_TRY(mark_special(v, usual[i], err));
    VB_TRY(mark_roles(v, v->tokenizer_config, err));
    return mark_roles(v, v->extra[0], err);
}

static vb_status read_gpt2(vb_vocabulary *v, vb_err *err)
{
    const char *path = path_of(v, "vocab.json"), *merges = path_of(v, "merges.txt");
    json_t *root;
    VB_TRY(vb_json_file(&root, path, err));
    vb_status s = vb_file_read(merges, FILE_MOST, &v->text, &v->len, err);
    if (s < 0 || !is_utf8((vb_text){v->text, v->len})) {
        json_decref(root);
        if (s < 0) return s;
        VB_FAIL(err, VB_E_FORMAT, "%s: expected UTF-8", merges);
    }
    v->from = VB_FROM_GPT2_FILES;
    VB_TRY(vb_tokenizer_json_of_gpt2(&v->json, root, v->text, v->len, path, err));
    VB_TRY(mark_all(v, err));
    return join(v, err);
}

static vb_status read_words(vb_vocabulary *v, vb_err *err)
{
    const char *path = path_of(v, "vocab.txt");
    VB_TRY(vb_file_read(path, FILE_MOST, &v->text, &v->len, err));
    if (!is_utf8((vb_text){v->text, v->len})) VB_FAIL(err, VB_E_FORMAT, "%s: expected UTF-8", path);
    v->from = VB_FROM_WORDS;
    VB_TRY(vb_tokenizer_json_of_words(&v->json, v->text, v->len, path, err));
    VB_TRY(mark_all(v, err));
    return join(v, err);
}

/* SentencePiece's own file wins, as in llama.cpp's converter, for all families but Gemma 4 and BERT. */
static vb_status read_tokenizer(vb_vocabulary *v, vb_err *err)
{
    int signs = strcmp(v->arch, "gemma4") == 0, bert = strstr(v->arch, "bert") != NULL;
    const char *class = json_string_value(json_object_get(v->tokenizer_config, "tokenizer_class"));
    int gpt2 = class != NULL && strncmp(class, "GPT2Tokenizer", 13) == 0;
    v->from = VB_FROM_JSON;
    if (!signs && !bert && !gpt2 && there(v, "tokenizer.model")) return read_spm(v, err);
    if (there(v, "tokenizer.json")) return read_json(v, err);
    if (there(v, "vocab.json")) return read_gpt2(v, err);
    if (there(v, "vocab.txt")) return read_words(v, err);
    VB_FAIL(err, VB_E_NOT_FOUND, "%s: expected tokenizer.json, tokenizer.model, vocab.json or vocab.txt, found none",
            v->folder);
}

/* --- families --------------------------------------------------------------------------------------------------- */

static void set_add_bos(vb_vocabulary *v, int add)
{
    for (int i = 0; i < v->n_adds; i++) {
        if (v->adds[i].role != VB_ROLE_BOS) continue;
        v->adds[i].add = add;
        return;
    }
    v->add_bos_last = add;
}

/* Readers end a text of unigrams with EOS where nothing is said. */
static void settle_end(vb_vocabulary *v)
{
    int i = 0;
    while (i < v->n_adds && v->adds[i].role != VB_ROLE_EOS) i++;
    if (i < v->n_adds || strcmp(v->model, "t5") != 0) return;
    v->adds[v->n_adds].role = VB_ROLE_EOS;
    v->adds[v->n_adds++].add = 0;
}

static int is_llama(const vb_vocabulary *v)
{
    static const char *const like[] = {"llama", "smollm3", "granite", "granitemoe"};
    for (size_t i = 0; i < sizeof like / sizeof like[0]; i++)
        if (strcmp(v->arch, like[i]) == 0) return 1;
    return 0;
}

/* SmolLM3's template copies a list by a slice, which few interpreters know. */
static vb_status without_slices(vb_vocabulary *v, vb_err *err)
{
    const char *text = json_string_value(v->template), *found;
    if (text == NULL || strstr(text, "[:]") == NULL) return VB_OK;
    char *out = vb_arena_text(&v->arena, text, strlen(text));
    if (out == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: no memory", v->folder);
    while ((found = strstr(out, "[:]")) != NULL) memmove(out + (found - out), found + 3, strlen(found + 3) + 1);
    json_decref(v->extra[1]);
    v->template = v->extra[1] = json_string(out);
    return VB_OK;
}

static vb_status add_of_family(vb_vocabulary *v, vb_err *err)
{
    const json_t *prefix = json_object_get(v->tokenizer_config, "add_prefix_space");
    if (is_llama(v)) {
        if (v->n == 32016) vb_vocabulary_set_id(v, VB_ROLE_EOT, 32010);
        if (json_is_boolean(prefix)) v->space_prefix = json_is_true(prefix);
        if (v->n == 49152) set_add_bos(v, 0);
    }
    if (strcmp(v->arch, "gemma") == 0) vb_vocabulary_set_id(v, VB_ROLE_EOT, 107);
    if (strncmp(v->arch, "gemma", 5) == 0) v->space_prefix = 0;
    if (strcmp(v->arch, "gemma4") == 0) set_add_bos(v, 1);
    settle_end(v);
    return strcmp(v->arch, "smollm3") == 0 ? without_slices(v, err) : VB_OK;
}

/* --- the door --------------------------------------------------------------------------------------------------- */

static vb_status read_all(vb_vocabulary *v, vb_err *err)
{
    VB_TRY(optional(v, "config.json", &v->config, err));
    VB_TRY(optional(v, "tokenizer_config.json", &v->tokenizer_config, err));
    VB_TRY(optional(v, "added_tokens.json", &v->added, err));
    VB_TRY(read_tokenizer(v, err));
    VB_TRY(vb_vocabulary_tokens(v, err));
    VB_TRY(vb_vocabulary_special(v, err));
    VB_TRY(add_of_family(v, err));
    return vb_vocabulary_split(v, err);
}

vb_status vb_vocabulary_read(vb_vocabulary **out, const char *folder, const char *arch, uint64_t n_tokens, vb_err *err)
{
    *out = NULL;
    vb_vocabulary *v = calloc(1, sizeof *v);
    if (v == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: no memory", folder);
    v->folder = vb_arena_text(&v->arena, folder, strlen(folder));
    v->arch = vb_arena_text(&v->arena, arch, strlen(arch));
    v->wanted = n_tokens;
    v->space_prefix = v->add_bos_last = -1;
    vb_status s =
        v->folder != NULL && v->arch != NULL ? read_all(v, err) : vb_fail(err, VB_E_MEMORY, "%s: no memory", folder);
    if (s == VB_OK) *out = v;
    else vb_vocabulary_close(v);
    return s;
}

void vb_vocabulary_close(vb_vocabulary *v)
{
    if (v == NULL) return;
    vb_tokenizer_json_free(&v->json);
    vb_spm_model_free(&v->spm);
    free(v->text);
    json_decref(v->config);
    json_decref(v->tokenizer_config);
    json_decref(v->added);
    json_decref(v->extra[0]);
    json_decref(v->extra[1]);
    vb_arena_free(&v->arena);
    free(v);
}

uint64_t vb_vocabulary_size(const vb_vocabulary *v)
{
    return v->n;
}

const char *vb_vocabulary_model(const vb_vocabulary *v)
{
    return v->model;
}

const char *vb_vocabulary_pre(const vb_vocabulary *v)
{
    return v->pre;
}
