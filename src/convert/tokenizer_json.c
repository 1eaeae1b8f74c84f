/* tokenizer_json.c - the tables, filled in one order: how many ids, the model's pieces, added tokens, gaps, merges. */
#include "convert/tokenizer_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static vb_status no_memory(const vb_tokenizer_json *t, vb_err *err)
{
    return vb_fail(err, VB_E_MEMORY, "%s: no memory for its tokens", t->name);
}

/* --- ids -------------------------------------------------------------------------------------------------------- */

static vb_status id_of(const vb_tokenizer_json *t, const json_t *value, const char *text, uint64_t *id, vb_err *err)
{
    json_int_t n = json_is_integer(value) ? json_integer_value(value) : -1;
    if (n < 0 || n >= VB_TOKENIZER_JSON_MOST)
        VB_FAIL(err, VB_E_FORMAT, "%s: token \"%.64s\": expected an id from 0 to %d, found %s%lld", t->name, text,
                VB_TOKENIZER_JSON_MOST - 1, json_is_integer(value) ? "" : "no integer, ",
                json_is_integer(value) ? (long long)json_integer_value(value) : 0);
    *id = (uint64_t)n;
    return VB_OK;
}

/* Room for ids below n; new ones have no text yet. */
static vb_status reserve(vb_tokenizer_json *t, uint64_t n, vb_err *err)
{
    if (n <= t->n) return VB_OK;
    if (n > t->cap) {
        size_t cap = n + t->n / 2 + 1024;
        uint8_t *is = realloc(t->is, cap);
        if (is != NULL) t->is = is;
        vb_piece *pieces = realloc(t->vocab.pieces, cap * sizeof *pieces);
        if (pieces != NULL) t->vocab.pieces = pieces;
        if (is == NULL || pieces == NULL) return no_memory(t, err);
        t->cap = t->vocab.cap = cap;
    }
    memset(t->is + t->n, VB_PIECE_NONE, n - t->n);
    memset(t->vocab.pieces + t->n, 0, (n - t->n) * sizeof *t->vocab.pieces);
    t->n = n;
    return VB_OK;
}

static vb_status put(vb_tokenizer_json *t, uint64_t id, vb_text text, int is, vb_err *err)
{
    VB_TRY(reserve(t, id + 1, err));
    vb_piece *p = &t->vocab.pieces[id];
    if (text.len > UINT32_MAX / 2)
        VB_FAIL(err, VB_E_FORMAT, "%s: token %llu is too long", t->name, (unsigned long long)id);
    if (t->is[id] != VB_PIECE_NONE && (p->len != text.len || memcmp(p->text, text.ptr, text.len) != 0))
        VB_FAIL(err, VB_E_FORMAT, "%s: id %llu: expected one token, found \"%.64s\" and \"%.64s\"", t->name,
                (unsigned long long)id, p->text, text.ptr);
    p->text = text.ptr;
    p->len = (uint32_t)text.len;
    t->is[id] = (uint8_t)is;
    return VB_OK;
}

/* --- the model's pieces ----------------------------------------------------------------------------------------- */

static vb_status read_object(vb_tokenizer_json *t, json_t *vocab, vb_err *err)
{
    const char *text;
    json_t *value;
    size_t len;
    json_object_keylen_foreach(vocab, text, len, value)
    {
        uint64_t id;
        VB_TRY(id_of(t, value, text, &id, err));
        VB_TRY(put(t, id, (vb_text){text, len}, VB_PIECE_BASE, err));
    }
    t->n_base = json_object_size(vocab);
    return VB_OK;
}

static vb_status read_unigrams(vb_tokenizer_json *t, const json_t *vocab, vb_err *err)
{
    size_t n = json_array_size(vocab);
    if (n > VB_TOKENIZER_JSON_MOST)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected at most %d tokens, found %zu", t->name, VB_TOKENIZER_JSON_MOST, n);
    VB_TRY(reserve(t, n, err));
    for (size_t id = 0; id < n; id++) {
        const json_t *pair = json_array_get(vocab, id), *text = json_array_get(pair, 0),
                     *score = json_array_get(pair, 1);
        double value = json_number_value(score);
        if (json_array_size(pair) != 2 || !json_is_string(text) || !json_is_number(score) || !isfinite((float)value))
            VB_FAIL(err, VB_E_FORMAT, "%s: token %zu: expected [text, score]", t->name, id);
        VB_TRY(put(t, id, (vb_text){json_string_value(text), json_string_length(text)}, VB_PIECE_BASE, err));
        t->vocab.pieces[id].score = (float)value;
    }
    t->n_base = n;
    return VB_OK;
}

