/* cast.c - a cast is opened: all memory that it will ever use is taken here, and every evaluation it may make is made once.
 *
 *   pages   lines | tokens of lines | requests of lines | slots | texts of slots | work areas
 *
 * Pages cost memory when they are first written, so that room for lines that are never asked for costs none.
 *
 * Invariant: behind vb_cast_open only grammars, prompts with ${memory} that are tokenized, and baking allocate.
 */
#include "cast/cast.h"

#include "base/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_SPEAKERS = 32, DEFAULT_WAITING = 1024, DEFAULT_CONTEXT = 256, DEFAULT_ENTRIES = 64, DEFAULT_ENTITIES = 256,
    MOST_SPEAKERS = 1024, MOST_WAITING = 1 << 20, MOST_ENTRIES = 1 << 16, MOST_ENTITIES = 1 << 20,
    LEAST_REQUEST = 1024, LEAST_ROOM = 4096, ARENA = 128 << 10
};

/* --- sizes ------------------------------------------------------------------------------------------------ */

static vb_status number(int *out, const char *name, int given, int usual, int most, vb_err *err)
{
    *out = given == 0 ? usual : given;
    if (*out >= 1 && *out <= most) return VB_OK;
    VB_FAIL(err, VB_E_ARGUMENT, "cast: %s: expected 0 to %d, found %d", name, most, given);
}

static int sees_memory(const vb_cast_opts *o)
{
    for (int i = 0; i < o->n_personas; i++)
        if (o->personas[i].prompt != NULL && strstr(o->personas[i].prompt, "${memory}") != NULL) return 1;
    return 0;
}

static size_t most_text(const vb_cast *c, const vb_cast_opts *o)
{
    int most = 60;
    for (int i = 0; i < o->n_personas; i++)
        if (o->personas[i].max_tokens > most) most = o->personas[i].max_tokens;
    return 3 * (size_t)c->longest * (size_t)most + 8; /* each byte may become U+FFFD */
}

static vb_status settle(vb_cast *c, vb_model *model, const vb_cast_opts *o, vb_err *err)
{
    c->model = model;
    vb_model_describe(model, &c->info);
    if (c->info.embeds) VB_FAIL(err, VB_E_ARGUMENT, "cast: expected a model that writes, found one of embeddings");
    if (c->info.plan_digest[0] == 0 && c->info.vocab == 0)
        VB_FAIL(err, VB_E_ARGUMENT, "cast: a model opened for its vocabulary alone cannot speak");
    if (o->personas == NULL || o->n_personas < 1) VB_FAIL(err, VB_E_ARGUMENT, "cast: expected personas, found none");
    int context = c->info.context > 0 && c->info.context < DEFAULT_CONTEXT ? c->info.context : DEFAULT_CONTEXT;
    VB_TRY(number(&c->context, "context", o->context, context, c->info.context > 0 ? c->info.context : 1 << 20, err));
    VB_TRY(number(&c->n_slots, "speakers", o->speakers, DEFAULT_SPEAKERS, MOST_SPEAKERS, err));
    VB_TRY(number(&c->n_lines, "waiting", o->waiting, DEFAULT_WAITING, MOST_WAITING, err));
    VB_TRY(number(&c->entries, "entries", o->entries, DEFAULT_ENTRIES, MOST_ENTRIES, err));
    VB_TRY(number(&c->n_entities_most, "entities", o->entities, DEFAULT_ENTITIES, MOST_ENTITIES, err));
    c->kv = o->kv;
    if (c->kv == VB_KV_DEFAULT) c->kv = c->info.arith == VB_ARITH_F32 ? VB_KV_F32 : VB_KV_F16;
    size_t context_bytes = (size_t)c->context;
    c->request_cap = 16 * context_bytes > LEAST_REQUEST ? 16 * context_bytes : LEAST_REQUEST;
    c->room_cap = 64 * context_bytes > LEAST_ROOM ? 64 * context_bytes : LEAST_ROOM;
    c->longest = c->info.longest_token > 0 && c->info.longest_token < VB_TOKEN_ROOM ? c->info.longest_token : VB_TOKEN_ROOM;
    c->text_cap = most_text(c, o);
    c->memory_cap = sees_memory(o) ? vb_memory_longest(c->entries) : 0;
    return VB_OK;
}

