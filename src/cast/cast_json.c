/* cast_json.c - a cast from JSON (see cast_json.h).
 *
 *   { model, personas: [ { name, prompt, ..., sampling: { ... } } ], facts: { name: text }, recall: { path, model }, ... }
 *
 * One table for each kind of object says which keys it has, of which type each is and where its value goes. A key that no
 * table has is an error that names the nearest one, and each error names the place: personas[2].sampling.top_k.
 */
#include "cast/cast_json.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 16 << 20, MOST_PERSONAS = 10000, MOST_FACTS = 10000, MOST_WORDS = 100000, MOST_TEXTS = 1000000, LONGEST_KEY = 40 };

struct vb_cast_json {
    json_t *root;
    vb_cast_said said;
    vb_persona *personas;
    vb_fact *facts;
    vb_cast_text *texts;
    char **made; /* texts that are in no JSON value, freed with it */
    int n_made;
};

typedef enum { TEXT, WHOLE, REAL, FLAG, ENTITY, TICK, STOP, KV, FORM, WORDS, FACTS, PERSONAS, SAMPLING, RECALL, TEXTS } field_kind;
typedef struct {
    const char *name;
    field_kind kind;
    size_t offset;
} field;

#define AT(type, name, kind) {#name, kind, offsetof(type, name)}
static const field cast_fields[] = {
    {"model", TEXT, offsetof(vb_cast_said, model)},
    {"personas", PERSONAS, 0},
    {"facts", FACTS, 0},
    {"recall", RECALL, 0},
    {"speakers", WHOLE, offsetof(vb_cast_said, opts.speakers)},
    {"waiting", WHOLE, offsetof(vb_cast_said, opts.waiting)},
    {"context", WHOLE, offsetof(vb_cast_said, opts.context)},
    {"kv", KV, offsetof(vb_cast_said, opts.kv)},
    {"entries", WHOLE, offsetof(vb_cast_said, opts.entries)},
    {"entities", WHOLE, offsetof(vb_cast_said, opts.entities)},
    {"table", TEXT, offsetof(vb_cast_said, opts.table)},
    {NULL, TEXT, 0},
};
static const field persona_fields[] = {
    AT(vb_persona, name, TEXT), AT(vb_persona, prompt, TEXT), AT(vb_persona, sampling, SAMPLING), AT(vb_persona, stop, STOP),
    AT(vb_persona, regex, TEXT), AT(vb_persona, max_tokens, WHOLE), AT(vb_persona, grammar, TEXT), AT(vb_persona, schema, FORM),
    AT(vb_persona, banned, WORDS), AT(vb_persona, attempts, WHOLE), AT(vb_persona, fallback, TEXT),
    AT(vb_persona, keep_quotes, FLAG), AT(vb_persona, entry, TEXT), AT(vb_persona, memory_tokens, WHOLE),
    AT(vb_persona, recall, WHOLE), {NULL, TEXT, 0},
};
static const field sampling_fields[] = {
    AT(vb_sampling, temperature, REAL), AT(vb_sampling, top_p, REAL), AT(vb_sampling, min_p, REAL),
    AT(vb_sampling, typical, REAL), AT(vb_sampling, repeat, REAL), AT(vb_sampling, presence, REAL),
    AT(vb_sampling, frequency, REAL), AT(vb_sampling, top_k, WHOLE), AT(vb_sampling, repeat_last, WHOLE), {NULL, TEXT, 0},
};
static const field recall_fields[] = {
    {"path", TEXT, offsetof(vb_cast_said, recall_path)}, {"model", TEXT, offsetof(vb_cast_said, recall_model)},
    {"texts", TEXTS, 0}, {NULL, TEXT, 0},
};
static const field text_fields[] = {
    AT(vb_cast_text, entity, ENTITY), AT(vb_cast_text, tick, TICK), AT(vb_cast_text, text, TEXT), {NULL, TEXT, 0},
};

/* Where a value stands, for errors: "personas[2].sampling". */
typedef struct {
    vb_cast_json *json;
    char path[160];
    vb_err *err;
} place;

static place inside(const place *p, const char *key, int index)
{
    place q = *p;
    size_t n = strlen(q.path);
    if (key != NULL) snprintf(q.path + n, sizeof q.path - n, "%s%.*s", n > 0 ? "." : "", LONGEST_KEY, key);
    else snprintf(q.path + n, sizeof q.path - n, "[%d]", index);
    return q;
}

static const char *type_name(const json_t *value)
{
    static const char *const names[] = {"an object", "a list", "a text", "a whole number", "a number", "true", "false", "null"};
    return value == NULL ? "nothing" : names[json_typeof(value)];
}

