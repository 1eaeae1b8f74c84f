/* role.c - a persona, read and checked once: templates, rule, words, grammar, and its prompt's beginning evaluated.
 *
 * Invariant: a role is read-only after vb_cast_open, but for the scratch of its rule.
 */
#include "cast/cast.h"

#include <string.h>

enum { DEFAULT_TOKENS = 60, DEFAULT_ATTEMPTS = 3, MOST_ATTEMPTS = 1000 };

static vb_status copy_text(vb_cast *c, const char **text, vb_err *err)
{
    if (*text == NULL) return VB_OK;
    *text = vb_arena_text(&c->arena, *text, strlen(*text));
    if (*text == NULL) VB_FAIL(err, VB_E_MEMORY, "cast: out of memory for its personas");
    return VB_OK;
}

static vb_status copy_words(vb_cast *c, vb_persona *p, vb_err *err)
{
    const char **words = vb_arena_array(&c->arena, (size_t)p->n_banned + 1, sizeof *words);
    if (words == NULL) VB_FAIL(err, VB_E_MEMORY, "cast: out of memory for its personas");
    for (int i = 0; i < p->n_banned; i++) {
        words[i] = p->banned[i];
        VB_TRY(copy_text(c, &words[i], err));
    }
    p->banned = words;
    return VB_OK;
}

static vb_status copy_persona(vb_cast *c, vb_persona *p, vb_err *err)
{
    const char **const texts[] = {&p->name, &p->prompt, &p->regex, &p->grammar, &p->schema, &p->fallback, &p->entry};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) VB_TRY(copy_text(c, texts[i], err));
    VB_TRY(copy_words(c, p, err));
    if (p->max_tokens == 0) p->max_tokens = DEFAULT_TOKENS;
    if (p->attempts == 0) p->attempts = DEFAULT_ATTEMPTS;
    if (p->fallback == NULL) p->fallback = "...";
    p->sampling.seed = p->sampling.stream = 0;
    return VB_OK;
}

static vb_status check_persona(const vb_cast *c, const vb_persona *p, vb_err *err)
{
    if (p->name == NULL || p->name[0] == 0) VB_FAIL(err, VB_E_ARGUMENT, "persona: expected a name, found none");
    if (vb_role_find(c, p->name) >= 0) VB_FAIL(err, VB_E_ARGUMENT, "persona \"%s\": is there twice", p->name);
    if (p->prompt == NULL) VB_FAIL(err, VB_E_ARGUMENT, "persona \"%s\": expected a prompt, found none", p->name);
    if (p->grammar != NULL && p->schema != NULL)
        VB_FAIL(err, VB_E_ARGUMENT, "persona \"%s\": expected a grammar or a schema, found both", p->name);
    if (p->max_tokens < 0 || p->max_tokens >= c->context)
        VB_FAIL(err, VB_E_ARGUMENT, "persona \"%s\": max_tokens: expected less than the context's %d, found %d", p->name,
                c->context, p->max_tokens);
    if (p->attempts < 0 || p->attempts > MOST_ATTEMPTS)
        VB_FAIL(err, VB_E_ARGUMENT, "persona \"%s\": attempts: expected 0 to %d, found %d", p->name, MOST_ATTEMPTS,
                p->attempts);
    if (p->n_banned < 0 || p->memory_tokens < 0 || p->recall < 0)
        VB_FAIL(err, VB_E_ARGUMENT, "persona \"%s\": expected counts of 0 or more", p->name);
    return VB_OK;
}

/* In place of a failure's text: the same with the persona's name in front. */
static vb_status named(const vb_persona *p, vb_status status, vb_err *err)
{
    vb_err why;
    if (status >= 0 || err == NULL) return status;
    why = *err;
    VB_FAIL(err, status, "persona \"%s\": %.400s", p->name, why.text);
}