/* --- pages ------------------------------------------------------------------------------------------------ */

static uint8_t *take(const vb_cast *c, size_t *at, size_t n, size_t size)
{
    uint8_t *here = c->pages == NULL ? NULL : c->pages + *at;
    *at = (*at + n * size + 63) / 64 * 64;
    return here;
}

/* Once without pages, to know how many there must be, and once with them. */
static size_t lay_out(vb_cast *c)
{
    size_t at = 0, lines = (size_t)c->n_lines + 1, slots = (size_t)c->n_slots + 1;
    c->lines = (void *)take(c, &at, lines, sizeof *c->lines);
    c->slots = (void *)take(c, &at, slots, sizeof *c->slots);
    c->entities = (void *)take(c, &at, c->memory_cap > 0 ? (size_t)c->n_entities_most : 0, sizeof *c->entities);
    c->group.works = (void *)take(c, &at, slots, sizeof *c->group.works);
    c->fillings = (void *)take(c, &at, (size_t)c->n_facts + VB_REQUEST_FACTS + 4, sizeof *c->fillings);
    c->logits = (void *)take(c, &at, (size_t)c->info.vocab, sizeof *c->logits);
    c->sorting = take(c, &at, (size_t)c->info.vocab, 32);
    c->mask = take(c, &at, (size_t)c->info.vocab / 8 + 1, 1);
    c->text = (void *)take(c, &at, c->text_cap + 1, 1);
    c->room = (void *)take(c, &at, c->room_cap, 1);
    c->memory_text = (void *)take(c, &at, c->memory_cap, 1);
    uint8_t *tokens = take(c, &at, lines * (size_t)c->context, sizeof(vb_token));
    uint8_t *requests = take(c, &at, lines, c->request_cap);
    uint8_t *texts = take(c, &at, slots, c->text_cap);
    for (size_t i = 0; c->pages != NULL && i < lines; i++) {
        c->lines[i].tokens = (vb_token *)(void *)tokens + i * (size_t)c->context;
        c->lines[i].request = (char *)requests + i * c->request_cap;
    }
    for (size_t i = 0; c->pages != NULL && i < slots; i++) c->slots[i].text = (char *)texts + i * c->text_cap;
    return at;
}

static vb_status open_pages(vb_cast *c, vb_err *err)
{
    c->pages_bytes = lay_out(c);
    c->pages = vb_pages_reserve(c->pages_bytes);
    if (c->pages == NULL) VB_FAIL(err, VB_E_MEMORY, "cast: out of memory for %d lines", c->n_lines);
    lay_out(c);
    c->waiting = c->done = c->unused = (vb_row_of){-1, -1};
    for (int i = 0; i < c->n_lines; i++) vb_row_add(c, &c->unused, &c->lines[i]);
    for (int i = 0; i <= c->n_slots; i++) c->slots[i].line = -1;
    return VB_OK;
}

/* --- opening ---------------------------------------------------------------------------------------------- */

static vb_status copy_facts(vb_cast *c, const vb_cast_opts *o, vb_err *err)
{
    c->facts = vb_arena_array(&c->arena, (size_t)o->n_facts + 1, sizeof *c->facts);
    if (c->facts == NULL) VB_FAIL(err, VB_E_MEMORY, "cast: out of memory for its facts");
    for (; c->n_facts < o->n_facts; c->n_facts++) {
        const vb_fact *from = &o->facts[c->n_facts];
        char where[32];
        snprintf(where, sizeof where, "fact %d", c->n_facts);
        VB_TRY(vb_fill_check_fact(from, where, err));
        vb_fact *to = &c->facts[c->n_facts];
        to->name = vb_arena_text(&c->arena, from->name, strlen(from->name));
        to->value = vb_arena_text(&c->arena, from->value, strlen(from->value));
        if (to->name == NULL || to->value == NULL) VB_FAIL(err, VB_E_MEMORY, "cast: out of memory for its facts");
    }
    return VB_OK;
}