static vb_status wrong(const place *p, const char *expected, const json_t *value)
{
    VB_FAIL(p->err, VB_E_ARGUMENT, "cast: %s: expected %s, found %s", p->path, expected, type_name(value));
}

/* --- keys ---------------------------------------------------------------------------------------------- */

/* How many letters must be put in, taken out or changed. */
static int distance(const char *a, const char *b)
{
    int row[LONGEST_KEY + 1], n = (int)strnlen(b, LONGEST_KEY);
    for (int j = 0; j <= n; j++) row[j] = j;
    for (int i = 1; i <= LONGEST_KEY && a[i - 1] != 0; i++) {
        int corner = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int best = corner + (a[i - 1] != b[j - 1]);
            corner = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[n];
}

static vb_status unknown_key(const place *p, const char *key, const field *fields)
{
    const field *nearest = fields;
    for (const field *f = fields; f->name != NULL; f++)
        if (distance(key, f->name) < distance(key, nearest->name)) nearest = f;
    VB_FAIL(p->err, VB_E_ARGUMENT, "cast: %s%sexpected a key like \"%s\", found \"%.*s\"", p->path, p->path[0] ? ": " : "",
            nearest->name, LONGEST_KEY, key);
}

/* --- values -------------------------------------------------------------------------------------------- */

static vb_status read_object(const place *p, const json_t *object, const field *fields, void *into);

static vb_status read_text(const place *p, const json_t *value, const char **out)
{
    if (!json_is_string(value)) return wrong(p, "a text", value);
    *out = json_string_value(value);
    return VB_OK;
}

static vb_status read_whole(const place *p, const json_t *value, int *out)
{
    if (!json_is_integer(value)) return wrong(p, "a whole number", value);
    json_int_t n = json_integer_value(value);
    if (n < INT32_MIN || n > INT32_MAX)
        VB_FAIL(p->err, VB_E_ARGUMENT, "cast: %s: expected a smaller number, found %lld", p->path, (long long)n);
    *out = (int)n;
    return VB_OK;
}

static vb_status read_real(const place *p, const json_t *value, float *out)
{
    if (!json_is_number(value)) return wrong(p, "a number", value);
    *out = (float)json_number_value(value);
    if (!isfinite(*out)) VB_FAIL(p->err, VB_E_ARGUMENT, "cast: %s: expected a smaller number, found %g", p->path, json_number_value(value));
    return VB_OK;
}

/* One of some words, as its number in the list. */
static vb_status read_choice(const place *p, const json_t *value, const char *const *words, int *out)
{
    if (!json_is_string(value)) return wrong(p, "a text", value);
    for (*out = 0; words[*out] != NULL; ++*out)
        if (strcmp(words[*out], json_string_value(value)) == 0) return VB_OK;
    char all[120] = "";
    for (int i = 0; words[i] != NULL; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s\"%s\"", i == 0 ? "" : words[i + 1] != NULL ? ", " : " or ", words[i]);
    VB_FAIL(p->err, VB_E_ARGUMENT, "cast: %s: expected %s, found \"%.40s\"", p->path, all, json_string_value(value));
}

/* A schema may be written as JSON, or as a text that holds it. */
static vb_status read_form(const place *p, const json_t *value, const char **out)
{
    vb_cast_json *j = p->json;
    if (json_is_string(value)) return read_text(p, value, out);
    if (!json_is_object(value)) return wrong(p, "a JSON Schema", value);
    char **grown = realloc(j->made, ((size_t)j->n_made + 1) * sizeof *grown);
    if (grown == NULL) VB_FAIL(p->err, VB_E_MEMORY, "cast: out of memory");
    j->made = grown;
    j->made[j->n_made] = json_dumps(value, JSON_COMPACT | JSON_PRESERVE_ORDER);
    if (j->made[j->n_made] == NULL) VB_FAIL(p->err, VB_E_MEMORY, "cast: out of memory");
    *out = j->made[j->n_made++];
    return VB_OK;
}

/* A list of texts, as an array that lives as long as the JSON. */
static vb_status read_words(const place *p, const json_t *value, vb_persona *persona)
{
    vb_cast_json *j = p->json;
    size_t n = json_array_size(value);
    if (!json_is_array(value) || n > MOST_WORDS) return wrong(p, "a list of at most 100000 texts", value);
    const char **words = calloc(n + 1, sizeof *words);
    char **grown = realloc(j->made, ((size_t)j->n_made + 1) * sizeof *grown);
    if (grown != NULL) j->made = grown;
    if (words == NULL || grown == NULL) {
        free(words);
        VB_FAIL(p->err, VB_E_MEMORY, "cast: out of memory");
    }
    j->made[j->n_made++] = (char *)(void *)words;
    for (size_t i = 0; i < n; i++) {
        place q = inside(p, NULL, (int)i);
        VB_TRY(read_text(&q, json_array_get(value, i), &words[i]));
    }
    persona->banned = words;
    persona->n_banned = (int)n;
    return VB_OK;
}

static vb_status read_facts(const place *p, json_t *value)
{
    vb_cast_json *j = p->json;
    const char *key;
    json_t *text;
    int n = 0;
    if (!json_is_object(value) || json_object_size(value) > MOST_FACTS) return wrong(p, "an object of at most 10000 texts", value);
    j->facts = calloc(json_object_size(value) + 1, sizeof *j->facts);
    if (j->facts == NULL) VB_FAIL(p->err, VB_E_MEMORY, "cast: out of memory");
    json_object_foreach(value, key, text) {
        place q = inside(p, key, 0);
        j->facts[n].name = key;
        VB_TRY(read_text(&q, text, &j->facts[n++].value));
    }
    j->said.opts.facts = j->facts;
    j->said.opts.n_facts = n;
    return VB_OK;
}

static vb_status read_persona(const place *p, const json_t *value, vb_persona *persona)
{
    VB_TRY(read_object(p, value, persona_fields, persona));
    place name = inside(p, "name", 0), prompt = inside(p, "prompt", 0);
    if (persona->name == NULL) return wrong(&name, "a text", NULL);
    return persona->prompt == NULL ? wrong(&prompt, "a text", NULL) : VB_OK;
}

static vb_status read_personas(const place *p, const json_t *value)
{
    vb_cast_json *j = p->json;
    size_t n = json_array_size(value);
    if (!json_is_array(value) || n < 1 || n > MOST_PERSONAS) return wrong(p, "a list of 1 to 10000 personas", value);
    j->personas = calloc(n, sizeof *j->personas);
    if (j->personas == NULL) VB_FAIL(p->err, VB_E_MEMORY, "cast: out of memory");
    for (size_t i = 0; i < n; i++) {
        place q = inside(p, NULL, (int)i);
        VB_TRY(read_persona(&q, json_array_get(value, i), &j->personas[i]));
    }
    j->said.opts.personas = j->personas;
    j->said.opts.n_personas = (int)n;
    return VB_OK;
}

static vb_status read_u64(const place *p, const json_t *value, uint64_t *out)
{
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 0) return wrong(p, "a whole number from 0", value);
    *out = (uint64_t)n;
    return VB_OK;
}

