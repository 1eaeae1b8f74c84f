/* vocabulary_special.c - which token begins, ends, pads; which of them are added to a text; the chat template.
 *
 *   tokenizer.json          the template around a text says what is added          } an earlier answer stays,
 *   tokenizer_config.json   "bos_token": "<s>" or {"content": "<s>"}, add_bos_token  } in this order
 *   config.json             "bos_token_id": 1, there or in its text_config
 *
 * The rules are those of llama.cpp's converter, crude as they are, so that both write the same keys in the same order.
 */
#include "convert/vocabulary_parts.h"

#include <string.h>

const char *const vb_role_keys[VB_ROLES] = {"bos", "eos", "unk", "sep", "pad", "cls", "mask", "eot", "eom"};

typedef struct {
    vb_vocabulary *v;
    int n_roles;                     /* roles that are asked for; eot and eom join */
    const json_t *of_role[VB_ROLES]; /* what tokenizer_config.json says, perhaps corrected; a text, an object, NULL */
} survey;

static const json_t *entry(const json_t *object, const char *format, vb_role role)
{
    char key[32];
    snprintf(key, sizeof key, format, vb_role_keys[role]);
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

static int same(const json_t *a, const json_t *b)
{
    return json_is_string(a) && json_is_string(b) && json_equal(a, b);
}

/* --- what is added ---------------------------------------------------------------------------------------------- */

static void set_add(vb_vocabulary *v, vb_role role, int add)
{
    int i = 0;
    while (i < v->n_adds && v->adds[i].role != role) i++;
    if (i == v->n_adds) v->n_adds++;
    v->adds[i].role = role;
    v->adds[i].add = add;
}

static const json_t *id_in(const json_t *list, size_t at, const char *what)
{
    return json_object_get(json_object_get(json_array_get(list, at), what), "id");
}

/* A template that ends with another token than EOS makes that one EOS; the old one becomes EOT or EOM. */
static void replace_eos(survey *s, const json_t *last)
{
    if (s->n_roles < VB_ROLES) s->of_role[s->n_roles++] = s->of_role[VB_ROLE_EOS];
    s->of_role[VB_ROLE_EOS] = last;
}

typedef struct {
    const json_t *bos, *eos, *cls, *sep; /* as of_role, or without that file as the template shows */
    const json_t *first, *last;          /* of the template */
} edges;

static void read_single(survey *s, edges *e, const json_t *single)
{
    size_t n = json_array_size(single);
    int config = json_object_size(s->v->tokenizer_config) > 0;
    if (n < 2) return;
    e->first = id_in(single, 0, "SpecialToken");
    e->last = id_in(single, n - 1, "SpecialToken");
    if (json_string_length(e->first) > 0) {
        if (!config) e->bos = e->first;
        set_add(s->v, VB_ROLE_BOS, same(e->first, e->bos) || same(e->first, e->cls));
    }
    if (json_string_length(e->last) > 0) {
        if (config && !same(e->last, e->eos)) replace_eos(s, e->last);
        e->eos = e->last;
        set_add(s->v, VB_ROLE_EOS, 1);
    }
}

/* A [sep] [eos] B */
static void read_pair(survey *s, edges *e, const json_t *pair)
{
    size_t from = 0, to = json_array_size(pair);
    int last = json_string_length(e->last) > 0, add = 0;
    if (to > 0 && same(id_in(pair, 0, "SpecialToken"), e->first)) from++;
    if (to > from && last && same(id_in(pair, to - 1, "SpecialToken"), e->last)) to--;
    if (to < from + 3) return;
    const char *a = json_string_value(id_in(pair, from, "Sequence")),
               *b = json_string_value(id_in(pair, to - 1, "Sequence"));
    if (a == NULL || b == NULL || strcmp(a, "A") != 0 || strcmp(b, "B") != 0) return;
    const json_t *one = id_in(pair, from + 1, "SpecialToken"), *two = id_in(pair, from + 2, "SpecialToken");
    if ((same(one, e->sep) || same(one, e->eos)) && !last) add = 1;
    if (to - from == 4 && (same(two, e->sep) || same(two, e->eos))) add = 1;
    set_add(s->v, VB_ROLE_SEP, add);
    if (add && e->sep == NULL) s->of_role[VB_ROLE_SEP] = e->eos;
}

static void read_processor(survey *s, edges *e, const json_t *processor)
{
    const char *type = json_string_value(json_object_get(processor, "type"));
    if (type == NULL) return;
    if (strcmp(type, "RobertaProcessing") == 0) {
        set_add(s->v, VB_ROLE_BOS, 1);
        set_add(s->v, VB_ROLE_EOS, 1);
        set_add(s->v, VB_ROLE_SEP, 1);
        if (e->cls == NULL) e->cls = s->of_role[VB_ROLE_CLS] = json_array_get(json_object_get(processor, "cls"), 0);
        if (e->sep == NULL) e->sep = s->of_role[VB_ROLE_SEP] = json_array_get(json_object_get(processor, "sep"), 0);
    } else if (strcmp(type, "TemplateProcessing") == 0) {
        read_single(s, e, json_object_get(processor, "single"));
        read_pair(s, e, json_object_get(processor, "pair"));
    }
}

static void read_template(survey *s)
{
    const json_t *post = json_object_get(s->v->json.root, "post_processor"),
                 *list = json_object_get(post, "processors");
    if (s->of_role[VB_ROLE_BOS] == NULL) s->of_role[VB_ROLE_BOS] = s->of_role[VB_ROLE_CLS];
    if (s->of_role[VB_ROLE_EOS] == NULL) s->of_role[VB_ROLE_EOS] = s->of_role[VB_ROLE_SEP];
    edges e = {.bos = s->of_role[VB_ROLE_BOS],
               .eos = s->of_role[VB_ROLE_EOS],
               .cls = s->of_role[VB_ROLE_CLS],
               .sep = s->of_role[VB_ROLE_SEP]};
    if (!json_is_array(list)) read_processor(s, &e, post);
    for (size_t i = 0; i < json_array_size(list); i++) read_processor(s, &e, json_array_get(list, i));
}

/* --- ids -------------------------------------------------------------------------------------------------------- */

int64_t vb_vocabulary_id(const vb_vocabulary *v, vb_role role)
{
    for (int i = 0; i < v->n_ids; i++)
        if (v->ids[i].role == role) return v->ids[i].id;
    return -1;
}

int vb_vocabulary_set_id(vb_vocabulary *v, vb_role role, int64_t id)
{
    if (vb_vocabulary_id(v, role) >= 0) return 1;
    if (id < 0 || (uint64_t)id >= v->n) return 0;
    v->ids[v->n_ids].role = role;
    v->ids[v->n_ids++].id = (uint32_t)id;
    return 1;
}

static int64_t id_of(const vb_vocabulary *v, const json_t *text)
{
    if (!json_is_string(text)) return -1;
    int32_t id = vb_vocab_find(&v->json.vocab, json_string_value(text), json_string_length(text));
    return id >= 0 && v->json.is[id] >= VB_PIECE_ADDED ? id : -1;
}

static void read_config(survey *s)
{
    for (int role = 0; role < s->n_roles; role++) {
        const json_t *add = entry(s->v->tokenizer_config, "add_%s_token", (vb_role)role), *token = s->of_role[role];
        if (json_is_boolean(add)) set_add(s->v, (vb_role)role, json_is_true(add));
        if (json_is_object(token)) token = json_object_get(token, "content");
        vb_vocabulary_set_id(s->v, (vb_role)role, id_of(s->v, token));
    }
}

static void read_model_config(survey *s)
{
    const json_t *text = json_object_get(s->v->config, "text_config");
    for (int role = 0; role < s->n_roles; role++) {
        const json_t *id = entry(s->v->config, "%s_token_id", (vb_role)role);
        if (id == NULL) id = entry(text, "%s_token_id", (vb_role)role);
        if (json_is_integer(id)) vb_vocabulary_set_id(s->v, (vb_role)role, json_integer_value(id));
    }
}

/* --- the chat template ------------------------------------------------------------------------------------------ */

/* chat_template.jinja as a text, or chat_template.json's. */
static vb_status read_beside(vb_vocabulary *v, vb_err *err)
{
    char path[4200];
    vb_err why;
    char *text;
    size_t len;
    snprintf(path, sizeof path, "%s/chat_template.jinja", v->folder);
    if (vb_file_read(path, 16 << 20, &text, &len, &why) == VB_OK) {
        v->extra[1] = json_stringn(text, len);
        free(text);
        if (v->extra[1] == NULL) VB_FAIL(err, VB_E_FORMAT, "%s: expected UTF-8", path);
        v->template = v->extra[1];
        return VB_OK;
    }
    snprintf(path, sizeof path, "%s/chat_template.json", v->folder);
    vb_status s = vb_json_file(&v->extra[1], path, &why);
    if (s < 0 && s != VB_E_NOT_FOUND) VB_FAIL(err, s, "%s", why.text);
    v->template = json_object_get(v->extra[1], "chat_template");
    return VB_OK;
}

static vb_status read_chat(vb_vocabulary *v, vb_err *err)
{
    if (json_object_size(v->tokenizer_config) == 0) return VB_OK;
    v->template = json_object_get(v->tokenizer_config, "chat_template");
    if (v->template == NULL) VB_TRY(read_beside(v, err));
    if (!json_is_string(v->template) && !json_is_array(v->template)) v->template = NULL;
    return VB_OK;
}

static int lowers(const json_t *normalizer, int depth)
{
    const char *type = json_string_value(json_object_get(normalizer, "type"));
    const json_t *list = json_object_get(normalizer, "normalizers");
    if (type == NULL || depth == 0) return 0;
    if (strcmp(type, "Lowercase") == 0) return 1;
    if (strcmp(type, "BertNormalizer") == 0) return !json_is_false(json_object_get(normalizer, "lowercase"));
    for (size_t i = 0; i < json_array_size(list); i++)
        if (lowers(json_array_get(list, i), depth - 1)) return 1;
    return 0;
}

vb_status vb_vocabulary_special(vb_vocabulary *v, vb_err *err)
{
    survey s = {.v = v, .n_roles = VB_ROLE_EOT};
    for (int role = 0; role < VB_ROLES; role++) s.of_role[role] = entry(v->tokenizer_config, "%s_token", (vb_role)role);
    if (v->json.root != NULL) read_template(&s);
    read_config(&s);
    read_model_config(&s);
    v->lowercase = lowers(json_object_get(v->json.root, "normalizer"), 8);
    return read_chat(v, err);
}