static vb_session_opts slot_opts(const vb_cast *c)
{
    return (vb_session_opts){.context = c->context, .kv = c->kv, .batch = c->context};
}

static vb_status open_slots(vb_cast *c, vb_err *err)
{
    vb_session_opts o = slot_opts(c);
    for (int i = 0; i <= c->n_slots; i++) VB_TRY(vb_session_open(&c->slots[i].session, c->model, &o, err));
    return VB_OK;
}

static vb_status open_roles(vb_cast *c, const vb_cast_opts *o, vb_err *err)
{
    c->roles = vb_arena_array(&c->arena, (size_t)o->n_personas, sizeof *c->roles);
    if (c->roles == NULL) VB_FAIL(err, VB_E_MEMORY, "cast: out of memory for %d personas", o->n_personas);
    for (; c->n_roles < o->n_personas; c->n_roles++) {
        vb_role *r = &c->roles[c->n_roles];
        vb_status s = vb_role_open(r, c, &o->personas[c->n_roles], err);
        if (s < 0) vb_role_close(r);
        if (s < 0) return s;
    }
    return VB_OK;
}

static vb_status open_table(vb_cast *c, const char *path, vb_err *err)
{
    if (path == NULL) return VB_OK;
    VB_TRY(vb_table_open(&c->table, path, err));
    return vb_cast_name_lines(c, err);
}

static vb_status open_parts(vb_cast *c, vb_model *model, const vb_cast_opts *o, vb_err *err)
{
    VB_TRY(settle(c, model, o, err));
    c->recall = o->recall;
    VB_TRY(copy_facts(c, o, err));
    VB_TRY(open_pages(c, err));
    if (c->memory_cap > 0) VB_TRY(vb_memory_open(&c->memory, model, c->n_entities_most, c->entries, err));
    VB_TRY(open_slots(c, err));
    VB_TRY(open_roles(c, o, err));
    for (int i = 0; i < c->n_roles; i++) VB_TRY(vb_role_begin(&c->roles[i], c, err));
    VB_TRY(vb_pace_measure(c, err));
    return open_table(c, o->table, err);
}

VB_API vb_status vb_cast_open(vb_cast **out, vb_model *model, const vb_cast_opts *opts, vb_err *err)
{
    vb_cast *c = calloc(1, sizeof *c);
    *out = NULL;
    if (c == NULL) VB_FAIL(err, VB_E_MEMORY, "cast: out of memory");
    vb_status s = open_parts(c, model, opts, err);
    if (s < 0) {
        vb_cast_close(c);
        return s;
    }
    *out = c;
    return VB_OK;
}

VB_API void vb_cast_close(vb_cast *c)
{
    if (c == NULL) return;
    for (int i = 0; c->pages != NULL && i <= c->n_slots; i++) {
        vb_grammar_close(c->slots[i].grammar);
        vb_session_close(c->slots[i].session);
    }
    for (int i = 0; i < c->n_roles; i++) vb_role_close(&c->roles[i]);
    vb_memory_close(c->memory);
    vb_table_close(c->table);
    vb_namer_close(c->namer);
    vb_bake_close(c->bake);
    if (c->pages != NULL) vb_pages_release(c->pages, c->pages_bytes);
    vb_arena_free(&c->arena);
    vb_recall_close(c->own_recall, NULL);
    vb_model_close(c->own_embedder);
    vb_model_close(c->own);
    free(c);
}

void vb_cast_own(vb_cast *c, vb_model *model, vb_model *embedder, vb_recall *recall)
{
    c->own = model;
    c->own_embedder = embedder;
    c->own_recall = recall;
}