/* A number, or a name; a text of digits alone is a number. */
static vb_status read_entity(const place *p, const json_t *value, uint64_t *out)
{
    const char *name = json_string_value(value);
    if (name == NULL) return json_is_integer(value) ? read_u64(p, value, out) : wrong(p, "a number or a name", value);
    if (*name == 0) VB_FAIL(p->err, VB_E_ARGUMENT, "cast: %s: expected a number or a name, found an empty text", p->path);
    if (name[strspn(name, "0123456789")] != 0) {
        *out = vb_entity_id(name, strlen(name));
        return VB_OK;
    }
    errno = 0;
    *out = strtoull(name, NULL, 10);
    if (errno != 0) VB_FAIL(p->err, VB_E_ARGUMENT, "cast: %s: expected a number below 2^64, found %.40s", p->path, name);
    return VB_OK;
}

/* A text by itself is known to everybody from the beginning. */
static vb_status read_known(const place *p, const json_t *value, vb_cast_text *out)
{
    place text = inside(p, "text", 0);
    if (json_is_string(value)) return read_text(p, value, &out->text);
    if (!json_is_object(value)) return wrong(p, "a text or an object", value);
    VB_TRY(read_object(p, value, text_fields, out));
    return out->text == NULL ? wrong(&text, "a text", NULL) : VB_OK;
}

static vb_status read_texts(const place *p, const json_t *value)
{
    vb_cast_json *j = p->json;
    size_t n = json_array_size(value);
    if (!json_is_array(value) || n > MOST_TEXTS) return wrong(p, "a list of at most 1000000 texts", value);
    j->texts = calloc(n + 1, sizeof *j->texts);
    if (j->texts == NULL) VB_FAIL(p->err, VB_E_MEMORY, "cast: out of memory");
    for (size_t i = 0; i < n; i++) {
        place q = inside(p, NULL, (int)i);
        VB_TRY(read_known(&q, json_array_get(value, i), &j->texts[i]));
    }
    j->said.texts = j->texts;
    j->said.n_texts = (int)n;
    return VB_OK;
}

