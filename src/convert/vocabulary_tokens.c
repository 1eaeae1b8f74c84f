/* vocabulary_tokens.c - texts, types and scores of the tokens, as llama.cpp's converter derives them.
 *
 *   tokenizer.model               "llama": SentencePiece's pieces, overlaid by added tokens
 *   BPE with byte fallback        "llama": the score of what a merge makes falls with the merge's place;
 *                                 "gemma4": without scores, with merges
 *   other BPE                     "gpt2"
 *   unigrams                      "t5"
 *   WordPiece                     "bert": a beginning of a word gets U+2581, "##" goes
 */
#include "convert/vocabulary_parts.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static const float no_score = -1000;

static vb_status no_memory(const vb_vocabulary *v, vb_err *err)
{
    return vb_fail(err, VB_E_MEMORY, "%s: no memory for its tokens", v->folder);
}

static int is(vb_text text, const char *what)
{
    return text.len == strlen(what) && memcmp(text.ptr, what, text.len) == 0;
}

static int encloses(vb_text text, const char *first, const char *last)
{
    size_t a = strlen(first), b = strlen(last);
    return text.len >= a && text.len >= b && memcmp(text.ptr, first, a) == 0 &&
           memcmp(text.ptr + text.len - b, last, b) == 0;
}

/* Added tokens of some models that ought to be special are not said to be. */
static int looks_special(vb_text text)
{
    return is(text, "<pad>") || is(text, "<mask>") || is(text, "<2mass>") || is(text, "[@BOS@]") ||
           encloses(text, "<|", "|>") || encloses(text, "<\xef\xbd\x9c", "\xef\xbd\x9c>") ||
           encloses(text, "<unused", ">");
}

/* <0x0A> */
static int is_byte(vb_text text)
{
    return text.len == 6 && memcmp(text.ptr, "<0x", 3) == 0 && text.ptr[5] == '>' &&
           strspn(text.ptr + 3, "0123456789ABCDEFabcdef") >= 2;
}

/* U+2581 becomes a space: such tokens are looked for in text that nobody has normalized. */
static vb_status with_spaces(vb_vocabulary *v, vb_text *text, vb_err *err)
{
    static const char sign[] = "\xe2\x96\x81";
    if (memmem(text->ptr, text->len, sign, 3) == NULL) return VB_OK;
    char *out = vb_arena_text(&v->arena, text->ptr, text->len);
    size_t n = 0;
    if (out == NULL) return no_memory(v, err);
    for (size_t i = 0; i < text->len; n++) {
        int found = text->len - i >= 3 && memcmp(text->ptr + i, sign, 3) == 0;
        out[n] = found ? ' ' : text->ptr[i];
        i += found ? 3 : 1;
    }
    out[n] = 0;
    *text = (vb_text){out, n};
    return VB_OK;
}

/* n tokens; those that nobody fills are [PAD<id>]. */
static vb_status start(vb_vocabulary *v, uint64_t n, uint64_t found, float score, vb_err *err)
{
    if (v->wanted > VB_TOKENIZER_JSON_MOST)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected at most %d tokens, found %llu", v->folder, VB_TOKENIZER_JSON_MOST,
                (unsigned long long)v->wanted);
    if (n < found)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected %llu tokens, as config.json states, found %llu", v->folder,
                (unsigned long long)n, (unsigned long long)found);
    v->tokens = vb_arena_array(&v->arena, n, sizeof *v->tokens);
    if (v->tokens == NULL) return no_memory(v, err);
    v->n = n;
    for (uint64_t id = 0; id < n; id++) v->tokens[id] = (vb_vocabulary_token){{NULL, 0}, score, VB_TYPE_UNUSED};
    return VB_OK;
}

static vb_status pad(vb_vocabulary *v, vb_err *err)
{
    for (uint64_t id = 0; id < v->n; id++) {
        char name[32];
        if (v->tokens[id].text.ptr != NULL) continue;
        int len = snprintf(name, sizeof name, "[PAD%llu]", (unsigned long long)id);
        v->tokens[id].text = (vb_text){vb_arena_text(&v->arena, name, (size_t)len), (size_t)len};
        if (v->tokens[id].text.ptr == NULL) return no_memory(v, err);
    }
    return VB_OK;
}

/* --- SentencePiece ---------------------------------------------------------------------------------------------- */