VB_API vb_model *vb_cast_model(const vb_cast *c)
{
    return c->model;
}

/* --- how much memory it takes ---------------------------------------------------------------------------------- */

enum { OBJECT = 1024, TOKENIZER = 64 }; /* bytes of a session's or rule's small parts; of tokenizing a byte */

static uint64_t session_bytes(const vb_cast *c, int context)
{
    vb_session_opts o = {.context = context, .kv = c->kv, .batch = 1};
    return vb_session_bytes(c->model, &o) - vb_eval_bytes(c->model, 1, 1) + OBJECT;
}

static vb_status add_role(vb_cast *c, vb_token *ids, uint64_t *bytes, vb_err *err)
{
    const vb_role *r = &c->roles[c->n_roles];
    vb_fill_room room = {c->room, c->room_cap};
    int64_t n = vb_fill_encode_prefix(r->prompt, room, ids, (size_t)c->context, err);
    if (n < 0) return (vb_status)n;
    if (n > 0) *bytes += session_bytes(c, n < c->context ? (int)n : c->context);
    *bytes += vb_fill_bytes(r->prompt) + vb_stop_bytes(r->is.stop) + vb_filter_bytes(r->filter);
    if (r->entry != NULL) *bytes += vb_fill_bytes(r->entry);
    *bytes += 4 * OBJECT;
    return VB_OK;
}

/* The roles are opened for it: what they take depends on their texts. */
static vb_status add_roles(vb_cast *c, const vb_cast_opts *o, uint64_t *bytes, vb_err *err)
{
    VB_TRY(copy_facts(c, o, err));
    c->room = malloc(c->room_cap);
    vb_token *ids = malloc((size_t)c->context * sizeof *ids);
    vb_status s = VB_OK;
    c->roles = vb_arena_array(&c->arena, (size_t)o->n_personas, sizeof *c->roles);
    if (c->room == NULL || ids == NULL || c->roles == NULL) s = vb_fail(err, VB_E_MEMORY, "cast: out of memory");
    for (int i = 0; i < o->n_personas && s == VB_OK; i++) {
        s = vb_role_open(&c->roles[i], c, &o->personas[i], err);
        if (s == VB_OK) s = add_role(c, ids, bytes, err);
        c->n_roles++;
    }
    for (int i = 0; i < c->n_roles; i++) vb_role_close(&c->roles[i]);
    free(ids);
    free(c->room);
    return s;
}

static vb_status add_all(vb_cast *c, const vb_cast_opts *o, uint64_t *bytes, vb_err *err)
{
    c->recall = o->recall;
    VB_TRY(add_roles(c, o, bytes, err));
    *bytes += lay_out(c) + sizeof *c + 2 * c->arena.bytes + ARENA;
    *bytes += (uint64_t)(c->n_slots + 1) * session_bytes(c, c->context);
    *bytes += vb_eval_bytes(c->model, c->n_slots + VB_CAST_CHUNK, c->n_slots) + OBJECT * (uint64_t)c->n_slots;
    *bytes += TOKENIZER * (uint64_t)c->room_cap;
    if (c->memory_cap > 0) *bytes += vb_memory_room(c->n_entities_most, c->entries);
    return VB_OK;
}

VB_API uint64_t vb_cast_bytes(const vb_model *model, const vb_cast_opts *opts, vb_err *err)
{
    vb_cast *c = calloc(1, sizeof *c);
    uint64_t bytes = 0;
    if (c == NULL) {
        vb_fail(err, VB_E_MEMORY, "cast: out of memory");
        return 0;
    }
    vb_status s = settle(c, (vb_model *)(uintptr_t)model, opts, err);
    if (s == VB_OK) s = add_all(c, opts, &bytes, err);
    vb_arena_free(&c->arena);
    free(c);
    return s < 0 ? 0 : bytes;
}