static vb_status open_grammar(vb_role *r, vb_cast *c, vb_err *err)
{
    const vb_persona *p = &r->is;
    if (p->grammar != NULL) return vb_grammar_open_gbnf(&r->grammar, c->model, p->grammar, strlen(p->grammar), err);
    if (p->schema != NULL) return vb_grammar_open_schema(&r->grammar, c->model, p->schema, strlen(p->schema), err);
    return VB_OK;
}

static int has_name(const vb_fill *fill, const char *name)
{
    const char *found;
    for (int i = 0; (found = vb_fill_name(fill, i)) != NULL; i++)
        if (strcmp(found, name) == 0) return 1;
    return 0;
}

static vb_status open_templates(vb_role *r, vb_cast *c, vb_err *err)
{
    VB_TRY(vb_fill_open(&r->prompt, "prompt", r->is.prompt, c->model, err));
    if (r->is.entry != NULL) VB_TRY(vb_fill_open(&r->entry, "entry", r->is.entry, NULL, err));
    r->sees = has_name(r->prompt, "memory");
    r->recalls = has_name(r->prompt, "recalled");
    if (r->recalls && c->recall == NULL)
        VB_FAIL(err, VB_E_ARGUMENT, "prompt: ${recalled}: expected a cast with passages to recall");
    if (r->sees && r->is.memory_tokens >= c->context - r->is.max_tokens)
        VB_FAIL(err, VB_E_ARGUMENT, "memory_tokens: expected less than the %d that the context has beside the line, found %d",
                c->context - r->is.max_tokens, r->is.memory_tokens);
    return VB_OK;
}

static vb_status open_rules(vb_role *r, vb_cast *c, vb_err *err)
{
    const vb_persona *p = &r->is;
    VB_TRY(vb_sampling_check(&p->sampling, err));
    VB_TRY(open_templates(r, c, err));
    VB_TRY(vb_stop_open(&r->stop, p->stop, p->regex, p->keep_quotes, err));
    if (p->n_banned > 0) VB_TRY(vb_filter_open(&r->filter, p->banned, p->n_banned, err));
    return open_grammar(r, c, err);
}

vb_status vb_role_open(vb_role *r, vb_cast *c, const vb_persona *persona, vb_err *err)
{
    vb_persona p = *persona;
    VB_TRY(check_persona(c, &p, err));
    VB_TRY(copy_persona(c, &p, err));
    VB_TRY(check_persona(c, &p, err)); /* its defaults */
    r->is = p;
    return named(&r->is, open_rules(r, c, err), err);
}

/* The beginning that all prompts share is evaluated here, for all lines. */
static vb_status evaluate_beginning(vb_role *r, vb_cast *c, vb_token *ids, vb_err *err)
{
    vb_fill_room room = {c->room, c->room_cap};
    int64_t n = vb_fill_encode_prefix(r->prompt, room, ids, (size_t)c->context, err);
    if (n <= 0) return (vb_status)n;
    if (n > c->context - r->is.max_tokens)
        VB_FAIL(err, VB_E_FULL, "prompt: expected room for %d tokens in a context of %d, found more before it",
                r->is.max_tokens, c->context);
    vb_session_opts o = {.context = (int)n, .kv = c->kv, .batch = VB_CAST_CHUNK < n ? VB_CAST_CHUNK : (int)n};
    VB_TRY(vb_session_open(&r->beginning, c->model, &o, err));
    return vb_session_sync(r->beginning, ids, (int)n, err);
}

vb_status vb_role_begin(vb_role *r, vb_cast *c, vb_err *err)
{
    return named(&r->is, evaluate_beginning(r, c, c->lines[c->n_lines].tokens, err), err);
}

void vb_role_close(vb_role *r)
{
    vb_fill_close(r->prompt);
    vb_fill_close(r->entry);
    vb_stop_close(r->stop);
    vb_filter_close(r->filter);
    vb_grammar_close(r->grammar);
    vb_session_close(r->beginning);
}

int vb_role_find(const vb_cast *c, const char *name)
{
    if (name == NULL) return 0;
    for (int i = 0; i < c->n_roles; i++)
        if (strcmp(c->roles[i].is.name, name) == 0) return i;
    return -1;
}