/* Ids behind the last token are left out. */
static vb_status lay(vb_vocabulary *v, const json_t *content, int64_t id, int special, vb_err *err)
{
    vb_text text = {json_string_value(content), json_string_length(content)};
    if (text.ptr == NULL || id < 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected added tokens to have a text and an id", v->folder);
    if ((uint64_t)id >= v->n) return VB_OK;
    if (!special && strcmp(v->arch, "phi3") != 0) VB_TRY(with_spaces(v, &text, err));
    v->tokens[id] = (vb_vocabulary_token){text, no_score, special ? VB_TYPE_CONTROL : VB_TYPE_USER_DEFINED};
    return VB_OK;
}

static vb_status lay_files(vb_vocabulary *v, vb_err *err)
{
    const char *key;
    json_t *value;
    int phi3 = strcmp(v->arch, "phi3") == 0;
    json_object_foreach(v->added, key, value)
    {
        json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        if (id < 0) VB_FAIL(err, VB_E_FORMAT, "%s/added_tokens.json: \"%.64s\": expected an id", v->folder, key);
        if ((uint64_t)id >= v->n) continue;
        v->tokens[id] = (vb_vocabulary_token){{key, strlen(key)}, no_score, VB_TYPE_USER_DEFINED};
    }
    json_object_foreach(json_object_get(v->tokenizer_config, "added_tokens_decoder"), key, value)
    {
        const json_t *content = json_object_get(value, "content");
        vb_text text = {json_string_value(content), json_string_length(content)};
        int special =
            json_is_true(json_object_get(value, "special")) || (!phi3 && text.ptr != NULL && looks_special(text));
        VB_TRY(lay(v, content, strtoll(key, NULL, 10), special, err));
    }
    return VB_OK;
}

/* Phi-3 states its added tokens once more. */
static vb_status lay_json(vb_vocabulary *v, vb_err *err)
{
    const json_t *list = json_object_get(v->json.root, "added_tokens");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *t = json_array_get(list, i), *id = json_object_get(t, "id");
        VB_TRY(lay(v, json_object_get(t, "content"), json_is_integer(id) ? json_integer_value(id) : -1,
                   json_is_true(json_object_get(t, "special")), err));
    }
    return VB_OK;
}

static vb_status of_spm(vb_vocabulary *v, vb_err *err)
{
    uint64_t n = v->wanted != 0 ? v->wanted : v->spm.n;
    VB_TRY(start(v, n, 0, -10000, err));
    for (uint64_t id = 0; id < v->spm.n && id < n; id++) {
        const vb_spm_piece *p = &v->spm.pieces[id];
        int type = p->kind == VB_SPM_USER_DEFINED ? VB_TYPE_NORMAL : (int)p->kind;
        v->tokens[id] = (vb_vocabulary_token){p->text, p->score, type};
    }
    VB_TRY(lay_files(v, err));
    if (strcmp(v->arch, "phi3") == 0) VB_TRY(lay_json(v, err));
    v->model = "llama";
    v->pre = "default";
    v->scored = 1;
    return pad(v, err);
}

/* --- BPE -------------------------------------------------------------------------------------------------------- */

static const vb_piece *piece(const vb_vocabulary *v, uint64_t id)
{
    return &v->json.vocab.pieces[id];
}

static vb_status begin_json(vb_vocabulary *v, float score, vb_err *err)
{
    VB_TRY(start(v, v->wanted != 0 ? v->wanted : v->json.n, v->json.n, score, err));
    for (uint64_t id = 0; id < v->json.n; id++) {
        if (v->json.is[id] == VB_PIECE_NONE) continue;
        v->tokens[id].text = (vb_text){piece(v, id)->text, piece(v, id)->len};
        v->tokens[id].type = VB_TYPE_NORMAL;
    }
    return VB_OK;
}

static vb_status of_gpt2(vb_vocabulary *v, vb_err *err)
{
    VB_TRY(begin_json(v, 0, err));
    for (uint64_t id = 0; id < v->json.n; id++) {
        vb_vocabulary_token *t = &v->tokens[id];
        int kind = v->json.is[id];
        if (kind < VB_PIECE_ADDED) continue;
        t->type = kind == VB_PIECE_SPECIAL || looks_special(t->text) ? VB_TYPE_CONTROL : VB_TYPE_USER_DEFINED;
        if (t->type == VB_TYPE_USER_DEFINED) VB_TRY(with_spaces(v, &t->text, err));
    }
    v->model = "gpt2";
    v->merges = 1;
    return pad(v, err);
}