static vb_status read_pieces(vb_tokenizer_json *t, const json_t *model, vb_err *err)
{
    json_t *vocab = json_object_get(model, "vocab");
    int object = json_is_object(vocab), fits = t->kind == VB_JSON_UNIGRAM ? json_is_array(vocab) : object;
    if (!fits || (object ? json_object_size(vocab) : json_array_size(vocab)) == 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: model.vocab: expected %s of tokens", t->name,
                t->kind == VB_JSON_UNIGRAM ? "an array" : "an object");
    return object ? read_object(t, vocab, err) : read_unigrams(t, vocab, err);
}

static vb_status read_added(vb_tokenizer_json *t, vb_err *err)
{
    const json_t *list = json_object_get(t->root, "added_tokens");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *token = json_array_get(list, i), *content = json_object_get(token, "content");
        uint64_t id;
        if (!json_is_string(content))
            VB_FAIL(err, VB_E_FORMAT, "%s: added_tokens[%zu]: expected \"content\" to be a text", t->name, i);
        VB_TRY(id_of(t, json_object_get(token, "id"), json_string_value(content), &id, err));
        int is = json_is_true(json_object_get(token, "special")) ? VB_PIECE_SPECIAL : VB_PIECE_ADDED;
        VB_TRY(put(t, id, (vb_text){json_string_value(content), json_string_length(content)}, is, err));
    }
    return VB_OK;
}

/* --- gaps, and the way from text to id --------------------------------------------------------------------------- */

static vb_status fill_gaps(vb_tokenizer_json *t, vb_err *err)
{
    size_t gaps = 0;
    for (size_t id = 0; id < t->n; id++) gaps += t->is[id] == VB_PIECE_NONE;
    if (gaps > t->n / 2)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected ids without gaps, found %zu tokens with ids up to %zu", t->name,
                t->n - gaps, t->n - 1);
    for (size_t id = 0; gaps > 0 && id < t->n; id++) {
        char name[32];
        if (t->is[id] != VB_PIECE_NONE) continue;
        int len = snprintf(name, sizeof name, "[PAD%zu]", id);
        t->vocab.pieces[id] = (vb_piece){vb_arena_text(&t->arena, name, (size_t)len), (uint32_t)len, 0};
        if (t->vocab.pieces[id].text == NULL) return no_memory(t, err);
        gaps--;
    }
    return VB_OK;
}

vb_status vb_tokenizer_json_index(vb_tokenizer_json *t, vb_err *err)
{
    VB_TRY(fill_gaps(t, err));
    free(t->vocab.slots);
    t->vocab.slots = NULL;
    t->vocab.n = t->vocab.longest = 0;
    if (!vb_vocab_reserve(&t->vocab, t->n)) return no_memory(t, err);
    size_t twin = vb_vocab_index(&t->vocab, t->n);
    if (twin == t->n) return VB_OK;
    const vb_piece *p = &t->vocab.pieces[twin];
    VB_FAIL(err, VB_E_FORMAT, "%s: token \"%.64s\": expected one id, found %d and %zu", t->name, p->text,
            vb_vocab_find(&t->vocab, p->text, p->len), twin);
}

/* --- merges ----------------------------------------------------------------------------------------------------- */

static int known(const vb_tokenizer_json *t, vb_text text)
{
    return vb_vocab_find(&t->vocab, text.ptr, text.len) >= 0;
}

static int makes_piece(const vb_tokenizer_json *t, const vb_merge *m)
{
    char buf[512], *both = buf;
    size_t len = m->left.len + m->right.len;
    if (len > t->vocab.longest) return 0;
    if (len > sizeof buf && (both = malloc(len)) == NULL) return 0;
    memcpy(both, m->left.ptr, m->left.len);
    memcpy(both + m->left.len, m->right.ptr, m->right.len);
    int is = known(t, (vb_text){both, len});
    if (both != buf) free(both);
    return is;
}