static vb_status read_recall(const place *p, const json_t *value)
{
    vb_cast_said *said = &p->json->said;
    place model = inside(p, "model", 0);
    VB_TRY(read_object(p, value, recall_fields, said));
    return said->recall_model == NULL ? wrong(&model, "a text", NULL) : VB_OK;
}

static vb_status read_value(const place *p, json_t *value, const field *f, void *into)
{
    static const char *const stops[] = {"sentence", "line", "regex", "length", NULL};
    static const char *const kvs[] = {"default", "f16", "f32", "q8_0", NULL};
    char *to = (char *)into + f->offset;
    int n;
    switch (f->kind) {
    case TEXT: return read_text(p, value, (const char **)(void *)to);
    case WHOLE: return read_whole(p, value, (int *)(void *)to);
    case REAL: return read_real(p, value, (float *)(void *)to);
    case FLAG:
        if (!json_is_boolean(value)) return wrong(p, "true or false", value);
        *(int *)(void *)to = json_is_true(value);
        return VB_OK;
    case STOP:
        VB_TRY(read_choice(p, value, stops, &n));
        *(vb_stop_rule *)(void *)to = (vb_stop_rule)n;
        return VB_OK;
    case KV:
        VB_TRY(read_choice(p, value, kvs, &n));
        *(vb_kv *)(void *)to = (vb_kv)n;
        return VB_OK;
    case ENTITY: return read_entity(p, value, (uint64_t *)(void *)to);
    case TICK: return read_u64(p, value, (uint64_t *)(void *)to);
    case TEXTS: return read_texts(p, value);
    case FORM: return read_form(p, value, (const char **)(void *)to);
    case WORDS: return read_words(p, value, into);
    case FACTS: return read_facts(p, value);
    case PERSONAS: return read_personas(p, value);
    case SAMPLING: return read_object(p, value, sampling_fields, to);
    case RECALL: return read_recall(p, value);
    }
    return VB_OK;
}

static vb_status read_object(const place *p, const json_t *object, const field *fields, void *into)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object)) return wrong(p, "an object", object);
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        const field *f = fields;
        place q = inside(p, key, 0);
        while (f->name != NULL && strcmp(f->name, key) != 0) f++;
        if (f->name == NULL) return unknown_key(p, key, fields);
        VB_TRY(read_value(&q, value, f, into));
    }
    return VB_OK;
}

/* --- the whole ----------------------------------------------------------------------------------------- */

/* A cast without personas has the villager that is built in. */
static vb_status add_villager(const place *p)
{
    json_t *built_in = json_loads(vb_villager, 0, NULL), *personas = json_object_get(built_in, "personas");
    int bad = json_object_set(p->json->root, "personas", personas) != 0;
    json_decref(built_in);
    if (bad) VB_FAIL(p->err, VB_E_MEMORY, "cast: out of memory");
    return read_personas(p, json_object_get(p->json->root, "personas"));
}

static vb_status read_all(vb_cast_json *j, const char *text, size_t len, vb_err *err)
{
    json_error_t why;
    place top = {.json = j, .err = err}, personas = {.json = j, .path = "personas", .err = err};
    if (len > MOST_BYTES) VB_FAIL(err, VB_E_FORMAT, "cast: expected at most 16 MiB of JSON, found %zu bytes", len);
    j->root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
    if (j->root == NULL) VB_FAIL(err, VB_E_FORMAT, "cast: line %d, column %d: %s", why.line, why.column, why.text);
    if (!json_is_object(j->root)) VB_FAIL(err, VB_E_FORMAT, "cast: expected an object, found %s", type_name(j->root));
    j->said.model = "tales-1m";
    VB_TRY(read_object(&top, j->root, cast_fields, &j->said));
    return j->personas == NULL ? add_villager(&personas) : VB_OK;
}

vb_status vb_cast_json_read(vb_cast_json **out, const char *text, size_t len, vb_err *err)
{
    vb_cast_json *j = calloc(1, sizeof *j);
    *out = NULL;
    if (j == NULL) VB_FAIL(err, VB_E_MEMORY, "cast: out of memory");
    vb_status status = read_all(j, text, len, err);
    if (status < 0) vb_cast_json_close(j);
    else *out = j;
    return status;
}

const vb_cast_said *vb_cast_json_said(const vb_cast_json *json)
{
    return &json->said;
}

void vb_cast_json_close(vb_cast_json *json)
{
    if (json == NULL) return;
    for (int i = 0; i < json->n_made; i++) free(json->made[i]);
    free(json->made);
    free(json->personas);
    free(json->facts);
    free(json->texts);
    json_decref(json->root);
    free(json);
}