/* Every text that stands for a role: such tokens are special, whatever else is said of them. */
static void mark_special(vb_vocabulary *v, json_t *value, int depth)
{
    const char *key;
    json_t *item, *content = json_object_get(value, "content");
    size_t i;
    if (json_is_string(content)) value = content;
    if (json_is_string(value)) {
        int32_t id = vb_vocab_find(&v->json.vocab, json_string_value(value), json_string_length(value));
        if (id >= 0 && v->tokens[id].type != VB_TYPE_BYTE) v->tokens[id].type = VB_TYPE_CONTROL;
    }
    if (depth == 0) return;
    json_array_foreach(value, i, item) mark_special(v, item, depth - 1);
    json_object_foreach(value, key, item) mark_special(v, item, depth - 1);
}

static void mark_roles(vb_vocabulary *v)
{
    const char *key;
    json_t *value;
    json_object_foreach(v->tokenizer_config, key, value)
    {
        size_t len = strlen(key);
        int role = len > 6 && strcmp(key + len - 6, "_token") == 0 && strncmp(key, "add_", 4) != 0;
        if (role || strcmp(key, "additional_special_tokens") == 0 || strcmp(key, "extra_special_tokens") == 0 ||
            strcmp(key, "model_specific_special_tokens") == 0)
            mark_special(v, value, role ? 0 : 1);
    }
}

/* What a merge makes has the score of its place, the best of several; all other tokens are found by bytes or not at
 * all. */
static void score_by_merges(vb_vocabulary *v)
{
    char *both = malloc(v->json.vocab.longest + 1);
    for (uint64_t i = v->json.n_merges; both != NULL && i-- > 0;) {
        const vb_merge *m = &v->json.merges[i];
        memcpy(both, m->left.ptr, m->left.len);
        memcpy(both + m->left.len, m->right.ptr, m->right.len);
        int32_t id = vb_vocab_find(&v->json.vocab, both, m->left.len + m->right.len);
        if (id >= 0) v->tokens[id].score = -(float)i;
    }
    free(both);
}

/* Gemma 4's added tokens that are part of the text are found as its pieces; those of others before anything is split.
 */
static vb_status type_sign(vb_vocabulary *v, uint64_t id, int gemma4, vb_err *err)
{
    vb_vocabulary_token *t = &v->tokens[id];
    const int kind = v->json.is[id];
    if (kind == VB_PIECE_NONE) return VB_OK;
    if (is_byte(t->text)) t->type = VB_TYPE_BYTE;
    else if (kind == VB_PIECE_SPECIAL || (kind == VB_PIECE_ADDED && !gemma4 && looks_special(t->text)))
        t->type = VB_TYPE_CONTROL;
    else if (kind == VB_PIECE_ADDED && (!gemma4 || id >= v->json.n_base)) t->type = VB_TYPE_USER_DEFINED;
    return t->type == VB_TYPE_USER_DEFINED && !gemma4 ? with_spaces(v, &t->text, err) : VB_OK;
}

static vb_status of_signs(vb_vocabulary *v, vb_err *err)
{
    static const char *const visible[] = {"<|channel>",       "<channel|>",       "<|tool_call>", "<tool_call|>",
                                          "<|tool_response>", "<tool_response|>", "<|\"|>"};
    int gemma4 = strcmp(v->arch, "gemma4") == 0;
    VB_TRY(begin_json(v, no_score, err));
    for (uint64_t id = 0; id < v->json.n; id++) VB_TRY(type_sign(v, id, gemma4, err));
    mark_roles(v);
    for (size_t i = 0; gemma4 && i < sizeof visible / sizeof visible[0]; i++) {
        int32_t id = vb_vocab_find(&v->json.vocab, visible[i], strlen(visible[i]));
        if (id >= 0) v->tokens[id].type = VB_TYPE_USER_DEFINED;
    }
    if (!gemma4) score_by_merges(v);
    v->model = gemma4 ? "gemma4" : "llama";
    v->pre = gemma4 ? NULL : "default";
    v->scored = 1;
    v->merges = gemma4;
    return pad(v, err);
}

/* --- unigrams and WordPiece ------------------------------------------------------------------------------------- */

static vb_status read_charsmap(vb_vocabulary *v, vb_err *err)
{
    const json_t *normalizer = json_object_get(v->json.root, "normalizer"),
                 *map = json_object_get(normalizer, "precompiled_charsmap");
    const json_t *list = json_object_get(normalizer, "normalizers");
    for (size_t i = 0; map == NULL && i < json_array_size(list); i++)
        map = json_object_get(json_array_get(list, i), "precompiled_charsmap");
    size_t len = json_string_length(map);
    if (len == 0) return VB_OK;
    if (len > INT32_MAX / 2) VB_FAIL(err, VB_E_FORMAT, "%s: precompiled_charsmap is too long", v->json.name);
    uint8_t *out = vb_arena_alloc(&v->arena, len + 4);
    if (out == NULL) return no_memory(v, err);
    const uint8_t *text = (const uint8_t *)json_string_value(map);
    int n = EVP_DecodeBlock(out, text, (int)len);
    for (size_t i = len; n > 0 && i > 0 && text[i - 1] == '='; i--) n--;
    if (n < 0) VB_FAIL(err, VB_E_FORMAT, "%s: precompiled_charsmap: expected base 64", v->json.name);
    v->charsmap = (vb_text){(const char *)out, (size_t)n};
    return VB_OK;
}