static vb_status take_merge(vb_tokenizer_json *t, vb_merge m, vb_err *err)
{
    int whole = known(t, m.left) && known(t, m.right) && makes_piece(t, &m);
    if (!whole || m.left.len == 0 || m.right.len == 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: merge %llu: expected \"%.*s\", \"%.*s\" and both together to be tokens", t->name,
                (unsigned long long)t->n_merges, (int)(m.left.len < 64 ? m.left.len : 64), m.left.ptr,
                (int)(m.right.len < 64 ? m.right.len : 64), m.right.ptr);
    t->merges[t->n_merges++] = m;
    return VB_OK;
}

/* "left right"; one space exactly. */
static int split_merge(const char *text, size_t len, vb_merge *m)
{
    const char *space = memchr(text, ' ', len), *end = text + len;
    if (space == NULL || memchr(space + 1, ' ', (size_t)(end - space - 1)) != NULL) return 0;
    *m = (vb_merge){{text, (size_t)(space - text)}, {space + 1, (size_t)(end - space - 1)}};
    return 1;
}

static int merge_of(const json_t *item, vb_merge *m)
{
    if (json_is_string(item)) return split_merge(json_string_value(item), json_string_length(item), m);
    const json_t *left = json_array_get(item, 0), *right = json_array_get(item, 1);
    if (json_array_size(item) != 2 || !json_is_string(left) || !json_is_string(right)) return 0;
    *m = (vb_merge){{json_string_value(left), json_string_length(left)},
                    {json_string_value(right), json_string_length(right)}};
    return 1;
}

static vb_status merges_room(vb_tokenizer_json *t, size_t n, vb_err *err)
{
    t->merges = vb_arena_array(&t->arena, n, sizeof *t->merges);
    return t->merges == NULL && n > 0 ? no_memory(t, err) : VB_OK;
}

static vb_status read_merges(vb_tokenizer_json *t, const json_t *model, vb_err *err)
{
    const json_t *list = json_object_get(model, "merges");
    if (t->kind != VB_JSON_BPE) return VB_OK;
    if (!json_is_array(list)) VB_FAIL(err, VB_E_FORMAT, "%s: model.merges: expected an array", t->name);
    VB_TRY(merges_room(t, json_array_size(list), err));
    for (size_t i = 0; i < json_array_size(list); i++) {
        vb_merge m;
        if (!merge_of(json_array_get(list, i), &m))
            VB_FAIL(err, VB_E_FORMAT, "%s: merge %zu: expected two tokens", t->name, i);
        VB_TRY(take_merge(t, m, err));
    }
    return VB_OK;
}

/* --- the whole -------------------------------------------------------------------------------------------------- */

static int says(const json_t *object, const char *key)
{
    return json_string_length(json_object_get(object, key)) > 0;
}

static vb_status read_kind(vb_tokenizer_json *t, const json_t *model, vb_err *err)
{
    static const char *const kinds[] = {"BPE", "Unigram", "WordPiece"};
    const char *type = json_string_value(json_object_get(model, "type"));
    size_t kind = 0;
    if (type == NULL) /* files older than the key say it by their form */
        type = json_is_array(json_object_get(model, "vocab")) ? "Unigram"
               : json_object_get(model, "merges")             ? "BPE"
                                                              : "WordPiece";
    while (kind < 3 && strcmp(type, kinds[kind]) != 0) kind++;
    if (kind == 3)
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s: model.type: expected BPE, Unigram or WordPiece, found \"%.32s\"", t->name,
                type);
    t->kind = (vb_tokenizer_json_kind)kind;
    if (kind == VB_JSON_BPE && (says(model, "continuing_subword_prefix") || says(model, "end_of_word_suffix")))
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s: expected a BPE without marks at the ends of words", t->name);
    t->byte_fallback = json_is_true(json_object_get(model, "byte_fallback"));
    t->ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
    return VB_OK;
}

static vb_status read_unknown(vb_tokenizer_json *t, const json_t *model, vb_err *err)
{
    const json_t *id = json_object_get(model, "unk_id"), *text = json_object_get(model, "unk_token");
    t->unk = -1;
    if (json_is_string(text)) t->unk = vb_vocab_find(&t->vocab, json_string_value(text), json_string_length(text));
    if (t->kind != VB_JSON_UNIGRAM || !json_is_integer(id)) return VB_OK;
    t->unk = json_integer_value(id);
    if (t->unk < 0 || (uint64_t)t->unk >= t->n)
        VB_FAIL(err, VB_E_FORMAT, "%s: model.unk_id: expected a token's id, found %lld", t->name, (long long)t->unk);
    return VB_OK;
}

vb_status vb_tokenizer_json_read(vb_tokenizer_json *t, json_t *root, const char *name, vb_err *err)
{
    *t = (vb_tokenizer_json){.root = root, .name = name, .unk = -1};
    const json_t *model = json_object_get(root, "model");
    if (!json_is_object(model)) VB_FAIL(err, VB_E_FORMAT, "%s: model: expected an object", name);
    VB_TRY(read_kind(t, model, err));
    VB_TRY(read_pieces(t, model, err));
    VB_TRY(read_added(t, err));
    VB_TRY(vb_tokenizer_json_index(t, err));
    VB_TRY(read_merges(t, model, err));
    return read_unknown(t, model, err);
}

vb_status vb_tokenizer_json_add(vb_tokenizer_json *t, vb_text text, uint64_t id, int is, vb_err *err)
{
    int32_t there = vb_vocab_find(&t->vocab, text.ptr, text.len);
    if (id >= VB_TOKENIZER_JSON_MOST || (there >= 0 && (uint64_t)there != id))
        VB_FAIL(err, VB_E_FORMAT, "%s: token \"%.64s\": expected one id below %d, found %d and %llu", t->name, text.ptr,
                VB_TOKENIZER_JSON_MOST, there, (unsigned long long)id);
    if (there >= 0 && t->is[id] > VB_PIECE_BASE) return VB_OK;
    return put(t, id, text, is, err);
}

void vb_tokenizer_json_free(vb_tokenizer_json *t)
{
    json_decref(t->root);
    vb_arena_free(&t->arena);
    vb_vocab_free(&t->vocab);
    free(t->is);
    *t = (vb_tokenizer_json){0};
}

/* --- older files ------------------------------------------------------------------------------------------------ */

static vb_status read_lines(vb_tokenizer_json *t, const char *lines, size_t len, vb_err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) n += lines[i] == '\n';
    VB_TRY(merges_room(t, n + 1, err));
    for (const char *at = lines, *end = lines + len; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL) stop = end;
        size_t size = (size_t)(stop - at);
        while (size > 0 && (at[size - 1] == '\r' || at[size - 1] == ' ')) size--;
        vb_merge m;
        if (size > 0 && !(at == lines && at[0] == '#')) {
            if (!split_merge(at, size, &m))
                VB_FAIL(err, VB_E_FORMAT, "%s: byte %zu: expected two tokens in a line", t->name, (size_t)(at - lines));
            VB_TRY(take_merge(t, m, err));
        }
        at = stop < end ? stop + 1 : end;
    }
    return VB_OK;
}

vb_status vb_tokenizer_json_of_gpt2(vb_tokenizer_json *t, json_t *vocab, const char *merges, size_t len,
                                    const char *name, vb_err *err)
{
    *t = (vb_tokenizer_json){.root = vocab, .name = name, .unk = -1};
    VB_TRY(read_object(t, vocab, err));
    if (t->n == 0) VB_FAIL(err, VB_E_FORMAT, "%s: expected tokens, found none", name);
    VB_TRY(vb_tokenizer_json_index(t, err));
    return merges != NULL ? read_lines(t, merges, len, err) : VB_OK;
}

vb_status vb_tokenizer_json_of_words(vb_tokenizer_json *t, const char *lines, size_t len, const char *name, vb_err *err)
{
    *t = (vb_tokenizer_json){.name = name, .unk = -1, .kind = VB_JSON_WORDPIECE};
    uint64_t id = 0;
    for (const char *at = lines, *end = lines + len; at < end; id++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL) stop = end;
        size_t size = (size_t)(stop - at);
        if (size > 0 && at[size - 1] == '\r') size--;
        char *text = vb_arena_text(&t->arena, at, size);
        if (text == NULL) return no_memory(t, err);
        if (id >= VB_TOKENIZER_JSON_MOST)
            VB_FAIL(err, VB_E_FORMAT, "%s: expected at most %d lines", name, VB_TOKENIZER_JSON_MOST);
        VB_TRY(put(t, id, (vb_text){text, size}, VB_PIECE_BASE, err));
        at = stop < end ? stop + 1 : end;
    }
    t->n_base = id;
    if (id == 0) VB_FAIL(err, VB_E_FORMAT, "%s: expected tokens, found none", name);
    return vb_tokenizer_json_index(t, err);
}