static int type_count(const vb_vocabulary *v)
{
    const json_t *n = json_object_get(v->config, "type_vocab_size");
    return json_is_integer(n) && json_integer_value(n) > 0 && json_integer_value(n) < 1 << 16
               ? (int)json_integer_value(n)
               : 1;
}

static int says(const json_t *part, const char *key, const char *value)
{
    const char *text = json_string_value(json_object_get(part, key));
    return text != NULL && strcmp(text, value) == 0;
}

static int cuts_at_spaces(const json_t *part)
{
    const json_t *pattern = json_object_get(part, "pattern");
    return says(part, "type", "WhitespaceSplit") || (says(part, "type", "Replace") && says(pattern, "Regex", " {2,}"));
}

static int puts_no_space(const json_t *part)
{
    if (!says(part, "type", "Metaspace")) return 0;
    return says(part, "prepend_scheme", "never") || json_is_false(json_object_get(part, "add_prefix_space"));
}

/* 1: a step of the normaliser or pre-tokeniser is of a kind. */
static int has_step(const json_t *part, int (*kind)(const json_t *part), int depth)
{
    static const char *const lists[] = {"normalizers", "pretokenizers"};
    if (depth == 0 || kind(part)) return depth > 0;
    for (int n = 0; n < 2; n++) {
        const json_t *list = json_object_get(part, lists[n]);
        for (size_t i = 0; i < json_array_size(list); i++)
            if (has_step(json_array_get(list, i), kind, depth - 1)) return 1;
    }
    return 0;
}

static vb_status of_unigrams(vb_vocabulary *v, vb_err *err)
{
    const json_t *normal = json_object_get(v->json.root, "normalizer");
    const json_t *pre = json_object_get(v->json.root, "pre_tokenizer");
    VB_TRY(begin_json(v, -10000, err));
    for (uint64_t id = 0; id < v->json.n; id++) {
        vb_vocabulary_token *t = &v->tokens[id];
        int kind = v->json.is[id];
        if (kind == VB_PIECE_NONE) continue;
        t->score = piece(v, id)->score;
        t->type = (int64_t)id == v->json.unk ? VB_TYPE_UNKNOWN
                  : kind == VB_PIECE_SPECIAL ? VB_TYPE_CONTROL
                  : kind == VB_PIECE_ADDED   ? VB_TYPE_USER_DEFINED
                  : is_byte(t->text)         ? VB_TYPE_BYTE
                                             : VB_TYPE_NORMAL;
    }
    VB_TRY(read_charsmap(v, err));
    v->model = "t5";
    v->pre = "default";
    v->scored = 1;
    v->space_prefix = !has_step(pre, puts_no_space, 4);
    v->shrinks_spaces = has_step(normal, cuts_at_spaces, 4) || has_step(pre, cuts_at_spaces, 4);
    v->type_count = type_count(v);
    return pad(v, err);
}

static vb_status of_words(vb_vocabulary *v, vb_err *err)
{
    VB_TRY(of_gpt2(v, err));
    for (uint64_t id = 0; id < v->n; id++) {
        vb_text *t = &v->tokens[id].text;
        if (encloses(*t, "[", "]")) continue;
        if (encloses(*t, "##", "")) {
            *t = (vb_text){t->ptr + 2, t->len - 2};
            continue;
        }
        char *marked = vb_arena_alloc(&v->arena, t->len + 4);
        if (marked == NULL) return no_memory(v, err);
        memcpy(marked, "\xe2\x96\x81", 3);
        memcpy(marked + 3, t->ptr, t->len);
        *t = (vb_text){marked, t->len + 3};
    }
    v->model = "bert";
    v->merges = 0;
    v->type_count = type_count(v);
    return VB_OK;
}

vb_status vb_vocabulary_tokens(vb_vocabulary *v, vb_err *err)
{
    if (v->from == VB_FROM_SPM) return of_spm(v, err);
    if (v->json.kind == VB_JSON_UNIGRAM) return of_unigrams(v, err);
    if (v->json.kind == VB_JSON_WORDPIECE) return of_words(v, err);
    return v->json.byte_fallback ? of_signs(v, err) : of_gpt2(v, err);
}
